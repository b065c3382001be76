// Runs before the page is painted: the theme that was chosen, else the system's.
"use strict";
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("gesco-bench-theme"); } catch { /* storage may be forbidden */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
