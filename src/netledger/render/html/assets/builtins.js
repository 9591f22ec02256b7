// Python's built-in functions, the methods of its text and lists, and what is used of its library.
"use strict";

const $len = (x) => BigInt(x.length ?? x.size);
const $any = (all) => { for (const x of all) if ($t(x)) return true; return false; };
const $all = (all) => { for (const x of all) if (!$t(x)) return false; return true; };
const $sum = (all, start = 0n) => { for (const x of all) start = $add(start, x); return start; };
const $map = (f, ...all) => $zip(...all).map((given) => $call(f, given));
const $iter = (all) => all[Symbol.iterator]();
const $next = (all, otherwise) => {
  for (const x of all) return x;
  return otherwise;
};
const $zip = (...all) => {
  const last = all[all.length - 1];
  const strict = last instanceof $KW && all.pop().values.strict;
  let least = all.length ? Infinity : 0;
  for (let k = 0; k < all.length; k++) {
    if (!Array.isArray(all[k])) all[k] = [...all[k]];
    if (strict && k && all[k].length !== least) throw new $ValueError("zip: lengths differ");
    if (all[k].length < least) least = all[k].length;
  }
  const found = new Array(least);
  for (let i = 0; i < least; i++) {
    const one = (found[i] = new Array(all.length));
    for (let k = 0; k < all.length; k++) one[k] = all[k][i];
  }
  return found;
};
const $enumerate = (all, start = 0n) => {
  let i = start instanceof $KW ? start.values.start : start;
  return [...all].map((x) => [i++, x]);
};
const $range = (start, stop, step = 1n) => {
  if (stop === undefined) [start, stop] = [0n, start];
  const found = [];
  for (let i = start; step > 0n ? i < stop : i > stop; i += step) found.push(i);
  return found;
};
const $reversed = (all) => [...all].reverse();
const $sorted = (all, options) => {
  const { key = null, reverse = false } = options?.values ?? {};
  const found = [...all].map((x) => [key ? key(x) : x, x]);
  found.sort(([a], [b]) => ($lt(a, b) ? -1 : $lt(b, a) ? 1 : 0));
  const sorted = found.map(([, x]) => x);
  return reverse ? sorted.reverse() : sorted;
};
const $extreme = (better) => (...given) => {
  const named = given[given.length - 1] instanceof $KW ? given.pop().values : {};
  const all = given.length === 1 ? [...given[0]] : given;
  if (!all.length) return named.default;
  const key = named.key ?? ((x) => x);
  return all.reduce((best, x) => (better(key(x), key(best)) ? x : best));
};
const $max = $extreme((a, b) => $lt(b, a));
const $min = $extreme((a, b) => $lt(a, b));
const $ord = (c) => BigInt(c.codePointAt(0));
const $super = null;
const $property = (f) => f;

// --- items ---

const $get = (x, key) => {
  if (typeof key === "bigint" && (Array.isArray(x) || typeof x === "string")) {
    const value = x[key < 0n ? x.length + Number(key) : Number(key)];
    if (value === undefined) throw new $IndexError("index out of range");
    return value;
  }
  if (x instanceof $dict) return x.at(key);
  if (key instanceof $Slice) return $cut(x, key.start, key.stop, key.step);
  if (typeof x === "function" || x === null) return x; // Mapping[str, int]: an annotation
  if (x.__getitem__) return x.__getitem__(key);
  if (typeof key === "boolean") return $get(x, BigInt(key));
  return x[key];
};
const $set_item = (x, key, value) => {
  if (Array.isArray(x)) x[key < 0n ? x.length + Number(key) : Number(key)] = value;
  else if (x.__setitem__) x.__setitem__(key, value);
  else x.set(key, value);
};
const $del_item = (x, key) => (Array.isArray(x) ? x.splice(Number(key), 1) : x.pop(key));
const $bounds = (start, stop, step, size) => {
  step ??= 1n;
  const fit = (i, low, high) => {
    if (i < 0n) i += size;
    return i < low ? low : i > high ? high : i;
  };
  const [low, high] = step > 0n ? [0n, size] : [-1n, size - 1n];
  return [
    start === null || start === undefined ? (step > 0n ? 0n : size - 1n) : fit(start, low, high),
    stop === null || stop === undefined ? (step > 0n ? size : -1n) : fit(stop, low, high),
    step,
  ];
};
const $cut = (x, start, stop, step) => {
  if (typeof x === "function") return x;
  const points = typeof x === "string" ? [...x] : x;
  const indices = $range(...$bounds(start, stop, step, BigInt(points.length)));
  const found = indices.map((i) => points[Number(i)]);
  return typeof x === "string" ? found.join("") : found;
};
const $spread = (x, before, after) => {
  const all = [...x];
  const end = all.length - after;
  return [...all.slice(0, before), all.slice(before, end), ...all.slice(end)];
};
class $Vars {
  constructor(thing) { this.thing = thing; }
  names() { return Object.keys(typeof this.thing === "function" ? this.thing.$own : this.thing); }
  has(name) { return this.names().includes(name); }
  values() { return this.names().map((name) => this.thing[name]); }
  items() { return this.names().map((name) => [name, this.thing[name]]); }
  update(other) {
    const pairs = other instanceof $Vars ? other.items() : Object.entries(other.values);
    for (const [key, value] of pairs) this.__setitem__(key, value);
  }
  __getitem__(name) { return this.thing[name]; }
  __setitem__(name, value) { $setattr(this.thing, name, value); }
  __eq__(other) { return $eq(this.items(), other.items()); }
  [Symbol.iterator]() { return this.names()[Symbol.iterator](); }
}
const $vars = (thing) => new $Vars(thing);

// --- text ---

const $quote = (text) => {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\\n\r\t]/g, (c) => ({ "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" })[c]);
  const safe = [...escaped.replaceAll(mark === "'" ? /'/g : /$^/g, "\\'")].map((c) => ($prints(c) ? c : $code(c)));
  return mark + safe.join("") + mark;
};
const $code = (c) => {
  const code = c.codePointAt(0).toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
};
const $prints = (text) => !/[^\P{C}]|\p{Zl}|\p{Zp}|(?! )\p{Zs}/u.test(text);
const $repr = (x) => {
  if (typeof x === "string") return $quote(x);
  if (Array.isArray(x) && !x.__str__) return x.length === 1 ? `(${$repr(x[0])},)` : `(${x.map($repr).join(", ")})`;
  if (x?.__repr__) return x.__repr__();
  return $text(x);
};
const $text = (x) => {
  if (typeof x === "string") return x;
  if (x === null || x === undefined) return "None";
  if (typeof x === "boolean") return x ? "True" : "False";
  if (typeof x === "number") return Number.isInteger(x) ? `${x}.0` : String(x);
  if (x.__str__) return x.__str__();
  return Array.isArray(x) || x.__repr__ ? $repr(x) : String(x);
};
const $grouped = (x) => String(x).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const $general = (x, digits) => {
  const text = Number(x).toPrecision(digits);
  return text.includes("e") ? Number(text).toExponential() : String(Number(text));
};
const $format = (x, convert, spec) => {
  if (convert === "r") x = $repr(x);
  if (x?.__format__) return x.__format__(spec);
  if (spec === "") return $text(x);
  if (spec === ",") return $grouped(x);
  const [, align, zero, width, kind] = /^([<>]?)(0?)(\d*)([xd,]?|\.\d+[fg])$/.exec(spec);
  if (kind.endsWith("f")) return Number(x).toFixed(Number(kind.slice(1, -1)));
  if (kind.endsWith("g")) return $general(x, Number(kind.slice(1, -1)));
  const text = kind === "x" ? x.toString(16) : kind === "," ? $grouped(x) : $text(x);
  if (zero) return text.padStart(Number(width), "0");
  const right = align === ">" || (align === "" && typeof x !== "string");
  return right ? text.padStart(Number(width)) : text.padEnd(Number(width));
};
const $strip = (text, of, front, back) => {
  const gone = of === undefined ? (c) => /\s/.test(c) : (c) => of.includes(c);
  let points = [...text];
  while (front && points.length && gone(points[0])) points = points.slice(1);
  while (back && points.length && gone(points[points.length - 1])) points = points.slice(0, -1);
  return points.join("");
};
const $parted = (text, mark, at) =>
  at < 0 ? null : [text.slice(0, at), mark, text.slice(at + mark.length)];
const $strings = {
  join: (mark, all) => [...all].join(mark),
  split: (text, mark, most) => {
    if (mark === undefined || mark === null) return text.trim() === "" ? [] : text.trim().split(/\s+/);
    if (most === undefined) return text.split(mark);
    const parts = text.split(mark);
    const kept = parts.slice(0, Number(most));
    return parts.length > kept.length ? [...kept, parts.slice(kept.length).join(mark)] : parts;
  },
  replace: (text, a, b) => text.split(a).join(b),
  lower: (text) => text.toLowerCase(),
  upper: (text) => text.toUpperCase(),
  startswith: (text, start) => [start].flat().some((s) => text.startsWith(s)),
  endswith: (text, end) => [end].flat().some((s) => text.endsWith(s)),
  strip: (text, of) => $strip(text, of, true, true),
  lstrip: (text, of) => $strip(text, of, true, false),
  rstrip: (text, of) => $strip(text, of, false, true),
  removeprefix: (text, start) => (text.startsWith(start) ? text.slice(start.length) : text),
  removesuffix: (text, end) => (text.endsWith(end) ? text.slice(0, text.length - end.length) : text),
  count: (text, part) => BigInt(text.split(part).length - 1),
  partition: (text, mark) => $parted(text, mark, text.indexOf(mark)) ?? [text, "", ""],
  rpartition: (text, mark) => $parted(text, mark, text.lastIndexOf(mark)) ?? ["", "", text],
  isprintable: (text) => $prints(text),
  isdigit: (text) => /^\p{Nd}+$/u.test(text),
  format: (text, ...given) => text.replace(/\{\}/g, () => $text(given.shift())),
  translate: (text, table) => [...text].map((c) => (table.has(c) ? table.at(c) : c)).join(""),
};
$str.maketrans = (from, to) => new $dict([...from].map((c, i) => [c, [...to][i]]));
const $arrays = {
  append: (x, one) => void x.push(one),
  extend: (x, more) => { for (const one of more) x.push(one); },
  pop: (x, at) => (at === undefined ? x.pop() : x.splice(Number(at), 1)[0]),
  count: (x, one) => BigInt(x.filter((y) => $eq(y, one)).length),
  index: (x, one) => {
    const at = x.findIndex((y) => $eq(y, one));
    if (at < 0) throw new $ValueError("not in the list");
    return BigInt(at);
  },
  copy: (x) => [...x],
  insert: (x, at, one) => void x.splice(Number(at), 0, one),
  remove: (x, one) => void x.splice(x.findIndex((y) => $eq(y, one)), 1),
};
const $m = (thing, method, given) => {
  const own = typeof thing === "string" ? $strings[method]
    : Array.isArray(thing) && thing[method] === Array.prototype[method] ? $arrays[method] : undefined;
  return own ? own(thing, ...given) : thing[method](...given);
};

// --- failures ---

const $AttributeError = $failure("AttributeError");
const $TypeError = $failure("TypeError");
const $ValueError = $failure("ValueError");
const $KeyError = $failure("KeyError");
const $IndexError = $failure("IndexError");
const $ImportError = $failure("ImportError");
const $NotImplementedError = $failure("NotImplementedError");
const $ZeroDivisionError = $failure("ZeroDivisionError");

// --- dataclasses and named tuples ---

class $NamedTuple extends Array {
  static get [Symbol.species]() { return Array; }
  constructor(...given) {
    super();
    const named = given[given.length - 1] instanceof $KW ? given.pop().values : null;
    const fields = this.constructor.$fields;
    for (let i = 0; i < fields.length; i++) {
      let value = i < given.length ? given[i] : named?.[fields[i].name];
      if (value === undefined) value = fields[i].make();
      this.push(value);
    }
  }
  __init__() {}
  _replace(named) {
    const made = this.constructor.$fields.map(({ name }, i) => (name in named.values ? named.values[name] : this[i]));
    return new this.constructor(...made);
  }
}
$NamedTuple.prototype.__init_subclass__ = () => {};
const $named = (made) =>
  made.$fields.forEach(({ name }, i) =>
    Object.defineProperty(made.prototype, name, { get() { return this[i]; } }));

class $Field {
  constructor(name, { kw_only = false, metadata = null, ...rest } = {}) {
    Object.assign(this, { name, kw_only, metadata, ...rest });
  }
}
const $fields = (thing) => (typeof thing === "function" ? thing : thing.constructor).$all ?? [];
function $dataclass(made, options = {}) {
  const inherited = $fields(Object.getPrototypeOf(made));
  const own = made.$fields.map(({ name, make }) => {
    const value = make?.();
    return value instanceof $Field ? new $Field(name, { ...value, name }) : new $Field(name, make ? { make } : {});
  });
  const names = new Set(own.map((f) => f.name));
  const kept = inherited.map((f) => (names.has(f.name) ? own.find((o) => o.name === f.name) : f));
  const all = [...kept, ...own.filter((f) => !inherited.some((i) => i.name === f.name))];
  made.$all = all;
  made.prototype.__slots__ = all.map((f) => f.name);
  const define = (name, value) => Object.defineProperty(made.prototype, name, { value, configurable: true, writable: true });
  if (options.init !== false) {
    define("$plain", !made.prototype.__post_init__); // then a copy needs no construction
    define("__init__", function (...given) {
      const named = given[given.length - 1] instanceof $KW ? given.pop().values : null;
      for (let i = 0; i < all.length; i++) {
        const { name, make } = all[i];
        let value = i < given.length ? given[i] : undefined;
        if (value === undefined) value = named?.[name];
        this[name] = value !== undefined ? value : make ? make() : null;
      }
      this.__post_init__?.();
    });
  }
  if (options.eq !== false) {
    const compared = all.filter((f) => f.compare !== false);
    const parts = (x) => compared.map((f) => x[f.name]);
    define("__eq__", function (other) {
      return other?.constructor === this.constructor ? $eq(parts(this), parts(other)) : $NotImplemented;
    });
    if (options.frozen) define("__hash__", function () { return $key([this.constructor, ...parts(this)]); });
  }
  return made;
}
const $replace = (thing, named) => {
  if (thing instanceof $NamedTuple) return thing._replace(named);
  if (thing.$plain) return Object.assign(Object.create(Object.getPrototypeOf(thing)), thing, named.values);
  const values = {};
  for (const f of $fields(thing)) values[f.name] = thing[f.name];
  return new thing.constructor(new $KW({ ...values, ...named.values }));
};

// --- fractions ---

const $gcd = (...all) => all.reduce((a, b) => {
  [a, b] = [$abs(a), $abs(b)];
  while (b) [a, b] = [b, a % b];
  return a;
});
class Fraction {
  constructor(top, bottom = 1n) {
    if (top instanceof Fraction) [top, bottom] = [top.top, top.bottom * bottom];
    if (bottom < 0n) [top, bottom] = [-top, -bottom];
    const common = $gcd(top, bottom) || 1n;
    this.top = top / common;
    this.bottom = bottom / common;
  }
  __init__() {}
  get numerator() { return this.top; }
  get denominator() { return this.bottom; }
  static of(x) { return x instanceof Fraction ? x : new Fraction(x); }
  number() { return Number(this.top) / Number(this.bottom); }
  __add__(o) { o = Fraction.of(o); return new Fraction(this.top * o.bottom + o.top * this.bottom, this.bottom * o.bottom); }
  __radd__(o) { return this.__add__(o); }
  __sub__(o) { return this.__add__($neg(Fraction.of(o))); }
  __rsub__(o) { return Fraction.of(o).__sub__(this); }
  __mul__(o) { o = Fraction.of(o); return new Fraction(this.top * o.top, this.bottom * o.bottom); }
  __rmul__(o) { return this.__mul__(o); }
  __truediv__(o) { o = Fraction.of(o); return new Fraction(this.top * o.bottom, this.bottom * o.top); }
  __rtruediv__(o) { return Fraction.of(o).__truediv__(this); }
  __neg__() { return new Fraction(-this.top, this.bottom); }
  __bool__() { return this.top !== 0n; }
  __eq__(o) {
    if (typeof o !== "bigint" && !(o instanceof Fraction)) return $NotImplemented;
    o = Fraction.of(o);
    return this.top === o.top && this.bottom === o.bottom;
  }
  __lt__(o) { o = Fraction.of(o); return this.top * o.bottom < o.top * this.bottom; }
  __le__(o) { return this.__lt__(o) || this.__eq__(Fraction.of(o)); }
  __gt__(o) { return !this.__le__(o); }
  __ge__(o) { return !this.__lt__(o); }
  __hash__() { return this.bottom === 1n ? `${this.top}` : `q${this.top}/${this.bottom}`; }
  __str__() { return this.bottom === 1n ? `${this.top}` : `${this.top}/${this.bottom}`; }
}

// --- modules ---

const $cached = (f) => {
  const known = new Map();
  return (...given) => {
    const key = $key(given);
    if (!known.has(key)) known.set(key, f(...given));
    return known.get(key);
  };
};
const $pattern = (text, flags = "u") => new RegExp(text, flags);
const $library = {
  operator: { add: $add, sub: $sub, mul: $mul, floordiv: $floordiv, mod: $mod, lt: $lt, le: $le,
    gt: (a, b) => $lt(b, a), ge: (a, b) => $le(b, a) },
  fractions: { Fraction },
  math: { ceil: (x) => (x instanceof Fraction ? -$floordiv(-x.top, x.bottom) : BigInt(Math.ceil(Number(x)))), gcd: $gcd, inf: Infinity,
    prod: (all, options) => { let product = options?.values.start ?? 1n; for (const x of all) product = $mul(product, x); return product; } },
  itertools: { pairwise: (all) => [...all].slice(1).map((x, i) => [all[i], x]) },
  functools: { cache: $cached, lru_cache: (most) => $cached },
  dataclasses: {
    dataclass: (made, ...rest) => (typeof made === "function" ? $dataclass(made) : (kind) => $dataclass(kind, made.values)),
    field: (named) => {
      const { default: value, default_factory: factory, ...rest } = named.values;
      const make = factory ? () => $call(factory, []) : value !== undefined ? () => value : undefined;
      return new $Field("", { ...rest, make });
    },
    fields: $fields,
    replace: $replace,
  },
  difflib: { get_close_matches: () => [] },
  re: {
    fullmatch: (pattern, text) => $pattern(`^(?:${pattern})$`).exec(text),
    sub: (pattern, by, text) => text.replace($pattern(pattern, "gu"), typeof by === "string" ? by : (m) => by([m])),
    split: (pattern, text) => text.split($pattern(pattern)),
    compile: (pattern) => ({ sub: (by, text) => $library.re.sub(pattern, by, text) }),
  },
  types: { MappingProxyType: (x) => x },
  typing: { NamedTuple: $NamedTuple, TypeVar: () => $object },
};
const $modules = new Map();
const $define = (name, make) => $modules.set(name, make());
const $module = (name) =>
  $modules.get(name) ?? new Proxy($library[name] ?? {}, { get: (own, key) => own[key] ?? $object });
