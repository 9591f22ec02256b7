// The network as boxes and the tensors between them: the same rows as in the table, open or shut.
"use strict";

const BOX = { width: 148, height: 38, across: 26, down: 34 };
let plan = null;

/** Which seen row a layer belongs to: itself, or the shut module around it. */
function places() {
  const shown = rowsSeenUnfiltered();
  const at = new Map();
  const claim = (item, box) => {
    if (item.group) item.items.forEach((inner) => claim(inner, box));
    else if (item.status !== "gone") {
      at.set(item.name, box);
      for (const row of item.folded) at.set(row.name, box);
    }
  };
  for (const { item, open } of shown) if (!(item.group && open)) claim(item, item);
  return at;
}
function rowsSeenUnfiltered() {
  const { query, kind, sort } = state;
  Object.assign(state, { query: "", kind: "", sort: "" });
  const shown = visible(tree);
  Object.assign(state, { query, kind, sort });
  return shown;
}

function layOut() {
  const box = places();
  const graph = now.graph;
  const maker = new Map([...graph.inputs].map((name) => [name, name]));
  for (const node of graph.nodes) for (const value of node.outputs) maker.set(value, node.name);
  const boxes = new Map();
  const edges = new Map();
  const enter = (item) => {
    if (item && !boxes.has(item.id)) boxes.set(item.id, { item, rank: 0, feeds: [], fed: [] });
  };
  for (const name of graph.inputs) enter(box.get(name));
  for (const node of graph.nodes) {
    const to = box.get(node.name);
    enter(to);
    for (const value of node.inputs) {
      const from = box.get(maker.get(value));
      if (!to || !from || from === to) continue;
      const key = `${from.id}\n${to.id}`;
      if (!edges.has(key)) edges.set(key, { from: from.id, to: to.id, size: from.size });
    }
  }
  for (const { from, to } of edges.values()) {
    boxes.get(from).feeds.push(to);
    boxes.get(to).fed.push(from);
  }
  const ranks = rank(boxes);
  const wide = Math.max(1, ...ranks.map((r) => r.length));
  ranks.forEach((row, y) => row.forEach((id, i) => {
    const own = boxes.get(id);
    own.x = 60 + ((wide - row.length) / 2 + i) * (BOX.width + BOX.across);
    own.y = 12 + y * (BOX.height + BOX.down);
  }));
  const width = 120 + wide * (BOX.width + BOX.across) - BOX.across;
  return { boxes, edges: [...edges.values()], ranks, width, height: 24 + ranks.length * (BOX.height + BOX.down) };
}
/** Shut modules may feed one another: then what is fed by a box that has its place comes next. */
function stuck(boxes, left) {
  const order = [...left];
  return order.find((id) => boxes.get(id).fed.some((from) => !left.has(from))) ?? order[0];
}
/** Rows of boxes: each below all that feed it, near to what feeds it. */
function rank(boxes) {
  const ranks = [];
  const waiting = new Map([...boxes].map(([id, b]) => [id, b.fed.length]));
  const ready = [...boxes.keys()].filter((id) => !waiting.get(id));
  const left = new Set(boxes.keys());
  while (left.size) {
    const id = ready.shift() ?? stuck(boxes, left);
    if (!left.delete(id)) continue;
    const own = boxes.get(id);
    (ranks[own.rank] ??= []).push(id);
    for (const next of own.feeds) {
      if (!left.has(next)) continue;
      boxes.get(next).rank = Math.max(boxes.get(next).rank, own.rank + 1);
      waiting.set(next, waiting.get(next) - 1);
      if (!waiting.get(next)) ready.push(next);
    }
  }
  const place = new Map();
  for (const row of ranks) {
    const middle = (id) => {
      const fed = boxes.get(id).fed.filter((f) => place.has(f));
      return fed.length ? fed.reduce((sum, f) => sum + place.get(f), 0) / fed.length : 0;
    };
    row.sort((a, b) => middle(a) - middle(b));
    row.forEach((id, i) => place.set(id, i - (row.length - 1) / 2));
  }
  return ranks.filter(Boolean);
}

function drawGraph() {
  if (byId("graph").hidden) return;
  plan = layOut();
  const svg = byId("drawing");
  svg.setAttribute("width", plan.width);
  svg.setAttribute("height", plan.height);
  svg.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`);
  drawPart();
}
/** Only what is in view is drawn, so that thousands of boxes move smoothly. */
function drawPart() {
  if (!plan || byId("graph").hidden) return;
  const frame = byId("graph");
  const [top, bottom] = whole ? [0, plan.height] : [frame.scrollTop - 200, frame.scrollTop + frame.clientHeight + 200];
  const first = Math.max(0, Math.floor((top - 12) / (BOX.height + BOX.down)));
  const last = Math.ceil(bottom / (BOX.height + BOX.down));
  const drawn = new Set(plan.ranks.slice(first, last + 1).flat());
  const near = plan.edges.filter(({ from, to }) => {
    const [a, b] = [plan.boxes.get(from), plan.boxes.get(to)];
    return a.y <= bottom && b.y + BOX.height >= top;
  });
  byId("drawing").replaceChildren(
    h("title", {}, `${data.graphs[MAIN].name} as a graph`),
    h("defs", {}, h("marker", { id: "tip", viewBox: "0 0 6 6", refX: 5.2, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" },
      h("path", { d: "M0 0 L6 3 L0 6 z", class: "tip" }))),
    ...near.map(drawEdge), ...[...drawn].map((id) => drawBox(plan.boxes.get(id))));
}
function drawEdge({ from, to, size }) {
  const [a, b] = [plan.boxes.get(from), plan.boxes.get(to)];
  const [x1, y1, x2, y2] = [a.x + BOX.width / 2, a.y + BOX.height, b.x + BOX.width / 2, b.y - 1];
  const long = b.rank > a.rank + 1;
  const side = Math.max(...plan.ranks.slice(a.rank, b.rank + 1).flat().map((id) => plan.boxes.get(id).x)) + BOX.width + 22;
  const path = long
    ? `M${x1 + 40} ${y1} C${x1 + 40} ${y1 + 20} ${side} ${y1} ${side} ${y1 + 28} L${side} ${y2 - 24} C${side} ${y2} ${x2 + 40} ${y2 - 18} ${x2 + 40} ${y2}`
    : `M${x1} ${y1} C${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2} ${x2} ${y2}`;
  const label = long ? null : h("text", { x: (x1 + x2) / 2 + 6, y: (y1 + y2) / 2 + 3.5, class: "size" }, clip(size, 22));
  return h("g", { class: long ? "edge long" : "edge" }, h("path", { d: path, "marker-end": "url(#tip)" }), label);
}
/** A name that says enough in a box: ``layer1.0``, not ``0``. */
const tag = (item) => (item.scope || item.group ? item.name.split(".").slice(-2).join(".") : item.label);
const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
function drawBox({ item, x, y }) {
  const share = item.counts && state.heat ? item.shares[state.heat] / largest[state.heat] : 0;
  const kinds = ["box", item.group && "module", item.id === state.selected && "chosen", item.changed && "changed", item.failed && "unknown", item.error && "wrong"];
  const width = Math.min(1, share) * BOX.width;
  return h("g", { class: kinds.filter(Boolean).join(" "), transform: `translate(${x} ${y})`, onclick: () => choose(item) },
    h("title", {}, `${item.name}: ${item.size}`),
    h("rect", { class: "paper", width: BOX.width, height: BOX.height, rx: 3 }),
    width > 1 && h("rect", { class: "share", width, height: 3, y: BOX.height - 3 }),
    h("text", { x: 10, y: 16, class: "label" }, clip(tag(item), 19)),
    h("text", { x: 10, y: 29, class: "kind" }, clip(item.group ? `${rowsOf(item.leaves)} · open` : item.kind, 22)));
}
function choose(item) {
  if (item.group && item.id === state.selected) toggle(item);
  select(item.id, { scroll: true });
}
function markGraph(scroll) {
  drawPart();
  const own = plan && !byId("graph").hidden && plan.boxes.get(state.selected);
  if (!own || !scroll) return;
  const frame = byId("graph");
  frame.scrollLeft = own.x + (BOX.width - frame.clientWidth) / 2;
  if (own.y < frame.scrollTop + 40 || own.y > frame.scrollTop + frame.clientHeight - 80) {
    frame.scrollTop = own.y - frame.clientHeight / 2;
  }
}
