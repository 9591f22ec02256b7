"""The same network with fewer channels: small enough to be trained in a minute."""

from __future__ import annotations

from dataclasses import fields
from math import lcm
from typing import Any

from netledger.edits import SetField, apply
from netledger.errors import UsageError
from netledger.graph import Graph, Node
from netledger.infer import infer
from netledger.ops import GRU, LSTM, RNN, Conv, ConvTranspose, Linear
from netledger.ops.base import Op

WIDTHS: dict[type[Op], str] = {
    Conv: "out_channels",
    ConvTranspose: "out_channels",
    Linear: "out_features",
    RNN: "hidden_size",
    GRU: "hidden_size",
    LSTM: "hidden_size",
}
"""Layers that choose a width, and the hyperparameter that it is."""


def narrow(graph: Graph, width: float = 1.0, classes: int | None = None) -> Graph:
    """The network with every width times `width`; its outputs stay, or have `classes` numbers.

    Widths stay multiples of the groups; depthwise convolutions stay depthwise.

    Raises:
        UsageError: If `width` is not above 0, or no layer makes the classes.
        ShapeError: If the network then does not fit together; the message says where.
    """
    if not width > 0:
        raise UsageError(f"width must be above 0; got {width}", hint="0.25: a quarter of it")
    rows = {row.name: row for row in infer(graph).ops}
    last = {name for output in graph.outputs for name in _makers(graph, output)}
    if classes is not None and not last:
        raise UsageError("no layer chooses the number of classes", hint="leave --classes out")
    kinds = [n for n in graph.nodes if type(n.op) in WIDTHS]
    step = lcm(*(g for n in kinds if (g := _groups(n)) > 1 and not _depthwise(n, rows)))
    edits: list[SetField] = []
    for node in kinds:
        key = WIDTHS[type(node.op)]
        value = getattr(node.op, key)
        if node.name in last:
            if classes is not None:
                edits.append(SetField(node.name, key, classes))
            continue
        new = _scaled(value, width, step)
        edits.append(SetField(node.name, key, new))
        if _depthwise(node, rows):
            edits.append(SetField(node.name, "groups", _scaled(_groups(node), width, step)))
    changed = apply(graph, *edits)
    infer(changed)
    return changed


def _scaled(value: int, width: float, step: int) -> int:
    return max(step, round(value * width / step) * step)


def _groups(node: Node) -> int:
    return int(getattr(node.op, "groups", 1))


def _depthwise(node: Node, rows: dict[str, Any]) -> bool:
    """True if every channel is a group of its own."""
    if not any(f.name == "groups" for f in fields(node.op)) or _groups(node) == 1:
        return False
    return bool(node.op.split(rows[node.name].input_types[0].shape)[1] == _groups(node))  # type: ignore[attr-defined]


def _makers(graph: Graph, output: str) -> list[str]:
    """The layers that choose the width of an output: the last ones with a width before it."""
    maker = {value: node for node in graph.nodes for value in node.outputs}
    waiting, found = [output], []
    seen: set[str] = set()
    while waiting:
        node = maker.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if type(node.op) in WIDTHS:
            found.append(node.name)
        else:
            waiting += node.inputs
    return found
