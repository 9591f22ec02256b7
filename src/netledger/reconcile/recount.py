"""The same network in another unit or width: where the search begins anew."""

from __future__ import annotations

from dataclasses import replace

from netledger.ledger import Row, sums
from netledger.reconcile.claim import MACS
from netledger.reconcile.proposal import Proposal
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import signed


def as_macs(s: Subject) -> tuple[Subject, Proposal]:
    """A network counted in FLOPs, in MACs, with the cause that leads there."""
    halved = Subject.of(s.ledger, MACS, s.trials)
    text = "one FLOP for each multiply-accumulate, not two"
    how = f"{s.count:,}/2 = {halved.count:,}"
    return halved, Proposal("convention", (), halved.count - s.count, text, how, 0.5)


def stored_as(s: Subject, dtype: str, text: str, cost: float) -> tuple[Subject, Proposal]:
    """A network whose numbers are stored in fewer bits, with the cause that leads there."""
    ledger = replace(s.ledger, ops=tuple(_cast(row, dtype) for row in s.ledger.ops))
    made = Subject.of(ledger, s.quantity)
    more = made.count - s.count
    how = f"{made.count:,} − {s.count:,} = {signed(more)}"
    return made, Proposal("quantized-storage", (), more, text, how, cost)


def _cast(row: Row, dtype: str) -> Row:
    parameters = tuple(
        p._replace(dtype=dtype) if p.dtype == "float32" and p.nbytes is None else p
        for p in row.parameters
    )
    kept = row.sums._replace(bytes=sums(parameters).bytes)
    return row._replace(parameters=parameters, sums=kept)
