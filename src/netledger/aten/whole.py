"""Calls inside a module that is one operation of ours: they become that one node.

PyTorch takes local response normalisation apart: squares, a pooling over the channels, a power, a
quotient. Where the source says that all of this happened inside of one module, the books have one
row, as the network's author wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netledger.graph import Node, Recorded
from netledger.ops import Op


def fold(
    nodes: Sequence[Node], whole: Mapping[int, tuple[str, Op]], kept: Sequence[str]
) -> tuple[list[Node], dict[str, str]]:
    """The nodes with each of those calls as one node, and the new names of values.

    Args:
        nodes: The nodes in order.
        whole: For the calls that are one operation: the name of the node, and the operation.
        kept: Values that have to stay: the outputs of the network.

    A call stays as it is unless it takes one value, makes one, and the operation makes that size.
    """
    renamed: dict[str, str] = {}
    made = list(nodes)
    for at, (name, op) in whole.items():
        inside = [node for node in made if node.call == at]
        one = _one(made, inside, name, op, kept)
        if one is None:
            continue
        last = inside[-1]
        renamed[last.outputs[0]] = name
        gone = {node.name for node in inside}
        made = [
            one if node is last else _renamed(node, last.outputs[0], name)
            for node in made
            if node is last or node.name not in gone
        ]
    return made, renamed


def _one(
    nodes: Sequence[Node], inside: Sequence[Node], name: str, op: Op, kept: Sequence[str]
) -> Node | None:
    """The node that stands for all of them."""
    if not inside or any(node.name == name for node in nodes):
        return None
    own = {value for node in inside for value in node.outputs}
    taken = {value for node in inside for value in node.inputs} - own
    elsewhere = {v for node in nodes if node not in inside for v in node.inputs} | set(kept)
    last = inside[-1]
    if len(taken) != 1 or own & elsewhere != set(last.outputs) or len(last.outputs) != 1:
        return None
    recorded = Recorded(last.recorded.outputs, ()) if last.recorded is not None else None
    scope = name.rpartition(".")[0]
    return Node(name, op, tuple(taken), (), scope, recorded=recorded, call=last.call)


def _renamed(node: Node, old: str, new: str) -> Node:
    if old not in node.inputs:
        return node
    return replace(node, inputs=tuple(new if value == old else value for value in node.inputs))
