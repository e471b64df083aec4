"""The look of the report and the script of its slider, inside the page so that it opens without a network."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2125; --faint: #5f6872; --line: #d9dee3; --panel: #f5f7f9;
  --accent: #b4530a; --warn: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191d; --ink: #e6e9ec; --faint: #9aa4ae; --line: #343b43;
  --panel: #1f242a; --accent: #f59e5b; --warn: #3a2c12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 1500px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.35rem; margin: 2.5rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
a { color: var(--accent); } p { max-width: 75ch; margin: .5rem 0; }
.prompt { font-size: 1.1rem; color: var(--faint); margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.refusal { background: var(--warn); border-left: 4px solid var(--accent); padding: .7rem 1rem; border-radius: 4px; }
.refusal p { margin: 0; max-width: none; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); font-weight: 600; }
thead th { background: var(--panel); vertical-align: bottom; } thead th:first-child { background: var(--panel); }
tr:last-child > * { border-bottom: 0; } tr.share th { color: var(--accent); }
td small { display: block; color: var(--faint); } td strong { display: block; color: var(--accent); }
td.text, th.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); margin: .6rem 0; }
.cells { display: grid; grid-template-columns: minmax(0, 1fr); gap: .8rem; }
.cell h4 { margin: .2rem 0; font-size: .95rem; } .cell h4 span { color: var(--faint); font-weight: 400; }
.negative { margin: 0 0 .3rem; color: var(--faint); font: .8rem/1.4 ui-monospace, monospace; max-width: none;
  overflow-wrap: anywhere; }
.row { display: flex; gap: 6px; overflow-x: auto; padding-bottom: 4px; }
figure { margin: 0; } figcaption { font-size: .75rem; color: var(--faint); text-align: center; }
.row img { width: 144px; height: 144px; object-fit: contain; image-rendering: pixelated; background: var(--panel);
  display: block; border-radius: 3px; }
.strip img { max-width: 100%; display: block; border: 1px solid var(--line); border-radius: 4px; margin: .4rem 0; }
.chart { max-width: 760px; margin: .4rem 0 .8rem; } .chart > svg { width: 100%; display: block; }
.chart > svg path { stroke: var(--line); } .chart text { fill: var(--faint); font-size: 12px; }
.chart figcaption { text-align: left; font-size: .82rem; } .chart span { white-space: nowrap; margin-right: .8rem; }
.chart .key { display: inline-block; width: 28px; height: 8px; vertical-align: middle; }
.slider { display: grid; gap: .6rem 1.5rem; grid-template-columns: minmax(0, 512px) minmax(14rem, 28rem);
  align-items: start; }
@media (max-width: 760px) { .slider { grid-template-columns: 1fr; } }
.pick { display: flex; flex-direction: column; gap: .5rem; } .pick label { display: grid; color: var(--faint); }
select { font: inherit; padding: .35rem .5rem; color: var(--ink); background: var(--panel); max-width: 100%;
  border: 1px solid var(--line); border-radius: 4px; }
.pair { position: relative; aspect-ratio: 1; background: var(--panel); border-radius: 4px; overflow: hidden; }
.pair img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; image-rendering: pixelated; }
.pair .left { clip-path: inset(0 calc(100% - var(--at, 50%)) 0 0); background: var(--panel); }
.pair::after { content: ""; position: absolute; inset: 0 auto 0 var(--at, 50%); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 0 1px #0008; }
.slider input { width: 100%; accent-color: var(--accent); margin: 0; }
.ends { display: flex; justify-content: space-between; gap: 1rem; font-size: .85rem; color: var(--faint); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); padding: .5rem .7rem;
  border-radius: 4px; font-size: .78rem; margin: .2rem 0; }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById("pictures").textContent);
const $ = (name) => document.getElementById(name);
const fill = (select, names, chosen) => {
  names.forEach((name, index) => select.add(new Option(name, index, false, index === chosen)));
};
fill($("seed"), data.seeds, 0);
fill($("left"), data.cells.map((cell) => cell.label), data.left);
fill($("right"), data.cells.map((cell) => cell.label), data.right);
const show = () => {
  for (const side of ["left", "right"]) {
    const cell = data.cells[$(side).value], [file, text] = cell.pictures[$("seed").value];
    $(side + "-picture").src = file;
    $(side + "-picture").alt = cell.label + ", seed " + data.seeds[$("seed").value];
    $(side + "-end").textContent = cell.label;
    $(side + "-text").textContent = text;
  }
};
["seed", "left", "right"].forEach((name) => $(name).addEventListener("change", show));
const move = () => $("pair").style.setProperty("--at", $("at").value + "%");
$("at").addEventListener("input", move);
$("pair").addEventListener("pointermove", (event) => {
  const box = $("pair").getBoundingClientRect();
  $("at").value = Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width));
  move();
});
show();
"""
