"""Operations that move numbers against PyTorch."""

from __future__ import annotations

import random
from itertools import pairwise
from math import prod
from typing import Any

import pytest

from netledger.ops import (
    Concat,
    Expand,
    Flatten,
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

pytestmark = pytest.mark.oracle


def a_shape(rng: random.Random, least: int = 1, most: int = 5) -> tuple[int, ...]:
    return tuple(rng.randint(1, 6) for _ in range(rng.randint(least, most)))


def test_flatten(oracle: Any) -> None:
    for rng in oracle.random("flatten", 300):
        x = a_shape(rng)
        first, last = (rng.randint(-len(x) - 1, len(x)) for _ in range(2))
        oracle.compare(
            Flatten(first, last), (x,), lambda a=first, b=last: oracle.torch.nn.Flatten(a, b)
        )
    oracle.both_sides(80, 80)


def test_reshape(oracle: Any) -> None:
    for rng in oracle.random("reshape", 400):
        x, keep = a_shape(rng, 2), rng.random() < 0.5
        body = list(x[1:] if keep else x)
        left, new = prod(body), []
        while left > 1 and len(new) < 4:
            step = rng.choice([d for d in range(1, left + 1) if left % d == 0])
            new.append(step)
            left //= step
        new.append(left)
        rng.shuffle(new)
        if rng.random() < 0.5:
            new[rng.randrange(len(new))] = -1
        if rng.random() < 0.2:
            new[rng.randrange(len(new))] = rng.choice((-1, 7, 2))
        whole = (x[0], *new) if keep else tuple(new)
        oracle.compare(
            Reshape(tuple(new), keep_batch=keep),
            (x,),
            # The batch stays: PyTorch is asked for the rest of one sample.
            lambda n=tuple(new), k=keep, w=whole: (
                lambda t: (
                    t[0].reshape(n).expand(w[0], *t[0].reshape(n).shape) if k else t.reshape(n)
                )
            ),
        )
    oracle.both_sides(250, 40)


def test_permute(oracle: Any) -> None:
    for rng in oracle.random("permute", 200):
        x = a_shape(rng)
        order = rng.sample(range(len(x)), len(x))
        if rng.random() < 0.2:
            order[0] = rng.randint(0, len(x))
        oracle.compare(Permute(order), (x,), lambda o=order: lambda t: t.permute(o))
    oracle.both_sides(140, 15)


def test_expand(oracle: Any) -> None:
    for rng in oracle.random("expand", 300):
        x = tuple(rng.choice((1, d)) for d in a_shape(rng))
        new = [*a_shape(rng, 0, 2), *(rng.choice((-1, d, 4)) if d == 1 else d for d in x)]
        if rng.random() < 0.2:
            new[rng.randrange(len(new))] = rng.choice((-1, 9))
        if rng.random() < 0.05:
            new = new[1:] or [2]
        oracle.compare(Expand(new), (x,), lambda n=new: lambda t: t.expand(n))
    oracle.both_sides(200, 15)


def test_concat(oracle: Any) -> None:
    for rng in oracle.random("concat", 300):
        x, axis = a_shape(rng), rng.randint(-6, 5)
        shapes = []
        for _ in range(rng.randint(1, 4)):
            new = list(x)
            at = axis if -len(x) <= axis < len(x) else 0
            if rng.random() < 0.1:
                at = rng.randrange(len(x))
            new[at] = rng.randint(1, 5)
            shapes.append(tuple(new))
        oracle.compare(
            Concat(axis), tuple(shapes), lambda a=axis: lambda *t: oracle.torch.cat(t, dim=a)
        )
    oracle.both_sides(120, 60)


def test_stack(oracle: Any) -> None:
    for rng in oracle.random("stack", 200):
        x, axis = a_shape(rng), rng.randint(-7, 6)
        shapes = tuple(x if rng.random() < 0.95 else a_shape(rng) for _ in range(rng.randint(1, 4)))
        oracle.compare(Stack(axis), shapes, lambda a=axis: lambda *t: oracle.torch.stack(t, dim=a))
    oracle.both_sides(60, 40)


def test_slice(oracle: Any) -> None:
    for rng in oracle.random("slice", 500):
        x = a_shape(rng)
        axis, start, step = rng.randint(-5, 4), rng.randint(-8, 8), rng.randint(1, 3)
        stop = rng.choice((None, rng.randint(-8, 8)))

        def make(a: int = axis, at: slice = slice(start, stop, step)) -> Any:
            return lambda t: t[
                (slice(None),) * (a % t.dim() if -t.dim() <= a < t.dim() else 99) + (at,)
            ]

        oracle.compare(Slice(axis, start, stop, step), (x,), make)
    oracle.both_sides(80, 80)


def test_split(oracle: Any) -> None:
    for rng in oracle.random("split", 400):
        x, axis = a_shape(rng), rng.randint(-5, 4)
        size = x[axis] if -len(x) <= axis < len(x) else 3
        sizes: Any = rng.randint(1, 7)
        if rng.random() < 0.5:
            cuts = sorted({0, size, *(rng.randint(0, size) for _ in range(2))})
            sizes = [b - a for a, b in pairwise(cuts)]
            if rng.random() < 0.1:
                sizes.append(1)
        oracle.compare(
            Split(sizes, axis), (x,), lambda s=sizes, a=axis: lambda t: t.split(s, dim=a)
        )
    oracle.both_sides(180, 60)


def test_chunk(oracle: Any) -> None:
    # PyTorch's chunk is a split into parts of ceil(size / chunks).
    for rng in oracle.random("chunk", 100):
        x, chunks = a_shape(rng), rng.randint(1, 5)
        oracle.compare(
            Split(-(-x[-1] // chunks)), (x,), lambda c=chunks: lambda t: t.chunk(c, dim=-1)
        )
    oracle.both_sides(100)


def test_pad(oracle: Any) -> None:
    pad = oracle.torch.nn.functional.pad
    for rng in oracle.random("pad", 400):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        x = (rng.randint(1, 3), rng.randint(1, 4), *(rng.randint(1, 8) for _ in range(rank)))
        pairs = [(rng.randint(-3, 4), rng.randint(-3, 4)) for _ in range(rank)]
        fields: Any = tuple(pairs)
        if rng.random() < 0.3:
            fields = tuple(p for p, _ in pairs) if rank > 1 else pairs[0][0]
            pairs = [(p, p) for p, _ in pairs]
        flat = [n for pair in reversed(pairs) for n in pair]
        oracle.compare(
            Pad(padding=fields, channels_last=last),
            (x,),
            lambda f=flat: lambda t: pad(t, f),
            last=last,
        )
    oracle.both_sides(250, 30)


def test_pad_of_every_axis(oracle: Any) -> None:
    pad = oracle.torch.nn.functional.pad
    for rng in oracle.random("pad all", 100):
        x = a_shape(rng, 1, 5)
        pairs = tuple((rng.randint(-2, 3), rng.randint(-2, 3)) for _ in x)
        flat = [n for pair in reversed(pairs) for n in pair]
        oracle.compare(Pad(padding=pairs), (x,), lambda f=flat: lambda t: pad(t, f))
    oracle.both_sides(60, 10)


def test_resize(oracle: Any) -> None:
    interpolate = oracle.torch.nn.functional.interpolate
    for rng in oracle.random("resize", 300):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        x = (rng.randint(1, 3), rng.randint(1, 4), *(rng.randint(1, 8) for _ in range(rank)))
        each = tuple(rng.randint(1, 4) for _ in range(rank))
        value: Any = each if rng.random() < 0.5 else each[0]
        mode = rng.choice(("nearest", ("linear", "bilinear", "trilinear")[rank - 1]))
        ours, theirs = rng.choice((("scale", "scale_factor"), ("size", "size")))
        oracle.compare(
            Resize(mode=mode, channels_last=last, **{ours: value}),
            (x,),
            lambda k=theirs, v=value, m=mode: lambda t: interpolate(t, mode=m, **{k: v}),
            last=last,
        )
    oracle.both_sides(300)


def test_pixel_shuffle(oracle: Any) -> None:
    for rng in oracle.random("shuffle", 150):
        last, factor = rng.random() < 0.5, rng.randint(1, 3)
        channels = factor**2 * rng.randint(1, 3) + (rng.random() < 0.2)
        x = (rng.randint(1, 3), channels, rng.randint(1, 8), rng.randint(1, 8))
        oracle.compare(
            PixelShuffle(factor, channels_last=last),
            (x,),
            lambda f=factor: oracle.torch.nn.PixelShuffle(f),
            last=last,
        )
    oracle.both_sides(110, 10)


def test_reduce(oracle: Any) -> None:
    for rng in oracle.random("reduce", 400):
        x, keep = a_shape(rng), rng.random() < 0.5
        axes: Any = tuple(rng.randint(-len(x) - 1, len(x)) for _ in range(rng.randint(1, 3)))
        if rng.random() < 0.5:
            axes = axes[0]
        name = rng.choice(("mean", "sum", "max", "min", "norm"))
        theirs = {"max": "amax", "min": "amin"}.get(name, name)

        def make(n: str = theirs, a: Any = axes, k: bool = keep) -> Any:
            call = oracle.torch.linalg.vector_norm if n == "norm" else getattr(oracle.torch, n)
            return lambda t: call(t, dim=a, keepdim=k)

        oracle.compare(Reduce(axes, keep, name), (x,), make)
    oracle.both_sides(120, 100)
