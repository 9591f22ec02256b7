"""Borders that a framework's own layers cannot make: written as a padding before the layer.

A window that is rounded up hangs over the far side of the map: a border on that side. ``same``
with a stride is, in general, a border of different widths. Where the framework has a word for
what a layer does, the layer keeps it; where it has none, a `Border` stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from netledger.build.source.natural import Natural
from netledger.graph import Graph, Node
from netledger.infer import infer
from netledger.ops import MaxPool, Pad
from netledger.ops.base import Op, each_axis, operation
from netledger.ops.conv import Convolution
from netledger.ops.fields import number
from netledger.ops.pool import Pool
from netledger.ops.window import pads, span

Pads = tuple[tuple[int, int], ...]

Fits = Callable[[Any, Pads, tuple[int, ...]], Op | None]
"""The layer as the framework can say it, for its padding and the map's size; None if it cannot."""


@operation
class Border(Pad):
    """A border of one number: 0, or −∞ before a maximum."""

    value: float = number("what it is made of", default=0.0)


def with_borders(net: Natural, fits: Fits) -> Natural:
    """The network with a `Border` before every window that the framework cannot place itself."""
    nodes: list[Node] = []
    types = {v: t for row in net.ledger.ops for v, t in zip(row.made, row.outputs, strict=True)}
    for node in net.graph.nodes:
        op = node.op
        if isinstance(op, Convolution | Pool):
            spatial = op.split(types[node.inputs[0]].shape)[2]
            around = effective_padding(op, spatial, op.split(types[node.name].shape)[2])
            said = fits(op, around, tuple(spatial))  # type: ignore[arg-type]
            if said is None:
                value = float("-inf") if isinstance(op, MaxPool) else 0.0
                border = Border(around, value=value, channels_last=op.channels_last)
                name = f"{node.name}.pad"
                nodes.append(Node(name, border, node.inputs, scope=node.scope))
                said = replace(op, padding=0, rounding="floor")  # type: ignore[arg-type]
                node = replace(node, inputs=(name,))
            node = replace(node, op=said)
        nodes.append(node)
    graph: Graph = replace(net.graph, nodes=tuple(nodes), _by_name={})
    return replace(net, graph=graph, ledger=infer(graph))


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
