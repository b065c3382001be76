// What the pages share: building elements, the theme, and the state in the address.
// Text of the data only ever becomes text nodes or attribute values here, never HTML.
"use strict";
const Site = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "class") made.className = value;
      else if (key === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
      else if (key === "style") for (const [property, text] of Object.entries(value)) made.style.setProperty(property, text);
      else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function theme() {
    return document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
  }

  function setUpTheme() {
    const button = document.getElementById("theme");
    const show = () => { button.textContent = theme() === "dark" ? "Light theme" : "Dark theme"; };
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = theme() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("gesco-bench-theme", next); } catch { /* for this page only, then */ }
      show();
      document.dispatchEvent(new Event("themechange"));
    });
    dark.addEventListener("change", () => { show(); document.dispatchEvent(new Event("themechange")); });
    show();
  }

  const readHash = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

  function writeHash(state) {
    const parts = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== "" && value !== null));
    history.replaceState(null, "", `#${parts}`);
  }

  // Radio buttons that look like one control. Options: [value, label] pairs.
  function segments(holder, name, options, chosen, changed) {
    holder.replaceChildren(...options.map(([value, label]) => element("label", {},
      element("input", { type: "radio", name, value, checked: value === chosen, on: { change: () => changed(value) } }),
      element("span", {}, label))));
  }

  function choices(select, options, chosen) {
    select.replaceChildren(...options.map(([value, label]) =>
      element("option", { value, selected: value === chosen }, label)));
    select.disabled = options.length < 2;
  }

  function setUpCopy(button) {
    button.addEventListener("click", async () => {
      const label = button.textContent;
      try { await navigator.clipboard.writeText(location.href); button.textContent = "Link copied"; }
      catch { button.textContent = "Copy it from the address bar"; }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  const fold = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

  function data(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  setUpTheme();
  return { choices, data, element, fold, readHash, segments, setUpCopy, theme, writeHash };
})();
