"""Keras, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netledger import Graph, ops
from netledger.ops.base import Op

from .words import CannotSay, padded_before, pairs, plain, quiet


def keras_words(op: Any, shape: tuple[int, ...]) -> Sequence[Op]:
    """Keras has no numbers for a border: ``same``, ``valid``, or a layer of its own.

    A border of zeros does to a maximum pooling what one of nothing does, for it follows a ReLU.
    """
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


def write_json(graph: Graph, path: Path) -> None:
    with quiet():
        path.write_text(keras_model(graph).to_json())


def write_keras(graph: Graph, path: Path) -> None:
    with quiet():
        keras_model(graph).save(path)
