"""A network in the axis order that a framework prefers, computing the same function.

Maps have their channels first in PyTorch and ONNX, last in Keras and JAX. Where a graph has them
elsewhere, its inputs and maps are moved, axes are renumbered, and a `Permute` stands where an
operation needs the original order. Flattening is the exception: maps are flattened as they are,
and the columns of the `Linear` behind are put in that order when weights are carried over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from netledger.graph import Graph, Node, Shape, TensorType
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import (
    GLU,
    Activation,
    Cast,
    Concat,
    Dropout,
    Flatten,
    Identity,
    LayerNorm,
    Linear,
    Pad,
    Permute,
    PReLU,
    Reduce,
    RMSNorm,
    Scale,
    Slice,
    Softmax,
    Split,
)
from netledger.ops.base import Op, Spatial, each_axis
from netledger.ops.pointwise import Broadcast

ELEMENTWISE = (Activation, Cast, Dropout, Identity)
ALONG_AN_AXIS: dict[type[Op], str] = {
    Concat: "axis",
    Softmax: "axis",
    GLU: "axis",
    Slice: "axis",
    Split: "axis",
    PReLU: "channel_axis",
    Reduce: "over",
    LayerNorm: "over",
    RMSNorm: "over",
    Scale: "over",
}
"""Operations that name axes, and the hyperparameter that does."""


@dataclass(frozen=True)
class Natural:
    """A network as a framework likes its axes.

    Attributes:
        graph: The network, its channels where the framework has them.
        ledger: Its ledger; parameters are those of `origin`.
        origin: The network as it was.
        moved: The inputs and outputs whose channels are elsewhere in `origin`.
        columns: For each `Linear` behind a flattened map, the map's shape in `origin`.
        last: Whether channels are last here.
    """

    graph: Graph
    ledger: Ledger
    origin: Graph
    moved: frozenset[str]
    columns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last: bool = True

    def permuted(self, value: str, rank: int) -> tuple[int, ...] | None:
        """For each axis of `value` here, its axis in `origin`; None if all are the same."""
        return order(rank, self.last) if value in self.moved else None


def order(rank: int, last: bool) -> tuple[int, ...]:
    """How axes are permuted to move the channels to the last axis, or to the second."""
    spatial = range(2, rank) if last else range(1, rank - 1)
    return (0, *spatial, 1) if last else (0, rank - 1, *spatial)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes another."""
    return tuple(axes.index(i) for i in range(len(axes)))


def natural(graph: Graph, *, channels_last: bool) -> Natural:
    """The network with its channels last, or first."""
    ledger = infer(graph)
    mover = _Mover(graph, ledger, channels_last)
    for node in graph.nodes:
        mover.enter(node)
    inputs = {
        name: replace_shape(t, relaid(t.shape, channels_last)) if name in mover.moved else t
        for name, t in graph.inputs.items()
    }
    made = replace(graph, inputs=inputs, nodes=tuple(mover.nodes), _by_name={})
    ends = {*graph.inputs, *graph.outputs}
    moved = frozenset(mover.moved & ends)
    return Natural(made, infer(made), graph, moved, mover.columns, channels_last)


def replace_shape(t: TensorType, shape: Shape) -> TensorType:
    """A type with another shape."""
    return TensorType(shape, t.dtype)


def relaid(shape: Shape, last: bool) -> Shape:
    """A shape with the channels moved."""
    return tuple(shape[i] for i in order(len(shape), last))


class _Mover:
    """Goes through the nodes in order and knows which values have been moved."""

    def __init__(self, graph: Graph, ledger: Ledger, last: bool) -> None:
        self.graph, self.last = graph, last
        self.rank = {v: len(t.shape) for v, t in graph.inputs.items()}
        self.shape: dict[str, Shape] = {v: t.shape for v, t in graph.inputs.items()}
        for row in ledger.ops:
            for value, t in zip(row.made, row.outputs, strict=True):
                self.rank[value], self.shape[value] = len(t.shape), t.shape
        self.takers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for value in node.inputs:
                self.takers.setdefault(value, []).append(node)
        self.tied = {name for group in graph.ties for name, _ in group}
        self.nodes: list[Node] = []
        self.columns: dict[str, tuple[int, ...]] = {}
        self.flat: dict[str, tuple[int, ...]] = {}
        """Values that were flattened as moved, with the map's shape in the original order."""
        self.copies: dict[tuple[str, bool], str] = {}
        self.moved = {name for name in graph.inputs if self._is_map(name)}

    def _is_map(self, name: str) -> bool:
        """True for an input whose first reader that cares about channels has them elsewhere."""
        waiting, seen = [name], {name}
        while waiting:
            for node in self.takers.get(waiting.pop(0), ()):
                if self._foreign(node):
                    return True
                if isinstance(node.op, (*ELEMENTWISE, Broadcast)):
                    new = [v for v in node.outputs if v not in seen]
                    seen.update(new)
                    waiting += new
        return False

    def _foreign(self, node: Node) -> bool:
        """True for an operation on maps whose channels are elsewhere."""
        op = node.op
        if not isinstance(op, Spatial) or not 3 <= self.rank[node.inputs[0]] <= 5:
            return False
        if isinstance(op, Pad) and op.whole(self.rank[node.inputs[0]]):
            return False
        return bool(op.channels_last != self.last)

    def enter(self, node: Node) -> None:
        """Adds a node, its inputs moved as it needs them."""
        op, inputs = node.op, node.inputs
        moved = [v for v in inputs if v in self.moved]
        together = len(moved) == len(inputs) and len({self.rank[v] for v in inputs}) == 1
        if self._foreign(node):
            self._add(node, self._turned(op), (self._as(inputs[0], True), *inputs[1:]), moved=True)
        elif isinstance(op, Spatial):
            plain = tuple(self._as(v, False) for v in inputs)
            self._add(node, self._turned(op), plain)
        elif isinstance(op, ELEMENTWISE) or (isinstance(op, Broadcast) and together):
            self._add(node, op, inputs, moved=bool(moved))
            if inputs[0] in self.flat:
                self.flat[node.name] = self.flat[inputs[0]]
        elif type(op) in ALONG_AN_AXIS and together and moved and not self._mixes(node):
            self._add(node, self._renumbered(node), inputs, moved=True)
        elif isinstance(op, Flatten) and moved and self._flattens_freely(node):
            self._add(node, op, inputs)
            self.flat[node.name] = tuple(self.shape[inputs[0]][1:])  # type: ignore[arg-type]
        else:
            if isinstance(op, Linear) and inputs[0] in self.flat:
                self.columns[node.name] = self.flat[inputs[0]]
            self._add(node, op, tuple(self._as(v, False) for v in inputs))

    def _turned(self, op: Op) -> Op:
        """An operation on maps, its channels where the framework has them."""
        assert isinstance(op, Spatial)
        return replace(op, channels_last=self.last)

    def _add(self, node: Node, op: Op, inputs: tuple[str, ...], *, moved: bool = False) -> None:
        self.nodes.append(replace(node, op=op, inputs=inputs, recorded=None))
        if moved:
            self.moved.update(v for v in node.outputs if self.rank[v] > 2)

    def _as(self, value: str, moved: bool) -> str:
        """The value in one of its two orders."""
        if (value in self.moved) == moved or self.rank[value] < 3:
            return value
        if (value, moved) not in self.copies:
            axes = order(self.rank[value], self.last if moved else not self.last)
            name = self._unused(f"{value}.permute")
            taker = next(iter(self.takers.get(value, ())), None)
            scope = taker.scope if taker and value.startswith(f"{taker.scope}.") else ""
            self.nodes.append(Node(name, Permute(axes), (value,), scope=scope))
            self.rank[name] = self.rank[value]
            if moved:
                self.moved.add(name)
            self.copies[value, moved] = name
        return self.copies[value, moved]

    def _unused(self, name: str) -> str:
        while name in self.rank:
            name += "_"
        return name

    def _renumbered(self, node: Node) -> Op:
        name = ALONG_AN_AXIS[type(node.op)]
        value, rank = getattr(node.op, name), self.rank[node.inputs[0]]
        axes = inverse(order(rank, self.last))
        if value is None:
            return node.op
        if isinstance(value, tuple):
            return replace(node.op, **{name: sorted(axes[v % rank] for v in value)})
        return replace(node.op, **{name: axes[value % rank]})

    def _mixes(self, node: Node) -> bool:
        """True if the result, or what is stored, would have its axes in an order of its own."""
        if any(self.rank[v] != self.rank[node.inputs[0]] for v in node.outputs):
            return True
        return isinstance(node.op, LayerNorm) and len(each_axis(node.op.over, 1)) > 1

    def _flattens_freely(self, node: Node) -> bool:
        """True if every map is flattened whole and its order matters to `Linear`s only."""
        rank = self.rank[node.inputs[0]]
        body = self.shape[node.inputs[0]][1:]
        op = node.op
        assert isinstance(op, Flatten)
        if op.start_dim % rank != 1 or op.end_dim % rank != rank - 1:
            return False
        if sum(d != 1 for d in body) <= 1:
            return True
        return self._only_linears(node.name)

    def _only_linears(self, value: str) -> bool:
        if value in self.graph.outputs:
            return False
        for taker in self.takers.get(value, ()):
            if isinstance(taker.op, ELEMENTWISE):
                if not self._only_linears(taker.name):
                    return False
            elif not isinstance(taker.op, Linear) or taker.name in self.tied:
                return False
        return True


def columns_to_natural(weight: Any, body: tuple[int, ...], last: bool) -> Any:
    """The columns of a matrix behind a flattened map, in the framework's order."""
    maps = weight.reshape(len(weight), *body)
    return maps.transpose(order(maps.ndim, last)).reshape(weight.shape)


def columns_to_origin(weight: Any, body: tuple[int, ...], last: bool) -> Any:
    """The same, back in the order of the graph."""
    axes = order(len(body) + 1, last)
    maps = weight.reshape(len(weight), *(body[i - 1] for i in axes[1:]))
    return maps.transpose(inverse(axes)).reshape(weight.shape)
