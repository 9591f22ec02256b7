"""Operations that are not rows: constants, shapes, branches, loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netledger.errors import GraphError, SpecError
from netledger.formula import Formula, prod
from netledger.graph import TensorType
from netledger.readers.onnx import bodies, model
from netledger.readers.onnx.place import Place
from netledger.readers.onnx.scope import Scope
from netledger.readers.onnx.values import Call, Unknown, Value, contents
from netledger.readers.onnx.wire import Wire

if TYPE_CHECKING:
    from netledger.readers.onnx.translate import Translator

Special = Callable[["Translator", Call, Place], list[Value]]


def constant(book: Translator, call: Call, place: Place) -> list[Value]:
    """Constant: a tensor, or numbers written as attributes. No parameter: it is not learned."""
    attributes = list(call.attributes.values())
    if len(attributes) != 1:
        raise SpecError(f"a Constant needs one value; the file gives {len(attributes)}")
    a, name = attributes[0], place.output(0)
    if a.t is not None:
        return [book.stored(name, a.t, place.scope.path)]
    if a.i is not None:
        return [Value(name, TensorType((), "int64"), constant=True, items=(a.i,))]
    if a.f is not None:
        return [Value(name, TensorType((), "float32"), constant=True, items=(a.f,))]
    raw = a.ints if a.name == "value_ints" else a.floats
    items = raw.integers(call.wire) if raw is a.ints else raw.floats(call.wire, "f")
    if items is None or a.name not in ("value_ints", "value_floats"):
        return [Value(name, constant=True, why="a constant that is not a tensor")]
    dtype = "int64" if raw is a.ints else "float32"
    return [Value(name, TensorType((len(items),), dtype), constant=True, items=tuple(items))]


def shape(book: Translator, call: Call, place: Place) -> list[Value]:
    """Shape: of some axes, of all by default."""
    x = call.value(0)
    try:
        dims: tuple[Any, ...] | None = x.shape
    except Unknown:
        dims = None
    name = place.output(0)
    if dims is None:
        return [Value(name, constant=True, why=x.why)]
    start, end = call.integer("start", 0), call.integer("end", len(dims))
    dims = dims[start:end] if end else ()
    return [Value(name, TensorType((len(dims),), "int64"), constant=True, items=dims)]


def size(book: Translator, call: Call, place: Place) -> list[Value]:
    """Size: how many numbers a tensor has."""
    x = call.value(0)
    t = TensorType((), "int64")
    items = None if x.type is None else (prod(x.type.shape),)
    return [Value(place.output(0), t, constant=True, items=items)]


def branches(book: Translator, call: Call, place: Place) -> list[Value]:
    """If: the branch that is taken, where that is certain or where both are alike."""
    found = {n: a.g for n, a in call.attributes.items() if a.g is not None}
    then, other = found.get("then_branch"), found.get("else_branch")
    if then is None or other is None:
        raise SpecError("an If needs a then_branch and an else_branch")
    condition = call.value(0)
    known = contents(condition, call.wire) if condition.constant else None
    if known and known[0] is not None and not isinstance(known[0], Formula):
        return inside(book, then if known[0] else other, place)
    if (
        signature(then, place.scope, call.wire)
        == signature(other, place.scope, call.wire)
        is not None
    ):
        return inside(book, then, place)
    return bodies.one_of_two(book, call, place, then, other)


def inside(book: Translator, graph: model.Graph, place: Place) -> list[Value]:
    """The nodes of a branch, as if they stood here."""
    scope = Scope(graph.nodes, [value.name for value in graph.outputs], place.scope)
    for tensor in graph.initializers:
        book.store(scope, tensor, scope.path)
    book.types.state(graph.values)
    book.run(graph.nodes, scope)
    made = []
    for value in graph.outputs:
        found = scope.find(value.name)
        if found is None:
            raise GraphError(f"the output {value.name!r} of a branch is not made by any node")
        made.append(replace(found))
    return made


def signature(graph: model.Graph, scope: Scope, wire: Wire) -> Any:
    """What a branch does, but for names; None if that is not simple."""
    if graph.initializers:
        return None
    local: dict[str, tuple[int, int]] = {}
    found: list[Any] = [len(graph.outputs)]
    for i, node in enumerate(graph.nodes):
        attributes = []
        for a in sorted(node.attributes, key=lambda a: a.name):
            if a.g is not None or a.graphs or a.t is not None or a.refers:
                return None
            ints = a.ints.integers(wire)
            text = a.s and wire.text(*a.s)
            attributes.append((a.name, a.i, a.f, text, tuple(ints or ())))
        takes = []
        for name in node.inputs:
            value = None if name in local else scope.find(name)
            takes.append(local.get(name) or (value and (value.type, value.constant, value.learned)))
        found.append((node.domain, node.op_type, attributes, takes, len(node.outputs)))
        local.update({name: (i, j) for j, name in enumerate(node.outputs)})
    found.append([local.get(value.name) for value in graph.outputs])
    return found


SPECIAL: dict[str, Special] = {
    "Constant": constant,
    "Shape": shape,
    "Size": size,
    "If": branches,
    "Loop": bodies.loop,
    "Scan": bodies.scan,
}
"""Operations that the table has no rule for because they make no row, or several."""
