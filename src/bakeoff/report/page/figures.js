// The figures of a page: drawing them, and taking them along. In one function with table.js (render.py).

const data = JSON.parse(document.getElementById("data").textContent);
const drawn = {}; // key of a figure -> its Vega view
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- figures ------------------------------------------------------------------------------------------

const asRecords = ({columns, rows}) =>
  rows.map(row => Object.fromEntries(columns.map((name, place) => [name, row[place]])));

function shownRows(part) {
  const rows = all(`#${part}-rows tbody tr`).filter(row => !row.hidden);
  return rows.slice(0, data.most_shown).map(row => row.dataset.label);
}

async function draw(element) {
  const key = element.dataset.figure, figure = data.figures[key];
  const plot = element.querySelector(".plot");
  const variant = element.querySelector("[data-variant]");
  const {spec, about} = figure.variants[variant ? Number(variant.value) : 0];
  element.querySelector(".about").textContent = about;
  delete element.dataset.drawn;
  try {
    drawn[key]?.finalize();
    const {view} = await vegaEmbed(plot, {...spec, datasets: {...spec.datasets, data: asRecords(figure)}}, {
      ast: true, renderer: "svg", logLevel: 1, actions: false, defaultStyle: false, tooltip: {disableDefaultStyle: true},
    });
    drawn[key] = view;
    view.rowPixels = spec.usermeta?.rowPixels;
    await setSignals(element, view);
  } catch (error) {
    plot.textContent = "This figure cannot be drawn here; its numbers are below.";
    plot.classList.add("failed");
    throw error;
  }
}

async function setSignals(element, view) {
  delete element.dataset.drawn;
  const signals = view.getState({signals: () => true, data: () => false}).signals;
  for (const choice of all("[data-signal]", element)) {
    if (choice.dataset.signal in signals) view.signal(choice.dataset.signal, choice.value);
  }
  const part = element.dataset.figure.split("-")[0];
  if ("shown" in signals && part in data.rows) {
    const rows = shownRows(part);
    if (rows.length && rows.join("\n") !== view.signal("shown").join("\n")) {
      await view.signal("shown", rows.slice(0, 1)).runAsync(); // or the entries of the legend keep the widths of those before
      const now = shownRows(part); // somebody may type on
      view.signal("shown", now.length ? now : rows);
    } // a filter that leaves no row leaves the figures as they are
  }
  await view.runAsync();
  if (view.rowPixels) { // the height follows the number of lines, which a choice changes
    await view.height(view.rowPixels * view.scale("y").domain().length).runAsync();
  }
  element.dataset.drawn = "yes"; // and it is what the choices say
}

async function drawAll() {
  for (const element of all("[data-figure]")) {
    await draw(element).catch(reportError); // the others may be drawn all the same
    await new Promise(done => setTimeout(done)); // the page stays responsive between two figures
  }
  document.documentElement.dataset.ready = "yes";
}

async function showInFigures(part) {
  const elements = all(`[data-figure^="${part}-"]`).filter(element => drawn[element.dataset.figure]);
  for (const element of elements) delete element.dataset.drawn;
  for (const element of elements) await setSignals(element, drawn[element.dataset.figure]);
}

// ---- taking things along ------------------------------------------------------------------------------

function save(content, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a busy browser begins to read it late
}

const csvCell = value => {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : String(value); // a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const csv = rows => rows.map(row => row.map(csvCell).join(",")).join("\n") + "\n";

// A drawing names the page's colours; a file of its own needs them themselves, those of the light page.
async function asSvg(view) {
  const text = await view.toSVG();
  const own = text.replace(/var\((--[a-z0-9-]+)\)/g, (whole, name) => data.colours[name] ?? whole);
  return own.replace(/background-color: transparent;?/, `background-color: ${data.colours["--paper"]};`);
}

async function asPng(view, scale = 2) {
  const text = await asSvg(view), picture = new Image();
  picture.src = "data:image/svg+xml;base64," + btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.width * scale;
  canvas.height = picture.height * scale;
  const context = canvas.getContext("2d");
  context.fillStyle = data.colours["--paper"];
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise(done => canvas.toBlob(done, "image/png"));
}

// What lies in a folder of downloads says of which data it is.
function fileName(key) {
  const [part, ...figure] = key.split("-");
  return ["report", data.files[part] ?? part, ...figure].join("-");
}

async function saveFigure(element, kind) {
  const key = element.dataset.figure, figure = data.figures[key];
  if (kind === "csv") return save(csv([figure.columns, ...figure.rows]), "text/csv", `${fileName(key)}.csv`);
  const view = drawn[key];
  if (kind === "svg") return save(await asSvg(view), "image/svg+xml", `${fileName(key)}.svg`);
  return save(await asPng(view), "image/png", `${fileName(key)}.png`);
}

function saveTable(part, kind) {
  if (kind === "json") {
    return save(JSON.stringify(data.comparison, null, 1), "application/json", "report.json");
  }
  const {settings} = data.comparison.tables[Number(part.slice(1)) - 1];
  const names = [...new Set(settings.flatMap(one => Object.keys(one.metrics)))];
  const keys = [...new Set(settings.flatMap(one => Object.keys(one.changed)))].sort();
  const parts = ["mean", "std", "low", "high"];
  const title = ["name", "model", "weights", "num_runs", "seeds", "tie_group"];
  const lines = settings.map(one => [
    one.name, one.model, one.weights, one.num_runs, one.seeds.join(" "), one.tie_group,
    ...names.flatMap(name => parts.map(which => one.metrics[name]?.[which])),
    ...keys.map(key => (typeof one.changed[key] === "object" ? JSON.stringify(one.changed[key]) : one.changed[key])),
  ].map(value => (typeof value === "boolean" ? String(value) : value)));
  const heads = [...title, ...names.flatMap(name => parts.map(which => `${name}_${which}`)), ...keys];
  save(csv([heads, ...lines]), "text/csv", `${fileName(part)}.csv`);
}

const MOST_LINES = 400;
function fillNumbers(details) {
  if (details.querySelector("table") || !details.open) return;
  const figure = data.figures[details.closest("[data-figure]").dataset.figure];
  const region = document.createElement("div"), table = document.createElement("table");
  region.className = "scroll";
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", "The numbers of this figure");
  const head = table.createTHead().insertRow();
  for (const name of figure.columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of figure.rows.slice(0, MOST_LINES)) {
    const line = body.insertRow();
    for (const value of row) {
      const number = typeof value === "number" && !Number.isInteger(value);
      line.insertCell().textContent = value === null ? "" : number ? Number(value.toPrecision(6)) : value;
    }
  }
  region.append(table);
  details.append(region);
  if (figure.rows.length > MOST_LINES) {
    const rest = document.createElement("p");
    rest.textContent = `The first ${MOST_LINES} lines; the CSV has all of them.`;
    details.append(rest);
  }
}
