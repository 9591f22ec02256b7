"""Borders that a framework's own layers cannot make: written as a padding before the layer.

A window that is rounded up hangs over the far side of the map: a border on that side. ``same``
with a stride is, in general, a border of different widths. Where the framework has a word for
what a layer does, the layer keeps it; where it has none, a `Pad` stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from netledger.build.source.natural import Natural
from netledger.errors import BuildError
from netledger.graph import Graph, Node
from netledger.infer import infer
from netledger.ops import Activation, Add, AvgPool, Concat, Dropout, Identity, MaxPool, Pad
from netledger.ops.base import Op, each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import pads, span

KEEP_SIGNS = (Add, AvgPool, Concat, Dropout, Identity, MaxPool)
"""What makes no negative number of positive ones."""

Pads = tuple[tuple[int, int], ...]

Fits = Callable[[Any, Pads, tuple[int, ...]], Op | None]
"""The layer as the framework can say it, for its padding and the map's size; None if it cannot."""


def with_borders(net: Natural, fits: Fits) -> Natural:
    """The network with a `Pad` before every window that the framework cannot place itself."""
    nodes: list[Node] = []
    types = {v: t for row in net.ledger.ops for v, t in zip(row.made, row.outputs, strict=True)}
    positive: set[str] = set()
    for node in net.graph.nodes:
        op = node.op
        if isinstance(op, Convolution | Pool):
            spatial = op.split(types[node.inputs[0]].shape)[2]
            around = effective_padding(op, spatial, op.split(types[node.name].shape)[2])
            try:
                said = fits(op, around, tuple(spatial))  # type: ignore[arg-type]
            except BuildError as error:
                raise error.at(where=f"{node.name} ({op.kind})", source=node.source) from None
            if said is None:
                zeros = not isinstance(op, MaxPool) or node.inputs[0] in positive
                mode = "zeros" if zeros else "lowest"
                border = Pad(around, mode=mode, channels_last=op.channels_last)
                name = f"{node.name}.pad"
                nodes.append(Node(name, border, node.inputs, scope=node.scope))
                said = replace(op, padding=0, rounding="floor")  # type: ignore[arg-type]
                node = replace(node, inputs=(name,))
            node = replace(node, op=said)
        if _is_positive(op, node.inputs, positive):
            positive.add(node.name)
        nodes.append(node)
    graph: Graph = replace(net.graph, nodes=tuple(nodes), _by_name={})
    return replace(net, graph=graph, ledger=infer(graph))


def _is_positive(op: Op, inputs: tuple[str, ...], positive: set[str]) -> bool:
    """True if no number that it makes is negative; a border of zeros then changes no maximum."""
    if isinstance(op, Activation):
        return op.function in ("relu", "relu6", "sigmoid")
    return isinstance(op, KEEP_SIGNS) and positive.issuperset(inputs)


def effective_padding(op: Any, spatial: Iterable[Any], made: Iterable[Any]) -> Pads:
    """Before and after each axis, what a window that rounds down needs to give these sizes."""
    spatial = tuple(spatial)
    rank = len(spatial)
    stride, spacing = (op.step, op.spacing) if isinstance(op, Pool) else (op.stride, op.dilation)
    found: list[tuple[int, int]] = []
    for i, o, k, s, d, (before, both) in zip(
        spatial,
        made,
        each_axis(op.kernel_size, rank),
        each_axis(stride, rank),
        each_axis(spacing, rank),
        pads(op.padding, rank),
        strict=True,
    ):
        needed = max((o - 1) * s + span(k, d) - i, 0)
        if op.padding == "same":
            found.append((needed // 2, needed - needed // 2))
        elif op.padding == "causal":
            found.append((span(k, d) - 1, 0))
        else:
            after = both - before
            found.append((before, after if op.rounding == "floor" else max(after, needed - before)))
    return tuple(found)
