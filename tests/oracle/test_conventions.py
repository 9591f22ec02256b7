"""Conventions that PyTorch has not, against window positions counted one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.ops import AvgPool, Conv, ConvTranspose, MaxPool, Op


def out(op: Op, size: int) -> int | None:
    """The output's size along the only axis; None where the window does not fit."""
    try:
        op.check((1, size, 4))
    except NetledgerError:
        return None
    return op.outputs((1, size, 4))[0][1]


def dice(name: str, count: int) -> Any:
    for i in range(count):
        rng = random.Random(f"{name} {i}")
        yield rng, rng.randint(1, 60), rng.randint(1, 7), rng.randint(1, 4), rng.randint(1, 3)


def test_same_takes_a_window_at_every_stride() -> None:
    # TensorFlow: padding is chosen so that a window is centred on positions 0, S, 2S … of the map.
    for _, size, kernel, stride, dilation in dice("same", 400):
        counted = len(range(0, size, stride))
        assert out(Conv(4, kernel, stride, "same", dilation), size) == counted
        assert out(MaxPool(kernel, stride, "same", dilation=dilation), size) == counted


def test_same_padding_is_just_enough() -> None:
    # The same from TensorFlow's definition: total padding max((O − 1)S + K − I, 0), then "valid".
    for _, size, kernel, stride, dilation in dice("same too", 400):
        o = out(Conv(4, kernel, stride, "same", dilation), size)
        assert o is not None
        span = (kernel - 1) * dilation + 1
        total = max((o - 1) * stride + span - size, 0)
        pair = ((total // 2, total - total // 2),)
        assert out(Conv(4, kernel, stride, pair, dilation), size) == o


def test_causal_windows_end_at_every_stride() -> None:
    # Keras: padded on the left by the window's reach, so that nothing later is seen.
    for _, size, kernel, stride, dilation in dice("causal", 400):
        left = (kernel - 1) * dilation
        counted = sum(1 for start in range(-left, size - left, stride))
        assert out(Conv(4, kernel, stride, "causal", dilation), size) == counted


def test_valid_windows_lie_inside_the_map() -> None:
    for _, size, kernel, stride, dilation in dice("valid", 400):
        reach = (kernel - 1) * dilation
        counted = sum(1 for start in range(0, size, stride) if start + reach < size)
        for op in (
            Conv(4, kernel, stride, "valid", dilation),
            Conv(4, kernel, stride, 0, dilation),
            MaxPool(kernel, stride, dilation=dilation),
        ):
            assert out(op, size) == (counted or None)


def test_cuda_convnet_covers_the_whole_map() -> None:
    # 1 + ⌈(I + 2P − K)/S⌉: windows are added until the padded map is covered.
    for rng, size, kernel, stride, _ in dice("cuda", 400):
        pad = rng.randint(0, kernel - 1)
        count = 1
        while (count - 1) * stride + kernel < size + 2 * pad:
            count += 1
        got = out(Conv(4, kernel, stride, pad, rounding="ceil"), size)
        if kernel <= size + 2 * pad:
            assert got == count
        assert out(AvgPool(kernel, stride, pad, rounding="ceil"), size) == got


def test_caffe_drops_windows_that_begin_beyond_the_map() -> None:
    # PoolingLayer::Reshape: covered as above; then, if padded, the last window goes if it begins
    # behind the map and its leading padding.
    for rng, size, kernel, stride, _ in dice("caffe", 400):
        pad = rng.randint(0, kernel - 1)
        count = 1
        while (count - 1) * stride + kernel < size + 2 * pad:
            count += 1
        if pad and (count - 1) * stride >= size + pad:
            count -= 1
        if pad or stride <= kernel:
            got = out(MaxPool(kernel, stride, pad, rounding="ceil_clipped"), size)
            assert kernel > size + 2 * pad or got == count


def test_kerass_transposed_convolutions() -> None:
    # Every input writes K outputs, S apart; "valid" keeps at least S of them for each input.
    for _, size, kernel, stride, dilation in dice("transposed", 400):
        reach = (kernel - 1) * dilation + 1
        written = {i * stride + tap for i in range(size) for tap in range(max(reach, stride))}
        valid = ConvTranspose(4, kernel, stride, "valid", dilation=dilation)
        assert out(valid, size) == max(written) + 1
        assert out(ConvTranspose(4, kernel, stride, "same", dilation=dilation), size) == (
            size * stride
        )


@pytest.mark.parametrize("rounding", ["floor", "ceil", "ceil_clipped"])
def test_transposed_undoes_a_convolution(rounding: str) -> None:
    # A convolution takes what a transposed one makes back to the size that it came from.
    for rng, size, kernel, stride, dilation in dice("undo", 200):
        pad = rng.randint(0, (kernel - 1) * dilation // 2)
        up = out(ConvTranspose(4, kernel, stride, pad, dilation=dilation), size)
        if up is not None and up > 0:
            assert out(Conv(4, kernel, stride, pad, dilation, rounding=rounding), up) == size
