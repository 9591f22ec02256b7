"""Hyperparameters: what values each may have, how it prints, what its help says.

An operation declares its hyperparameters with the helpers below. What they record serves the
checks when an operation is made, the spec and its JSON Schema, the symbols of derivations and the
reference in the docs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from netledger.errors import FieldError
from netledger.formula import Formula

INTEGER, INTEGERS, PER_AXIS, PADDING = "integer", "integers", "per_axis", "padding"
FLAG, CHOICE, TEXT, NUMBER = "flag", "choice", "text", "number"
DIMS, SHAPES, TENSORS = "dims", "shapes", "tensors"

LARGEST = 2**63 - 1
"""The largest dimension or hyperparameter, as in every tensor library."""

LONGEST_SHOWN = 200
"""How many characters of a wrong value a message shows; a file may hold megabytes."""

REQUIRED: Any = ...
"""The default of a hyperparameter that must be given."""


@dataclass(frozen=True)
class Rule:
    """What a hyperparameter may be.

    Attributes:
        kind: One of the kinds above.
        help: One line for people.
        symbol: What it is called in formulas; empty if it appears in none.
        hide: The value at which it is left out of formulas (``groups=1``).
        minimum: The smallest integer allowed.
        choices: The words allowed.
        default: Its value where none is given; None then is a value of its own.
        silent: True if no size and no count depends on it: builders need it to make the same
            function, descriptions and comparisons leave it out.
    """

    kind: str
    help: str
    symbol: str = ""
    hide: Any = None
    minimum: int | None = None
    choices: tuple[str, ...] = ()
    default: Any = REQUIRED
    silent: bool = False

    def describe(self) -> str:
        """What is allowed, in words: ``an integer of at least 1``."""
        least = "" if self.minimum is None else f" of at least {self.minimum}"
        words = " or ".join(repr(c) for c in self.choices)
        return {
            INTEGER: f"an integer{least}",
            INTEGERS: f"an integer{least}, or a list of them",
            PER_AXIS: f"an integer{least}, or one for each axis",
            PADDING: f"an integer{least}, one for each axis, a [before, after] pair for each "
            f"axis{', ' if words else ''}{words}",
            FLAG: "true or false",
            CHOICE: words,
            TEXT: "text",
            NUMBER: "a number",
            DIMS: "a list of integers (-1: what is left) or symbols",
            SHAPES: "a list of shapes",
            TENSORS: "a list of [name, role, shape, dtype, bytes]",
        }[self.kind]

    def accept(self, name: str, value: Any) -> Any:
        """`value` in its stored form (lists become tuples).

        Raises:
            FieldError: If the value is not allowed.
        """
        if value is self.default and value is not REQUIRED:
            return value
        if type(value) not in _PLAIN:
            if getattr(value, "shape", None) == () and type(value).__module__ == "numpy":
                value = value.item()  # a number of NumPy's would overflow
            if isinstance(value, Formula) or type(value).__module__ == "numpy":
                return value  # a derivation or a million variants: checked with ints beforehand
        if _ACCEPTS[self.kind](self, value):
            return _frozen(value)
        shown = repr(value)
        shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"
        raise FieldError(f"{name} must be {self.describe()}; got {shown}")


_PLAIN = frozenset((int, bool, float, str, tuple, list, type(None)))


def _frozen(value: Any) -> Any:
    """`value` with tuples for lists; made anew only where there is a list in it."""
    if type(value) is list:
        return tuple(map(_frozen, value))
    if type(value) is tuple:
        for item in value:
            if type(item) is list or (type(item) is tuple and _frozen(item) is not item):
                return tuple(map(_frozen, value))
    return value


def _integer(rule: Rule, value: Any) -> bool:
    if type(value) is not int:
        return isinstance(value, Formula) or type(value).__module__ == "numpy"
    least = -LARGEST if rule.minimum is None else rule.minimum
    return least <= value <= LARGEST


def _integers(rule: Rule, value: Any) -> bool:
    if isinstance(value, list | tuple):
        return 0 < len(value) <= 16 and all(_integer(rule, v) for v in value)
    return _integer(rule, value)


def _padding(rule: Rule, value: Any) -> bool:
    if isinstance(value, str):
        return value in rule.choices
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        return all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and all(_integer(rule, v) for v in pair)
            for pair in value
        )
    return _integers(rule, value)


def _dims(rule: Rule, value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) > 16:
        return False
    return all([_integer(rule, v) or isinstance(v, Formula) for v in value])


def _shapes(rule: Rule, value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_dims(rule, v) for v in value)


def _tensors(rule: Rule, value: Any) -> bool:
    return isinstance(value, list | tuple) and all([_tensor(rule, t) for t in value])


def _tensor(rule: Rule, value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 5:
        return False
    name, role, shape, dtype, nbytes = value
    return (
        isinstance(name, str)
        and role in ("weight", "bias", "buffer")
        and _dims(rule, shape)
        and isinstance(dtype, str)
        and (nbytes is None or _integer(rule, nbytes))
    )


_ACCEPTS = {
    INTEGER: _integer,
    INTEGERS: _integers,
    PER_AXIS: _integers,
    PADDING: _padding,
    FLAG: lambda rule, value: isinstance(value, bool),
    CHOICE: lambda rule, value: isinstance(value, str) and value in rule.choices,
    TEXT: lambda rule, value: isinstance(value, str),
    NUMBER: lambda rule, value: isinstance(value, int | float) and not isinstance(value, bool),
    DIMS: _dims,
    SHAPES: _shapes,
    TENSORS: _tensors,
}


def tensors(help: str) -> Any:
    """A list of stored tensors: name, role, shape, dtype, bytes (None: size × dtype)."""
    return _field(TENSORS, help, REQUIRED, minimum=0)


def _field(kind: str, help: str, default: Any, kw_only: bool = False, **rule: Any) -> Any:
    metadata = {"rule": Rule(kind, help, default=default, **rule)}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata, kw_only=kw_only)
    return dataclasses.field(default=default, metadata=metadata, kw_only=kw_only)


def integer(
    help: str,
    symbol: str = "",
    *,
    default: Any = REQUIRED,
    minimum: int | None = 1,
    hide: int | None = None,
) -> Any:
    """A whole number."""
    return _field(INTEGER, help, default, symbol=symbol, minimum=minimum, hide=hide)


def integers(
    help: str, *, default: Any = REQUIRED, minimum: int | None = None, silent: bool = False
) -> Any:
    """A whole number or a list of them."""
    return _field(INTEGERS, help, default, minimum=minimum, silent=silent)


def per_axis(
    help: str, symbol: str, *, default: Any = REQUIRED, minimum: int = 1, hide: int | None = None
) -> Any:
    """A whole number for all axes, or one for each."""
    return _field(PER_AXIS, help, default, symbol=symbol, minimum=minimum, hide=hide)


def padding(
    help: str,
    symbol: str = "P",
    *,
    default: Any = REQUIRED,
    choices: tuple[str, ...] = ("same", "valid"),
    minimum: int | None = 0,
    hide: int | None = None,
) -> Any:
    """A number for all sides, one for each axis, or a pair for each axis; or a word."""
    return _field(
        PADDING, help, default, symbol=symbol, choices=choices, minimum=minimum, hide=hide
    )


def flag(help: str, *, default: Any = REQUIRED, kw_only: bool = False, silent: bool = False) -> Any:
    """True or false."""
    return _field(FLAG, help, default, kw_only, silent=silent)


def choice(help: str, choices: tuple[str, ...], *, default: Any = REQUIRED) -> Any:
    """One of a few words."""
    return _field(CHOICE, help, default, choices=choices)


def text(help: str, *, default: Any = REQUIRED) -> Any:
    """Free text."""
    return _field(TEXT, help, default)


def number(
    help: str, *, default: Any = REQUIRED, kw_only: bool = False, silent: bool = False
) -> Any:
    """A number that no count depends on (a dropout rate), or a scale."""
    return _field(NUMBER, help, default, kw_only=kw_only, silent=silent)


def dims(help: str, *, default: Any = REQUIRED) -> Any:
    """Dimensions: integers, -1 for what is left, or symbols."""
    return _field(DIMS, help, default, minimum=-1)


def shapes(help: str, *, default: Any = REQUIRED) -> Any:
    """A list of shapes."""
    return _field(SHAPES, help, default, minimum=0)
