"""Convolution taps that fall on the map, not on its padding, counted exactly axis by axis."""

from __future__ import annotations

from typing import Any

from netledger.formula import Formula, prod
from netledger.ops import Conv, ConvTranspose, DepthwiseConv
from netledger.ops.base import Op, each_axis
from netledger.ops.window import pads, span


def on_the_map(op: Op, taken: Any, made: Any) -> int | None:
    """MACs of a convolution without the taps on padding; None where a size is a symbol.

    Along each axis the tap k of the output position o reads the input position o·S + k·D − P, which
    is on the map if it is one of 0 … I − 1. The axes are independent, so their counts multiply.
    A transposed convolution is counted the other way: what an input writes beyond the output, or
    into what is cut off, is not computed.
    """
    if not isinstance(op, Conv | DepthwiseConv | ConvTranspose):
        return None
    _, channels, sizes = op.split(taken)
    batch, filters, out = op.split(made)
    if any(isinstance(d, Formula) for d in (*taken, *made)):
        return None
    rank = len(sizes)
    per = zip(
        sizes,
        out,
        each_axis(op.kernel_size, rank),
        each_axis(op.stride, rank),
        each_axis(op.dilation, rank),
        _leading(op, sizes, out),
        strict=True,
    )
    if isinstance(op, ConvTranspose):
        taps = prod([_taps(o, i, k, s, d, p) for i, o, k, s, d, p in per])
        return int(batch * taps * channels * (filters // op.groups))
    taps = prod([_taps(i, o, k, s, d, p) for i, o, k, s, d, p in per])
    return int(batch * taps * op.fan_in(channels) * filters)


def _taps(size: int, positions: int, kernel: int, stride: int, dilation: int, before: int) -> int:
    """Pairs of a position o and a tap k with 0 ≤ o·S + k·D − P < I."""
    found = 0
    for k in range(kernel):
        offset = k * dilation - before
        first = max(0, -(offset // stride))
        last = min(positions - 1, (size - 1 - offset) // stride)
        found += max(0, last - first + 1)
    return found


def _leading(op: Any, sizes: Any, out: Any) -> list[int]:
    """The padding before the map along each axis."""
    rank = len(sizes)
    per = zip(
        sizes,
        out,
        each_axis(op.kernel_size, rank),
        each_axis(op.stride, rank),
        each_axis(op.dilation, rank),
        strict=True,
    )
    if op.padding == "causal":
        return [span(k, d) - 1 for _, _, k, _, d in per]
    if op.padding == "same" and isinstance(op, ConvTranspose):
        return [max(span(k, d) - s, 0) // 2 for _, _, k, s, d in per]
    if op.padding == "same":
        return [max((o - 1) * s + span(k, d) - i, 0) // 2 for i, o, k, s, d in per]
    return [before for before, _ in pads(op.padding, rank)]
