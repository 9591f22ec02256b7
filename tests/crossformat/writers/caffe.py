"""Caffe's prototxt, second generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netledger import Graph, ops
from netledger.ops.base import Op

from .words import CannotSay, fixed_pool


def caffe_words(op: Any, shape: tuple[int, ...]) -> Sequence[Op]:
    """Caffe rounds convolutions down; its batch normalisation learns nothing."""
    if isinstance(op, ops.Conv) and op.rounding != "floor":
        raise CannotSay("convolutions are rounded down")
    if isinstance(op, ops.Linear) and len(shape) > 1:
        raise CannotSay("a fully connected layer takes all axes")
    if isinstance(op, ops.BatchNorm):
        return replace(op, scale=False, center=False), ops.Scale(over=-1)
    if isinstance(op, ops.MaxPool) and op.rounding != "floor" and not op.padding:
        return (replace(op, rounding="ceil"),)  # without a border no window begins beyond the map
    if isinstance(op, ops.AdaptiveAvgPool):
        return fixed_pool(op, shape)
    return (op,)


def caffe_text(graph: Graph) -> Iterator[str]:
    """A network of the second generation, in protobuf text."""
    ((name, t),) = graph.inputs.items()
    height, width, channels = t.shape[1:]
    dims = "".join(f" dim: {d}" for d in (1, channels, height, width))
    yield f'name: "{graph.name}"'
    data = f"input_param {{ shape: {{{dims} }} }}"
    yield f'layer {{ name: "{name}" type: "Input" top: "{name}" {data} }}'
    for node in graph.nodes:
        kind, block, fields = caffe_layer(node.op)
        given = " ".join(f"{key}: {value}" for key, value in fields.items())
        bottoms = " ".join(f'bottom: "{value}"' for value in node.inputs)
        param = f" {block} {{ {given} }}" if block else ""
        head = f'name: "{node.name}" type: "{kind}" {bottoms} top: "{node.name}"'
        yield f"layer {{ {head}{param} }}"


def caffe_layer(op: Any) -> tuple[str, str, dict[str, Any]]:
    """The type of a layer, its message of hyperparameters, and what stands in it."""
    if isinstance(op, ops.MaxPool | ops.AvgPool):
        how = "MAX" if isinstance(op, ops.MaxPool) else "AVE"
        sizes = {"pool": how, "kernel_size": op.kernel_size, "stride": op.step, "pad": op.padding}
        return "Pooling", "pooling_param", {**sizes, "round_mode": caffe_round(op)}
    functions: Mapping[str, Callable[[], tuple[str, str, dict[str, Any]]]] = {
        "Conv": lambda: ("Convolution", "convolution_param", {
            "num_output": op.out_channels, "kernel_size": op.kernel_size, "stride": op.stride,
            "pad": op.padding, "group": op.groups, "bias_term": str(op.bias).lower(),
        }),
        "GlobalAvgPool": lambda: (
            "Pooling", "pooling_param", {"pool": "AVE", "global_pooling": "true"}),
        "Linear": lambda: ("InnerProduct", "inner_product_param", {
            "num_output": op.out_features, "bias_term": str(op.bias).lower()}),
        "LocalResponseNorm": lambda: ("LRN", "lrn_param", {
            "local_size": op.size, "alpha": op.alpha, "beta": op.beta, "k": op.k}),
        "BatchNorm": lambda: ("BatchNorm", "", {}),
        "Scale": lambda: ("Scale", "scale_param", {"bias_term": "true"}),
        "ReLU": lambda: ("ReLU", "", {}),
        "Tanh": lambda: ("TanH", "", {}),
        "Softmax": lambda: ("Softmax", "", {}),
        "Dropout": lambda: ("Dropout", "dropout_param", {"dropout_ratio": op.rate}),
        "Flatten": lambda: ("Flatten", "", {}),
        "Add": lambda: ("Eltwise", "eltwise_param", {"operation": "SUM"}),
        "Concat": lambda: ("Concat", "concat_param", {"axis": 1}),
    }  # fmt: skip
    return functions[op.kind]()


def caffe_round(op: Any) -> str:
    return "FLOOR" if op.rounding == "floor" else "CEIL"


def write_caffe(graph: Graph, path: Path) -> None:
    path.write_text("\n".join(caffe_text(graph)))
