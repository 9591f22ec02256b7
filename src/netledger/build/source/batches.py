"""Stretching along the batch: how large that is, another tensor says where the network runs.

A class token is one row for all samples of a batch. The books say that it is stretched to N rows;
code has to ask a tensor of the batch for the number.
"""

from __future__ import annotations

from dataclasses import replace

from netledger.build.source.natural import Natural
from netledger.graph import BATCH, Node, Shape
from netledger.infer import infer
from netledger.ops import Expand
from netledger.ops.base import operation


@operation
class ExpandLike(Expand):
    """An `Expand` whose batch is that of its second input."""

    arity = (2, 2)


def with_batches(net: Natural) -> Natural:
    """The network with a tensor of the batch for every `Expand` that makes one."""
    shapes = {
        v: t.shape for row in net.ledger.ops for v, t in zip(row.made, row.outputs, strict=True)
    }
    known: list[str] = [v for v in net.graph.inputs if shapes[v][:1] == (BATCH,)]
    nodes: list[Node] = []
    for node in net.graph.nodes:
        if isinstance(node.op, Expand) and _makes_batch(node, shapes):
            like = _nearest(known, shapes, len(shapes[node.name]))
            if like:
                op = ExpandLike(node.op.shape)
                node = replace(node, op=op, inputs=(*node.inputs, like))
        nodes.append(node)
        known += [v for v in node.outputs if shapes[v][:1] == (BATCH,)]
    if all(a is b for a, b in zip(nodes, net.graph.nodes, strict=True)):
        return net
    graph = replace(net.graph, nodes=tuple(nodes), _by_name={})
    return replace(net, graph=graph, ledger=infer(graph))


def _makes_batch(node: Node, shapes: dict[str, Shape]) -> bool:
    return shapes[node.name][:1] == (BATCH,) and shapes[node.inputs[0]][:1] != (BATCH,)


def _nearest(known: list[str], shapes: dict[str, Shape], rank: int) -> str:
    """The last tensor of the batch that was made, if possible one of as many axes."""
    alike = [v for v in known if len(shapes[v]) == rank]
    return next(reversed(alike or known), "")
