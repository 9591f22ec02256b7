"""The graph that a model becomes while it is being read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from netledger.errors import ShapeError, SpecError
from netledger.formula import Dim, symbol
from netledger.graph import BATCH, Graph, Node, Parameter, Recorded, Shape, TensorType
from netledger.ops import Opaque
from netledger.readers.keras.config import input_shape, size
from netledger.readers.keras.weights import Stored, role
from netledger.rules import check_arity

MOST_NODES = 10_000
"""A nested model that is called often is written out each time; this bounds the whole."""


class Unfit(Exception):
    """A layer does not fit its input; the graph ends there, and inference says why."""


class Reading:
    """The graph of a model, as far as it has been read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.inputs: dict[str, TensorType] = {}
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.dtypes: dict[str, str] = {}
        self.places: dict[str, tuple[int, int]] = {}
        """For each value that a node makes: which node, and as which output."""
        self.stores: dict[str, list[tuple[str, tuple[Parameter, ...]]]] = {}
        """For each layer that stores something: the nodes that use it, and what they store."""

    def graph(self, name: str, outputs: list[str]) -> Graph:
        """The finished graph."""
        return Graph(
            name,
            self.inputs,
            tuple(self.nodes),
            tuple(dict.fromkeys(outputs)),
            tuple(self._ties()),
            source=self.source,
            reader="keras",
        )

    def _ties(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """The parameters of layers that are called more than once."""
        for uses in self.stores.values():
            if len(uses) > 1:
                for same in zip(*(own for _, own in uses), strict=True):
                    yield tuple((node, p.name) for (node, _), p in zip(uses, same, strict=True))

    def open(self, name: str, said: Any, dtype: str) -> str:
        """Adds an input of the network."""
        if name in self.inputs:
            raise SpecError(f"two inputs are called {name[:200]!r}")
        shape = input_shape(said)
        self.inputs[name] = TensorType(shape, dtype)
        self.shapes[name] = shape
        self.dtypes[name] = dtype
        return name

    def add(self, node: Node, key: str) -> str:
        """Adds a node and derives its shapes, which later layers may ask for.

        Args:
            node: The node; its name is made unique.
            key: What identifies its parameters, however often they are used.
        """
        if len(self.nodes) >= MOST_NODES:
            raise SpecError(
                f"the model has more than {MOST_NODES:,} operations, nested models written out"
            )
        shapes = tuple(self.shapes[value] for value in node.inputs)
        op = node.op
        self.nodes.append(node)
        try:
            check_arity(op, len(shapes))
            op.check(*shapes)
            made = op.outputs(*shapes)
        except ShapeError:
            raise Unfit from None
        dtype = op.dtype(*(self.dtypes[value] for value in node.inputs))
        for i, (value, shape) in enumerate(zip(node.outputs, made, strict=False)):
            self.shapes[value] = shape
            self.dtypes[value] = dtype
            self.places[value] = (len(self.nodes) - 1, i)
        own = op.parameters(*shapes)
        if own:
            uses = self.stores.setdefault(key, [])
            if uses and [p.shape for p in uses[0][1]] != [p.shape for p in own]:
                raise SpecError("the layer is called on inputs of different sizes")
            uses.append((node.name, own))
        return node.name

    def unique(self, name: str) -> str:
        """A name that no value has yet."""
        found, count = name, 1
        while found in self.shapes:
            count += 1
            found = f"{name}#{count}"
        return found

    def state(self, value: str, said: Any) -> None:
        """Enters what the file says of a value; sizes that it leaves open are as derived."""
        place = self.places.get(value)
        if place is None or not isinstance(said, list):
            return
        derived = self.shapes[value]
        whole = len(said) == len(derived)
        shape = tuple(
            size(d, derived[i] if whole else symbol(f"D{i}") if i else BATCH)
            for i, d in enumerate(said)
        )
        index, i = place
        node = self.nodes[index]
        recorded = node.recorded or Recorded()
        outputs = [*recorded.outputs, *[None] * (i + 1 - len(recorded.outputs))]
        outputs[i] = TensorType(shape)
        self.nodes[index] = replace(node, recorded=replace(recorded, outputs=tuple(outputs)))
        self.shapes[value] = shape

    def keep(
        self, before: int, left: tuple[Stored, ...], path: str, macs: Dim | None = None
    ) -> None:
        """Enters stored tensors of a layer that none of its nodes (those from `before`) expects.

        They count once, however often the layer with that path is called.
        """
        own = range(before, len(self.nodes))
        opaque = (i for i in own if isinstance(self.nodes[i].op, Opaque))
        at = next(opaque, before if left and own else None)
        if at is None:
            return
        node = self.nodes[at]
        recorded = node.recorded or Recorded()
        rest = tuple(
            Parameter(t.path, role(t.path, t.shape), t.shape, t.dtype, t.trainable) for t in left
        )
        parameters = (*(recorded.parameters or ()), *rest)
        if rest:
            self.stores.setdefault(f"{path}|kept", []).append((node.name, rest))
        macs = recorded.macs if macs is None else macs
        self.nodes[at] = replace(node, recorded=replace(recorded, parameters=parameters, macs=macs))
