"""Graph → ONNX: an ``onnx.ModelProto`` with nodes named after our rows.

A table from our operations to small functions (`table.py`) writes one node for a row, or a few.
ONNX has its channels on the second axis, and so have the inputs and outputs of the file; `run`
takes and gives them in the graph's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from onnx import ModelProto, TensorProto, helper, numpy_helper

from netledger.build.onnx.initial import initial
from netledger.build.onnx.table import OTHERS, TABLE
from netledger.build.onnx.writer import (
    DOMAIN,
    IR_OF_NEWER,
    IR_VERSION,
    OPSET,
    Initializer,
    Place,
    Writer,
    element_type,
    value_info,
)
from netledger.build.source.natural import inverse, natural
from netledger.build.source.plan import check_known
from netledger.build.source.weights import Carrier
from netledger.errors import BuildError
from netledger.graph import Graph

LARGEST = 2**31 - 1
"""The most bytes that a protobuf message may have."""

Weights = dict[tuple[str, str], Any]


def source(graph: Graph) -> bytes:
    """The bytes of an ONNX file."""
    made: bytes = make(graph).SerializeToString()
    return made


def make(graph: Graph, weights: Weights | None = None) -> ModelProto:
    """A model; its numbers are `weights`, or else those of a fresh initialisation.

    Raises:
        BuildError: If ONNX cannot express a layer, or not the whole in one file.
    """
    writer = written(graph)
    _check_size(writer)
    weights = initial(graph) if weights is None else weights
    carrier = Carrier(writer.net)
    return _model(writer, lambda tensor: _packed(tensor, carrier, weights))


def skeleton(graph: Graph) -> ModelProto:
    """The model without its numbers: of each stored tensor only name, shape and dtype."""
    return _model(written(graph), _header)


def written(graph: Graph) -> Writer:
    """All nodes of a graph in the words of ONNX."""
    check_known(graph, "ONNX")
    writer = Writer(natural(graph, channels_last=False))
    for node in writer.graph.nodes:
        place = Place(writer, node)
        TABLE.get(type(node.op), OTHERS)(place)
    return writer


def _model(writer: Writer, number: Callable[[Initializer], TensorProto]) -> ModelProto:
    graph, names = writer.graph, writer.names
    outputs: list[Any] = []
    for value in graph.outputs:
        name = names[value]
        if value in graph.inputs or name in [o.name for o in outputs]:
            name = writer.unique(f"{value}/output")
            writer.nodes.append(helper.make_node("Identity", [names[value]], [name], name=name))
        outputs.append(value_info(name, writer.types[value]))
    made = helper.make_graph(
        writer.nodes,
        writer.unique(graph.name) if graph.name else "network",
        [value_info(names[n], t) for n, t in graph.inputs.items()],
        outputs,
        [*map(number, writer.initializers.values()), *writer.constants],
        value_info=[
            value_info(names[v], writer.types[v])
            for node in graph.nodes
            for v in node.outputs
            if v not in graph.outputs
        ],
        doc_string=graph.title.encode("utf-8", "replace").decode(),
    )
    return helper.make_model(
        made,
        producer_name="netledger",
        producer_version=version("netledger"),
        ir_version=IR_VERSION if writer.opset == OPSET else IR_OF_NEWER,
        opset_imports=[
            helper.make_opsetid("", writer.opset),
            *([helper.make_opsetid(DOMAIN, 1)] if writer.functions else []),
        ],
        functions=list(writer.functions.values()),
    )


def _header(tensor: Initializer) -> TensorProto:
    dtype = element_type(tensor.dtype)
    return TensorProto(name=tensor.name, dims=tensor.shape, data_type=dtype)


def _packed(tensor: Initializer, carrier: Carrier, weights: Weights) -> TensorProto:
    array = tensor.pack([carrier.into(member, weights) for member in tensor.members])
    dtype = helper.tensor_dtype_to_np_dtype(element_type(tensor.dtype))
    return numpy_helper.from_array(array.astype(dtype, copy=False), tensor.name)


def _check_size(writer: Writer) -> None:
    stored = writer.net.ledger.totals.bytes
    if isinstance(stored, int) and stored > LARGEST - 2**20:
        raise BuildError(
            f"its weights take {stored:,} bytes; an ONNX file holds at most {LARGEST:,}",
            hint="build it for torch, keras or jax",
        )


def weights(model: ModelProto, graph: Graph) -> dict[tuple[str, str], Any]:
    """The weights of a model that was made of `graph`, in canonical layout."""
    writer = written(graph)
    carrier = Carrier(writer.net)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[tuple[str, str], Any] = {}
    for tensor in writer.initializers.values():
        arrays = tensor.unpack(numpy_helper.to_array(_stored(stored, tensor)))
        found |= {m: carrier.out(m, a) for m, a in zip(tensor.members, arrays, strict=True)}
    for group in graph.ties:
        found |= dict.fromkeys(group, found[group[0]])
    return found


def load(model: ModelProto, graph: Graph, weights: Weights) -> None:
    """Puts weights into a model that was made of `graph`."""
    writer = written(graph)
    carrier = Carrier(writer.net)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in writer.initializers.values():
        _stored(stored, tensor).CopyFrom(_packed(tensor, carrier, weights))


def _stored(stored: Mapping[str, TensorProto], tensor: Initializer) -> TensorProto:
    found = stored.get(tensor.name)
    if found is None or tuple(found.dims) != tensor.shape:
        raise BuildError(
            f"the model has no tensor {tensor.name!r} of the shape {tensor.shape}",
            hint="pass the graph that the model was built of",
        )
    return found


def run(model: ModelProto, graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """Outputs for inputs, both in the graph's axis order, by ONNX Runtime.

    Raises:
        MissingPackage: If ONNX Runtime is not installed.
    """
    import numpy as np

    net = natural(graph, channels_last=False)
    session = _session(model)
    feeds = {}
    for given, name, array in zip(session.get_inputs(), graph.inputs, arrays, strict=True):
        axes = net.permuted(name, array.ndim)
        feeds[given.name] = np.ascontiguousarray(array if axes is None else array.transpose(axes))
    found = []
    for value, array in zip(graph.outputs, session.run(None, feeds), strict=True):
        axes = net.permuted(value, array.ndim)
        found.append(array if axes is None else array.transpose(inverse(axes)))
    return found


def _session(model: ModelProto) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        from netledger.errors import MissingPackage

        raise MissingPackage("onnxruntime", extra="onnx", purpose="running an ONNX file") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


__all__ = ["load", "make", "run", "skeleton", "source", "weights"]
