"""Where the windows of a convolution or pooling lie, along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from netledger.check.network import whole
from netledger.ledger import Row
from netledger.ops.base import each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import pads, span

LARGEST_WINDOW = 1000
"""Windows with more taps are not looked at tap by tap."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis.

    Attributes:
        size: Positions of the map.
        count: Positions of the window.
        taps: Numbers that a window takes.
        dilation: Distance between its taps.
        stride: Distance between two windows.
        before: Padding before the map.
        padding: Padding in all.
    """

    size: int
    count: int
    taps: int
    dilation: int
    stride: int
    before: int
    padding: int

    @property
    def span(self) -> int:
        """How far a window reaches."""
        return int(span(self.taps, self.dilation))

    @property
    def room(self) -> int:
        """How far the first window can be moved."""
        return self.size - self.span + self.padding

    @property
    def positions(self) -> Fraction:
        """How many windows would fit if they could be cut: 54.25."""
        return Fraction(self.room, self.stride) + 1

    @property
    def lost(self) -> int:
        """How many positions at the end of the map no window reaches."""
        return max(0, self.size - ((self.count - 1) * self.stride + self.span - self.before))

    @property
    def blank(self) -> int:
        """How many windows lie wholly in the padding."""
        first = min(self.count, max(0, _ceil(self.before - self.span + 1, self.stride)))
        last = max(0, self.count - _ceil(self.size + self.before, self.stride))
        return min(self.count, first + last)

    @property
    def seen(self) -> frozenset[int]:
        """Which positions the windows see, counted modulo the stride."""
        taps = range(min(self.taps, self.stride))
        return frozenset((tap * self.dilation - self.before) % self.stride for tap in taps)

    def meets(self, tap: int) -> int:
        """In how many windows a tap lies on the map, not on padding."""
        offset = tap * self.dilation - self.before
        first = max(0, _ceil(-offset, self.stride))
        last = min(self.count - 1, (self.size - 1 - offset) // self.stride)
        return max(0, last - first + 1)


def windows(row: Row) -> tuple[Axis, ...]:
    """The windows of a convolution or pooling on a map of known size; else nothing."""
    op = row.op
    if not isinstance(op, Convolution | Pool):
        return ()
    sizes, counts = (op.split(t.shape)[2] for t in (row.input_types[0], row.outputs[0]))
    if not all(whole(d) for d in (*sizes, *counts)):
        return ()
    rank = len(sizes)
    stride = op.step if isinstance(op, Pool) else op.stride
    dilation = op.spacing if isinstance(op, Pool) else op.dilation
    per = (each_axis(value, rank) for value in (op.kernel_size, dilation, stride))
    found = []
    for i, (taps, d, s) in enumerate(zip(*per, strict=True)):
        size, count = sizes[i], counts[i]
        assert isinstance(size, int) and isinstance(count, int)
        before, padding = _padding(op.padding, rank, i, (count - 1) * s + span(taps, d) - size)
        found.append(Axis(size, count, taps, d, s, before, padding))
    return tuple(found)


def _padding(given: object, rank: int, axis: int, missing: int) -> tuple[int, int]:
    """The padding before an axis and in all; `missing` is what the windows need beyond the map."""
    if given in ("same", "causal"):
        total = max(0, missing)
        return (total // 2 if given == "same" else total), total
    before, total = pads(given, rank)[axis]
    return before, total


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
