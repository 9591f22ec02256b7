"""The counts of a row, which add up to the totals of its ledger, quantity by quantity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from netledger.formula import formula
from netledger.formula.simplify import simplify
from netledger.ledger import Ledger, Row, add_up, plain


class Counts(NamedTuple):
    """What a row adds to each total; what is unknown adds nothing, as in the totals."""

    weights: Any = 0
    biases: Any = 0
    params: Any = 0
    trainable: Any = 0
    frozen: Any = 0
    buffers: Any = 0
    macs: Any = 0
    neurons: Any = 0
    activations: Any = 0

    def minus(self, other: Counts) -> Counts:
        """The difference, quantity by quantity."""
        return Counts(*(_minus(x, y) for x, y in zip(self, other, strict=True)))

    @property
    def stored_or_done(self) -> bool:
        """True if there is anything in weights, biases, buffers or MACs."""
        return any(not is_zero(x) for x in (self.weights, self.biases, self.buffers, self.macs))

    @property
    def nothing(self) -> bool:
        """True if every quantity is 0."""
        return all(map(is_zero, self))

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON-ready data."""
        return {name: plain(value) for name, value in self._asdict().items()}


def is_zero(value: Any) -> bool:
    """True for a number that is 0, and for a formula that comes to 0."""
    return bool(value == 0)


def _minus(x: Any, y: Any) -> Any:
    if isinstance(x, int) and isinstance(y, int):
        return x - y
    return simplify(formula(x) - formula(y))


def total(parts: Iterable[Counts]) -> Counts:
    """The sum, quantity by quantity."""
    rows = list(parts)
    return Counts(*map(add_up, zip(*rows, strict=True))) if rows else Counts()


def count(row: Row) -> Counts:
    """What a row adds to the totals."""
    weights, biases = add_up([row.weights]), add_up([row.biases])
    return Counts(
        weights=weights,
        biases=biases,
        params=add_up((weights, biases)),
        trainable=row.sums.trainable,
        frozen=row.sums.frozen,
        buffers=add_up([row.buffers]),
        macs=add_up([row.macs]),
        neurons=add_up([row.neurons]),
        activations=add_up([row.elements]) if row.op is not None else 0,
    )


def count_rows(ledger: Ledger) -> dict[str, Counts]:
    """The counts of every row, by name."""
    return {row.name: count(row) for row in ledger.ops}


def totals(ledger: Ledger) -> Counts:
    """The totals of a ledger, as counts."""
    return Counts(*(getattr(ledger.totals, name) for name in Counts._fields))
