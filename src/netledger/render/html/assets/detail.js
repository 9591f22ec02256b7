// What is known of the row that is chosen: derivations, parameters, receptive field, what-if.
"use strict";

function drawDetail() {
  const item = itemOf(state.selected);
  const panel = byId("layer");
  const active = panel.contains(document.activeElement) ? document.activeElement.id : "";
  const parts = !item ? [["intro", intro]] : item.group ? moduleDetail(item) : rowDetail(item);
  const says = item && `${item.id} ${item.stamp} ${item.group ? tree.stamp : all[0].stamp} `;
  drawList(panel, parts.map(([key, make, more = ""]) => [key, says + more, make]));
  if (active && document.activeElement.id !== active) byId(active)?.focus();
  requestAnimationFrame(() => {
    // What is too long to be seen at once can be reached and moved by keys.
    for (const line of panel.querySelectorAll(".formula")) if (line.scrollWidth > line.clientWidth) line.tabIndex = 0;
  });
}
const intro = () => h("p", { class: "quiet" }, "Choose a row: here stand its derivations, its parameters and what it sees of the input, and its hyperparameters to try others.");
const section = (title, ...children) => {
  const kept = children.flat().filter(Boolean);
  return kept.length ? h("section", {}, h("h3", {}, title), ...kept) : null;
};
const told_of = (item) => (item.row?.op ? item.row.op.describe(...[...item.row.input_types].map((t) => t.shape)) : "");

function moduleDetail(item) {
  const shares = () => QUANTITIES.map((q) => {
    const whole = tree.shares[q];
    const share = whole ? `${((100 * item.shares[q]) / whole).toFixed(1)} %` : "";
    return h("tr", {}, h("th", { scope: "row" }, WORDS[q]), h("td", { class: "number" }, told(item, q)), h("td", { class: "number quiet" }, share));
  });
  return [
    ["name", () => heading(item, `module of ${rowsOf(item.leaves)}; output ${item.size}`)],
    ["share", () => section("Share of the network", h("table", { class: "facts" }, h("tbody", {}, shares())))],
  ];
}
const heading = (item, about) => h("header", {}, h("h2", {}, item.name), h("p", { class: "quiet" }, about));
/** Paragraphs, if there are any. */
const block = (children) => (children.length ? h("div", {}, ...children) : null);

/** The parts of the panel: a key, how it is made, and what else it depends on than the row. */
function rowDetail(item) {
  const { row } = item;
  const gone = item.status === "gone";
  const source = row?.source || item.node?.source;
  return [
    ["name", () => heading(item, [item.kind, row && told_of(item)].filter(Boolean).join(": "))],
    ["problem", () => item.error && h("div", { class: "problem", role: "alert" },
      h("p", {}, item.error.fact), item.error.hint && h("p", { class: "quiet" }, item.error.hint),
      item.error.received && h("p", { class: "quiet" }, `receives ${item.error.received}`))],
    ["findings", () => block((fresh() ? findingsOf(item) : []).map((f) => h("div", { class: `finding ${f.level}` },
      h("p", {}, h("b", {}, `${f.level} ${f.code} `), f.message), f.hint && h("p", { class: "quiet" }, f.hint)))), fresh()],
    ["unknown", () => block(row ? [...row.unknown.items()].map(([what, why]) => h("p", { class: "quiet" }, `${WORDS[what] ?? what} unknown: ${why}`)) : [])],
    ["gone", () => gone && h("p", { class: "quiet" }, "Only the first network has this layer.")],
    ["derivation", () => row && section("Derivation", derivations(item))],
    ["what-if", () => !gone && section("What if", fields(item))],
    ["parameters", () => row && section("Parameters", parameterTable(row))],
    ["field", () => row && section("Receptive field", seen(row))],
    ["then", () => !gone && section("Then", item.folded.map((r) =>
      h("p", { class: "then" }, h("span", {}, `${r.name} (${r.kind})`), dropButton(r.name))))],
    ["source", () => source && h("p", { class: "quiet source" }, `from ${source}`)],
  ];
}

// --- derivations ---

function derivations(item) {
  const view = item.status === "gone" ? base : now;
  const own = lines(view, item.row);
  const before = item.changed && item.old && item.status !== "gone" ? lines(base, item.old.row) : [];
  const old = new Map(before.map((d) => [d.quantity + d.symbol, d.text()]));
  const list = own.map((d) => {
    const was = old.get(d.quantity + d.symbol);
    return h("div", { class: was !== undefined && was !== d.text() ? "line changed" : "line" },
      h("span", { class: "quantity" }, d.quantity), h("span", { class: "formula" }, ...formula(d)),
      d.note && h("span", { class: "note" }, d.note),
      was !== undefined && was !== d.text() && h("span", { class: "note" }, `was ${was.slice(was.lastIndexOf(" = ") + 3)}`));
  });
  if (!own.length) return item.row.op ? [] : [h("p", { class: "quiet" }, "The input: its size is given.")];
  const meanings = [...explained(view, item.row).meanings.items()].map(([s, m]) => `${s} ${m}`).join(" · ");
  return [h("div", { class: "lines" }, ...list), h("p", { class: "meanings" }, `where ${meanings}`)];
}
/** Symbol, rule, numbers, result: pieces between which a line may break. */
const formula = (d) => [...d.steps(MATHML)].map((text, i) => math(i ? `<mo>=</mo>${text}` : text));
const { MATHML } = $module("netledger.formula.printing");
const explanations = new WeakMap(); // of rows, by what is made with a row and with no other
function explained(view, row) {
  if (!explanations.has(row.outputs)) explanations.set(row.outputs, explain(view.ledger, row.name)[0]);
  return explanations.get(row.outputs);
}
const lines = (view, row) => [...explained(view, row).derivations];

// --- parameters ---

function parameterTable(row) {
  if (!row.parameters.length) return [];
  const body = [...row.parameters].map((p) => h("tr", {},
    h("th", { scope: "row" }, p.name),
    h("td", {}, p.role + (p.role !== "buffer" && !p.trainable ? ", frozen" : "")),
    h("td", { class: "number" }, [...p.shape].map($text).join("×")),
    h("td", { class: "number" }, p.tied_to ? `is ${p.tied_to.replace("/", ".")}` : show(p.count)),
    h("td", { class: "number quiet" }, p.tied_to ? "0 B" : `${p.stored_bytes === null ? "?" : show(p.stored_bytes)} B`)));
  const head = ["name", "role", "shape", "numbers", "bytes"].map((t, i) => h("th", { scope: "col", class: i > 1 ? "number" : "" }, t));
  return [h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Parameters" }, h("table", { class: "facts" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)))];
}

// --- what an output sees of the input ---

function seen(row) {
  const field = row.receptive_field;
  if (field === null || field === undefined || row.op === null) return [];
  const input = [...now.ledger.ops].find((r) => r.op === null);
  const words = field === "all" ? "Every output sees the whole input." : null;
  const sides = spatial(input);
  if (sides?.length !== 2) return [h("p", { class: "quiet" }, words ?? `One output sees ${[...field].map($text).join("×")} positions of the input.`)];
  const [height, width] = sides;
  const [fieldHeight, fieldWidth] = field === "all" ? sides : [...field].map(approximate);
  const scale = 112 / Math.max(height, width);
  const [w, hgt] = [width * scale, height * scale];
  const [fw, fh] = [Math.min(fieldWidth, width) * scale, Math.min(fieldHeight, height) * scale];
  const text = words ?? `One output sees ${fieldWidth}×${fieldHeight} of the input's ${width}×${height}`
    + `${fieldWidth > width || fieldHeight > height ? ", and the padding around it" : ""}; its neighbour, ${[...row.steps].map($text).join("×")} further.`;
  return [h("div", { class: "field" },
    h("svg", { width: w + 2, height: hgt + 2, viewBox: `-1 -1 ${w + 2} ${hgt + 2}`, role: "img", "aria-label": text },
      h("rect", { class: "input", width: w, height: hgt }),
      h("rect", { class: "sees", x: (w - fw) / 2, y: (hgt - fh) / 2, width: Math.max(fw, 1), height: Math.max(fh, 1) })),
    h("p", { class: "quiet" }, text))];
}
function spatial(input) {
  const shape = [...(input?.outputs[0]?.shape ?? [])];
  if (shape.length < 3) return null;
  const last = now.sizes._last.get(input.name);
  const body = last === false ? shape.slice(2) : shape.slice(1, -1);
  return body.every((d) => typeof d === "bigint") ? body.map(Number) : null;
}

// --- hyperparameters, to try others ---

const EDITABLE = new Set(["integer", "integers", "per_axis", "padding", "flag", "choice", "number", "dims"]);
function fields(item) {
  const op = item.row?.op ?? item.node?.op;
  if (!op) return item.row ? [inputField(item.name, "of the row")].filter(Boolean) : [];
  const rules = [...op.rules.items()].filter(([, rule]) => EDITABLE.has(rule.kind));
  const controls = rules.map(([name, rule]) => control(item.name, name, rule, op[name]));
  const buttons = [insertMenu(item), op.arity[0] > 0n ? dropButton(item.name, "Remove this layer") : null].filter(Boolean);
  return [controls.length ? h("div", { class: "controls" }, ...controls) : null, buttons.length ? h("div", { class: "buttons" }, ...buttons) : null];
}
function control(row, name, rule, value) {
  const id = `field-${name}`;
  const words = name.replaceAll("_", " ");
  const set = (next) => {
    const refused = edit(["SetField", row, name, encode(next)]);
    if (refused) throw refused;
  };
  let input;
  if (rule.kind === "flag") input = h("input", { type: "checkbox", id, checked: value, onchange: (e) => guard(e.target, () => set(e.target.checked)) });
  else if (rule.kind === "choice") {
    input = h("select", { id, onchange: (e) => guard(e.target, () => set(e.target.value)) },
      ...[...rule.choices].map((c) => h("option", { value: c, selected: c === value }, c)));
  } else {
    input = h("input", { type: "text", id, value: written(value), autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-help`,
      onchange: (e) => guard(e.target, () => set(parseField(e.target.value, rule))) });
  }
  return h("div", { class: rule.kind === "flag" ? "control flag" : "control" },
    h("label", { for: id }, words), input, h("span", { class: "help", id: `${id}-help` }, rule.help));
}
/** Tries what a control asks for; what cannot be is said beside it. */
function guard(input, act) {
  try {
    act();
  } catch (error) {
    wrong(input, error.message);
  }
}
function wrong(input, message) {
  input.setAttribute("aria-invalid", "true");
  const help = byId(`${input.id}-help`);
  if (help) help.textContent = message;
  say(message);
}
const written = (value) => {
  if (value === null) return "";
  if (Array.isArray(value)) return value.every(Array.isArray) ? value.map((p) => p.join(",")).join(" ") : value.map($text).join(" ");
  return typeof value === "number" ? String(value) : $text(value);
};
const whole_ = (text) => {
  if (!/^-?\d{1,19}$/.test(text)) throw new Error(`${text} is no whole number`);
  return BigInt(text);
};
function parseField(text, rule) {
  const clean = text.trim();
  if (clean === "") {
    if (rule.default === null) return null;
    throw new Error("a value is needed");
  }
  if ([...rule.choices].includes(clean)) return clean;
  if (rule.kind === "number") {
    if (!/^-?\d*\.?\d+(e-?\d+)?$/i.test(clean)) throw new Error(`${clean} is no number`);
    return Number(clean);
  }
  const parts = clean.split(rule.kind === "padding" && clean.includes(" ") ? /\s+/ : /[\s,x×]+/).filter(Boolean);
  if (rule.kind === "dims") return parts.map(size_);
  if (rule.kind === "padding" && parts.some((p) => p.includes(","))) return parts.map((p) => p.split(",").map(whole_));
  return parts.length === 1 ? whole_(parts[0]) : parts.map(whole_);
}
const size_ = (text) => (/^[A-Za-z]\w{0,15}$/.test(text) ? Formulas.symbol(text) : whole_(text));

const ADDABLE = [
  ["Flatten", {}, "flatten"], ["MaxPool", { kernel_size: 2 }, "max pool 2"], ["MaxPool", { kernel_size: 3, stride: 2 }, "max pool 3, stride 2"],
  ["AvgPool", { kernel_size: 2 }, "average pool 2"], ["GlobalAvgPool", {}, "global average pool"],
  ["Activation", { function: "relu" }, "ReLU"], ["BatchNorm", {}, "batch norm"], ["Dropout", {}, "dropout"],
];
function insertMenu(item) {
  const last = item.folded.at(-1) ?? item.row;
  const value = last?.made[0];
  if (value === undefined) return null;
  return h("select", { "aria-label": "Add a layer after this one", onchange: (e) => {
    const [kind, given] = ADDABLE[Number(e.target.value)];
    const values = { ...given };
    const op = Operations.get(kind);
    if ([...op.rules].includes("channels_last")) values.channels_last = now.sizes._last.get(value, true);
    let name = kind.toLowerCase();
    for (let i = 2; now.graph._by_name.has(name) || now.graph.inputs.has(name); i++) name = `${kind.toLowerCase()}-${i}`;
    edit(["Insert", name, { class: kind, fields: values }, [value]]);
  } }, h("option", { value: "" }, "Add after it …"), ...ADDABLE.map(([, , words], i) => h("option", { value: String(i) }, words)));
}
const dropButton = (name, words = "Remove") =>
  h("button", { type: "button", class: "plain", onclick: () => edit(["Remove", name]) }, words);

// --- inputs and the batch ---

function inputField(name, where) {
  const type = now.graph.inputs.get(name);
  if (!type) return null;
  const id = `input-${where}-${name}`;
  const batched = type.shape[0] === Graphs.BATCH;
  const body = batched ? type.shape.slice(1) : [...type.shape];
  const set = (shape, dtype) => edit(["SetInput", name, encode(batched ? [Graphs.BATCH, ...shape] : shape), dtype]);
  return h("div", { class: "control input" },
    h("label", { for: id }, where === "of the row" ? "size" : name),
    h("input", { type: "text", id, value: body.map($text).join("×"), autocomplete: "off", spellcheck: "false", onchange: (e) => guard(e.target, () => {
      const sizes = e.target.value.trim().split(/[\s,x×*]+/).filter(Boolean).map(size_);
      if (!sizes.length || sizes.some((d) => typeof d === "bigint" && d < 1n)) throw new Error("sizes are whole numbers of at least 1");
      set(sizes, type.dtype);
    }) }),
    h("select", { "aria-label": `dtype of ${name}`, onchange: (e) => set(body, e.target.value) },
      ...[...new Set([type.dtype, "float32", "float16", "bfloat16", "float64", "int8", "int64"])].map((d) =>
        h("option", { value: d, selected: d === type.dtype }, d))));
}
function drawWhatIf() {
  const active = document.activeElement?.id;
  const batch = h("input", { type: "text", id: "batch", inputmode: "numeric", value: state.batch === null ? "" : String(state.batch), placeholder: "N", autocomplete: "off",
    onchange: (e) => {
      const text = e.target.value.trim();
      const next = text === "" || text === "N" ? null : Number(text);
      if (next !== null && !(Number.isSafeInteger(next) && next > 0)) return wrong(e.target, "the batch is a whole number of at least 1");
      change({ batch: next });
    } });
  const inputs = [...now.graph.inputs].slice(0, 3).map((name) => inputField(name, "above"));
  byId("asked").replaceChildren(h("div", { class: "control" }, h("label", { for: "batch" }, "batch"), batch), ...inputs.filter(Boolean));
  byId("edits").replaceChildren(...state.edits.map((one, i) => h("li", {}, h("span", {}, makeEdit(one).describe()),
    h("button", { type: "button", class: "plain", "aria-label": `Take back: ${makeEdit(one).describe()}`,
      onclick: () => change({ edits: state.edits.filter((_, j) => j !== i) }) }, "×"))));
  byId("undo").disabled = !state.past.length;
  byId("redo").disabled = !state.future.length;
  byId("reset").disabled = !edited();
  if (active && byId(active)) byId(active).focus();
}
