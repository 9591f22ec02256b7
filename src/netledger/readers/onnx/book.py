"""What has been written so far: rows, their names, and which storage each parameter is in."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT, Node, Parameter, Recorded, TensorType
from netledger.ops import Constant, Op, Opaque, Tensor
from netledger.ops.opaque import NO_SIZE
from netledger.readers.onnx import model
from netledger.readers.onnx.scope import Scope
from netledger.readers.onnx.types import Types
from netledger.readers.onnx.values import Value, Weight, contents, header
from netledger.readers.onnx.wire import Wire

COMPUTED = re.compile(r"val_\d+|/.*_output_\d+")
"""How PyTorch's exporters call what is computed; a single number is then a constant."""

WRITTEN = re.compile(r"/(.*/)?Constant(_\d+)?_output_0")
"""How PyTorch's older exporter calls constants; ONNX Runtime stores them among the weights."""

NORMALISATIONS = {
    f"{kind}Normalization"
    for kind in ("Batch", "Group", "Instance", "Layer", "RMS", "SimplifiedLayer")
}
"""Operations that take a scale and perhaps an offset after what they normalise."""


@dataclass(slots=True)
class Entry:
    """A row that may still change; once all is read it becomes a `Node`."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scope: str = ""
    parameters: tuple[Parameter, ...] | None = None
    """What the file stores for it, None if it says nothing."""
    macs: Any = None
    untold: str = ""

    def finished(self, said: Mapping[str, TensorType]) -> Node:
        """The node, with what the file says of its values."""
        outputs: tuple[TensorType | None, ...] = tuple([said.get(v) for v in self.outputs])
        if outputs.count(None) == len(outputs):
            outputs = ()
        recorded = None
        if outputs or self.parameters is not None:
            recorded = Recorded(outputs, self.parameters, self.macs)
        return Node(
            self.name,
            self.op,
            self.inputs,
            self.outputs,
            scope=self.scope,
            recorded=recorded,
            untold=self.untold,
        )


class Book:
    """The rows of a graph while it is read."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.types = Types(wire)
        self.inputs: dict[str, TensorType] = {}
        self.nodes: list[Entry] = []
        self.at: dict[str, int] = {}
        """Which node makes a value of our graph."""
        self.said: dict[str, TensorType] = {}
        """What the file itself says of a value of our graph."""
        self.derived: dict[Hashable, list[TensorType]] = {}
        """What operations make of inputs of some types."""
        self.makers: dict[str, Scope] = {}
        """In which scope that was."""
        self.names: set[str] = set()
        self.storage: dict[Hashable, list[tuple[str, str]]] = {}
        """Which parameters are in each storage."""
        self.booked: set[str] = set()
        self.leaves = 0
        """How many leaves the formulas of all sizes have."""
        self.initializers: dict[str, Value] = {}
        self.tensors: dict[tuple[str, Any], str] = {}

    def store(self, scope: Scope, tensor: model.Tensor, prefix: str = "") -> None:
        """Makes an initializer known."""
        value = self.stored(tensor.name, tensor, prefix)
        value.learned = is_float(value) and not _is_constant(tensor.name, value)
        value.constant = not value.learned
        if value.learned:
            self.initializers[value.stored] = value
        scope.bind(tensor.name, value, self.wire.where)

    def settle(self, scope: Scope, nodes: Sequence[model.Node]) -> None:
        """Takes for settings what is stored like a parameter and is none.

        Scales of quantised tensors, wherever they are multiplied in; they are called as ONNX
        Runtime's quantiser does: ``w_scale`` beside ``w_zero_point``. And the ones and zeros with
        which PyTorch's exporter writes normalisations that have no scale and offset here.
        """
        for name in [*self.initializers]:
            stem = name.removesuffix("_scale")
            if stem != name and f"{stem}_zero_point" in scope.values:
                self._is_setting(name)
        for node in nodes:
            if node.op_type in NORMALISATIONS:
                for name, neutral in zip(node.inputs[1:], (1, 0), strict=False):
                    if COMPUTED.fullmatch(name) and self._holds_only(name, neutral):
                        self._is_setting(name)

    def _holds_only(self, name: str, number: int) -> bool:
        value = self.initializers.get(name)
        numbers = None if value is None else contents(value, self.wire)
        return numbers is not None and {*numbers} == {number}

    def _is_setting(self, name: str) -> None:
        value = self.initializers.pop(name)
        value.learned, value.constant = False, True

    def stored(self, name: str, tensor: model.Tensor, prefix: str = "") -> Value:
        """A stored tensor as a value; its numbers are looked at only when needed."""
        t = header(tensor, self.wire)
        return Value(name, t, stored=prefix + name, constant=True, tensor=tensor)

    def unique(self, name: str) -> str:
        """`name`, with a number behind it if it is taken."""
        found, count = name, 1
        while found in self.names:
            count += 1
            found = f"{name}_{count}"
        self.names.add(found)
        return found

    def enter(self, name: str, weights: list[Weight]) -> None:
        """Notes which storage the parameters of a node are in."""
        for parameter, key in weights:
            self.storage.setdefault(key, []).append((name, parameter.name))
            if isinstance(key, tuple):
                self.booked.add(key[0])

    def materialise(self, value: Value) -> str:
        """The name of a value in our graph; what is stored or constant becomes a row."""
        if value.made:
            return value.made
        if value.learned:
            key = (value.stored, value.shape)
            if key not in self.tensors:
                self.tensors[key] = self.tensor(value)
            value.made = self.tensors[key]
            return value.made
        name = self.unique(value.name or "constant")
        if value.type is None:
            op: Op = Opaque("Constant", ((NO_SIZE,),), value.why)
            self.add(Entry(name, op, outputs=(name,), parameters=(), macs=0))
        else:
            op = Constant(value.shape, to=value.type.dtype)
            self.add(Entry(name, op, outputs=(name,)))
        value.made = name
        return name

    def tensor(self, value: Value) -> str:
        """A row for a parameter that is used by itself."""
        assert value.type is not None
        name = self.unique(value.stored)
        op = Tensor(value.type.shape, to=value.type.dtype)
        parameter = Parameter("weight", WEIGHT, value.type.shape, value.type.dtype)
        self.add(Entry(name, op, outputs=(name,), scope=parent(name), parameters=(parameter,)))
        self.enter(name, [Weight(parameter, (value.stored, None))])
        return name

    def add(self, node: Entry) -> None:
        """Adds a row."""
        for output in node.outputs:
            self.at[output] = len(self.nodes)
        self.nodes.append(node)

    def rest(self) -> None:
        """Rows for parameters that are stored and that nothing uses."""
        for key, value in self.initializers.items():
            if key not in self.booked:
                self.tensor(value)

    def finished(self) -> tuple[Node, ...]:
        """The rows, each with what the file says of its outputs."""
        return tuple([entry.finished(self.said) for entry in self.nodes])

    def ties(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The parameters that are one and the same storage."""
        groups = (tuple(dict.fromkeys(group)) for group in self.storage.values())
        return tuple(group for group in groups if len(group) > 1)


def _is_constant(name: str, value: Value) -> bool:
    """True for what is stored under a name that an exporter gives to no parameter."""
    if not name.startswith(("val_", "/")):
        return False
    computed = COMPUTED.fullmatch(name) and prod(value.shape) == 1
    return bool(computed or WRITTEN.fullmatch(name))


def own_weight(value: Value) -> Weight:
    """A stored tensor as the parameter of a row that no rule describes."""
    assert value.type is not None
    role = BIAS if value.name.rpartition(".")[2].startswith("bias") else WEIGHT
    return Weight(
        Parameter(value.name, role, value.type.shape, value.type.dtype), (value.stored, None)
    )


def is_float(value: Value) -> bool:
    """True for floats of any width."""
    return value.type is not None and "float" in value.type.dtype


def parent(name: str) -> str:
    """The module path of a parameter: ``encoder.pos_embedding`` is of ``encoder``."""
    return name.rpartition(".")[0]
