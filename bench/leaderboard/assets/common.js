// What the pages share: building elements, the theme, loading data, menus, and the state in the address.
// Text of the data only ever becomes text nodes or attribute values here, never HTML.
"use strict";
const Site = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const byId = (id) => document.getElementById(id);
  const unique = (values) => [...new Set(values)];
  const among = (value, values, other = values[0]) => (values.includes(value) ? value : other);
  const fold = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

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
    const button = byId("theme");
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

  // Data come in scripts, because a page that was opened from disk may load nothing else. Each calls `receive`.
  const received = new Map();
  const asked = new Map();
  const receive = (name, text) => received.set(name, JSON.parse(text));

  function load(name) {
    if (received.has(name)) return received.get(name);
    if (!asked.has(name)) {
      asked.set(name, script(`load/${name}.js`).then(() => received.get(name)));
    }
    return asked.get(name);
  }

  // What bench/leaderboard/packed.py packed: `count` numbers from a position on, NaN for what is none.
  function unpack([low, step, text], start = 0, count = undefined) {
    const words = new Uint16Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
    return Array.from(words.subarray(start, count === undefined ? undefined : start + count), (word) => word === 65535 ? NaN : low + step * word);
  }

  function script(address) {
    return new Promise((done, failed) => {
      document.head.append(element("script", { src: address, on: { load: done, error: () => failed(new Error(`${address} cannot be loaded`)) } }));
    });
  }

  // What the address says becomes the state; only what is other than usual is written there, so that links are short.
  function address(usual) {
    const state = { ...usual };
    return {
      state,
      read() {
        const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
        for (const key of Object.keys(usual)) state[key] = given[key] ?? usual[key];
      },
      write(now = usual) {
        const parts = Object.entries(state).filter(([key, value]) => value !== null && String(value) !== String(now[key] ?? ""));
        // the characters that names are made of need no escape after #
        const text = new URLSearchParams(parts).toString().replaceAll("%2C", ",").replaceAll("%7E", "~").replaceAll("%5B", "[").replaceAll("%5D", "]");
        history.replaceState(null, "", parts.length ? `#${text}` : location.pathname + location.search);
      },
    };
  }

  // Whether a holder was last made of just these: then it is left alone, with its focus.
  const madeOf = new WeakMap();
  function isMadeOf(holder, ...parts) {
    const key = JSON.stringify(parts);
    if (madeOf.get(holder) === key) return true;
    madeOf.set(holder, key);
    return false;
  }

  // Radio buttons that look like one control. Options: [value, label] pairs.
  function segments(holder, name, options, chosen, changed) {
    if (!isMadeOf(holder, options)) {
      const focused = holder.contains(document.activeElement);
      holder.replaceChildren(...options.map(([value, label]) => element("label", {},
        element("input", { type: "radio", name, value, on: { change: () => changed(value) } }), element("span", {}, label))));
      if (focused) holder.querySelectorAll("input")[options.findIndex(([value]) => value === chosen)]?.focus();
    }
    holder.querySelectorAll("input").forEach((input, k) => { input.checked = options[k][0] === chosen; });
  }

  // Options: [value, label, group]; those of a group follow each other.
  function choices(select, options, chosen) {
    if (!isMadeOf(select, options)) {
      const groups = unique(options.map(([, , group]) => group));
      select.replaceChildren(...groups.flatMap((group) => {
        const own = options.filter((option) => option[2] === group).map(([value, label]) => element("option", { value }, label));
        return group === undefined ? own : [element("optgroup", { label: group }, ...own)];
      }));
    }
    select.value = chosen;
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

  // Rows of texts and numbers as a file to keep. A text that a spreadsheet would take for a formula is quoted.
  function saveCsv(name, rows) {
    const cell = (value) => {
      if (typeof value === "number") return String(value);
      const text = String(value ?? "").replace(/^(?=[=+\-@])/, "'");
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const url = URL.createObjectURL(new Blob([rows.map((row) => `${row.map(cell).join(",")}\n`).join("")], { type: "text/csv" }));
    element("a", { href: url, download: `${name.replace(/[^A-Za-z0-9.-]+/g, "-")}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  // The sentences on the mean SNR of every method are many: they are folded.
  function meanSnr(holder, means, side) {
    const open = holder.querySelector("details")?.open;
    const details = element("details", {}, element("summary", {}, "Mean SNR of what each method sends"),
      element("p", {}, "The peak SNR belongs to the channel; the mean SNR is what a method makes of it."),
      element("dl", { class: "pairs" }, ...means.flatMap(([words, names]) => [element("dt", {}, words), element("dd", {}, names.join(", "))])));
    details.open = Boolean(open);
    holder.replaceChildren(...(means.length ? [details] : []), element("p", {}, side));
  }

  // A table that is wider than the page fades out on the side where it goes on, and says so.
  function hintAtMore(scroll) {
    const hint = element("p", { class: "more", "aria-hidden": "true" }, "The table goes on: scroll it sideways.");
    hint.hidden = true;
    scroll.after(hint);
    const look = () => {
      const rest = scroll.scrollWidth - scroll.clientWidth;
      scroll.classList.toggle("cut-right", rest - scroll.scrollLeft > 2);
      scroll.classList.toggle("cut-left", scroll.scrollLeft > 2);
      hint.hidden = rest <= 2;
    };
    scroll.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    for (const one of [scroll, ...scroll.children]) observer.observe(one);
  }

  setUpTheme();
  document.querySelectorAll(".scroll").forEach(hintAtMore);
  return { address, among, byId, choices, element, fold, isMadeOf, load, meanSnr, receive, saveCsv, script, segments, setUpCopy, theme, unique, unpack };
})();
