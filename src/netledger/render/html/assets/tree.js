// The rows of the table: layers in the tree of their modules, what they count, before and after.
"use strict";

const QUANTITIES = ["params", "macs", "elements", "bytes"];
const WORDS = { params: "Parameters", macs: "MACs", elements: "Activations", bytes: "Bytes" };
const MANY = 60; // from here on, modules are shut at first

/** The counts of a row: parameters, MACs, activations, bytes; and what is not known of them. */
function countsOf(row) {
  const input = row.op === null && row.kind === "Input";
  return {
    params: row.params,
    macs: row.macs,
    elements: input ? 0n : folded(row, (r) => r.elements),
    bytes: bytesOf(row),
  };
}
/** Of a row with others folded into it, the sum over all of them. */
const folded = (row, count) => addUp([count(row), ...[...row.folded].map((r) => folded(r, count))]);
const hasUnknown = (row, what) =>
  (what === "macs" ? row.unknown.has("macs") : what === "elements" ? row.unknown.has("activations")
    : row.unknown.has("params")) || (what === "bytes" && bytesOf(row) === null);

function told(item, what) {
  const value = item.counts?.[what];
  if (item.failed) return item.partial && value ? `≥ ${show(value)}` : "?";
  if (item.row) {
    if (what === "params" || what === "macs") return Shown.count(item.row, what);
    return hasUnknown(item.row, what) ? Shown.at_least(value) : show(value);
  }
  return item.lacks?.[what] ? Shown.at_least(value) : show(value);
}

/** The size of the last output: ``55×55×96``. */
function sizeOf(view, row) {
  if (!row.outputs.length) return "–";
  return view.sizes.text(row).replaceAll("x", "×");
}

function leaf(view, row, before) {
  const counts = countsOf(row);
  const old = before;
  const size = sizeOf(view, row);
  const changed = old && (old.size !== size || QUANTITIES.some((q) => !same(old.counts[q], counts[q])));
  return {
    id: row.name, name: row.name, kind: row.kind, scope: row.scope, size, counts, row, old, changed,
    folded: [...row.folded],
  };
}

/** The rows before, by name, with what they counted. */
const before = (() => {
  const known = new Map();
  return () => {
    if (!known.has(state.ops)) {
      const rows = [...base.ledger.view(state.ops)];
      known.set(state.ops, new Map(rows.map((row) => [row.name, { row, counts: countsOf(row), size: sizeOf(base, row) }])));
    }
    return known.get(state.ops);
  };
})();

/** The leaves in order: rows, and in a difference also those that only the first network has. */
function leaves() {
  const rows = now.ledger.view(state.ops);
  const found = [];
  if (!differs()) for (const row of rows) found.push(leaf(now, row, null));
  else pair(rows, found);
  if (now.error) after(found);
  return found;
}

function pair(rows, found) {
  const known = before();
  const partner = new Map(); // what the second network's rows are called in the first
  const order = [...known.keys()];
  if (data.pairs) for (const [a, b] of data.pairs) if (a !== null && b !== null) partner.set(b, a);
  const taken = new Set();
  for (const row of rows) {
    const name = data.pairs ? partner.get(row.name) : row.name;
    const old = known.get(name) ?? null;
    if (old) taken.add(name);
    const item = leaf(now, row, old);
    if (!old) item.status = "added";
    found.push(item);
  }
  if (now.error) return;
  // What is gone stands where it stood: after the row that was before it.
  const places = new Map(found.map((item, i) => [item.old?.row.name, i]));
  const gone = order.filter((name) => !taken.has(name));
  for (const name of gone.reverse()) {
    const at = order.slice(0, order.indexOf(name)).findLast((n) => places.has(n));
    const item = leaf(base, known.get(name).row, known.get(name));
    Object.assign(item, { id: `− ${name}`, status: "gone", changed: true });
    found.splice(at === undefined ? 0 : places.get(at) + 1, 0, item);
  }
}

/** After a layer that does not fit: those of which nothing is known. */
function after(found) {
  const done = new Set(found.flatMap((item) => [item.name, ...item.folded.map((r) => r.name)]));
  const failed = now.ledger.failed;
  for (const node of now.graph.nodes) {
    if (done.has(node.name) || (!state.ops && node.op.folds && node.name !== failed)) continue;
    found.push({
      id: node.name, name: node.name, kind: node.op.kind, scope: node.scope, size: "?", node,
      failed: true, error: node.name === failed ? now.error : null, folded: [], counts: null,
    });
  }
}

/** Leaves → a tree by module path. */
function grow(items) {
  const root = { id: "", items: [], groups: new Map() };
  for (const item of items) {
    let at = root;
    let path = "";
    for (const part of item.scope ? item.scope.split(".") : []) {
      path = path ? `${path}.${part}` : part;
      let group = at.groups.get(path);
      if (!group) {
        group = { id: `/${path}`, name: path, label: part, kind: "Module", folded: [], items: [], groups: new Map(), group: true };
        at.groups.set(path, group);
        at.items.push(group);
      }
      at = group;
    }
    const within = item.scope && item.name.startsWith(`${item.scope}.`);
    item.label = within ? item.name.slice(item.scope.length + 1) : item.name;
    at.items.push(item);
  }
  add(root);
  return root;
}

/** Sums over the rows of each module. */
function add(group) {
  for (const item of group.items) if (item.group) add(item);
  const alive = group.items.filter((item) => item.status !== "gone");
  const sum = (of) => Object.fromEntries(QUANTITIES.map((q) => [q, addUp(of.map((c) => c?.[q] ?? null))]));
  group.counts = sum(alive.map((item) => item.counts));
  group.lacks = Object.fromEntries(QUANTITIES.map((q) =>
    [q, alive.some((i) => (i.group ? i.lacks[q] : i.row ? hasUnknown(i.row, q) : false))]));
  group.failed = alive.length > 0 && alive.some((item) => item.failed);
  group.partial = group.failed;
  group.size = alive.at(-1)?.size ?? "";
  group.leaves = alive.reduce((n, item) => n + (item.group ? item.leaves : 1), 0);
  const had = group.items.filter((item) => item.old);
  if (had.length) {
    group.old = { counts: sum(had.map((item) => item.old.counts)), size: had.at(-1).old.size };
  }
  group.changed = group.items.some((item) => item.changed || item.status);
}

/** The rows that are seen: open modules, what is searched for, in the order asked for. */
function visible(root) {
  const found = [];
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (item) =>
    (!state.kind || item.kind === state.kind || item.folded.some((r) => r.kind === state.kind))
    && words.every((w) => `${item.name} ${item.kind}`.toLowerCase().includes(w));
  const narrowed = words.length > 0 || state.kind !== "";
  const kept = (item) => (item.group ? item.items.some(kept) : fits(item));
  const walk = (items, level) => {
    const shown = narrowed ? items.filter(kept) : items;
    const order = state.sort ? sorted(shown) : shown;
    order.forEach((item, i) => {
      const open = item.group && (narrowed || state.open.has(item.id));
      found.push({ item, level, open, position: i + 1, among: order.length });
      if (open) walk(item.items, level + 1);
    });
  };
  if (state.sort && narrowed === false && state.sort !== "name") walk(root.items, 1);
  else walk(root.items, 1);
  return found;
}
function sorted(items) {
  const value = (item) => (state.sort === "name" ? item.label.toLowerCase() : approximate(item.counts?.[state.sort]));
  const order = [...items].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
  return state.down && state.sort !== "name" ? order.reverse() : order;
}

/** Every module that has to be open for a row to be seen. */
function reveal(name) {
  const item = leafOf(name);
  if (!item) return;
  let path = "";
  for (const part of item.scope ? item.scope.split(".") : []) {
    path = path ? `${path}.${part}` : part;
    state.open.add(`/${path}`);
  }
}
let all = [];
let tree = null;
let rowsSeen = [];
const leafOf = (name) => all.find((item) => item.id === name || item.folded.some((r) => r.name === name));
function itemOf(id) {
  if (id === null) return null;
  if (!id.startsWith("/")) return all.find((item) => item.id === id) ?? null;
  const find = (group) => {
    for (const item of group.items) {
      if (item.id === id) return item;
      const within = item.group && id.startsWith(item.id) ? find(item) : null;
      if (within) return within;
    }
    return null;
  };
  return find(tree);
}
function plant() {
  all = leaves();
  tree = grow(all);
}
function openAtFirst() {
  const shut = all.length > MANY;
  const walk = (group) => {
    for (const item of group.items) {
      if (!item.group) continue;
      if (!shut) state.open.add(item.id);
      walk(item);
    }
  };
  walk(tree);
}
