"""Operations on maps, by example: configuration, input, output, weights, biases, MACs."""

from __future__ import annotations

from typing import Any

import pytest

from netledger.ops import (
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    InstanceNorm,
    LocalResponseNorm,
    MaxPool,
    Op,
    Pad,
    PixelShuffle,
    Resize,
)

ROWS: list[tuple[Op, Any, Any, int, int, int]] = [
    # AlexNet's first layers.
    (Conv(96, 11, 4), (227, 227, 3), (55, 55, 96), 34_848, 96, 105_415_200),
    (MaxPool(3, 2), (55, 55, 96), (27, 27, 96), 0, 0, 0),
    (Conv(256, 5, padding=2, groups=2), (27, 27, 96), (27, 27, 256), 307_200, 256, 223_948_800),
    # One, two and three axes; channels last or second.
    (Conv(8, 3), (10, 4), (8, 8), 96, 8, 768),
    (Conv(8, 3, channels_last=False), (4, 10), (8, 8), 96, 8, 768),
    (Conv(8, 3, channels_last=False), (4, 10, 10), (8, 8, 8), 288, 8, 18_432),
    (Conv(2, 3), (5, 5, 5, 1), (3, 3, 3, 2), 54, 2, 1458),
    # Something else along each axis.
    (Conv(1, (3, 5), (1, 2), (1, 0)), (8, 9, 2), (8, 3, 1), 30, 1, 720),
    (Conv(1, 3, 2, ((0, 1), (0, 1))), (8, 8, 2), (4, 4, 1), 18, 1, 288),
    # Padding in words.
    (Conv(4, 3, 2, "same"), (7, 7, 3), (4, 4, 4), 108, 4, 1728),
    (Conv(4, 3, 2, "valid"), (7, 7, 3), (3, 3, 4), 108, 4, 972),
    (Conv(4, 3, padding="causal", dilation=2), (10, 3), (10, 4), 36, 4, 360),
    (Conv(4, 3, dilation=2, bias=False), (7, 7, 3), (3, 3, 4), 108, 0, 972),
    (Conv(64, 11, 4, rounding="ceil"), (224, 224, 3), (55, 55, 64), 23_232, 64, 70_276_800),
    (DepthwiseConv(3, padding=1), (8, 8, 6), (8, 8, 6), 54, 6, 3456),
    (DepthwiseConv(3, 2, bias=False), (8, 8, 6), (6, 6, 12), 108, 0, 3888),
    (ConvTranspose(4, 2, 2), (5, 5, 3), (10, 10, 4), 48, 4, 1200),
    (ConvTranspose(4, 3, 2, 1, 1), (5, 5, 3), (10, 10, 4), 108, 4, 2700),
    (ConvTranspose(4, 3, 2, "same"), (5, 5, 3), (10, 10, 4), 108, 4, 2700),
    (ConvTranspose(4, 1, 2, "valid"), (5, 5, 3), (10, 10, 4), 12, 4, 300),
    (ConvTranspose(4, 2, 2, groups=2), (5, 5, 6), (10, 10, 4), 48, 4, 1200),
    # Windows that stick out: dropped, kept, kept if they begin inside the map.
    (MaxPool(2), (5, 5, 7), (2, 2, 7), 0, 0, 0),
    (MaxPool(2, rounding="ceil"), (5, 5, 7), (3, 3, 7), 0, 0, 0),
    (MaxPool(2, 2, 1, "ceil"), (3, 3, 7), (3, 3, 7), 0, 0, 0),
    (MaxPool(2, 2, 1, "ceil_clipped"), (3, 3, 7), (2, 2, 7), 0, 0, 0),
    (MaxPool(3, 2, rounding="ceil_clipped"), (2, 2, 7), (1, 1, 7), 0, 0, 0),
    (MaxPool(2, 1, dilation=3), (9, 9, 7), (6, 6, 7), 0, 0, 0),
    (AvgPool(3, 2, "same"), (9, 9, 7), (5, 5, 7), 0, 0, 0),
    (AdaptiveAvgPool(6), (13, 13, 256), (6, 6, 256), 0, 0, 0),
    (GlobalAvgPool(), (7, 7, 2048), (2048,), 0, 0, 0),
    (GlobalMaxPool(keepdims=True), (7, 7, 2048), (1, 1, 2048), 0, 0, 0),
    # Normalisations keep the shape.
    (BatchNorm(), (8, 8, 64), (8, 8, 64), 64, 64, 0),
    (BatchNorm(channels_last=False), (64, 8, 8), (64, 8, 8), 64, 64, 0),
    (BatchNorm(scale=False), (64,), (64,), 0, 64, 0),
    (InstanceNorm(), (8, 8, 64), (8, 8, 64), 0, 0, 0),
    (GroupNorm(groups=8), (8, 8, 64), (8, 8, 64), 64, 64, 0),
    (LocalResponseNorm(), (55, 55, 96), (55, 55, 96), 0, 0, 0),
    (Pad(padding=2), (8, 8, 3), (12, 12, 3), 0, 0, 0),
    (Pad(padding=(1, 2)), (8, 8, 3), (10, 12, 3), 0, 0, 0),
    (Pad(padding=((0, 1), (-1, 0))), (8, 8, 3), (9, 7, 3), 0, 0, 0),
    (Pad(padding=((0, 0), (0, 0), (0, 0), (0, 5))), (8, 8, 3), (8, 8, 8), 0, 0, 0),
    (Resize(scale=2), (8, 8, 3), (16, 16, 3), 0, 0, 0),
    (Resize(size=(5, 6)), (8, 8, 3), (5, 6, 3), 0, 0, 0),
    (PixelShuffle(2), (8, 8, 12), (16, 16, 3), 0, 0, 0),
]


@pytest.mark.parametrize(("op", "x", "out", "weights", "biases", "macs"), ROWS, ids=str)
def test_rules(books: Any, op: Op, x: Any, out: Any, weights: int, biases: int, macs: int) -> None:
    assert books(op, x) == (out, weights, biases, macs)


def test_running_statistics_are_buffers(row: Any) -> None:
    assert row(BatchNorm(), (8, 8, 64)).buffers == 128
    assert row(BatchNorm(running_stats=False), (8, 8, 64)).buffers == 0
    assert row(InstanceNorm(running_stats=True), (8, 8, 64)).buffers == 128


@pytest.mark.parametrize(
    ("op", "reach"),
    [
        (Conv(4, 3), (3, 3)),
        (Conv(4, (3, 5), dilation=2), (5, 9)),
        (MaxPool(2, dilation=3), (4, 4)),
        (ConvTranspose(4, 4, 2), (2, 2)),
        (GlobalAvgPool(), "all"),
        (BatchNorm(), (1, 1)),
    ],
    ids=str,
)
def test_receptive_field(row: Any, op: Op, reach: Any) -> None:
    assert row(op, (30, 30, 8)).receptive_field == reach


FIT = "use a smaller kernel_size, more padding, or a larger input"
EACH = "give one number for all axes, or one for each"
REFUSED: list[tuple[Op, Any, str, str]] = [
    (Conv(8, 5), (4, 4, 3), "a window of 5 does not fit a map of 4", FIT),
    (Conv(8, 7, padding=1), (4, 9, 3), "a window of 7 does not fit a map of 4 padded to 6", FIT),
    (Conv(8, 3, dilation=4), (8, 8, 3), "a window of 9 does not fit a map of 8", FIT),
    (
        Conv(8, (3, 3, 3)),
        (9, 9, 3),
        "kernel_size has 3 values for an input with 2 spatial axes",
        EACH,
    ),
    (
        Conv(8, 3, stride=(1, 1)),
        (9, 3),
        "stride has 2 values for an input with 1 spatial axis",
        EACH,
    ),
    (
        Conv(8, 3, groups=3),
        (9, 9, 32),
        "in_channels=32 is not divisible by groups=3",
        "groups must divide 32",
    ),
    (
        Conv(8, 3, groups=3),
        (9, 9, 9),
        "out_channels=8 is not divisible by groups=3",
        "groups must divide 8",
    ),
    (
        Conv(8, 3),
        (9,),
        "needs a tensor of 3 to 5 axes (a batch, channels and 1 to 3 spatial axes); got [N, 9]",
        "the batch counts as an axis: an input of 227x227x3 has four",
    ),
    (MaxPool(3, 2), (2, 2, 3), "a window of 3 does not fit a map of 2", FIT),
    (
        MaxPool(3, 1, 3),
        (9, 9, 3),
        "with padding 3, a window of 3 would see nothing but padding",
        "padding must be smaller than the window",
    ),
    (
        ConvTranspose(4, 3, 2, 0, 2),
        (5, 5, 3),
        "output_padding 2 is not smaller than the stride 2",
        "it only chooses among the sizes that the stride leaves open",
    ),
    (
        ConvTranspose(4, 1, 1, 3),
        (5, 5, 3),
        "the output would have the size -1×-1×4",
        "the map has become too small: use less stride, more padding, or a larger input",
    ),
    (
        AdaptiveAvgPool((1, 2, 3)),
        (5, 5, 3),
        "output_size has 3 values for an input with 2 spatial axes",
        EACH,
    ),
    (
        GroupNorm(groups=32),
        (8, 8, 48),
        "channels=48 is not divisible by groups=32",
        "groups must divide 48",
    ),
    (Pad(padding=-9), (8, 8, 3), "cannot cut 9 and 9 off an axis of 8", ""),
    (Resize(), (8, 8, 3), "needs either scale or size", "for instance scale: 2"),
    (
        PixelShuffle(2),
        (8, 8, 6),
        "6 channels are not divisible by 4",
        "a factor of 2 makes one channel of 4",
    ),
]


@pytest.mark.parametrize(("op", "x", "fact", "hint"), REFUSED, ids=str)
def test_what_does_not_fit(refusal: Any, op: Op, x: Any, fact: str, hint: str) -> None:
    assert refusal(op, x) == (fact, hint)
