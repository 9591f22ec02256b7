"""Python expressions as trees, and how they are printed: as `ruff format` would.

Nothing of a foreign file is ever printed as code: `Raw` holds text of our own and identifiers that
`names` made; everything else is a number, a truth value or a text in quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

WIDTH = 88
INDENT = "    "


@dataclass(frozen=True)
class Raw:
    """Text that is code already."""

    text: str


@dataclass(frozen=True)
class Arg:
    """An argument of a call.

    Attributes:
        name: What the parameter is called; it also names what varies between repeated blocks.
        value: A literal or an expression.
        keyword: Whether the name is written.
        default: A value at which it is left out; by default it never is.
    """

    name: str
    value: Any
    keyword: bool = False
    default: Any = ...

    @property
    def said(self) -> bool:
        """True unless it has the value that it would have anyway."""
        return type(self.value) is not type(self.default) or bool(self.value != self.default)


@dataclass(frozen=True)
class Call:
    """A call: what is called, and its arguments."""

    function: str
    args: tuple[Arg, ...] = ()

    def map(self, change: Callable[[Arg], Any]) -> Call:
        """The call with every literal argument changed, those of calls inside it too."""
        return Call(self.function, tuple(_mapped(arg, change) for arg in self.args))

    def slots(self) -> Iterator[Arg]:
        """Every literal argument, those of calls inside it too."""
        for arg in self.args:
            if isinstance(arg.value, Call):
                yield from arg.value.slots()
            else:
                yield arg

    @property
    def skeleton(self) -> tuple[Any, ...]:
        """The call without its literals."""
        return self.function, *(
            (arg.name, arg.keyword, arg.value.skeleton if isinstance(arg.value, Call) else None)
            for arg in self.args
        )


def _mapped(arg: Arg, change: Callable[[Arg], Any]) -> Arg:
    inside = isinstance(arg.value, Call)
    return replace(arg, value=arg.value.map(change) if inside else change(arg))


@dataclass(frozen=True)
class Items:
    """A list (or a tuple) of expressions."""

    items: tuple[Any, ...]
    brackets: str = "[]"


@dataclass(frozen=True)
class Lined:
    """Arguments one a line, each perhaps with a comment; `Run` of them in a row is a loop."""

    function: str
    items: tuple[tuple[Any, str], ...]
    end: tuple[Arg, ...] = ()
    brackets: str = "()"


def call(function: str, *args: Any, **named: Any) -> Call:
    """A call of unnamed and named arguments; unnamed ones may be `Arg`s, to have a name."""
    unnamed = (a if isinstance(a, Arg) else Arg("", a) for a in args)
    return Call(function, (*unnamed, *(Arg(n, v, True) for n, v in named.items())))


def arg(name: str, value: Any) -> Arg:
    """An argument by position."""
    return Arg(name, value)


def key(name: str, value: Any, default: Any = ...) -> Arg:
    """An argument by keyword, left out where it has its default."""
    return Arg(name, value, True, default)


def flat(value: Any) -> str:
    """An expression on one line."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Call):
        return f"{value.function}({', '.join(_argument(arg) for arg in value.args if arg.said)})"
    if isinstance(value, Items):
        inside = ", ".join(map(flat, value.items))
        if value.brackets == "()" and len(value.items) == 1:
            inside += ","
        return f"{value.brackets[0]}{inside}{value.brackets[1]}"
    return literal(value)


def _argument(arg: Arg) -> str:
    return f"{arg.name}={flat(arg.value)}" if arg.keyword else flat(arg.value)


def literal(value: Any) -> str:
    """A number, a truth value, None, a text, or a tuple of them."""
    if isinstance(value, tuple):
        inside = ", ".join(map(flat, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, str):
        return '"' + ascii(value)[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    if isinstance(value, float) and value != value:
        return 'float("nan")'
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} is no literal")


def lines(value: Any, indent: int, before: str = "", after: str = "", note: str = "") -> list[str]:
    """A statement, ``before`` and ``after`` the expression, with a comment: on one line if it fits.

    Args:
        value: The expression.
        indent: How deep it stands.
        before: What stands before it on its line: ``x = ``.
        after: What follows it: ``,``.
        note: A comment, at the end of the line, or above it where there is no room.
    """
    margin = INDENT * indent
    if not isinstance(value, Lined):
        one = f"{margin}{before}{flat(value)}{after}"
        if len(one) <= WIDTH or not isinstance(value, Call | Items):
            return noted(one, note, margin)
        head = one.removesuffix(after) + after[:1]
        if after.startswith("(") and len(head) <= WIDTH:  # as ruff does: the last brackets open
            return noted(head, note, margin, [f"{margin}{INDENT}{after[1:-1]}", f"{margin})"])
    made = _opened(value, indent, before, after)
    return [f"{margin}# {note}", *made] if note else made


def noted(line: str, note: str, margin: str, rest: list[str] | None = None) -> list[str]:
    """A line with a comment, behind it or above it; above if there is a `rest` of lines."""
    if not note:
        return [line, *(rest or [])]
    behind = f"{line}  # {note}"
    if rest is None and len(behind) <= WIDTH:
        return [behind]
    return [f"{margin}# {note}", line, *(rest or [])]


def _opened(value: Any, indent: int, before: str, after: str) -> list[str]:
    """The expression over several lines."""
    margin, inner = INDENT * indent, INDENT * (indent + 1)
    parts: list[tuple[str, Any]]
    if isinstance(value, Lined):
        found = [f"{margin}{before}{value.function}{value.brackets[0]}"]
        for item, note in value.items:
            found += lines(item, indent + 1, after=",", note=note)
        found += [f"{inner}{_argument(arg)}," for arg in value.end]
        return [*found, f"{margin}{value.brackets[1]}{after}"]
    if isinstance(value, Call):
        said = [arg for arg in value.args if arg.said]
        parts = [(f"{arg.name}=" if arg.keyword else "", arg.value) for arg in said]
        first, last = f"{value.function}(", ")"
    else:
        parts = [("", item) for item in value.items]
        first, last = value.brackets[0], value.brackets[1]
    joined = f"{inner}{', '.join(name + flat(item) for name, item in parts)}"
    if len(joined) <= WIDTH:
        return [f"{margin}{before}{first}", joined, f"{margin}{last}{after}"]
    found = [f"{margin}{before}{first}"]
    for name, item in parts:
        found += lines(item, indent + 1, before=name, after=",")
    return [*found, f"{margin}{last}{after}"]
