// Networks and edits out of the page's data, for the rules that run here.
"use strict";

const Formulas = $module("netledger.formula");
const Graphs = $module("netledger.graph");
const Books = $module("netledger.ledger");
const Ops = $module("netledger.ops");
const Edits = $module("netledger.edits");
const { infer } = $module("netledger.infer");
const { Known } = $module("netledger.again");
const Rules = $module("netledger.check.follow");
const { explain } = $module("netledger.explain");
const { Sizes } = $module("netledger.render.common.sizes");
const Shown = $module("netledger.render.common.numbers");
const { NetledgerError } = $module("netledger.errors");
const named = (values) => new $KW(values);

function decode(value) {
  if (typeof value === "number") return BigInt(value);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(decode);
  if ("int" in value) return BigInt(value.int);
  if ("float" in value) return Number(value.float);
  if ("symbol" in value) {
    if (value.symbol === "N" && value.value === null) return Graphs.BATCH;
    if (value.symbol === "?" && value.value === null) return $module("netledger.ops.opaque").NO_SIZE;
    return Formulas.symbol(value.symbol, decode(value.value));
  }
  const [a, b] = value.args.map(decode);
  return Formulas._BUILD.at(value.head)(Formulas.formula(a), b);
}

/** The same as `encode` of data.py, for edits that are kept in the address. */
function encode(value) {
  if (typeof value === "bigint") {
    return value < 2n ** 53n && value > -(2n ** 53n) ? Number(value) : { int: String(value) };
  }
  if (typeof value === "number") return { float: String(value) };
  if (Array.isArray(value)) return value.map(encode);
  if (value instanceof Formulas.Formula) {
    if (value.head === "number") return encode(value.value);
    if (value.head === "symbol") return { symbol: value.name, value: encode(value.value) };
    return { head: value.head, args: value.args.map(encode) };
  }
  return value;
}

const Operations = new Map(Ops.OPERATIONS.map((op) => [op.__name__, op]));

function makeOp({ class: name, fields }) {
  const values = {};
  for (const [key, value] of Object.entries(fields)) values[key] = decode(value);
  return new (Operations.get(name))(named(values));
}
const makeType = ([shape, dtype]) => new Graphs.TensorType(decode(shape), dtype);
const makeRecorded = (r) =>
  r && new Graphs.Recorded(
    r.outputs.map((t) => t && makeType(t)),
    r.parameters && r.parameters.map(([name, role, shape, dtype, trainable, nbytes]) =>
      new Graphs.Parameter(name, role, decode(shape), dtype, trainable, decode(nbytes))),
    decode(r.macs),
  );

function makeGraph(data) {
  const ops = data.ops.map(makeOp);
  const nodes = data.nodes.map((n) =>
    new Graphs.Node(named({
      name: n.name,
      op: ops[n.op],
      inputs: n.inputs ?? [],
      outputs: n.outputs ?? [],
      scope: n.scope ?? "",
      source: n.source ?? "",
      trainable: n.trainable ?? true,
      recorded: makeRecorded(n.recorded ?? null),
      dtype: n.dtype ?? "",
    })));
  const inputs = new $dict(data.inputs.map(([name, ...type]) => [name, makeType(type)]));
  return new Graphs.Graph(named({
    name: data.name, inputs, nodes, outputs: data.outputs, ties: data.ties,
    title: data.title, source: data.source, reader: data.reader,
  }));
}

/** An edit as it is kept in the address, as one of netledger.edits. */
function makeEdit([kind, ...values]) {
  switch (kind) {
    case "SetField": return new Edits.SetField(values[0], values[1], decode(values[2]));
    case "SetOp": return new Edits.SetOp(values[0], makeOp(values[1]));
    case "SetInput": return new Edits.SetInput(values[0], makeType(values.slice(1)));
    case "SetTrainable": return new Edits.SetTrainable(values[0], values[1]);
    case "Rewire": return new Edits.Rewire(values[0], values[1]);
    case "Tie": return new Edits.Tie(values[0]);
    case "Untie": return new Edits.Untie(values[0]);
    case "Remove": return new Edits.Remove(values[0]);
    case "Insert": {
      const [name, op, inputs, feeds = null, outputs = [], scope = "", trainable = true] = values;
      return new Edits.Insert(name, makeOp(op), inputs, decode(feeds), outputs, scope, trainable);
    }
  }
  throw new Error(`no edit is called ${kind}`);
}

/** The ledger; where a layer does not fit, the ledger up to it, and why. */
function derive(write) {
  try {
    return { ledger: write(), error: null };
  } catch (error) {
    if (!(error instanceof NetledgerError)) throw error;
    return { ledger: error.partial, error };
  }
}
