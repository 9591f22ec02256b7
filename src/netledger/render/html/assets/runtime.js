// What Python's operators and built-in types do beyond JavaScript's own.
//
// Whole numbers are BigInt (exact at any size), floats are numbers, tuples and lists are arrays,
// dicts and sets are classes of their own (dicts.js): keys are compared by value, as in Python.
"use strict";

class $Object {
  constructor(...given) {
    this.__init__(...given);
  }
  static __new__(kind) {
    return Object.create(kind.prototype);
  }
  __init__() {}
  __init_subclass__() {}
}

class $Exception extends Error {
  constructor(...given) {
    super();
    this.__init__(...given);
    this.message = String(this.fact ?? given[0] ?? "");
  }
  __init__(...given) {
    this.args = given;
  }
  __init_subclass__() {}
}
const $failure = (name, base = $Exception) =>
  $class(name, { [name]: class extends base {} }[name], {}, [], {}, []);

class $KW {
  constructor(values) {
    this.values = values;
  }
}
const $ellipsis = Symbol("...");
const $NotImplemented = Symbol("NotImplemented");

// --- types ---

const $builtin = (name, make, test) => Object.assign(make, { $builtin: name, $test: test });
const $int = $builtin("int", (x = 0n) => (typeof x === "boolean" ? BigInt(x) : BigInt(typeof x === "number" ? Math.trunc(x) : x)),
  (x) => typeof x === "bigint" || typeof x === "boolean");
const $float = $builtin("float", (x) => (x instanceof Fraction ? x.number() : Number(x)), (x) => typeof x === "number");
const $bool = $builtin("bool", (x) => $t(x), (x) => typeof x === "boolean");
const $str = $builtin("str", (x = "") => $text(x), (x) => typeof x === "string");
const $tuple = $builtin("tuple", (x = []) => [...x], Array.isArray);
const $list = $builtin("list", (x = []) => [...x], Array.isArray);
const $NoneType = $builtin("NoneType", () => null, (x) => x === null);
class $Slice {
  constructor(start, stop, step) { Object.assign(this, { start, stop, step }); }
  indices(size) { return $bounds(this.start, this.stop, this.step, size); }
}
const $slice = $builtin("slice", (start, stop, step = null) =>
  (stop === undefined ? new $Slice(null, start, null) : new $Slice(start, stop, step)), (x) => x instanceof $Slice);
const $object = $builtin("object", (x) => (x instanceof $dict ? Object.fromEntries($pairs(x)) : (x?.values ?? x)), () => true);
$object.__setattr__ = (thing, name, value) => $setattr(thing, name, value);
$object.__new__ = (kind) => Object.create(kind.prototype);

const $type = (x) => {
  switch (typeof x) {
    case "bigint": return $int;
    case "string": return $str;
    case "boolean": return $bool;
    case "number": return $float;
  }
  if (x === null) return $NoneType;
  if (Array.isArray(x)) return x.constructor === Array ? $tuple : x.constructor;
  return x.constructor;
};
const $isinstance = (x, kind) => {
  if (Array.isArray(kind)) return kind.some((one) => $isinstance(x, one));
  return kind.$test ? kind.$test(x) : x instanceof kind;
};

function $class(name, made, variables, fields, signatures, statics) {
  const proto = made.prototype;
  Object.defineProperty(made, "__name__", { value: name, configurable: true });
  Object.defineProperty(made, "$own", { value: { ...variables } });
  Object.defineProperty(made, "$fields", {
    value: fields.map(([field, make]) => ({ name: field, make })), configurable: true,
  });
  for (const [key, signature] of Object.entries(signatures)) {
    const own = Object.getOwnPropertyDescriptor(proto, key);
    if (own.value) own.value.$signature = signature;
  }
  for (const key of statics) made[key] = proto[key].bind(made);
  for (const key of statics) made[key].$signature = proto[key].$signature;
  for (const [key, value] of Object.entries(variables)) $setattr(made, key, value);
  Object.getPrototypeOf(proto).__init_subclass__?.call(made);
  if (proto instanceof Array) $named(made);
  return made;
}
const $function = (signature, f) => Object.assign(f, { $signature: signature });

const $setattr = (thing, name, value) => {
  const how = { value, writable: true, configurable: true, enumerable: true };
  if (typeof thing === "function") {
    Object.defineProperty(thing, name, how);
    Object.defineProperty(thing.prototype, name, { ...how, enumerable: false });
    thing.$own[name] = value;
  } else Object.defineProperty(thing, name, how);
};
const $attr = (thing, name) => {
  if (typeof thing === "function" && thing.prototype) return name in thing ? thing[name] : thing.prototype[name];
  const value = thing[name];
  return typeof value === "function" && !value.prototype?.__init__ ? value.bind(thing) : value;
};
/** The same for a value that has been read already. */
const $own = (value, thing, name) =>
  (value !== undefined && typeof value !== "function" ? value : $attr(thing, name));
const $getattr = (thing, name, otherwise) => {
  const value = thing === null ? undefined : $attr(thing, name);
  return value === undefined ? otherwise : value;
};

// --- calls ---

const $call = (f, given) => (f.prototype?.__init__ ? new f(...given) : f(...given));
function $bind([names, rest, open], given, named) {
  const left = { ...named };
  const all = names.map((name, i) => {
    if (i < given.length) return given[i];
    const value = left[name];
    delete left[name];
    return value;
  });
  if (rest) all.push(...given.slice(names.length));
  if (open) all.push(new $KW(left));
  else if (Object.keys(left).length) throw new $TypeError(`unexpected ${Object.keys(left)}`);
  return all;
}
const $signed = (f) => f.$signature ?? (f.prototype?.__init__?.$signature || null);
function $kw(f, given, named) {
  const signature = $signed(f);
  const all = signature ? $bind(signature, given, named) : [...given, new $KW(named)];
  return $call(f, all);
}
const $kwof = (f) => ({
  call: (self, given, named) => f.call(self, ...(f.$signature ? $bind(f.$signature, given, named) : [...given, new $KW(named)])),
});
function $mkw(thing, name, given, named) {
  const f = thing[name] ?? $m;
  if (f === $m || f.$signature === undefined) {
    if (typeof thing === "function" && f !== $m) return $call(f, [...given, new $KW(named)]);
    return $m(thing, name, [...given, new $KW(named)]);
  }
  return f.prototype?.__init__ ? $kw(f, given, named) : f.call(thing, ...$bind(f.$signature, given, named));
}
function $keywords(given) {
  const last = given[given.length - 1];
  if (!(last instanceof $KW)) return new $dict();
  given.pop();
  return new $dict(Object.entries(last.values).filter(([, value]) => value !== undefined));
}

// --- truth, equality, order ---

const $t = (x) => {
  if (x === null || x === undefined || x === false || x === 0n || x === "" || x === 0) return false;
  if (Array.isArray(x)) return x.length > 0;
  if (typeof x !== "object") return true;
  if (x.__bool__) return x.__bool__();
  return x.size !== undefined && (x instanceof $dict || x instanceof $set) ? x.size > 0 : true;
};
const $eq = (a, b) => {
  if (a === b) return true;
  const kind = typeof a;
  if (kind === typeof b && kind !== "object") return kind === "number" && a === b;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return a.every((x, i) => $eq(x, b[i]));
  }
  if (a?.__eq__) {
    const said = a.__eq__(b);
    if (said !== $NotImplemented) return said;
  }
  if (b?.__eq__) {
    const said = b.__eq__(a);
    return said !== $NotImplemented && said;
  }
  if (kind === "boolean" && typeof b === "bigint") return BigInt(a) === b;
  if (kind === "bigint" && typeof b === "boolean") return BigInt(b) === a;
  return (kind === "bigint" || kind === "number") && (typeof b === "bigint" || typeof b === "number") ? a == b : false;
};
const $lt = (a, b) => {
  if (typeof a === "bigint" && typeof b === "bigint") return a < b;
  if (Array.isArray(a)) {
    for (let i = 0; i < a.length && i < b.length; i++) if (!$eq(a[i], b[i])) return $lt(a[i], b[i]);
    return a.length < b.length;
  }
  if (a?.__lt__) return a.__lt__(b);
  if (b?.__gt__) return b.__gt__(a);
  return a instanceof $set ? $le(a, b) && a.size < b.size : a < b;
};
const $le = (a, b) => {
  if (typeof a === "bigint" && typeof b === "bigint") return a <= b;
  if (a?.__le__) return a.__le__(b);
  if (b?.__ge__) return b.__ge__(a);
  if (a instanceof $set) return [...a].every((x) => b.has(x));
  return a <= b;
};
const $in = (x, all) => {
  if (typeof all === "string") return all.includes(x);
  if (all.has) return all.has(x);
  if (all.__contains__) return all.__contains__(x);
  for (const one of all) if ($eq(one, x)) return true;
  return false;
};

// --- arithmetic ---

const $plain = (x) => (typeof x === "boolean" ? BigInt(x) : x);
const $binary = (own, other, plain) => (a, b) => {
  if (typeof a === "bigint" && typeof b === "bigint") return plain(a, b);
  if (a?.[own]) {
    const value = a[own](b);
    if (value !== $NotImplemented) return value;
  }
  if (b?.[other]) return b[other](a);
  a = $plain(a);
  b = $plain(b);
  if (typeof a !== typeof b) return plain(Number(a), Number(b));
  return plain(a, b);
};
const $number = $binary("__add__", "__radd__", (a, b) => a + b);
const $add = (a, b) => {
  if (typeof a === "string") return a + b;
  return Array.isArray(a) ? [...a, ...b] : $number(a, b);
};
const $iadd = (a, b) => {
  if (!Array.isArray(a)) return $add(a, b);
  for (const x of b) a.push(x);
  return a;
};
const $sub = (() => {
  const numbers = $binary("__sub__", "__rsub__", (a, b) => a - b);
  return (a, b) => (a instanceof $set ? new $set([...a].filter((x) => !b.has(x))) : numbers(a, b));
})();
const $product = $binary("__mul__", "__rmul__", (a, b) => a * b);
const $mul = (a, b) => {
  if (typeof a === "string") return a.repeat(Number(b));
  if (Array.isArray(a)) {
    const found = [];
    for (let i = Number(b); i > 0; i--) found.push(...a);
    return found;
  }
  return $product(a, b);
};
const $divided = (a, b) => {
  if (!b) throw new $ZeroDivisionError("division by zero");
};
const $floordiv = $binary("__floordiv__", "__rfloordiv__", (a, b) => {
  $divided(a, b);
  if (typeof a === "number") return Math.floor(a / b);
  const whole = a / b;
  return whole * b !== a && (a < 0n) !== (b < 0n) ? whole - 1n : whole;
});
const $mod = $binary("__mod__", "__rmod__", (a, b) => {
  $divided(a, b);
  const rest = a % b;
  return rest && (rest < 0) !== (b < 0) ? rest + b : rest;
});
const $div = $binary("__truediv__", "__rtruediv__", (a, b) => Number(a) / Number(b));
const $pow = (a, b) => a ** b;
const $neg = (a) => (a?.__neg__ ? a.__neg__() : -$plain(a));
const $or = (a, b) => {
  if (a instanceof $dict) return new $dict([...$pairs(a), ...$pairs(b)]);
  if (a instanceof $set) return new $set([...a, ...b]);
  return [a, b].flat();
};
const $and = (a, b) => new $set([...a].filter((x) => b.has(x)));
const $abs = (a) => ($lt(a, 0n) ? $neg(a) : a);
const $divmod = (a, b) => [$floordiv(a, b), $mod(a, b)];
const $round = (x) => BigInt(Math.round(Number(x)));

// --- keys: equal things have the same text ---

let $count = 0;
const $identity = new WeakMap();
const $key = (x) => {
  switch (typeof x) {
    case "bigint": return `${x}`;
    case "string": return `"${x.length}"${x}`;
    case "boolean": return x ? "1" : "0";
    case "number": return Number.isInteger(x) ? `${x}` : `f${x}`;
    case "function": return x.__name__ !== undefined ? `c${x.__name__}` : $known(x);
  }
  if (x === null) return "-";
  if (Array.isArray(x)) {
    let text = "(";
    for (const one of x) text += `${$key(one)},`;
    return `${text})`;
  }
  if (x.__hash__) {
    if (x.$key === undefined) Object.defineProperty(x, "$key", { value: $brief(x.__hash__()) });
    return x.$key;
  }
  return x instanceof $set ? `{${[...x.data.keys()].sort().join(",")}}` : $known(x);
};
const $known = (x) => {
  if (!$identity.has(x)) $identity.set(x, `o${++$count}`);
  return $identity.get(x);
};
const $hash = $key;
const $id = (x) => $known(x);
/** A short text for each long one, so that keys of many parts stay small. */
const $briefs = new Map();
const $brief = (text) => {
  if (text.length < 12) return text;
  if (!$briefs.has(text)) $briefs.set(text, `#${$briefs.size}`);
  return $briefs.get(text);
};
/** The key in a dict or set: texts, which are most, as they are. */
const $slot = (x) => (typeof x === "string" && x[0] !== "\0" ? x : `\0${$key(x)}`);
