// Python's dicts and sets: in the order of their keys' arrival, keys compared by value.
"use strict";

class $dict {
  constructor(pairs = [], named = null) {
    this.data = new Map();
    if (pairs instanceof $KW) [pairs, named] = [[], pairs];
    if (pairs instanceof $dict) pairs = $pairs(pairs);
    for (const [key, value] of pairs) this.data.set($slot(key), [key, value]);
    if (named) for (const [key, value] of Object.entries(named.values)) this.set(key, value);
  }
  static fromkeys(keys, value = null) {
    return new $dict([...keys].map((key) => [key, value]));
  }
  __init__() {}
  get size() { return this.data.size; }
  has(key) { return this.data.has($slot(key)); }
  set(key, value) {
    this.data.set($slot(key), [key, value]);
    return this;
  }
  get(key, otherwise = null) { return this.data.get($slot(key))?.[1] ?? otherwise; }
  at(key) {
    const found = this.data.get($slot(key));
    if (found === undefined) throw new $KeyError(key);
    return found[1];
  }
  keys() { return new $set([...this.data.values()].map(([key]) => key)); }
  values() { return [...this.data.values()].map(([, value]) => value); }
  items() { return [...this.data.values()].map(([key, value]) => [key, value]); }
  pop(key, otherwise) {
    const own = $slot(key);
    const found = this.data.get(own);
    this.data.delete(own);
    if (found === undefined && otherwise === undefined) throw new $KeyError(key);
    return found === undefined ? otherwise : found[1];
  }
  setdefault(key, value = null) {
    if (!this.has(key)) this.set(key, value);
    return this.at(key);
  }
  update(pairs = [], named = null) {
    if (pairs instanceof $KW) [pairs, named] = [[], pairs];
    for (const [key, value] of pairs instanceof $dict ? $pairs(pairs) : pairs) this.set(key, value);
    if (named) for (const [key, value] of Object.entries(named.values)) this.set(key, value);
    return null;
  }
  copy() { return new $dict($pairs(this)); }
  __eq__(other) {
    if (!(other instanceof $dict)) return $NotImplemented;
    return this.size === other.size && this.items().every(([k, v]) => other.has(k) && $eq(v, other.at(k)));
  }
  *[Symbol.iterator]() {
    for (const [key] of this.data.values()) yield key;
  }
}
$dict.$test = (x) => x instanceof $dict;
$dict.__name__ = "dict";
const $pairs = (x) => (x instanceof $dict ? x.data.values() : Object.entries(x.values ?? x));

class $set {
  constructor(all = []) {
    this.data = new Map();
    for (const x of all) this.add(x);
  }
  __init__() {}
  get size() { return this.data.size; }
  has(x) { return this.data.has($slot(x)); }
  add(x) {
    this.data.set($slot(x), x);
    return null;
  }
  union(...others) { return new $set([...this, ...others.flatMap((o) => [...o])]); }
  update(...others) {
    for (const other of others) for (const x of other) this.add(x);
    return null;
  }
  intersection(other) { return new $set([...other].filter((x) => this.has(x))); }
  isdisjoint(other) {
    for (const x of other) if (this.has(x)) return false;
    return true;
  }
  __eq__(other) { return other instanceof $set ? $key(this) === $key(other) : $NotImplemented; }
  [Symbol.iterator]() { return this.data.values(); }
}
$set.$test = (x) => x instanceof $set;
$set.__name__ = "set";
const $frozenset = $set;
