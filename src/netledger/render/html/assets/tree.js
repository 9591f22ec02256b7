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
/** Of which counts of a row something is unknown. */
const lacksOf = ({ unknown }, counts) => ({
  params: unknown.has("params"), macs: unknown.has("macs"), elements: unknown.has("activations"),
  bytes: unknown.has("params") || counts.bytes === null,
});

function told(item, what) {
  const value = item.counts?.[what];
  if (item.failed) return item.partial && value ? `≥ ${show(value)}` : "?";
  if (item.row) {
    if (what === "params" || what === "macs") return Shown.count(item.row, what);
  }
  return item.lacks[what] ? Shown.at_least(value) : show(value);
}

/** The size of the last output: ``55×55×96``. */
function sizeOf(view, row) {
  if (!row.outputs.length) return "–";
  return view.sizes.text(row).replaceAll("x", "×");
}

/** What the size of a row prints by, beside the row itself. */
function printing({ sizes }, row) {
  if (sizes.layout === "source") return "source";
  let text = sizes.layout;
  for (const value of row.made) text += `${sizes._last.get(value)} ${sizes._fed.has(value)}`;
  return text;
}

/** A row as it is shown: with what it counts, and what it counted before. */
function leaf(view, row, old, prints) {
  const { name, kind, scope, folded } = row;
  const known = view === base && old?.row === row; // as at first
  const counts = known ? old.counts : countsOf(row);
  const size = known ? old.size : sizeOf(view, row);
  return {
    id: name, name, kind, scope, folded, label: labelOf(row), row, old, prints, stamp: ++stamps,
    size, counts, shares: sharesOf(counts), lacks: lacksOf(row, counts), status: old ? undefined : "added",
    marked: row.unknown.size > 0 || row.parameters.some((p) => p.tied_to !== null),
    changed: old !== null && (old.size !== size || QUANTITIES.some((q) => !same(old.counts[q], counts[q]))),
  };
}
let stamps = 0; // a number for each state of an item, so that what shows it knows when it is old
const labelOf = ({ name, scope }) => (scope && name.startsWith(`${scope}.`) ? name.slice(scope.length + 1) : name);
const sharesOf = (counts) => Object.fromEntries(QUANTITIES.map((q) => [q, approximate(counts[q])]));

const shown = new Map(); // what was shown last of each row
/** The same object as long as nothing of the row changes. */
function leafOnce(row, old) {
  const last = shown.get(row.name);
  const prints = printing(now, row);
  if (last && last.old === old && last.prints === prints && sameRow(last.row, row)) return last;
  const item = leaf(now, row, old, prints);
  shown.set(row.name, item);
  return item;
}
/** Rows that were derived once: the outputs of a row are made with it and with no other. */
const sameRow = (a, b) => a.outputs === b.outputs && a.folded.length === b.folded.length
  && a.folded.every((part, i) => part.outputs === b.folded[i].outputs);

/** The rows before, by name, with what they counted. */
const before = (() => {
  const known = new Map();
  return () => {
    if (!known.has(state.ops)) {
      const rows = base.ledger.view(state.ops);
      known.set(state.ops, new Map(rows.map((row) => [row.name, { row, counts: countsOf(row), size: sizeOf(base, row) }])));
    }
    return known.get(state.ops);
  };
})();

/** The leaves in order: rows, and in a difference also those that only the first network has. */
function leaves() {
  const known = before();
  const partner = data.pairs && new Map(data.pairs.filter((pair) => !pair.includes(null)).map(([a, b]) => [b, a]));
  const taken = new Set();
  const found = now.ledger.view(state.ops).map((row) => {
    const old = known.get(partner ? partner.get(row.name) : row.name) ?? null;
    if (old) taken.add(old.row.name);
    return leafOnce(row, old);
  });
  if (now.error) after(found);
  else if (taken.size < known.size) gone(found, known, taken);
  return found;
}

/** What is gone stands where it stood: after the row that was before it. */
function gone(found, known, taken) {
  const places = new Map(found.map((item) => [item.old?.row.name, item]));
  const fates = new Map(); // the rows that are gone, by the one that is there before them
  let last = null;
  for (const [name, old] of known) {
    if (taken.has(name)) last = places.get(name);
    else fates.set(last, [...(fates.get(last) ?? []), goneOf(old)]);
  }
  const order = [...(fates.get(null) ?? []), ...found.flatMap((item) => [item, ...(fates.get(item) ?? [])])];
  found.splice(0, found.length, ...order);
}

/** A value that is worked out once for each thing. */
const once = (work) => {
  const done = new WeakMap();
  return (thing) => {
    if (!done.has(thing)) done.set(thing, work(thing));
    return done.get(thing);
  };
};

const goneOf = once((old) => ({ ...leaf(base, old.row, old), id: `− ${old.row.name}`, status: "gone", changed: true }));

/** After a layer that does not fit: those of which nothing is known. */
function after(found) {
  const done = new Set(found.flatMap((item) => [item.name, ...item.folded.map((r) => r.name)]));
  const failed = now.ledger.failed;
  for (const node of now.graph.nodes) {
    if (done.has(node.name) || (!state.ops && node.op.folds && node.name !== failed)) continue;
    found.push({
      id: node.name, name: node.name, kind: node.op.kind, scope: node.scope, size: "?", node, stamp: ++stamps,
      label: labelOf(node), failed: true, error: node.name === failed ? now.error : null, folded: [], counts: null, shares: {}, lacks: {},
    });
  }
}

/** Leaves → a tree by module path. */
function grow(items) {
  const root = { id: "", items: [], parent: null };
  const groups = new Map([["", root]]);
  const enter = (path) => {
    if (groups.has(path)) return groups.get(path);
    const at = path.lastIndexOf(".");
    const parent = enter(at < 0 ? "" : path.slice(0, at));
    const group = { id: `/${path}`, name: path, label: path.slice(at + 1), kind: "Module", folded: [], items: [], group: true, parent };
    groups.set(path, group);
    parent.items.push(group);
    return group;
  };
  const within = new Map(); // how many leaves each path has
  for (const { scope } of items) within.set(scope, (within.get(scope) ?? 0) + 1);
  const inner = new Set(items.flatMap(({ scope }) => (scope.includes(".") ? [scope.slice(0, scope.lastIndexOf("."))] : [])));
  seats = items.map((item) => {
    // A module that is nothing but its own row needs no branch.
    const alone = item.name === item.scope && within.get(item.scope) === 1 && !inner.has(item.scope);
    const at = item.scope.lastIndexOf(".");
    if (alone) item.label = item.scope.slice(at + 1);
    const group = enter(alone ? item.scope.slice(0, Math.max(at, 0)) : item.scope);
    return { group, at: group.items.push(item) - 1 };
  });
  add(root);
  return root;
}
let seats = []; // where in the tree each leaf stands

/** Sums over the rows of each module; only of those in `touched`, where that is given. */
function add(group, touched = null) {
  for (const item of group.items) if (item.group && (!touched || touched.has(item))) add(item, touched);
  const alive = group.items.filter((item) => item.status !== "gone");
  const had = group.items.filter((item) => item.old);
  const sum = (of) => Object.fromEntries(QUANTITIES.map((q) => [q, addUp(of.map((c) => c?.[q] ?? null))]));
  const counts = sum(alive.map((item) => item.counts));
  const failed = alive.some((item) => item.failed);
  Object.assign(group, {
    counts, shares: sharesOf(counts), failed, partial: failed, stamp: ++stamps,
    lacks: Object.fromEntries(QUANTITIES.map((q) => [q, alive.some((item) => item.lacks[q])])),
    size: alive.at(-1)?.size ?? "",
    leaves: alive.reduce((n, item) => n + (item.group ? item.leaves : 1), 0),
    old: had.length ? { counts: sum(had.map((item) => item.old.counts)), size: had.at(-1).old.size } : null,
    changed: group.items.some((item) => item.changed || item.status),
  });
}

/** The same tree with other leaves at some of its places. */
function graft(items) {
  const touched = new Set();
  items.forEach((item, i) => {
    if (item === all[i]) return;
    const { group, at } = seats[i];
    group.items[at] = item;
    item.label = all[i].label;
    for (let up = group; up && !touched.has(up); up = up.parent) touched.add(up);
  });
  if (touched.size) add(tree, touched);
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
  const value = (item) => (state.sort === "name" ? item.label.toLowerCase() : item.shares[state.sort] ?? 0);
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
  const items = leaves();
  const alike = items.length === all.length && items.every((item, i) => item.id === all[i].id && item.scope === all[i].scope);
  if (alike) graft(items);
  else tree = grow(items);
  all = items;
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
