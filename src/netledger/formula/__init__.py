"""Traced arithmetic: an integer that remembers how it was made.

A rule is written once, in plain arithmetic. Read with ints it gives an int; read with `Formula`s
it gives a `Formula`, which prints as it was written, with the numbers put in, and as its value;
read with NumPy arrays it gives arrays. The helpers here (`ceil_div`, `minimum`, `maximum`,
`prod`) do the same for what Python's operators cannot say.

>>> I, K, S = symbol("I", 227), symbol("K", 11), symbol("S", 4)
>>> size = (I - K) // S + 1
>>> size.text(), size.text(numbers=True), size.value
('(I − K)/S + 1', '(227 − 11)/4 + 1', 55)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

SYMBOL, NUMBER = "symbol", "number"


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "ceil": _ceil_div,
    "min": min,
    "max": max,
}


class Formula:
    """A number, a symbol, or an operation on two formulas.

    Attributes:
        head: ``"symbol"``, ``"number"``, or the operation: ``+ - * // % ceil min max``.
        args: The two operands of an operation, else empty.
        value: The exact value, or None where a symbol in it has none (batch ``N``).
        name: The name of a symbol.

    Comparisons are made for checks: one that cannot be decided, because a value is not known, is
    False. Equality of unknown values is equality of their canonical forms.
    """

    __slots__ = ("args", "head", "name", "value")

    def __init__(
        self, head: str, args: tuple[Formula, ...] = (), value: int | None = None, name: str = ""
    ) -> None:
        self.head = head
        self.args = args
        self.value = value
        self.name = name

    def __add__(self, other: Dim) -> Formula:
        return _add(self, formula(other))

    def __radd__(self, other: Dim) -> Formula:
        return _add(formula(other), self)

    def __sub__(self, other: Dim) -> Formula:
        return _sub(self, formula(other))

    def __rsub__(self, other: Dim) -> Formula:
        return _sub(formula(other), self)

    def __mul__(self, other: Dim) -> Formula:
        return _mul(self, formula(other))

    def __rmul__(self, other: Dim) -> Formula:
        return _mul(formula(other), self)

    def __floordiv__(self, other: Dim) -> Formula:
        return _div("//", self, formula(other))

    def __rfloordiv__(self, other: Dim) -> Formula:
        return _div("//", formula(other), self)

    def __mod__(self, other: Dim) -> Formula:
        return _traced("%", self, formula(other))

    def __rmod__(self, other: Dim) -> Formula:
        return _traced("%", formula(other), self)

    def __neg__(self) -> Formula:
        return _sub(formula(0), self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, int | Formula):
            return NotImplemented
        other = formula(other)
        if self.value is None and other.value is None:
            from netledger.formula.simplify import canonical

            return canonical(self) == canonical(other)
        return self.value == other.value

    def __hash__(self) -> int:
        if self.value is not None:
            return hash(self.value)
        if self.head == SYMBOL:
            return _hash_of_symbol(self.name)
        from netledger.formula.simplify import canonical

        return hash(canonical(self))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __lt__(self, other: Dim) -> bool:
        return _decided(operator.lt, self, other)

    def __le__(self, other: Dim) -> bool:
        return _decided(operator.le, self, other)

    def __gt__(self, other: Dim) -> bool:
        return _decided(operator.gt, self, other)

    def __ge__(self, other: Dim) -> bool:
        return _decided(operator.ge, self, other)

    def __str__(self) -> str:
        return self.text()

    def __format__(self, spec: str) -> str:
        return self.text()  # what numbers are formatted with does not concern it

    def __repr__(self) -> str:
        return f"Formula({self.text()!r}, value={self.value})"

    def text(self, numbers: bool = False) -> str:
        """The formula as a person writes it; with `numbers`, the values put in."""
        from netledger.formula.printing import TEXT

        return TEXT.show(self, numbers)

    def latex(self, numbers: bool = False) -> str:
        """The formula as LaTeX mathematics."""
        from netledger.formula.printing import LATEX

        return LATEX.show(self, numbers)

    def python(self, numbers: bool = False) -> str:
        """The formula as an expression that Python evaluates."""
        from netledger.formula.printing import PYTHON

        return PYTHON.show(self, numbers)


@lru_cache(maxsize=64)
def _hash_of_symbol(name: str) -> int:
    """What its canonical form would give; that of the batch is asked for all the time."""
    return hash(frozenset((((name,), 1),)))


Dim = int | Formula
"""A dimension or a count: an int, or a formula in symbols such as batch ``N``."""


def symbol(name: str, value: int | None = None) -> Formula:
    """A named quantity, with its value where it has one."""
    return Formula(SYMBOL, (), value, name)


def formula(x: Dim) -> Formula:
    """`x` as a formula; an int becomes a bare number."""
    return x if isinstance(x, Formula) else Formula(NUMBER, (), x)


# Bare numbers fold where a person would not write them either: a term of 0, a factor of 1.
# A *named* 0 or 1 stays: that the padding is 0 is worth showing.


def _is(f: Formula, number: int) -> bool:
    return f.head == NUMBER and f.value == number


def _traced(head: str, a: Formula, b: Formula) -> Formula:
    known = a.value is not None and b.value is not None
    value = _OPERATIONS[head](a.value, b.value) if known else None
    if a.head == NUMBER and b.head == NUMBER:
        return Formula(NUMBER, (), value)
    return Formula(head, (a, b), value)


def _add(a: Formula, b: Formula) -> Formula:
    if _is(b, 0):
        return a
    if _is(a, 0):
        return b
    if a.head == "-" and b.head == NUMBER and _is(a.args[1], b.value or 0):
        return a.args[0]  # (K − 1) + 1: the span of a window that is not dilated
    return _traced("+", a, b)


def _sub(a: Formula, b: Formula) -> Formula:
    if a.head == "+" and b.head == NUMBER and _is(a.args[1], b.value or 0):
        return a.args[0]
    return a if _is(b, 0) else _traced("-", a, b)


def _mul(a: Formula, b: Formula) -> Formula:
    if _is(a, 0) or _is(b, 0):
        return formula(0)
    if _is(a, 1):
        return b
    return a if _is(b, 1) else _traced("*", a, b)


def _div(head: str, a: Formula, b: Formula) -> Formula:
    return a if _is(b, 1) else _traced(head, a, b)


def _decided(test: Callable[[Any, Any], bool], a: Dim, b: Dim) -> bool:
    x, y = formula(a).value, formula(b).value
    return x is not None and y is not None and test(x, y)


def ceil_div(a: Any, b: Any) -> Any:
    """``a / b`` rounded up, for ints, formulas and arrays alike.

    >>> ceil_div(213, 4)
    54
    """
    if isinstance(a, Formula) or isinstance(b, Formula):
        return _div("ceil", formula(a), formula(b))
    return -(-a // b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two ints, formulas or (elementwise) arrays."""
    return _choose("min", a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two ints, formulas or (elementwise) arrays."""
    return _choose("max", a, b)


def _choose(head: str, a: Any, b: Any) -> Any:
    if isinstance(a, Formula) or isinstance(b, Formula):
        return _traced(head, formula(a), formula(b))
    if isinstance(a, int) and isinstance(b, int):
        return _OPERATIONS[head](a, b)
    distance = abs(a - b)  # arrays: elementwise, without a branch
    return (a + b - distance if head == "min" else a + b + distance) // 2


def prod(factors: Iterable[Any]) -> Any:
    """The product of ints, formulas or arrays; of none, 1."""
    result: Any = 1
    for factor in factors:
        result = result * factor
    return result


def symbols(x: Dim) -> frozenset[str]:
    """The names of the symbols in `x` that have no value.

    >>> sorted(symbols(symbol("H") * symbol("W") + symbol("K", 3)))
    ['H', 'W']
    """
    if not isinstance(x, Formula) or x.value is not None:
        return frozenset()
    if x.head == SYMBOL:
        return frozenset((x.name,))
    return symbols(x.args[0]) | symbols(x.args[1])


def substitute(x: Dim, values: Mapping[str, Dim]) -> Dim:
    """`x` with its unknown symbols replaced; an int where nothing unknown is left.

    >>> substitute((symbol("H") - 11) // 4 + 1, {"H": 227})
    55
    """
    if not isinstance(x, Formula):
        return x
    if x.value is not None:
        return x.value
    if x.head == SYMBOL:
        return values.get(x.name, x)
    a, b = (substitute(arg, values) for arg in x.args)
    if isinstance(a, int) and isinstance(b, int):
        result: int = _OPERATIONS[x.head](a, b)
        return result
    return _BUILD[x.head](a, b)


_BUILD: dict[str, Callable[[Any, Any], Formula]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "ceil": ceil_div,
    "min": minimum,
    "max": maximum,
}


def unrounded(x: Formula) -> Fraction | None:
    """What `x` would be if no division were rounded; None where that is not known.

    AlexNet's first layer at 224: ``(224 − 11)/4 + 1`` is 54.25, rounded down to 54.
    """
    if x.value is None:
        return None
    if not x.args:
        return Fraction(x.value)
    a, b = (unrounded(arg) for arg in x.args)
    if a is None or b is None:
        return None
    if x.head in ("//", "ceil"):
        return a / b
    result: Fraction = _OPERATIONS[x.head](a, b)
    return result
