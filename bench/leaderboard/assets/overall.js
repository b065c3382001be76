// Mean rank over chosen metrics and PSNRs, and how it moves where scenes are drawn anew.
"use strict";
(() => {
  const { byId, element } = Site;
  const place = Site.address({ set: "", ms: "", ps: "", q: "" });
  const { state } = place;
  const list = (text) => text === "" ? [] : text.split(",");

  // The state becomes metrics and PSNRs that there are; those that are always shown where the address names none.
  function settle(set) {
    const views = Board.inFamilies(set.views.filter((view) => view.draws));
    const psnrs = [...new Set(views.flatMap((view) => view.psnrs))].sort((a, b) => b - a);
    const main = views.filter((view) => view.main);
    const usual = main.length ? main : views.slice(0, 1);
    const named = views.filter((view) => list(state.ms).includes(view.id));
    const levels = psnrs.filter((psnr) => list(state.ps).includes(String(psnr)));
    return { views, psnrs, chosen: named.length ? named : usual, levels: levels.length ? levels : psnrs, usual };
  }

  // Ranks of values, 1 for the best, the mean of places where they are equal; noise shares the last place.
  function ranked(values, higher, into) {
    const order = [...values.keys()].sort((a, b) => (higher ? values[b] - values[a] : values[a] - values[b]));
    for (let start = 0; start < order.length;) {
      let end = start + 1;
      while (end < order.length && values[order[end]] === values[order[start]]) end += 1;
      for (let k = start; k < end; k += 1) into[order[k]] += (start + end + 1) / 2;
      start = end;
    }
  }

  // Mean ranks of the methods that have every chosen number, of the values and of each draw.
  async function compute(set, chosen, levels) {
    const cells = chosen.flatMap((view) => levels.filter((psnr) => view.psnrs.includes(psnr)).map((psnr) => ({ view, psnr })));
    const has = (method) => cells.every(({ view, psnr }) => (Board.cellOf(view, method, psnr)?.value ?? null) !== null);
    const methods = Board.methods.filter((method) => cells.length && has(method));
    const packed = new Map(await Promise.all(chosen.map(async (view) => [view, await Site.load(`sets/${set.id}/draws-${view.number}`)])));
    const means = new Float64Array(methods.length);
    let draws = [];
    for (const { view, psnr } of cells) {
      const order = [...view.rows.keys()];
      const numbers = Site.unpack(packed.get(view)[view.psnrs.indexOf(psnr)]);
      const count = numbers.length / order.length;
      const worst = view.higher ? -Infinity : Infinity;
      const found = methods.map((method) => Board.cellOf(view, method, psnr));
      const rows = methods.map((method) => order.indexOf(method) * count);
      if (!draws.length) draws = Array.from({ length: count }, () => new Float64Array(methods.length));
      ranked(found.map((cell) => cell.noise ? worst : cell.value), view.higher, means);
      draws.forEach((into, d) => ranked(found.map((cell, k) => cell.noise ? worst : cell.value + numbers[rows[k] + d]), view.higher, into));
    }
    const first = draws.map((draw) => Math.min(...draw));
    return { cells, left: Board.methods.filter((method) => !methods.includes(method) && set.views.some((view) => view.rows.has(method))), rows: methods.map((method, k) => {
      const sorted = draws.map((draw) => draw[k] / cells.length).sort((a, b) => a - b);
      const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
      return { method, mean: means[k] / cells.length, low: at(0.025), high: at(0.975), first: draws.filter((draw, d) => draw[k] === first[d]).length / draws.length };
    }).sort((a, b) => a.mean - b.mean) };
  }

  function boxes(holder, title, options, chosen, key, changed) {
    holder.replaceChildren(element("legend", {}, title), ...options.map(([id, text]) => element("label", {},
      element("input", { type: "checkbox", id: `${key}-${id}`, checked: chosen.includes(id), on: { change: (event) => {
        const now = event.target.checked ? [...chosen, id] : chosen.filter((one) => one !== id);
        if (!now.length) { event.target.checked = true; return; }  // there has to be one
        state[key] = now.join(",");
        changed(event.target.id);
      } } }), text)));
  }

  function table(rows, most) {
    const heading = (text, classes) => element("th", { scope: "col", class: classes }, text);
    const share = (value) => `${(100 * (value - 1) / Math.max(most - 1, 1)).toFixed(2)}%`;
    const numbers = byId("numbers");
    numbers.tHead.replaceChildren(element("tr", {}, heading("Method", "method"), heading("Mean rank", "number chosen"), heading("95 % of draws", "interval wide"), heading("First in", "number")));
    numbers.tBodies[0].replaceChildren(...rows.map((row) => element("tr", {},
      element("th", { scope: "row", class: "method" }, element("a", { href: row.method.page }, row.method.title), element("span", { class: "sub" }, row.method.name)),
      element("td", { class: "number chosen" }, row.mean.toFixed(2)),
      element("td", { class: "interval wide" }, element("span", { class: "bar", "aria-hidden": "true", style: { "--low": share(row.low), "--high": share(row.high), "--value": share(row.mean) } }, element("i"), element("b")),
        element("span", { class: "sub" }, `${row.low.toFixed(2)} – ${row.high.toFixed(2)}`)),
      element("td", { class: "number" }, `${Math.round(100 * row.first)} %`))));
    if (!rows.length) numbers.tBodies[0].append(element("tr", {}, element("td", { colspan: 4, class: "empty" }, "Nothing to show.")));
  }

  let computed = { key: "" };
  let save = () => {};
  let turn = 0;

  async function update(focus) {
    const mine = ++turn;
    const { set } = await Board.settle(state);
    const { views, psnrs, chosen, levels, usual } = settle(set);
    Board.menus(state, views);
    boxes(byId("metrics"), "Metrics", views.map((view) => [view.id, `${view.title} ${Board.arrow(view)}`]), chosen.map((view) => view.id), "ms", update);
    boxes(byId("levels"), "PSNR of the channel, dB", psnrs.map((psnr) => [String(psnr), String(psnr)]), levels.map(String), "ps", update);
    if (focus) byId(focus)?.focus();
    const key = JSON.stringify([state.set, chosen.map((view) => view.id), levels]);
    if (computed.key !== key) computed = { key, ...await compute(set, chosen, levels) };
    if (mine !== turn) return;
    const rows = computed.rows.filter((row) => Board.matches(row.method, state.q));
    byId("overall-title").textContent = `Mean rank over ${computed.cells.length} columns`;
    byId("status").textContent = `${rows.length} of ${computed.rows.length} methods that have all of them: ${chosen.map((view) => view.title).join(", ")} at ${levels.join(", ")} dB`;
    byId("numbers-caption").textContent = "Methods by mean rank, lower is better, with its spread over resampled scenes.";
    table(rows, computed.rows.length);
    byId("left").hidden = !computed.left.length;
    byId("left-names").textContent = computed.left.map((method) => method.name).join(", ");
    save = () => Site.saveCsv(`${state.set}-mean-rank`, [["method", "mean_rank", "low", "high", "share_first"], ...rows.map((row) => [row.method.name, row.mean, row.low, row.high, row.first])]);
    place.write({ set: Board.usual({ views, view: null }).set, ms: usual.map((view) => view.id).join(","), ps: psnrs.join(",") });
  }

  byId("csv").addEventListener("click", () => save());
  Board.listen(place, update);
})();
