// The sample browser: a slider moves all methods through the PSNRs at once.
"use strict";
(() => {
  const { among, byId, element, fold } = Site;
  const sets = Site.load("samples");
  const place = Site.address({ set: "", scene: "", psnr: "", layer: "picture", q: "" });
  const { state } = place;
  let drawn = "";  // what the pictures on the page are of

  const layersOf = (set) => [["picture", "Pictures"], ...(set.detector ? [["detections", "Detections"]] : []), ...(set.depth ? [["depth", "Depth"]] : [])];
  const figure = (set, scene, of) => Pictures.figure(set, scene, { ...of, layer: state.layer });

  function settle() {
    state.set = among(state.set, sets.map((set) => set.key));
    const set = sets.find((one) => one.key === state.set);
    state.scene = among(state.scene, set.scenes.map((scene) => scene.id));
    state.psnr = among(Number(state.psnr), set.psnrs, among(10, set.psnrs));
    state.layer = among(state.layer, layersOf(set).map(([layer]) => layer));
    state.q = String(state.q ?? "").slice(0, 100);
    return { set, scene: set.scenes.find((one) => one.id === state.scene) };
  }

  function pictures(set, scene) {
    const seen = Boolean(set.detector || set.depth);
    byId("truth").replaceChildren(
      figure(set, scene, { stem: "original", title: "Original", sub: "what the sender sees", seen }),
      figure(set, scene, { stem: "labels", title: "Semantic map", sub: "what it means" }),
      ...(set.received ? [figure(set, scene, { stem: "received", title: "Received map", sub: `strongest class, sender of ${set.received}`, strip: true })] : []));
    const wanted = fold(state.q.trim());
    const found = set.methods.filter((method) => fold([method.spec, method.title].join(" ")).includes(wanted));
    byId("pictures").replaceChildren(...found.map((method) => figure(set, scene,
      { stem: method.file, title: method.title, sub: method.spec, strip: true, seen, page: method.page, lacks: set.psnrs.filter((psnr) => !method.psnrs.includes(psnr)) })));
    if (!found.length) byId("pictures").append(element("li", { class: "empty" }, `No method matches “${state.q}”.`));
    byId("status").textContent = `${found.length === set.methods.length ? found.length : `${found.length} of ${set.methods.length}`} methods`;
  }

  // Moves every strip to the chosen PSNR.
  function move(set) {
    Pictures.move(set, state.psnr);
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
    Site.segments(byId("layer"), "layer-of-samples", layersOf(set), state.layer, (layer) => { state.layer = layer; update(); });
    if (byId("search").value !== state.q) byId("search").value = state.q;
  }

  function thumbnails(set) {
    const list = byId("scenes");
    if (list.dataset.set !== set.key) {
      list.dataset.set = set.key;
      list.replaceChildren(...set.scenes.map((scene) => element("li", {}, element("button",
        { type: "button", "data-scene": scene.id, title: scene.id, on: { click: () => { state.scene = scene.id; update(); } } },
        element("img", { src: Pictures.address(scene, "original.webp"), alt: `Scene ${scene.id}`, loading: "lazy", decoding: "async", width: set.size[1], height: set.size[0] })))));
    }
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.scene === state.scene));
  }

  function update() {
    const { set, scene } = settle();
    controls(set);
    thumbnails(set);
    const wanted = JSON.stringify([state.set, state.scene, state.layer, state.q]);
    if (wanted !== drawn) {
      drawn = wanted;
      byId("scene-title").textContent = `Scene ${scene.id}`;
      byId("note").textContent = [`${set.label}, ${set.channelWords}, seed ${set.seed}.`,
        set.detector ? `Detections: ${set.detector}.` : "", set.depth ? `Depth: ${set.depth}, bright is near, colours by the original's range.` : "",
        "Pictures are compressed (WebP); metrics saw the originals."].filter(Boolean).join(" ");
      Site.meanSnr(byId("means"), set.means, set.side);
      pictures(set, scene);
    }
    move(set);
    place.write({ set: sets[0].key, scene: set.scenes[0].id, psnr: among(10, set.psnrs), layer: "picture" });
  }

  byId("psnr").addEventListener("input", (event) => {
    const set = sets.find((one) => one.key === state.set);
    state.psnr = set.psnrs[set.psnrs.length - 1 - Number(event.target.value)];
    update();
  });
  byId("set").addEventListener("change", (event) => { state.set = event.target.value; update(); });
  byId("search").addEventListener("input", (event) => { state.q = event.target.value; update(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { place.read(); update(); });
  Site.setUpCopy(byId("copy"));
  place.read();
  update();
})();
