"""Convolutions of every kind against PyTorch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netledger.ops import Conv, ConvTranspose, DepthwiseConv

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning"),
]


def per_axis(rng: random.Random, rank: int, low: int, high: int) -> Any:
    """One number for all axes or one for each."""
    if rng.random() < 0.5:
        return rng.randint(low, high)
    return tuple(rng.randint(low, high) for _ in range(rank))


def channels(rng: random.Random) -> tuple[int, int, int]:
    """In, out, groups; mostly groups divide them."""
    groups = rng.choice((1, 1, 1, 2, 3, 4))
    if rng.random() < 0.1:
        return rng.randint(1, 12), rng.randint(1, 12), groups
    return groups * rng.randint(1, 4), groups * rng.randint(1, 4), groups


def spatial(rng: random.Random, rank: int) -> tuple[int, ...]:
    most = rng.choice((5, (40, 24, 12)[rank - 1]))  # often too small
    return tuple(rng.randint(1, most) for _ in range(rank))


def test_conv(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("conv", 700):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        c_in, c_out, groups = channels(rng)
        padding: Any = per_axis(rng, rank, 0, 3)
        fields: dict[str, Any] = {
            "kernel_size": per_axis(rng, rank, 1, 5),
            "stride": per_axis(rng, rank, 1, 3),
            "dilation": per_axis(rng, rank, 1, 2),
            "groups": groups,
            "bias": rng.random() < 0.7,
        }
        if rng.random() < 0.2:
            padding = rng.choice(("same", "valid"))
            if padding == "same":
                fields["stride"] = 1  # all that PyTorch allows
        shape = (rng.randint(1, 3), c_in, *spatial(rng, rank))
        cls = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
        oracle.compare(
            Conv(c_out, padding=padding, channels_last=last, **fields),
            (shape,),
            lambda cls=cls, a=c_in, b=c_out, p=padding, f=fields: cls(a, b, padding=p, **f),
            last=last,
        )
    oracle.both_sides(350, 100)


def test_conv_with_different_padding_on_each_side(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("asymmetric", 200):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        pairs = tuple((rng.randint(0, 3), rng.randint(0, 3)) for _ in range(rank))
        kernel, stride = per_axis(rng, rank, 1, 4), per_axis(rng, rank, 1, 3)
        flat = [n for pair in reversed(pairs) for n in pair]
        cls = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]

        def make(cls: Any = cls, k: Any = kernel, s: Any = stride, flat: Any = flat) -> Any:
            pad = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)[len(flat) // 2 - 1]
            return nn.Sequential(pad(tuple(flat), 0.0), cls(2, 6, k, s))

        oracle.compare(
            Conv(6, kernel, stride, pairs, channels_last=last),
            ((rng.randint(1, 3), 2, *spatial(rng, rank)),),
            make,
            last=last,
        )
    oracle.both_sides(150, 10)


def test_depthwise(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("depthwise", 200):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        c, times = rng.randint(1, 9), rng.randint(1, 3)
        fields: dict[str, Any] = {
            "kernel_size": per_axis(rng, rank, 1, 4),
            "stride": per_axis(rng, rank, 1, 3),
            "padding": per_axis(rng, rank, 0, 2),
            "dilation": per_axis(rng, rank, 1, 2),
            "bias": rng.random() < 0.5,
        }
        shape = (rng.randint(1, 3), c, *spatial(rng, rank))
        cls = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
        ours = (
            DepthwiseConv(depth_multiplier=times, channels_last=last, **fields),
            Conv(c * times, groups=c, channels_last=last, **fields),
        )
        for op in ours:
            oracle.compare(
                op,
                (shape,),
                lambda cls=cls, c=c, m=times, f=fields: cls(c, c * m, groups=c, **f),
                last=last,
            )
    oracle.both_sides(250, 30)


def test_conv_transpose(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("transposed", 500):
        rank, last = rng.randint(1, 3), rng.random() < 0.5
        c_in, c_out, groups = channels(rng)
        fields: dict[str, Any] = {
            "kernel_size": per_axis(rng, rank, 1, 4),
            "stride": per_axis(rng, rank, 1, 4),
            "padding": per_axis(rng, rank, 0, 2),
            "output_padding": per_axis(rng, rank, 0, 2) if rng.random() < 0.5 else 0,
            "dilation": per_axis(rng, rank, 1, 3),
            "groups": groups,
            "bias": rng.random() < 0.7,
        }
        shape = (rng.randint(1, 3), c_in, *(rng.randint(1, 8) for _ in range(rank)))
        cls = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
        oracle.compare(
            ConvTranspose(c_out, channels_last=last, **fields),
            (shape,),
            lambda cls=cls, a=c_in, b=c_out, f=fields: cls(a, b, **f),
            last=last,
        )
    oracle.both_sides(250, 60)
