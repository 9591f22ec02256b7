"""Other input sizes for a network that is read anew, for its source fixes sizes inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from netledger.errors import NetledgerError
from netledger.formula import Dim
from netledger.ledger import Ledger
from netledger.reconcile.claim import FLOPS, MACS, Claim
from netledger.reconcile.hypotheses.maps import COMPUTED, SIZES, USUAL
from netledger.reconcile.proposal import Explanation, Proposal
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import signed

Reread = Callable[[tuple[Dim, ...]], Ledger]
"""Reads the network again, on an input of another shape (without the batch)."""
MOST_READ = 3
"""So many sizes are tried: those at which a count that grows with the area comes nearest."""
COST = 4.0


def resized(s: Subject, claim: Claim, reread: Reread, deadline: float) -> list[Explanation]:
    """Whether the claim is the count for images of another size.

    No reading is begun that would not end before `deadline`, as `time.process_time` tells it, if it
    took as long as the longest so far.
    """
    if s.quantity not in COMPUTED or len(s.graph.inputs) != 1 or not s.count:
        return []
    ((_, t),) = s.graph.inputs.items()
    if len(t.shape) != 4:
        return []
    last = t.shape[1] == t.shape[2] != t.shape[3]
    own, channels = t.shape[2], t.shape[3] if last else t.shape[1]
    if not isinstance(own, int):
        return []
    found = []
    longest = 0.0
    for subject, lead in _readings(s):
        near = sorted(SIZES, key=partial(_distance, subject.count, own, claim))
        for size in [size for size in near if size != own][:MOST_READ]:
            began = time.process_time()
            if began + longest > deadline:
                break
            shape = (size, size, channels) if last else (channels, size, size)
            try:
                made = Subject.of(reread(shape), subject.quantity)
            except NetledgerError:
                continue
            finally:
                longest = max(longest, time.process_time() - began)
            if claim.holds(made.count):
                delta = made.count - subject.count
                text = f"input {size}×{size} instead of {own}×{own}"
                how = f"{made.count:,} − {subject.count:,} = {signed(delta)}"
                cause = Proposal("input-size", (), delta, text, how, COST)
                found.append(Explanation((*lead, cause), made.count, claim.exact))
        if found:
            break
    return found


def _distance(count: int, own: int, claim: Claim, size: int) -> float:
    """How far a count that grows with the area would be from the claim; usual sizes are nearer."""
    away = abs(count * size * size / own**2 - float(claim.value))
    return away / 3 if size in USUAL else away


def _readings(s: Subject) -> Iterator[tuple[Subject, tuple[Proposal, ...]]]:
    """The network's count as it stands, and FLOPs as MACs."""
    yield s, ()
    if s.quantity == FLOPS:
        halved, lead = as_macs(s)
        yield halved, (lead,)


def as_macs(s: Subject) -> tuple[Subject, Proposal]:
    """A network counted in FLOPs, in MACs, with the cause that leads there."""
    halved = Subject.of(s.ledger, MACS, s.trials)
    text = "one FLOP for each multiply-accumulate, not two"
    how = f"{s.count:,}/2 = {halved.count:,}"
    return halved, Proposal("convention", (), halved.count - s.count, text, how, 0.5)
