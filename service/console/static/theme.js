// Before the page is drawn: light or dark, where somebody chose; else what the system says.
"use strict";
const chosen = localStorage.getItem("cleanroom-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
