// The ranking: filters, table, curves. The whole view is in the address, so that a link opens it again.
"use strict";
(() => {
  const { byId, element } = Site;
  const { arrow, better, cellOf, isCost, number } = Board;
  const SHOWN = 8;  // curves that are in colour unless others are chosen
  const place = Site.address({ set: "", m: "", psnr: "", q: "", sort: "", cols: "psnr", show: "", paper: "" });
  const { state } = place;
  const PRESETS = [["psnr", "All PSNRs"], ["metric", "All metrics"]];

  // The methods chosen by boxes, null for the best ones.
  const chosen = () => state.show === "" ? null : state.show.split(",").map((id) => Board.methodOf.get(id)).filter(Boolean);

  // Costs that have no column unless it is asked for: they follow from others, or are told of the method.
  const UNLISTED = ["channel_uses", "complex_uses", "cbr", "mean_power", "mean_snr", "side_bytes", "block_lost", "memory"];

  // The columns that there may be after the value and its interval: [id, heading, view, PSNR, group].
  function possible(view, set) {
    const others = view.psnrs.filter((psnr) => psnr !== state.psnr)
      .map((psnr) => ({ id: `at${psnr}`, heading: `${psnr} dB`, view, psnr, group: "psnr" }));
    const rest = Board.inFamilies(set.views).filter((one) => one !== view && one.psnrs.includes(state.psnr))
      .map((one) => ({ id: one.id, heading: `${one.title} ${arrow(one)}`, sub: isCost(one) ? "per scene" : null, view: one, psnr: state.psnr, group: isCost(one) ? "cost" : "metric" }));
    return [...others, ...rest];
  }

  function isShown(column) {
    if (!PRESETS.some(([preset]) => preset === state.cols)) return state.cols.split(",").includes(column.id);
    if (column.group === "cost") return !UNLISTED.includes(column.view.metric);
    return column.group === state.cols && !(column.group === "metric" && column.view.part);
  }

  function columnsOf(view, set) {
    return [{ id: "value", heading: `${view.metric} ${arrow(view)}`, sub: `${state.psnr} dB`, view, psnr: state.psnr, kind: "value" },
      { id: "interval", heading: "95 % interval", view, psnr: state.psnr, kind: "interval" },
      ...possible(view, set).filter(isShown).map((column) => ({ ...column, kind: "number" }))];
  }

  const worst = (view) => (view.higher ? -Infinity : Infinity);
  const keyOf = (column, method) => cellOf(column.view, method, column.psnr)?.value ?? worst(column.view);
  const best = (column) => (a, b) => {
    const [x, y] = [keyOf(column, a), keyOf(column, b)];
    return x === y ? 0 : (x < y ? -1 : 1) * (column.view.higher ? -1 : 1);
  };

  // Rows in the order asked for. `sort` is a column's id, with - before it for the other way round.
  function sorted(methods, columns) {
    const reverse = state.sort.startsWith("-");
    const id = state.sort.replace(/^-/, "");
    const column = columns.find((one) => one.id === id && one.kind !== "interval");
    if (!column && id !== "name") state.sort = "";
    const made = [...methods].sort(id === "name" ? (a, b) => a.title.localeCompare(b.title) : best(column ?? columns[0]));
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

  function numberCell(column, method) {
    const cell = cellOf(column.view, method, column.psnr);
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
      element("span", { class: "sub" }, Board.interval(cell, view)));
  }

  function methodCell(method) {
    return element("th", { scope: "row", class: "method" }, element("a", { href: method.page }, method.title),
      method.submitted ? element("span", { class: "badge", title: `submitted by ${method.authors.join(", ")}` }, "submitted") : null,
      element("span", { class: "sub" }, method.submitted ? `${method.name} · ${method.authors.join(", ")}` : method.name));
  }

  // The rows of all methods with these columns: a search, an order or a box makes none anew.
  let made = { columns: null, rows: new Map(), boxes: new Map() };
  function rowsOf(view, columns) {
    const same = made.columns?.length === columns.length && made.columns.every((one, k) => one.view === columns[k].view && one.psnr === columns[k].psnr && one.kind === columns[k].kind);
    if (same) return made;
    const all = [...view.rows.keys()].map((method) => cellOf(view, method, state.psnr));
    const ranks = all.map((cell) => cell?.rank);
    const tied = (cell) => ranks.filter((rank) => rank === cell?.rank).length > 1;
    const bounds = all.filter((cell) => cell && cell.low !== null && !cell.noise);
    const range = [Math.min(...bounds.map((cell) => cell.low)), Math.max(...bounds.map((cell) => cell.high))];
    made = { columns, rows: new Map(), boxes: new Map() };
    for (const method of view.rows.keys()) {
      const cell = cellOf(view, method, state.psnr);
      const box = element("input", { type: "checkbox", id: `pick-${method.id}`, "aria-label": `${method.label} in the chart`, on: { change: () => pick(method, box) } });
      made.boxes.set(method, box);
      made.rows.set(method, element("tr", {},
        element("td", { class: "pick" }, element("label", {}, box, Looks.swatch(method.look))),
        rankCell(cell, tied(cell)),
        methodCell(method),
        ...columns.map((column) => column.kind === "interval" ? intervalCell(view, cell, range) : numberCell(column, method))));
    }
    return made;
  }

  let inChart = [];  // the methods in colour
  function table(view, columns, order, shown) {
    inChart = shown;
    const ranking = byId("ranking"), { rows, boxes } = rowsOf(view, columns);
    ranking.tHead.replaceChildren(header(columns));
    ranking.tBodies[0].replaceChildren(...order.map((method) => rows.get(method)));
    for (const [method, box] of boxes) box.checked = shown.includes(method);
    if (!order.length) {
      ranking.tBodies[0].append(element("tr", {}, element("td", { colspan: columns.length + 3, class: "empty" }, `No method matches “${state.q}”.`)));
    }
  }

  function pick(method, box) {
    const before = chosen() ?? inChart;  // with a search some of the chosen are not in the table: they stay chosen
    const after = box.checked ? [...before, method] : before.filter((other) => other !== method);
    state.show = after.map((one) => one.id).join(",") || "none";
    update(box.id);
  }

  // The boxes that choose columns, by group.
  function columnMenu(view, set) {
    const columns = possible(view, set);
    const toggle = (column, box) => {
      const ids = columns.filter(isShown).map((one) => one.id);
      state.cols = (box.checked ? [...ids, column.id] : ids.filter((id) => id !== column.id)).join(",") || "none";
      update(box.id);
    };
    const boxOf = (column) => element("input", { type: "checkbox", id: `column-${column.id}`, on: { change: (event) => toggle(column, event.target) } });
    const groups = [["psnr", `${view.metric} at other PSNRs`], ["metric", `Other metrics at ${state.psnr} dB`], ["cost", `Costs at ${state.psnr} dB`]];
    if (!Site.isMadeOf(byId("choose"), set.id, view.id, state.psnr)) {
      byId("choose").replaceChildren(...groups.flatMap(([group, title]) => {
        const own = columns.filter((column) => column.group === group);
        return own.length ? [element("fieldset", {}, element("legend", {}, title), ...own.map((column) => element("label", {}, boxOf(column), column.heading)))] : [];
      }));
    }
    for (const column of columns) byId(`column-${column.id}`).checked = isShown(column);
  }

  function filters(view, views, set) {
    Board.menus(state, views);
    Site.segments(byId("psnr"), "psnr-of-ranking", view.psnrs.map((psnr) => [psnr, String(psnr)]), state.psnr, (psnr) => { state.psnr = psnr; update(); });
    Site.segments(byId("columns"), "columns", PRESETS, state.cols, (columns) => { state.cols = columns; update(); });
    columnMenu(view, set);
  }

  function saved(view, columns, order) {
    const spread = columns.filter((column) => column.kind !== "interval");
    const name = (column) => `${column.view.title} at ${column.psnr} dB`;
    const rows = order.map((method) => {
      const cell = cellOf(view, method, state.psnr);
      return [method.name, method.title, method.authors.join("; "), cell?.rank ?? "", cell?.low ?? "", cell?.high ?? "", cell?.noise ? "noise" : "",
        ...spread.map((column) => cellOf(column.view, method, column.psnr)?.value ?? "")];
    });
    Site.saveCsv(`${state.set}-${view.id}-${state.psnr}dB`, [["method", "title", "submitted_by", "rank", "low", "high", "noise", ...spread.map(name)], ...rows]);
  }

  // The paper's values of the methods in colour, as points; and what they are worth beside ours.
  function papers(view, shown) {
    if (!view.paper || state.paper !== "1") return [];
    return view.paper.rows.flatMap(([number, row]) => {
      const method = Board.methods[number];
      return shown.includes(method) ? row.map(([psnr, value]) => ({ label: method.label, psnr, value, look: method.look })) : [];
    });
  }

  function paperNote(paper) {
    const own = paper.same ? `Crosses: the paper's values on ${paper.dataset}.`
      : `Crosses: the paper's values on ${paper.dataset}, for orientation: other scenes, networks and judges, so no difference is an error of either.`;
    return paper.substitute ? `${own} Its metric of that name is another measurement.` : own;
  }

  let save = () => {};

  async function update(focus) {
    const { set, views, view, ...settled } = await Board.settle(state);
    filters(view, views, set);
    const everyone = [...view.rows.keys()];
    const methods = everyone.filter((method) => Board.matches(method, state.q));
    const columns = columnsOf(view, set);
    const picked = chosen();
    const shown = picked === null ? [...methods].sort(best(columns[0])).slice(0, SHOWN) : picked.filter((method) => methods.includes(method));
    const order = sorted(methods, columns);
    table(view, columns, order, shown);
    save = () => saved(view, columns, order);
    const level = set.levels[state.psnr];
    byId("ranking-title").textContent = `${view.metric} ${arrow(view)} at ${state.psnr} dB`;
    byId("ranking-caption").textContent = `Methods by ${view.metric}, ${better(view)}, at PSNR ${state.psnr} dB.`;
    byId("status").textContent = (methods.length === everyone.length ? `${everyone.length} methods` : `${methods.length} of ${everyone.length} methods`)
      + `, ${better(view)}` + (level ? ` · peak SNR ${level} dB` : "");
    byId("note").textContent = [view.note, view.reference === null ? "" : `Pure noise scores ${number(view.reference, view)}.`,
      view.ceiling === null ? "" : `The originals score ${number(view.ceiling, view)}.`, `Protocol: ${view.protocol}.`].filter(Boolean).join(" ");
    Site.meanSnr(byId("means"), set.means, set.side);
    byId("curves-title").textContent = `${view.metric} against PSNR`;
    byId("curves-note").textContent = picked === null ? `The best ${Math.min(SHOWN, methods.length)} at ${state.psnr} dB in colour, with 95 % intervals; choose others by the boxes in the table.`
      : `The ${shown.length} chosen methods in colour, with 95 % intervals.`;
    byId("reset").hidden = picked === null;
    Looks.legend(byId("legend"), shown.map((method) => [method.look, method.label]));
    byId("paper-field").hidden = !view.paper;
    byId("paper").checked = state.paper === "1";
    byId("paper-note").textContent = view.paper && state.paper === "1" ? paperNote(view.paper) : "";
    Charts.drawCurves(view, methods, shown, state.psnr, papers(view, shown));
    place.write({ ...Board.usual({ views, view, ...settled }), cols: "psnr" });
    if (focus) byId(focus)?.focus();
  }

  byId("reset").addEventListener("click", () => { state.show = ""; update(); });
  byId("paper").addEventListener("change", (event) => { state.paper = event.target.checked ? "1" : ""; update(); });
  byId("csv").addEventListener("click", () => save());
  Board.listen(place, update);
})();
