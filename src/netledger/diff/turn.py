"""A network that turns its maps on the way, written in one layout.

An exporter that keeps channels first turns a map before a layer that wants its channels last. In a
network that has them last all along, nothing is to be turned: the two cannot be compared layer by
layer until the first is written like the second.
"""

from __future__ import annotations

from collections.abc import Iterator

from netledger.diff.align import Side
from netledger.diff.counts import totals
from netledger.diff.layout import relaid, translate
from netledger.edits import Edit, SetInput, SetOp, apply
from netledger.errors import NetledgerError
from netledger.graph import Graph, TensorType
from netledger.infer import infer
from netledger.ops import Permute
from netledger.ops.base import each_axis


def turned(a: Side, b: Side, graph: Graph) -> tuple[Edit, ...]:
    """Edits after which nothing turns a map of `a` to the layout of `b`; none if nothing does.

    Args:
        a: The network that may turn its maps.
        b: The other one.
        graph: The first network, without the sizes that its source records.
    """
    to_last = next(iter(b.maps.values()), None)
    if to_last is None or not any(_turns(name, a, to_last) for name in a.by_name):
        return ()
    if any(_turns(name, b, to_last) for name in b.by_name):
        return ()
    edits = tuple(_edits(a, to_last))
    try:
        same = totals(infer(apply(graph, *edits))) == totals(infer(graph))
    except NetledgerError:  # a shape that is written out holds for one layout
        return ()
    return edits if same else ()


def _turns(name: str, side: Side, to_last: bool) -> bool:
    """Whether a layer moves the channels of a map to where `to_last` says, and nothing else."""
    node = side.by_name[name].node
    if not isinstance(node.op, Permute) or side.maps.get(node.inputs[0]) is not (not to_last):
        return False
    axes = list(range(len(each_axis(node.op.order, 1))))
    moved = [0, *axes[2:], 1] if to_last else [0, axes[-1], *axes[1:-1]]
    return list(each_axis(node.op.order, 1)) == moved


def _edits(a: Side, to_last: bool) -> Iterator[Edit]:
    for name, t in a.ledger.graph.inputs.items():
        shape = relaid(t.shape, a.maps.get(name), to_last)
        if shape != t.shape:
            yield SetInput(name, TensorType(shape, t.dtype))
    for part in a.by_name.values():
        node, types = part.node, part.row.input_types
        rank = len(types[0].shape) if types else 0
        was = a.maps.get(node.inputs[0]) if node.inputs else None
        op = translate(node.op, rank, was, to_last)
        if op != node.op:
            yield SetOp(node.name, op, node.recorded if node.op.unknown() else None)


__all__ = ["turned"]
