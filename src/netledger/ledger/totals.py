"""The sums over a ledger; the definitions stand in the package's description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def total(rows: Sequence[Row]) -> Totals:
    """The sums."""
    weights = add_up([row.sums.weights for row in rows])
    biases = add_up([row.sums.biases for row in rows])
    unknown = frozenset([what for row in rows for what in row.unknown])
    return Totals(
        weights=weights,
        biases=biases,
        params=add_up((weights, biases)),
        trainable=add_up([row.sums.trainable for row in rows]),
        frozen=add_up([row.sums.frozen for row in rows]),
        buffers=add_up([row.sums.buffers for row in rows]),
        macs=add_up([row.macs for row in rows]),
        neurons=add_up([row.neurons for row in rows]),
        activations=add_up([row.elements for row in rows if row.op is not None]),
        bytes=add_up([row.sums.bytes for row in rows]),
        complete=not unknown,
        unknown=unknown,
    )
