"""Layers that do the same in other words at the sizes at hand, and those that only look so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netledger.builder import Network
from netledger.diff.difference import Difference
from netledger.graph import Graph
from netledger.ops import (
    Activation,
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    BatchNorm,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Op,
    Pad,
    Permute,
    Reshape,
    Scale,
)

Proved = Callable[[Graph, Graph], Difference]
RELU = Activation("relu")


def net(*ops: Op, size: int = 12, channels: int = 4) -> Graph:
    made = Network("net", (size, size, channels))
    for number, op in enumerate(ops):
        made(op, name=f"layer {number} {op.key}")
    return made.graph()


ALIKE: dict[str, tuple[tuple[Op, ...], tuple[Op, ...]]] = {
    "border": ((Conv(8, 3, padding=1),), (Pad(1), Conv(8, 3))),
    "border and padding": ((Conv(8, 5, padding=2),), (Pad(1), Conv(8, 5, padding=1))),
    "border of every axis": (
        (Conv(8, 3, padding=1),),
        (Pad(((0, 0), (1, 1), (1, 1), (0, 0))), Conv(8, 3)),
    ),
    "border on one side": (
        (Conv(8, 3, stride=2, padding="same"),),
        (Pad(((0, 1), (0, 1))), Conv(8, 3, stride=2)),
    ),
    "border that no window reaches": (
        (Conv(8, 3, stride=2, padding=1),),
        (Pad(((1, 0), (1, 1))), Conv(8, 3, stride=2)),
    ),
    "border before a depthwise convolution": (
        (DepthwiseConv(3, padding=1),),
        (Pad(1), Conv(4, 3, groups=4)),
    ),
    "convolution rounded up": (
        (Conv(8, 3, stride=2, rounding="ceil"),),
        (Pad(((0, 1), (0, 1))), Conv(8, 3, stride=2)),
    ),
    "rounding without a rest": (
        (Conv(8, 4, stride=2, rounding="ceil"),),
        (Conv(8, 4, stride=2),),
    ),
    "the only window has no step": ((Conv(8, 12, stride=3),), (Conv(8, 12),)),
    "maximum rounded up": (
        (MaxPool(3, stride=2, rounding="ceil"),),
        (MaxPool(3, stride=2, rounding="ceil_clipped"),),
    ),
    "maximum with padding beyond the windows": (
        (MaxPool(2, stride=2, padding="same"),),
        (MaxPool(2, stride=2),),
    ),
    "maximum and a border that it ignores": (
        (MaxPool(3, stride=2, padding=1),),
        (Pad(1, "lowest"), MaxPool(3, stride=2)),
    ),
    "maximum of what is not negative": (
        (RELU, MaxPool(3, stride=2, padding=1)),
        (RELU, Pad(1), MaxPool(3, stride=2)),
    ),
    "average by size or by window": ((AdaptiveAvgPool(4),), (AvgPool(3),)),
    "windows that overlap": ((AdaptiveMaxPool(11),), (MaxPool(2, stride=1),)),
    "average over all": ((AvgPool(12),), (GlobalAvgPool(keepdims=True),)),
    "average to the same size": ((AdaptiveAvgPool(12), RELU), (RELU,)),
    "windows of one": ((MaxPool(1), RELU), (RELU,)),
    "axes of size 1": (
        (GlobalAvgPool(), Linear(5)),
        (GlobalAvgPool(keepdims=True), Flatten(), Linear(5)),
    ),
    "axes of size 1, reshaped": (
        (AdaptiveMaxPool(1), Reshape((4,)), Linear(5)),
        (GlobalMaxPool(), Linear(5)),
    ),
    "factor and offset": (
        (Conv(8, 3, bias=False), BatchNorm(), RELU),
        (Conv(8, 3, bias=False), BatchNorm(scale=False, center=False), Scale(over=-1), RELU),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_other_words_are_no_difference(proved: Proved, name: str) -> None:
    one, other = (net(*ops) for ops in ALIKE[name])
    for found in (proved(one, other), proved(other, one)):
        assert found.empty, [cause.text for cause in found.causes]
        assert not found.counting
        assert not found.silent


DIFFERENT: dict[str, tuple[tuple[Op, ...], tuple[Op, ...]]] = {
    "another border": ((Conv(8, 3, padding=1),), (Pad(((0, 2), (0, 2))), Conv(8, 3))),
    "a border that mirrors": ((Conv(8, 3, padding=1),), (Pad(1, "reflect"), Conv(8, 3))),
    "a border of some number": ((MaxPool(3, padding=1),), (Pad(1, "constant"), MaxPool(3))),
    "a border of zeros may be the maximum": ((MaxPool(3, padding=1),), (Pad(1), MaxPool(3))),
    "a border of zeros in an average": ((AvgPool(3, padding=1),), (Pad(1), AvgPool(3))),
    "a border of channels": (
        (Conv(8, 3, padding=1),),
        (Pad(((0, 0), (1, 1), (1, 1), (0, 1))), Conv(8, 3)),
    ),
    "a border that cuts off": ((Conv(8, 3),), (Pad(-1), Conv(8, 3, padding=1))),
    "an average that sticks out": (
        (AvgPool(3, stride=2, padding=1, rounding="ceil"),),
        (AvgPool(3, stride=2, padding="same"),),
    ),
    "windows of other sizes": ((AdaptiveAvgPool(5),), (AvgPool(4, stride=2),)),
    "maximum for average": ((AdaptiveMaxPool(4),), (AvgPool(3),)),
    "gaps in the windows": ((MaxPool(3, dilation=2, stride=2),), (MaxPool(5, stride=2),)),
    "another step": ((Conv(8, 3, stride=3),), (Conv(8, 3, stride=3, padding=1),)),
    "more than axes of size 1": ((Linear(5),), (Flatten(), Linear(5))),
    "a factor for each position": (
        (BatchNorm(), RELU),
        (BatchNorm(scale=False, center=False), Scale(over=1), RELU),
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_only_looks_alike_is_a_difference(proved: Proved, name: str) -> None:
    one, other = (net(*ops) for ops in DIFFERENT[name])
    for found in (proved(one, other), proved(other, one)):
        assert not found.empty


def test_a_border_that_is_used_twice_is_a_layer(proved: Proved) -> None:
    made = Network("net", (12, 12, 4))
    border = made(Pad(1))
    made(Conv(8, 3), border, name="a")
    found = proved(net(Conv(8, 3, padding=1)), made.graph(made.last, border))
    assert not found.empty


def test_maps_that_are_turned_before_a_layer(proved: Proved) -> None:
    last = net(Conv(8, 3), RELU, Linear(5))
    made = Network("net", (4, 12, 12), channels_last=False)
    for op in (Conv(8, 3), RELU, Permute((0, 2, 3, 1)), Linear(5)):
        made(op)
    for found in (proved(last, made.graph()), proved(made.graph(), last)):
        assert found.empty
        assert "Permute" in " ".join(cause.text for cause in found.causes)
    assert not proved(made.graph(), made.graph()).causes
