// Totals, and the bars that show in which layers the parameters and the MACs are.
"use strict";

const FAMILIES = [
  ["conv", "convolutions", ["Conv", "DepthwiseConv", "LocallyConnected", "ConvTranspose"]],
  ["dense", "fully connected layers", ["Linear"]],
  ["mix", "attention and products", ["MultiHeadAttention", "ScaledDotProductAttention", "MatMul", "Einsum", "RNN", "GRU", "LSTM"]],
  ["table", "embeddings", ["Embedding", "Tensor"]],
  ["dense", "modules", ["Module"]],
].map(([key, word, kinds]) => ({ key, word, kinds }));
const REST = { key: "rest", word: "other layers", kinds: [] };
const familyByKind = new Map(FAMILIES.flatMap((family) => family.kinds.map((kind) => [kind, family])));
const familyOf = (kind) => familyByKind.get(kind) ?? REST;

const TOLD = [
  ["params", "parameters"], ["macs", "MACs"], ["neurons", "neurons"],
  ["activations", "activations"], ["bytes", "bytes stored"],
];
function drawTotals() {
  const { totals } = now;
  const before = base.totals;
  drawList(byId("totals"), TOLD.map(([what, word]) => {
    const value = totals[what];
    const text = tellTotal(totals, what);
    const old = tellTotal(before, what);
    const split = what === "params" && !now.error
      ? `${show(totals.weights)} weights + ${show(totals.biases)} biases`
        + (isZero(totals.buffers) ? "" : `; ${show(totals.buffers)} buffers apart`) : null;
    const changed = differs() && text !== old;
    return [what, [text, old, split, changed, Boolean(now.error)].join(), () => h("div", { class: now.error ? "lost" : changed ? "changed" : "" },
      h("dt", {}, word),
      h("dd", { class: "value", "data-total": what }, now.error ? "unknown" : text),
      now.error && h("dd", { class: "split" }, value && !isZero(value) ? `${show(value)} up to there` : ""),
      changed && !now.error && h("dd", { class: "from" }, h("span", { class: "hidden" }, "was "), h("s", {}, old),
        h("span", { class: "delta" }, ` ${signed(before[what], value)}`)),
      !changed && split && h("dd", { class: "split" }, split))];
  }));
}
/** A total as the tables print it: marked where it is only a lower bound. */
function tellTotal(totals, what) {
  const causes = { neurons: ["activations", "params"], bytes: ["params"] }[what] ?? [what];
  return causes.some((c) => totals.unknown.has(c)) ? Shown.at_least(totals[what]) : show(totals[what]);
}

function drawBars() {
  const place = byId("bars");
  if (!place.children.length) {
    place.append(...["params", "macs"].map((what) => h("figure", { class: "bar", id: `bar-${what}` }, h("figcaption"), h("div", { class: "track" }))));
  }
  const parts = all.filter((item) => item.row && item.status !== "gone");
  for (const what of ["params", "macs"]) drawBar(what, parts);
}
function drawBar(what, parts) {
  const sized = parts.filter((item) => item.shares[what] > 0);
  const total = sized.reduce((sum, item) => sum + item.shares[what], 0);
  const shares = new Map();
  for (const item of sized) {
    const family = familyOf(item.kind);
    const known = shares.get(family) ?? { size: 0, count: 0 };
    shares.set(family, { size: known.size + item.shares[what], count: known.count + 1 });
  }
  const order = [...shares].sort((a, b) => b[1].size - a[1].size).slice(0, 3);
  const legend = order.map(([{ key, word }, { size, count }]) => {
    const [share, rest] = [`${percent(size, total)} %`, ` in ${$grouped(count)} ${count === 1 ? word.replace(/s\b/, "") : word}`];
    return [key, share + rest, () => h("span", { class: "key" }, h("i", { class: `swatch ${key}`, "aria-hidden": "true" }), h("b", {}, share), rest)];
  });
  const lack = now.totals.unknown.has(what) || now.error ? (total ? "of what is known" : "unknown") : total ? "" : "none";
  const [caption, track] = byId(`bar-${what}`).children;
  drawList(caption, [["", "", () => h("span", { class: "what" }, WORDS[what])], ...legend,
    ...(lack ? [["lack", lack, () => h("span", { class: "key" }, lack)]] : [])]);
  track.hidden = !total;
  drawList(track, merge(sized, what, total).map((part) => piece(what, part, total)));
}
const percent = (size, total) => {
  const share = (100 * size) / total;
  return share >= 99.95 && share < 100 ? "99.9" : share < 0.05 ? "<0.1" : share.toFixed(1);
};
/** A layer in a bar, or many that are too thin to be seen. */
function piece(what, { items, size }, total) {
  const [item, ...more] = items;
  const { key } = familyOf(most(items, what).kind);
  const name = more.length ? `${rowsOf(items.length)} from ${item.name}` : item.name;
  const share = size / total;
  const label = more.length ? (share > 0.08 ? rowsOf(items.length) : "") : tagWithin(item, share);
  return [item.id, `${items.length} ${share.toFixed(5)} ${key} ${label}`, () => {
    const made = h("button", {
      type: "button", class: `piece ${key}`, tabindex: "-1", "aria-label": name, "data-row": item.id,
      onpointerenter: (e) => { e.target.title = `${name}: ${percent(share, 1)} % of the ${WORDS[what]}`; },
    }, label && h("span", {}, label));
    made.style.flexGrow = share.toFixed(5);
    return made;
  }];
}
const most = (items, what) => items.reduce((a, b) => (b.shares[what] > a.shares[what] ? b : a));
/** As much of a name as a piece has room for: ``layer4…conv2``, ``layer4``, or nothing. */
function tagWithin(item, share) {
  const room = share * Math.min(1480, innerWidth - 56);
  const [outer] = item.scope.split(".");
  const short = item.label.length > 2 ? [`${outer}…${item.label}`] : []; // a mere number says nothing
  const names = item.scope ? [`${outer}…${tag(item)}`, ...short, outer] : [item.label];
  return names.find((name) => name.length * 7.4 + 14 <= room) ?? "";
}
/** ``[items, size]`` in order; neighbours that are too thin to be seen are one piece of many rows. */
function merge(sized, what, total) {
  const thin = sized.length > 40 ? 0.004 * total : 0;
  const found = [];
  let open = null; // the last piece, as long as it is too thin
  for (const item of sized) {
    const size = item.shares[what];
    if (open && size < thin) {
      open.items.push(item);
      open.size += size;
    } else found.push(open = { items: [item], size });
    if (open.size >= thin) open = null;
  }
  return found;
}
