"""The table from cuda-convnet's kinds of layers to operations.

Convolutions are sized with ceil, M = 1 + ⌈(I − K + 2P)/S⌉ (``layer.py`` of cuda-convnet,
LocalLayerParser), poolings with O = 1 + ⌈(I − start − K)/S⌉ (PoolLayerParser); a layer with groups
has filters × groups kernels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from netledger.errors import ShapeError, SpecError
from netledger.graph import BIAS, WEIGHT, Parameter, Recorded
from netledger.ops import (
    Activation,
    Add,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Identity,
    Linear,
    LocallyConnected,
    LocalResponseNorm,
    Maximum,
    MaxPool,
    Op,
    Opaque,
    Power,
    Scale,
    Slice,
    Softmax,
)
from netledger.readers.cuda_convnet.ini import Section, shown

if TYPE_CHECKING:
    from netledger.readers.cuda_convnet.net import Net

Build = Callable[["Net", Section, list[str]], str]

SPARSE = "the channels that each filter sees are drawn at random (randSparse)"
FIXED = "the number of outputs is fixed, whatever the windows cover"

_NEURONS: Mapping[str, Callable[[], Op]] = {
    "logistic": lambda: Activation("sigmoid"),
    "relu": lambda: Activation("relu"),
    "brelu": lambda: Activation("clip"),
    "softrelu": lambda: Activation("softplus"),
    "tanh": lambda: Activation("tanh"),
    "abstanh": lambda: Activation("tanh"),
    "abs": lambda: Activation("abs"),
    "sqrt": lambda: Activation("sqrt"),
    "log": lambda: Activation("log"),
    "nrelu": lambda: Activation("relu"),
    "square": Power,
    "power": Power,
    "linear": Identity,
    "ident": Identity,
}


def activation(text: str) -> Op:
    """An activation function, ``relu`` or ``tanh[1.7,0.6]``.

    Raises:
        SpecError: If there is none of that name.
    """
    match = re.fullmatch(r"\s*(\w{1,40})\s*(?:\[[^\]]*\])?\s*", text)
    if match is None or match[1].lower() not in _NEURONS:
        raise SpecError(f"unknown neuron {shown(text)}")
    return _NEURONS[match[1].lower()]()


def _convolution(net: Net, section: Section, inputs: list[str], local: bool) -> str:
    """Kernels of its own for each input; the results are added up, with one bias."""
    count = len(inputs)
    channels = section.integers("channels", count)
    groups = section.integers("groups", count, 1)
    filters = section.integers("filters", count)
    kernels, strides = section.integers("filterSize", count), section.integers("stride", count, 1)
    paddings = section.integers("padding", count, 0)
    shared = section.flag("sharedBiases", True) or local
    parts: list[str] = []
    for i, value in enumerate(inputs):
        last = count == 1 and shared
        name = section.name if last else f"{section.name}.{i}"
        op = (LocallyConnected if local else Conv)(
            out_channels=filters[i] * groups[i],
            kernel_size=kernels[i],
            stride=strides[i],
            padding=paddings[i],
            groups=groups[i],
            bias=shared and i == 0,
            rounding="ceil",
            channels_last=False,
        )
        image = net.image(f"{section.name}.image{i}", value, channels[i], section)
        part = _sparse(net, section, name, i, op, image) or net.add(name, op, [image], section)
        net.share(section, i, part)
        parts.append(part)
    _check_modules(net, section, parts)
    if count == 1 and shared:
        return parts[0]
    total = parts[0] if count == 1 else section.name + ("" if shared else ".sum")
    if count > 1:
        net.add(total, Add(), parts, section)
    if shared:
        return total
    return net.add(section.name, Scale(over=(1, 2, 3), scale=False), [total], section)


def _sparse(net: Net, section: Section, name: str, i: int, op: Conv, image: str) -> str | None:
    """A convolution whose filters see channels drawn at random; None if this is not one."""
    if not section.flag("randSparse", False):
        return None
    count = len(section.names("inputs"))
    fan_in = section.integers("filterChannels", count)[i]
    shape = net.shapes[image]
    if fan_in < 1 or shape is None:
        raise SpecError(f"filterChannels must be at least 1; got {fan_in}")
    op.check(shape)
    side = op.kernel_size
    own = [Parameter("weight", WEIGHT, (op.out_channels, fan_in, side, side))]
    if op.bias:
        own.append(Parameter("bias", BIAS, (op.out_channels,)))
    opaque = Opaque("SparseConv", op.outputs(shape), SPARSE)
    return net.add(name, opaque, [image], section, Recorded(parameters=tuple(own)))


def _check_modules(net: Net, section: Section, parts: list[str]) -> None:
    """Refuses a number of positions that is not the one that covers the image."""
    wanted = section.integer("modulesX", 0)
    shape = net.shapes[parts[0]]
    if wanted > 0 and shape is not None and isinstance(shape[2], int) and shape[2] != wanted:
        raise ShapeError(f"modulesX={wanted}, but {shape[2]} positions cover the image")


def _fully_connected(net: Net, section: Section, inputs: list[str]) -> str:
    """Weights for each input and one bias: the same as one layer on all inputs in a row."""
    rows = [
        net.flat(f"{section.name}.flatten{i or ''}", value, section)
        for i, value in enumerate(inputs)
    ]
    if len(rows) > 1:
        rows = [net.add(f"{section.name}.concat", Concat(axis=1), rows, section)]
    made = net.add(section.name, Linear(section.integer("outputs")), rows, section)
    net.share(section, 0, made)
    return made


def _pool(net: Net, section: Section, inputs: list[str]) -> str:
    (value,) = _one(inputs)
    word = section.text("pool").lower()
    if word not in ("max", "maxabs", "avg"):
        raise SpecError(f"pool must be max, maxabs or avg; got {shown(word)}")
    value = net.image(f"{section.name}.image", value, section.integer("channels"), section)
    start, fixed = section.integer("start", 0), section.integer("outputsX", 0)
    if start > 0:
        for axis in (2, 3):
            cut = Slice(axis=axis, start=start)
            value = net.add(f"{section.name}.start{axis}", cut, [value], section)
    before = max(-start, 0)
    op = (AvgPool if word == "avg" else MaxPool)(
        kernel_size=section.integer("sizeX"),
        stride=section.integer("stride"),
        padding=((before, 0), (before, 0)) if before else 0,
        rounding="ceil",
        channels_last=False,
    )
    shape = net.shapes[value]
    if fixed > 0 and shape is not None:
        covering = op.outputs(shape)[0][2]
        if covering != fixed:
            opaque = Opaque(op.kind, ((*shape[:2], fixed, fixed),), FIXED)
            return net.add(section.name, opaque, [value], section, Recorded((), (), 0))
    return net.add(section.name, op, [value], section)


def _norm(net: Net, section: Section, inputs: list[str]) -> str:
    (value,) = _one(inputs)
    value = net.image(f"{section.name}.image", value, section.integer("channels"), section)
    size = section.integer("size" if section.has("size") else "sizeX")
    op = LocalResponseNorm(
        size=size,
        k=section.number("minDiv", 1.0),
        beta=section.number("pow", 0.75),
        alpha=section.number("scale", 1e-4),
        channels_last=False,
    )
    return net.add(section.name, op, [value], section)


def _softmax(net: Net, section: Section, inputs: list[str]) -> str:
    (value,) = _one(inputs)
    value = net.flat(f"{section.name}.flatten", value, section)
    return net.add(section.name, Softmax(), [value], section)


def _neuron(net: Net, section: Section, inputs: list[str]) -> str:
    return net.add(section.name, activation(section.text("neuron")), _one(inputs), section)


def _dropout(net: Net, section: Section, inputs: list[str]) -> str:
    rate = 1 - section.number("keep", 0.5)
    return net.add(section.name, Dropout(rate), _one(inputs), section)


def _together(op: Op) -> Build:
    return lambda net, section, inputs: net.add(section.name, op, inputs, section)


def _concat(net: Net, section: Section, inputs: list[str]) -> str:
    """Numbers in a row, behind one another; maps of one size stay maps."""
    shapes = [net.shapes[value] for value in inputs]
    first = shapes[0]
    if first is None or any(s is None or s[2:] != first[2:] for s in shapes):
        inputs = [
            net.flat(f"{section.name}.flatten{i or ''}", v, section) for i, v in enumerate(inputs)
        ]
    return net.add(section.name, Concat(axis=1), inputs, section)


def _one(inputs: list[str]) -> list[str]:
    if len(inputs) != 1:
        raise SpecError(f"takes 1 input; got {len(inputs)}")
    return inputs


LAYERS: Mapping[str, Build] = {
    "conv": lambda net, section, inputs: _convolution(net, section, inputs, False),
    "local": lambda net, section, inputs: _convolution(net, section, inputs, True),
    "fc": _fully_connected,
    "pool": _pool,
    "rnorm": _norm,
    "cmrnorm": _norm,
    "cnorm": _norm,
    "softmax": _softmax,
    "neuron": _neuron,
    "dropout": _dropout,
    "dropout2": _dropout,
    "eltsum": _together(Add()),
    "eltmax": _together(Maximum()),
    "concat": _concat,
    "pass": _concat,
}
"""For each kind of layer what it adds to the network; the function returns its value."""
