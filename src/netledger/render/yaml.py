"""A graph as a spec that reads back to the same ledger: no more than is needed, laid out to read.

What the reader would find by itself is left out: defaults, the layout that most layers have, names
that come out equal, inputs that follow the order, outputs that nobody asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from netledger.builder import Names
from netledger.errors import NetledgerError
from netledger.formula import Formula, symbols
from netledger.formula.parsing import write_dim
from netledger.graph import BATCH, DTYPE_BITS, Graph, Node, Parameter, Recorded, TensorType
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import by_key
from netledger.ops.base import Op, Spatial
from netledger.ops.fields import DIMS, SHAPES, TENSORS
from netledger.readers.spec.layer import own_outputs
from netledger.schema import FIRST

WIDTH, LONGEST_KEY = 96, 400
"""How long a line may be before what stands in it is spread over several."""


def write(graph: Graph) -> str:
    """The spec of a network, as YAML.

    >>> from netledger.builder import Network
    >>> from netledger.ops import Activation, Conv
    >>> net = Network("tiny", (32, 32, 3))
    >>> _ = net.chain(Conv(8, 3, padding="same"), Activation("relu"))
    >>> print(write(net.graph()))
    name: tiny
    input: [32, 32, 3]
    layers:
      - conv: {out_channels: 8, kernel_size: 3, padding: same}
      - relu
    """
    return "\n".join(_lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    channels_last = _layout(graph)
    yield f"name: {_line(graph.name or 'unnamed')}"
    if graph.title:
        yield f"title: {_line(graph.title)}"
    yield from _inputs(graph)
    if not channels_last:
        yield f"layout: {FIRST}"
    undeclared = _undeclared(graph)
    if undeclared:
        yield from _entry("symbols", undeclared, "")
    writer = _Writer(graph, channels_last)
    layers = [writer.layer(node) for node in graph.nodes]
    if graph.outputs != writer.default:
        yield from _entry("outputs", list(graph.outputs), "")
    if not layers:
        yield "layers: []"
        return
    yield "layers:"
    for word, keys in layers:
        if keys:
            yield from _entry(word, keys, "  - ")
        else:
            yield f"  - {word}"


def _layout(graph: Graph) -> bool:
    """True unless most maps have their channels first."""
    votes = [node.op.channels_last for node in graph.nodes if isinstance(node.op, Spatial)]
    return 2 * sum(votes) >= len(votes)


# Inputs


def _inputs(graph: Graph) -> Iterator[str]:
    if list(graph.inputs) == ["input"]:
        yield from _entry("input", _input(graph.inputs["input"]), "")
    elif not graph.inputs:
        yield "inputs: {}"
    else:
        yield "inputs:"
        for name, declared in graph.inputs.items():
            yield from _entry(name, _input(declared), "  ")


def _input(declared: TensorType) -> Any:
    shape = declared.shape
    batch = bool(shape) and isinstance(shape[0], Formula) and _is_batch(shape[0])
    rest = shape[1:] if batch else shape
    if any("N" in symbols(d) or d == 0 for d in rest):
        batch = False
    sizes = [write_dim(d) for d in (rest if batch else shape)]
    known = declared.dtype in DTYPE_BITS
    if batch and declared.dtype == "float32":
        return sizes
    if batch and known and all(isinstance(d, int) or d.isidentifier() for d in sizes):
        return f"{declared.dtype}[{', '.join(map(str, sizes))}]"
    keys: dict[str, Any] = {"shape": sizes}
    if declared.dtype != "float32":
        keys["dtype"] = declared.dtype
    return keys if batch else {**keys, "batch": False}


def _is_batch(dim: Formula) -> bool:
    return dim.value is None and dim.head == BATCH.head and dim.name == BATCH.name


def _undeclared(graph: Graph) -> list[str]:
    """Symbols that hyperparameters use before any shape has brought them."""
    known = {"N"}.union(*(symbols(d) for t in graph.inputs.values() for d in t.shape))
    found: dict[str, None] = {}
    for node in graph.nodes:
        for name, value in node.op.given().items():
            used = sorted(frozenset().union(*map(symbols, _leaves(value))) - known)
            if node.op.rules[name].kind not in (DIMS, SHAPES, TENSORS):
                found.update(dict.fromkeys(used))
            known.update(used)
    return list(found)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


# Layers


class _Writer:
    """Follows the reader: which names it would give, and which value feeds the next layer."""

    def __init__(self, graph: Graph, channels_last: bool) -> None:
        self.channels_last = channels_last
        self.names = Names(graph.inputs)
        self.last = next(iter(graph.inputs), None)
        self.asked = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
        ledger = _ledger(graph)
        self.stored = {row.name: [p.name for p in row.parameters] for row in ledger.ops}
        self.doubted = {finding.row for finding in ledger.findings}
        self.owners = {one: group[0] for group in graph.ties for one in group[1:]}

    @property
    def default(self) -> tuple[str, ...]:
        """What the network returns if nothing is said."""
        return () if self.last is None else (self.last,)

    def layer(self, node: Node) -> tuple[str, dict[str, Any]]:
        """A layer's word and what stands under it."""
        word, fields = self.operation(node.op)
        keys: dict[str, Any] = {}
        if self.names.preview(node.op, node.scope) != node.name:
            keys["name"] = node.name
        self.names.take(node.name)
        keys.update(fields)
        fed = () if self.last is None or not node.op.arity[0] else (self.last,)
        if node.inputs != fed or (fed and node.op.arity[1] is None):
            keys["inputs"] = node.inputs[0] if len(node.inputs) == 1 else list(node.inputs)
        keys.update(self.outputs(node))
        if not node.trainable:
            keys["trainable"] = False
        keys.update(self.tie(node))
        if node.scope:
            keys["scope"] = node.scope
        if node.recorded and (node.op.unknown() or node.name in self.doubted):
            keys["recorded"] = _recorded(node.recorded)
        self.last = node.outputs[0] if node.outputs else self.last
        return word, keys

    def operation(self, op: Op) -> tuple[str, dict[str, Any]]:
        """An operation's word and its hyperparameters, without those that the word implies."""
        word, implied = _word(op)
        fields = {k: v for k, v in op.given().items() if k not in implied and k != "channels_last"}
        if isinstance(op, Spatial) and op.channels_last is not self.channels_last:
            fields["channels_last"] = op.channels_last
        return word, {k: _value(op.rules[k].kind, v) for k, v in fields.items()}

    def outputs(self, node: Node) -> dict[str, Any]:
        """The number of outputs, or their names, unless the reader finds them by itself."""
        count = len(node.outputs)
        if node.op.silent:
            return {}
        if node.outputs != (node.name, *(f"{node.name}:{i}" for i in range(1, count))):
            return {"outputs": list(node.outputs)}
        expected = own_outputs(node.op)
        if expected is None:
            asked = [i for i, value in enumerate(node.outputs) if value in self.asked]
            expected = max([0, *asked]) + 1
        return {} if count == expected else {"outputs": count}

    def tie(self, node: Node) -> dict[str, Any]:
        """What its parameters are tied to."""
        names = self.stored.get(node.name, [])
        owned = {n: self.owners[node.name, n] for n in names if (node.name, n) in self.owners}
        if not owned:
            return {}
        others = {other for other, _ in owned.values()}
        other = next(iter(others))
        same = [name for name in names if name in self.stored.get(other, [])]
        if len(others) == 1 and owned == {name: (other, name) for name in same}:
            return {"tie": other}
        return {
            "tie": {
                name: f"{layer}/{own}" if "/" not in own else [layer, own]
                for name, (layer, own) in owned.items()
            }
        }


def _ledger(graph: Graph) -> Ledger:
    """The ledger, as far as it goes."""
    try:
        return infer(graph)
    except NetledgerError as error:
        return error.partial or Ledger(graph, ())


def _word(op: Op) -> tuple[str, Mapping[str, Any]]:
    for word, (op_class, implied) in by_key().items():
        same = op_class is type(op) and implied
        if same and all(getattr(op, name) == value for name, value in implied.items()):
            return word, implied
    return op.key, {}


def _value(kind: str, value: Any) -> Any:
    """A hyperparameter as the reader takes it."""
    if isinstance(value, Formula):
        return write_dim(value)
    if isinstance(value, tuple):
        return [_value(kind, one) for one in value]
    return value


def _recorded(recorded: Recorded) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if recorded.outputs:
        keys["outputs"] = [None if t is None else _type(t) for t in recorded.outputs]
    if recorded.parameters is not None:
        keys["parameters"] = [_parameter(p) for p in recorded.parameters]
    if recorded.macs is not None:
        keys["macs"] = write_dim(recorded.macs)
    return keys


def _type(t: TensorType) -> str:
    return f"{t.dtype}[{', '.join(str(write_dim(d)) for d in t.shape)}]"


def _parameter(p: Parameter) -> dict[str, Any]:
    keys: dict[str, Any] = {"name": p.name, "role": p.role, "shape": [*map(write_dim, p.shape)]}
    if p.dtype:
        keys["dtype"] = p.dtype
    if not p.trainable:
        keys["trainable"] = False
    return keys if p.nbytes is None else {**keys, "bytes": p.nbytes}


# Characters


def _entry(key: str, value: Any, indent: str) -> Iterator[str]:
    """``key: value``: in one line if it fits, else a line for each part."""
    inner = " " * len(indent)
    head = f"{indent}{_name(key)}:"
    if len(head) > LONGEST_KEY:  # YAML's short form ends at 1,024 characters
        yield f"{indent}? {_name(key)}"
        head = f"{inner}:"
    line = f"{head} {_line(value) if isinstance(value, str) else flow(value)}"
    if not isinstance(value, dict | list) or not value or len(line) <= WIDTH:
        yield line
        return
    yield head
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _entry(name, part, f"{inner}  ")
    else:
        for part in value:
            yield f"{inner}  - {flow(part)}"


def flow(value: Any) -> str:
    """A value in one line: ``{kernel_size: [3, 3], bias: false}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Text, a number, true, false or null."""
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not isfinite(value):
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    return repr(value)


def _line(text: str) -> str:
    """Text that has a line for itself: commas and brackets inside it mean nothing there."""
    return text if _is_plain(re.sub(r", |(?<=\w)[][]", "_", text)) else _quoted(text)


def _name(key: str) -> str:
    return key if _is_plain(key) and ":" not in key else _quoted(key)


def _key(key: str) -> str:
    name = _name(key)
    return f"? {name} " if len(name) > LONGEST_KEY else name


_PLAIN = re.compile(r"[\w/(](?:[\w .+/()*-]|:(?=\w))*(?<! )")
_OTHER = re.compile(r"(?i)[\d_.:+-]+(e[\d+-]*)?|0[xo][\da-f_]*|y|n|yes|no|on|off|true|false|null")
"""Plain text that some version of YAML takes for something else."""


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and not _OTHER.fullmatch(text) and text.isprintable()


def _quoted(text: str) -> str:
    return '"' + "".join(_escape(c) for c in text) + '"'


def _escape(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c.isprintable():
        return c
    code = ord(c)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
