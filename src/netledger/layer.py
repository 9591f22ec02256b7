"""One layer without any model: the words of the command line → a graph of one node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from netledger.errors import UsageError
from netledger.graph import Graph, Node
from netledger.ops import OPERATIONS, by_key, from_key
from netledger.ops.base import show_value
from netledger.ops.fields import REQUIRED, TEXT, Rule
from netledger.readers.inputs import parse_type


def one_layer(kind: str, values: Sequence[str], inputs: Sequence[str]) -> Graph:
    """A graph of one layer.

    Args:
        kind: The operation, as in a spec: ``conv``.
        values: Hyperparameters, ``key=value``.
        inputs: Shapes without the batch, ``227x227x3``; or ``name=shape``.

    Raises:
        NetledgerError: If a word is not understood or a value impossible.
    """
    given: dict[str, Any] = {}
    for word in values:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is not of the form key=value", hint="write stride=4")
        if key in given:
            raise UsageError(f"{key!r} is given twice")
        rule = _rules(kind).get(key)
        given[key] = value if rule is not None and rule.kind == TEXT else parse_value(value)
    op = from_key(kind, given)
    types = {}
    for i, text in enumerate(inputs):
        name, equals, shape = text.rpartition("=")
        types[name or ("input" if len(inputs) == 1 else f"input{i + 1}")] = parse_type(shape)
    node = Node(kind, op, tuple(types)[: op.arity[1]] if op.arity[1] == 0 else tuple(types))
    return Graph(kind, types, (node,), (kind,), reader="layer")


def _rules(kind: str) -> dict[str, Rule]:
    op_class, _ = by_key().get(kind, (None, {}))
    return dict(op_class.rules) if op_class else {}


_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


def parse_value(text: str) -> Any:
    """A hyperparameter from a word: ``4``, ``3x3``, ``true``, ``same``, ``[[1,2],[0,1]]``.

    >>> parse_value("3x5"), parse_value("same"), parse_value("false")
    ([3, 5], 'same', False)
    """
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if text in ("none", "null"):
        return None
    if re.fullmatch(r"-?\d{1,3}(_\d{3}){1,6}", text):  # as Python writes it
        return int(text)
    if re.fullmatch(r"-?\d{1,19}", text):
        return int(text)
    if re.fullmatch(r"-?\d{1,19}([x×,]-?\d{1,19})+", text):
        return [int(part) for part in re.split("[x×,]", text)]
    power = re.fullmatch(r"(\d{1,3})[eE]([1-9])", text)
    if power:
        raise UsageError(f"{text!r} is no integer", hint=f"write {power[1]}{'0' * int(power[2])}")
    if re.fullmatch(r"-?\d*\.\d+(e-?\d+)?|\d+e-\d+", text):
        return float(text)
    if text.startswith("["):
        import json

        try:
            return json.loads(text[:1000])
        except (ValueError, RecursionError):
            raise UsageError(f"cannot read the list {text!r}", hint="write [[1,2],[0,1]]") from None
    return text


def describe_operations(kind: str | None) -> str:
    """All operations, a line each; or one operation with its hyperparameters."""
    if kind is None:
        width = max(len(op.key) for op in OPERATIONS)
        lines = [f"  {op.key:<{width}}  {_first_line(op)}" for op in OPERATIONS]
        tail = "'netledger layer KIND' shows the keys of one; relu, gelu … are words of their own."
        return "\n".join(["operations", *lines, "", tail])
    op_class, implied = by_key().get(kind) or (type(from_key(kind, {})), {})
    lines = [f"{kind}: {_first_line(op_class)}", ""]
    rules = {name: rule for name, rule in op_class.rules.items() if name not in implied}
    width = max(map(len, rules), default=0)
    for name, rule in rules.items():
        default = "" if rule.default is REQUIRED else f"; default {show_value(rule.default)}"
        need = " (required)" if rule.default is REQUIRED else ""
        lines.append(f"  {name:<{width}}  {rule.help}{need}: {rule.describe()}{default}")
    lines += [
        *[""] * bool(rules),
        f"for instance: netledger layer {kind} --input SHAPE {_example(rules)}".rstrip(),
    ]
    return "\n".join(lines)


def _first_line(op_class: type[Any]) -> str:
    return (op_class.__doc__ or "").partition("\n")[0].replace("``", "")


def _example(rules: dict[str, Rule]) -> str:
    return " ".join(f"{name}=…" for name, rule in rules.items() if rule.default is REQUIRED)
