// The ranking: filters, table, curves. The whole view is in the address, so that a link opens it again.
"use strict";
(() => {
  const { element, fold } = Site;
  const board = Site.data("board");
  const byId = (id) => document.getElementById(id);
  const methods = new Map(board.methods.map((method) => [method.name, method]));
  const SHOWN = 8;  // curves that are in colour unless others are chosen
  const state = { track: "", channel: "", metric: "", protocol: "", psnr: "", search: "", sort: "", columns: "psnr", show: null };

  const unique = (values) => [...new Set(values)];
  const among = (value, values, other = values[0]) => (values.includes(value) ? value : other);
  const number = (value, view) => value === null ? "undefined"
    : value.toLocaleString("en", { minimumFractionDigits: view.decimals, maximumFractionDigits: view.decimals });
  const cellOf = (view, name, psnr) => view.rows[name]?.[view.psnrs.indexOf(psnr)] ?? null;
  const arrow = (view) => (view.higher ? "↑" : "↓");

  // Everything in `state` becomes something that there is; what the address says may be anything.
  function settle() {
    state.track = among(state.track, board.tracks.map((track) => track.key));
    let views = board.views.filter((view) => view.track === state.track);
    state.channel = among(state.channel, unique(views.map((view) => view.channel)));
    views = views.filter((view) => view.channel === state.channel);
    const metrics = unique(views.map((view) => view.metric));
    state.metric = among(state.metric, metrics, among("mIoU", metrics));
    const ofMetric = views.filter((view) => view.metric === state.metric);
    state.protocol = among(state.protocol, ofMetric.map((view) => view.protocol));
    const view = ofMetric.find((one) => one.protocol === state.protocol);
    state.psnr = among(Number(state.psnr), view.psnrs, among(10, view.psnrs, view.psnrs[0]));
    state.columns = among(state.columns, ["psnr", "metric"]);
    state.search = String(state.search ?? "").slice(0, 100);
    return { view, views };
  }

  function readAddress() {
    const given = Site.readHash();
    for (const key of ["track", "channel", "metric", "protocol", "psnr", "search", "sort"]) state[key] = given[key] ?? "";
    state.columns = given.columns ?? "psnr";
    state.show = given.show === undefined ? null : given.show.split(",").filter((name) => methods.has(name));
  }

  function writeAddress() {
    const { show, search, sort, columns, ...rest } = state;
    Site.writeHash({ ...rest, search, sort, columns: columns === "psnr" ? "" : columns, show: show === null ? null : show.join(",") || "none" });
  }

  // Whether a metric is a part of another one under the same protocol, as AP50[car] is of AP50.
  const isPart = (view, views) => view.metric.includes("[")
    && views.some((other) => other.metric === view.metric.split("[")[0] && other.protocol === view.protocol);

  // Costs that have no column of their own: they follow from others, or are told of the method.
  const UNLISTED = ["channel_uses", "complex_uses", "cbr", "mean_power", "mean_snr", "side_bytes", "block_lost", "memory"];

  // The columns after the method: [id, heading, view, PSNR, kind].
  function columnsOf(view, views) {
    const costs = views.filter((one) => board.costs.includes(one.metric) && one !== view);
    const main = [{ id: "value", heading: `${view.metric} ${arrow(view)}`, sub: `${state.psnr} dB`, view, psnr: state.psnr, kind: "value" },
      { id: "interval", heading: "95 % interval", view, psnr: state.psnr, kind: "interval" }];
    const others = state.columns === "psnr"
      ? view.psnrs.filter((psnr) => psnr !== state.psnr).map((psnr) => ({ id: `at${psnr}`, heading: `${psnr} dB`, view, psnr, kind: "number" }))
      : views.filter((one) => one !== view && !board.costs.includes(one.metric) && one.psnrs.includes(state.psnr) && !isPart(one, views))
        .map((one) => ({ id: `m:${one.metric}|${one.protocol}`, heading: `${one.metric} ${arrow(one)}`, view: one, psnr: state.psnr, kind: "number" }));
    const last = costs.filter((one) => one.psnrs.includes(state.psnr) && !UNLISTED.includes(one.metric))
      .map((one) => ({ id: one.metric, heading: `${one.metric} ↓`, sub: "per scene", view: one, psnr: state.psnr, kind: "number" }));
    return [...main, ...others, ...last];
  }

  const worst = (view) => (view.higher ? -Infinity : Infinity);
  const keyOf = (column, name) => cellOf(column.view, name, column.psnr)?.value ?? worst(column.view);

  // Rows in the order asked for. `sort` is a column's id, with - before it for the other way round.
  function sorted(names, columns, view) {
    const reverse = state.sort.startsWith("-");
    const id = state.sort.replace(/^-/, "");
    const column = columns.find((one) => one.id === id && one.kind !== "interval");
    if (!column && id !== "name") state.sort = "";
    const best = (one) => (a, b) => {
      const [x, y] = [keyOf(one, a), keyOf(one, b)];
      return x === y ? 0 : (x < y ? -1 : 1) * (one.view.higher ? -1 : 1);
    };
    const order = id === "name" ? (a, b) => methods.get(a).title.localeCompare(methods.get(b).title)
      : best(column ?? columns[0]);
    const made = [...names].sort(order);
    return reverse && state.sort ? made.reverse() : made;
  }

  function header(columns) {
    const active = state.sort.replace(/^-/, "") || "value";
    const reverse = state.sort.startsWith("-");
    const sortable = (id, label, sub, classes, higher) => {
      const ascending = id === "name" ? !reverse : higher ? reverse : !reverse;
      const mark = id === active ? (ascending ? " ▲" : " ▼") : "";
      return element("th", { scope: "col", class: classes, "aria-sort": id === active ? (ascending ? "ascending" : "descending") : null },
        element("button", { type: "button", on: { click: () => { state.sort = id === active && !reverse ? `-${id}` : id; update(`th-${id}`); } }, id: `th-${id}` },
          label, element("span", { class: "mark", "aria-hidden": "true" }, mark), sub ? element("span", { class: "sub" }, sub) : null));
    };
    return element("tr", {},
      element("th", { scope: "col", class: "pick" }, element("span", { class: "sr" }, "In the chart")),
      element("th", { scope: "col", class: "rank" }, "Rank"),
      sortable("name", "Method", null, "method", false),
      ...columns.map((column) => column.kind === "interval"
        ? element("th", { scope: "col", class: "interval" }, column.heading)
        : sortable(column.id, column.heading, column.sub, `number ${column.kind === "value" ? "chosen" : ""}`, column.view.higher)));
  }

  function rankCell(cell, tied) {
    const text = cell?.rank ? `${cell.rank}${tied ? "=" : ""}` : "–";
    const spoken = cell?.rank ? `rank ${cell.rank}${tied ? ", shared" : ""}` : "no rank";
    return element("td", { class: `rank${cell?.rank === 1 ? " first" : ""}` },
      element("span", { "aria-hidden": "true" }, text), element("span", { class: "sr" }, spoken));
  }

  function numberCell(column, name) {
    const cell = cellOf(column.view, name, column.psnr);
    const classes = `number${column.kind === "value" ? " chosen" : ""}${cell?.rank === 1 ? " best" : ""}`;
    if (!cell) return element("td", { class: classes }, element("span", { class: "muted" }, "–"));
    if (cell.noise) {
      return element("td", { class: classes }, element("abbr", { class: "muted", title: `${number(cell.value, column.view)}: no better than pure noise` }, "noise"));
    }
    return element("td", { class: classes }, number(cell.value, column.view));
  }

  function intervalCell(view, cell, range) {
    if (cell === null || cell.low === null || cell.noise) return element("td", { class: "interval" }, element("span", { class: "muted" }, "–"));
    const share = (value) => `${(100 * (value - range[0]) / (range[1] - range[0] || 1)).toFixed(2)}%`;
    return element("td", { class: "interval" },
      element("span", { class: "bar", "aria-hidden": "true", style: { "--low": share(cell.low), "--high": share(cell.high), "--value": share(cell.value) } }, element("i"), element("b")),
      element("span", { class: "sub" }, `${number(cell.low, view)} – ${number(cell.high, view)}`));
  }

  function methodCell(method) {
    return element("th", { scope: "row", class: "method" }, element("a", { href: method.page }, method.title),
      method.submitted ? element("span", { class: "badge", title: `submitted by ${method.authors.join(", ")}` }, "submitted") : null,
      element("span", { class: "sub" }, method.submitted ? `${method.name} · ${method.authors.join(", ")}` : method.name));
  }

  function table(view, views, names, shown) {
    const columns = columnsOf(view, views);
    const order = sorted(names, columns, view);
    const cells = new Map(order.map((name) => [name, cellOf(view, name, state.psnr)]));
    const all = Object.keys(view.rows).map((name) => cellOf(view, name, state.psnr));
    const ranks = all.map((cell) => cell?.rank);
    const tied = (cell) => ranks.filter((rank) => rank === cell?.rank).length > 1;
    const bounds = all.filter((cell) => cell && cell.low !== null && !cell.noise);
    const range = [Math.min(...bounds.map((cell) => cell.low)), Math.max(...bounds.map((cell) => cell.high))];
    const ranking = byId("ranking");
    ranking.tHead.replaceChildren(header(columns));
    ranking.tBodies[0].replaceChildren(...order.map((name) => {
      const method = methods.get(name);
      return element("tr", {},
        element("td", { class: "pick" }, element("label", {},
          element("input", { type: "checkbox", id: `pick-${board.methods.indexOf(method)}`, checked: shown.includes(name), "aria-label": `${method.title} in the chart`, on: { change: (event) => pick(name, shown, event.target) } }),
          Curves.swatch(method))),
        rankCell(cells.get(name), tied(cells.get(name))),
        methodCell(method),
        ...columns.map((column) => column.kind === "interval" ? intervalCell(view, cells.get(name), range) : numberCell(column, name)));
    }));
    if (!order.length) {
      ranking.tBodies[0].append(element("tr", {}, element("td", { colspan: columns.length + 3, class: "empty" }, `No method matches “${state.search}”.`)));
    }
    return order;
  }

  function pick(name, shown, box) {
    const chosen = state.show ?? shown;  // with a search some of the chosen are not in the table: they stay chosen
    state.show = box.checked ? [...chosen, name] : chosen.filter((other) => other !== name);
    update(box.id);
  }

  function filters(view, views) {
    Site.choices(byId("track"), board.tracks.map((track) => [track.key, track.label]), state.track);
    Site.choices(byId("channel"), unique(board.views.filter((one) => one.track === state.track).map((one) => one.channel))
      .map((channel) => [channel, board.channels[channel]]), state.channel);
    Site.choices(byId("metric"), unique(views.map((one) => one.metric)).map((metric) => [metric, metric]), state.metric);
    Site.choices(byId("protocol"), views.filter((one) => one.metric === state.metric).map((one) => [one.protocol, one.protocol]), state.protocol);
    const focused = document.activeElement?.name === "psnr-of-ranking";
    Site.segments(byId("psnr"), "psnr-of-ranking", view.psnrs.map((psnr) => [psnr, String(psnr)]), state.psnr, (psnr) => { state.psnr = psnr; update(); });
    if (focused) byId("psnr").querySelector("input:checked")?.focus();
    Site.segments(byId("columns"), "columns", [["psnr", "All PSNRs"], ["metric", "All metrics"]], state.columns, (columns) => { state.columns = columns; update(); byId("columns").querySelector("input:checked").focus(); });
    if (byId("search").value !== state.search) byId("search").value = state.search;
  }

  function update(focus) {
    const { view, views } = settle();
    filters(view, views);
    const everyone = Object.keys(view.rows);
    const wanted = fold(state.search.trim());
    const names = everyone.filter((name) => fold([name, methods.get(name).title, ...methods.get(name).authors].join(" ")).includes(wanted));
    const value = { view, psnr: state.psnr };
    const byRank = [...names].sort((a, b) => (keyOf(value, a) - keyOf(value, b)) * (view.higher ? -1 : 1));
    const shown = state.show === null ? byRank.slice(0, SHOWN) : state.show.filter((name) => names.includes(name));
    table(view, views, names, shown);
    const level = board.levels[view.channel]?.[state.psnr];
    byId("ranking-title").textContent = `${view.metric} ${arrow(view)} at ${state.psnr} dB`;
    byId("ranking-caption").textContent = `Methods by ${view.metric}, ${view.higher ? "higher" : "lower"} is better, at PSNR ${state.psnr} dB.`;
    byId("status").textContent = (names.length === everyone.length ? `${everyone.length} methods` : `${names.length} of ${everyone.length} methods`)
      + `, ${view.higher ? "higher" : "lower"} is better` + (level ? ` · peak SNR ${level} dB` : "");
    byId("note").textContent = [view.note, board.meanLevels[view.track]?.[view.channel] ?? "", `Protocol: ${view.protocol}.`, view.reference === null ? "" : `Pure noise scores ${number(view.reference, view)}.`,
      view.ceiling === null ? "" : `The originals score ${number(view.ceiling, view)}.`].filter(Boolean).join(" ");
    byId("curves-title").textContent = `${view.metric} against PSNR`;
    byId("curves-note").textContent = state.show === null ? `The best ${Math.min(SHOWN, names.length)} at ${state.psnr} dB in colour, with 95 % intervals; choose others by the boxes in the table.`
      : `The ${shown.length} chosen methods in colour, with 95 % intervals.`;
    byId("reset").hidden = state.show === null;
    Curves.draw(byId("chart"), view, names, shown, methods, state.psnr);
    writeAddress();
    if (focus) byId(focus)?.focus();
  }

  for (const id of ["track", "channel", "metric", "protocol"]) {
    byId(id).addEventListener("change", (event) => { state[id] = event.target.value; update(); });
  }
  byId("search").addEventListener("input", (event) => { state.search = event.target.value; update(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => { state.show = null; update(); });
  addEventListener("hashchange", () => { readAddress(); update(); });
  document.addEventListener("themechange", () => update());
  matchMedia("(max-width: 720px)").addEventListener("change", () => update());  // the legend moves below the curves
  Site.setUpCopy(byId("copy"));
  readAddress();
  update();
})();
