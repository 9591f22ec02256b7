"""What is claimed: a number, exact or rounded, of parameters, MACs, FLOPs or bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from netledger.errors import UnknownName, UsageError

PARAMS, MACS, FLOPS, BYTES = "params", "macs", "flops", "bytes"
NEURONS, ACTIVATIONS = "neurons", "activations"
QUANTITIES = (PARAMS, MACS, FLOPS, BYTES, NEURONS, ACTIVATIONS)

NOUNS = {
    PARAMS: "parameters",
    MACS: "MACs",
    FLOPS: "FLOPs",
    BYTES: "bytes",
    NEURONS: "neurons",
    ACTIVATIONS: "activations",
}
"""What a quantity is called in sentences."""

_SCALES = {
    "": 0,
    "k": 3,
    "m": 6,
    "g": 9,
    "b": 9,
    "t": 12,
    "thousand": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
    "mio": 6,
    "bn": 9,
}
_UNITS = {
    **dict.fromkeys(("param", "params", "parameter", "parameters", "p", "weights"), PARAMS),
    **dict.fromkeys(("mac", "macs", "madd", "madds", "maddds", "mult-adds", "multadds"), MACS),
    **dict.fromkeys(("multiply-adds", "multiply-accumulates", "connections"), MACS),
    **dict.fromkeys(("flop", "flops", "ops"), FLOPS),
    **dict.fromkeys(("byte", "bytes"), BYTES),
    **dict.fromkeys(("neuron", "neurons", "units"), NEURONS),
    **dict.fromkeys(("activation", "activations"), ACTIVATIONS),
}
_NUMBER = re.compile(
    r"[~≈]?\s*(?P<whole>\d{1,3}(?:[,_ ]\d{3})+|\d+(?:_\d+)*)(?:\.(?P<part>\d+))?"
    r"(?:e\+?(?P<e>\d{1,2}))?",
    re.IGNORECASE | re.ASCII,
)
_EXAMPLES = "write for instance 62,378,344 or 60M, 4.1 GFLOPs, 4.1G:macs, 528 MB"


@dataclass(frozen=True, slots=True)
class Claim:
    """A number that somebody states, as the interval of counts that it can stand for.

    Attributes:
        text: As it was written.
        quantity: What it counts, one of `QUANTITIES`.
        value: The number as written.
        low: The smallest count that it can stand for.
        high: The largest.
        step: What one more in its last digit would be; 1 for an exact number.
        scale: What its prefix multiplies by: 1,000,000 for ``60M``.
        named: Whether the quantity was stated, not guessed.
    """

    text: str
    quantity: str
    value: Fraction
    low: int
    high: int
    step: Fraction
    scale: int
    named: bool

    @property
    def exact(self) -> bool:
        """Whether it is one number to the last digit."""
        return self.low == self.high

    def holds(self, count: int) -> bool:
        """Whether it can stand for `count`."""
        return self.low <= count <= self.high

    def coarser(self) -> Iterator[Claim]:
        """The same number with more and more of its trailing zeros taken for rounding.

        ``650,000`` may stand for all that rounds or is cut to 65 ten-thousands.
        """
        digits = str(int(self.value / self.step))
        zeros = len(digits) - len(digits.rstrip("0"))
        for n in range(3 if self.exact else 1, zeros + 1):
            yield _around(replace(self, step=self.step * 10**n))

    def binary(self) -> Claim | None:
        """The same number with prefixes of 1,024; None for one without a prefix."""
        power = {10**3: 1, 10**6: 2, 10**9: 3, 10**12: 4}.get(self.scale)
        if power is None:
            return None
        factor = Fraction(1024**power, self.scale)
        return _around(replace(self, value=self.value * factor, step=self.step * factor))

    def to_dict(self) -> dict[str, object]:
        """The claim as JSON-ready data."""
        return {"text": self.text, "low": self.low, "high": self.high}


def parse_claim(text: object, quantity: str | None = None) -> Claim:
    """A claim as people write it: ``62,378,344``, ``60M``, ``4.1G:macs``, ``528 MB``.

    A number with a prefix or a decimal point is taken for rounded: it stands for every count that
    rounds to it, and for every count of which it is the beginning (truncation).

    >>> claim = parse_claim("60M")
    >>> claim.low, claim.high
    (59500000, 60999999)

    Raises:
        UsageError: If it cannot be read.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str) or len(text) > 100:
        raise UsageError(f"a claim is a number or a text; got {text!r:.100}", hint=_EXAMPLES)
    stated, _, wish = text.strip().partition(":")
    match = _NUMBER.match(stated.strip())
    if match is None:
        raise _unreadable(text)
    scale, unit, binary = _unit(stated.strip()[match.end() :].strip(), text)
    named = _quantity(wish, quantity) or unit
    exponent = int(match["e"] or 0)
    digits = match["part"] or ""
    whole = int(re.sub("[,_ ]", "", match["whole"]) + digits)
    power = 1024 ** (scale // 3) if binary else 10**scale
    step = Fraction(power * 10**exponent, 10 ** len(digits))
    rounded = bool(scale or digits or match["e"]) and step > 1
    value = whole * step
    if value < 1:
        raise UsageError(f"the claim {text!r} is no count of at least 1", hint=_EXAMPLES)
    if value.denominator != 1 and not rounded:
        raise UsageError(f"the claim {text!r} is no whole number", hint=_EXAMPLES)
    claim = Claim(text.strip(), named or PARAMS, value, 0, 0, step, 10**scale, named is not None)
    if not rounded:
        return replace(claim, low=int(value), high=int(value), step=Fraction(1))
    return _around(claim)


def _around(claim: Claim) -> Claim:
    """The claim with the interval that rounding and truncation at its last digit leave."""
    low = -((-(claim.value - claim.step / 2)) // 1)
    high = -((-(claim.value + claim.step)) // 1) - 1
    return replace(claim, low=max(int(low), 1), high=int(high))


def _unit(words: str, text: str) -> tuple[int, str | None, bool]:
    """The power of ten, the quantity if the words tell it, and whether prefixes are of 1,024."""
    lower = words.lower()
    if lower in _UNITS:
        return 0, _UNITS[lower], False
    size = re.fullmatch(r"([KkMGT])(i?)B(?:ytes?)?", words)
    if size:
        return _SCALES[size[1].lower()], BYTES, bool(size[2])
    prefix, _, rest = lower.partition(" ")
    if prefix in _SCALES and (not rest or rest.strip() in _UNITS):
        return _SCALES[prefix], _UNITS.get(rest.strip()), False
    if lower[:1] in _SCALES and lower[1:].strip() in _UNITS:
        return _SCALES[lower[0]], _UNITS[lower[1:].strip()], False
    raise _unreadable(text)


def _quantity(wish: str, given: str | None) -> str | None:
    name = (given or wish).strip().lower()
    if not name:
        return None
    if name not in _UNITS:
        hint = f"there are {', '.join(QUANTITIES)}"
        raise UnknownName("quantity", name, QUANTITIES, hint=hint)
    return _UNITS[name]


def _unreadable(text: object) -> UsageError:
    return UsageError(f"cannot read the claim {text!r}", hint=_EXAMPLES)
