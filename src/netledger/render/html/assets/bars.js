// Totals, and the bars that show in which layers the parameters and the MACs are.
"use strict";

const FAMILIES = [
  ["conv", "convolutions", ["Conv", "DepthwiseConv", "LocallyConnected", "ConvTranspose"]],
  ["dense", "fully connected layers", ["Linear"]],
  ["mix", "attention and products", ["MultiHeadAttention", "ScaledDotProductAttention", "MatMul", "Einsum", "RNN", "GRU", "LSTM"]],
  ["table", "embeddings", ["Embedding", "Tensor"]],
];
const familyOf = (kind) => FAMILIES.find(([, , kinds]) => kinds.includes(kind)) ?? ["rest", "other layers", []];

const TOLD = [
  ["params", "parameters"], ["macs", "MACs"], ["neurons", "neurons"],
  ["activations", "activations"], ["bytes", "bytes stored"],
];
function drawTotals() {
  const { totals } = now;
  const before = base.totals;
  $id("totals").replaceChildren(...TOLD.map(([what, word]) => {
    const value = totals?.[what];
    const text = totals ? tellTotal(totals, what) : "?";
    const old = tellTotal(before, what);
    const split = what === "params" && totals && !now.error
      ? h("dd", { class: "split" }, `${show(totals.weights)} weights + ${show(totals.biases)} biases`
        + (isZero(totals.buffers) ? "" : `; ${show(totals.buffers)} buffers apart`)) : null;
    const changed = differs() && text !== old;
    return h("div", { class: changed ? "changed" : "" },
      h("dt", {}, word),
      h("dd", { class: "value", "data-total": what }, now.error ? "unknown" : text),
      now.error && h("dd", { class: "split" }, value && !isZero(value) ? `${show(value)} up to there` : ""),
      changed && !now.error && h("dd", { class: "from" }, h("span", { class: "hidden" }, "was "), h("s", {}, old),
        h("span", { class: "delta" }, ` ${signed(before[what], value)}`)),
      !changed && split);
  }));
}
/** A total as the tables print it: marked where it is only a lower bound. */
function tellTotal(totals, what) {
  const causes = { neurons: ["activations", "params"], bytes: ["params"] }[what] ?? [what];
  return causes.some((c) => totals.unknown.has(c)) ? Shown.at_least(totals[what]) : show(totals[what]);
}

function drawBars() {
  const parts = all.filter((item) => item.row && item.status !== "gone");
  $id("bars").replaceChildren(...["params", "macs"].map((what) => drawBar(what, parts)));
}
function drawBar(what, parts) {
  const sized = parts.map((item) => ({ item, size: approximate(item.counts[what]) })).filter((p) => p.size > 0);
  const total = sized.reduce((sum, p) => sum + p.size, 0);
  const shares = new Map();
  for (const { item, size } of sized) {
    const [key, word] = familyOf(item.kind);
    const known = shares.get(key) ?? { word, size: 0, count: 0 };
    shares.set(key, { word, size: known.size + size, count: known.count + 1 });
  }
  const order = [...shares].sort((a, b) => b[1].size - a[1].size);
  const percent = (size) => (total ? (100 * size) / total : 0);
  const tell = (p) => (p >= 99.95 && p < 100 ? "99.9" : p < 0.05 ? "<0.1" : p.toFixed(1));
  const legend = order.slice(0, 3).map(([key, { word, size, count }]) =>
    h("span", { class: "key" }, h("i", { class: `swatch ${key}`, "aria-hidden": "true" }),
      h("b", {}, `${tell(percent(size))} %`), ` in ${count} ${count === 1 ? word.replace(/s\b/, "") : word}`));
  return h("figure", { class: "bar" },
    h("figcaption", {}, h("span", { class: "what" }, WORDS[what]), ...(total ? legend : []),
      now.totals.unknown.has(what) || now.error ? h("span", { class: "key" }, total ? "of what is known" : "unknown")
        : total ? null : h("span", { class: "key" }, "none")),
    total > 0 && h("div", { class: "track" }, ...merge(sized, total).map(({ item, size, count, family }) => {
      const share = percent(size);
      const label = item ? tagWithin(item, share) : share > 8 ? `${count} rows` : null;
      const piece = h(item ? "button" : "span", {
        type: item ? "button" : null, class: `piece ${family}`, tabindex: item ? "-1" : null,
        title: `${item?.name ?? `${count} rows`}: ${tell(share)} % of the ${WORDS[what]}`, "data-row": item?.id,
      }, label && h("span", {}, label));
      piece.style.flexGrow = String(Math.max(share, 0.05));
      return piece;
    })));
}
/** As much of a name as a piece has room for: ``layer4…conv2``, ``layer4``, or nothing. */
function tagWithin(item, share) {
  const room = (share / 100) * Math.min(1480, innerWidth - 56);
  const [outer] = item.scope.split(".");
  const names = item.scope ? [`${outer}…${item.label}`, outer] : [item.label];
  return names.find((name) => name.length * 7.4 + 14 <= room) ?? null;
}
/** Neighbours that are too thin to be seen become one piece, of many rows. */
function merge(sized, total) {
  const found = [];
  for (const { item, size } of sized) {
    const last = found.at(-1);
    const [family] = familyOf(item.kind);
    if (size / total < 0.004 && sized.length > 40) {
      if (last && !last.item && last.family === family) [last.size, last.count] = [last.size + size, last.count + 1];
      else found.push({ item: null, size, count: 1, family });
    } else found.push({ item, size, family });
  }
  return found;
}
