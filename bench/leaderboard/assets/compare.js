// Two methods beside each other: differences with intervals, classes, and the scenes where they differ most.
"use strict";
(() => {
  const { byId, element } = Site;
  const { better, cellOf, number } = Board;
  const place = Site.address({ set: "", m: "", psnr: "", a: "", b: "" });
  const { state } = place;
  const FURTHEST = 6;  // scenes that are shown of each direction

  // `a` and `b` become two methods of the view; where the address says nothing the best one, and the best of another kind.
  function settleMethods(view) {
    const value = (method) => cellOf(view, method, state.psnr)?.value ?? null;
    const worst = view.higher ? -Infinity : Infinity;
    const order = [...view.rows.keys()].sort((x, y) => ((value(y) ?? worst) - (value(x) ?? worst)) * (view.higher ? 1 : -1) || 0);
    const ids = order.map((method) => method.id);
    const usual = { a: ids[0], b: (order.find((method) => method.sent.carrier !== order[0].sent.carrier) ?? order[1] ?? order[0]).id };
    for (const key of ["a", "b"]) state[key] = Site.among(Board.methodOf.get(state[key])?.id, ids, usual[key]);
    return { a: Board.methodOf.get(state.a), b: Board.methodOf.get(state.b), usual };
  }

  // Half of the interval of the difference at each PSNR, from the upper triangle of all pairs.
  async function halfWidths(set, view, a, b) {
    if (!view.pairs || a === b) return view.psnrs.map(() => null);
    const triangles = await Site.load(`sets/${set.id}/pairs-${view.number}`);
    const order = [...view.rows.keys()];
    const [i, j] = [order.indexOf(a), order.indexOf(b)].sort((x, y) => x - y);
    const position = i * order.length - (i * (i + 1)) / 2 + j - i - 1;
    const known = (half) => Number.isFinite(half) ? half : null;
    return triangles.map((triangle) => known(Site.unpack(triangle, position, 1)[0]));
  }

  function differences(view, a, b, halves) {
    return view.psnrs.map((psnr, k) => {
      const [own, other] = [cellOf(view, a, psnr), cellOf(view, b, psnr)];
      const known = own && other && own.value !== null && other.value !== null;
      const difference = known ? own.value - other.value : null;
      const half = known ? halves[k] : null;
      const clear = half !== null && Math.abs(difference) > half;
      const winner = clear ? ((difference > 0) === view.higher ? "A" : "B") : null;
      return { psnr, own, other, difference, low: half === null ? null : difference - half, high: half === null ? null : difference + half, winner };
    });
  }

  const signed = (value, view) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value), view)}`;
  const spread = (one, view) => one.low === null ? "–" : `${signed(one.low, view)} to ${signed(one.high, view)}`;
  const verdict = (one) => one.difference === null ? "not both run" : one.low === null ? "nothing tells it from chance" : one.winner ? `${one.winner} is better` : "not told apart";

  function specification(found, view) {
    const line = Looks.property("--muted");
    const values = found.filter((one) => one.difference !== null).map((one) => ({ ...one, psnr: String(one.psnr), hue: Looks.property(one.winner === "A" ? "--curve-0" : one.winner === "B" ? "--curve-1" : "--muted"), shown: signed(one.difference, view), interval: spread(one, view), verdict: verdict(one) }));
    const x = { field: "psnr", type: "ordinal", sort: null, scale: { domain: [...view.psnrs].reverse().map(String), type: "point", padding: 0.4 }, title: "PSNR of the channel, dB", axis: { labelAngle: 0, grid: false } };
    const y = { field: "difference", type: "quantitative", title: `${view.metric}: A − B`, scale: { zero: true, nice: true } };
    const color = { field: "hue", scale: null, legend: null };
    const bounded = values.filter((one) => one.low !== null);
    return {
      width: "container", height: 260, background: null, padding: 4,
      description: `Difference of ${view.metric}, A minus B, at each PSNR. The table below has the same numbers.`,
      layer: [
        { data: { values: [{ zero: 0 }] }, mark: { type: "rule", color: line }, encoding: { y: { field: "zero", type: "quantitative" } } },
        ...(bounded.length ? [{ data: { values: bounded }, mark: { type: "rule", strokeWidth: 3 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color } }] : []),
        { data: { values }, mark: { type: "point", filled: true, size: 80, opacity: 1 }, encoding: { x, y, color, shape: { field: "winner", type: "nominal", scale: { domain: ["A", "B", null], range: ["triangle-up", "triangle-down", "circle"] }, legend: null },
          tooltip: [{ field: "psnr", title: "PSNR, dB" }, { field: "shown", title: "A − B" }, { field: "interval", title: "95 % interval" }, { field: "verdict", title: "At this PSNR" }] } },
      ],
      config: Charts.config(),
    };
  }

  const heading = (text, classes) => element("th", { scope: "col", class: classes }, text);
  const valueCell = (cell, view) => element("td", { class: "number" }, !cell ? "–" : cell.noise ? "noise" : number(cell.value, view));
  const fill = (table, headings, rows, nothing) => {
    table.tHead.replaceChildren(element("tr", {}, ...headings));
    table.tBodies[0].replaceChildren(...(rows.length ? rows : [element("tr", {}, element("td", { colspan: headings.length, class: "empty" }, nothing))]));
  };

  function differenceTable(found, view) {
    fill(byId("numbers"), [heading("PSNR, dB"), heading("A", "number"), heading("B", "number"), heading("A − B", "number chosen"), heading("95 % interval", "number"), heading("At this PSNR")],
      found.map((one) => element("tr", {}, element("th", { scope: "row" }, String(one.psnr)), valueCell(one.own, view), valueCell(one.other, view),
        element("td", { class: "number chosen" }, one.difference === null ? "–" : signed(one.difference, view)), element("td", { class: "number" }, spread(one, view)), element("td", {}, verdict(one)))), "Nothing to compare.");
  }

  // The parts of the metric that are of one class each, at the chosen PSNR.
  function classTable(classes, view, a, b) {
    const position = view.psnrs.indexOf(state.psnr);
    const valueOf = (rows, method) => rows.find(([number]) => Board.methods[number] === method)?.[1][position] ?? null;
    const parts = classes.map(({ name, decimals, rows }) => ({ name, view: { decimals }, own: valueOf(rows, a), other: valueOf(rows, b) }))
      .filter((one) => one.own !== null || one.other !== null);
    byId("classes-card").hidden = !parts.length;
    byId("classes-title").textContent = `${view.metric} by class at ${state.psnr} dB`;
    const difference = (part) => part.own === null || part.other === null ? null : part.own - part.other;
    const told = (value, part) => element("td", { class: "number" }, value === null ? "–" : number(value, part.view));
    const largest = Math.max(...parts.map((part) => Math.abs(difference(part) ?? 0))) || 1;
    const bar = (value) => element("span", { class: `lead-bar ${value > 0 ? "more" : "less"}-bar`, "aria-hidden": "true", style: { "--share": `${50 * Math.abs(value) / largest}%` } });
    fill(byId("classes"), [heading("Class"), heading("A", "number"), heading("B", "number"), heading("A − B", "number chosen"), heading("")],
      parts.sort((x, y) => (difference(y) ?? 0) - (difference(x) ?? 0)).map((part) => element("tr", {}, element("th", { scope: "row" }, part.name), told(part.own, part), told(part.other, part),
        element("td", { class: "number chosen" }, difference(part) === null ? "–" : signed(difference(part), part.view)), element("td", { class: "bars" }, difference(part) === null ? null : bar(difference(part))))), "No classes.");
  }

  // Scenes' own values of both methods at the PSNR: [{scene, a, b, lead}], `lead` being by how much A is better.
  async function byScene(set, view, a, b) {
    const position = view.psnrs.indexOf(state.psnr);
    if (a === b || ![a, b].every((method) => view.scenes.includes(Board.methods.indexOf(method)))) return [];
    const [ids, ...values] = await Promise.all([Site.load(`sets/${set.id}/scenes`), ...[a, b].map((method) => Site.load(`sets/${set.id}/scenes-${view.number}-${Board.methods.indexOf(method)}`))]);
    if (values.some((one) => one[position] === null)) return [];
    const [own, other] = values.map((one) => Site.unpack(one[position]));
    return ids.map((scene, k) => ({ scene, a: own[k], b: other[k], lead: (own[k] - other[k]) * (view.higher ? 1 : -1) })).filter((one) => Number.isFinite(one.lead));
  }

  function sceneTable(table, scenes, view) {
    fill(table, [heading("Scene"), heading("A", "number"), heading("B", "number"), heading("A − B", "number chosen")],
      scenes.map((one) => element("tr", {}, element("th", { scope: "row" }, one.scene), element("td", { class: "number" }, number(one.a, view)), element("td", { class: "number" }, number(one.b, view)),
        element("td", { class: "number chosen" }, signed(one.a - one.b, view)))), "None.");
  }

  // Pictures of both methods, of the scenes that have any, where they differ most first.
  async function pictures(set, view, a, b, scenes) {
    const samples = byId("pairs").dataset.samples ? await Site.load("samples") : [];
    const of = samples.find((one) => one.set === set.id && one.psnrs.includes(state.psnr));
    const [own, other] = [a, b].map((method) => of?.methods.find((one) => one.spec === method.name));
    const shown = own && other ? of.scenes : [];
    const lead = new Map(scenes.map((one) => [one.scene, one]));
    const far = (scene) => Math.abs(lead.get(scene.id)?.lead ?? 0);
    byId("pairs").replaceChildren(...[...shown].sort((x, y) => far(y) - far(x)).map((scene) => {
      const told = lead.get(scene.id);
      const value = (key) => told ? `${view.metric} ${number(told[key], view)}` : "";
      return element("li", {}, element("h3", {}, `Scene ${scene.id}${told ? `: A − B = ${signed(told.a - told.b, view)}` : ""}`),
        element("ul", { class: "pictures three" }, Pictures.figure(of, scene, { stem: "original", title: "Original", sub: "what the sender sees" }),
          Pictures.figure(of, scene, { stem: own.file, title: `A: ${a.title}`, sub: value("a"), strip: true }),
          Pictures.figure(of, scene, { stem: other.file, title: `B: ${b.title}`, sub: value("b"), strip: true })));
    }));
    if (of) Pictures.move(of, state.psnr);
    const command = element("code", {}, "bench leaderboard samples");
    byId("pairs-note").replaceChildren(...(shown.length ? [`${shown.length} scene${shown.length > 1 ? "s" : ""} with pictures, those where the two differ most first; `, command, " keeps pictures of more with --scenes."]
      : ["There are no pictures of both methods here; ", command, " makes them."]));
  }

  let save = () => {};
  let turn = 0;

  async function update() {
    const mine = ++turn;
    const settled = await Board.settle(state);
    const { set, views, view } = settled;
    const { a, b, usual } = settleMethods(view);
    Board.menus(state, views.filter((one) => !one.class || one === view));
    const options = [...view.rows.keys()].map((method) => [method.id, method.label]);
    for (const key of ["a", "b"]) Site.choices(byId(key), options, state[key]);
    Board.slider(set, view.psnrs, state);
    const [halves, scenes, classes] = await Promise.all([halfWidths(set, view, a, b), byScene(set, view, a, b),
      view.classes ? Site.load(`sets/${set.id}/classes-${view.number}`) : []]);
    if (mine !== turn) return;
    const found = differences(view, a, b, halves);
    byId("compare-title").textContent = `${view.metric}: ${a.label} minus ${b.label}`;
    byId("numbers-caption").textContent = `Differences of ${view.metric} between ${a.label} and ${b.label}, ${better(view)}.`;
    byId("status").textContent = `A: ${a.label}. B: ${b.label}. ${better(view)[0].toUpperCase()}${better(view).slice(1)}, so ${view.higher ? "above" : "below"} 0 is for A.`;
    differenceTable(found, view);
    classTable(classes, view, a, b);
    byId("scenes-title").textContent = `Scenes where they differ most at ${state.psnr} dB`;
    byId("scenes-note").textContent = scenes.length ? `Of ${scenes.length} scenes, A is better in ${scenes.filter((one) => one.lead > 0).length}, B in ${scenes.filter((one) => one.lead < 0).length}. A scene's value is its own, of that scene alone.`
      : `Scenes have no values of their own in ${view.metric} for both methods at this PSNR.`;
    const order = [...scenes].sort((x, y) => y.lead - x.lead);
    byId("leads").hidden = !scenes.length;
    sceneTable(byId("for-a"), order.filter((one) => one.lead > 0).slice(0, FURTHEST), view);
    sceneTable(byId("for-b"), order.reverse().filter((one) => one.lead < 0).slice(0, FURTHEST), view);
    byId("note").textContent = [set.label, set.channel].join(", ") + `. Protocol: ${view.protocol}.`;
    save = () => Site.saveCsv(`${state.set}-${view.id}-${a.id}-${b.id}`, [["psnr", a.name, b.name, "difference", "low", "high"],
      ...found.map((one) => [one.psnr, one.own?.value ?? "", one.other?.value ?? "", one.difference ?? "", one.low ?? "", one.high ?? ""])]);
    place.write({ ...Board.usual(settled), ...usual });
    Charts.show(found.some((one) => one.difference !== null) && a !== b ? () => specification(found, view) : null, found.length);
    await pictures(set, view, a, b, scenes);
  }

  for (const key of ["a", "b"]) byId(key).addEventListener("change", (event) => { state[key] = event.target.value; update(); });
  byId("swap").addEventListener("click", () => { [state.a, state.b] = [state.b, state.a]; update(); });
  byId("psnr").addEventListener("input", async (event) => {
    const { view } = await Board.settle(state);
    state.psnr = view.psnrs[view.psnrs.length - 1 - Number(event.target.value)];
    update();
  });
  byId("csv").addEventListener("click", () => save());
  Board.listen(place, update);
})();
