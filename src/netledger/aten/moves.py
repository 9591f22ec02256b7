"""Operators that move numbers, reduce them, or make them out of nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netledger.aten.call import Call, Layer, Value, alike, layer
from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    Concat,
    Constant,
    Expand,
    Flatten,
    Gather,
    MaxPool,
    Op,
    Opaque,
    Pad,
    Permute,
    PixelShuffle,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Split,
    Stack,
)
from netledger.ops.base import axis
from netledger.ops.resample import border

Rule = Callable[[Call], Layer]


def pool(call: Call) -> Layer:
    """max_pool1d … 3d and avg_pool1d … 3d."""
    kernel = call.integers("kernel_size")
    fields: dict[str, Any] = {
        "stride": call.per_axis("stride", kernel),
        "padding": call.per_axis("padding", 0),
        "rounding": "ceil_clipped" if call.flag("ceil_mode") else "floor",
        "channels_last": False,
    }
    x = call.value("self", "input")
    if call.target.startswith("avg"):
        counted = call.flag("count_include_pad", True)
        return layer(AvgPool(alike(kernel), count_padding=counted, **fields), x)
    return layer(MaxPool(alike(kernel), dilation=call.per_axis("dilation", 1), **fields), x)


def adaptive_pool(call: Call) -> Layer:
    """adaptive_avg_pool1d … 3d and adaptive_max_pool1d … 3d."""
    kind = AdaptiveMaxPool if "max" in call.target else AdaptiveAvgPool
    size = call.per_axis("output_size")
    return layer(kind(size, channels_last=False), call.value("self", "input"))


def _to(x: Value, shape: tuple[Any, ...]) -> Layer:
    """The same numbers in another shape; the batch stays out of it where it is not touched."""
    keeps = len(shape) > 1 and len(x.shape) > 0 and shape[0] == x.shape[0] and shape[0] != -1
    op = Reshape(shape[1:]) if keeps else Reshape(shape, keep_batch=False)
    return layer(op, x)


def reshape(call: Call) -> Layer:
    """view, reshape and their like."""
    name = "size" if "size" in call.args else "shape"
    shape = call.integers(name) if call.args.get(name) != [] else ()
    x = call.value("self")
    holes = [i for i, d in enumerate(shape) if type(d) is int and d == -1]
    if len(holes) == 1 and not all(type(d) is int for d in (*shape, *x.shape)):
        at = holes[0]
        rest = [d for i, d in enumerate(shape) if i != at]
        shape = (*shape[:at], _quotient(x.shape, rest), *shape[at + 1 :])
    return _to(x, shape)


def _quotient(numbers: Sequence[Any], divisors: Sequence[Any]) -> Any:
    """One product over another; what stands in both, such as the batch, cancels."""
    above, below = list(numbers), []
    for d in divisors:
        if d in above:
            above.remove(d)
        else:
            below.append(d)
    return prod(above) // prod(below)


def flatten(call: Call) -> Layer:
    """Flatten."""
    x = call.value("self")
    if not x.shape:
        return _to(x, (1,))
    return layer(Flatten(call.integer("start_dim", 0), call.integer("end_dim", -1)), x)


def unflatten(call: Call) -> Layer:
    """Unflatten."""
    x, sizes = call.value("self"), call.integers("sizes")
    at = axis(call.integer("dim"), len(x.shape))
    if -1 in sizes:
        rest = prod(s for s in sizes if s != -1)
        sizes = tuple(x.shape[at] // rest if s == -1 else s for s in sizes)
    return _to(x, (*x.shape[:at], *sizes, *x.shape[at + 1 :]))


def like_other(call: Call) -> Layer:
    """reshape_as, view_as."""
    call.settle("other")
    return _to(call.value("self"), call.value("other").shape)


def movedim(call: Call) -> Layer:
    """movedim: axes to other places, the rest in order."""
    x = call.value("self")
    rank = len(x.shape)
    source = [axis(i, rank) for i in call.integers("source")]
    target = [axis(i, rank) for i in call.integers("destination")]
    order: list[int] = [i for i in range(rank) if i not in source]
    for to, where in sorted(zip(target, source, strict=True)):
        order.insert(to, where)
    return layer(Permute(tuple(order)), x)


def unsqueeze(call: Call) -> Layer:
    """Unsqueeze."""
    x = call.value("self")
    at = axis(call.integer("dim"), len(x.shape) + 1)
    return _to(x, (*x.shape[:at], 1, *x.shape[at:]))


def squeeze(call: Call) -> Layer:
    """squeeze: all axes of size 1, or the ones named."""
    x = call.value("self")
    named = call.integers("dim", tuple(range(len(x.shape))))
    gone = {axis(i, len(x.shape)) for i in named}
    return _to(x, tuple(d for i, d in enumerate(x.shape) if not (i in gone and d == 1)))


def permute(call: Call) -> Layer:
    """Permute."""
    x = call.value("self")
    return layer(Permute(tuple(axis(i, len(x.shape)) for i in call.integers("dims"))), x)


def turns(call: Call) -> bool:
    """True if a matrix is turned over, which the products then expect."""
    target, args = call.target, call.args
    if target in ("t", "numpy_T", "mT"):
        return True
    if target == "permute":
        return [d % 2 for d in args.get("dims") or ()] == [1, 0]
    swapped = {args.get("dim0", args.get("axis0")), args.get("dim1", args.get("axis1"))}
    return target in ("transpose", "swapaxes") and swapped in ({0, 1}, {-1, -2}, {0, -1}, {1, -2})


def transpose(call: Call) -> Layer:
    """transpose, t, and swaps by other names."""
    x = call.value("self")
    rank = len(x.shape)
    if call.target in ("t", "numpy_T", "mT", "adjoint"):
        a, b = -2, -1
    else:
        first, second = ("axis0", "axis1") if "axis0" in call.args else ("dim0", "dim1")
        a, b = call.integer(first), call.integer(second)
    if rank < 2:
        return _to(x, x.shape)
    order = list(range(rank))
    i, j = axis(a, rank), axis(b, rank)
    order[i], order[j] = order[j], order[i]
    return layer(Permute(tuple(order)), x)


def expand(call: Call) -> Layer:
    """Expand."""
    return layer(Expand(call.integers("size")), call.value("self"))


def expand_as(call: Call) -> Layer:
    """expand_as."""
    call.settle("other")
    return layer(Expand(call.value("other").shape), call.value("self"))


def concat(call: Call) -> Layer:
    """cat; empty vectors, which PyTorch lets pass, are left out."""
    tensors = [v for v in call.values() if v.shape != (0,)]
    return layer(Concat(call.integer("dim", 0)), *tensors)


def stack(call: Call) -> Layer:
    """Stack."""
    return layer(Stack(call.integer("dim", 0)), *call.values())


def split(call: Call) -> Layer:
    """split, split_with_sizes, chunk, tensor_split: parts of an axis."""
    x = call.value("self")
    at = axis(call.integer("dim", 0), len(x.shape))
    parts = [None if r is None else r.shape[at] for r in call.results]
    if parts and None not in parts:
        call.settle("split_size", "split_sizes", "sizes", "chunks", "sections", "indices")
        return layer(Split(tuple(parts), axis=at), x)
    if call.target == "chunk":
        sizes: Any = -(-x.shape[at] // call.integer("chunks"))
    else:
        name = next(n for n in ("split_size", "split_sizes", "sizes") if n in call.args)
        sizes = call.integers(name)
        if isinstance(call.args[name], int):
            sizes = sizes[0]
    return layer(Split(sizes, axis=at), x)


def unbind(call: Call) -> Layer:
    """unbind: every entry of an axis by itself."""
    x, at = call.value("self"), axis(call.integer("dim", 0), len(call.value("self").shape))
    ops = tuple([Gather(at, index=i) for i in range(len(call.results))])
    return Layer(ops, (x,), each=True)


def select(call: Call) -> Layer:
    """select: one entry of an axis."""
    x, at = call.value("self"), call.integer("dim")
    index = call.args.get("index")
    chosen = Gather(axis(at, len(x.shape)), index=index if isinstance(index, int) else None)
    return layer(chosen, x)


def index_select(call: Call) -> Layer:
    """index_select."""
    return layer(Gather(call.integer("dim")), call.value("self"), call.value("index"))


def slice_(call: Call) -> Layer:
    """slice, narrow."""
    x = call.value("self")
    at = axis(call.integer("dim", 0), len(x.shape))
    start = call.integer("start", 0)
    if call.target == "narrow":
        stop = start + call.integer("length")
    else:
        stop = call.integer("end", 2**63 - 1)
    size = x.shape[at]
    if isinstance(stop, int) and stop >= 2**62:
        stop = None
    if stop is not None and not (isinstance(size, int) and isinstance(start + stop, int)):
        if stop == size:
            stop = None
        elif not isinstance(stop, int):
            raise ShapeError("a part whose end is a symbol")
    return layer(Slice(at, start, stop, call.integer("step", 1)), x)


BORDERS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(call: Call) -> Layer:
    """pad, constant_pad_nd: pairs, the last axis first."""
    x, amounts = call.value("self"), call.integers("pad")
    pairs = [(0, 0)] * len(x.shape)
    for i in range(len(amounts) // 2):
        pairs[-1 - i] = (amounts[2 * i], amounts[2 * i + 1])
    said, number = call.args.get("mode"), call.args.get("value")
    mode = BORDERS.get(said, "constant") if isinstance(said, str) else "constant"
    if mode == "constant" and (number is None or isinstance(number, int | float)):
        mode = border(number or 0)
    if len(pairs) > 2 and pairs[:2] == [(0, 0), (0, 0)]:  # a border around a map
        pairs = pairs[2:]
    value = number if mode == "constant" else None
    return layer(Pad(tuple(pairs), mode, value=value, channels_last=False), x)


_SCALES = ("scale_factors", "scales", "scales_d", "scales_h", "scales_w")
_OTHERWISE = ("_aa", "exact1d", "exact2d", "exact3d")
"""Antialiased, or with neighbours that lie elsewhere."""


def _whole(scales: Any) -> bool:
    """True for whole-numbered scales, which the new size tells too."""
    each = scales if isinstance(scales, list) else [scales]
    return all(isinstance(s, int | float) and float(s).is_integer() for s in each)


def resize(call: Call) -> Layer:
    """upsample_nearest2d, upsample_bilinear2d and their like: the size that the source records."""
    known = call.results[0]
    x = call.value("input", "self")
    if known is None or len(known.shape) != len(x.shape):
        raise ShapeError("the new size is not stated")
    mode = next((m for m in ("bilinear", "bicubic", "trilinear", "linear") if m in call.target), "")
    made = layer(Resize(size=known.shape[2:], mode=mode or "nearest", channels_last=False), x)
    call.settle("output_size")
    call.settle(*(name for name, v in call.args.items() if name in _SCALES and _whole(v)))
    return made._replace(untold=call.target if call.target.endswith(_OTHERWISE) else "")


def pixel_shuffle(call: Call) -> Layer:
    """pixel_shuffle."""
    return layer(
        PixelShuffle(call.integer("upscale_factor"), channels_last=False), call.value("self")
    )


def reduce(function: str) -> Rule:
    """A reduction over the axes named, or over all."""

    def rule(call: Call) -> Layer:
        x = call.value("self", "input")
        over = call.integers("dim", tuple(range(len(x.shape))))
        if not x.shape:
            return _to(x, ())
        made = layer(Reduce(over, keepdims=call.flag("keepdim"), function=function), x)
        return made._replace(untold=correction(call)) if function in ("var", "std") else made

    return rule


def correction(call: Call) -> str:
    """By how much less than the count a variance is divided, where it is less."""
    said = call.args.get("correction")
    less = said if said is not None else int(call.flag("unbiased", True))
    return f"correction={less}" if less else ""


def made(call: Call) -> Layer:
    """zeros, arange and their like: numbers out of nothing."""
    known = call.results[0]
    if known is None:
        raise ShapeError("its size is not stated")
    call.settle(*call.args)
    return Layer((Constant(known.shape, to=known.dtype, value=filled(call)),), ())


def filled(call: Call) -> Any:
    """The number that zeros, ones and full are made of."""
    word = call.target.removeprefix("new_").removesuffix("_like").rstrip("_")
    number = {"zeros": 0, "zero": 0, "ones": 1}.get(word)
    if word in ("full", "fill", "scalar_tensor"):
        number = next(
            (call.args.get(n) for n in ("fill_value", "value", "s") if n in call.args), None
        )
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


def known(call: Call) -> Layer:
    """What has no rule of its own: nothing stored, nothing accumulated, the shape as stated."""
    shapes: list[Shape] = []
    for result in call.results:
        if result is None:
            raise ShapeError("its size is not stated")
        shapes.append(result.shape)
    op: Op = Opaque(call.target, tuple(shapes), "no multiply-accumulates, nothing stored")
    return Layer((op,), tuple(call.values()), known=True)
