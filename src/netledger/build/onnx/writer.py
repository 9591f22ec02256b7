"""A graph while it is written as ONNX: values, nodes, stored tensors.

ONNX has its channels on the second axis; the graph is put into that order before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from netledger.build.source.natural import Natural
from netledger.errors import BuildError
from netledger.formula import Formula
from netledger.graph import Node, TensorType, show_dim
from netledger.ledger import Row, Stored

Member = tuple[str, str]
"""A row and the name of one of its parameters."""

OPSET, IR_VERSION = 21, 10
"""What is written unless an operation needs more; ONNX Runtime reads it since 1.18."""
DOMAIN = "netledger"
"""Of the functions that a file defines for itself."""
NEWER = {"Attention": 23, "RMSNormalization": 23}
IR_OF_NEWER = 11


@dataclass(frozen=True)
class Initializer:
    """A tensor of the file, and which parameters of ours are in it.

    Attributes:
        name: What the file calls it.
        members: The parameters, in order.
        shape: Its shape in the file.
        dtype: Its dtype.
        pack: Makes it of the parameters, which are in our axis order.
        unpack: Takes it apart again.
    """

    name: str
    members: tuple[Member, ...]
    shape: tuple[int, ...]
    dtype: str
    pack: Callable[[Sequence[Any]], Any]
    unpack: Callable[[Any], Sequence[Any]]


@dataclass
class Writer:
    """What has been written so far.

    Attributes:
        net: The network with its channels on the second axis.
        nodes: Nodes of the file.
        initializers: Tensors of the file that are made of parameters, by name.
        constants: Tensors of the file that are settings.
        functions: Functions that the file defines, by name.
        opset: The version of the operators that the file needs.
        names: What the file calls our values.
    """

    net: Natural
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    constants: list[Any] = field(default_factory=list)
    functions: dict[str, Any] = field(default_factory=dict)
    opset: int = OPSET

    def __post_init__(self) -> None:
        rows = self.net.ledger.ops
        self.graph = self.net.graph
        self.rows = {row.name: row for row in rows}
        self.types = {v: t for row in rows for v, t in zip(row.made, row.outputs, strict=True)}
        self._taken: set[str] = set()
        self.names = {value: self.unique(value) for value in self.types}

    def unique(self, name: str) -> str:
        """`name`, made UTF-8, with a number behind it if it is taken."""
        clean = utf8(name) or "_"
        found, count = clean, 1
        while found in self._taken:
            count += 1
            found = f"{clean}_{count}"
        self._taken.add(found)
        return found

    def constant(self, name: str, value: Any) -> str:
        """A setting: integers as a stored tensor, floats as a node, for they are not learned."""
        made = self.unique(name)
        array = np.asarray(value)
        if array.dtype.kind in "iub":
            self.constants.append(numpy_helper.from_array(array, made))
        else:
            tensor = numpy_helper.from_array(array)
            self.nodes.append(helper.make_node("Constant", [], [made], name=made, value=tensor))
        return made


def utf8(text: str) -> str:
    """Text that can be written: what is not Unicode becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


class Place:
    """Where a node of ours stands: what a function of the table writes it with.

    Attributes:
        op: The operation.
        row: Its row of the ledger.
        types: The types of its inputs.
    """

    def __init__(self, writer: Writer, node: Node) -> None:
        self.writer, self.node, self.row = writer, node, writer.rows[node.name]
        self.op: Any = node.op
        self.types: tuple[TensorType, ...] = self.row.input_types
        self.shapes = tuple(t.shape for t in self.types)

    @property
    def rank(self) -> int:
        """The number of axes of its first input."""
        return len(self.shapes[0])

    def cannot(self, why: str, hint: str = "") -> BuildError:
        """The refusal to write it."""
        return BuildError(
            f"ONNX cannot express this {self.op.kind}: {why}",
            where=f"{self.node.name} ({self.op.kind})",
            received=", ".join(
                f"{v}: {t}" for v, t in zip(self.node.inputs, self.types, strict=True)
            ),
            source=self.node.source,
            hint=hint or "build another target, or change the layer; nothing was built",
        )

    # --- what it takes ---

    def value(self, i: int = 0) -> str:
        """Input `i`."""
        return self.writer.names[self.node.inputs[i]]

    def values(self) -> list[str]:
        """All inputs."""
        return [self.writer.names[v] for v in self.node.inputs]

    def ints(self, what: str, shape: Sequence[Any]) -> tuple[int, ...]:
        """Sizes that must be known."""
        for d in shape:
            if not isinstance(d, int):
                raise self.cannot(f"{what} {show_dim(d)} has no number")
        return tuple(shape)

    # --- what it stores ---

    def stored(self, name: str) -> Stored:
        """One of its parameters."""
        return next(p for p in self.row.parameters if p.name == name)

    def weight(self, name: str, *, shape: Sequence[Any] | None = None, turn: bool = False) -> str:
        """A parameter as a tensor of the file; reshaped, or a matrix turned, where that is asked.

        What is shared is stored once, as its owner has it.
        """
        p = self.stored(name)
        own = self.ints("a parameter's size", p.shape)
        member = owner(self.row, p)
        label = ".".join(member)
        if member != (self.node.name, name) or self.shared(name):
            made = self.store(label, (member,), own, p.dtype)
            return self.step("Transpose", [made], perm=(1, 0)) if turn else self.fitted(made, shape)
        if turn:
            return self.store(
                label, (member,), own[::-1], p.dtype, lambda a: a[0].T, lambda a: [a.T]
            )
        to = own if shape is None else tuple(shape)
        return self.store(
            label, (member,), to, p.dtype, lambda a: a[0].reshape(to), lambda a: [a.reshape(own)]
        )

    def shared(self, name: str) -> bool:
        """Whether another layer has the same parameter."""
        return any((self.node.name, name) in group for group in self.writer.graph.ties)

    def fitted(self, made: str, shape: Sequence[Any] | None) -> str:
        """A shared tensor in the shape that is asked for."""
        if shape is None:
            return made
        return self.step("Reshape", [made, self.constant("shape", np.array(shape, np.int64))])

    def store(
        self,
        name: str,
        members: tuple[Member, ...],
        shape: Sequence[int],
        dtype: str,
        pack: Callable[[Sequence[Any]], Any] = lambda arrays: arrays[0],
        unpack: Callable[[Any], Sequence[Any]] = lambda array: [array],
    ) -> str:
        """A tensor of the file that is made of parameters; one that is there is used again."""
        for known in self.writer.initializers.values():
            if known.members == members:
                return known.name
        made = self.writer.unique(name)
        self.writer.initializers[made] = Initializer(
            made, members, tuple(shape), dtype, pack, unpack
        )
        return made

    def constant(self, what: str, value: Any) -> str:
        """A setting of the node."""
        return self.writer.constant(f"{self.node.name}/{what}", value)

    # --- what it makes ---

    def step(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node before or behind the one that has the row's name. Gives its only output."""
        name = self.writer.unique(f"{self.node.name}/{kind.lower()}")
        self._add(kind, inputs, [name], name, attributes)
        return name

    def make(self, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes the row's values."""
        outputs = [self.writer.names[v] for v in self.node.outputs]
        self._add(kind, inputs, outputs, self.node.name, attributes)

    def final(self, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """A node behind the one that has the row's name: it makes the row's first value."""
        name = self.writer.unique(f"{self.node.name}/{kind.lower()}")
        self._add(kind, inputs, [self.writer.names[self.node.outputs[0]]], name, attributes)

    def main(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The node that has the row's name, where others follow it. Gives its only output."""
        made = self.writer.unique(f"{self.node.name}/{kind.lower()}")
        self._add(kind, inputs, [made], self.node.name, attributes)
        return made

    def several(
        self, kind: str, inputs: Sequence[str], count: int, main: bool, **attributes: Any
    ) -> list[str]:
        """A node with several outputs; `main`: it has the row's name."""
        name = self.node.name if main else self.writer.unique(f"{self.node.name}/{kind.lower()}")
        made = [self.writer.unique(f"{name}/{kind.lower()}") for _ in range(count)]
        self._add(kind, inputs, made, name, attributes)
        return made

    def split(self, inputs: Sequence[str], outputs: Sequence[str], axis: int) -> None:
        """An axis in parts, before the node that has the row's name."""
        self._add("Split", inputs, outputs, f"{self.node.name}/split", {"axis": axis})

    def copy(self, made: str, value: str) -> None:
        """Makes what was made last the row's value: the node before it is renamed, not copied."""
        last = self.writer.nodes[-1]
        if list(last.output) == [made]:
            last.output[0] = self.writer.names[value]
        else:
            name = self.writer.unique(f"{self.node.name}/identity")
            self._add("Identity", [made], [self.writer.names[value]], name, {})

    def _add(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        name: str,
        attributes: Mapping[str, Any],
    ) -> None:
        self.writer.opset = max(self.writer.opset, NEWER.get(kind, OPSET))
        given = {k: v for k, v in attributes.items() if v is not None}
        node = helper.make_node(kind, inputs, outputs, name=utf8(name), **given)
        if self.node.scope:
            _place_in(node, self.node)
        self.writer.nodes.append(node)

    def axis(self, number: int) -> int:
        """One of the axes of the first input, counted from the front."""
        return number % self.rank


def owner(row: Row, p: Stored) -> Member:
    """The parameter whose storage this is."""
    if p.tied_to is None:
        return row.name, p.name
    name, _, parameter = p.tied_to.rpartition("/")
    return name, parameter


def _place_in(made: Any, node: Node) -> None:
    """Notes the module path, as PyTorch's exporter does."""
    parts = node.scope.split(".")
    paths = ["", *(".".join(parts[:i]) for i in range(1, len(parts) + 1)), node.name]
    entry = made.metadata_props.add()
    entry.key = "pkg.torch.onnx.name_scopes"
    entry.value = repr([utf8(path) for path in paths])


def value_info(name: str, t: TensorType) -> Any:
    """What the file says of a value."""
    dims = [show_dim(d) if isinstance(d, Formula) else d for d in t.shape]
    return helper.make_tensor_value_info(name, element_type(t.dtype), dims)


def element_type(dtype: str) -> int:
    """ONNX's number of a dtype.

    Raises:
        BuildError: If it has none.
    """
    special = {"bool": "BOOL", "float32": "FLOAT", "float64": "DOUBLE"}
    name = special.get(dtype, dtype.upper().replace("FLOAT8_E4M3FN", "FLOAT8E4M3FN"))
    if name not in set(TensorProto.DataType.keys()):
        raise BuildError(f"ONNX has no dtype {dtype!r}")
    return int(TensorProto.DataType.Value(name))


Rule = Callable[[Place], None]

__all__ = ["Initializer", "Member", "Place", "Rule", "Writer", "element_type", "value_info"]
