"""One layer of a spec: its operation with its hyperparameters, and what else stands there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netledger.builder import Names
from netledger.errors import FieldError, NetledgerError, did_you_mean
from netledger.formula import Dim, symbols
from netledger.formula.parsing import parse_dim
from netledger.graph import Parameter, Recorded, TensorType
from netledger.ops import Opaque, Split, by_key
from netledger.ops.base import Op
from netledger.ops.fields import (
    CHOICE,
    DIMS,
    FLAG,
    INTEGER,
    INTEGERS,
    PADDING,
    PER_AXIS,
    SHAPES,
    TENSORS,
    Rule,
)
from netledger.readers.spec.values import Reference, Values, show
from netledger.schema import LAYER_KEYS, PARAMETER_KEYS, RECORDED_KEYS, required_fields
from netledger.strict_yaml import Value

MOST_OUTPUTS = 10_000


@dataclass
class Layer:
    """A layer as it is written; what feeds it is looked up once all layers are known."""

    name: str
    where: str
    line: int
    op: Op
    feeds: list[Reference] | None = None
    outputs: int | tuple[str, ...] | None = None
    trainable: bool = True
    scope: str = ""
    tie: Value | None = None
    recorded: Recorded | None = None

    @property
    def count(self) -> int | None:
        """How many outputs it has, if that can be said without looking at its input."""
        if isinstance(self.outputs, int):
            return self.outputs
        return own_outputs(self.op)


def own_outputs(op: Op) -> int | None:
    """How many outputs an operation has, if its hyperparameters alone say so."""
    if isinstance(op, Opaque):
        return len(op.shapes)
    if isinstance(op, Split) and isinstance(op.sizes, tuple):
        return len(op.sizes)
    return None


def read_layer(
    values: Values, number: int, item: Value, names: Names, channels_last: bool
) -> Layer:
    """The layer that stands at `number` in the list.

    Raises:
        NetledgerError: If it is not one; the message names the line.
    """
    values.where = f"layer {number}"
    word, body = _word(values, item)
    if word not in by_key():
        hint = "'netledger layer' lists all operations"
        raise values.unknown("operation", word, by_key(), body.line, hint)
    values.where += f" ({word})"
    keys = _keys(values, word, body)
    if "name" in keys:
        values.where = f"{values.text(keys['name'], 'name')} ({word})"
    op = _operation(values, word, body, keys, channels_last)
    scope = values.text(keys["scope"], "scope") if "scope" in keys else ""
    name = _name(values, keys, names) or names.make(op, scope)
    layer = Layer(name, f"{name} ({word})", body.line, op, scope=scope, tie=keys.get("tie"))
    values.where = layer.where
    if "inputs" in keys:
        layer.feeds = values.references(keys["inputs"], "inputs")
    if "outputs" in keys:
        layer.outputs = _outputs(values, keys["outputs"])
    if "trainable" in keys:
        layer.trainable = values.flag(keys["trainable"], "trainable")
    if "recorded" in keys:
        layer.recorded = _recorded(values, keys["recorded"])
    return layer


def _word(values: Values, item: Value) -> tuple[str, Value]:
    """The operation's word and what stands under it."""
    if isinstance(item.data, str) and item.data:
        return item.data, Value(None, item.line)
    if isinstance(item.data, dict) and len(item.data) == 1:
        return next(iter(item.data.items()))
    fact, hint = f"a layer is a word or a mapping from one word; got {show(item)}", ""
    if isinstance(item.data, dict) and item.data:
        first, *others = item.data
        fact = f"a layer is a mapping from one word; got {len(item.data)} keys: " + ", ".join(
            item.data
        )
        if item.data[first].data is None:
            hint = f"indent {others[0]!r} further, so that it belongs to {first!r}"
        else:
            hint = "put a dash before each layer"
    raise values.fault(fact, item, hint)


def _keys(values: Values, word: str, body: Value) -> dict[str, Value]:
    """What stands under the word, by key; every key is known."""
    op_class, implied = by_key()[word]
    fields = [name for name in op_class.rules if name not in implied]
    if body.data is None:
        return {}
    if not isinstance(body.data, dict):
        wanted = required_fields(op_class) or (*fields, "name")[:1]
        shown = show(body) if len(wanted) == 1 and not isinstance(body.data, list) else "…"
        hint = f"write {word}: {{{', '.join(f'{key}: {shown}' for key in wanted)}}}"
        fact = f"the keys of {word} must be a mapping; got {show(body)}"
        raise values.fault(fact, body, hint)
    for key, value in body.data.items():
        if key not in fields and key not in LAYER_KEYS:
            hint = f"{word} has {', '.join([*fields, *LAYER_KEYS])}"
            known = [*fields, *LAYER_KEYS]
            raise values.unknown(f"key of {word}", key, known, value.line, hint)
    return body.data


def _operation(
    values: Values, word: str, body: Value, keys: Mapping[str, Value], channels_last: bool
) -> Op:
    op_class, implied = by_key()[word]
    given = {
        key: _field(values, op_class.rules[key], key, value)
        for key, value in keys.items()
        if key not in LAYER_KEYS
    }
    if "channels_last" in op_class.rules:
        given.setdefault("channels_last", channels_last)
    try:
        return op_class(**implied, **given)
    except NetledgerError as error:
        raise error.at(where=values.where, source=values.at(body.line)) from None


def _name(values: Values, keys: Mapping[str, Value], names: Names) -> str:
    if "name" not in keys:
        return ""
    name = values.text(keys["name"], "name")
    if name in names:
        hint = "every layer and input has a name of its own"
        if re.sub(r"_\d+$", "", name.rpartition(".")[2]) in by_key():
            hint = "a layer without a name is called by its operation's word; name that one as well"
        raise values.fault(f"two layers or inputs are called {name!r}", keys["name"], hint)
    return names.take(name)


def _outputs(values: Values, value: Value) -> int | tuple[str, ...]:
    if not isinstance(value.data, list):
        return values.integer(value, "outputs", 1, MOST_OUTPUTS)
    return tuple(values.text(name, "a name in outputs") for name in value.data)


# Hyperparameters: as they stand, except that sizes may be formulas.


def _field(values: Values, rule: Rule, key: str, value: Value) -> Any:
    data = value.plain()
    if rule.kind in _SIZES:
        data = _SIZES[rule.kind](values, value, rule)
    try:
        return rule.accept(key, data)
    except FieldError:
        fact = f"{key} must be {rule.describe()}; got {show(value)}"
        error = FieldError(fact, hint=_hint(values, rule, data))
        raise error.at(where=values.where, source=values.at(value.line)) from None


def _integers(values: Values, value: Value, rule: Rule) -> Any:
    """Numbers; text is a formula if all its symbols are known, and else a mistake."""
    if isinstance(value.data, list):
        return [_integers(values, item, rule) for item in value.data]
    if not isinstance(value.data, str) or value.data in rule.choices:
        return value.plain()
    try:
        size = parse_dim(value.data)
    except FieldError:
        return value.data
    return size if symbols(size) <= values.symbols else value.data


def _shape(values: Values, value: Value, rule: Rule) -> Any:
    """Sizes; a single one is no shape."""
    return _dims(values, value, rule) if isinstance(value.data, list) else value.plain()


def _dims(values: Values, value: Value, rule: Rule) -> Any:
    """Sizes; they may bring symbols of their own."""
    if isinstance(value.data, list):
        return [_dims(values, item, rule) for item in value.data]
    if not isinstance(value.data, str):
        return value.plain()
    size = values.formula(value.data, value.line)
    values.symbols |= symbols(size)
    return size


def _tensors(values: Values, value: Value, rule: Rule) -> Any:
    """Stored tensors: the third entry of each is its shape."""
    tensors = value.plain()
    if isinstance(value.data, list):
        for at, item in enumerate(value.data):
            if isinstance(item.data, list) and len(item.data) == 5:
                tensors[at][2] = _shape(values, item.data[2], rule)
    return tensors


_SIZES: Mapping[str, Callable[[Values, Value, Rule], Any]] = {
    **dict.fromkeys((INTEGER, INTEGERS, PER_AXIS, PADDING), _integers),
    **dict.fromkeys((DIMS, SHAPES), _shape),
    TENSORS: _tensors,
}


def _hint(values: Values, rule: Rule, data: Any) -> str:
    """What to do about a hyperparameter that is not allowed."""
    if isinstance(data, float) and data.is_integer():
        return f"write {int(data)}"
    if not isinstance(data, str):
        return ""
    if rule.kind == FLAG:
        return "write true or false"
    if rule.kind == CHOICE or rule.choices:
        return did_you_mean(data, rule.choices)
    if re.fullmatch(r"\d+([x×]\d+)+", data):
        return f"write [{', '.join(re.split('[x×]', data))}]"
    known = sorted(values.symbols - {"N"})
    return f"the symbols known here are {', '.join(known)}" if known else ""


# What a paper or a file says of a layer: the second entry of the books


def _recorded(values: Values, value: Value) -> Recorded:
    keys = values.mapping(value, "recorded", RECORDED_KEYS)
    outputs: tuple[TensorType | None, ...] = ()
    parameters: tuple[Parameter, ...] | None = None
    if "outputs" in keys:
        types = values.items(keys["outputs"], "recorded outputs")
        outputs = tuple(_type(values, item) for item in types)
    if "parameters" in keys:
        stored = values.items(keys["parameters"], "recorded parameters")
        parameters = tuple(_parameter(values, item) for item in stored)
    macs: Dim | None = None
    if "macs" in keys:
        said = keys["macs"]
        count = values.dim if isinstance(said.data, str) else values.integer
        macs = count(said, "macs", 0)
    return Recorded(outputs, parameters, macs)


def _type(values: Values, value: Value) -> TensorType | None:
    if value.data is None:
        return None
    if not isinstance(value.data, str):
        hint = 'for instance "float32[N, 55, 55, 96]", with the batch'
        raise values.fault(f"a recorded output must be text; got {show(value)}", value, hint)
    return values.type_text(value, "a recorded output", 0, strict=False)


def _parameter(values: Values, value: Value) -> Parameter:
    keys = values.mapping(value, "a recorded parameter", PARAMETER_KEYS)
    for key in ("name", "role", "shape"):
        if key not in keys:
            raise values.fault(f"a recorded parameter needs {key}", value)
    shape = values.items(keys["shape"], "shape")
    return Parameter(
        values.text(keys["name"], "name"),
        values.word(keys["role"], "role", ("weight", "bias", "buffer")),
        tuple(values.dim(d, "shape", 0) for d in shape),
        values.text(keys["dtype"], "dtype") if "dtype" in keys else "",
        values.flag(keys["trainable"], "trainable") if "trainable" in keys else True,
        values.integer(keys["bytes"], "bytes", 0) if "bytes" in keys else None,
    )
