"""The vocabulary: TensorType, Parameter, Node, Graph. Data only; no rule lives here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from netledger.errors import GraphError, UnknownName
from netledger.formula import Dim, Formula, symbol

if TYPE_CHECKING:
    from netledger.ops.base import Op

Shape = tuple[Dim, ...]
"""Dimensions in the axis order of the source, the batch included."""

BATCH = symbol("N")
"""The batch dimension: every count is per sample until a batch is given."""

WEIGHT, BIAS, BUFFER = "weight", "bias", "buffer"
"""The roles of a parameter; a buffer (running statistics) is kept apart from the parameters."""


class TensorType(NamedTuple):
    """A tensor's shape and dtype.

    Attributes:
        shape: Dimensions, ints or formulas, in the source's axis order, batch included.
        dtype: As NumPy names it: ``float32``, ``int64``, ``bool`` …
    """

    shape: Shape
    dtype: str = "float32"

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class Parameter(NamedTuple):
    """A stored tensor of a layer.

    Attributes:
        name: Its name within the layer, e.g. ``weight``.
        role: ``weight``, ``bias`` or ``buffer``.
        shape: Its dimensions; the last axis is the one nearest to the input.
        dtype: Its dtype; empty for the dtype that the layer computes in.
        trainable: False for a buffer or a frozen parameter.
        nbytes: Bytes that it takes where it is stored, if that is not size × dtype (quantised and
            packed weights: the shape is the logical one).
    """

    name: str
    role: str
    shape: Shape
    dtype: str = ""
    trainable: bool = True
    nbytes: int | None = None


DTYPE_BITS = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 64),
    **dict.fromkeys(("float32", "int32", "uint32"), 32),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16),
    **dict.fromkeys(("int8", "uint8", "bool", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"), 8),
    **dict.fromkeys(("int4", "uint4", "float4_e2m1fn"), 4),
    "complex128": 128,
}
"""Bits of one number, for the dtypes that are known."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the foreign source itself says of a node: the second entry of the books.

    Attributes:
        outputs: The type of each output, None for those it does not state.
        parameters: The stored tensors it states, in our axis order, or None if it states none.
        macs: Its own count of multiply-accumulates, or None; a formula in the batch ``N`` where it
            grows with that.
    """

    outputs: tuple[TensorType | None, ...] = ()
    parameters: tuple[Parameter, ...] | None = None
    macs: Dim | None = None


class ModuleCall(NamedTuple):
    """A call of a module, where the source is made of modules that call one another.

    Attributes:
        path: The module's path, ``layer1.0.conv1``; empty for the network itself.
        kind: Its class, with the package it comes from: ``torch.nn.modules.conv.Conv2d``.
        parent: The call that made it, by its place in `Graph.calls`; -1 for the outermost.
    """

    path: str
    kind: str
    parent: int = -1


@dataclass(frozen=True, slots=True)
class Node:
    """One use of an operation.

    Attributes:
        name: Unique in the graph; for nested models the whole path, ``layer1.0.conv1``.
        op: The operation with its hyperparameters.
        inputs: Names of the values it takes.
        outputs: Names of the values it makes; a single one has the node's own name.
        scope: The module path that it belongs to, ``layer1.0``, or empty.
        source: Where the user wrote it: ``net.yaml:41``, a path in a config, or empty.
        trainable: False if its parameters are frozen.
        recorded: What the source says its outputs and parameters are, if it says so.
        dtype: The dtype of its parameters, where that is not the one that it computes in.
        call: The innermost call of a module that made it, by its place in `Graph.calls`.
        target: What the source calls the function: ``aten.baddbmm``; empty where it says nothing.
        untold: What the source says of the function that its operation does not: the counts are
            right, but nothing can be built of it. Empty if there is nothing.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scope: str = ""
    source: str = ""
    trainable: bool = True
    recorded: Recorded | None = None
    dtype: str = ""
    call: int = field(default=-1, compare=False)
    target: str = field(default="", compare=False)
    untold: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.outputs and not self.op.silent:
            object.__setattr__(self, "outputs", (self.name,))


@dataclass(frozen=True, slots=True)
class Graph:
    """A network: inputs, nodes in topological order, outputs.

    Attributes:
        name: What the network is called.
        inputs: The type of each input, by name.
        nodes: In an order in which every value is made before it is used.
        outputs: Names of the values that the network returns.
        ties: Groups of ``(node, parameter)`` that are one and the same storage; each counts once,
            where it is first used.
        title: One line about it, for people.
        source: Where it came from: ``zoo``, or a path.
        reader: What read it: ``zoo``, ``spec`` …
        calls: The calls of modules, in order, where the source has modules.
        modules: The class of every module by its path, those that are never called too.
        homes: The source's own names of each stored tensor, by ``(node, parameter)``; several
            where modules share it.
    """

    name: str
    inputs: Mapping[str, TensorType]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...] = ()
    ties: tuple[tuple[tuple[str, str], ...], ...] = ()
    title: str = ""
    source: str = ""
    reader: str = ""
    calls: tuple[ModuleCall, ...] = field(default=(), repr=False, compare=False)
    modules: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    homes: Mapping[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _by_name: dict[str, Node] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = set(self.inputs)
        for node in self.nodes:
            if node.name in self._by_name or node.name in self.inputs:
                raise GraphError(f"two layers are called {node.name!r}", source=node.source)
            self._by_name[node.name] = node
            for value in node.inputs:
                if value not in made:
                    raise self._missing(node, value, made)
            made.update(node.outputs)
        for value in self.outputs:
            if value not in made:
                raise GraphError(f"the output {value!r} is not made by any layer")

    def _missing(self, node: Node, value: str, made: set[str]) -> GraphError:
        later = any(value in other.outputs for other in self.nodes)
        if later:
            fact, hint = f"takes {value!r}, which is made only later", "list it after that layer"
        else:
            unknown = UnknownName("value", value, made)
            fact, hint = f"takes {value!r}, which no layer makes", unknown.hint
        return GraphError(fact, hint=hint, where=node.name, source=node.source)

    def node(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            UnknownName: If there is none; the message names the closest ones.
        """
        try:
            return self._by_name[name]
        except KeyError:
            hint = f"'netledger show {self.name} --ops' lists all layers"
            raise UnknownName("layer", name, self._by_name, hint=hint) from None

    def with_inputs(self, types: Mapping[str, TensorType]) -> Graph:
        """The same network on inputs of other types, by input name."""
        for name in types:
            if name not in self.inputs:
                names = ", ".join(self.inputs)
                raise UnknownName("input", name, self.inputs, hint=f"the inputs are: {names}")
        return _copy(self, inputs={**self.inputs, **types})

    def with_fields(self, name: str, **values: Any) -> Graph:
        """The same network with hyperparameters of one layer changed."""
        old = self.node(name)
        known = [f.name for f in fields(old.op)]
        for key in values:
            if key not in known:
                raise UnknownName(f"field of {old.op.kind}", key, known)
        new = replace(old, op=replace(old.op, **values))
        return _copy(self, nodes=tuple(new if node is old else node for node in self.nodes))


def without_unused(
    nodes: Sequence[Node], outputs: Iterable[str], kinds: tuple[type[Op], ...]
) -> list[Node]:
    """The nodes without those of some kinds that nothing takes anything from, in order.

    Args:
        nodes: In topological order.
        outputs: The values that are needed in the end.
        kinds: The operations that may be left out.
    """
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if not isinstance(node.op, kinds) or needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _copy(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, _by_name={}, **changes)


def show_dim(dim: Dim) -> str:
    """A dimension as people write it."""
    return dim.text() if isinstance(dim, Formula) else str(dim)
