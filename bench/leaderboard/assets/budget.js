// Quality against channel uses: a slider moves through the PSNRs. The whole view is in the address.
"use strict";
(() => {
  const { element, fold } = Site;
  const budget = Site.data("budget");
  const byId = (id) => document.getElementById(id);
  const methods = new Map(budget.methods.map((method) => [method.name, method]));
  const KINDS = { analogue: "analogue", fixed: "fixed link", adaptive: "adaptive link" };
  const state = { track: "", channel: "", metric: "", psnr: "", search: "" };

  const unique = (values) => [...new Set(values)];
  const among = (value, values, other = values[0]) => (values.includes(value) ? value : other);
  const whole = (value) => Math.round(value).toLocaleString("en");

  // Everything in `state` becomes something that there is; what the address says may be anything.
  function settle() {
    state.track = among(state.track, budget.sets.map((set) => set.track));
    const sets = budget.sets.filter((set) => set.track === state.track);
    state.channel = among(state.channel, sets.map((set) => set.channel));
    const set = sets.find((one) => one.channel === state.channel);
    const titles = set.views.map((view) => view.title);
    state.metric = among(state.metric, titles, among("mIoU", titles));
    const view = set.views.find((one) => one.title === state.metric);
    state.psnr = among(Number(state.psnr), set.psnrs, among(10, set.psnrs));
    state.search = String(state.search ?? "").slice(0, 100);
    return { set, view };
  }

  // One point for each method that has uses and a value at this PSNR, from the fewest uses to the most.
  function pointsOf(set, view) {
    const [position, column] = [set.psnrs.indexOf(state.psnr), view.psnrs.indexOf(state.psnr)];
    const wanted = fold(state.search.trim());
    const found = Object.entries(view.rows).flatMap(([name, row]) => {
      const [method, cell, cost] = [methods.get(name), row[column], set.costs[name]?.[position]];
      if (!cell || cell[0] === null || !cost?.[0] || !fold(`${name} ${method.label}`).includes(wanted)) return [];
      const [value, low, high] = cell;
      const text = (number) => number.toLocaleString("en", { minimumFractionDigits: view.decimals, maximumFractionDigits: view.decimals });
      return [{ name, ...method, value, low, high, uses: cost[0], energy: cost[1], lost: cost[2], ratio: cost[0] / set.values,
        shown: text(value), interval: low === null ? "–" : `${text(low)} – ${text(high)}`, kind: KINDS[method.kind] }];
    });
    return found.sort((a, b) => a.uses - b.uses || a.name.localeCompare(b.name));
  }

  const spoken = (point, view) => `${point.name}, ${point.kind}: ${view.title} ${point.shown}`
    + `${point.low === null ? "" : `, 95 % interval ${point.interval}`}, ${whole(point.uses)} uses`;

  function specification(points, view, ends) {
    const { property } = Curves;
    const surface = property("--surface");
    const narrow = byId("chart").clientWidth < 640;
    const names = unique(budget.methods.map((method) => method.method)).filter((name) => points.some((point) => point.method === name));
    const first = new Map(names.map((name) => [name, points.find((point) => point.method === name)]));
    const legend = { title: null, orient: narrow ? "bottom" : "right", columns: narrow ? 2 : 1, symbolStrokeWidth: 2, labelLimit: 220 };
    const scale = (domain, range) => ({ domain, range });
    const colour = { field: "method", type: "nominal", scale: scale(names, names.map((name) => property(`--curve-${first.get(name).colour}`))), legend: { ...legend, symbolSize: 80 } };
    const shape = { field: "method", type: "nominal", scale: scale(names, names.map((name) => Curves.SHAPES[first.get(name).shape])), legend: colour.legend };
    const fixed = points.filter((point) => point.kind !== KINDS.adaptive);
    const sent = unique(budget.methods.map((method) => method.sent)).filter((one) => fixed.some((point) => point.sent === one));
    const dash = { field: "sent", type: "nominal", scale: scale(sent, sent.map((one) => Curves.DASHES[fixed.find((point) => point.sent === one).dash])), legend: { ...legend, symbolType: "stroke", symbolSize: 260 } };
    const x = { field: "uses", type: "quantitative", scale: { type: "log", domain: ends, nice: false }, title: "Real channel uses a scene", axis: { format: "~s", tickCount: narrow ? 3 : 6, grid: true } };
    const y = { field: "value", type: "quantitative", title: `${view.title} (${view.higher ? "higher" : "lower"} is better)`, scale: { zero: false, nice: true, domain: view.domain } };
    // every way of sending goes on to the right with its best
    const lines = [...fixed, ...unique(fixed.map((point) => point.way)).map((way) => ({ ...fixed.find((point) => point.way === way), uses: ends[1] }))];
    const best = { window: [{ op: view.higher ? "max" : "min", field: "value", as: "best" }], sort: [{ field: "uses", order: "ascending" }], groupby: ["way"] };
    const marks = (kind, filled, opacity) => ({
      name: `points_${kind}`, data: { values: points.filter((point) => point.kind === KINDS[kind]).map((point) => ({ ...point, hue: property(`--curve-${point.colour}`) })) },
      mark: { type: "point", size: 75, strokeWidth: 2, opacity: 1, fill: filled ? undefined : surface, filled: false, fillOpacity: opacity, tooltip: true },
      encoding: { x, y, color: colour, shape, ...(filled ? { fill: { field: "hue", scale: null, legend: null } } : {}),
        description: { field: "spoken", type: "nominal" },
        tooltip: [{ field: "name", title: "Method" }, { field: "kind", title: "Sent by" }, { field: "uses", title: "Uses", format: ",.0f" }, { field: "ratio", title: "Bandwidth ratio", format: ".4f" }, { field: "shown", title: view.title }, { field: "interval", title: "95 % interval" }] },
    });
    return {
      width: "container", height: narrow ? 320 : 420, background: null, padding: 4,
      description: `${view.title} against channel uses at ${state.psnr} dB for ${names.join(", ") || "no method"}. The table below has the same numbers.`,
      layer: [
        { data: { values: lines }, transform: [best], mark: { type: "line", interpolate: "step-after", strokeWidth: 1.6 },
          encoding: { x, y: { ...y, field: "best" }, color: colour, strokeDash: dash, detail: { field: "way" } } },
        { data: { values: points.filter((point) => point.low !== null) }, mark: { type: "rule", strokeWidth: 1.4, opacity: 0.8 },
          encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour } },
        marks("analogue", true, 0.25), marks("fixed", true, 1), marks("adaptive", false, 1),
      ],
      resolve: { legend: { strokeDash: "independent" } },
      config: Curves.config({ layout: { bottom: { direction: "vertical", anchor: "start" } } }),
    };
  }

  // Marks can be reached by Tab and gone through by arrow keys; the one in focus is named below.
  function keys(holder) {
    const marks = [...holder.querySelectorAll("[class*='points_'] > path")].sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x);
    marks.forEach((mark, k) => {
      mark.tabIndex = k ? -1 : 0;
      mark.addEventListener("focus", () => { byId("named").textContent = mark.getAttribute("aria-label"); });
      mark.addEventListener("mouseenter", () => { byId("named").textContent = mark.getAttribute("aria-label"); });
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
        const next = event.key === "Home" ? marks[0] : event.key === "End" ? marks.at(-1) : step && marks[k + step];
        if (next) { event.preventDefault(); mark.tabIndex = -1; next.tabIndex = 0; next.focus(); }
      });
    });
  }

  function table(points, view) {
    const energies = points.some((point) => point.energy !== null);
    const blocks = points.some((point) => point.lost !== null);
    const heading = (text, classes) => element("th", { scope: "col", class: classes }, text);
    byId("numbers").tHead.replaceChildren(element("tr", {}, heading("Method", "method"), heading("Sent by"), heading("Uses", "number"), heading("Bandwidth ratio", "number"),
      energies ? heading("Energy", "number") : null, blocks ? heading("Blocks lost", "number") : null, heading(`${view.title} ${view.higher ? "↑" : "↓"}`, "number chosen"), heading("95 % interval", "number")));
    byId("numbers").tBodies[0].replaceChildren(...points.map((point) => element("tr", {},
      element("th", { scope: "row", class: "method" }, element("a", { href: point.page }, point.name)),
      element("td", {}, point.kind), element("td", { class: "number" }, whole(point.uses)), element("td", { class: "number" }, point.ratio.toFixed(4)),
      energies ? element("td", { class: "number" }, point.energy === null ? "–" : whole(point.energy)) : null,
      blocks ? element("td", { class: "number" }, point.lost === null ? "–" : `${(100 * point.lost).toFixed(1)} %`) : null,
      element("td", { class: "number chosen" }, point.shown), element("td", { class: "number" }, point.interval))));
    if (!points.length) byId("numbers").tBodies[0].append(element("tr", {}, element("td", { colspan: 8, class: "empty" }, "Nothing to show.")));
  }

  function controls(set) {
    const tracks = unique(budget.sets.map((one) => one.track));
    Site.choices(byId("track"), tracks.map((track) => [track, budget.tracks[track]]), state.track);
    Site.choices(byId("channel"), budget.sets.filter((one) => one.track === state.track).map((one) => [one.channel, one.words]), state.channel);
    Site.choices(byId("metric"), set.views.map((view) => [view.title, view.title]), state.metric);
    const slider = byId("psnr");
    slider.max = String(set.psnrs.length - 1);
    slider.value = String(set.psnrs.length - 1 - set.psnrs.indexOf(state.psnr));  // the best channel is on the right
    byId("ticks").replaceChildren(...[...set.psnrs].reverse().map((psnr) => element("span", {}, String(psnr))));
    const level = set.levels[state.psnr];
    const text = `${state.psnr} dB${level ? ` (peak SNR ${level} dB)` : ""}`;
    byId("level").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    if (byId("search").value !== state.search) byId("search").value = state.search;
  }

  async function update() {
    const { set, view } = settle();
    controls(set);
    const points = pointsOf(set, view).map((point) => ({ ...point, spoken: spoken(point, view) }));
    byId("budget-title").textContent = `${view.title} against channel uses at ${state.psnr} dB`;
    byId("numbers-title").textContent = `Numbers at ${state.psnr} dB, from the fewest uses to the most`;
    byId("numbers-caption").textContent = `${view.title}, ${view.higher ? "higher" : "lower"} is better, and what it costs, at PSNR ${state.psnr} dB.`;
    byId("status").textContent = `${points.length} of ${Object.keys(view.rows).length} ways to send, ${view.higher ? "higher" : "lower"} is better`;
    byId("note").textContent = [`${budget.tracks[set.track]}, ${set.words}.`, "Lines: the best of fixed schemes at so many uses or fewer, chosen at each PSNR. Hollow: adaptive links, whose sender knows the channel. Pale: analogue symbols.",
      `Uses are real symbols a scene; bandwidth ratio: complex symbols over the picture's values (3HW). Equal uses are equal energy under average power alone. Side information is free of error and counted in bytes, but where a name says header=coded.`, `Protocol: ${view.protocol}.`].join(" ");
    byId("named").textContent = "Point at a mark to see its name; with the keyboard, Tab to the chart and go through its marks by arrow keys.";
    table(points, view);
    Site.writeHash({ ...state });
    await Curves.show(byId("chart"), points.length ? () => specification(points, view, set.ends) : null, points.length);
    keys(byId("chart"));
  }

  function readAddress() {
    const given = Site.readHash();
    for (const key of Object.keys(state)) state[key] = given[key] ?? "";
  }

  byId("psnr").addEventListener("input", (event) => {
    const { set } = settle();
    state.psnr = set.psnrs[set.psnrs.length - 1 - Number(event.target.value)];
    update();
  });
  for (const id of ["track", "channel", "metric"]) byId(id).addEventListener("change", (event) => { state[id] = event.target.value; update(); });
  byId("search").addEventListener("input", (event) => { state.search = event.target.value; update(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { readAddress(); update(); });
  document.addEventListener("themechange", () => update());
  matchMedia("(max-width: 720px)").addEventListener("change", () => update());
  Site.setUpCopy(byId("copy"));
  readAddress();
  update();
})();
