// What the page shows: the network, the edits made to it, and what is selected; undo; the address.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const graphs = data.graphs.map(makeGraph);
const BASE = 0;
const MAIN = graphs.length - 1; // of a difference the second network, which is compared with the first
const origin = $module("netledger.edits.draft").derived(graphs[MAIN]); // what edits are made to
const changed = (edits) => (edits.length ? Edits.apply(origin, ...edits.map(makeEdit)) : graphs[MAIN]);
const memory = graphs.map(() => new Known()); // what was derived last of each
const EMPTY = { batch: null, edits: [] };

const state = {
  ...EMPTY,
  batch: data.batch,
  selected: null,
  heat: "params",
  ops: data.ops,
  query: "",
  kind: "",
  sort: "",
  down: true,
  open: new Set(),
  past: [],
  future: [],
};
let base, now;
let made = { edits: [], graph: graphs[MAIN] }; // the network after the last edits that could be made
const wanted = () => (made.edits === state.edits ? made.graph : changed(state.edits));

/** Everything that is shown of a network, for the batch and after the edits. */
function examine(graph, batch, known) {
  const { ledger, error } = derive(() => known.ledger(graph, batch));
  const totals = Books.total(ledger.ops);
  return { ledger, error, graph, totals, sizes: new Sizes(ledger, null) };
}

/** Works out the network as it is now. */
function work() {
  const batch = state.batch === null ? null : BigInt(state.batch);
  now = edited() || MAIN !== BASE ? examine(wanted(), batch, memory[MAIN]) : base;
}
function refresh() {
  work();
  draw();
}
const edited = () => state.edits.length > 0 || state.batch !== data.batch;
const differs = () => edited() || MAIN !== BASE;

/** Makes a change that can be undone; one that makes no network is refused, with the reason. */
function change(next) {
  const refused = next.edits ? refusal(next.edits) : null;
  if (refused) {
    say(refused.message);
    return refused;
  }
  state.past.push({ batch: state.batch, edits: state.edits });
  state.future = [];
  Object.assign(state, next);
  rememberSoon();
  refresh();
  return null;
}
/** Why edits cannot be made at all; a layer that only does not fit is shown instead. */
function refusal(edits) {
  try {
    made = { edits, graph: changed(edits) };
    return null;
  } catch (error) {
    if (!(error instanceof NetledgerError)) throw error;
    return error;
  }
}
function step(from, to) {
  if (!from.length) return;
  to.push({ batch: state.batch, edits: state.edits });
  Object.assign(state, from.pop());
  rememberSoon();
  refresh();
}
const undo = () => step(state.past, state.future);
const redo = () => step(state.future, state.past);

/** Adds an edit; one of the same field of the same row takes the place of the one before. */
function edit(...added) {
  let edits = state.edits;
  for (const one of added) {
    const last = edits.at(-1);
    const same = last && one[0] === last[0] && one[0].startsWith("Set") && one[1] === last[1]
      && (one[0] !== "SetField" || one[2] === last[2]);
    edits = [...(same ? edits.slice(0, -1) : edits), one];
  }
  return change({ edits });
}

// --- the address: what is after # says the whole state, and goes nowhere ---

let later = 0;
/** Not before the numbers are there: to change the address takes a browser some milliseconds. */
function rememberSoon() {
  clearTimeout(later);
  later = setTimeout(remember, 60);
}
function remember() {
  clearTimeout(later);
  const kept = edited() || state.selected ? JSON.stringify([state.batch, state.edits, state.selected]) : "";
  const bytes = new TextEncoder().encode(kept);
  const code = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  const hash = kept ? `#${code.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}` : "";
  try {
    history.replaceState(null, "", hash || location.pathname + location.search);
  } catch { /* a frame without an address of its own */ }
}
function recall() {
  if (location.hash.length < 2) return;
  try {
    const code = location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(code), (c) => c.charCodeAt(0));
    const [batch, edits, selected] = JSON.parse(new TextDecoder().decode(bytes));
    if (batch !== null && !(Number.isSafeInteger(batch) && batch > 0)) return;
    if (refusal(edits)) throw new Error("not of this network");
    Object.assign(state, { batch, edits, selected });
  } catch {
    say("The address holds no state of this page; it is left out.");
  }
}

// --- elements; every text is a text, never markup ---

function h(tag, attributes = {}, ...children) {
  const svg = SVG_TAGS.has(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else if (key === "width" && !svg) element.style.width = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}
const SVG_TAGS = new Set(["svg", "g", "rect", "path", "text", "line", "defs", "marker", "polygon", "title"]);

/** Shows parts ``[key, says, make]`` in order; one is made anew only where what it says has changed.
 * A part may make nothing. */
function drawList(place, parts) {
  const before = lists.get(place) ?? new Map();
  const after = new Map();
  for (const [key, says, make] of parts) {
    const old = before.get(key);
    after.set(key, old?.says === says ? old : { says, element: make() });
  }
  lists.set(place, after);
  const elements = [...after.values()].map((part) => part.element).filter(Boolean);
  const kept = new Set(elements);
  for (const old of [...place.children]) if (!kept.has(old)) old.remove();
  let at = place.firstElementChild;
  for (const element of elements) {
    if (element === at) at = at.nextElementSibling;
    else place.insertBefore(element, at);
  }
}
const lists = new WeakMap();
const byId = (id) => document.getElementById(id);
const say = (text) => { byId("said").textContent = text; };

const MATH = new Set(["mrow", "mi", "mn", "mo", "msup", "msub", "mfrac"]);
/** MathML out of the printed form of a formula; nothing but the elements above gets through. */
function math(source) {
  if (!mathOf.has(source)) mathOf.set(source, makeMath(source));
  return mathOf.get(source).cloneNode(true);
}
const mathOf = new Map(); // most lines are the same after an edit
function makeMath(source) {
  const space = "http://www.w3.org/1998/Math/MathML";
  const parsed = new DOMParser().parseFromString(`<mrow>${source}</mrow>`, "application/xml");
  const copy = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
    if (!MATH.has(node.localName)) return document.createTextNode(node.textContent);
    const made = document.createElementNS(space, node.localName);
    // A space after a sign would be part of it.
    for (const child of node.childNodes) {
      if (child.nodeType === Node.ELEMENT_NODE || child.data.trim()) made.append(copy(child));
    }
    return made;
  };
  const whole = document.createElementNS(space, "math");
  whole.setAttribute("displaystyle", "true");
  whole.append(copy(parsed.documentElement));
  return whole;
}

// --- numbers ---

const { add_up: addUp } = Books;
const isZero = (x) => x === 0n;
const show = (x) => Shown.number(x === undefined ? null : x);
const same = (a, b) => (a === b ? true : a == null || b == null ? false : $eq(a, b));
/** A number of the row for shares and shading; formulas count with all symbols at 1. */
const approximate = (x) => {
  if (typeof x === "bigint") return Number(x);
  if (x === null || x === undefined) return 0;
  const names = [...Formulas.symbols(x)];
  return Number(Formulas.substitute(x, new $dict(names.map((n) => [n, 224n]))));
};
const short = (x) => {
  if (typeof x !== "bigint") return show(x);
  const digits = String(x).length;
  if (digits < 4) return String(x);
  const unit = ["k", "M", "G", "T", "P"][Math.min(Math.floor((digits - 1) / 3), 5) - 1];
  const value = Number(x) / 1000 ** Math.min(Math.floor((digits - 1) / 3), 5);
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
};
const bytesOf = (row) => {
  const stored = row.parameters.filter((p) => p.tied_to === null).map((p) => p.stored_bytes);
  return stored.some((b) => b === null) || row.unknown.has("params") ? null : addUp(stored);
};
const signed = (from, to) => {
  if (typeof from !== "bigint" || typeof to !== "bigint") return "";
  const delta = to - from;
  return delta < 0n ? `−${show(-delta)}` : `+${show(delta)}`;
};
