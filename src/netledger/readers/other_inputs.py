"""A network that was read, on other inputs than those that it was written down for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netledger.errors import UsageError
from netledger.formula import SYMBOL, Dim, Formula, substitute
from netledger.graph import Graph, Node, Recorded, TensorType, show_dim
from netledger.infer import at_sizes

Sizes = Mapping[str, Dim]
"""What the names of sizes stand for."""


def on_inputs(graph: Graph, types: Mapping[str, TensorType]) -> Graph:
    """The same network on inputs of other types, by input name.

    A name of a size is replaced wherever it stands. Where a size was a number and is now another,
    what the source records of outputs is about other inputs: it is no second entry any more.

    Raises:
        UsageError: If a name is given two sizes.
    """
    made = graph.with_inputs(types)
    sizes: dict[str, Dim] = {}
    others = False
    for name, t in types.items():
        for old, new in zip(graph.inputs[name].shape, t.shape, strict=False):
            if old == new:
                continue
            if not isinstance(old, Formula) or old.head != SYMBOL:
                others = True
            elif sizes.setdefault(old.name, new) != new:
                raise UsageError(
                    f"{old.name} is one size of the network; got {sizes[old.name]} and {new}",
                    hint=f"{name} is {'x'.join(map(show_dim, graph.inputs[name].shape[1:]))}",
                )
    if not sizes and not others:
        return made
    inputs = {name: _type(t, sizes) for name, t in made.inputs.items()}
    nodes = tuple([_node(node, sizes, others) for node in made.nodes])
    return replace(made, inputs=inputs, nodes=nodes, _by_name={})


def _node(node: Node, sizes: Sizes, others: bool) -> Node:
    told, recorded = node.recorded, None
    if told is not None and others:
        recorded = Recorded(parameters=told.parameters)
    elif told is not None:
        outputs = tuple([t and _type(t, sizes) for t in told.outputs])
        macs = None if told.macs is None else substitute(told.macs, sizes)
        recorded = Recorded(outputs, told.parameters, macs)
    return replace(node, op=at_sizes(node.op, sizes), recorded=recorded)


def _type(t: TensorType, sizes: Sizes) -> TensorType:
    return TensorType(tuple([substitute(d, sizes) for d in t.shape]), t.dtype)
