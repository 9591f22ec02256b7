"""Poolings against PyTorch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netledger.ops import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)

pytestmark = pytest.mark.oracle


def per_axis(rng: random.Random, rank: int, low: int, high: int) -> Any:
    """One number for all axes or one for each."""
    if rng.random() < 0.5:
        return rng.randint(low, high)
    return tuple(rng.randint(low, high) for _ in range(rank))


def half(rng: random.Random, kernel: Any) -> Any:
    """Padding of up to half the window: PyTorch allows no more."""
    if isinstance(kernel, tuple):
        return tuple(rng.randint(0, k // 2) for k in kernel)
    return rng.randint(0, kernel // 2)


def shape_of(rng: random.Random, rank: int) -> tuple[int, ...]:
    most = rng.choice((4, (40, 20, 10)[rank - 1]))  # often too small
    sizes = (rng.randint(1, most) for _ in range(rank))
    return (rng.randint(1, 3), rng.randint(1, 4), *sizes)


@pytest.mark.parametrize(("ours", "theirs"), [(MaxPool, "MaxPool"), (AvgPool, "AvgPool")])
def test_windows(oracle: Any, ours: Any, theirs: str) -> None:
    for rng in oracle.random(theirs, 500):
        rank, last, up = rng.randint(1, 3), rng.random() < 0.5, rng.random() < 0.5
        kernel = per_axis(rng, rank, 1, 5)
        fields: dict[str, Any] = {"kernel_size": kernel, "padding": half(rng, kernel)}
        if rng.random() < 0.7:
            fields["stride"] = per_axis(rng, rank, 1, 4)
        if ours is MaxPool and rng.random() < 0.4:
            fields["dilation"] = per_axis(rng, rank, 1, 3)
        # PyTorch's ceil_mode drops a window that begins beyond the map, as Caffe does.
        rounding = "ceil_clipped" if up else "floor"
        cls = getattr(oracle.torch.nn, f"{theirs}{rank}d")
        shape = shape_of(rng, rank)
        if cls is oracle.torch.nn.AvgPool3d:  # It alone wants the window to fit the bare map.
            shape = (*shape[:2], *(size + 5 for size in shape[2:]))
        oracle.compare(
            ours(rounding=rounding, channels_last=last, **fields),
            (shape,),
            lambda cls=cls, f=fields, up=up: cls(ceil_mode=up, **f),
            last=last,
        )
    oracle.both_sides(300, 30)


@pytest.mark.parametrize("kind", ["Max", "Avg"])
def test_too_much_padding(oracle: Any, kind: str) -> None:
    # A window that could see nothing but padding is refused by both.
    ours = MaxPool if kind == "Max" else AvgPool
    for kernel in range(1, 5):
        for extra in range(3):
            cls = getattr(oracle.torch.nn, f"{kind}Pool2d")
            fields = {"kernel_size": kernel, "stride": 1, "padding": kernel + extra}
            oracle.compare(
                ours(channels_last=False, **fields),
                ((1, 2, 9, 9),),
                lambda cls=cls, f=fields: cls(**f),
            )
    oracle.both_sides(0, 12)


@pytest.mark.parametrize(("ours", "theirs"), [(AdaptiveMaxPool, "Max"), (AdaptiveAvgPool, "Avg")])
def test_adaptive(oracle: Any, ours: Any, theirs: str) -> None:
    for rng in oracle.random(theirs, 150):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        size = per_axis(rng, rank, 1, 9)
        cls = getattr(oracle.torch.nn, f"Adaptive{theirs}Pool{rank}d")
        oracle.compare(
            ours(size, channels_last=last),
            (shape_of(rng, rank),),
            lambda cls=cls, s=size: cls(s),
            last=last,
        )
    oracle.both_sides(150)


@pytest.mark.parametrize(("ours", "theirs"), [(GlobalMaxPool, "amax"), (GlobalAvgPool, "mean")])
def test_global(oracle: Any, ours: Any, theirs: str) -> None:
    for rng in oracle.random(theirs, 60):
        rank, last, keep = rng.randint(1, 3), rng.random() < 0.5, rng.random() < 0.5
        axes = tuple(range(2, 2 + rank))
        oracle.compare(
            ours(keepdims=keep, channels_last=last),
            (shape_of(rng, rank),),
            lambda f=theirs, a=axes, k=keep: lambda x: getattr(x, f)(dim=a, keepdim=k),
            last=last,
        )
    oracle.both_sides(60)
