"""Operators that choose numbers by index, order them, or put them elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from netledger.aten.call import Call, Layer, Value, layer
from netledger.aten.moves import correction, known
from netledger.errors import ShapeError
from netledger.ops import (
    Arrange,
    GridSample,
    Index,
    Maximum,
    Minimum,
    Op,
    Patches,
    Reduce,
    Repeat,
    SlidingWindow,
    TakeAlong,
    TopK,
    Update,
    Where,
)
from netledger.ops.base import axis

Rule = Callable[[Call], Layer]


def arrange(function: str) -> Rule:
    """roll, flip, cumsum …: the same shape."""
    return lambda call: layer(Arrange(function), call.value("self"))


def index(call: Call) -> Layer:
    """index: tensors of indices for some axes; masks choose as many as data say."""
    x, given = call.value("self"), call.args.get("indices")
    if not isinstance(given, list):
        raise ShapeError("index without indices")
    over = tuple(i for i, v in enumerate(given) if isinstance(v, Value))
    indices = [v for v in given if isinstance(v, Value)]
    if any(v.type.dtype in ("bool", "uint8") for v in indices):
        return known(call)  # as many as the source says
    return layer(Index(over), x, *indices)


def take(call: Call) -> Layer:
    """gather: a number along an axis for each index."""
    return layer(TakeAlong(call.integer("dim")), call.value("self"), call.value("index"))


def update(call: Call) -> Layer:
    """scatter, index_put, copy and their like: the first tensor, changed."""
    return layer(Update(), *call.values())


def masked_fill(call: Call) -> Layer:
    """masked_fill: the mask chooses."""
    return layer(Where(), call.value("mask"), call.value("self"))


def sort(call: Call) -> Layer:
    """sort: the numbers, and where they were."""
    ops = (Arrange("sort"), Arrange("argsort"))
    return Layer(ops[: len(call.results)], (call.value("self"),), each=True)


def topk(call: Call) -> Layer:
    """topk: the numbers, and where they were."""
    k, at = call.integer("k"), call.integer("dim", -1)
    ops = (TopK(k, at), TopK(k, at, indices=True))
    return Layer(ops[: len(call.results)], (call.value("self"),), each=True)


def extreme(word: str) -> Rule:
    """Max and min: of two tensors, of all numbers, or along an axis with the places."""

    def rule(call: Call) -> Layer:
        other = call.optional("other")
        x = call.value("self")
        if other is not None:
            return layer(Maximum() if word == "max" else Minimum(), x, other)
        if "dim" not in call.args:
            return layer(Reduce(tuple(range(len(x.shape))), function=word), x)
        at, kept = call.integer("dim"), call.flag("keepdim")
        ops: tuple[Op, ...] = (
            Reduce(at, keepdims=kept, function=word),
            Reduce(at, keepdims=kept, function=f"arg{word}"),
        )
        return Layer(ops[: len(call.results)], (x,), each=True)

    return rule


def moments(word: str) -> Rule:
    """var_mean, std_mean: two reductions of one tensor."""

    def rule(call: Call) -> Layer:
        x = call.value("self")
        over = call.integers("dim", tuple(range(len(x.shape))))
        kept = call.flag("keepdim")
        ops = tuple(Reduce(over, keepdims=kept, function=f) for f in (word, "mean"))
        return Layer(ops, (x,), each=True, untold=correction(call))

    return rule


def repeat(call: Call) -> Layer:
    """repeat, tile: each axis so many times."""
    x = call.value("self")
    times = call.integers("repeats" if "repeats" in call.args else "dims")
    return layer(Repeat((1,) * (len(x.shape) - len(times)) + times), x)


def repeat_interleave(call: Call) -> Layer:
    """repeat_interleave: every entry of an axis so many times."""
    x, times = call.value("self"), call.integer("repeats")
    at = axis(call.integer("dim"), len(x.shape))
    made = layer(Repeat(tuple(times if i == at else 1 for i in range(len(x.shape)))), x)
    return made._replace(untold=call.target)


def sliding(call: Call) -> Layer:
    """Unfold of a tensor: windows along an axis."""
    at, size, step = (call.integer(name) for name in ("dimension", "size", "step"))
    return layer(SlidingWindow(size, at, step), call.value("self"))


def patches(call: Call) -> Layer:
    """im2col: every window of a map as a column."""
    names = ("stride", "padding", "dilation")
    fields = {name: call.integers(name) for name in names}
    op = Patches(call.integers("kernel_size"), **fields, channels_last=False)
    return layer(op, call.value("self"))


def sample(call: Call) -> Layer:
    """grid_sampler: numbers of a map at given places."""
    return layer(GridSample(channels_last=False), call.value("input"), call.value("grid"))
