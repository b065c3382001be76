// The board's numbers, a set of scenes on a channel at a time, and the menus that choose among them.
"use strict";
const Board = (() => {
  const { among, byId, unique } = Site;
  const board = Site.load("board");
  const methods = board.methods;
  const methodOf = new Map(methods.flatMap((method) => [[method.id, method], [method.name, method]]));
  const opened = new Map();

  const cellIn = (cell) => cell && { value: cell[0], low: cell[1] ?? null, high: cell[2] ?? null, rank: cell[3] ?? null, noise: Boolean(cell[4]) };

  // A set as the pages use it: `rows` of a view leads from a method to its cells, one a PSNR.
  function prepared(set, data) {
    const views = data.views.map((view, number) => ({ ...view, number, family: board.families[view.family],
      rows: new Map(view.rows.map(([number, cells]) => [methods[number], cells.map(cellIn)])) }));
    return { ...set, ...data, label: board.tracks[set.track], views };
  }

  async function open(id) {
    const set = board.sets.find((one) => one.id === id);
    if (!opened.has(id)) opened.set(id, prepared(set, await Site.load(`sets/${id}`)));
    return opened.get(id);
  }

  const cellOf = (view, method, psnr) => view.rows.get(method)?.[view.psnrs.indexOf(psnr)] ?? null;
  const isCost = (view) => view.family === "cost";
  const arrow = (view) => (view.higher ? "↑" : "↓");
  const better = (view) => (view.higher ? "higher is better" : "lower is better");
  const formats = new Map();  // a number's own `toLocaleString` makes one each time, which is most of a table's cost
  function number(value, { decimals }) {
    if (value === null) return "undefined";
    if (!formats.has(decimals)) formats.set(decimals, new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
    return formats.get(decimals).format(value);
  }
  const interval = (cell, view) => cell.low === null ? "–" : `${number(cell.low, view)} – ${number(cell.high, view)}`;

  // A cost of a method, of whatever protocol: block_lost has one a link.
  function costOf(set, name, method, psnr) {
    for (const view of set.views) {
      const cell = view.metric === name ? cellOf(view, method, psnr) : null;
      if (cell) return cell.value;
    }
    return null;
  }

  // The state becomes something that there is; what the address says may be anything. `fits` says which views.
  async function settle(state, fits = () => true, wanted = "mIoU") {
    state.set = among(state.set, board.sets.map((set) => set.id));
    const set = await open(state.set);
    const views = set.views.filter((view) => fits(view, set));
    state.m = among(state.m, views.map((view) => view.id), among(wanted, views.map((view) => view.id)));
    const view = views.find((one) => one.id === state.m) ?? null;
    if (view) state.psnr = among(Number(state.psnr), view.psnrs, among(10, view.psnrs));
    state.q = String(state.q ?? "").slice(0, 100);
    return { set, views, view };
  }

  // What `settle` takes where the address says nothing.
  function usual(settled) {
    const ids = settled.views.map((view) => view.id);
    return { set: board.sets[0].id, m: among("mIoU", ids), psnr: settled.view ? among(10, settled.view.psnrs) : "" };
  }

  const FAMILY_TITLES = { other: "Other metrics", cost: "Cost" };
  const familyTitle = (family) => FAMILY_TITLES[family] ?? family[0].toUpperCase() + family.slice(1);

  const inFamilies = (views) => board.families.flatMap((family) => views.filter((view) => view.family === family));

  function menus(state, views, changed) {
    const of = board.sets.find((set) => set.id === state.set);
    Site.choices(byId("track"), unique(board.sets.map((set) => set.track)).map((track) => [String(track), board.tracks[track]]), String(of.track));
    Site.choices(byId("channel"), board.sets.filter((set) => set.track === of.track).map((set) => [set.id, set.channel]), of.id);
    byId("channel").title = of.channel;
    if (byId("metric")) Site.choices(byId("metric"), inFamilies(views).map((view) => [view.id, view.title, familyTitle(view.family)]), state.m);
    if (byId("search") && byId("search").value !== state.q) byId("search").value = state.q;
  }

  // Listens to the menus and everything else that asks for the page to be made anew.
  function listen(place, update) {
    const { state } = place;
    byId("track").addEventListener("change", (event) => {
      const [channel, track] = [board.sets.find((set) => set.id === state.set).channel, Number(event.target.value)];
      const sets = board.sets.filter((set) => set.track === track);
      state.set = (sets.find((set) => set.channel === channel) ?? sets[0]).id;
      update();
    });
    byId("channel").addEventListener("change", (event) => { state.set = event.target.value; update(); });
    byId("metric")?.addEventListener("change", (event) => { state.m = event.target.value; update(); });
    byId("search")?.addEventListener("input", (event) => { state.q = event.target.value; update(); });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => { place.read(); update(); });
    document.addEventListener("themechange", () => update());
    matchMedia("(max-width: 720px)").addEventListener("change", () => update());
    Site.setUpCopy(byId("copy"));
    place.read();
    update();
  }

  // The slider's position is that of the PSNR, the best channel on the right.
  function slider(set, psnrs, state) {
    const input = byId("psnr");
    input.max = String(psnrs.length - 1);
    input.value = String(psnrs.length - 1 - psnrs.indexOf(state.psnr));
    byId("ticks").replaceChildren(...[...psnrs].reverse().map((psnr) => Site.element("span", {}, String(psnr))));
    const level = set.levels[state.psnr];
    const text = `${state.psnr} dB${level ? ` (peak SNR ${level} dB)` : ""}`;
    byId("level").textContent = text;
    input.setAttribute("aria-valuetext", text);
  }

  const matches = (method, text) => {
    const wanted = Site.fold(text.trim());
    return Site.fold([method.name, method.title, ...method.authors].join(" ")).includes(wanted);
  };

  return { arrow, better, methodOf, cellOf, costOf, familyTitle, inFamilies, interval, isCost, listen, matches, menus, methods, number, settle, slider, usual };
})();
