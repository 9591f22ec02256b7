"""Layers in the words of ONNX: convolutions, poolings, products, normalisations.

What our operations leave open is as in PyTorch: an average counts the padding that is given in
numbers, but neither that of ``same`` nor what a window rounded up sees beyond it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netledger.build.onnx.uneven import uneven_pool
from netledger.build.onnx.writer import Place, element_type
from netledger.ops.base import each_axis
from netledger.ops.window import CEIL, CEIL_CLIPPED, FLOOR, Pads, edges, pads


def spatial(place: Place) -> Any:
    """The spatial sizes of the first input."""
    return place.op.split(place.shapes[0])[2]


def padded(place: Place, stride: Any, dilation: Any) -> Pads:
    """The padding before and after each axis, so that windows rounded down are those of the row."""
    op, sizes = place.op, spatial(place)
    if op.padding in ("same", "causal") or op.rounding != FLOOR:
        place.ints("a size that padding follows from,", sizes)
    return edges(sizes, op.kernel_size, stride, op.padding, dilation, op.rounding)


def flat(found: Pads) -> list[int] | None:
    """Paddings as ONNX lists them; none where there is none."""
    values = [before for before, _ in found] + [after for _, after in found]
    return values if any(values) else None


def conv(place: Place) -> None:
    """Conv, DepthwiseConv."""
    op = place.op
    rank = len(spatial(place))
    weight = place.stored("weight").shape
    channels = op.split(place.shapes[0])[1]
    inputs = [place.value(), place.weight("weight"), *_bias(place)]
    place.make(
        "Conv",
        inputs,
        kernel_shape=each_axis(op.kernel_size, rank),
        strides=each_axis(op.stride, rank),
        dilations=each_axis(op.dilation, rank),
        group=channels // weight[1],
        pads=flat(padded(place, op.stride, op.dilation)),
    )


def conv_transpose(place: Place) -> None:
    """ConvTranspose."""
    op = place.op
    rank = len(spatial(place))
    if isinstance(op.padding, str):
        raise place.cannot(f"padding {op.padding!r} of a transposed convolution")
    found = tuple((before, total - before) for before, total in pads(op.padding, rank))
    place.make(
        "ConvTranspose",
        [place.value(), place.weight("weight"), *_bias(place)],
        kernel_shape=each_axis(op.kernel_size, rank),
        strides=each_axis(op.stride, rank),
        dilations=each_axis(op.dilation, rank),
        output_padding=each_axis(op.output_padding, rank),
        group=op.groups,
        pads=flat(found),
    )


def _bias(place: Place) -> list[str]:
    return [place.weight("bias")] if place.op.bias else []


def pool(kind: str) -> Any:
    """MaxPool, AvgPool; what Caffe and PyTorch round up, ``ceil_mode`` rounds up."""

    def rule(place: Place) -> None:
        op = place.op
        rank = len(spatial(place))
        fields: dict[str, Any] = {}
        if op.rounding == CEIL_CLIPPED or (op.rounding == CEIL and _clipped(place)):
            fields["ceil_mode"] = 1
            around = tuple((before, total - before) for before, total in pads(op.padding, rank))
        else:
            around = padded(place, op.step, op.spacing)
        if kind == "AveragePool" and any(map(any, around)):
            fields["count_include_pad"] = int(op.counts)
        if kind == "MaxPool":
            fields["dilations"] = each_axis(op.spacing, rank)
        place.make(
            kind,
            [place.value()],
            kernel_shape=each_axis(op.kernel_size, rank),
            strides=each_axis(op.step, rank),
            pads=flat(around),
            **fields,
        )

    return rule


def _clipped(place: Place) -> bool:
    """Whether windows rounded up all begin inside the map, as ``ceil_mode`` wants them."""
    import dataclasses

    op = dataclasses.replace(place.op, rounding=CEIL_CLIPPED)
    return bool(op.outputs(*place.shapes) == place.op.outputs(*place.shapes))


def adaptive_pool(kind: str) -> Any:
    """A pooling to a given size: over the whole map, or in windows that all are alike."""

    def rule(place: Place) -> None:
        op, sizes = place.op, spatial(place)
        wanted = each_axis(op.output_size, len(sizes))
        if all(o == 1 for o in wanted):
            return place.make(f"Global{kind}", [place.value()])
        known = place.ints("a size that windows follow from,", sizes)
        if any(i % o for i, o in zip(known, wanted, strict=True)):
            return uneven_pool(place, kind, known, wanted)
        steps = tuple(i // o for i, o in zip(known, wanted, strict=True))
        return place.make(kind, [place.value()], kernel_shape=steps, strides=steps)

    return rule


def global_pool(kind: str) -> Any:
    """A pooling over the whole map; without the spatial axes, the rest is flattened."""

    def rule(place: Place) -> None:
        x = place.value()
        if place.op.keepdims:
            return place.make(kind, [x])
        return place.final("Flatten", [place.main(kind, [x])], axis=1)

    return rule


def linear(place: Place) -> None:
    """Gemm for rows of features; a product, and perhaps a sum, where there are positions."""
    x = place.value()
    if place.rank == 2:
        inputs = [x, place.weight("weight"), *_bias(place)]
        return place.make("Gemm", inputs, transB=1)
    weight = place.weight("weight", turn=True)
    if not place.op.bias:
        return place.make("MatMul", [x, weight])
    return place.final("Add", [place.main("MatMul", [x, weight]), place.weight("bias")])


def embedding(place: Place) -> None:
    """A table of vectors."""
    place.make("Gather", [place.weight("weight"), place.value()], axis=0)


def batch_norm(place: Place) -> None:
    """BatchNormalization with its running statistics; also of an InstanceNorm that keeps some."""
    op = place.op
    if not op.running_stats:
        raise place.cannot(
            "it keeps no running statistics, and outside of training ONNX needs them"
        )
    inputs = [place.value(), *affine(place)]
    inputs += [place.weight("running_mean"), place.weight("running_var")]
    momentum = float(op.momentum)
    place.make("BatchNormalization", inputs, epsilon=_epsilon(place), momentum=momentum)


def affine(place: Place, center: bool = True) -> list[str]:
    """Scale and offset; ones and zeros where nothing is learned."""
    op, x = place.op, place.shapes[0]
    shape = place.ints("a size", (op.channels(x),) if hasattr(op, "channels") else x[-1:])
    dtype = _numpy(place.types[0].dtype)
    found = []
    for name, on, value in (("weight", op.scale, 1), ("bias", op.center, 0)):
        if on:
            found.append(place.weight(name))
        elif name == "weight" or center:
            found.append(place.constant(name, np.full(shape, value, dtype)))
    return found


def _epsilon(place: Place) -> float:
    return float(place.op.epsilon)


def _numpy(dtype: str) -> Any:
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(element_type(dtype))


def instance_norm(place: Place) -> None:
    """InstanceNormalization."""
    if place.op.running_stats:
        return batch_norm(place)
    inputs = [place.value(), *affine(place)]
    return place.make("InstanceNormalization", inputs, epsilon=_epsilon(place))


def group_norm(place: Place) -> None:
    """GroupNormalization, a scale for each channel (version 21)."""
    op = place.op
    place.make(
        "GroupNormalization",
        [place.value(), *affine(place)],
        num_groups=op.groups,
        epsilon=_epsilon(place),
    )


def layer_norm(kind: str) -> Any:
    """LayerNormalization, RMSNormalization: over the last axes, so others are moved there."""

    def rule(place: Place) -> None:
        op, x = place.op, place.shapes[0]
        over = sorted(a % place.rank for a in each_axis(op.over, 1))
        order = [*(i for i in range(place.rank) if i not in over), *over]
        moved = order != list(range(place.rank))
        taken = place.step("Transpose", [place.value()], perm=order) if moved else place.value()
        shape = place.ints("a size", [x[i] for i in over])
        fields = {"axis": -len(over), "epsilon": _epsilon(place)}
        ones = np.ones(shape, _numpy(place.types[0].dtype))
        factor = place.weight("weight") if op.scale else place.constant("weight", ones)
        inputs = [taken, factor]
        if op.center and kind == "LayerNormalization":
            inputs.append(place.weight("bias"))
        made = place.main(kind, inputs, **fields)
        if op.center and kind == "RMSNormalization":
            made = place.step("Add", [made, place.weight("bias")])
        if moved:
            back = [order.index(i) for i in range(place.rank)]
            made = place.step("Transpose", [made], perm=back)
        place.copy(made, place.node.outputs[0])

    return rule


def scale(place: Place) -> None:
    """A learned factor, a learned offset, for each position of some axes."""
    op = place.op
    over = {a % place.rank for a in each_axis(op.over, 1)}
    shape = [d if i in over else 1 for i, d in enumerate(place.shapes[0])]
    x = place.value()
    words = [("Mul", "weight")] * op.scale + [("Add", "bias")] * op.center
    if not words:
        return place.make("Identity", [x])
    for kind, name in words[:-1]:
        x = place.step(kind, [x, place.weight(name, shape=shape)])
    kind, name = words[-1]
    return place.make(kind, [x, place.weight(name, shape=shape)])


def lrn(place: Place) -> None:
    """LRN; the weight of the neighbours is alpha/size for each, as in Caffe and PyTorch."""
    op = place.op
    place.make(
        "LRN",
        [place.value()],
        size=op.size,
        alpha=float(op.alpha),
        beta=float(op.beta),
        bias=float(op.k),
    )


def prelu(place: Place) -> None:
    """PRelu: the slopes lie along their axis."""
    at = place.op.channel_axis
    if at is None:
        return place.make("PRelu", [place.value(), place.weight("weight")])
    to = place.axis(at)
    slopes = place.stored("weight").shape[0]
    shape = (slopes, *(1,) * (place.rank - 1 - to))
    x = place.value()
    return place.make("PRelu", [x, place.weight("weight", shape=shape)])
