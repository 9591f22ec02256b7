// The table of rows: a tree that keyboards and screen readers know; only what is seen is there.
"use strict";

const COLUMNS = ["size", ...QUANTITIES];
const COLUMN_WORDS = { name: "Layer", size: "Output", ...WORDS };
const narrow = matchMedia("screen and (max-width: 720px)");
/** What was and what is stand one above the other; such a row is higher. */
const heightOf = (item) => (narrow.matches ? 44 : wasOther(item) ? 42 : 30);
const wasOther = ({ old, status, failed, size, counts }) =>
  old && status !== "gone" && (old.size !== size || (!failed && QUANTITIES.some((q) => !same(old.counts[q], counts[q]))));
let tops = [0]; // where each of the rows seen begins, and where the last one ends
const FEW = 60; // so many are always there, for the browser's own search too
let whole = false; // when printing, every row is there

function drawTable() {
  rowsSeen = visible(tree);
  const grid = byId("grid");
  grid.setAttribute("aria-rowcount", rowsSeen.length + 1);
  measure(grid);
  tops = [0];
  for (const { item } of rowsSeen) tops.push(tops.at(-1) + heightOf(item));
  byId("canvas").style.height = `${tops.at(-1)}px`;
  drawHead();
  byId("modules").hidden = !tree.items.some((item) => item.group);
  byId("none").hidden = rowsSeen.length > 0;
  byId("count").textContent = rowsOf(all.length);
  drawRows();
}
const rowsOf = (n) => (n === 1 ? "1 row" : `${$grouped(n)} rows`);
let largest = {}; // of each quantity in one row

/** Columns are as wide as their longest number, and no wider. */
function measure(grid) {
  const most = Object.fromEntries(QUANTITIES.map((q) => [q, 0n]));
  const long = { size: 0, params: 0, macs: 0, elements: 0, bytes: 0 };
  const count = (q, value) => {
    if (typeof value !== "bigint") long[q] = Math.max(long[q], show(value).length);
    else if (value > most[q]) most[q] = value;
  };
  largest = { params: 1, macs: 1, elements: 1, bytes: 1 };
  for (const item of [...tree.items, ...all]) {
    long.size = Math.max(long.size, item.size.length);
    for (const q of QUANTITIES) {
      if (item.counts) count(q, item.counts[q]);
      if (item.old && item.changed) count(q, item.old.counts[q]);
      if (item.marked) long[q] = Math.max(long[q], told(item, q).length);
      if (!item.group && item.shares[q] > largest[q]) largest[q] = item.shares[q];
    }
  }
  const fit = (key, letters, least, limit) =>
    grid.style.setProperty(`--${key}`, `${Math.min(limit, Math.max(least, letters * 7.9 + 18))}px`);
  fit("size", long.size, 84, 170);
  for (const q of QUANTITIES) fit(q, Math.max(long[q], show(most[q]).length), q === "macs" ? 64 : 92, 210);
}

function drawHead() {
  const sorts = (key) => state.sort === key;
  drawList(byId("head"), ["name", ...COLUMNS].map((key, i) => {
    const ordered = sorts(key) ? (state.down && key !== "name" ? "descending" : "ascending") : null;
    return [key, ordered, () => {
      const arrow = ordered ? h("span", { class: "arrow", "aria-hidden": "true" }, ordered === "ascending" ? "↑" : "↓") : null;
      const cell = { role: "columnheader", class: `cell ${key}`, "aria-colindex": i + 1, "aria-sort": ordered };
      if (key === "size") return h("div", cell, COLUMN_WORDS[key]);
      return h("div", cell, h("button", { type: "button", onclick: () => sortBy(key) }, COLUMN_WORDS[key], arrow));
    }];
  }));
}
function sortBy(key) {
  if (state.sort !== key) [state.sort, state.down] = [key, true];
  else if (state.down && key !== "name") state.down = false;
  else state.sort = "";
  drawTable();
}

function drawRows() {
  const canvas = byId("canvas");
  const top = canvas.getBoundingClientRect().top;
  const every = whole || rowsSeen.length <= FEW;
  const first = every ? 0 : Math.max(0, rowAt(-top) - 4);
  const last = every ? rowsSeen.length : Math.min(rowsSeen.length, rowAt(innerHeight - top) + 5);
  const drawn = [];
  for (let i = first; i < last; i++) {
    const { item, level, open, position, among } = rowsSeen[i];
    const chosen = item.id === state.selected;
    const says = `${item.stamp} ${i} ${tops[i]} ${tops[i + 1]} ${level} ${open} ${position}/${among} ${chosen} ${state.heat} ${largest[state.heat]} ${noteOf(item)}`;
    drawn.push([item.id, says, () => drawRow(rowsSeen[i], i)]);
  }
  drawList(canvas, drawn);
  const active = rowsSeen.slice(first, last).findIndex(({ item }) => item.id === state.selected);
  if (active < 0) byId("grid").removeAttribute("aria-activedescendant");
  else byId("grid").setAttribute("aria-activedescendant", `row-${first + active}`);
}
/** Which row is at a height of the table. */
function rowAt(y) {
  let low = 0, high = rowsSeen.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle + 1] > y) high = middle;
    else low = middle + 1;
  }
  return low;
}
const noteOf = (item) =>
  (item.error ? "error" : item.status === "gone" ? "removed" : item.status === "added" ? "added" : findingsOf(item).length ? "note" : "");

function drawRow({ item, level, open, position, among }, index) {
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
  row.style.transform = `translateY(${tops[index]}px)`;
  row.style.height = `${tops[index + 1] - tops[index]}px`;
  const then = item.folded.length ? ` → ${item.folded.map((r) => r.kind).join(" → ")}` : "";
  const kind = item.group ? rowsOf(item.leaves) : `${item.kind}${then}`;
  const mark = noteOf(item);
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
  const share = state.heat === what && !item.group ? item.shares[what] / largest[what] : 0;
  if (share > 0.01) {
    cell.classList.add("heated");
    const shade = h("span", { class: "heat", "aria-hidden": "true" });
    shade.style.opacity = String(share);
    cell.prepend(shade);
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
  const head = byId("head").offsetHeight + 8;
  const [top, end] = [tops[at], tops[at + 1]].map((y) => byId("canvas").getBoundingClientRect().top + y);
  if (top < head) scrollBy(0, top - head);
  else if (end > innerHeight - 8) scrollBy(0, end - innerHeight + 8);
  drawRows();
}
function onKey(event) {
  if (event.target !== byId("grid") || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = rowsSeen.findIndex(({ item }) => item.id === state.selected);
  const go = (i) => {
    const to = rowsSeen[Math.max(0, Math.min(rowsSeen.length - 1, i))];
    if (!to) return;
    select(to.item.id);
    keepInView();
  };
  const own = rowsSeen[at];
  const page = Math.max(1, rowAt((tops[at] ?? 0) + innerHeight) - Math.max(at, 0) - 3);
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
