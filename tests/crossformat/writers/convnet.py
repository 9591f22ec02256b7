"""Layer files of cuda-convnet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from netledger import Graph, ops
from netledger.infer import infer
from netledger.ops.base import Op

from .words import CannotSay, plain


def convnet_words(op: Any, shape: tuple[int, ...]) -> Sequence[Op]:
    """cuda-convnet rounds all windows up."""
    if isinstance(op, ops.Add | ops.Concat | ops.BatchNorm | ops.AdaptiveAvgPool | ops.AvgPool):
        raise CannotSay(f"{op.kind} is not written here")
    if isinstance(op, ops.MaxPool) and op.padding:
        raise CannotSay("a pooling has no border on both sides")
    if isinstance(op, ops.Linear) and len(shape) > 1:
        raise CannotSay("a fully connected layer takes all axes")
    if not isinstance(op, ops.Conv | ops.MaxPool):
        return (op,)
    up = replace(op, rounding="ceil")
    if up.outputs((1, *shape)) != op.outputs((1, *shape)):
        raise CannotSay("windows are rounded up")
    return (up,)


def write_convnet(graph: Graph, path: Path) -> None:
    ((name, t),) = graph.inputs.items()
    text = [f"[{plain(name)}]\ntype=data\ndataIdx=0\nstart=0\nend={prod(t.shape[1:])}\n"]
    text.append("[labels]\ntype=data\ndataIdx=1\n")
    rows = {row.name: row for row in infer(graph).ops}
    names = {name: plain(name)}
    for node in graph.nodes:
        fields = convnet_section(node.op, rows[node.name].input_types[0].shape[-1])
        if fields is None:  # fully connected layers flatten what they take
            names[node.name] = names[node.inputs[0]]
            continue
        names[node.name] = plain(node.name)
        lines = {"inputs": names[node.inputs[0]], **fields}
        text.append(f"[{plain(node.name)}]")
        text += [f"{key}={value}" for key, value in lines.items()] + [""]
    last = names[graph.outputs[0]]
    text.append(f"[cost]\ntype=cost.logreg\ninputs=labels,{last}\n")
    path.write_text("\n".join(text))


def convnet_section(op: Any, channels: int) -> dict[str, Any] | None:
    """The lines of a section."""
    functions: Mapping[str, Callable[[], dict[str, Any] | None]] = {
        "Conv": lambda: {
            "type": "conv", "channels": channels, "filters": op.out_channels // op.groups,
            "groups": op.groups, "filterSize": op.kernel_size, "stride": op.stride,
            "padding": op.padding,
        },
        "MaxPool": lambda: {
            "type": "pool", "pool": "max", "channels": channels, "start": 0,
            "sizeX": op.kernel_size, "stride": op.step, "outputsX": 0},
        "LocalResponseNorm": lambda: {
            "type": "cmrnorm", "channels": channels, "size": op.size, "scale": op.alpha,
            "pow": op.beta, "minDiv": op.k},
        "Linear": lambda: {"type": "fc", "outputs": op.out_features},
        "ReLU": lambda: {"type": "neuron", "neuron": "relu"},
        "Tanh": lambda: {"type": "neuron", "neuron": "tanh"},
        "Dropout": lambda: {"type": "dropout2", "keep": 1 - op.rate},
        "Softmax": lambda: {"type": "softmax"},
        "Flatten": lambda: None,
    }  # fmt: skip
    return functions[op.kind]()
