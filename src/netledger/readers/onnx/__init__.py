"""ONNX files, without the onnx package.

The file is mapped, never read as a whole: of a stored tensor only the header is looked at, so the
size of the weights does not matter. Data outside the file is never opened.

What counts:

params   float initializers: each of the layer that uses it, shared ones once, unused ones as rows
         of their own; quantised weights as the numbers that they stand for
buffers  the running statistics of BatchNormalization
neither  integers (sizes, indices); Constant nodes and the single numbers that PyTorch's exporter
         computed (``val_7``), unless they are a layer's weight; settings: scales and zero points
         of quantisation, scales of Resize, bounds of Clip
"""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path

from netledger.errors import FieldError, GraphError, NetledgerError, ShapeError, SpecError
from netledger.graph import Graph, TensorType
from netledger.infer import infer
from netledger.ops.opaque import NO_SIZE
from netledger.readers.common import Source
from netledger.readers.onnx.decode import decode
from netledger.readers.onnx.model import Function, Model
from netledger.readers.onnx.scope import Scope
from netledger.readers.onnx.translate import Translator
from netledger.readers.onnx.values import Unknown, Value
from netledger.readers.onnx.wire import LENGTH, VARINT, Wire

MAX_TENSORS = 60_000
MAX_ROW = 100_000
"""How many fields of a file are looked at to tell whether it is a model."""

_FIELDS = {1: VARINT, 5: VARINT, **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), LENGTH)}
"""The fields of a ModelProto and their wire types."""

_NAMELESS = ("", "main", "main_graph", "torch_jit", "torch-jit-export", "graph")


def accepts(source: Source) -> bool:
    """True if the file begins as a ModelProto does: a version, then fields that one has."""
    head = source.head
    if source.is_folder or len(head) < 3:
        return False
    if head[0] == 8 and 0 < head[1] < 32:
        return _FIELDS.get(head[2] >> 3) == head[2] & 7 or head[2] in (0xA2, 0xCA, 0xD2)
    return _is_model(source)


def _is_model(source: Source) -> bool:
    """True if the whole file is a row of a ModelProto's fields, a graph among them."""
    if _FIELDS.get(source.head[0] >> 3) != source.head[0] & 7:
        return False
    wire, at, seen = Wire(source.view(), source.name), 0, list[int]()
    try:
        while at < source.size and len(seen) < MAX_ROW:
            number, kind, _, _, at = wire.field(at, source.size)
            if _FIELDS.get(number) != kind:
                return False
            seen.append(number)
    except SpecError:
        return False
    return at == source.size and {7, 8} <= set(seen)


def read(source: Source) -> Graph:
    """The graph of an ONNX file.

    Raises:
        SpecError: If the file is not well formed.
        GraphError: If its graph is not one.
        ShapeError: If a node does not fit its inputs.
    """
    view = source.view()
    if isinstance(view, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        view.madvise(mmap.MADV_RANDOM)  # payloads are jumped over: reading ahead is in vain
    wire = Wire(view, source.name)
    model = decode(Model, wire, 0, source.size)
    if model.graph is None:
        raise SpecError(
            "there is no graph in it", where=source.name, hint="is it really an ONNX file?"
        )
    if len(model.graph.initializers) > MAX_TENSORS:
        raise SpecError(f"more than {MAX_TENSORS:,} stored tensors", where=source.name)
    book = Translator(wire, _functions(model, source.name))
    try:
        outputs = _walk(book, model)
    except Unknown as reason:
        raise SpecError(str(reason), where=source.name) from None
    except NetledgerError as error:
        error.at(source=source.name)
        if book.nodes and isinstance(error, ShapeError | FieldError):
            so_far = _graph(book, model, source, ())
            error.partial = replace(infer(so_far), failed=error.where)
        raise
    return _graph(book, model, source, outputs)


def _functions(model: Model, where: str) -> dict[tuple[str, str], Function]:
    found: dict[tuple[str, str], Function] = {}
    for function in model.functions:
        key = (function.domain, function.name)
        if key in found:
            raise SpecError(f"the function {function.name!r} is defined twice", where=where)
        found[key] = function
    return found


def _walk(book: Translator, model: Model) -> tuple[str, ...]:
    graph = model.graph
    assert graph is not None
    scope = Scope(graph.nodes, [value.name for value in graph.outputs])
    for opset in model.opsets:
        domain = "" if opset.domain == "ai.onnx" else opset.domain
        if scope.opsets.setdefault(domain, opset.version) != opset.version:
            raise SpecError(f"two versions of the operators of {domain or 'ai.onnx'!r}")
    for tensor in (*graph.initializers, *(s.values for s in graph.sparse)):
        book.store(scope, tensor)
    book.settle(scope, graph.nodes)
    inputs = [value for value in graph.inputs if value.name not in scope.values]
    book.types.choose_batch(inputs)
    for value in inputs:
        t = book.types.input(value)
        why = "" if t else f"the file does not say the shape of the input {value.name!r}"
        made = book.unique(value.name)
        book.inputs[made] = t or TensorType((NO_SIZE,))
        scope.bind(value.name, Value(value.name, t, made=made, why=why), book.wire.where)
    book.types.state([*graph.values, *graph.outputs])
    book.run(graph.nodes, scope)
    found = []
    for value in graph.outputs:
        result = scope.find(value.name)
        if result is None:
            raise GraphError(f"the output {value.name!r} is not made by any node")
        found.append(book.materialise(result))
    book.rest()
    return tuple(found)


def _graph(book: Translator, model: Model, source: Source, outputs: tuple[str, ...]) -> Graph:
    own = model.graph.name if model.graph else ""
    return Graph(
        Path(source.name).stem if own in _NAMELESS else own,
        book.inputs,
        book.finished(),
        outputs,
        book.ties(),
        source=source.name,
        reader="onnx",
    )
