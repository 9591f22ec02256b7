"""Other input sizes for a network that is read anew, for its source fixes sizes inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from netledger.errors import NetledgerError
from netledger.formula import Dim
from netledger.graph import BATCH
from netledger.ledger import Ledger
from netledger.reconcile.claim import FLOPS, MACS, Claim
from netledger.reconcile.hypotheses.layers import kernel_of
from netledger.reconcile.hypotheses.maps import COMPUTED, SIZES, USUAL
from netledger.reconcile.hypotheses.tables import position_tables
from netledger.reconcile.proposal import Explanation, Proposal
from netledger.reconcile.recount import as_macs
from netledger.reconcile.sorts import CONV, sizes
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import signed

Reread = Callable[[tuple[Dim, ...]], Ledger]
"""Reads the network again, on an input of another shape (without the batch)."""
MOST_READ = 3
"""So many sizes are tried: those at which a count that grows with the area comes nearest."""
COST = 4.0
MOST_TOKENS = 2
"""So many tokens there may be beside those of patches: of the class, of a teacher."""


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
            count = _count(subject, reread, shape, (own, size))
            longest = max(longest, time.process_time() - began)
            if count is not None and claim.holds(count):
                delta = count - subject.count
                text = f"input {size}×{size} instead of {own}×{own}"
                how = f"{count:,} − {subject.count:,} = {signed(delta)}"
                cause = Proposal("input-size", (), delta, text, how, COST)
                found.append(Explanation((*lead, cause), count, claim.exact))
        if found:
            break
    return found


def _count(
    s: Subject, reread: Reread, shape: tuple[Dim, ...], sides: tuple[int, int]
) -> int | None:
    """The count for images of another size; None if the network does not take them."""
    try:
        return Subject.of(reread(shape), s.quantity).count
    except NetledgerError:
        return _of_patches(s, *sides)


def _of_patches(s: Subject, own: int, new: int) -> int | None:
    """The same for a transformer of patches, which takes one size, as if built for the other.

    Work is only done in layers whose shapes have the number of patches in them, so this number is
    exchanged there, and the rules are asked again.
    """
    first, tables = s.sort(CONV)[:1], position_tables(s)
    patch = kernel_of(first[0])[:1] if first else ()
    if len(tables) != 1 or s.quantity not in (MACS, FLOPS) or not patch or new % patch[0]:
        return None
    before, after = (own // patch[0]) ** 2, (new // patch[0]) ** 2
    positions = sizes(tables[0].parameters[0])
    extra = [d - before for d in positions if 0 <= d - before <= MOST_TOKENS]
    if not extra:
        return None
    other: dict[Dim, Dim] = {}
    for old, now in ((own, new), (before, after), (before + extra[0], after + extra[0])):
        other[old], other[old * BATCH] = now, now * BATCH
    found = 0
    for row in s.ledger.ops:
        if row.op is not None and row.macs != 0:
            shapes = [tuple(other.get(d, d) for d in t.shape) for t in row.input_types]
            try:
                derived = s.trials.answers.ask(s.graph.node(row.name), tuple(shapes))
            except NetledgerError:
                return None
            if type(derived.macs) is not int or row.unknown:
                return None
            found += derived.macs
    return found * (2 if s.quantity == FLOPS else 1)


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
