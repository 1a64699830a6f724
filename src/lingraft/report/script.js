"use strict";
// The page is whole without this: it adds a theme switch, sortable tables, and unfolds everything for print.
const root = document.documentElement;
const theme = document.getElementById("theme");
const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const label = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} theme`); };
theme.hidden = false;
label();
theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);

const value = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent;
  return text.trim() === "" || isNaN(text) ? text : Number(text);
};
const compare = (a, b, sign) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // cells without a value stand last, both ways
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
};
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, column), value(b, column), down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
  if (table.tBodies[0].rows.length > 30) {
    const filter = Object.assign(document.createElement("input"), { type: "search", className: "filter", placeholder: "Show rows with …" });
    filter.setAttribute("aria-label", filter.placeholder);
    table.parentElement.before(filter);
    filter.addEventListener("input", () => {
      const asked = filter.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(asked);
    });
  }
}

// What a drawing says of the mark under a finger, a pointer, or the arrow keys.
const readout = (figure, hint) => {
  const line = document.createElement("p");
  line.className = "readout";
  line.setAttribute("aria-live", "polite");
  line.textContent = hint;
  figure.before(line);
  return (name, text) => {
    const bold = document.createElement("b");
    bold.textContent = text;
    line.replaceChildren(name, ": ", bold);
  };
};
for (const cells of document.querySelectorAll("svg.cells")) {
  const table = cells.closest("figure").querySelector("table.grid");
  if (!table) continue;
  const columns = [...table.tHead.rows[0].cells].slice(1).map(cell => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const [wide, high] = [Number(cells.dataset.wide), Number(cells.dataset.high)];
  const say = readout(cells.closest(".heat"), "Point at a cell, or move with the arrow keys.");
  const here = cells.querySelector("path").cloneNode();
  here.setAttribute("class", "here");
  let [row, column] = [-1, 0];
  const show = (y, x) => {
    row = Math.max(0, Math.min(rows.length - 1, y));
    column = Math.max(0, Math.min(columns.length - 1, x));
    const cell = rows[row].querySelectorAll("td")[column];
    say(`${rows[row].cells[0].textContent} · ${columns[column]}`, cell.title ? `${cell.textContent} (${cell.title})` : cell.textContent);
    here.setAttribute("d", `M${column * wide},${row * high}h${wide}v${high}h-${wide}z`);
    cells.append(here);
  };
  cells.tabIndex = 0;
  cells.addEventListener("pointermove", event => {
    const box = cells.getBoundingClientRect();
    show(Math.floor((event.clientY - box.top) / box.height * rows.length), Math.floor((event.clientX - box.left) / box.width * columns.length));
  });
  cells.addEventListener("pointerdown", event => cells.dispatchEvent(new PointerEvent("pointermove", event)));
  cells.addEventListener("focus", () => { if (row < 0) show(0, 0); });
  cells.addEventListener("keydown", event => {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    show(row + way[0], column + way[1]);
    here.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}
for (const drawing of document.querySelectorAll("svg[data-points]")) {
  const points = JSON.parse(drawing.dataset.points);
  const box = drawing.dataset.box?.split(" ").map(Number);
  const places = points.map(point => box ? [(point[1] - box[0]) / (box[1] - box[0]), 1 - (point[2] - box[2]) / (box[3] - box[2])] : point.slice(1, 3));
  const say = readout(drawing.closest(".curve, .map"), "Point at a mark, or step through them with the arrow keys.");
  let now = -1;
  const show = index => {
    now = (index + points.length) % points.length;
    const [name, x, y, group] = points[now];
    if (box) say([name, group].filter(Boolean).join(", ") || `mark ${now + 1}`, `${x}, ${y}`);
    else say("Here", points.filter(point => point[1] === x && point[2] === y).map(point => point[0]).join("; "));
  };
  const near = event => {
    const area = drawing.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    const far = places.map(([left, top]) => Math.hypot(left * area.width - x, top * area.height - y));
    const best = far.reduce((least, distance, index) => distance < far[least] ? index : least, 0);
    if (far[best] < 40) show(best);
  };
  drawing.tabIndex = 0;
  drawing.addEventListener("pointermove", near);
  drawing.addEventListener("pointerdown", near);
  drawing.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(now + step);
  });
}

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
