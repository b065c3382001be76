// The curves, drawn by Vega-Lite as SVG. Its expressions are interpreted (ast), so no code is made from text.
"use strict";
const Curves = (() => {
  const { element } = Site;
  const DASHES = [[1, 0], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [8, 2, 2, 2, 2, 2]];
  const SHAPES = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross"];
  let drawn = null;  // the chart on the page
  let turn = 0;  // counts drawings, so that an older one that ends later is dropped
  let library = null;  // Vega takes a moment to load: the table does not wait for it

  const property = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (method) => property(`--curve-${method.colour}`);

  // The method's line and marker, for the table.
  function swatch(method) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("viewBox", "0 0 30 12");
    made.setAttribute("class", "swatch");
    made.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ x1: 1, x2: 29, y1: 6, y2: 6, "stroke-dasharray": DASHES[method.dash].join(" ") })) line.setAttribute(key, value);
    line.style.stroke = `var(--curve-${method.colour})`;
    made.append(line);
    return made;
  }

  function points(view, names, methods) {
    return names.flatMap((name) => view.rows[name].map((cell, k) => cell && cell.value !== null && {
      method: methods.get(name).label, psnr: String(view.psnrs[k]), value: cell.value, low: cell.low, high: cell.high,
      rank: cell.rank ?? "–", interval: cell.low === null ? "–" : `${cell.low.toFixed(view.decimals)} – ${cell.high.toFixed(view.decimals)}`,
    }).filter(Boolean));
  }

  function specification(view, names, shown, methods, psnr, width) {
    const [muted, line] = ["--muted", "--line"].map(property);
    const titles = shown.map((name) => methods.get(name));
    const scale = (range) => ({ domain: titles.map((method) => method.label), range });
    const narrow = width < 640;
    const legend = { title: null, orient: narrow ? "bottom" : "right", columns: narrow && width > 420 ? 2 : 1, symbolSize: 90, symbolOpacity: 1, symbolStrokeWidth: 2, labelLimit: 240 };
    const encoding = {
      x: { field: "psnr", type: "ordinal", sort: null, scale: { domain: [...view.psnrs].reverse().map(String), type: "point", padding: 0.3 }, title: "PSNR of the channel, dB", axis: { labelAngle: 0, grid: false } },
      y: { field: "value", type: "quantitative", title: `${view.metric} (${view.higher ? "higher" : "lower"} is better)`, scale: { zero: false, nice: true } },
    };
    const colours = { field: "method", type: "nominal", scale: scale(titles.map(colour)), legend };
    const rest = names.filter((name) => !shown.includes(name));
    const level = (value, label) => value === null ? [] : [{
      data: { values: [{ value, label }] }, layer: [
        { mark: { type: "rule", strokeDash: [4, 4], color: muted }, encoding: { y: { field: "value", type: "quantitative" } } },
        { mark: { type: "text", align: "left", baseline: "bottom", dx: 4, dy: -2, color: muted, fontSize: 11 }, encoding: { y: { field: "value", type: "quantitative" }, x: { value: 0 }, text: { field: "label" } } }] }];
    const tooltip = [{ field: "method", title: "Method" }, { field: "psnr", title: "PSNR, dB" }, { field: "value", title: view.metric, format: `.${view.decimals}f` }, { field: "interval", title: "95 % interval" }, { field: "rank", title: "Rank" }];
    const bounded = points(view, shown, methods).filter((point) => point.low !== null);
    const curves = [
      ...(bounded.length ? [{ data: { values: bounded }, mark: { type: "area", opacity: 0.16 }, encoding: { x: encoding.x, y: { field: "low", type: "quantitative", title: encoding.y.title }, y2: { field: "high" }, color: colours } }] : []),
      { mark: { type: "line", strokeWidth: 2 }, encoding: { ...encoding, color: colours, strokeDash: { field: "method", type: "nominal", scale: scale(titles.map((method) => DASHES[method.dash])), legend } } },
      { mark: { type: "point", filled: true, size: 55, opacity: 1 }, encoding: { ...encoding, color: colours, shape: { field: "method", type: "nominal", scale: scale(titles.map((method) => SHAPES[method.shape])), legend }, tooltip } },
    ];
    return {
      data: { values: points(view, shown, methods) }, width: "container", height: narrow ? 300 : 380, background: null, padding: 4,
      description: `${view.metric} against the channel's PSNR for ${titles.map((method) => method.label).join(", ") || "no method"}. The table above has the same numbers.`,
      layer: [
        { data: { values: [{ psnr: String(psnr) }] }, mark: { type: "rule", color: line, strokeWidth: 26, opacity: 0.55 }, encoding: { x: { ...encoding.x, field: "psnr" } } },
        ...(rest.length ? [{ data: { values: points(view, rest, methods) }, mark: { type: "line", color: muted, opacity: 0.4, strokeWidth: 1 }, encoding: { ...encoding, detail: { field: "method" } } }] : []),
        ...(shown.length ? curves : []),
        ...level(view.ceiling, "originals"), ...level(view.reference !== null && view.higher ? view.reference : null, "pure noise"),
      ],
      config: config(),
    };
  }

  function config(legend = {}) {
    const [ink, muted, line] = ["--ink", "--muted", "--line"].map(property);
    return {
      font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: muted, titleColor: muted, titleFontWeight: "normal", domainColor: line, tickColor: line, gridColor: line, gridOpacity: 0.7, labelFontSize: 12, titleFontSize: 12 },
      legend: { labelColor: ink, labelFontSize: 12, ...legend },
    };
  }

  function load() {
    library ??= new Promise((done, failed) => {
      document.head.append(element("script", { src: "assets/vega.js", on: { load: done, error: () => failed(new Error("assets/vega.js cannot be loaded")) } }));
    });
    return library;
  }

  function draw(holder, view, names, shown, methods, psnr) {
    const some = points(view, names, methods).length;
    return show(holder, some ? () => specification(view, names, shown, methods, psnr, holder.clientWidth) : null, shown.length);
  }

  // Puts what `make` specifies on the page; null says that there is nothing to draw.
  async function show(holder, make, count) {
    const mine = ++turn;
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    await load();
    if (mine !== turn) return;
    if (make === null) {
      drawn?.finalize();
      drawn = null;
      holder.replaceChildren(element("p", { class: "empty" }, "Nothing to draw."));
      holder.dataset.curves = "0";
      return;
    }
    const made = element("div", { class: "curves" });
    const old = holder.firstElementChild;
    if (old) holder.style.minHeight = `${holder.clientHeight}px`;
    holder.append(made);
    const chart = await vegaEmbed(made, make(), {
      ast: true, renderer: "svg", defaultStyle: false, mode: "vega-lite", tooltip: { theme: "custom", disableDefaultStyle: true },
      actions: false, downloadFileName: "gesco-bench",
    });
    if (mine !== turn) { chart.finalize(); made.remove(); return; }
    drawn?.finalize();
    drawn = chart;
    for (const child of [...holder.children]) if (child !== made) child.remove();
    holder.style.minHeight = "";
    holder.dataset.curves = String(count);
  }

  return { DASHES, SHAPES, config, draw, property, show, swatch };
})();
