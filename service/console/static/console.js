// What the pages do beyond htmx: the theme, marking rows, moving in a table by keys, and reading a reviewer's own
// files. Sends nothing anywhere.
"use strict";

const THEMES = ["system", "light", "dark"];
const LINES_SHOWN = 20000;
const LEAST_LINE = 4;

function showTheme(button) {
  const theme = localStorage.getItem("cleanroom-theme") || "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.querySelector("span").textContent = theme;
}

function addThemeSwitch() {
  const button = document.getElementById("theme");
  button.hidden = false;
  showTheme(button);
  button.addEventListener("click", () => {
    const now = localStorage.getItem("cleanroom-theme") || "system";
    localStorage.setItem("cleanroom-theme", THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
    showTheme(button);
  });
}

function boxes() {
  return [...document.querySelectorAll("#rows input[name=id]")];
}

function countMarked() {
  const bar = document.getElementById("bulk-bar");
  if (!bar) return;
  const marked = boxes().filter((box) => box.checked).length;
  bar.hidden = marked === 0;
  document.getElementById("marked").textContent = marked;
  const all = document.getElementById("all");
  all.checked = marked > 0 && marked === boxes().length;
  all.indeterminate = marked > 0 && !all.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "all") boxes().forEach((box) => { box.checked = event.target.checked; });
  if (event.target.closest("#bulk")) countMarked();
  if (event.target.dataset.pane) openFile(event.target);
});

// In the table alone, so that no key is taken from anything else: j and k move, x marks, Enter follows a row's link.
document.addEventListener("keydown", (event) => {
  const row = event.target.closest("#rows tr");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const others = { j: row.nextElementSibling, k: row.previousElementSibling };
  if (event.key in others) {
    const wanted = event.target.matches("a") ? "a" : "input";
    others[event.key]?.querySelector(wanted)?.focus();
  } else if (event.key === "x" && !event.target.matches("input")) {
    row.querySelector("input")?.click();
  } else if (event.key === "Enter" && event.target.matches("input[type=checkbox]")) {
    event.preventDefault();
    row.querySelector("a").click();
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  countMarked();
  // The page that told of the last failure has something else to show now.
  if (event.detail.target.id !== "notice") document.getElementById("notice").replaceChildren();
});

function openFile(input) {
  const file = input.files[0];
  if (!file) return;
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    texts.set(input.dataset.pane, reader.result);
    compare(file.name);
  });
  reader.readAsText(file);
}

const texts = new Map();

function spans() {
  return [...document.querySelectorAll("[data-span]")].map((cell) => cell.dataset.span.split("-").map(Number));
}

// Lines of a text with the character each begins at; offsets count code points, as the ledger does.
function linesOf(text) {
  let at = 0;
  return text.split("\n").slice(0, LINES_SHOWN).map((line) => {
    const start = at;
    at += [...line].length + 1;
    return { line, start, end: at };
  });
}

function compare(opened) {
  const generation = linesOf(texts.get("generation-text") || "");
  const marked = generation.filter((one) => spans().some(([start, end]) => one.start < end && one.end > start));
  const known = new Set(marked.map((one) => one.line.trim()).filter((line) => line.length >= LEAST_LINE));
  const inDocument = (one) => known.has(one.line.trim());
  if (texts.has("generation-text")) show("generation-text", generation, (one) => marked.includes(one));
  if (texts.has("document-text")) show("document-text", linesOf(texts.get("document-text")), inDocument);
  const found = document.querySelectorAll("#document-text mark").length;
  document.getElementById("compared").textContent =
    `${opened} is shown. ${marked.length} lines of the generation and ${found} of the document are marked.`;
}

function show(id, lines, isMarked) {
  const pane = document.getElementById(id);
  pane.replaceChildren(...lines.map((one, at) => {
    const row = document.createElement(isMarked(one) ? "mark" : "span");
    const number = document.createElement("span");
    number.className = "line-number";
    number.textContent = at + 1;
    row.append(number, `${one.line}\n`);
    return row;
  }));
  pane.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}

document.documentElement.classList.add("scripted");
addThemeSwitch();
const sides = document.getElementById("side-by-side");
if (sides) sides.hidden = false;
