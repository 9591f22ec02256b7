"""The rows that one node of the file becomes."""

from __future__ import annotations

import re

from netledger.errors import ShapeError, SpecError
from netledger.formula import Dim, Formula, substitute, symbols
from netledger.formula.simplify import simplify
from netledger.graph import BATCH, Shape, TensorType
from netledger.ops import Concat, Constant, Opaque, Tensor
from netledger.ops.base import Op, axis, each_axis
from netledger.ops.pointwise import Broadcast
from netledger.readers.onnx import model
from netledger.readers.onnx.book import Book, Entry
from netledger.readers.onnx.scope import Scope
from netledger.readers.onnx.types import LONGEST, MOST, leaves
from netledger.readers.onnx.values import Layer, Unknown, Value
from netledger.readers.onnx.wire import Wire
from netledger.rules import check_arity, check_sizes


class Place:
    """Where a node stands: it makes the rows of one node.

    Attributes:
        name: What its row is called: the node's name, or its first output's.
        dry: True while only types are wanted, for constants.
    """

    def __init__(self, book: Book, node: model.Node, scope: Scope) -> None:
        self.book, self.node, self.scope = book, node, scope
        self.name = scope.path + (node.name or next(filter(None, node.outputs), node.op_type))
        self.module = scope_of(node, scope.path, book.wire)
        self.dry = False
        self.named = False
        self.start = len(book.nodes)

    def output(self, i: int) -> str:
        """The file's name of output `i`."""
        return self.node.outputs[i] if i < len(self.node.outputs) else ""

    def undo(self) -> None:
        """Takes back the rows made so far for this node."""
        book = self.book
        for node in book.nodes[self.start :]:
            if not isinstance(node.op, Tensor | Constant):
                book.names.discard(node.name)
                for group in book.storage.values():
                    group[:] = [pair for pair in group if pair[0] != node.name]
        book.nodes[self.start :] = [
            n for n in book.nodes[self.start :] if isinstance(n.op, Tensor | Constant)
        ]
        for i, node in enumerate(book.nodes[self.start :], self.start):
            for output in node.outputs:
                book.at[output] = i
        self.named = False

    def emit(self, layer: Layer, main: bool, last: bool = False) -> list[Value]:
        """Adds a row and gives what it makes; while dry, only types."""
        try:
            types = self.derive(layer)
        except Undecided as reason:
            layer = agree(layer, reason)
            types = derive(layer)
        book, op = self.book, layer.op
        for t in types:
            for d in t.shape:
                if type(d) is Formula and d is not BATCH:
                    book.leaves += leaves(d) - 1
        if book.leaves > MOST:
            raise SpecError(
                f"the formulas of all sizes have more than {MOST:,} terms",
                hint="export the network with fixed sizes",
            )
        if self.dry:
            return [Value(self.output(i), t, constant=True) for i, t in enumerate(types)]
        inputs = tuple([v.made or book.materialise(v) for v in layer.inputs])
        own = (main or last) and not self.named
        self.named = self.named or own
        name = book.unique(self.name if own else f"{self.name}/{op.key}")
        parameters = tuple([w.parameter for w in layer.weights])
        stores = parameters or layer.macs is not None or isinstance(op, Opaque)
        used = len(types)
        if last:
            used = max(len(self.node.outputs), 1) if len(types) > 1 else 1
        types = types[:used]
        outputs: tuple[str, ...] = (name,)
        if len(types) > 1:
            outputs = tuple(
                [book.unique(self.output(i) or f"{name}:{i}") for i in range(len(types))]
            )
        said = parameters if stores else None
        book.add(Entry(name, op, inputs, outputs, self.module, said, layer.macs, layer.untold))
        book.makers[outputs[0]] = self.scope
        book.enter(name, layer.weights)
        return [
            Value(self.output(i) if last else out, t, made=out)
            for i, (out, t) in enumerate(zip(outputs, types, strict=True))
        ]

    def derive(self, layer: Layer) -> list[TensorType]:
        """What `derive` gives; networks repeat themselves, so the same question is asked once."""
        types = [v.type for v in layer.inputs]
        for t in types:
            for d in t.shape if t else ():
                if type(d) is Formula and d is not BATCH:
                    return derive(layer)  # to compare formulas would take longer
        key = (layer.op, *types)
        known = self.book.derived.get(key)
        if known is None:
            known = self.book.derived[key] = derive(layer)
        return known

    def bind(self, values: list[Value]) -> None:
        """Makes the outputs known, each with what the file records of it."""
        for i, name in enumerate(self.node.outputs):
            if not name:
                continue
            if i >= len(values):
                self.scope.bind(name, Value(name, why=f"{self.name} does not make it"), self.name)
                continue
            value = values[i]
            value.name = name
            self.record(value)
            self.scope.bind(name, value, self.name)

    def record(self, value: Value) -> None:
        """Attaches the file's own type of a value to the row that makes it."""
        said = self.book.types.recorded(value.name, value.type)
        if value.made not in self.book.at or said is None or value.type is None:
            return
        self.book.said[value.made] = said
        if said.shape != value.type.shape:
            value.type = said  # as the ledger goes on


def _never_fits(op: Op, shapes: tuple[Shape, ...]) -> bool:
    """True if no size of the symbols makes the inputs fit: tried with a few of all kinds."""
    names = {name for shape in shapes for d in shape for name in symbols(d)}
    if not names:
        return True
    if any(isinstance(d, Formula) for v in op.__dict__.values() for d in each_axis(v, 1)):
        return False
    for number in (1, 64, 720_720):
        sizes = dict.fromkeys(names, number)
        try:
            op.check(*[tuple(substitute(d, sizes) for d in shape) for shape in shapes])
        except ShapeError:
            continue
        return False
    return True


class Undecided(Unknown):
    """Sizes that may or may not fit, for they are symbols."""


def derive(layer: Layer) -> list[TensorType]:
    """The types that a row makes.

    Raises:
        ShapeError: If it does not fit its inputs, whose sizes are all known.
        Undecided: If it does not seem to, but some sizes are symbols.
    """
    op = layer.op
    stated = isinstance(op, Opaque)
    shapes = () if stated else tuple([v.shape for v in layer.inputs])
    try:
        check_arity(op, len(shapes))
        op.check(*shapes)
        made = [tuple(map(simplify, shape)) for shape in op.outputs(*shapes)]
        if not stated:
            check_sizes(tuple(made))
    except ShapeError as error:
        if not _never_fits(op, shapes):
            raise Undecided(f"with symbolic sizes: {error.fact}") from None
        raise
    for shape in made:
        if max(map(leaves, shape), default=0) > LONGEST:
            raise Unknown("the formulas of its sizes are too long")
    dtype = op.dtype(*[v.type.dtype for v in layer.inputs if v.type is not None])
    return [TensorType(shape, dtype) for shape in made]


def agree(layer: Layer, reason: Unknown) -> Layer:
    """What joins tensors whose sizes are different formulas, and must be equal where it runs.

    H and 2⌊H/2⌋, for instance: such a network runs on even sizes only. The first size stands.

    Raises:
        Unknown: `reason`, if it is another operation or does not fit in any case.
    """
    op, shapes = layer.op, [v.shape for v in layer.inputs]
    if not isinstance(op, Concat | Broadcast) or not shapes:
        raise reason
    rank = max(map(len, shapes))
    if isinstance(op, Concat) and any(len(s) != rank for s in shapes):
        raise reason
    at = axis(op.axis, rank) if isinstance(op, Concat) else None
    joined: list[Dim] = []
    for i, sizes in enumerate(zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True)):
        if i == at:
            joined.append(sum(sizes[1:], sizes[0]))
            continue
        long = [d for d in sizes if not (type(d) is int and d == 1)] or [1]
        fixed = {d for d in long if type(d) is int}
        if len(fixed) > 1:
            raise reason
        joined.append(fixed.pop() if fixed else long[0])
    why = "its inputs have different formulas for sizes that must be equal where it runs"
    return Layer(Opaque(op.kind, [tuple(joined)], why), layer.inputs, macs=0)


def call_outputs(node: model.Node) -> list[str]:
    """The names of a node's outputs, up to the last that has one."""
    names = list(node.outputs)
    while names and not names[-1]:
        names.pop()
    return names or [""]


def scope_of(node: model.Node, path: str, wire: Wire) -> str:
    """The module path that PyTorch's exporters write.

    In the name, ``/layer1/layer1.0/Conv``; or as metadata, a list that ends with the operation.
    """
    if path:
        return path.strip("/").replace("/", ".")
    for entry in node.metadata:
        if entry.key == "pkg.torch.onnx.name_scopes":
            quoted = re.findall(r"'([^']*)'", wire.text(*entry.value))
            return quoted[-2] if len(quoted) > 1 else ""
    if not node.name.startswith("/"):
        return ""
    found: list[str] = []
    for part in node.name.strip("/").split("/")[:-1]:
        if found and part.startswith(found[-1] + "."):
            found.pop()
        found.append(part)
    return ".".join(found)
