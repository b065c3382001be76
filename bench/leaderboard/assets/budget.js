// Quality against what it costs: a slider moves through the PSNRs. The whole view is in the address.
"use strict";
(() => {
  const { byId, element, unique } = Site;
  const { arrow, better, cellOf, costOf, isCost, number } = Board;
  const place = Site.address({ set: "", m: "", psnr: "", q: "", x: "channel_uses" });
  const { state } = place;
  const KINDS = { analogue: "analogue", fixed: "fixed link", adaptive: "adaptive link" };
  // Costs of what is sent; seconds and memory are the machine's.
  const COSTS = { channel_uses: ["channel uses", "Real channel uses a scene", "uses"], energy: ["energy", "Energy a scene, units of P", "energy"], bits: ["bits", "Bits of payload a scene", "bits"] };
  const whole = (value) => Math.round(value).toLocaleString("en");

  const costsIn = (set) => Object.keys(COSTS).filter((cost) => set.views.some((view) => view.metric === cost && [...view.rows.values()].some((row) => row.some((cell) => cell?.value))));
  const isQuality = (view, set) => !isCost(view) && !view.part
    && [...view.rows.keys()].some((method) => view.psnrs.some((psnr) => costOf(set, "channel_uses", method, psnr)));

  // One point for each method that has a value and a cost at this PSNR, from the cheapest to the dearest.
  function pointsOf(set, view) {
    const found = [...view.rows.keys()].flatMap((method) => {
      const [cell, spent] = [cellOf(view, method, state.psnr), costOf(set, state.x, method, state.psnr)];
      if (!cell || cell.value === null || !spent || !Board.matches(method, state.q)) return [];
      const cost = (name) => costOf(set, name, method, state.psnr);
      return [{ ...method.sent, name: method.name, page: method.page, kind: KINDS[method.sent.kind], spent,
        value: cell.value, low: cell.low, high: cell.high, uses: cost("channel_uses"), energy: cost("energy"), bits: cost("bits"), lost: cost("block_lost"),
        ratio: cost("channel_uses") / set.values, shown: number(cell.value, view), interval: Board.interval(cell, view) }];
    });
    const order = (a, b) => a.spent - b.spent || (view.higher ? b.value - a.value : a.value - b.value) || a.name.localeCompare(b.name);
    let best = null;  // a point is on the frontier where nothing that costs as much or less is as good
    return found.sort(order).map((point) => {
      const frontier = best === null || (view.higher ? point.value > best : point.value < best);
      if (frontier) best = point.value;
      return { ...point, frontier };
    });
  }

  const spoken = (point, view) => `${point.name}, ${point.kind}: ${view.title} ${point.shown}`
    + `${point.low === null ? "" : `, 95 % interval ${point.interval}`}, ${whole(point.spent)} ${COSTS[state.x][2]}${point.frontier ? ", on the frontier" : ""}`;

  // The least and the most of everything that the slider leads to, so that no axis moves.
  function ends(set, view) {
    const spent = view.psnrs.flatMap((psnr) => [...view.rows.keys()].map((method) => costOf(set, state.x, method, psnr))).filter(Boolean);
    const values = [...view.rows.values()].flat().flatMap((cell) => cell ? [cell.value, cell.low, cell.high] : []).filter((value) => value !== null);
    return { x: [0.8 * Math.min(...spent), 1.25 * Math.max(...spent)], y: [Math.min(...values), Math.max(...values)] };
  }

  const stepped = (view, groups) => ({ window: [{ op: view.higher ? "max" : "min", field: "value", as: "best" }], sort: [{ field: "spent", order: "ascending" }], groupby: groups });

  function specification(points, view, end) {
    const { property } = Looks;
    const narrow = Charts.isNarrow();
    const names = unique(points.map((point) => point.carrier));
    const first = (name) => points.find((point) => point.carrier === name);
    const colour = { field: "carrier", type: "nominal", scale: Charts.scaled(names, names.map((name) => Looks.colour(first(name)))), legend: null };
    const shape = { field: "carrier", type: "nominal", scale: Charts.scaled(names, names.map((name) => Looks.mark(first(name)))), legend: null };
    const fixed = points.filter((point) => point.kind !== KINDS.adaptive);
    const sent = unique(fixed.map((point) => point.sent));
    const dash = { field: "sent", type: "nominal", scale: Charts.scaled(sent, sent.map((one) => Looks.dash(fixed.find((point) => point.sent === one)))), legend: null };
    const x = { field: "spent", type: "quantitative", scale: { type: "log", domain: end.x, nice: false }, title: COSTS[state.x][1], axis: { format: "~s", tickCount: narrow ? 3 : 6, grid: true } };
    const y = { field: "value", type: "quantitative", title: `${view.title} (${better(view)})`, scale: { zero: false, nice: true, domain: end.y } };
    // every way of sending goes on to the right with its best
    const ways = [...fixed, ...unique(fixed.map((point) => point.way)).map((way) => ({ ...fixed.find((point) => point.way === way), spent: end.x[1] }))];
    const frontier = points.filter((point) => point.frontier);
    const of = (kind) => points.filter((point) => point.kind === KINDS[kind]);
    const marks = ([kind, filled, opacity]) => ({
      name: `points_${kind}`, data: { values: of(kind).map((point) => ({ ...point, hue: property(`--curve-${point.colour}`) })) },
      mark: { type: "point", size: 75, strokeWidth: 2, opacity: 1, fill: filled ? undefined : property("--surface"), filled: false, fillOpacity: opacity, tooltip: true },
      encoding: { x, y, color: colour, shape, ...(filled ? { fill: { field: "hue", scale: null, legend: null } } : {}),
        description: { field: "spoken", type: "nominal" },
        tooltip: [{ field: "name", title: "Method" }, { field: "kind", title: "Sent by" }, { field: "uses", title: "Uses", format: ",.0f" }, { field: "ratio", title: "Bandwidth ratio", format: ".4f" }, ...(state.x === "channel_uses" ? [] : [{ field: "spent", title: COSTS[state.x][0], format: ",.0f" }]), { field: "shown", title: view.title }, { field: "interval", title: "95 % interval" }] },
    });
    return {
      width: "container", height: narrow ? 320 : 420, background: null, padding: 4,
      description: `${view.title} against ${COSTS[state.x][0]} at ${state.psnr} dB for ${names.join(", ") || "no method"}. The table below has the same numbers.`,
      layer: [
        { name: "frontier", data: { values: [...frontier, { ...frontier.at(-1), spent: end.x[1] }] }, mark: { type: "line", interpolate: "step-after", strokeWidth: 9, opacity: 0.28, color: property("--accent"), strokeJoin: "round" }, encoding: { x, y } },
        { data: { values: ways }, transform: [stepped(view, ["way"])], mark: { type: "line", interpolate: "step-after", strokeWidth: 1.6 },
          encoding: { x, y: { ...y, field: "best" }, color: colour, strokeDash: dash, detail: { field: "way" } } },
        { data: { values: points.filter((point) => point.low !== null) }, mark: { type: "rule", strokeWidth: 1.4, opacity: 0.8 },
          encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour } },
        ...[["analogue", true, 0.25], ["fixed", true, 1], ["adaptive", false, 1]].filter(([kind]) => of(kind).length).map(marks),
      ],
      config: Charts.config(),
    };
  }

  function legend(points) {
    const grey = { colour: 6, mark: 0 };
    const carriers = unique(points.map((point) => point.carrier)).map((name) => [{ ...points.find((point) => point.carrier === name), hollow: 0 }, name, "mark"]);
    const sent = unique(points.filter((point) => point.kind !== KINDS.adaptive).map((point) => point.sent))
      .map((one) => [{ ...grey, dash: points.find((point) => point.sent === one).dash }, one, "line"]);
    const kinds = points.some((point) => point.kind === KINDS.adaptive) ? [[{ ...grey, hollow: 1, dash: 0 }, "adaptive link", "mark"]] : [];
    Looks.legend(byId("legend"), [...carriers, ...sent, ...kinds]);
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

  // The columns of the table: heading, classes, and what stands in it of a point.
  function columnsOf(points, view) {
    const some = (key) => points.some((point) => point[key] !== null);
    const shown = (key, text) => ({ heading: text, classes: "number", of: (point) => point[key] === null ? "–" : whole(point[key]), raw: (point) => point[key] });
    return [
      { heading: "Sent by", of: (point) => point.kind },
      shown("uses", "Uses"),
      { heading: "Bandwidth ratio", classes: "number", of: (point) => point.ratio.toFixed(4), raw: (point) => point.ratio },
      ...(some("energy") ? [shown("energy", "Energy")] : []), ...(state.x === "bits" ? [shown("bits", "Bits")] : []),
      ...(some("lost") ? [{ heading: "Blocks lost", classes: "number", of: (point) => point.lost === null ? "–" : `${(100 * point.lost).toFixed(1)} %`, raw: (point) => point.lost }] : []),
      { heading: `${view.title} ${arrow(view)}`, classes: "number chosen", of: (point) => point.shown, raw: (point) => point.value },
      { heading: "95 % interval", classes: "number", of: (point) => point.interval },
      { heading: "Frontier", of: (point) => point.frontier ? "on it" : "" },
    ];
  }

  function table(points, columns) {
    const numbers = byId("numbers");
    numbers.tHead.replaceChildren(element("tr", {}, element("th", { scope: "col", class: "method" }, "Method"),
      ...columns.map((column) => element("th", { scope: "col", class: column.classes }, column.heading))));
    numbers.tBodies[0].replaceChildren(...points.map((point) => element("tr", {},
      element("th", { scope: "row", class: "method" }, element("a", { href: point.page }, point.name)),
      ...columns.map((column) => element("td", { class: column.classes }, column.of(point))))));
    if (!points.length) numbers.tBodies[0].append(element("tr", {}, element("td", { colspan: columns.length + 1, class: "empty" }, "Nothing to show.")));
  }

  let save = () => {};

  async function update() {
    const settled = await Board.settle(state, isQuality);
    const { set, views, view } = settled;
    byId("nothing").hidden = view !== null;
    byId("something").hidden = view === null;
    Board.menus(state, views);
    if (view === null) return;
    const costs = costsIn(set);
    state.x = Site.among(state.x, costs);
    Site.choices(byId("cost"), costs.map((cost) => [cost, COSTS[cost][0]]), state.x);
    Board.slider(set, view.psnrs, state);
    const points = pointsOf(set, view).map((point) => ({ ...point, spoken: spoken(point, view) }));
    const columns = columnsOf(points, view);
    byId("budget-title").textContent = `${view.title} against ${COSTS[state.x][0]} at ${state.psnr} dB`;
    byId("numbers-title").textContent = `Numbers at ${state.psnr} dB, from the cheapest to the dearest`;
    byId("numbers-caption").textContent = `${view.title}, ${better(view)}, and what it costs, at PSNR ${state.psnr} dB.`;
    byId("status").textContent = `${points.length} of ${view.rows.size} ways to send, ${better(view)}`;
    byId("note").textContent = `${set.channel}. ${set.side} Equal uses are equal energy under average power alone. Protocol: ${view.protocol}.`;
    byId("named").textContent = "Point at a mark to see its name; with the keyboard, Tab to the chart and go through its marks by arrow keys.";
    table(points, columns);
    legend(points);
    save = () => Site.saveCsv(`${state.set}-${view.id}-${state.psnr}dB-${state.x}`, [["method", ...columns.map((column) => column.heading)],
      ...points.map((point) => [point.name, ...columns.map((column) => (column.raw ?? column.of)(point) ?? "")])]);
    place.write({ ...Board.usual(settled), x: costs[0] });
    if (await Charts.show(points.length ? () => specification(points, view, ends(set, view)) : null, points.length)) keys(byId("chart"));
  }

  byId("psnr").addEventListener("input", async (event) => {
    const { view } = await Board.settle(state, isQuality);
    state.psnr = view.psnrs[view.psnrs.length - 1 - Number(event.target.value)];
    update();
  });
  byId("cost").addEventListener("change", (event) => { state.x = event.target.value; update(); });
  byId("csv").addEventListener("click", () => save());
  Board.listen(place, update);
})();
