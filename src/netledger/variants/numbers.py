"""Numbers that stand for many: a column of values, and the interval that they lie in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Column:
    """One number for each variant, with the arithmetic that rules use.

    A comparison gives a column of truth values. Asked whether that is true, as rules do where they
    check (``if it does not fit: raise``), it marks the variants for which it is, and says no.
    """

    __slots__ = ("check", "values")

    def __init__(self, values: Any, check: Check) -> None:
        self.values, self.check = values, check

    def _with(self, other: Any, rule: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, str | tuple):
            return NotImplemented
        return Column(
            rule(self.values, other.values if isinstance(other, Column) else other), self.check
        )

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __mul__(self, other: Any) -> Any:
        if type(other) is int and other == 1:
            return self
        return self._with(other, lambda a, b: a * b)

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __floordiv__(self, other: Any) -> Any:
        return self if type(other) is int and other == 1 else self._with(other, _floor)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: _floor(b, a))

    def __mod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b * _floor(a, b))

    def __rmod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a * _floor(b, a))

    def __neg__(self) -> Column:
        return Column(-self.values, self.check)

    def __abs__(self) -> Column:
        return Column(abs(self.values), self.check)

    def __lt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a >= b)

    def __eq__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a == b)

    def __ne__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a != b)

    __hash__ = None  # type: ignore[assignment]

    def any(self) -> Column:
        """Itself: whether it is true is asked as of a single one."""
        return self

    def __bool__(self) -> bool:
        self.check.mark(self.values)
        return False


def _floor(a: Any, b: Any) -> Any:
    """Rounded down; a variant that divides by 0 has failed a check before."""
    import numpy

    if isinstance(b, int) and b:
        return a // b
    with numpy.errstate(divide="ignore"):
        return a // b


class Check:
    """Which variants of a chunk have failed; `open` while an operation's check runs."""

    def __init__(self) -> None:
        self.open = False
        self.failed: Any = None

    def mark(self, condition: Any) -> None:
        """Marks the variants for which `condition` is true."""
        if not self.open:
            raise TypeError("a rule decides by a number that varies")
        failed = condition.astype(bool)
        self.failed = failed if self.failed is None else self.failed | failed


class Interval:
    """The range that a number can have, over all variants; `seen` keeps the largest of all."""

    __slots__ = ("high", "low", "seen")

    def __init__(self, low: int, high: int, seen: list[int]) -> None:
        self.low, self.high, self.seen = low, high, seen
        seen[0] = max(seen[0], high, -low)

    def _of(self, other: Any) -> tuple[int, int]:
        return (other.low, other.high) if isinstance(other, Interval) else (other, other)

    def _span(self, *ends: int) -> Interval:
        return Interval(min(ends), max(ends), self.seen)

    def __add__(self, other: Any) -> Interval:
        low, high = self._of(other)
        return self._span(self.low + low, self.high + high)

    def __sub__(self, other: Any) -> Interval:
        low, high = self._of(other)
        return self._span(self.low - high, self.high - low)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Interval:
        return self._span(*(a * b for a in (self.low, self.high) for b in self._of(other)))

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Interval:
        low, high = self._of(other)
        if low < 1:  # only in variants that are impossible
            most = max(abs(self.low), abs(self.high))
            return self._span(-most, most)
        return self._span(*(a // b for a in (self.low, self.high) for b in (low, high)))

    def __rfloordiv__(self, other: Any) -> Interval:
        return Interval(other, other, self.seen) // self

    def __mod__(self, other: Any) -> Any:
        return self - (self // other) * other

    def __rmod__(self, other: Any) -> Any:
        return Interval(other, other, self.seen) % self

    def __neg__(self) -> Interval:
        return self._span(-self.low, -self.high)

    def __abs__(self) -> Interval:
        return self._span(0, self.low, -self.low, self.high, -self.high)

    def __eq__(self, other: Any) -> bool:
        return True  # where sizes must be equal, they are: the others are found impossible

    __hash__ = None  # type: ignore[assignment]
