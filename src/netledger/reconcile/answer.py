"""The answer to a claim: how the number may be read, and a search for each way to read it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from netledger.errors import UsageError
from netledger.ledger import Ledger
from netledger.reconcile.claim import ACTIVATIONS, BYTES, FLOPS, MACS, NEURONS, NOUNS, PARAMS, Claim
from netledger.reconcile.hypotheses.maps import COMPUTED
from netledger.reconcile.offers import cheapest
from netledger.reconcile.proposal import Explanation, Proposal, Reconciliation
from netledger.reconcile.recount import as_macs, stored_as
from netledger.reconcile.resize import Reread, resized
from netledger.reconcile.search import Search, best
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import signed


def answer(
    ledger: Ledger, claim: Claim, seconds: float, reread: Reread | None = None
) -> Reconciliation:
    """The explanations of a claim about a network.

    `reread` serves networks whose source has to be asked what becomes of another input.
    """
    began = time.process_time()
    subject = Subject.of(ledger, claim.quantity)
    if not subject.rows and claim.quantity not in ("activations",):
        raise UsageError("the network stores nothing that could be counted otherwise")
    patient = reread is None or claim.quantity not in COMPUTED
    deadline = time.process_time() + (seconds if patient else seconds / 2)
    unknown = {BYTES: PARAMS, FLOPS: MACS, NEURONS: ACTIVATIONS}.get(claim.quantity, claim.quantity)
    complete = unknown not in ledger.totals.unknown
    if not complete and not subject.count:
        why = next(row.unknown[unknown] for row in ledger.ops if unknown in row.unknown)
        raise UsageError(
            f"how many {NOUNS[claim.quantity]} there are is unknown: {why}",
            hint="claim what is known: 'netledger show' lists it",
        )
    if claim.holds(subject.count):
        found, tried, cut = [_held(subject, claim)], 1, False
        if not claim.exact:
            found += _besides(subject, claim)
    else:
        found, tried, cut = _searched(subject, claim, deadline)
        if reread is not None and min((e.cost for e in found), default=100.0) > UNSURE:
            found += resized(subject, claim, reread, began + seconds)
    told = best(found, claim)
    return Reconciliation(
        model=ledger.graph.name,
        claim=claim,
        count=subject.count,
        explanations=told,
        complete=complete,
        tried=tried,
        derived=subject.trials.made,
        cut=cut,
        notes=_doubts(claim, told),
    )


UNSURE = 6.0
"""From so many bits on, chance explains a number of few digits as well."""


def _doubts(claim: Claim, told: tuple[Explanation, ...]) -> tuple[str, ...]:
    if claim.exact or not told or told[0].cost < UNSURE:
        return ()
    return (f"a number of {_digits(claim)} fits many causes: take these as guesses",)


def _searched(
    subject: Subject, claim: Claim, deadline: float
) -> tuple[list[Explanation], int, bool]:
    found: list[Explanation] = []
    tried, cut = 0, False
    readings = list(_readings(subject, claim))
    for left, (s, read, lead) in zip(range(len(readings), 0, -1), readings, strict=True):
        if read.holds(s.count):
            assert lead is not None
            exact = read.exact and s.count == read.low
            found.append(Explanation((lead,), s.count, exact))
            continue
        known = min((e.cost for e in found), default=100.0)
        if lead is not None and lead.cost > known + 3.0:
            continue
        now = time.process_time()
        search = Search(s, read, now + (deadline - now) / left, lead, known)
        found += search.run()
        tried, cut = tried + search.tried, cut or search.cut
    return found, tried, cut


def _held(s: Subject, claim: Claim) -> Explanation:
    """The count is what is claimed, to the last digit or rounded."""
    if claim.exact:
        return Explanation((), s.count, True)
    cost = _distance(s, claim) if _cut(s.count, claim) else 0.0
    return Explanation((_rounding(s.count, claim, cost),), s.count, False)


def _besides(s: Subject, claim: Claim) -> list[Explanation]:
    """What else rounds to the claim, if it is very plausible: without the head, say.

    What the last digit of the claim hardly notices needs not be told.
    """
    cut = _cut(s.count, claim)
    return [
        Explanation((p,), count, False)
        for p in s.once("fixed", cheapest)
        if p.cost <= 3.0 and p.kind != "classes" and 4 * abs(p.delta) >= claim.step
        if claim.holds(count := s.count + p.delta)
        if not (cut and _cut(count, claim))
    ]


def _cut(count: int, claim: Claim) -> bool:
    """Whether the claim is what the count begins with, not what it rounds to."""
    return 2 * abs(count - claim.value) > claim.step


def _rounding(count: int, claim: Claim, cost: float) -> Proposal:
    """The claim is the count with fewer digits."""
    below, above = count - claim.value, claim.value - count
    how = "rounded"
    if _cut(count, claim):
        how = "cut off, not rounded" if below > 0 else "rounded up"
    text = f"{count:,} {NOUNS[claim.quantity]} {how} to {_digits(claim)}"
    number = claim.text.partition(":")[0]
    arithmetic = f"{count:,} is {signed(int(below if below > 0 else -above))} from {number}"
    return Proposal("rounding", (), 0, text, arithmetic, cost, frozenset())


def _digits(claim: Claim) -> str:
    number = len(str(int(claim.value / claim.step)))
    return f"{number} digit" if number == 1 else f"{number} digits"


def _readings(s: Subject, claim: Claim) -> Iterator[tuple[Subject, Claim, Proposal | None]]:
    """The ways to read a claim: as it stands; FLOPs as MACs; prefixes of 1,024; rounded zeros."""
    yield from _rounder(s, claim)
    yield s, claim, None
    if claim.quantity == FLOPS:
        halved, lead = as_macs(s)
        yield halved, claim, lead
    if claim.quantity == BYTES:
        for dtype, bits, cost in (("float16", 16, 2.5), ("int8", 8, 3.0)):
            smaller, lead = stored_as(s, dtype, f"each number stored in {bits} bits", cost)
            if not claim.holds(smaller.count):  # else a convention says so
                yield smaller, claim, lead
    binary = claim.binary()
    if binary is not None:
        power = len(str(claim.scale)) // 3
        prefix = ("", "thousand", "million", "billion", "trillion")[power]
        text = f"a {prefix} is 1,024{'²³⁴'[power - 2] if power > 1 else ''} = {1024**power:,}"
        if claim.quantity == BYTES:
            letter = "KMGT"[power - 1]
            text = f"{letter}B are {letter}iB: {1024**power:,} bytes"
        cost = 1.0 if claim.quantity == BYTES else 6.0
        how = f"{s.count:,}/{1024**power:,} = {s.count / 1024**power:,.2f}"
        yield s, binary, Proposal("unit", (), 0, text, how, cost)
    yield from _rounded(s, claim)


def _rounder(s: Subject, claim: Claim) -> Iterator[tuple[Subject, Claim, Proposal | None]]:
    """Trailing zeros taken for rounding: the most digits that hold the count."""
    for read in claim.coarser():
        digits = len(str(int(read.value / read.step)))
        if read.holds(s.count):
            cost = {1: 7.0, 2: 3.0}.get(digits, 2.0) if claim.exact else 1.2 + _distance(s, claim)
            yield s, read, _rounding(s.count, read, cost)
            return
    up = replace(claim, low=int(claim.value - claim.step) + 1)
    if not claim.exact and claim.value >= 10 * claim.step and up.holds(s.count):
        yield s, up, _rounding(s.count, up, 3.0 + _distance(s, claim))


def _distance(s: Subject, claim: Claim) -> float:
    """How surprising it is that a number was rounded so far: 70 billion for 69, less than 33."""
    return 30 * float(abs(s.count - claim.value) / claim.value)


def _rounded(s: Subject, claim: Claim) -> Iterator[tuple[Subject, Claim, Proposal | None]]:
    """Trailing zeros taken for rounding to two digits, where the count itself is not held."""
    for read in claim.coarser():
        two = len(str(int(read.value / read.step))) == 2
        if two and claim.exact and not read.holds(s.count):
            text = f"{claim.text} is rounded to two digits"
            how = f"{read.low:,} to {read.high:,}"
            yield s, read, Proposal("rounding", (), 0, text, how, 3.0)
