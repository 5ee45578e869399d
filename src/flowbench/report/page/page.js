"use strict";

const table = document.getElementById("table");
const filter = document.getElementById("filter");
const groups = [...table.tBodies];

function key(group, column) {
  const cell = group.rows[0].cells[column];
  const value = cell.dataset.sort;
  return value === undefined ? cell.textContent.trim() : value === "" ? null : Number(value);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
}

function sort(heading) {
  const column = heading.cellIndex;
  const first = heading.classList.contains("text") ? "ascending" : "descending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === first ? other : first;
  for (const one of heading.parentElement.cells) one.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  groups.sort((a, b) => compare(key(a, column), key(b, column), sign));
  table.append(...groups);
}

function toggle(summary) {
  const detail = summary.nextElementSibling;
  detail.hidden = !detail.hidden;
  summary.setAttribute("aria-expanded", String(!detail.hidden));
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const group of groups) {
    const text = `${group.rows[0].textContent} ${group.className}`.toLowerCase();
    group.hidden = !words.every((word) => text.includes(word));
    shown += !group.hidden;
  }
  const count = document.getElementById("count");
  count.textContent = words.length ? `${shown} of ${groups.length} settings` : "";
}

for (const button of table.tHead.querySelectorAll("button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}
for (const summary of table.querySelectorAll(".summary")) {
  summary.addEventListener("click", () => toggle(summary));
  summary.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle(summary);
  });
}
for (const button of table.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
  });
}
for (const image of table.querySelectorAll("img")) {
  image.addEventListener("click", () => image.classList.toggle("large"));
}
filter.addEventListener("input", applyFilter);

const dark = matchMedia("(prefers-color-scheme: dark)");

function colors(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line, raised, ground] = ["--ink", "--line", "--raised", "--ground"].map((name) => style.getPropertyValue(name));
  const labels = (layout.annotations || []).map((_, index) => [`annotations[${index}].bgcolor`, ground]);
  const axis = (name) => ({
    [`${name}.gridcolor`]: line, [`${name}.linecolor`]: line, [`${name}.tickcolor`]: line,
  });
  return {
    ...Object.fromEntries(labels), "font.color": ink, ...axis("xaxis"), ...axis("yaxis"),
    "hoverlabel.bgcolor": raised, "hoverlabel.bordercolor": line, "hoverlabel.font.color": ink,
  };
}

async function draw(figure) {
  const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
  const place = figure.querySelector(".plot");
  await Plotly.newPlot(place, data, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  await Plotly.relayout(place, colors(layout));
  dark.addEventListener("change", () => Plotly.relayout(place, colors(layout)));
}

Promise.all([...document.querySelectorAll(".chart")].map(draw)).then(() => {
  document.documentElement.dataset.ready = "true";
});
