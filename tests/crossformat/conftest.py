"""Writers of one network in many formats: from a graph to a file of each format.

A format that cannot say something says it in other words: a `restate` rule turns an operation into
a chain of operations that the format has, exactly, or raises `CannotSay`. The translators below
then write one layer for one operation.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import pytest

from netledger import Graph, ops
from netledger.graph import Node
from netledger.infer import infer
from netledger.ops.base import Op
from netledger.render import yaml

os.environ.setdefault("KERAS_BACKEND", "torch")


class CannotSay(Exception):
    """The format has no exact words for an operation."""


Rule = Callable[[Op, tuple[int, ...]], Sequence[Op]]
"""An operation, and the height, width and channels that it sees, in the words of a format."""


@dataclass(frozen=True)
class Format:
    """A format that networks can be written in.

    Attributes:
        suffix: Of its files.
        write: Writes a graph to a file.
        restate: Says an operation in the format's words.
        needs: The packages that it takes.
    """

    suffix: str
    write: Callable[[Graph, Path], None]
    restate: Rule
    needs: tuple[str, ...] = ()


def restated(graph: Graph, rule: Rule) -> Graph:
    """The same network in the words of a format; the last operation of a chain keeps the name."""
    rows = {row.name: row for row in infer(graph).ops}
    nodes: list[Node] = []
    for node in graph.nodes:
        *before, last = rule(node.op, rows[node.name].input_types[0].shape[1:])
        inputs = node.inputs
        for op in before:
            name = f"{node.name}.{op.key}"
            nodes.append(Node(name, op, inputs))
            inputs = (name,)
        nodes.append(replace(node, op=last, inputs=inputs))
    return replace(graph, nodes=tuple(nodes), _by_name={})


def plain(name: str) -> str:
    """A name that every format allows."""
    return "".join(c if c.isalnum() else "_" for c in name)


def end_padding(op: Any, size: int) -> int:
    """The border after a map that its last window needs."""
    (made,) = op.outputs((1, size, size, op_channels(op)))
    stride = op.stride if op.stride is not None else op.kernel_size
    return (made[1] - 1) * stride + op.kernel_size - size - op.padding


def op_channels(op: Any) -> int:
    """A number of channels that fits the operation's groups."""
    return getattr(op, "groups", 1)


def padded_before(op: Any, size: int) -> tuple[Op, Op]:
    """A border by itself, zeros as in the convolution, then the operation without one."""
    after = op.padding if op.rounding == "floor" else end_padding(op, size)
    border = ((op.padding, after),) * 2
    return ops.Pad(border if after != op.padding else after), replace(
        op, padding=0, rounding="floor"
    )


# --- PyTorch, and through it ONNX and .pt2 ---


def torch_words(op: Op, shape: tuple[int, ...]) -> Sequence[Op]:
    """PyTorch rounds poolings up, but not convolutions."""
    if isinstance(op, ops.Conv) and op.rounding != "floor":
        return padded_before(op, shape[0])
    return (op,)


def torch_module(graph: Graph, lrn: Callable[[Any], Any]) -> Any:
    """A module that runs the nodes of a graph one after the other, maps with channels first."""
    import torch
    from torch import nn

    rows = {row.name: row for row in infer(graph).ops}

    def layer(node: Node) -> Any:
        op: Any = node.op
        shape = rows[node.name].input_types[0].shape
        functions: Mapping[str, Callable[[], Any]] = {
            "Conv": lambda: nn.Conv2d(
                shape[-1], op.out_channels, op.kernel_size, op.stride, op.padding,
                groups=op.groups, bias=op.bias,
            ),
            "MaxPool": lambda: nn.MaxPool2d(
                op.kernel_size, op.step, op.padding, ceil_mode=op.rounding != "floor"
            ),
            "AvgPool": lambda: nn.AvgPool2d(op.kernel_size, op.step, op.padding),
            "AdaptiveAvgPool": lambda: nn.AdaptiveAvgPool2d(op.output_size),
            "Linear": lambda: nn.Linear(shape[-1], op.out_features, bias=op.bias),
            "BatchNorm": lambda: nn.BatchNorm2d(shape[-1]),
            "LocalResponseNorm": lambda: lrn(op),
            "Pad": lambda: nn.ZeroPad2d([p for pair in reversed(pairs(op.padding)) for p in pair]),
            "ReLU": nn.ReLU,
            "Tanh": nn.Tanh,
            "Softmax": lambda: nn.Softmax(1 if len(shape) == 4 and False else -1),
            "Dropout": lambda: nn.Dropout(op.rate),
            "Flatten": nn.Flatten,
        }  # fmt: skip
        return functions[op.kind]() if op.kind in functions else None

    class Interpreter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for node in graph.nodes:
                if (made := layer(node)) is not None:
                    self.add_module(plain(node.name), made)

        def forward(self, x: Any) -> Any:
            values, last = {next(iter(graph.inputs)): x}, set()
            for node in graph.nodes:
                taken = [values[v] for v in node.inputs]
                lasts = any(v in last for v in node.inputs)
                if isinstance(node.op, ops.Linear | ops.Softmax) and taken[0].dim() == 4:
                    taken = [taken[0] if lasts else taken[0].permute(0, 2, 3, 1)]
                    lasts = True
                if isinstance(node.op, ops.Add):
                    made = taken[0] + taken[1]
                elif isinstance(node.op, ops.Concat):
                    made = torch.cat(taken, 1)
                else:
                    made = getattr(self, plain(node.name))(*taken)
                values[node.name] = made
                last |= {node.name} if lasts else set()
            made = [values[v] for v in graph.outputs]
            return made[0] if len(made) == 1 else tuple(made)

    with torch.device("meta"):
        return Interpreter().eval()


def image(graph: Graph, device: str) -> Any:
    """A batch of two for the network's only input."""
    import torch

    ((_, height, width, channels),) = (t.shape for t in graph.inputs.values())
    return torch.zeros(2, channels, height, width, device=device)


@contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def write_pt2(graph: Graph, path: Path) -> None:
    """Traced on the meta device, where tensors have shapes and no numbers."""
    import torch
    from torch import nn

    module = torch_module(
        graph, lambda op: nn.LocalResponseNorm(op.size, op.alpha, op.beta, op.k)
    )
    batch = torch.export.Dim("N")
    with quiet():
        program = torch.export.export(
            module, (image(graph, "meta"),), dynamic_shapes=({0: batch},)
        )
        torch.export.save(program, path)


def write_onnx(graph: Graph, path: Path) -> None:
    """By the exporter of PyTorch that keeps layers whole; LRN as ONNX's own operator."""
    import torch
    from torch import nn

    class Normalise(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
            return x.clone()

        @staticmethod
        def symbolic(g: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
            made = g.op("LRN", x, size_i=size, alpha_f=alpha, beta_f=beta, bias_f=k)
            return made.setType(x.type())

    class Norm(nn.Module):
        def __init__(self, op: Any) -> None:
            super().__init__()
            self.values = op.size, op.alpha, op.beta, op.k

        def forward(self, x: Any) -> Any:
            return Normalise.apply(x, *self.values)

    module = torch_module(graph, Norm).to_empty(device="cpu")
    for number, tensor in enumerate((*module.parameters(), *module.buffers()), start=1):
        tensor.data.fill_(number)  # no two alike, or the exporter would store them once
    with quiet():
        torch.onnx.export(
            module,
            (image(graph, "cpu"),),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
            training=torch.onnx.TrainingMode.PRESERVE,
        )


# --- Keras ---


def keras_words(op: Any, shape: tuple[int, ...]) -> Sequence[Op]:
    """Keras has no numbers for a border: ``same``, ``valid``, or a layer of its own."""
    if isinstance(op, ops.LocalResponseNorm):
        raise CannotSay("no local response normalisation")
    if not isinstance(op, ops.Conv | ops.MaxPool) or (not op.padding and op.rounding == "floor"):
        return (op,)
    made = op.outputs((1, *shape))[0][1]
    stride, before = op.stride or op.kernel_size, op.padding
    both = (made - 1) * stride + op.kernel_size - shape[0]
    if made == -(-shape[0] // stride) and both // 2 == before and both >= 0:
        return (replace(op, padding="same", rounding="floor"),)
    return padded_before(op, shape[0])


def keras_model(graph: Graph) -> Any:
    """A functional model; weights begin as zeros, which takes no time and no memory."""
    import keras

    layers = keras.layers
    zeros = {"kernel_initializer": "zeros"}

    def layer(op: Any, name: str) -> Any:
        same = "valid" if getattr(op, "padding", 0) == 0 else op.padding
        windows: dict[str, Any] = {"name": name, "padding": same}
        functions: Mapping[str, Callable[[], Any]] = {
            "Conv": lambda: layers.Conv2D(
                op.out_channels, op.kernel_size, op.stride, groups=op.groups, use_bias=op.bias,
                **windows, **zeros,
            ),
            "MaxPool": lambda: layers.MaxPooling2D(op.kernel_size, op.step, **windows),
            "AvgPool": lambda: layers.AveragePooling2D(op.kernel_size, op.step, **windows),
            "AdaptiveAvgPool": lambda: layers.AdaptiveAveragePooling2D(op.output_size, name=name),
            "Linear": lambda: layers.Dense(op.out_features, use_bias=op.bias, name=name, **zeros),
            "BatchNorm": lambda: layers.BatchNormalization(name=name),
            "Pad": lambda: layers.ZeroPadding2D(pairs(op.padding), name=name),
            "ReLU": lambda: layers.ReLU(name=name),
            "Tanh": lambda: layers.Activation("tanh", name=name),
            "Softmax": lambda: layers.Softmax(name=name),
            "Dropout": lambda: layers.Dropout(op.rate, name=name),
            "Flatten": lambda: layers.Flatten(name=name),
            "Add": lambda: layers.Add(name=name),
            "Concat": lambda: layers.Concatenate(name=name),
        }  # fmt: skip
        return functions[op.kind]()

    keras.backend.clear_session()
    values = {n: keras.Input(t.shape[1:], name=plain(n)) for n, t in graph.inputs.items()}
    inputs = list(values.values())
    for node in graph.nodes:
        taken = [values[v] for v in node.inputs]
        values[node.name] = layer(node.op, plain(node.name))(taken if taken[1:] else taken[0])
    return keras.Model(inputs, [values[v] for v in graph.outputs])


def pairs(padding: Any) -> tuple[tuple[int, int], ...]:
    """A border of each of the two axes, before and after."""
    return padding if isinstance(padding, tuple) else ((padding, padding),) * 2


def write_json(graph: Graph, path: Path) -> None:
    with quiet():
        path.write_text(keras_model(graph).to_json())


def write_keras(graph: Graph, path: Path) -> None:
    with quiet():
        keras_model(graph).save(path)


# --- Caffe ---


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
        if op.output_size == 1:
            return (ops.GlobalAvgPool(keepdims=True),)
        if shape[0] % op.output_size:
            raise CannotSay("windows of a pooling are of one size")
        side = shape[0] // op.output_size
        return (ops.AvgPool(side, stride=side),)
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


# --- cuda-convnet ---


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


# --- the formats ---


def same_words(op: Op, shape: tuple[int, ...]) -> Sequence[Op]:
    return (op,)


def write_spec(graph: Graph, path: Path) -> None:
    path.write_text(yaml.write(graph))


FORMATS = {
    "spec": Format("yaml", write_spec, same_words),
    "Caffe": Format("prototxt", write_caffe, caffe_words),
    "cuda-convnet": Format("cfg", write_convnet, convnet_words),
    "ONNX": Format("onnx", write_onnx, torch_words, ("torch", "onnx")),
    ".pt2": Format("pt2", write_pt2, torch_words, ("torch",)),
    "Keras JSON": Format("json", write_json, keras_words, ("keras", "torch")),
    ".keras": Format("keras", write_keras, keras_words, ("keras", "torch", "h5py")),
}


@pytest.fixture(scope="session")
def formats() -> Mapping[str, Format]:
    return FORMATS


@pytest.fixture(scope="session")
def say() -> Callable[[Graph, str], Graph]:
    """A network in the words of a format; None and why if it cannot be said."""

    def said(graph: Graph, name: str) -> Graph | str:
        try:
            return restated(graph, FORMATS[name].restate)
        except CannotSay as why:
            return str(why)

    return said
