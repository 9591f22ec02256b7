"""A run in ONNX Runtime: forward only, for it does not differentiate."""

from __future__ import annotations

from math import prod
from typing import Any

from netledger.build import onnx as target
from netledger.build.onnx.writer import utf8
from netledger.graph import BUFFER
from netledger.ops import Tensor
from netledger.verify.run import Case, Observed

STATISTICS = {"BatchNormalization": (3, 4)}
"""The inputs of an operator that are running statistics."""


def observe(case: Case) -> Observed:
    """Builds the file, runs it, and looks at every value."""
    import onnxruntime

    writer = target.written(case.graph)
    found = Observed(writer.net, f"ONNX Runtime {onnxruntime.__version__}")
    case.watch("building", 0, 1)
    with found.timed("build"):
        model = target.make(case.graph)
    nodes = writer.graph.nodes
    apart = {utf8(n.name) for n in nodes if isinstance(n.op, Tensor) and n.op.role == BUFFER}
    _parameters(model, [utf8(node.name) for node in nodes], apart, found)
    arrays = case.inputs(writer.net)
    _forward(model, writer, arrays, case, found)
    for what in ("gradients", "trainable"):
        found.whys[what] = "ONNX Runtime runs forward only"
    found.whys["macs"] = "ONNX Runtime does not count"
    found.notes.append("forward only: ONNX Runtime does not differentiate")
    return found


def _parameters(model: Any, rows: list[str], apart: set[str], found: Observed) -> None:
    """Which tensors of floats the nodes of a row take.

    A file says of running statistics what they are, but not of a buffer by itself (`apart`).
    """
    sizes = {t.name: prod(t.dims) for t in model.graph.initializer if t.data_type in _floats()}
    kept: set[str] = set()
    taken: dict[str, set[str]] = {}
    for node in model.graph.node:
        mine = {name for name in node.input if name in sizes}
        running = {node.input[i] for i in STATISTICS.get(node.op_type, ()) if i < len(node.input)}
        kept |= mine if _row(node.name, rows) in apart else running & mine
        taken.setdefault(_row(node.name, rows), set()).update(mine)
    for row, tensors in taken.items():
        found.parameters[row] = sum(sizes[t] for t in tensors - kept)
        found.buffers[row] = sum(sizes[t] for t in tensors & kept)
    found.totals["buffers"] = sum(sizes[t] for t in kept)
    found.totals["parameters"] = sum(sizes.values()) - found.totals["buffers"]


def _row(name: str, rows: list[str]) -> str:
    """The row that a node belongs to: those beside the main one have its name and a slash."""
    within = [row for row in rows if name == row or name.startswith(f"{row}/")]
    return max(within, key=len, default=name)


def _floats() -> set[int]:
    from onnx import TensorProto

    return {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


def _forward(model: Any, writer: Any, arrays: Any, case: Case, found: Observed) -> None:
    """One pass that gives every value, and one as a user would run it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    names = [given.name for given in model.graph.input]
    feeds = dict(zip(names, arrays, strict=True))
    case.watch("forward", 0, 1)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    with found.timed("forward"):
        session.run(None, feeds)
    del session
    there = {output.name for output in model.graph.output}
    added = [info for info in model.graph.value_info if info.name not in there]
    model.graph.output.extend(added)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    case.watch("forward, watched", 0, 1)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    asked = [output.name for output in session.get_outputs()]
    values = {name: value for value, name in writer.names.items()}
    for name, array in zip(asked, session.run(asked, feeds), strict=True):
        if name in values:
            found.saw(values[name], array)
