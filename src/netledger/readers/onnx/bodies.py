"""If, Loop and Scan as one row: what their subgraphs make and multiply, each gone through once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netledger.errors import FieldError, GraphError, ShapeError, SpecError
from netledger.formula import Formula, substitute
from netledger.graph import BATCH, Graph, TensorType
from netledger.infer import infer
from netledger.ops.base import axis
from netledger.ops.opaque import NO_SIZE
from netledger.readers.onnx import model
from netledger.readers.onnx.place import Place
from netledger.readers.onnx.scope import Scope, names
from netledger.readers.onnx.values import Call, Items, Unknown, Value, contents

if TYPE_CHECKING:
    from netledger.readers.onnx.translate import Translator

Types = list[TensorType | None]


class Body(NamedTuple):
    """What a subgraph does when it runs once.

    Attributes:
        types: The types of its outputs.
        macs: Its multiply-accumulates, a formula where they grow with the batch; None if unknown.
        why: Why they are unknown.
        first: The numbers of its first output, if they are known.
    """

    types: Types
    macs: Any
    why: str = ""
    first: Items | None = None


def one_of_two(
    book: Translator, call: Call, place: Place, then: model.Graph, other: model.Graph
) -> list[Value]:
    """If: its counts are known where those of both branches are the same."""
    bodies = [run(book, graph, place, []) for graph in (then, other)]
    macs = {body.macs for body in bodies}
    made = bodies[0].types if bodies[0].types == bodies[1].types else []
    if None not in macs and len(macs) == 1:
        why = "one of 2 branches runs, each with these products"
        return row(book, call, place, (then, other), why, made, macs.pop())
    why = "one of 2 branches runs" + "".join(f"; {b.why}" for b in bodies if b.why)
    counts = [substitute(m, {"N": 1}) for m in macs]
    if all(type(m) is int for m in counts):
        why = f"one of 2 branches runs, of {min(counts):,} to {max(counts):,} multiply-accumulates"
    return row(book, call, place, (then, other), why, made)


def loop(book: Translator, call: Call, place: Place) -> list[Value]:
    """Loop: its body as often as its first input says, if nothing ends it before."""
    graph = _body(call)
    count, going = (_known(call, i) for i in (0, 1))
    going = True if not call.has(1) else going
    states = [call.value(i) for i in range(2, len(call.inputs))]
    number = Value("", TensorType((), "int64"))
    whether = Value("", TensorType((), "bool"), constant=True, items=(True,))
    body = run(book, graph, place, [number, whether, *states])
    carried = body.types[1 : 1 + len(states)]
    if body.macs is not None and [t and t.shape for t in carried] != [
        s.type and s.type.shape for s in states
    ]:
        body = body._replace(macs=None, why="sizes change from one run of its body to the next")
    certain = type(count) is int and going is True and body.first == (True,)
    trips = max(count, 0) if certain and isinstance(count, int) else None
    scans = [_with_axis(t, trips) for t in body.types[1 + len(states) :]]
    return _times(book, call, place, graph, body, trips, [*carried, *scans])


def scan(book: Translator, call: Call, place: Place) -> list[Value]:
    """Scan: its body once for each entry of its last inputs, along an axis."""
    graph, several = _body(call), call.integer("num_scan_inputs", 0)
    values = [call.value(i) for i in range(len(call.inputs))]
    if call.version < 9 or not 0 < several <= len(values):
        return row(book, call, place, [graph], "how often its body runs is not known")
    states, fed = values[:-several], values[-several:]
    axes = call.integers("scan_input_axes") or (0,) * several
    parts, trips = [], None
    for value, along in zip(fed, axes, strict=False):
        shape = value.type.shape if value.type is not None else ()
        at = axis(along, len(shape)) if shape else 0
        trips = shape[at] if shape and trips is None else trips
        t = TensorType((*shape[:at], *shape[at + 1 :]), value.type.dtype) if value.type else None
        parts.append(Value("", t))
    body = run(book, graph, place, [*states, *parts])
    made = body.types[: len(states)]
    said = call.integers("scan_output_axes") or (0,) * len(graph.outputs)
    for t, along in zip(body.types[len(states) :], said, strict=False):
        made.append(_with_axis(t, trips, along))
    return _times(book, call, place, graph, body, trips, made)


def row(
    book: Translator,
    call: Call,
    place: Place,
    graphs: Sequence[model.Graph],
    why: str,
    made: Sequence[TensorType | None] = (),
    macs: Any = None,
) -> list[Value]:
    """The row of an operation with subgraphs; what is stored in them counts as its own."""
    seen = {id(v) for v in call.values()}
    for graph in graphs:
        for value in [place.scope.find(n) for n in dict.fromkeys(names(graph))]:
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                call.inputs.append(value)
        call.inputs += _own(book, graph, place)
    return book.opaque(call, place, why, made, macs)


def run(book: Translator, graph: model.Graph, place: Place, given: list[Value]) -> Body:
    """Goes through a subgraph once, apart from the graph that it stands in.

    Args:
        book: The graph that it stands in.
        graph: The subgraph.
        place: The node that has it.
        given: What its inputs get.

    Raises:
        GraphError: If it is not one.
    """
    inner = book.apart()
    around = Scope([], [], place.scope)
    for name in dict.fromkeys(names(graph)):
        seen = place.scope.find(name)
        if seen is not None:
            around.values[name] = inner.guest(seen, name)
    around.outer = None
    scope = Scope(graph.nodes, [value.name for value in graph.outputs], around)
    if len(graph.inputs) != len(given):
        raise GraphError(f"its body takes {len(graph.inputs)} values; it is given {len(given)}")
    for value, one in zip(graph.inputs, given, strict=True):
        scope.bind(value.name, inner.guest(one, value.name), place.name)
    for tensor in graph.initializers:
        inner.store(scope, tensor)
    inner.types.state(graph.values)
    try:
        inner.run(graph.nodes, scope)
    except (ShapeError, FieldError, Unknown) as error:
        fact = str(error) if isinstance(error, Unknown) else error.fact
        return Body([None] * len(graph.outputs), None, f"a part of its body does not fit: {fact}")
    finally:
        book.steps, book.leaves = inner.steps, inner.leaves
    made = [scope.find(value.name) for value in graph.outputs]
    if None in made:
        name = graph.outputs[made.index(None)].name
        raise GraphError(f"the output {name!r} of a branch is not made by any node")
    values = [value for value in made if value is not None]
    first = contents(values[0], book.wire) if values and values[0].constant else None
    macs, why = _macs(Graph("body", inner.inputs, inner.finished()))
    return Body([value.type for value in values], macs, why, first)


def _macs(graph: Graph) -> tuple[Any, str]:
    """The multiply-accumulates of a graph, or why they are not known."""
    once, twice = infer(graph), infer(graph, batch=2).totals.macs
    macs = once.totals.macs
    for unknown in once.ops:
        if "macs" in unknown.unknown:
            return None, f"{unknown.name} in its body: {unknown.unknown['macs']}"
    if macs == twice:
        return macs, ""
    if macs * 2 == twice:
        return macs * BATCH, ""
    return None, "the products of its body do not grow with the batch"


def _times(
    book: Translator,
    call: Call,
    place: Place,
    graph: model.Graph,
    body: Body,
    trips: Any,
    made: Types,
) -> list[Value]:
    """The row of a body that runs so many times."""
    if body.macs is None:
        return row(book, call, place, [graph], body.why, made)
    if type(body.macs) is int and body.macs == 0:
        return row(book, call, place, [graph], "no multiply-accumulates in its body", made, 0)
    if trips is None:
        return row(book, call, place, [graph], "how often its body runs is not known", made)
    return row(book, call, place, [graph], f"its body, {trips} times", made, trips * body.macs)


def _body(call: Call) -> model.Graph:
    found = call.attributes.get("body")
    if found is None or found.g is None:
        raise SpecError(f"a {call.kind} needs a body")
    return found.g


def _known(call: Call, i: int) -> Any:
    """The one number of a constant input; None if it is not known."""
    if not call.has(i) or not call.value(i).constant:
        return None
    found = contents(call.value(i), call.wire)
    return found[0] if found and not isinstance(found[0], Formula) else None


def _with_axis(t: TensorType | None, size: Any, along: int = 0) -> TensorType | None:
    """What all runs of a body make, one behind the other."""
    if t is None or size is None or NO_SIZE in t.shape:
        return None
    at = axis(along, len(t.shape) + 1)
    return TensorType((*t.shape[:at], size, *t.shape[at:]), t.dtype)


def _own(book: Translator, graph: model.Graph, place: Place) -> list[Value]:
    """The tensors stored within a subgraph."""
    found = []
    for tensor in graph.initializers:
        value = book.stored(tensor.name, tensor, f"{place.name}/")
        value.learned = value.type is not None and "float" in value.type.dtype
        found.append(value)
    for node in graph.nodes:
        for attribute in node.attributes:
            for g in (attribute.g, *attribute.graphs):
                if g is not None:
                    found += _own(book, g, place)
    return found
