"""Symbolic sizes: ``Mul(Integer(2), Symbol('s77', positive=True, integer=True))``.

torch writes SymPy's own notation. A small parser reads the part of it that sizes are made of;
nothing is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from netledger.formula import Dim, ceil_div, maximum, minimum, symbol

LONGEST = 4096
DEEPEST = 32

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|(-?\d{1,19})|('[A-Za-z_]\w{0,40}')|([(),=]))")


def _sum(args: list[Dim]) -> Dim:
    return reduce(lambda a, b: a + b, args)


def _product(args: list[Dim]) -> Dim:
    return reduce(lambda a, b: a * b, args)


def _power(args: list[Dim]) -> Dim:
    base, exponent = args
    if not isinstance(exponent, int) or not 0 < exponent <= 8:
        raise ValueError
    return _product([base] * exponent)


def _two(rule: Callable[[Any, Any], Dim]) -> Callable[[list[Dim]], Dim]:
    def apply(args: list[Dim]) -> Dim:
        a, b = args
        if isinstance(b, int) and b == 0:
            raise ValueError
        return rule(a, b)

    return apply


_FUNCTIONS: Mapping[str, Callable[[list[Dim]], Dim]] = {
    "Add": _sum,
    "Mul": _product,
    "Pow": _power,
    "PowByNatural": _power,
    "Max": lambda args: reduce(maximum, args),
    "Min": lambda args: reduce(minimum, args),
    **dict.fromkeys(("FloorDiv", "CleanDiv"), _two(lambda a, b: a // b)),
    "CeilDiv": _two(ceil_div),
    **dict.fromkeys(("Mod", "PythonMod"), _two(lambda a, b: a % b)),
}


def parse(text: str, names: Mapping[str, Dim]) -> Dim | None:
    """The size that `text` writes; None if it is not understood.

    >>> str(parse("Mul(Integer(2), Symbol('s0', integer=True))", {}))
    '2 × s0'
    """
    if len(text) > LONGEST:
        return None
    tokens = [m.group(m.lastindex or 0).strip() for m in _TOKEN.finditer(text)]
    if "".join(tokens) != re.sub(r"\s+", "", text):
        return None
    try:
        value, rest = _expression(tokens, 0, 0, names)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return None
    return value if rest == len(tokens) else None


def _expression(
    tokens: list[str], at: int, depth: int, names: Mapping[str, Dim]
) -> tuple[Dim, int]:
    head = tokens[at]
    if depth > DEEPEST:
        raise ValueError
    if head.lstrip("-").isdigit():
        return int(head), at + 1
    if at + 1 >= len(tokens) or tokens[at + 1] != "(":
        return _symbol(head, names), at + 1
    if head == "Symbol":
        name = tokens[at + 2].strip("'")
        return _symbol(name, names), tokens.index(")", at) + 1
    args: list[Dim] = []
    at += 2
    while True:
        value, at = _expression(tokens, at, depth + 1, names)
        args.append(value)
        closing = tokens[at]
        at += 1
        if closing == ")":
            break
        if closing != ",":
            raise ValueError
    if head == "Integer":
        (value,) = args
        return value, at
    rule = _FUNCTIONS.get(head)
    if rule is None:
        raise ValueError
    return rule(args), at


def _symbol(name: str, names: Mapping[str, Dim]) -> Dim:
    if not re.fullmatch(r"[A-Za-z_]\w{0,40}", name):
        raise ValueError
    return names[name] if name in names else symbol(name)
