"""What a convention is: a named way to count, and what it counts otherwise than we do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from netledger.formula import Formula
from netledger.formula.simplify import simplify
from netledger.ledger import Ledger, Totals, add_up

PARAMS, MACS, FLOPS, BYTES, ACTIVATIONS = "params", "macs", "flops", "bytes", "activations"
QUANTITIES = (PARAMS, MACS, FLOPS, BYTES, ACTIVATIONS)


class Charge(NamedTuple):
    """What one row counts more (or less, negative) than in our books, and the cause.

    A delta of None says that the row cannot be counted so.
    """

    row: str
    cause: str
    delta: Any


@dataclass(frozen=True, slots=True)
class Term:
    """One cause of a difference from our count.

    Attributes:
        cause: Why these rows count otherwise.
        rows: For each row, by how much.
        kinds: The operations that they are, each once.
    """

    cause: str
    rows: tuple[tuple[str, Any], ...]
    kinds: tuple[str, ...]

    @property
    def delta(self) -> Any:
        """The sum over the rows."""
        return add_up(delta for _, delta in self.rows)


@dataclass(frozen=True, slots=True)
class Count:
    """A network counted by a convention.

    Attributes:
        convention: How it was counted.
        ledger: The network's books.
        terms: What leads from ours to the total, largest first; the deltas add up exactly.
        unknown: Rows that no rule counts: the total is a lower bound then.
    """

    convention: Convention
    ledger: Ledger
    terms: tuple[Term, ...]
    unknown: tuple[str, ...] = ()

    @property
    def ours(self) -> Any:
        """Our own count of the same quantity."""
        return ours(self.ledger, self.convention.quantity)

    @property
    def delta(self) -> Any:
        """What the convention counts more than we."""
        return add_up(term.delta for term in self.terms)

    @property
    def total(self) -> Any:
        """The network's count in the convention."""
        return add_up((self.ours, self.delta))


@dataclass(frozen=True)
class Convention:
    """A named way to count.

    Attributes:
        name: What it is selected by: ``flops``, ``trainable``, ``torchinfo`` …
        quantity: What it is a count of, one of `QUANTITIES`.
        text: One line about what is counted.
        rule: What each row counts otherwise than in our own count of the quantity.
        tool: The tool whose number it is, with its version; empty for a convention of ours.
    """

    name: str
    quantity: str
    text: str
    rule: Callable[[Ledger], Iterable[Charge]]
    tool: str = ""

    def count(self, ledger: Ledger) -> Count:
        """The network in this convention, with the cause of each difference from ours.

        >>> import netledger
        >>> from netledger.conventions import CONVENTIONS
        >>> found = CONVENTIONS["flops"].count(netledger.ledger("lenet5"))
        >>> found.ours == found.total, found.total
        (True, 833040)
        """
        charges = tuple(self.rule(ledger))
        what = {FLOPS: MACS, BYTES: PARAMS}.get(self.quantity, self.quantity)
        unknown = [row.name for row in ledger.ops if what in row.unknown]
        unknown += [charge.row for charge in charges if charge.delta is None]
        terms = _terms(ledger, charges)
        return Count(self, ledger, terms, tuple(dict.fromkeys(unknown)))


def unchanged(ledger: Ledger) -> tuple[Charge, ...]:
    """The rule of what is counted as we count it."""
    return ()


def _terms(ledger: Ledger, charges: Iterable[Charge]) -> tuple[Term, ...]:
    kinds = {row.name: row.kind for row in ledger.ops}
    by_cause: dict[str, dict[str, Any]] = {}
    for row, cause, delta in charges:
        if delta is not None and not _nothing(delta):
            rows = by_cause.setdefault(cause, {})
            rows[row] = add_up((rows.get(row, 0), delta))
    terms = [
        Term(cause, tuple(rows.items()), tuple(dict.fromkeys(kinds.get(r, "") for r in rows)))
        for cause, rows in by_cause.items()
    ]
    return tuple(sorted(terms, key=lambda term: -_size(term.delta)))


def ours(ledger: Ledger, quantity: str) -> Any:
    """Our own count; a FLOP is half a MAC."""
    totals: Totals = ledger.totals
    if quantity == FLOPS:
        return simplify(2 * totals.macs)
    return getattr(totals, quantity)


def _nothing(delta: Any) -> bool:
    return isinstance(delta, int) and delta == 0


def _size(delta: Any) -> Any:
    """For sorting: what has a symbol in it comes first."""
    if isinstance(delta, Formula):
        return 1 << 100 if delta.value is None else abs(delta.value)
    return abs(delta)
