// A method's colour, mark and dash, the same in tables, legends and charts.
"use strict";
const Looks = (() => {
  const { element } = Site;
  const DASHES = [[1, 0], [6, 3], [2, 3], [9, 3, 2, 3], [14, 4], [8, 2, 2, 2, 2, 2]];
  // Vega's names of marks; the paths draw the same around 0, 0
  const MARKS = {
    circle: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", square: "M-3.6-3.6h7.2v7.2h-7.2z", diamond: "M0-5L4.4 0L0 5L-4.4 0z",
    "triangle-up": "M0-4.6L4.6 3.6H-4.6z", "triangle-down": "M0 4.6L4.6-3.6H-4.6z", cross: "M-1.7-4.6h3.4v2.9h2.9v3.4h-2.9v2.9h-3.4v-2.9h-2.9v-3.4h2.9z",
    "triangle-right": "M4.6 0L-3.6-4.6V4.6z",
  };
  const NAMES = Object.keys(MARKS);

  const property = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (look) => property(`--curve-${look.colour}`);
  const dash = (look) => DASHES[look.dash];
  const mark = (look) => NAMES[look.mark];

  function svg(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // A line and a mark as the charts have them; `parts` leaves one of them out.
  function swatch(look, parts = "line mark") {
    const line = svg("line", { x1: 1, x2: 41, y1: 7, y2: 7, "stroke-dasharray": dash(look).join(" ") });
    const point = svg("path", { d: MARKS[mark(look)], transform: "translate(21 7)" });
    line.style.stroke = point.style.stroke = `var(--curve-${look.colour})`;
    point.style.fill = look.hollow ? "var(--surface)" : `var(--curve-${look.colour})`;
    return svg("svg", { viewBox: "0 0 42 14", class: "swatch", "aria-hidden": "true" },
      ...(parts.includes("line") ? [line] : []), ...(parts.includes("mark") ? [point] : []));
  }

  // Entries: [look, text, parts].
  function legend(holder, entries) {
    holder.replaceChildren(...entries.map(([look, text, parts]) => element("li", {}, swatch(look, parts), element("span", {}, text))));
  }

  return { colour, dash, legend, mark, property, swatch };
})();
