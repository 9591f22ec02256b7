"""A network as the data of a page: JSON without a loss, for `model.js` to make a graph of."""

from __future__ import annotations

from typing import Any

from netledger.formula import NUMBER, SYMBOL, Formula
from netledger.graph import Graph, Node, Parameter, Recorded, TensorType
from netledger.ops.base import Op

SAFE = 2**53
"""Whole numbers from here on are not exact as numbers of JavaScript; they travel as text."""


def encode(value: Any) -> Any:
    """A hyperparameter, a dimension or a shape."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < SAFE else {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Formula):
        if value.head == NUMBER:
            return encode(value.value)
        if value.head == SYMBOL:
            return {"symbol": value.name, "value": encode(value.value)}
        return {"head": value.head, "args": [encode(arg) for arg in value.args]}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    raise TypeError(f"a {type(value).__name__} is no hyperparameter")


def encode_op(op: Op) -> dict[str, Any]:
    """An operation: its class and the hyperparameters that are not its defaults."""
    return {"class": type(op).__name__, "fields": {k: encode(v) for k, v in op.given().items()}}


def encode_type(t: TensorType) -> list[Any]:
    """Shape and dtype."""
    return [encode(t.shape), t.dtype]


def encode_graph(graph: Graph) -> dict[str, Any]:
    """The network; what is equal is written once."""
    ops: dict[Op, int] = {}
    nodes = [_node(node, ops) for node in graph.nodes]
    return {
        "name": graph.name,
        "title": graph.title,
        "source": graph.source,
        "reader": graph.reader,
        "inputs": [[name, *encode_type(t)] for name, t in graph.inputs.items()],
        "ops": [encode_op(op) for op in ops],
        "nodes": nodes,
        "outputs": list(graph.outputs),
        "ties": encode(graph.ties),
    }


def _node(node: Node, ops: dict[Op, int]) -> dict[str, Any]:
    plain = node.outputs == (node.name,)
    found = {
        "name": node.name,
        "op": ops.setdefault(node.op, len(ops)),
        "inputs": list(node.inputs),
        "outputs": None if plain else list(node.outputs),
        "scope": node.scope,
        "source": node.source,
        "trainable": node.trainable,
        "dtype": node.dtype,
        "recorded": _recorded(node.recorded) if node.recorded else None,
    }
    empty: dict[str, Any] = {"outputs": None, "scope": "", "source": "", "dtype": ""}
    empty |= {"trainable": True, "recorded": None, "inputs": []}
    return {k: v for k, v in found.items() if k not in empty or v != empty[k]}


def _recorded(recorded: Recorded) -> dict[str, Any]:
    stored = recorded.parameters
    return {
        "outputs": [encode_type(t) if t else None for t in recorded.outputs],
        "parameters": None if stored is None else [_parameter(p) for p in stored],
        "macs": encode(recorded.macs),
    }


def _parameter(p: Parameter) -> list[Any]:
    return [p.name, p.role, encode(p.shape), p.dtype, p.trainable, encode(p.nbytes)]
