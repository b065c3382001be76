// Sample pictures. A strip holds a method's pictures of all PSNRs below each other, so moving it loads nothing.
"use strict";
const Pictures = (() => {
  const { element } = Site;
  const address = (scene, file) => `samples/${encodeURI(scene.folder)}/${encodeURIComponent(file)}`;

  // One picture: `stem` names its files; `strip` says whether they hold all PSNRs; `layer` is what lies over or in it.
  function figure(set, scene, { stem, title, sub, strip = false, seen = false, page = null, lacks = null, layer = "picture" }) {
    const [height, width] = set.size;
    const file = layer === "depth" && seen ? `${stem}.depth.webp` : `${stem}.webp`;
    const image = (name, alt) => element("img", { src: address(scene, name), alt, class: strip ? "strip" : "", loading: "lazy", decoding: "async", width, height: strip ? height * set.psnrs.length : height });
    const alt = `${title}, scene ${scene.id}${layer === "depth" && seen ? ", estimated depth" : ""}`;
    const boxes = layer === "detections" && seen ? image(`${stem}.boxes.svg`, "") : null;
    const frame = element("div", { class: `frame${width < 300 ? " small" : ""}`, style: { "--ratio": `${width} / ${height}` } }, image(file, alt), boxes);
    if (lacks) frame.dataset.lacks = lacks.join(" ");
    return element("li", {}, element("figure", {}, frame,
      element("figcaption", {}, page ? element("a", { href: page }, title) : element("strong", {}, title), element("span", { class: "sub" }, sub))));
  }

  // Moves every strip to a PSNR.
  function move(set, psnr) {
    document.documentElement.style.setProperty("--shift", `${(-100 * set.psnrs.indexOf(psnr) / set.psnrs.length).toFixed(4)}%`);
    for (const frame of document.querySelectorAll("[data-lacks]")) {
      frame.classList.toggle("missing", frame.dataset.lacks.split(" ").includes(String(psnr)));
    }
  }

  return { address, figure, move };
})();
