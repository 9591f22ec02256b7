"""The arithmetic of windows that slide over an axis; convolutions and poolings share it."""

from __future__ import annotations

from typing import Any

from netledger.errors import ShapeError
from netledger.formula import ceil_div, minimum
from netledger.graph import Shape
from netledger.ops.base import Window, check_axes, each_axis

FLOOR, CEIL, CEIL_CLIPPED = "floor", "ceil", "ceil_clipped"
ROUNDINGS = (FLOOR, CEIL, CEIL_CLIPPED)
ROUNDING_HELP = (
    "windows that stick out: dropped (floor), kept (ceil, as cuda-convnet), "
    "kept if they begin inside the map (ceil_clipped, as Caffe and PyTorch)"
)

Pads = tuple[tuple[Any, Any], ...]


def span(kernel: Any, dilation: Any) -> Any:
    """How far a window reaches: K, or D(K − 1) + 1 if it is dilated."""
    return dilation * (kernel - 1) + 1


def pads(padding: Any, rank: int) -> Pads:
    """For each axis the padding before it and in all; a number counts on both sides."""
    if isinstance(padding, str):
        return ((0, 0),) * rank
    if isinstance(padding, tuple) and isinstance(padding[0], tuple):
        return tuple((before, before + after) for before, after in padding)
    return tuple([(p, 2 * p) for p in each_axis(padding, rank)])


def positions(size: Any, reach: Any, stride: Any, pad: tuple[Any, Any], rounding: str) -> Any:
    """How many positions a window has along an axis: O = (I − K + 2P)/S + 1.

    Rounded down; or up, as cuda-convnet sizes its convolutions (1 + ⌈(I − K + 2P)/S⌉); or up, but
    without windows that begin beyond the map and its leading padding, as Caffe
    (``PoolingLayer::Reshape``) and PyTorch (``pooling_output_shape``) size poolings.
    """
    before, total = pad
    room = size - reach + total
    if rounding == FLOOR:
        return room // stride + 1
    count = ceil_div(room, stride) + 1
    return count if rounding == CEIL else minimum(count, ceil_div(size + before, stride))


def slide(
    spatial: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, rounding: str
) -> Shape:
    """The output size along every axis."""
    if isinstance(padding, str) and padding != "valid":
        strides = each_axis(stride, len(spatial))
        return tuple(ceil_div(i, s) for i, s in zip(spatial, strides, strict=True))
    axes = _axes(spatial, kernel, stride, padding, dilation)
    return tuple([positions(i, span(k, d), s, p, rounding) for i, k, s, p, d in axes])


def _axes(spatial: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Size, window, stride, padding and dilation along every axis."""
    if type(kernel) is type(stride) is type(padding) is type(dilation) is int:
        return [(i, kernel, stride, (padding, 2 * padding), dilation) for i in spatial]
    rank = len(spatial)
    return zip(
        spatial,
        each_axis(kernel, rank),
        each_axis(stride, rank),
        pads(padding, rank),
        each_axis(dilation, rank),
        strict=True,
    )


def edges(
    spatial: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, rounding: str
) -> Pads:
    """For each axis the padding before and after it that gives the same windows, rounded down.

    What a name (``same``) or rounding up implies is written out; sizes must be numbers for that.
    ``same`` puts the odd one behind, as Keras and ONNX do; ``causal`` puts all of it in front.
    """
    found = []
    for i, k, s, (before, total), d in _axes(spatial, kernel, stride, padding, dilation):
        reach = span(k, d)
        if padding == "causal":
            before = total = reach - 1
        elif padding == "same":
            total = max((ceil_div(i, s) - 1) * s + reach - i, 0)
            before = total // 2
        elif rounding != FLOOR:
            count = positions(i, reach, s, (before, total), rounding)
            total = max((count - 1) * s + reach - i, total)
        found.append((before, total - before))
    return tuple(found)


def windows(rank: int, kernel: Any, stride: Any, dilation: Any) -> tuple[Window, ...]:
    """What one output sees along every axis, for receptive fields."""
    if type(kernel) is type(stride) is type(dilation) is int:
        return (Window(span(kernel, dilation), stride),) * rank
    per = zip(
        each_axis(kernel, rank), each_axis(stride, rank), each_axis(dilation, rank), strict=True
    )
    return tuple([Window(span(k, d), s) for k, s, d in per])


def check_window(
    spatial: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, rounding: str
) -> None:
    """Refuses a window that is larger than the padded map; rounded up, it may stick out."""
    rank = len(spatial)
    for name, value in (
        ("kernel_size", kernel),
        ("stride", stride),
        ("padding", padding),
        ("dilation", dilation),
    ):
        if type(value) is tuple:
            check_axes(name, value, rank)
    if isinstance(padding, str) and padding != "valid":
        return
    for i, k, s, p, d in _axes(spatial, kernel, stride, padding, dilation):
        reach = span(k, d)
        if positions(i, reach, s, p, rounding) < 1:
            padded = f" padded to {i + p[1]}" if p[1] else ""
            hint = "use a smaller kernel_size, more padding, or a larger input"
            if rank == 3 and type(spatial[0]) is int and spatial[0] == 1:
                hint += "; if the 1 is the batch, leave it out"
            raise ShapeError(f"a window of {reach} does not fit a map of {i}{padded}", hint=hint)
