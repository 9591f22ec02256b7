"""Rules about windows that slide over a map."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import prod

from netledger.check.network import Network, plural, times, whole
from netledger.check.rules.base import INFO, Rule
from netledger.check.windows import LARGEST_WINDOW, Axis, windows
from netledger.ledger import Finding, Row
from netledger.ops import Pad
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import pads


class WindowDoesNotTile(Rule):
    """A window does not tile its input: the last rows or columns are never seen.

    Only for input that no other layer sees; a border of padding that is not seen is no loss.
    """

    code, name = "NL102", "window does not tile its input"

    def find(self, net: Network) -> Iterator[Finding]:
        for row, users in _windowed(net):
            first = users[0]
            each = [windows(user) for user in users]
            lost = [min(axes) for axes in zip(*[[a.lost for a in w] for w in each], strict=True)]
            gaps = [len(axis.seen) < axis.stride for axis in each[0]]
            lost = [0 if gap else n for n, gap in zip(lost, gaps, strict=True)]
            lost = [max(0, n - m) for n, m in zip(lost, _border(row, len(lost)), strict=True)]
            if not any(lost):
                continue
            at = next(axis for axis, n in zip(each[0], lost, strict=True) if n)
            level = self.level if isinstance(first.op, Convolution) else INFO
            yield self.finding(first, _cut(at, lost, row.name), _mend(at), level)


class SkippedPositions(Rule):
    """The stride is larger than the window: positions between the windows are never seen."""

    code, name = "NL104", "stride larger than the window"

    def find(self, net: Network) -> Iterator[Finding]:
        for row, users in _windowed(net):
            seen = prod(
                (_seen(axes) for axes in zip(*map(windows, users), strict=True)), start=_WHOLE
            )
            if seen == 1:
                continue
            first = users[0]
            axes = windows(first)
            message = (
                f"a window of {times(a.span for a in axes)} moves {times(a.stride for a in axes)}"
                f" at a time: of {row.name}, only {seen.numerator} in {seen.denominator} positions "
                f"{'is' if seen.numerator == 1 else 'are'} seen by any layer"
            )
            hint = "use a window at least as large as the stride, or stride in another layer"
            yield self.finding(first, message, hint)


class TapsOnPadding(Rule):
    """The map has become so small that some weights of a kernel only ever meet padding."""

    code, name = "NL103", "kernel larger than its map"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Convolution):
            axes = _small(row)
            used = prod(sum(1 for tap in range(a.taps) if a.meets(tap)) for a in axes)
            taps = prod(a.taps for a in axes)
            if used == taps:
                continue
            waste = row.weights * (taps - used) // taps if whole(row.weights) else None
            counted = f" ({waste:,} of {row.weights:,})" if waste else ""
            message = (
                f"the map is only {times(a.size for a in axes)}: {taps - used} of the "
                f"{plural(taps, 'weight')} of each {times(a.taps for a in axes)} kernel only ever "
                f"meet padding{counted}"
            )
            hint = "the map has shrunk too early: use less stride before, a larger input, or a 1×1"
            yield self.finding(row, message, hint)


class MostlyPadding(Rule):
    """More than half of a convolution's multiplications are with padding."""

    code, name, level = "NL108", "mostly padding", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Convolution):
            axes = _small(row)
            met = prod(sum(map(a.meets, range(a.taps))) for a in axes)
            done = prod(a.taps * a.count for a in axes)
            every_tap = all(a.meets(tap) for a in axes for tap in range(a.taps))
            if 2 * met < done and every_tap:
                message = (
                    f"a window of {times(a.span for a in axes)} on a map of "
                    f"{times(a.size for a in axes)}: {100 - 100 * met // done} % of the "
                    "multiplications are with padding"
                )
                yield self.finding(row, message, "the map is small for this window")


class BlankWindows(Rule):
    """Padding as wide as the window or wider: outputs at the border see nothing but padding."""

    code, name = "NL105", "windows that see only padding"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Convolution, Pool):
            axes = windows(row)
            if not any(a.blank for a in axes):
                continue
            all_of, real = prod(a.count for a in axes), prod(a.count - a.blank for a in axes)
            message = (
                f"a window of {times(a.span for a in axes)} with padding "
                f"{times(a.before for a in axes)}: {all_of - real:,} of {all_of:,} outputs of "
                "each channel see nothing but padding"
            )
            hint = "use padding smaller than the window; a 1×1 convolution needs none"
            yield self.finding(row, message, hint)


class EvenSame(Rule):
    """An even window with padding "same": one side gets more padding, so the map shifts."""

    code, name, level = "NL106", 'even window with padding "same"', INFO

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Convolution):
            axes = windows(row)
            odd = [a for a in axes if a.padding % 2 and a.stride == 1]
            if getattr(row.op, "padding", None) != "same" or not odd:
                continue
            before, after = odd[0].before, odd[0].padding - odd[0].before
            message = (
                f"a window of {times(a.span for a in axes)} cannot be centred: padding "
                f'"same" puts {before} before and {after} after, so the map shifts by half a '
                "position"
            )
            yield self.finding(row, message, "use an odd window; frameworks differ in the side")


_WHOLE = Fraction(1)


def _windowed(net: Network) -> Iterator[tuple[Row, list[Row]]]:
    """Each row whose map is seen through windows only, with the rows whose windows they are."""
    for row in net.rows:
        if len(row.made) != 1 or net.returned(row):
            continue
        users = net.users(row)
        each = [windows(user) for user in users]
        if users and all(each) and all(len(a) == len(b) for a, b in pairwise(each)):
            yield row, users


def _border(row: Row, rank: int) -> list[int]:
    """How much of the end of a map is a border that a `Pad` has put there."""
    if not isinstance(row.op, Pad):
        return [0] * rank
    every = len(row.outputs[0].shape)
    given = pads(row.op.padding, every if row.op.whole(every) else rank)
    after = [max(0, both - before) for before, both in given]
    channels = -1 if row.op.channels_last else 1
    if not row.op.whole(every):
        return after
    return [n for i, n in enumerate(after) if i not in (0, channels % every)]


def _seen(axes: tuple[Axis, ...]) -> Fraction:
    """The share of an axis's positions that are seen through these windows."""
    stride = axes[0].stride
    if stride == 1 or stride > LARGEST_WINDOW or any(a.stride != stride for a in axes):
        return _WHOLE
    if any(a.count == 1 for a in axes):
        return _WHOLE  # a single window skips nothing between windows
    return Fraction(len(frozenset().union(*[a.seen for a in axes])), stride)


def _small(row: Row) -> tuple[Axis, ...]:
    axes = windows(row)
    return axes if all(a.taps <= LARGEST_WINDOW for a in axes) else ()


def _cut(at: Axis, lost: list[int], value: str) -> str:
    padded = f" + {at.padding}" if at.padding else ""
    exact = f"{float(at.positions):.4f}".rstrip("0").rstrip(".")
    whose = _AXES.get(len(lost), ("position",) * len(lost))
    parts = [_last(n, word) for n, word in zip(lost, whose, strict=True) if n]
    never = f"the last {' and '.join(parts)} of {value} {_are(lost)} never seen"
    return (
        f"({at.size} − {at.span}{padded})/{at.stride} + 1 = {exact} positions, rounded down to "
        f"{at.count}: {never}"
    )


_AXES = {1: ("position",), 2: ("row", "column"), 3: ("plane", "row", "column")}


def _last(count: int, word: str) -> str:
    return word if count == 1 else plural(count, word)


def _are(lost: list[int]) -> str:
    return "is" if sum(lost) == 1 else "are"


def _mend(at: Axis) -> str:
    rest = at.room % at.stride
    return (
        f"a size of {at.size - rest} or {at.size - rest + at.stride} is tiled exactly; "
        f"{at.stride - rest} more of padding, or rounding up, gives {at.count + 1}"
    )
