// The table of a page, what a reload remembers, and the start. In one function with figures.js (render.py).

// ---- the table ----------------------------------------------------------------------------------------

const order = {}; // key of a part -> {column, falling}

function sortTable(part) {
  const {column, falling} = order[part];
  const table = document.getElementById(`${part}-rows`), body = table.tBodies[0];
  const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
  const value = row => row.cells[column].dataset.sortValue;
  const known = text => (numeric ? text !== "" && !Number.isNaN(Number(text)) : text !== "");
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (known(a) !== known(b)) return known(a) ? -1 : 1; // what has no value comes last both ways
    const less = numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", {numeric: true});
    return falling ? -less : less;
  });
  body.append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    if (place === column) cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  const list = document.querySelector(`[data-sort-list="${part}"]`);
  if (list) list.value = String(column);
}

function filterTable(part) {
  const input = document.querySelector(`[data-filter="${part}"]`);
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.getElementById(`${part}-rows`).tBodies[0].rows];
  for (const row of rows) {
    const text = `${row.dataset.label} ${row.textContent}`.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
  }
  const left = rows.filter(row => !row.hidden).length;
  const count = `${left} of ${rows.length} row${rows.length === 1 ? "" : "s"}`;
  const said = left === rows.length ? count.replace(/^\d+ of /, "") : count;
  document.querySelector(`[data-count="${part}"]`).textContent = left ? said : `${said}; the figures stay as they were`;
}

function sortBy(part, column, falling) {
  order[part] = {column, falling};
  sortTable(part);
  showInFigures(part);
}

// ---- a page that is written again while runs go on ----------------------------------------------------

const MEMORY = "bakeoff-report";

// What a page holds changes from one writing to the next, so things are known by their names, not by their places.
const named = element => {
  const of = element.closest("[data-figure]")?.dataset.figure ?? element.closest("[data-part]")?.id ?? "";
  const own = element.tagName === "DETAILS" ? element.firstElementChild.textContent.replace(/[\d,]+/g, "") : element.dataset.signal;
  return `${of} ${own ?? Object.keys(element.dataset)[0] ?? ""}`;
};
const said = field => (field.tagName === "SELECT" ? field.selectedOptions[0]?.textContent : field.value);
const byName = (selector, value) => Object.fromEntries(all(selector).map(one => [named(one), value(one)]));
const titles = part => all(`#${part}-rows thead th`).map(one => one.textContent);

function remember() {
  const sorted = Object.entries(order).map(([part, {column, falling}]) => [part, titles(part)[column], falling]);
  const state = {
    at: [scrollX, scrollY], sorted, focus: document.activeElement ? named(document.activeElement) : "",
    fields: byName("input, select", said), open: byName("details", one => one.open),
  };
  try { sessionStorage.setItem(MEMORY, JSON.stringify(state)); } catch { /* no memory: the page begins anew */ }
}

function recall() {
  let state;
  try { state = JSON.parse(sessionStorage.getItem(MEMORY)); sessionStorage.removeItem(MEMORY); } catch { return null; }
  if (!state) return null;
  for (const one of all("input, select")) {
    const value = state.fields[named(one)];
    if (one.tagName === "SELECT") for (const option of one.options) option.selected ||= option.textContent === value;
    else one.value = value ?? "";
    if (named(one) === state.focus) one.focus({preventScroll: true});
  }
  all("details").forEach(one => { one.open = Boolean(state.open[named(one)]); });
  for (const [part, title, falling] of state.sorted) {
    const column = titles(part).indexOf(title);
    if (column >= 0) { order[part] = {column, falling}; sortTable(part); }
  }
  return state;
}

// ---- the start ----------------------------------------------------------------------------------------

for (const part of Object.keys(data.rows)) {
  const heads = all(`#${part}-rows thead th`);
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const before = order[part];
    const first = head.classList.contains("number") && column > 0; // numbers: largest first
    sortBy(part, column, before?.column === column ? !before.falling : first);
  }));
  document.querySelector(`[data-sort-list="${part}"]`).addEventListener("change", event => {
    sortBy(part, Number(event.target.value), false);
  });
  document.querySelector(`[data-turn="${part}"]`).addEventListener("click", () => {
    const {column, falling} = order[part] ?? {column: 0, falling: false};
    sortBy(part, column, !falling);
  });
  document.querySelector(`[data-filter="${part}"]`).addEventListener("input", () => {
    filterTable(part);
    showInFigures(part);
  });
}
all("[data-save-table]").forEach(button => button.addEventListener("click", () => saveTable(button.dataset.of, button.dataset.saveTable)));
for (const element of all("[data-figure]")) {
  element.querySelector("[data-variant]")?.addEventListener("change", () => draw(element));
  all("[data-signal]", element).forEach(list => list.addEventListener("change", () => setSignals(element, drawn[element.dataset.figure])));
  all("[data-save]", element).forEach(button => button.addEventListener("click", () => saveFigure(element, button.dataset.save)));
  element.querySelector("details.data").addEventListener("toggle", event => fillNumbers(event.target));
}
const before = recall();
Object.keys(data.rows).forEach(filterTable);
if (before) scrollTo(...before.at);
drawAll().then(() => { if (before) scrollTo(...before.at); });
if (data.reload_seconds !== null) {
  setInterval(() => { if (!document.hidden) { remember(); location.reload(); } }, data.reload_seconds * 1000);
}
addEventListener("beforeprint", () => all("details:not(.data)").forEach(one => { one.open = true; }));
