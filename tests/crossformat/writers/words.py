"""What all writers share: a format, and a network in the words of one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netledger import Graph, ops
from netledger.graph import Node, TensorType
from netledger.infer import infer
from netledger.ops.base import Op, Spatial


class CannotSay(Exception):
    """The format has no exact words for an operation."""


Rule = Callable[[Op, tuple[int, ...]], Sequence[Op]]
"""An operation, and the height, width and channels that it sees, in the words of a format."""


@dataclass(frozen=True)
class Format:
    """A format that networks can be written in.

    Attributes:
        suffix: Of its files.
        write: Writes a graph to a file.
        restate: Says an operation in the format's words.
        needs: The packages that it takes.
        first: Whether its maps have their channels first, and the graph says so before it is
            written; the others turn axes while they write.
    """

    suffix: str
    write: Callable[[Graph, Path], None]
    restate: Rule
    needs: tuple[str, ...] = ()
    first: bool = False


def restated(graph: Graph, rule: Rule) -> Graph:
    """The same network in the words of a format; the last operation of a chain keeps the name.

    Those before it have the name and, behind a dot, their own word.
    """
    rows = {row.name: row for row in infer(graph).ops}
    nodes: list[Node] = []
    for node in graph.nodes:
        *before, last = rule(node.op, rows[node.name].input_types[0].shape[1:])
        inputs = node.inputs
        for op in before:
            name = f"{node.name}.{op.key}"
            nodes.append(Node(name, op, inputs))
            inputs = (name,)
        nodes.append(replace(node, op=last, inputs=inputs))
    return replace(graph, nodes=tuple(nodes), _by_name={})


def channels_first(graph: Graph) -> Graph:
    """The same network with channels on the second axis; what needs them last permutes before."""
    maps = {name for name, t in graph.inputs.items() if len(t.shape) == 4}
    inputs = {n: replace_shape(t) if n in maps else t for n, t in graph.inputs.items()}
    nodes: list[Node] = []
    for node in graph.nodes:
        op, taken = node.op, node.inputs
        if isinstance(op, ops.Linear | ops.Softmax) and taken[0] in maps:
            nodes.append(Node(f"{node.name}.permute", ops.Permute((0, 2, 3, 1)), taken))
            taken = (nodes[-1].name,)
        elif isinstance(op, Spatial):
            op = replace(op, channels_last=False)
            maps.add(node.name)
        elif isinstance(op, ops.Concat):
            op = replace(op, axis=1)
            maps.add(node.name)
        elif not isinstance(op, ops.Flatten) and taken[0] in maps:
            maps.add(node.name)
        nodes.append(replace(node, op=op, inputs=taken))
    return replace(graph, inputs=inputs, nodes=tuple(nodes), _by_name={})


def replace_shape(t: TensorType) -> TensorType:
    batch, height, width, channels = t.shape
    return TensorType((batch, channels, height, width), t.dtype)


def plain(name: str) -> str:
    """A name that every format allows."""
    return "".join(c if c.isalnum() else "_" for c in name)


def end_padding(op: Any, size: int) -> int:
    """The border after a map that its last window needs."""
    (made,) = op.outputs((1, size, size, op_channels(op)))
    stride = op.stride if op.stride is not None else op.kernel_size
    return (made[1] - 1) * stride + op.kernel_size - size - op.padding


def op_channels(op: Any) -> int:
    """A number of channels that fits the operation's groups."""
    return getattr(op, "groups", 1)


def padded_before(op: Any, size: int) -> tuple[Op, Op]:
    """A border by itself, zeros as in the convolution, then the operation without one."""
    after = op.padding if op.rounding == "floor" else end_padding(op, size)
    border = ((op.padding, after),) * 2
    return ops.Pad(border if after != op.padding else after), replace(
        op, padding=0, rounding="floor"
    )


def fixed_pool(op: Any, shape: tuple[int, ...]) -> Sequence[Op]:
    """A pooling that chooses its windows as one whose windows are given."""
    if op.output_size == 1:
        return (ops.GlobalAvgPool(keepdims=True),)
    if shape[0] % op.output_size:
        raise CannotSay("the windows of a pooling are of one size")
    side = shape[0] // op.output_size
    return (ops.AvgPool(side, stride=side),)


def pairs(padding: Any) -> tuple[tuple[int, int], ...]:
    """A border of each of the two axes, before and after."""
    return padding if isinstance(padding, tuple) else ((padding, padding),) * 2


@contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
