"""Dimensions as text: ``64*N``, ``(H - 11)//4 + 1``; read by a small grammar, never evaluated.

sum      = product { ("+" | "-") product }
product  = factor { ("*" | "//" | "%") factor }
factor   = "-" factor | atom [ "**" number ]
atom     = number | symbol | function "(" sum "," sum ")" | "(" sum ")"
function = "ceil_div" | "min" | "max"
symbol   = a word, or anything between backquotes
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from netledger.errors import FieldError
from netledger.formula import SYMBOL, Dim, Formula, ceil_div, maximum, minimum, symbol

LONGEST, DEEPEST, MOST_OPERATORS, MOST_DIGITS, HIGHEST_POWER = 1000, 32, 100, 19, 8

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+)|(?P<word>[^\W\d]\w*)|`(?P<quoted>(?:[^`]|``)+)`"
    r"|(?P<sign>\*\*|//|[-+*%(),])|(?P<end>$))",
    re.ASCII,
)
_SUM: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
_PRODUCT: dict[str, Callable[[Any, Any], Any]] = {
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "ceil_div": ceil_div,
    "min": minimum,
    "max": maximum,
}
_DIVISIONS = (operator.floordiv, operator.mod, ceil_div)
HINT = "write for instance 224, H, 64*N or (H - 11)//4 + 1"


def parse_dim(text: str) -> Dim:
    """The dimension that a text says: an int, or a formula in symbols.

    >>> parse_dim("(227 - 11)//4 + 1")
    55
    >>> str(parse_dim("ceil_div(H, 2) * 64"))
    '64 × ⌈H/2⌉'

    Raises:
        FieldError: If it is not in the grammar, is too long or too deep, or divides by 0.
    """
    return _Parser(text).whole()


def parse_dims(text: str) -> tuple[Dim, ...]:
    """The dimensions in a text, with commas between them.

    >>> parse_dims("3, 2*4, 7")
    (3, 8, 7)
    """
    return _Parser(text).all()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = self.operators = 0
        if len(text) > LONGEST:
            raise self._fault(f"it has {len(text):,} characters; at most {LONGEST:,} are read")
        self.tokens = self._scan()
        self.at = 0

    def _scan(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at = 0
        while not tokens or tokens[-1][0] != "end":
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                sign = self.text[at:].strip()[:1]
                instead = "; // divides and rounds down" if sign == "/" else ""
                raise self._fault(f"cannot read {sign!r}{instead}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return tokens

    def whole(self) -> Dim:
        """The whole text as one dimension."""
        value = self._sum()
        self._expect("")
        return value

    def all(self) -> tuple[Dim, ...]:
        """The whole text as a list."""
        if self.tokens[0][0] == "end":
            return ()
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        self._expect("")
        return tuple(values)

    def _sum(self) -> Dim:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._fault(f"brackets are nested deeper than {DEEPEST}")
        value = self._chain(_SUM, lambda: self._chain(_PRODUCT, self._factor))
        self.depth -= 1
        return value

    def _chain(self, signs: dict[str, Callable[[Any, Any], Any]], part: Callable[[], Dim]) -> Dim:
        value = part()
        while (sign := self._take(*signs)) is not None:
            value = self._apply(signs[sign], value, part())
        return value

    def _factor(self) -> Dim:
        minus = 0
        while self._take("-"):
            minus += 1
            self._count()
        base = value = self._atom()
        if self._take("**"):
            kind, text = self._next()
            if kind != "number" or not 1 <= len(text) <= 2 or not 1 <= int(text) <= HIGHEST_POWER:
                raise self._fault(f"a power must be a number from 1 to {HIGHEST_POWER}")
            for _ in range(int(text) - 1):
                value = self._apply(operator.mul, value, base)
        return -value if minus % 2 else value

    def _atom(self) -> Dim:
        kind, text = self._next()
        if kind == "number":
            if len(text) > MOST_DIGITS:
                raise self._fault(f"a number has more than {MOST_DIGITS} digits")
            return int(text)
        if kind == "quoted":
            return symbol(text.replace("``", "`"))
        if kind == "word":
            return self._call(text) if self._take("(") else symbol(text)
        if text != "(":
            raise self._fault("something is missing at its end" if kind == "end" else f"at {text}")
        value = self._sum()
        self._expect(")")
        return value

    def _call(self, name: str) -> Dim:
        if name not in _FUNCTIONS:
            raise self._fault(f"{name!r} is no function; there are {', '.join(_FUNCTIONS)}")
        left = self._sum()
        self._expect(",")
        right = self._sum()
        self._expect(")")
        return self._apply(_FUNCTIONS[name], left, right)

    def _apply(self, rule: Callable[[Any, Any], Any], a: Dim, b: Dim) -> Dim:
        self._count()
        if rule in _DIVISIONS and b == 0:
            raise self._fault("it divides by 0")
        value: Dim = rule(a, b)
        return value

    def _count(self) -> None:
        self.operators += 1
        if self.operators > MOST_OPERATORS:
            raise self._fault(f"it has more than {MOST_OPERATORS} operators")

    def _next(self) -> tuple[str, str]:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _take(self, *signs: str) -> str | None:
        kind, text = self.tokens[self.at]
        if kind != "sign" or text not in signs:
            return None
        self._next()
        return text

    def _expect(self, text: str) -> None:
        kind, found = self._next()
        if found != text or (kind != "sign" and text):
            wanted = f"expected {text!r}" if text else "expected its end"
            raise self._fault(f"{wanted}, got {found!r}" if found else f"{wanted} at its end")

    def _fault(self, reason: str) -> FieldError:
        shown = self.text if len(self.text) <= 80 else self.text[:79] + "…"
        return FieldError(f"{shown!r} is not a size: {reason}", hint=HINT)


_LEVELS = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}


def write_dim(dim: Dim) -> int | str:
    """A dimension as `parse_dim` reads it: the same tree, so that it prints alike everywhere.

    >>> write_dim((symbol("H") - 11) // 4 + 1)
    '(H - 11)//4 + 1'
    """
    if not isinstance(dim, Formula):
        return dim
    return dim.value if dim.value is not None else _write(dim, 0)


def _write(f: Formula, level: int) -> str:
    if f.value is not None:
        return str(f.value) if f.value >= 0 or level == 0 else f"({f.value})"
    if f.head == SYMBOL:
        plain = re.fullmatch(r"[^\W\d]\w*", f.name, re.ASCII)
        return f.name if plain else "`" + f.name.replace("`", "``") + "`"
    a, b = f.args
    own = _LEVELS.get(f.head)
    if own is None:
        name = "ceil_div" if f.head == "ceil" else f.head
        return f"{name}({_write(a, 0)}, {_write(b, 0)})"
    if f.head == "-" and a.value == 0:
        text = f"-{_write(b, 3)}"
    else:
        sign = f" {f.head} " if own == 1 else f.head
        text = _write(a, own) + sign + _write(b, own + 1)
    return text if own >= level else f"({text})"
