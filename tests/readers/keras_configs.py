"""Configurations of Keras models, as its files hold them."""

from __future__ import annotations

import json
from typing import Any


def layer(kind: str, name: str, *feeds: str, **config: Any) -> dict[str, Any]:
    """A layer of Keras 3, called on the first output of each of `feeds`."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": [f, 0, 0]}} for f in feeds
    ]
    return {
        "module": "keras.layers",
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": [{"args": tensors, "kwargs": {}}] if feeds else [],
    }


def start(shape: Any = (None, 8, 8, 3), name: str = "in") -> dict[str, Any]:
    return layer("InputLayer", name, batch_shape=shape)


def functional(*layers: Any, output: str = "out", name: str = "net") -> dict[str, Any]:
    config = {
        "name": name,
        "layers": list(layers),
        "input_layers": [["in", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def one(kind: str, shape: Any = (None, 8, 8, 3), **config: Any) -> dict[str, Any]:
    return functional(start(shape), layer(kind, "out", "in", **config))


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


CONV = {"filters": 4, "kernel_size": [3, 3]}
GOOD = functional(
    start(),
    layer("Conv2D", "conv", "in", activation="relu", **CONV),
    layer("BatchNormalization", "bn", "conv"),
    layer("Flatten", "flat", "bn"),
    layer("Dense", "out", "flat", units=5),
)


def operation(kind: str, name: str, *args: Any, **config: Any) -> dict[str, Any]:
    """An operation of `keras.ops`; text stands for the value of that layer."""
    made = layer(kind, name, "x", **config)
    tensors = [
        layer("x", "x", a)["inbound_nodes"][0]["args"][0] if isinstance(a, str) else a for a in args
    ]
    return {
        **made,
        "module": "keras.src.ops.numpy",
        "inbound_nodes": [{"args": tensors, "kwargs": {}}],
    }


def inner(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "inner", **config}}


SLICE = {"class_name": "__slice__", "config": {"start": None, "stop": 3, "step": None}}
RICH = functional(
    start((None, 6, 8)),
    layer("LSTM", "lstm", "in", units=8, return_sequences=True),
    layer(
        "Bidirectional",
        "both",
        "lstm",
        merge_mode="concat",
        layer=inner("GRU", units=4, reset_after=True, return_sequences=True),
    ),
    layer(
        "Bidirectional",
        "summed",
        "both",
        merge_mode="sum",
        layer=inner("LSTM", units=8, return_sequences=True, return_state=True),
    ),
    layer("RNN", "rnn", "summed", cell=inner("LSTMCell", units=8), return_sequences=True),
    layer("MultiHeadAttention", "heads", "rnn", "both", num_heads=2, key_dim=3),
    layer("Attention", "scores", "heads", "rnn", use_scale=True),
    layer("TimeDistributed", "steps", "scores", layer=inner("Dense", units=8)),
    layer(
        "EinsumDense",
        "einsum",
        "steps",
        equation="abc,cd->abd",
        output_shape=[None, 8],
        bias_axes="d",
    ),
    layer("SpectralNormalization", "spectral", "einsum", layer=inner("Dense", units=8)),
    layer("LayerNormalization", "norm", "spectral", axis=[-1]),
    layer("Normalization", "samples", "norm", axis=-1),
    layer("PReLU", "slopes", "samples", shared_axes=[1]),
    layer("SeparableConv1D", "apart", "slopes", filters=8, kernel_size=3, padding="same"),
    layer(
        "Conv1DTranspose",
        "up",
        "apart",
        filters=8,
        kernel_size=[4],
        strides=2,
        output_padding=1,
        padding="same",
    ),
    layer("Cropping1D", "cut", "up", cropping=[1, 1]),
    layer("ZeroPadding1D", "pad", "cut", padding=1),
    layer("Dot", "dot", "pad", "pad", axes=[2, 2]),
    operation("GetItem", "part", "dot", [SLICE, SLICE, None, 0]),
    operation("ExpandDims", "wide", "part", axis=1),
    operation("Squeeze", "narrow", "wide", axis=1),
    operation("Reshape", "flat", "narrow", newshape=[-1, 3]),
    operation("Split", "halves", "flat", indices_or_sections=3, axis=-1),
    operation("Concatenate", "joined", "halves", axis=-1),
    operation("Transpose", "turned", "part", axes=[0, 2, 1]),
    operation("Mean", "mean", "turned", axis=[1, 2], keepdims=False),
    layer("RepeatVector", "again", "joined", n=3),
    layer("Lambda", "code", "again", output_shape=[3, 1]),
    layer("Flatten", "row", "code"),
    layer("Dense", "out", "row", units=2, activation="softmax"),
)
STORED = {
    "conv2d": ("conv", [(3, 3, 3, 4), (4,)]),
    "batch_normalization": ("bn", [(4,)] * 4),
    "dense": ("out", [(144, 5), (5,)]),
}


def doubling(depth: int) -> dict[str, Any]:
    """A model that calls a model twice, which calls a model twice …"""
    model = one("ReLU")
    for i in range(depth):
        inner = {**model, "name": "m"}
        last = layer("ReLU", "out", "m")
        last["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["m", 1, 0]
        inner["inbound_nodes"] = [
            *layer("x", "m", "in")["inbound_nodes"],
            *layer("x", "m", "m")["inbound_nodes"],
        ]
        model = functional(start(), inner, last, name=f"m{i}")
    return model


def shared_on_two_sizes() -> dict[str, Any]:
    twice = layer("Dense", "out", "in", units=7)
    twice["inbound_nodes"] += layer("x", "out", "out")["inbound_nodes"]
    return functional(start((None, 5)), twice)


def wrong_call(inbound: Any) -> dict[str, Any]:
    bad = layer("ReLU", "out", "in")
    bad["inbound_nodes"] = inbound
    return functional(start(), bad)
