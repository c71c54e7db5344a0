// Keeps the demo's codes fresh without loading the page again.
"use strict";
async function refresh() {
  const answer = await fetch("/codes");
  for (const item of await answer.json()) {
    const row = document.querySelector(`li[data-label="${CSS.escape(item.label)}"]`);
    if (!row) return location.reload();
    row.querySelector(".code").textContent = `${item.code.slice(0, 3)} ${item.code.slice(3)}`;
    row.querySelector(".left b").textContent = item.left;
    row.querySelector(".bar i").style.width = `${(item.left / 30) * 100}%`;
  }
}
async function collect() {
  const newest = Number(document.querySelector("#mail").dataset.newest);
  const [letter] = await (await fetch("/letters")).json();
  if (letter && letter.number > newest) location.reload();
}
setInterval(() => collect().catch(() => {}), 2000);
setInterval(() => refresh().catch(() => {}), 1000);
