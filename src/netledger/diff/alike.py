"""What a layer does at the sizes at hand, however its source says it.

A border in the convolution or as a layer before it, windows rounded up or down to the same number,
a pooling by its windows or by the size that they give, a map flattened whose axes have size 1: as
long as each number of the output is made of the same numbers of the input, two layers are alike.
What cannot be told (padding in an average, a border of unknown numbers) is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from netledger.diff.align import Part, Side
from netledger.diff.layout import spelt
from netledger.graph import Shape
from netledger.ops import BatchNorm, Conv, Flatten, Linear, Pad, Reshape, Scale
from netledger.ops.base import each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pointwise import Activation
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool
from netledger.ops.window import pads, span

MOST_WINDOWS = 4096
"""Windows along an axis that are looked at one by one."""
POSITIVE = ("relu", "relu6", "sigmoid", "hard_sigmoid", "softplus", "exp", "abs")
"""Functions that give no negative number, so that a maximum ignores zeros beside them."""

NOTHING = ("nothing",)
"""What a layer does that passes its input on."""

Ranges = tuple[tuple[int, int], ...]


class Deed(NamedTuple):
    """What a layer does.

    Attributes:
        does: Equal for layers that do the same; None where it cannot be told.
        over: Other layers that are part of it.
    """

    does: Any
    over: tuple[Part, ...] = ()


UNKNOWN = Deed(None)


def told_otherwise(pairs: Iterable[tuple[Part | None, Part | None]], a: Side, b: Side) -> set[int]:
    """The layers, by `id`, whose difference is one of words; with the layers that are part of them.

    Layers that are only in one network are among them if they pass their input on.
    """
    found: set[int] = set()
    for pa, pb in pairs:
        if pa is not None and pb is not None:
            ours, theirs = deed(pa, a), deed(pb, b)
            if ours.does is not None and ours.does == theirs.does:
                found.update(id(part) for part in (pa, pb, *ours.over, *theirs.over))
        elif (part := pa or pb) is not None and deed(part, a if pa else b).does == NOTHING:
            found.add(id(part))
    return found


def deed(part: Part, side: Side) -> Deed:
    """What a layer does."""
    row, op = part.row, spelt(part.row, side.maps)
    if len(row.input_types) != 1 or len(row.outputs) != 1:
        return UNKNOWN
    if (matrix := _matrix(op, row.input_types[0].shape, row.outputs[0].shape)) is not None:
        return Deed(matrix)
    if isinstance(op, Convolution):
        return _convolution(op, part, side)
    if isinstance(op, Pool | AdaptivePool | GlobalPool):
        return _pooling(op, part, side)
    if isinstance(op, BatchNorm | Scale):
        return _normalisation(part, side)
    if isinstance(op, Flatten | Reshape):
        kept = _without_ones(row.input_types[0].shape) == _without_ones(row.outputs[0].shape)
        return Deed(NOTHING) if kept else UNKNOWN
    if isinstance(op, Pad) and row.input_types[0].shape == row.outputs[0].shape:
        return Deed(NOTHING)
    return UNKNOWN


def _without_ones(shape: Shape) -> tuple[Any, ...]:
    return (shape[0], *(d for d in shape[1:] if not (type(d) is int and d == 1)))


def _matrix(op: Any, taken: Shape, made: Shape) -> tuple[Any, ...] | None:
    """What a layer multiplies by a matrix: a dense one, or 1×1 kernels on a map of size 1×1."""
    if isinstance(op, Linear):
        alone = all(type(d) is int and d == 1 for d in taken[1:-1])
        return ("matrix", taken[-1], made[-1], op.bias) if alone else None
    if not isinstance(op, Conv) or op.groups != 1:
        return None
    sizes = (*op.split(taken)[2], *op.split(made)[2], *each_axis(op.kernel_size, 1))
    if any(type(d) is not int or d != 1 for d in sizes):
        return None
    return ("matrix", op.split(taken)[1], op.out_channels, op.bias)


def _convolution(op: Convolution, part: Part, side: Side) -> Deed:
    """Its kernels, and along every axis where the windows begin and how many there are."""
    border = _border(part, side, ("zeros",))
    shape = part.row.input_types[0].shape if border is None else border.row.input_types[0].shape
    _, channels, spatial = op.split(shape)
    befores = _befores(op, op.split(part.row.input_types[0].shape)[2])
    if befores is None:
        return UNKNOWN
    extra = _extra(border, len(spatial))
    sizes = op.split(part.row.outputs[0].shape)[2]
    rank = len(spatial)
    axes = tuple(
        (k, d if k != 1 else 1, s if o != 1 else 1, before + more, o)
        for k, d, s, before, more, o in zip(
            each_axis(op.kernel_size, rank),
            each_axis(op.dilation, rank),
            each_axis(op.stride, rank),
            befores,
            extra,
            sizes,
            strict=True,
        )
    )
    rest = {n: v for n, v in part.fields.items() if n not in _WINDOW}
    what = (part.kind, channels, tuple(spatial), tuple(rest.items()), axes)
    return Deed(what, (border,) if border else ())


_WINDOW = ("kernel_size", "dilation", "stride", "padding", "rounding")


def _befores(op: Any, spatial: Shape) -> tuple[Any, ...] | None:
    """The padding before the map along each axis."""
    rank = len(spatial)
    steps = each_axis(op.step if isinstance(op, Pool) else op.stride, rank)
    spacing = each_axis(op.spacing if isinstance(op, Pool) else op.dilation, rank)
    reach = [span(k, d) for k, d in zip(each_axis(op.kernel_size, rank), spacing, strict=True)]
    if op.padding == "causal":
        return tuple(k - 1 for k in reach)
    if op.padding != "same":
        return tuple(before for before, _ in pads(op.padding, rank))
    if any(type(i) is not int for i in spatial):
        return None
    room = ((-(-i // s) - 1) * s + k - i for i, s, k in zip(spatial, steps, reach, strict=True))
    return tuple(max(both, 0) // 2 for both in room)


def _border(part: Part, side: Side, modes: tuple[str, ...]) -> Part | None:
    """The layer before this one, if all that it does is a border around this one's input."""
    before = side.maker.get(part.node.inputs[0])
    if before is None or not isinstance(op := before.node.op, Pad) or op.mode not in modes:
        return None
    value = part.node.inputs[0]
    if len(side.takers.get(value, ())) != 1 or value in side.ledger.graph.outputs:
        return None
    return before if _extra(before, len(before.row.input_types[0].shape) - 2) else None


def _extra(border: Part | None, rank: int) -> tuple[Any, ...]:
    """What a border adds before each axis of the map; nothing if it does more, or cuts off."""
    if border is None:
        return (0,) * rank
    op: Any = border.node.op
    both = pads(op.padding, rank + 2 if op.whole(rank + 2) else rank)
    if op.whole(rank + 2):
        ends = (0, -1) if op.channels_last else (0, 1)
        if any(both[end] != (0, 0) for end in ends):
            return ()
        both = both[1:-1] if op.channels_last else both[2:]
    if any(before < 0 or total < before for before, total in both):
        return ()
    return tuple(before for before, _ in both)


def _pooling(op: Any, part: Part, side: Side) -> Deed:
    """Of what it takes the maximum or the average: the range of each window along every axis."""
    kind = "Max" if "Max" in op.kind else "Avg"
    border = _border(part, side, ("lowest",)) if kind == "Max" else None
    if border is None and kind == "Max" and _positive(part, side):
        border = _border(part, side, ("zeros", "lowest"))
    seen = op.split(part.row.input_types[0].shape)[2]
    spatial = seen if border is None else op.split(border.row.input_types[0].shape)[2]
    keeps = len(part.row.outputs[0].shape) == len(part.row.input_types[0].shape)
    made = op.split(part.row.outputs[0].shape)[2] if keeps else (1,) * len(seen)
    if any(type(i) is not int for i in (*spatial, *made)) or max(made, default=0) > MOST_WINDOWS:
        return UNKNOWN
    extra = _extra(border, len(spatial))
    axes = [
        _ranges(op, n, len(seen), i, o) for n, (i, o) in enumerate(zip(seen, made, strict=True))
    ]
    if any(axis is None for axis in axes):
        return UNKNOWN
    inside = [
        tuple((max(begin - before, 0), min(end - before, i)) for begin, end in axis or ())
        for axis, before, i in zip(axes, extra, spatial, strict=True)
    ]
    if kind == "Avg" and inside != axes:
        return UNKNOWN  # whether the padding counts is not said
    over = (border,) if border else ()
    if all(
        axis == tuple((n, n + 1) for n in range(i)) for axis, i in zip(inside, spatial, strict=True)
    ):
        return Deed(NOTHING, over)
    return Deed((kind, tuple(spatial), tuple(inside)), over)


def _ranges(op: Any, axis: int, rank: int, size: int, count: int) -> Ranges | None:
    """Where each window begins and ends along an axis; None if it leaves out what is between."""
    if isinstance(op, GlobalPool):
        return ((0, size),)
    if isinstance(op, AdaptivePool):
        return tuple((n * size // count, -(-(n + 1) * size // count)) for n in range(count))
    if each_axis(op.spacing, rank)[axis] != 1:
        return None
    kernel, step = each_axis(op.kernel_size, rank)[axis], each_axis(op.step, rank)[axis]
    before = (_befores(op, (size,) * rank) or (0,) * rank)[axis]
    return tuple((n * step - before, n * step - before + kernel) for n in range(count))


def _positive(part: Part, side: Side) -> bool:
    """Whether no number before the border of a layer is negative."""
    before = side.maker.get(part.node.inputs[0])
    source = side.maker.get(before.node.inputs[0]) if before and before.node.inputs else None
    return source is not None and (
        isinstance(op := source.node.op, Activation) and op.function in POSITIVE
    )


def _normalisation(part: Part, side: Side) -> Deed:
    """A normalisation and the factor and offset behind it, its own or those of another layer."""
    if isinstance(part.node.op, Scale):
        before = side.maker.get(part.node.inputs[0])
        found = UNKNOWN if before is None else _normalisation(before, side)
        return Deed(found.does, (before,)) if before and part in found.over else UNKNOWN
    op = part.node.op
    if not isinstance(op, BatchNorm):
        return UNKNOWN
    rest = tuple((n, v) for n, v in part.fields.items() if n not in ("scale", "center"))
    own = Deed(("BatchNorm", rest, op.scale, op.center))
    made, rank = part.node.outputs[0], len(part.row.outputs[0].shape)
    takers = side.takers.get(made, [])
    if op.scale or op.center or len(takers) != 1 or made in side.ledger.graph.outputs:
        return own
    behind, channel = takers[0].node.op, rank - 1 if op.channels_last else 1
    if not isinstance(behind, Scale) or each_axis(behind.over, 1)[0] % rank != channel:
        return own
    if len(each_axis(behind.over, 1)) > 1:
        return own
    return Deed(("BatchNorm", rest, behind.scale, behind.center), (takers[0],))


__all__ = ["deed", "told_otherwise"]
