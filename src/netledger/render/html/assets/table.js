// The table of rows: a tree that keyboards and screen readers know; only what is seen is there.
"use strict";

const COLUMNS = ["size", ...QUANTITIES];
const COLUMN_WORDS = { name: "Layer", size: "Output", ...WORDS };
const narrow = matchMedia("(max-width: 720px)");
const rowHeight = () => (differs() ? 46 : narrow.matches ? 44 : 30);
let whole = false; // when printing, every row is there

function drawTable() {
  rowsSeen = visible(tree);
  const grid = $id("grid");
  grid.setAttribute("aria-rowcount", rowsSeen.length + 1);
  grid.classList.toggle("compared", differs());
  setWidths(grid);
  $id("canvas").style.height = `${rowsSeen.length * rowHeight()}px`;
  drawHead();
  largest = new Map(QUANTITIES.map((q) => [q, Math.max(1, ...all.map((i) => approximate(i.counts?.[q])))]));
  $id("modules").hidden = !all.some((item) => item.scope);
  $id("none").hidden = rowsSeen.length > 0;
  $id("count").textContent = `${all.length} ${all.length === 1 ? "row" : "rows"}`;
  drawRows();
}
let largest = new Map();

/** Columns are as wide as their longest number, and no wider. */
function setWidths(grid) {
  const parts = [...tree.items, ...all];
  const fit = (key, texts, least, most) => {
    const longest = texts.reduce((n, text) => Math.max(n, text.length), 0);
    grid.style.setProperty(`--${key}`, `${Math.min(most, Math.max(least, longest * 7.9 + 18))}px`);
  };
  fit("size", parts.map((i) => i.size), 84, 170);
  for (const q of QUANTITIES) {
    const long = (value) => typeof value !== "bigint" || value >= most;
    let most = 0n;
    for (const i of parts) for (const c of [i.counts, i.old?.counts]) if (typeof c?.[q] === "bigint" && c[q] > most) most = c[q];
    // Only the largest numbers, formulas and what is marked can be the longest.
    const own = parts.filter((i) => i.counts && (long(i.counts[q]) || i.row?.unknown.size || i.row?.parameters.some((p) => p.tied_to !== null)));
    const old = parts.filter((i) => i.old && long(i.old.counts[q]));
    fit(q, [...own.map((i) => told(i, q)), ...old.map((i) => show(i.old.counts[q]))], q === "macs" ? 64 : 92, 210);
  }
}

function drawHead() {
  const head = $id("head");
  const sorts = (key) => state.sort === key;
  head.replaceChildren(...["name", ...COLUMNS].map((key, i) => {
    const ordered = sorts(key) ? (state.down && key !== "name" ? "descending" : "ascending") : null;
    const arrow = ordered ? h("span", { class: "arrow", "aria-hidden": "true" }, ordered === "ascending" ? "↑" : "↓") : null;
    const text = COLUMN_WORDS[key];
    const cell = { role: "columnheader", class: `cell ${key}`, "aria-colindex": i + 1, "aria-sort": ordered };
    if (key === "size") return h("div", cell, text);
    return h("div", cell, h("button", { type: "button", onclick: () => sortBy(key) }, text, arrow));
  }));
}
function sortBy(key) {
  if (state.sort !== key) [state.sort, state.down] = [key, true];
  else if (state.down && key !== "name") state.down = false;
  else state.sort = "";
  drawTable();
}

function drawRows() {
  const canvas = $id("canvas");
  const size = rowHeight();
  const top = canvas.getBoundingClientRect().top;
  const first = whole ? 0 : Math.max(0, Math.floor(-top / size) - 4);
  const last = whole ? rowsSeen.length : Math.min(rowsSeen.length, Math.ceil((innerHeight - top) / size) + 4);
  const drawn = [];
  for (let i = first; i < last; i++) drawn.push(drawRow(rowsSeen[i], i, size));
  canvas.replaceChildren(...drawn);
  $id("grid").setAttribute("aria-activedescendant", drawn.some((r) => r.id === activeId()) ? activeId() : "");
  if (!drawn.some((r) => r.id === activeId())) $id("grid").removeAttribute("aria-activedescendant");
}
const activeId = () => `row-${rowsSeen.findIndex(({ item }) => item.id === state.selected)}`;

function drawRow({ item, level, open, position, among }, index, size) {
  const chosen = item.id === state.selected;
  const kinds = ["row", item.group && "module", item.changed && "changed", item.status, item.error && "wrong", item.failed && "unknown"];
  const row = h("div", {
    role: "row", id: `row-${index}`, class: kinds.filter(Boolean).join(" "),
    "aria-level": level, "aria-setsize": among, "aria-posinset": position, "aria-rowindex": index + 2,
    "aria-selected": String(chosen), "aria-expanded": item.group ? String(open) : null,
    onclick: (event) => {
      if (item.group && (event.target.closest(".twist") || chosen)) toggle(item);
      else select(item.id);
    },
  });
  row.style.transform = `translateY(${index * size}px)`;
  row.style.height = `${size}px`;
  const then = item.folded.length ? ` → ${item.folded.map((r) => r.kind).join(" → ")}` : "";
  const kind = item.group ? `${item.leaves} ${item.leaves === 1 ? "row" : "rows"}` : `${item.kind}${then}`;
  const mark = item.error ? "error" : item.status === "gone" ? "removed" : item.status === "added" ? "added" : findingsOf(item).length ? "note" : "";
  const name = h("div", { role: "gridcell", class: "cell name", "aria-colindex": 1 },
    h("span", { class: "indent", width: `${(level - 1) * 16}px` }),
    h("span", { class: "twist", "aria-hidden": "true" }, item.group ? (open ? "▾" : "▸") : ""),
    h("span", { class: "names" },
      h("span", { class: "label", title: item.name }, item.label || item.name),
      h("span", { class: "kind" }, kind),
      h("span", { class: "small" }, `${item.size}`)),
    mark && h("span", { class: `mark ${mark}` }, mark));
  row.append(name, sizeCell(item), ...QUANTITIES.map((q, i) => countCell(item, q, i + 3)));
  return row;
}
function sizeCell(item) {
  const was = item.old && item.old.size !== item.size && item.status !== "gone" ? item.old.size : null;
  return h("div", { role: "gridcell", class: "cell size", "aria-colindex": 2 },
    was && h("span", { class: "was" }, was), h("span", { class: was ? "is" : "" }, item.size));
}
function countCell(item, what, index) {
  const text = told(item, what);
  const value = item.counts?.[what];
  const was = item.old && !item.failed && item.status !== "gone" && !same(item.old.counts[what], value)
    ? show(item.old.counts[what]) : null;
  const parts = what === "elements" && item.folded.length
    ? [item.row, ...item.folded].map((r) => `${r.name} ${show(r.elements)}`).join(" + ") : null;
  const cell = h("div", { role: "gridcell", class: `cell number ${what}`, "aria-colindex": index, title: parts },
    was && h("span", { class: "was" }, h("span", { class: "hidden" }, "was "), was),
    h("span", { class: [was && "is", (text === "0" || text === "–") && "zero"].filter(Boolean).join(" ") }, text));
  const share = state.heat === what && !item.group ? approximate(value) / largest.get(what) : 0;
  if (share > 0.04) { // a thinner bar would look like a rule
    cell.classList.add("heated");
    const bar = h("span", { class: "heat", "aria-hidden": "true" });
    bar.style.width = `${share * 100}%`;
    cell.prepend(bar);
  }
  return cell;
}

// --- what is chosen, open, and the keys ---

function select(id, { scroll = false } = {}) {
  state.selected = id;
  rememberSoon();
  if (scroll) {
    reveal(id);
    rowsSeen = visible(tree);
    drawTable();
    drawGraph();
    keepInView();
  } else drawRows();
  drawDetail();
  markGraph(scroll);
}
function toggle(item) {
  if (!state.open.delete(item.id)) state.open.add(item.id);
  drawTable();
  drawGraph();
}
function keepInView() {
  const at = rowsSeen.findIndex(({ item }) => item.id === state.selected);
  if (at < 0) return;
  const size = rowHeight();
  const head = $id("head").offsetHeight + 8;
  const top = $id("canvas").getBoundingClientRect().top + at * size;
  if (top < head) scrollBy(0, top - head);
  else if (top + size > innerHeight - 8) scrollBy(0, top + size - innerHeight + 8);
  drawRows();
}
function onKey(event) {
  if (event.target !== $id("grid") || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = rowsSeen.findIndex(({ item }) => item.id === state.selected);
  const go = (i) => {
    const to = rowsSeen[Math.max(0, Math.min(rowsSeen.length - 1, i))];
    if (!to) return;
    select(to.item.id);
    keepInView();
  };
  const own = rowsSeen[at];
  const page = Math.max(1, Math.floor(innerHeight / rowHeight()) - 3);
  const keys = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at < 0 ? 0 : at - 1),
    Home: () => go(0),
    End: () => go(rowsSeen.length - 1),
    PageDown: () => go(at + page),
    PageUp: () => go(at - page),
    ArrowRight: () => (own?.item.group && !own.open ? toggle(own.item) : go(at + 1)),
    ArrowLeft: () => {
      if (own?.item.group && own.open) return toggle(own.item);
      const parent = rowsSeen.slice(0, Math.max(at, 0)).findLastIndex((r) => r.level < (own?.level ?? 1));
      return parent >= 0 ? go(parent) : undefined;
    },
    Enter: () => own?.item.group && toggle(own.item),
    " ": () => own?.item.group && toggle(own.item),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

/** What check found of a row; findings of `infer` are those of the network as it is now. */
function findingsOf(item) {
  if (item.group || !item.name) return [];
  const names = new Set([item.name, ...item.folded.map((r) => r.name)]);
  const found = (edited() ? [] : data.findings).filter((f) => names.has(f.row));
  const own = edited() && now.ledger ? [...now.ledger.findings].filter((f) => names.has(f.row)) : [];
  return [...found, ...own];
}
