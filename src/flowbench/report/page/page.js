"use strict";

const table = document.getElementById("table");
const filter = document.getElementById("filter");
const groups = [...table.tBodies];

function key(group, column) {
  const cell = group.rows[0].cells[column];
  const value = cell.dataset.v;
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
  summary.querySelector("button").setAttribute("aria-expanded", String(!detail.hidden));
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
  summary.addEventListener("click", () => toggle(summary)); // a click on its button comes here too
}
for (const button of table.querySelectorAll(".command button")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
  });
}
for (const link of table.querySelectorAll(".figures a")) link.href = link.firstChild.src;
filter.addEventListener("input", applyFilter);
document.documentElement.dataset.ready = "true";
