"""Arithmetic on single numbers of a constant: ints, floats, bools, formulas, None if not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netledger.formula import Formula, maximum, minimum
from netledger.formula.simplify import simplify
from netledger.readers.onnx.types import LONGEST, leaves


def one(rule: Callable[..., Any], row: tuple[Any, ...]) -> Any:
    """What `rule` makes of one row of numbers; None where that is not known."""
    if None in row and rule is not where:
        return None
    try:
        if any(isinstance(x, Formula) for x in row):
            # A size times 2.0 is a whole number still.
            row = tuple(int(x) if isinstance(x, float) and x.is_integer() else x for x in row)
            if any(isinstance(x, float) for x in row):
                return None
        found = rule(*row)
    except (ArithmeticError, TypeError, ValueError):
        return None
    if isinstance(found, Formula):
        found = simplify(found)
        return found if leaves(found) <= LONGEST else None
    if isinstance(found, int) and not -(1 << 63) <= found < 1 << 63:
        return None
    return found


def divide(a: Any, b: Any) -> Any:
    """Division of integers cuts towards 0."""
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    if isinstance(a, Formula) or isinstance(b, Formula):
        return a // b
    whole = abs(a) // abs(b)
    return whole if (a < 0) == (b < 0) else -whole


def power(a: Any, b: Any) -> Any:
    """A power; of integers to an integer, exact."""
    if isinstance(a, int) and not (isinstance(b, int) and 0 <= b < 64):
        a = float(a)
    return a**b


def equal(a: Any, b: Any) -> Any:
    """True or False where that is certain; a size is never negative."""
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return a == b
    if a == b:
        return True
    number = b if isinstance(a, Formula) else a
    return False if isinstance(number, int) and number < 0 else None


def order(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    """A comparison, of numbers only."""

    def run(a: Any, b: Any) -> Any:
        return None if isinstance(a, Formula) or isinstance(b, Formula) else test(a, b)

    return run


def where(chosen: Any, a: Any, b: Any) -> Any:
    """One of two numbers; where the choice is not known, both must be the same."""
    if chosen is None:
        return a if a == b and a is not None else None
    return a if chosen else b


def real(rule: Callable[[float], Any]) -> Callable[[Any], Any]:
    """A function of floats that leaves whole numbers as they are."""
    return lambda a: a if isinstance(a, Formula | int) else rule(a)


def smaller(*row: Any) -> Any:
    """The smallest."""
    result = row[0]
    for x in row[1:]:
        result = minimum(result, x) if not isinstance(x, float) else min(result, x)
    return result


def larger(*row: Any) -> Any:
    """The largest."""
    result = row[0]
    for x in row[1:]:
        result = maximum(result, x) if not isinstance(x, float) else max(result, x)
    return result
