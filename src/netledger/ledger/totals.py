"""The sums over a ledger; the definitions stand in the package's description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from netledger.graph import BUFFER, WEIGHT
from netledger.ledger.row import Row, add_up, plain


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all rows; they never depend on the view. `complete` is False over an unknown."""

    weights: Any
    biases: Any
    params: Any
    trainable: Any
    frozen: Any
    buffers: Any
    macs: Any
    neurons: Any
    activations: Any
    bytes: Any
    complete: bool
    unknown: frozenset[str] = frozenset()
    """The quantities (``params``, ``macs``) that are only lower bounds."""

    def to_dict(self) -> dict[str, Any]:
        """The totals as JSON-ready data."""
        names = [name for name in self.__slots__ if name not in ("unknown", "complete")]
        known = {name: plain(getattr(self, name)) for name in names}
        return {**known, "complete": self.complete}


class Tally(NamedTuple):
    """What one row adds to each total; None where that is unknown."""

    weights: Any
    biases: Any
    trainable: Any
    frozen: Any
    buffers: Any
    macs: Any
    neurons: Any
    activations: Any
    bytes: Any
    unknown: tuple[str, ...]


def tally(row: Row) -> Tally:
    """What a row adds to the totals."""
    made = 0 if row.op is None else row.elements
    unknown = tuple(row.unknown)
    if not row.parameters:
        return Tally(row.weights, row.biases, 0, 0, row.buffers, row.macs, 0, made, 0, unknown)
    trainable: Any = 0
    frozen: Any = 0
    stored: Any = 0
    weighty = False
    for p in row.parameters:
        weighty = weighty or p.role == WEIGHT
        if p.tied_to is None:
            taken = p.stored_bytes
            stored = stored if taken is None else stored + taken
            if p.role != BUFFER and "params" not in unknown:
                if p.trainable:
                    trainable = trainable + p.count
                else:
                    frozen = frozen + p.count
    neurons = row.elements if weighty else 0
    return Tally(
        row.weights,
        row.biases,
        trainable,
        frozen,
        row.buffers,
        row.macs,
        neurons,
        made,
        stored,
        unknown,
    )


def total(tallies: Sequence[Tally]) -> Totals:
    """The sums."""
    weights = add_up([t.weights for t in tallies])
    biases = add_up([t.biases for t in tallies])
    unknown = frozenset([what for t in tallies for what in t.unknown])
    return Totals(
        weights=weights,
        biases=biases,
        params=add_up((weights, biases)),
        trainable=add_up([t.trainable for t in tallies]),
        frozen=add_up([t.frozen for t in tallies]),
        buffers=add_up([t.buffers for t in tallies]),
        macs=add_up([t.macs for t in tallies]),
        neurons=add_up([t.neurons for t in tallies]),
        activations=add_up([t.activations for t in tallies]),
        bytes=add_up([t.bytes for t in tallies]),
        complete=not unknown,
        unknown=unknown,
    )
