"""Taps on the padding, against taps counted one by one and against what XLA computes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netledger.conventions.taps import on_the_map
from netledger.errors import NetledgerError
from netledger.ops import Conv, ConvTranspose, DepthwiseConv, Linear
from netledger.ops.base import each_axis

BORDERS = ("same", "valid", 0, 1, 2, ((2, 1), (0, 3)))


def random_convolutions(count: int) -> Any:
    rng = random.Random("taps")
    while count:
        size = (1, rng.randint(3, 17), rng.randint(3, 17), 2 * rng.randint(1, 3))
        fields: dict[str, Any] = {
            "kernel_size": (rng.randint(1, 5), rng.randint(1, 4)),
            "stride": rng.randint(1, 3),
            "padding": rng.choice(BORDERS),
            "dilation": rng.randint(1, 2),
        }
        op = Conv(2 * rng.randint(1, 4), groups=rng.choice((1, 2)), **fields)
        try:
            op.check(size)
        except NetledgerError:
            continue
        if min(op.outputs(size)[0]) < 1:
            continue
        count -= 1
        yield op, size


def one_by_one(op: Conv, size: tuple[int, ...], out: tuple[int, ...]) -> int:
    """Every position and every tap, looked at."""
    axes = []
    for i, o, k, s, d, p in zip(
        size[1:3],
        out[1:3],
        each_axis(op.kernel_size, 2),
        each_axis(op.stride, 2),
        each_axis(op.dilation, 2),
        leading(op, size, out),
        strict=True,
    ):
        seen = (at * s + tap * d - p for at in range(o) for tap in range(k))
        axes.append(sum(0 <= x < i for x in seen))
    return axes[0] * axes[1] * (size[3] // op.groups) * out[3]


def leading(op: Conv, size: tuple[int, ...], out: tuple[int, ...]) -> list[int]:
    if op.padding == "same":
        return [
            max((o - 1) * s + (k - 1) * d + 1 - i, 0) // 2
            for i, o, k, s, d in zip(
                size[1:3],
                out[1:3],
                each_axis(op.kernel_size, 2),
                each_axis(op.stride, 2),
                each_axis(op.dilation, 2),
                strict=True,
            )
        ]
    if op.padding == "valid":
        return [0, 0]
    return [p[0] if isinstance(p, tuple) else p for p in each_axis(op.padding, 2)]


def test_taps_are_those_counted_one_by_one() -> None:
    for op, size in random_convolutions(300):
        out = op.outputs(size)[0]
        assert on_the_map(op, size, out) == one_by_one(op, size, out)


@pytest.mark.oracle
def test_taps_are_those_that_xla_computes() -> None:
    jax = pytest.importorskip("jax")
    for op, size in random_convolutions(12):
        out = op.outputs(size)[0]
        kernel = (*each_axis(op.kernel_size, 2), size[3] // op.groups, op.out_channels)
        pairs = [
            (p, max((o - 1) * s + (k - 1) * d + 1 - i - p, 0))
            for p, o, s, k, d, i in zip(
                leading(op, size, out),
                out[1:3],
                each_axis(op.stride, 2),
                each_axis(op.kernel_size, 2),
                each_axis(op.dilation, 2),
                size[1:3],
                strict=True,
            )
        ]

        def convolve(x: Any, w: Any, op: Conv = op, pairs: Any = pairs) -> Any:
            return jax.lax.conv_general_dilated(
                x,
                w,
                each_axis(op.stride, 2),
                pairs,
                rhs_dilation=each_axis(op.dilation, 2),
                feature_group_count=op.groups,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        shapes = [jax.ShapeDtypeStruct(s, "float32") for s in (size, kernel)]
        cost = jax.jit(convolve).lower(*shapes).cost_analysis()
        assert 2 * on_the_map(op, size, out) == cost["flops"], (op, size)


def test_a_depthwise_convolution() -> None:
    # 3×3 on 4×4 with a border of 1: along an axis 2 + 3 + 3 + 2 taps, for each of 5 channels.
    op = DepthwiseConv(3, padding=1)
    assert on_the_map(op, (1, 4, 4, 5), (1, 4, 4, 5)) == 10 * 10 * 5


def test_what_a_transposed_convolution_cuts_off() -> None:
    # Two inputs write 4 numbers each, 2 apart: 6; one is cut off at either end, by one tap each.
    op = ConvTranspose(1, 4, 2, 1)
    out = op.outputs((1, 2, 3))[0]
    assert out == (1, 4, 1)
    assert on_the_map(op, (1, 2, 3), out) == (4 + 4 - 2) * 3


def test_nothing_else_has_taps() -> None:
    assert on_the_map(Linear(3), (1, 2), (1, 3)) is None
