// Charts, drawn by Vega-Lite as SVG. Its expressions are interpreted (ast), so no code is made from text.
"use strict";
const Charts = (() => {
  const { byId, element } = Site;
  const { property } = Looks;
  const holder = byId("chart");
  let drawn = null;  // the chart on the page
  let turn = 0;  // counts drawings, so that an older one that ends later is dropped
  let library = null;  // Vega takes a moment to load: the table does not wait for it

  function points(view, shown) {
    return shown.flatMap((method) => view.rows.get(method).map((cell, k) => cell && cell.value !== null && {
      method: method.label, psnr: String(view.psnrs[k]), value: cell.value, low: cell.low, high: cell.high,
      rank: cell.rank ?? "–", interval: Board.interval(cell, view),
    }).filter(Boolean));
  }

  const isNarrow = () => holder.clientWidth < 640;
  const scaled = (domain, range) => ({ domain, range });

  // Curves against PSNR: those of `shown` in colour, the rest pale, the paper's dots where there are any.
  function curves(view, methods, shown, psnr, paper) {
    const [muted, line, surface] = ["--muted", "--line", "--surface"].map(property);
    const labels = shown.map((method) => method.label);
    const by = (range) => ({ field: "method", type: "nominal", scale: scaled(labels, shown.map((method) => range(method.look))), legend: null });
    const encoding = {
      x: { field: "psnr", type: "ordinal", sort: null, scale: { domain: [...view.psnrs].reverse().map(String), type: "point", padding: 0.3 }, title: "PSNR of the channel, dB", axis: { labelAngle: 0, grid: false } },
      y: { field: "value", type: "quantitative", title: `${view.metric} (${Board.better(view)})`, scale: { zero: false, nice: true } },
    };
    const colours = by(Looks.colour);
    const rest = methods.filter((method) => !shown.includes(method));
    const level = (value, label) => value === null ? [] : [{
      data: { values: [{ value, label }] }, layer: [
        { mark: { type: "rule", strokeDash: [4, 4], color: muted }, encoding: { y: { field: "value", type: "quantitative" } } },
        { mark: { type: "text", align: "left", baseline: "bottom", dx: 4, dy: -2, color: muted, fontSize: 11 }, encoding: { y: { field: "value", type: "quantitative" }, x: { value: 0 }, text: { field: "label" } } }] }];
    const tooltip = [{ field: "method", title: "Method" }, { field: "psnr", title: "PSNR, dB" }, { field: "value", title: view.metric, format: `.${view.decimals}f` }, { field: "interval", title: "95 % interval" }, { field: "rank", title: "Rank" }];
    const bounded = points(view, shown).filter((point) => point.low !== null);
    const marked = (hollow) => points(view, shown.filter((method) => Boolean(method.look.hollow) === hollow));
    const marks = (hollow) => ({
      data: { values: marked(hollow) },
      mark: { type: "point", size: 60, opacity: 1, strokeWidth: 1.8, filled: !hollow, ...(hollow ? { fill: surface } : {}) },
      encoding: { ...encoding, color: colours, shape: by(Looks.mark), tooltip },
    });
    const coloured = [
      ...(bounded.length ? [{ data: { values: bounded }, mark: { type: "area", opacity: 0.16 }, encoding: { x: encoding.x, y: { field: "low", type: "quantitative", title: encoding.y.title }, y2: { field: "high" }, color: colours } }] : []),
      { mark: { type: "line", strokeWidth: 2 }, encoding: { ...encoding, color: colours, strokeDash: by(Looks.dash) } },
      ...[false, true].filter((hollow) => marked(hollow).length).map(marks),
    ];
    return {
      data: { values: points(view, shown) }, width: "container", height: isNarrow() ? 300 : 380, background: null, padding: 4,
      description: `${view.metric} against the channel's PSNR for ${labels.join(", ") || "no method"}. The table above has the same numbers.`,
      layer: [
        { data: { values: [{ psnr: String(psnr) }] }, mark: { type: "rule", color: line, strokeWidth: 26, opacity: 0.55 }, encoding: { x: { ...encoding.x, field: "psnr" } } },
        ...(rest.length ? [{ data: { values: points(view, rest) }, mark: { type: "line", color: muted, opacity: 0.4, strokeWidth: 1 }, encoding: { ...encoding, detail: { field: "method" } } }] : []),
        ...(shown.length ? coloured : []),
        ...(paper.length ? overlay(paper, encoding) : []),
        ...level(view.ceiling, "originals"), ...level(view.reference !== null && view.higher ? view.reference : null, "pure noise"),
      ],
      config: config(),
    };
  }

  // The paper's values: points [{label, psnr, value, look}], each as a ring with a cross in it.
  function overlay(paper, encoding) {
    const own = { ...encoding, color: { field: "hue", type: "nominal", scale: null, legend: null }, detail: { field: "label" } };
    const data = { values: paper.map((point) => ({ ...point, hue: point.look ? Looks.colour(point.look) : property("--muted"), psnr: String(point.psnr) })) };
    const tooltip = [{ field: "label", title: "The paper's" }, { field: "psnr", title: "PSNR, dB" }, { field: "value", title: "Value" }];
    return [
      { data, mark: { type: "line", strokeWidth: 1.2, strokeDash: [1, 4], strokeCap: "round" }, encoding: own },
      { data, mark: { type: "point", shape: "M-1-1L1 1M-1 1L1-1", size: 70, strokeWidth: 2, opacity: 1 }, encoding: { ...own, tooltip } },
    ];
  }

  function config() {
    const [muted, line] = ["--muted", "--line"].map(property);
    return {
      font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: muted, titleColor: muted, titleFontWeight: "normal", domainColor: line, tickColor: line, gridColor: line, gridOpacity: 0.7, labelFontSize: 12, titleFontSize: 12 },
    };
  }

  // Puts what `make` specifies on the page; null says that there is nothing to draw. `count` of curves or marks is for
  // whoever waits for the chart.
  async function show(make, count) {
    const mine = ++turn;
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted, library ? 60 : 0)));  // typing goes before drawing
    if (mine !== turn) return false;
    await (library ??= Site.script("assets/vega.js"));
    if (mine !== turn) return false;
    if (make === null) {
      drawn?.finalize();
      drawn = null;
      holder.replaceChildren(element("p", { class: "empty" }, "Nothing to draw."));
      holder.dataset.curves = "0";
      return true;
    }
    const made = element("div", { class: "curves" });
    const old = holder.firstElementChild;
    if (old) holder.style.minHeight = `${holder.clientHeight}px`;
    holder.append(made);
    const chart = await vegaEmbed(made, make(), {
      ast: true, renderer: "svg", defaultStyle: false, mode: "vega-lite", tooltip: { theme: "custom", disableDefaultStyle: true },
      actions: false, downloadFileName: "gesco-bench",
    });
    if (mine !== turn) { chart.finalize(); made.remove(); return false; }
    drawn?.finalize();
    drawn = chart;
    for (const child of [...holder.children]) if (child !== made) child.remove();
    holder.style.minHeight = "";
    holder.dataset.curves = String(count);
    return true;
  }

  const hasPoints = (view, methods) => points(view, methods).length > 0;
  const drawCurves = (view, methods, shown, psnr, paper = []) =>
    show(hasPoints(view, methods) ? () => curves(view, methods, shown, psnr, paper) : null, shown.length);

  return { config, drawCurves, isNarrow, scaled, show };
})();
