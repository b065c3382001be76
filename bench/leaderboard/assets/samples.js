// The sample browser: a slider moves all methods through the PSNRs at once. A strip holds a method's pictures of all
// PSNRs below each other, so moving the slider loads nothing.
"use strict";
(() => {
  const { element, fold } = Site;
  const { sets } = Site.data("samples");
  const byId = (id) => document.getElementById(id);
  const state = { set: "", scene: "", psnr: "", layer: "picture", search: "" };
  let drawn = "";  // what the pictures on the page are of

  const among = (value, values, other = values[0]) => (values.includes(value) ? value : other);
  const layersOf = (set) => [["picture", "Pictures"], ...(set.detector ? [["detections", "Detections"]] : []), ...(set.depth ? [["depth", "Depth"]] : [])];
  const address = (set, scene, file) => `samples/${encodeURI(scene.folder)}/${encodeURIComponent(file)}`;

  function settle() {
    state.set = among(state.set, sets.map((set) => set.key));
    const set = sets.find((one) => one.key === state.set);
    state.scene = among(state.scene, set.scenes.map((scene) => scene.id));
    state.psnr = among(Number(state.psnr), set.psnrs, among(10, set.psnrs));
    state.layer = among(state.layer, layersOf(set).map(([layer]) => layer));
    state.search = String(state.search ?? "").slice(0, 100);
    return { set, scene: set.scenes.find((one) => one.id === state.scene) };
  }

  // One picture: `stem` names its files; `strip` says whether they hold all PSNRs.
  function figure(set, scene, { stem, title, sub, strip, seen, page, lacks }) {
    const [height, width] = set.size;
    const file = state.layer === "depth" && seen ? `${stem}.depth.webp` : `${stem}.webp`;
    const image = (name, alt) => element("img", { src: address(set, scene, name), alt, class: strip ? "strip" : "", loading: "lazy", decoding: "async", width, height: strip ? height * set.psnrs.length : height });
    const alt = `${title}, scene ${scene.id}${state.layer === "depth" && seen ? ", estimated depth" : ""}`;
    const boxes = state.layer === "detections" && seen ? image(`${stem}.boxes.svg`, "") : null;
    const frame = element("div", { class: `frame${width < 300 ? " small" : ""}`, style: { "--ratio": `${width} / ${height}` } }, image(file, alt), boxes);
    if (lacks) frame.dataset.lacks = lacks.join(" ");
    return element("li", {}, element("figure", {}, frame,
      element("figcaption", {}, page ? element("a", { href: page }, title) : element("strong", {}, title), element("span", { class: "sub" }, sub))));
  }

  function pictures(set, scene) {
    const seen = Boolean(set.detector || set.depth);
    byId("truth").replaceChildren(
      figure(set, scene, { stem: "original", title: "Original", sub: "what the sender sees", strip: false, seen }),
      figure(set, scene, { stem: "labels", title: "Semantic map", sub: "what it means", strip: false }),
      ...(set.received ? [figure(set, scene, { stem: "received", title: "Received map", sub: `strongest class, sender of ${set.received}`, strip: true })] : []));
    const wanted = fold(state.search.trim());
    const found = set.methods.filter((method) => fold([method.spec, method.title].join(" ")).includes(wanted));
    byId("pictures").replaceChildren(...found.map((method) => figure(set, scene,
      { stem: method.file, title: method.title, sub: method.spec, strip: true, seen, page: method.page, lacks: set.psnrs.filter((psnr) => !method.psnrs.includes(psnr)) })));
    if (!found.length) byId("pictures").append(element("li", { class: "empty" }, `No method matches “${state.search}”.`));
    byId("status").textContent = `${found.length === set.methods.length ? found.length : `${found.length} of ${set.methods.length}`} methods`;
  }

  // Moves every strip to the chosen PSNR.
  function move(set) {
    const position = set.psnrs.indexOf(state.psnr);
    document.documentElement.style.setProperty("--shift", `${(-100 * position / set.psnrs.length).toFixed(4)}%`);
    for (const frame of document.querySelectorAll("[data-lacks]")) {
      frame.classList.toggle("missing", frame.dataset.lacks.split(" ").includes(String(state.psnr)));
    }
    const level = set.levels[state.psnr];
    const text = `${state.psnr} dB${level ? ` (peak SNR ${level} dB)` : ""}`;
    byId("level").textContent = text;
    byId("psnr").setAttribute("aria-valuetext", text);
  }

  function controls(set) {
    Site.choices(byId("set"), sets.map((one) => [one.key, one.label]), state.set);
    const slider = byId("psnr");
    slider.max = String(set.psnrs.length - 1);
    slider.value = String(set.psnrs.length - 1 - set.psnrs.indexOf(state.psnr));  // the best channel is on the right
    byId("ticks").replaceChildren(...[...set.psnrs].reverse().map((psnr) => element("span", {}, String(psnr))));
    byId("layers").hidden = layersOf(set).length < 2;
    const focused = document.activeElement?.name === "layer-of-samples";
    Site.segments(byId("layer"), "layer-of-samples", layersOf(set), state.layer, (layer) => { state.layer = layer; update(); });
    if (focused) byId("layer").querySelector("input:checked")?.focus();
    if (byId("search").value !== state.search) byId("search").value = state.search;
  }

  function thumbnails(set) {
    const list = byId("scenes");
    if (list.dataset.set !== set.key) {
      list.dataset.set = set.key;
      list.replaceChildren(...set.scenes.map((scene) => element("li", {}, element("button",
        { type: "button", "data-scene": scene.id, title: scene.id, on: { click: () => { state.scene = scene.id; update(); } } },
        element("img", { src: address(set, scene, "original.webp"), alt: `Scene ${scene.id}`, loading: "lazy", decoding: "async", width: set.size[1], height: set.size[0] })))));
    }
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.scene === state.scene));
  }

  function update() {
    const { set, scene } = settle();
    controls(set);
    thumbnails(set);
    const wanted = JSON.stringify([state.set, state.scene, state.layer, state.search]);
    if (wanted !== drawn) {
      drawn = wanted;
      byId("scene-title").textContent = `Scene ${scene.id}`;
      byId("note").textContent = [`${set.label}, ${set.channelWords}, seed ${set.seed}.`, set.meanLevels,
        set.detector ? `Detections: ${set.detector}.` : "", set.depth ? `Depth: ${set.depth}, bright is near, colours by the original's range.` : "",
        "Pictures are compressed (WebP); metrics saw the originals."].filter(Boolean).join(" ");
      pictures(set, scene);
    }
    move(set);
    Site.writeHash({ set: state.set, scene: state.scene, psnr: state.psnr, layer: state.layer === "picture" ? "" : state.layer, search: state.search });
  }

  function readAddress() {
    const given = Site.readHash();
    for (const key of Object.keys(state)) state[key] = given[key] ?? "";
  }

  byId("psnr").addEventListener("input", (event) => {
    const set = sets.find((one) => one.key === state.set);
    state.psnr = set.psnrs[set.psnrs.length - 1 - Number(event.target.value)];
    update();
  });
  byId("set").addEventListener("change", (event) => { state.set = event.target.value; update(); });
  byId("search").addEventListener("input", (event) => { state.search = event.target.value; update(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { readAddress(); update(); });
  Site.setUpCopy(byId("copy"));
  readAddress();
  update();
})();
