"""What ONNX calls moves: operations that reorder, cut, join, pad and resize, in our terms."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netledger.formula import Dim, Formula, prod
from netledger.graph import Shape
from netledger.ops import (
    Concat,
    Einsum,
    Expand,
    Flatten,
    Gather,
    Identity,
    MaxPool,
    Op,
    Pad,
    Permute,
    PixelShuffle,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
)
from netledger.ops.base import axis
from netledger.ops.linear import spelled_out
from netledger.ops.pointwise import broadcast
from netledger.ops.pool import GlobalAvgPool, GlobalMaxPool, Pool
from netledger.ops.resample import border
from netledger.readers.onnx.layers import pad, same
from netledger.readers.onnx.values import Call, Layer, Unknown

END = 1 << 31
"""Exporters write a number beyond this for "to the end"."""


def pool(kind: type[Pool]) -> Any:
    """MaxPool, AveragePool."""

    def rule(call: Call) -> Layer:
        kernel = call.integers("kernel_shape") or ()
        rank = len(kernel)
        up = call.integer("ceil_mode", 0)
        fields: dict[str, Any] = {
            "stride": same(call.integers("strides") or (1,) * rank),
            "padding": pad(call, rank),
            "rounding": "ceil_clipped" if up else "floor",
            "channels_last": False,
        }
        dilation = same(call.integers("dilations") or (1,) * rank)
        if kind is MaxPool:
            fields["dilation"] = dilation
        elif dilation != 1:
            raise Unknown("an average pooling with gaps in its window")
        else:
            fields["count_padding"] = bool(call.integer("count_include_pad", 0))
        return Layer(kind(same(kernel), **fields), [call.value(0)])

    return rule


def global_pool(kind: type[GlobalAvgPool | GlobalMaxPool]) -> Any:
    """GlobalAveragePool, GlobalMaxPool: the spatial axes stay, with size 1."""
    return lambda call: Layer(kind(keepdims=True, channels_last=False), [call.value(0)])


def _new_shape(call: Call, shape: Shape) -> Layer:
    x = call.shape(0)
    kept = len(x) > 0 and len(shape) > 1 and not isinstance(shape[0], bool) and shape[0] == x[0]
    op = Reshape(shape[1:]) if kept else Reshape(shape, keep_batch=False)
    return Layer(op, [call.value(0)])


def reshape(call: Call) -> Layer:
    """Reshape: 0 copies a size, -1 is what is left."""
    x = call.shape(0)
    given = call.items(1) if call.has(1) else call.integers("shape") or ()
    copies = not call.integer("allowzero", 0)
    target: list[Dim] = []
    for i, d in enumerate(given):
        zero = type(d) is int and d == 0 and copies
        if zero and i >= len(x):
            raise Unknown(f"it copies axis {i}, which its input does not have")
        target.append(x[i] if zero else d)
    if len(target) > 1 and type(target[0]) is int and target[0] == -1 and x:
        left = prod(x[1:])
        if left == prod(target[1:]):
            target[0] = x[0]  # -1 is the batch: as people would write it
    return _new_shape(call, tuple(target))


def squeeze(call: Call) -> Layer:
    """Squeeze: axes of size 1 go."""
    x = call.shape(0)
    axes = call.items(1) if call.has(1) else call.integers("axes")
    if axes is None:
        gone = {i for i, d in enumerate(x) if type(d) is int and d == 1}
    else:
        gone = {axis(a, len(x)) for a in axes}
    return _new_shape(call, tuple(d for i, d in enumerate(x) if i not in gone))


def unsqueeze(call: Call) -> Layer:
    """Unsqueeze: axes of size 1 appear."""
    x = call.shape(0)
    axes = (call.items(1) if call.has(1) else call.integers("axes")) or ()
    rank = len(x) + len(axes)
    new = {axis(a, rank) for a in axes}
    rest = iter(x)
    return _new_shape(call, tuple(1 if i in new else next(rest) for i in range(rank)))


def flatten(call: Call) -> Layer:
    """Flatten: to two axes."""
    x = call.shape(0)
    at = call.integer("axis", 1)
    at = at + len(x) if at < 0 else at
    if at == 1 and len(x) > 1:
        return Layer(Flatten(), [call.value(0)])
    return Layer(Reshape((prod(x[:at]), prod(x[at:])), keep_batch=False), [call.value(0)])


def transpose(call: Call) -> Layer:
    """Transpose; without an order, the axes are reversed."""
    order = call.integers("perm") or tuple(reversed(range(len(call.shape(0)))))
    return Layer(Permute(order) if order else Identity(), [call.value(0)])


def expand(call: Call) -> Layer:
    """Expand: both shapes stretch to one another."""
    shape = broadcast(call.shape(0), call.items(1))
    return Layer(Expand(shape), [call.value(0)])


def tile(call: Call) -> Layer:
    """Tile: each axis so many times."""
    x, times = call.shape(0), call.items(1)
    at = [i for i, n in enumerate(times) if n != 1]
    value = call.value(0)
    if not at:
        return Layer(Identity(), [value])
    for i in at[:-1]:
        value = call.before(Layer(_repeat(x, i, times[i]), [value]), False)[0]
    return Layer(_repeat(x, at[-1], times[at[-1]]), [value])


def _repeat(x: Shape, at: int, times: Dim) -> Op:
    return Gather(at, (x[at] * times,))


def concat(call: Call) -> Layer:
    """Concat; empty constants, which exporters leave behind, are left out."""
    values = [v for v in call.values() if not (v.constant and v.shape == (0,))]
    return Layer(Concat(call.integer("axis", 1)), values)


def split(call: Call) -> Layer:
    """Split: by sizes, or into equal parts."""
    x = call.shape(0)
    at = call.integer("axis", 0)
    sizes = call.items(1) if call.has(1) else call.integers("split")
    if sizes is None:
        parts = call.integer("num_outputs", call.outputs)
        whole = -(-x[axis(at, len(x))] // parts)
        rest = x[axis(at, len(x))] - whole * (parts - 1)
        if isinstance(whole, Formula) or isinstance(rest, Formula):
            raise Unknown("it cuts a symbolic size into equal parts")
        sizes = (*(whole,) * (parts - 1), rest)
    return Layer(Split(tuple(sizes), at), [call.value(0)])


def slices(call: Call) -> Layer:
    """Slice: a row for each axis that is cut."""
    x, value = call.shape(0), call.value(0)
    if call.has(1):
        starts, ends = call.items(1), call.items(2)
        axes = call.items(3) if call.has(3) else tuple(range(len(starts)))
        steps = call.items(4) if call.has(4) else (1,) * len(starts)
    else:
        starts, ends = call.integers("starts") or (), call.integers("ends") or ()
        axes, steps = call.integers("axes") or tuple(range(len(starts))), (1,) * len(starts)
    cuts = []
    for start, end, a, step in zip(starts, ends, axes, steps, strict=False):
        at = axis(a, len(x))
        op = _cut(at, x[at], start, end, step)
        if op is not None:
            cuts.append(op)
    if not cuts:
        return Layer(Identity(), [value])
    for op in cuts[:-1]:
        value = call.before(Layer(op, [value]), False)[0]
    return Layer(cuts[-1], [value])


def _cut(at: int, size: Dim, start: Any, end: Any, step: Any) -> Op | None:
    if type(start) is type(end) is type(step) is int and step > 0:
        stop = None if end >= END else end
        if isinstance(size, int):
            start, stop, _ = slice(start, stop, step).indices(size)
            if (start, stop, step) == (0, size, 1):
                return None
        elif start == 0 and stop is None and step == 1:
            return None
        return Slice(at, start, stop, step)
    if type(step) is not int:
        raise Unknown("the step of its cut is a symbol")
    if step < 0:
        if isinstance(size, int) and type(start) is int and type(end) is int:
            low = -(size + 1)
            count = len(range(size)[slice(start, None if end <= low else end, step)])
            return Gather(at, (count,))
        raise Unknown("it reverses a symbolic size")
    if type(end) is int and end >= END:
        end = size
    length = (_from_front(end, size) - _from_front(start, size) + step - 1) // step
    return None if length == size else Gather(at, (length,))


def _from_front(place: Any, size: Dim) -> Dim:
    return place + size if type(place) is int and place < 0 else place


def pads(call: Call) -> Layer:
    """Pad: ``[begin …, end …]``, perhaps for some axes only."""
    rank = len(call.shape(0))
    given = call.items(1) if call.has(1) else call.integers("pads") or ()
    axes = call.items(3) if call.has(3) else tuple(range(rank))
    half = len(given) // 2
    pairs = [(0, 0)] * rank
    for i, a in enumerate(axes):
        pairs[axis(a, rank)] = (given[i], given[half + i])
    if all(p == (0, 0) for p in pairs):
        return Layer(Identity(), [call.value(0)])
    mode, value = _border(call)
    if 3 <= rank <= 5 and pairs[:2] == [(0, 0), (0, 0)]:
        pairs = pairs[2:]
    return Layer(Pad(tuple(pairs), mode, value=value, channels_last=False), [call.value(0)])


def _border(call: Call) -> tuple[str, Any]:
    """What the border is made of, and the number where it is one of its own."""
    mode = call.text("mode", "constant")
    if mode in ("reflect", "edge", "wrap"):
        return mode, None
    if mode != "constant":
        raise Unknown(f"its mode {mode!r} is none that ONNX knows")
    number = call.number(2) if call.has(2) else call.real("value", 0.0)
    made = "constant" if number is None else border(number)
    return made, number if made == "constant" else None


MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def resize(call: Call) -> Layer:
    """Resize and Upsample: to a size, or by a scale, rounded down."""
    x = call.shape(0)
    mode = call.text("mode", "nearest")
    mode = MODES.get(len(x) - 2, "linear") if mode == "linear" else mode
    fields: dict[str, Any] = {
        "mode": "bicubic" if mode == "cubic" else mode,
        "channels_last": False,
    }
    if call.has(3) and call.shape(3) != (0,):
        sizes = list(call.items(3))
        scales = None
    else:
        scales = call.items(call.inputs.__len__() - 1 if call.kind == "Upsample" else 2)
        sizes = [_scaled(d, s) for d, s in zip(x, scales, strict=True)]
    if len(sizes) == len(x) - 2:
        sizes = [*x[:2], *sizes]
    if len(sizes) != len(x) or sizes[0] != x[0] or sizes[1] != x[1]:
        raise Unknown("it resizes more than the spatial axes")
    whole = scales is not None and all(float(s).is_integer() for s in scales)
    if scales is not None and whole:
        op = Resize(scale=same(int(s) for s in scales[2:]), **fields)
    else:
        op = Resize(size=tuple(sizes[2:]), **fields)
    return Layer(op, [call.value(0)], untold=_places(call, mode, whole or scales is None))


def _places(call: Call, mode: str, whole: bool) -> str:
    """What is said of the places between which numbers are found, if that is not the usual."""
    where = call.text("coordinate_transformation_mode", "half_pixel")
    rounded = call.text("nearest_mode", "round_prefer_floor")
    call.integers("axes")
    if call.version < 11 or call.kind == "Upsample":
        usual = mode == "nearest"
    elif mode == "nearest":
        usual = (where, rounded) == ("asymmetric", "floor")
    else:
        usual = where in ("half_pixel", "pytorch_half_pixel")
        call.real("cubic_coeff_a", -0.75)
    return "" if usual and whole else "scale and places"


def _scaled(size: Dim, scale: float) -> Dim:
    if isinstance(size, int):
        return int(size * scale)
    exact = Fraction(scale).limit_denominator(1 << 16)
    return size * exact.numerator // exact.denominator


def reduce(function: str, kind: str) -> Any:
    """ReduceMean and so on: over all axes if none are named."""

    def rule(call: Call) -> Layer:
        rank = len(call.shape(0))
        named = call.items(1) if call.has(1) else call.integers("axes")
        keep = bool(call.integer("keepdims", 1))
        if not named:
            if call.integer("noop_with_empty_axes", 0) or not rank:
                return Layer(Identity(), [call.value(0)])
            named = tuple(range(rank))
        op = Reduce(tuple(named), keepdims=keep, function=function)
        alike = kind in ("ReduceL1", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
        return Layer(op, [call.value(0)], untold=kind if alike else "")

    return rule


def position(call: Call) -> Layer:
    """ArgMax, ArgMin: the number of the largest along an axis."""
    from netledger.ops import Cast

    keep = bool(call.integer("keepdims", 1))
    word = "max" if call.kind == "ArgMax" else "min"
    op = Reduce(call.integer("axis", 0), keepdims=keep, function=word)
    return Layer(Cast("int64"), call.before(Layer(op, [call.value(0)]), True))


def depth_to_space(call: Call) -> Layer:
    """DepthToSpace: channels move into space."""
    block = call.integer("blocksize", 1)
    order = call.text("mode", "DCR")
    untold = "" if order == "CRD" else "order of the channels"
    return Layer(PixelShuffle(block, channels_last=False), [call.value(0)], untold=untold)


def space_to_depth(call: Call) -> Layer:
    """SpaceToDepth: space moves into channels."""
    block = call.integer("blocksize", 1)
    x = call.shape(0)
    if len(x) != 4 or block < 1:
        raise Unknown(f"a block of {block} in a tensor of {len(x)} axes")
    return _new_shape(call, (x[0], x[1] * block * block, x[2] // block, x[3] // block))


def softmax(log: bool) -> Any:
    """Softmax, LogSoftmax; the axis was 1 before version 13, the last since."""

    def rule(call: Call) -> Layer:
        at = call.integer("axis", 1 if call.version < 13 else -1)
        rest = call.version < 13 and at % len(call.shape(0)) != len(call.shape(0)) - 1
        untold = "softmax over several axes" if rest else ""
        return Layer(Softmax(at, log=log), [call.value(0)], untold=untold)

    return rule


def einsum(call: Call) -> Layer:
    """Einsum; "..." becomes letters that are free."""
    values = call.values()
    equation = spelled_out(call.text("equation", ""), [len(v.shape) for v in values])
    return Layer(Einsum(equation), values)


def like_first(call: Call) -> Layer:
    """What gives a tensor of the same shape."""
    return Layer(Identity(), [call.value(0)])
