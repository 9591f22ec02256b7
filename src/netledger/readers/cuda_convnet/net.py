"""A cuda-convnet network → a graph: which layers feed which, shapes, shared weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isqrt

from netledger.errors import GraphError, NetledgerError, ShapeError, SpecError, did_you_mean
from netledger.formula import prod, symbol
from netledger.graph import BATCH, Graph, Node, Recorded, Shape, TensorType
from netledger.ops import Flatten, Op, Opaque, Reshape
from netledger.ops.base import show_shape
from netledger.readers.common import unknown_shape
from netledger.readers.cuda_convnet.ini import Section, shown
from netledger.readers.cuda_convnet.layers import LAYERS, activation

NO_RULE = "no rule describes this kind of layer; its output is taken to have its input's axes"
_SHARED = re.compile(r"\s*([^\s\[]+)\s*(?:\[(\d{1,4})\])?\s*")


class Net:
    """A network while it is read."""

    def __init__(self, sections: Sequence[Section], where: str) -> None:
        self.sections, self.where = sections, where
        self.by_name = {section.name: section for section in sections}
        self.inputs: dict[str, TensorType] = {}
        self.nodes: list[Node] = []
        self.values: dict[str, str] = {}
        """The value that each layer has made, its activation function included."""
        self.shapes: dict[str, Shape | None] = {}
        """The shape of each value; None after a layer that does not fit."""
        self.weights: dict[tuple[str, int], str] = {}
        """The node that holds the weights of a layer for its n-th input."""
        self.ties: dict[str, list[tuple[str, str]]] = {}

    def graph(self) -> Graph:
        """The whole network."""
        kept = [s for s in self.sections if not _kind(s, self.where).startswith("cost.")]
        feeds = {name for s in kept if s.has("inputs") for name in self._inputs_of(s)}
        for section in kept:
            try:
                self._enter(section, feeds)
            except NetledgerError as error:
                place = f"{section.name} ({_kind(section, self.where)})"
                raise error.at(where=place, source=section.source) from None
        if not self.nodes:
            raise SpecError("has no layers but data and costs", where=self.where)
        used = {value for node in self.nodes for value in node.inputs}
        return Graph(
            "network",
            self.inputs,
            tuple(self.nodes),
            tuple(v for node in self.nodes for v in node.outputs if v not in used),
            tuple(tuple(group) for group in self.ties.values()),
            source=self.where,
            reader="cuda-convnet",
        )

    @staticmethod
    def _inputs_of(section: Section) -> list[str]:
        try:
            return section.names("inputs")
        except SpecError as error:
            raise error.at(where=section.name, source=section.source) from None

    def _enter(self, section: Section, feeds: set[str]) -> None:
        kind = _kind(section, self.where)
        if kind == "data":
            if section.name in feeds:
                self._input(section)
            return
        inputs = [self._value(name) for name in section.names("inputs")]
        build = LAYERS.get(kind)
        if build is None:
            known = self.shapes[inputs[0]] or ()
            shape = unknown_shape(section.name, len(known) or 2)
            self.add(section.name, Opaque(kind, (shape,), NO_RULE), inputs, section)
            made = section.name
        else:
            made = build(self, section, inputs)
        function = section.text("neuron", "")
        if function and kind != "neuron":
            made = self.add(f"{section.name}_neuron", activation(function), [made], section)
        self.values[section.name] = made

    def _input(self, section: Section) -> None:
        """Images: their channels are what the first layer that takes them says, their side is S."""
        channels = self._channels(section.name)
        if section.has("end"):
            size = section.integer("end") - section.integer("start", 0)
            side = isqrt(max(size, 0) // channels)
            if size < 1 or side * side * channels != size:
                raise SpecError(f"{size} numbers are no square images of {channels} channels")
            shape: Shape = (BATCH, channels, side, side)
        else:
            shape = (BATCH, channels, symbol("S"), symbol("S"))
        self.inputs[section.name] = TensorType(shape)
        self.values[section.name], self.shapes[section.name] = section.name, shape

    def _channels(self, name: str) -> int:
        for section in self.sections:
            if not section.has("channels") or not section.has("inputs"):
                continue
            feeds = section.names("inputs")
            if name in feeds:
                channels = section.integers("channels", len(feeds))[feeds.index(name)]
                if not 1 <= channels < 2**31:
                    fact = f"images of {channels} channels"
                    raise SpecError(fact, where=section.name, source=section.source)
                return channels
        return 3

    def _value(self, name: str) -> str:
        if name in self.values:
            return self.values[name]
        if name in self.by_name:
            raise GraphError(
                f"takes {shown(name)}, which is defined only later, or is a cost",
                hint="list it after that layer",
            )
        raise GraphError(
            f"takes {shown(name)}, which no layer makes",
            hint=did_you_mean(name[:100], list(self.values)[-1000:]),
        )

    # --- what the functions of the table use ---

    def add(
        self,
        name: str,
        op: Op,
        inputs: Sequence[str],
        section: Section,
        recorded: Recorded | None = None,
    ) -> str:
        """Adds a node. Returns its value."""
        feeds = tuple(inputs)
        self.nodes.append(Node(name, op, feeds, source=section.source, recorded=recorded))
        self.shapes[name] = self._output(op, feeds)
        return name

    def _output(self, op: Op, inputs: tuple[str, ...]) -> Shape | None:
        shapes = [self.shapes[value] for value in inputs]
        known = tuple(shape for shape in shapes if shape is not None)
        if len(known) < len(shapes):
            return None
        try:
            op.check(*known)
            return op.outputs(*known)[0]
        except NetledgerError:
            return None

    def flat(self, name: str, value: str, section: Section) -> str:
        """The value as numbers in a row."""
        shape = self.shapes[value]
        if shape is not None and len(shape) == 2:
            return value
        return self.add(name, Flatten(), [value], section)

    def image(self, name: str, value: str, channels: int, section: Section) -> str:
        """The value as square images of so many channels, which is how the layer sees it.

        Raises:
            ShapeError: If it cannot be seen so.
        """
        shape = self.shapes[value]
        if shape is None:
            return value
        if len(shape) == 4 and (shape[1] == channels or not isinstance(shape[1], int)):
            return value
        count = prod(shape[1:])
        side = isqrt(count // channels) if isinstance(count, int) and channels > 0 else 0
        if side < 1 or side * side * channels != count:
            raise ShapeError(
                f"{count} numbers are no square images of {channels} channels",
                hint="channels must be those of the layer that feeds this one",
            )
        return self.add(name, Reshape((channels, side, side)), [value], section)

    def share(self, section: Section, index: int, node: str) -> None:
        """Remembers the weights for the n-th input, and ties them if they are another layer's."""
        self.weights[section.name, index] = node
        sources = section.names("weightSource") if section.has("weightSource") else []
        name = sources[index] if index < len(sources) else ""
        if not name:
            return
        match = _SHARED.fullmatch(name)
        key = (match[1], int(match[2] or 0)) if match else (name, 0)
        if key not in self.weights or self.weights[key] == node:
            raise GraphError(f"shares the weights of {shown(name)}, which come later or never")
        source = self.weights[key]
        one, other = self._weight(source), self._weight(node)
        if one is not None and other is not None and one != other:
            raise GraphError(
                f"shares the weights of {shown(name)}, which are {show_shape(one)}; "
                f"its own would be {show_shape(other)}"
            )
        self.ties.setdefault(source, [(source, "weight")]).append((node, "weight"))

    def _weight(self, name: str) -> Shape | None:
        """The shape of a node's weights; None if it is not known."""
        node = next(node for node in self.nodes if node.name == name)
        shapes = tuple(s for value in node.inputs if (s := self.shapes[value]) is not None)
        if len(shapes) < len(node.inputs) or self.shapes[name] is None:
            return None
        return next((p.shape for p in node.op.parameters(*shapes) if p.name == "weight"), None)


def _kind(section: Section, where: str) -> str:
    try:
        return section.text("type").lower()
    except SpecError as error:
        raise error.at(where=section.name[:200], source=section.source) from None
