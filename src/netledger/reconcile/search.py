"""The search: from the count to the claim by as few and as plausible causes as possible.

Most causes only add: each layer's part in the count is a sum over what it stores, so two causes
that touch nothing in common may be added, and pairs are found by looking up what is missing
(meet in the middle). Causes with a number in them are solved for what is missing. Edits that change
the size of maps are applied, and the network is derived anew; then the search goes on from there.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

from netledger.reconcile.claim import Claim
from netledger.reconcile.hypotheses import HYPOTHESES, INPUT_SIZE, Change
from netledger.reconcile.hypotheses.base import multiples
from netledger.reconcile.hypotheses.maps import COMPUTED
from netledger.reconcile.offers import changes_of_maps, cheapest, makers
from netledger.reconcile.proposal import Explanation, Proposal
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed

MOST_COST = {1: 24.0, 2: 17.0, 3: 10.5}
"""So surprising may one cause be, two together, three together; beyond, chance explains more."""
ROUNDED_COST = {1: 13.0, 2: 7.0, 3: 0.0}
"""The same for a claim of few digits, which many causes lead to."""
EACH = 1.0
"""What every further cause costs, in bits."""
SHAPED_COST = 10.0
"""The same for two causes that change the size of maps."""
UNSURE_COST = 13.0
"""The same where one is solved for, or follows an edit: of so many, chance brings some there."""
FAR = 3
"""A size or width that gives so many times what is claimed is not it, whatever else is."""
SLACK = 6.0
"""Explanations that are so much more surprising than the best are not told."""
ROUNDED_SLACK = 3.0
"""The same for a claim of few digits, where guesses are cheap."""
FURTHER = 3.0
"""Nor are more causes weighed than could come so near to the best."""
MOST_TOLD, MOST_OF_KIND = 5, 2
SHAPING = (
    "width",
    "input-size",
    "rounding-mode",
    "padding",
    "kernel",
    "stride",
    "pooling",
    "flatten",
)
"""Edits that another one may follow, in the order in which they are made."""

Counted = tuple[Change, int]
"""An edit, and the count that it leads to."""


class Search:
    """One search.

    Args:
        subject: The network.
        claim: What is claimed.
        deadline: When to stop, as `time.process_time` tells it.
        lead: A cause that comes before all others: how the number itself is to be read.
        known: How surprising the best explanation is that is known already.
    """

    def __init__(
        self,
        subject: Subject,
        claim: Claim,
        deadline: float,
        lead: Proposal | None = None,
        known: float = 100.0,
    ) -> None:
        self.known = known
        self.s, self.claim, self.deadline = subject, claim, deadline
        self.lead = () if lead is None else (lead,)
        self.bounds = MOST_COST if claim.exact else ROUNDED_COST
        self.found: list[Explanation] = []
        self.tried = 0
        self.cut = False
        self.alone: dict[tuple[str, str], int] = {}

    def run(self) -> list[Explanation]:
        """Everything that leads from the count to the claim."""
        fixed = self.s.once("fixed", cheapest)
        self._single(self.s, fixed)
        if self.claim.exact:
            for hypothesis in HYPOTHESES:
                for p in hypothesis.solve(self.s, self.claim.low - self.s.count):
                    self._offer(self.s, (p,))
        changes = self._counted(self.s)
        for change, count in changes:
            self.alone[change.kind, change.text] = count
            self._offer_change(self.s, change, count)
        if not self._good_enough(2):
            self._pairs(fixed)
            self._solved_pairs(fixed)
        self._beyond(changes)
        if not self._good_enough(3):
            self._triples(fixed)
        return self.found

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        if time.process_time() > self.deadline:
            self.cut = True
        return self.cut

    def _good_enough(self, causes: int) -> bool:
        """Whether so many causes could not be more plausible than what is found already."""
        least = 4.0 * (causes - 1)
        return self.known <= least or any(e.cost <= least for e in self.found)

    def _limit(self, causes: int) -> float:
        best = min((e.cost for e in self.found), default=self.known)
        return min(self.bounds[causes], best + (SLACK if causes == 1 else FURTHER))

    def _single(self, s: Subject, fixed: Iterable[Proposal], after: Change | None = None) -> None:
        """What one more cause explains, `after` an edit."""
        for p in fixed:
            self._offer(s, (p,), after)
        for p in self._solved(s):
            self._offer(s, (p,), after)

    def _solved(self, s: Subject, done: int = 0) -> Iterator[Proposal]:
        """Causes with a number in them, solved for what is missing when so much is `done`."""
        low, high = self.claim.low - s.count - done, self.claim.high - s.count - done
        for (unit, known), found in s.once("makers", makers).items():
            for more in multiples(unit, low, high, known):
                for make in found:
                    yield from make(s, more)

    def _offer(self, s: Subject, causes: tuple[Proposal, ...], after: Change | None = None) -> None:
        """Keeps an explanation if it leads to the claim and is not too surprising."""
        self.tried += 1
        result = s.count + sum(p.delta for p in causes)
        if not self.claim.holds(result):
            return
        before = _cause(self.s, after) if after is not None else None
        causes = causes if before is None else (before, *causes)
        whole = self.lead + causes
        cost = sum(p.cost for p in whole)
        if cost <= self._limit(len(causes)):
            if len(whole) > 1:
                last = whole[-1]
                whole = (*whole[:-1], replace(last, cost=last.cost + EACH * (len(causes) - 1)))
            exact = self.claim.exact and result == self.claim.low
            self.found.append(Explanation(whole, result, exact, self._notes(causes)))

    def _notes(self, causes: tuple[Proposal, ...]) -> tuple[str, ...]:
        if len(causes) < 2:
            return ()
        notes = [p.note for p in causes if p.note]
        for p in causes:
            alone = self.alone.get((p.kind, p.text))
            if alone is not None and alone - self.s.count != p.delta:
                notes.append(f"{_short(p)} alone gives {alone:,}")
        return tuple(notes)

    def _offer_change(
        self, s: Subject, change: Change, count: int, after: Change | None = None
    ) -> None:
        """The same for an edit; its arithmetic needs the network's books, its count does not."""
        self.tried += 1
        if self.claim.holds(count):
            cause = _cause(s, change)
            if cause is not None:
                self._offer(s, (cause,), after)

    def _counted(self, s: Subject) -> list[Counted]:
        """Every edit that needs the network derived anew, the most plausible first."""
        changes = sorted((c for h in HYPOTHESES for c in h.networks(s)), key=lambda c: c.cost)
        if not changes or not s.editable:
            return []
        found = []
        for change in changes:
            best = min((e.cost for e in self.found), default=self.known)
            if self.late or change.cost > best + FURTHER:
                break
            count = _count(s, change)
            if count is not None:
                found.append((change, count))
        return found

    def _pairs(self, fixed: list[Proposal]) -> None:
        """Two causes that touch nothing in common: what is missing is looked up."""
        by_delta = sorted(fixed, key=lambda p: p.delta)
        deltas = [p.delta for p in by_delta]
        for p in fixed:
            limit = self._limit(2) - EACH
            if 2 * p.cost > limit or self.late:
                return
            low = self.claim.low - self.s.count - p.delta
            high = self.claim.high - self.s.count - p.delta
            for other in by_delta[bisect_left(deltas, low) : bisect_right(deltas, high)]:
                fits = p.cost + other.cost <= limit and (p.cost, p.text) < (other.cost, other.text)
                if fits and apart(p, other):
                    self._offer(self.s, _ordered(p, other))

    def _solved_pairs(self, fixed: list[Proposal]) -> None:
        """One cause of the network's own, and one solved for what is then missing."""
        for p in fixed:
            limit = self._limit(2) - EACH
            if p.cost + 3.0 > min(limit, 10.0) or self.late:
                return
            for other in self._solved(self.s, p.delta):
                if p.cost + other.cost <= min(limit, UNSURE_COST) and apart(p, other):
                    self._offer(self.s, _ordered(p, other))

    def _beyond(self, changes: list[Counted]) -> None:
        """One more cause after each edit of the network; the cheapest edits first."""
        for change, count in changes:
            limit = min(self._limit(2) - EACH, UNSURE_COST)
            if self.late or change.cost + 2.0 > limit:
                return
            made = self.s.edited(change.edits) if self._may_lead(change, count) else None
            if made is None:
                continue
            made.most = limit - change.cost
            made.gap = self.claim.low - made.count, self.claim.high - made.count
            if made.count != self.s.count:
                self._single(made, cheapest(made), change)
            for then in self._followers(made, change):
                reached = _count(made, then)
                if reached is not None:
                    self._offer_change(made, then, reached, change)

    def _may_lead(self, change: Change, count: int) -> bool:
        """Whether another cause may follow: none makes up for a size that is far off."""
        if change.kind == "width" or (change.kind == "input-size" and self.s.quantity in COMPUTED):
            return self.claim.low / FAR <= count <= self.claim.high * FAR
        return True

    def _followers(self, made: Subject, change: Change) -> Iterator[Change]:
        """The edits that may follow one that was `made`, each kind after those before it."""
        if change.kind not in SHAPING or change.cost + 2.0 > SHAPED_COST:
            return
        if change.kind == "width":
            changes = list(INPUT_SIZE.networks(made))
        else:
            changes = made.alike.once("changes of maps", changes_of_maps)
        for then in changes:
            if self.late or change.cost + then.cost > min(self._limit(2) - EACH, SHAPED_COST):
                return
            later = SHAPING.index(then.kind) > SHAPING.index(change.kind)
            if later and self._may_follow(made, then):
                yield then

    def _may_follow(self, made: Subject, change: Change) -> bool:
        """Whether an edit may close the gap, by what it does alone; matrices may grow by more."""
        alone = self.alone.get((change.kind, change.text), self.s.count)
        if self.s.quantity not in COMPUTED or alone == self.s.count:
            return True
        return made.near((alone - self.s.count) / self.s.count)

    def _triples(self, fixed: list[Proposal]) -> None:
        """Three of the most plausible causes."""
        few = [p for p in fixed if p.cost <= 5.5][:90]
        by_delta = sorted(few, key=lambda p: p.delta)
        deltas = [p.delta for p in by_delta]
        for i, p in enumerate(few):
            for q in few[i + 1 :]:
                limit = self._limit(3) - 2 * EACH
                if p.cost + 2 * q.cost > limit or self.late:
                    break
                if not apart(p, q):
                    continue
                low = self.claim.low - self.s.count - p.delta - q.delta
                high = self.claim.high - self.s.count - p.delta - q.delta
                for r in by_delta[bisect_left(deltas, low) : bisect_right(deltas, high)]:
                    fits = p.cost + q.cost + r.cost <= limit and q.cost <= r.cost and r is not q
                    if fits and apart(p, r) and apart(q, r):
                        self._offer(self.s, _ordered(p, q, r))


def _count(s: Subject, change: Change) -> int | None:
    """The count that an edit leads to; derived once, for all readings of a claim."""
    return s.once(f"count of {change.text}", lambda s: s.counted(change.edits))


def _cause(s: Subject, change: Change) -> Proposal | None:
    """The edit as a cause; measured once, for all readings."""
    c = change
    return s.once(c.text, lambda s: s.measure(c.kind, c.cost, c.text, c.edits, c.rows))


def apart(a: Proposal, b: Proposal) -> bool:
    """Whether two causes count nothing in common otherwise, so that their deltas add up."""
    if "/" in a.touches or "/" in b.touches or not a.touches.isdisjoint(b.touches):
        return False
    return not (_whole(a) & _rows(b)) and not (_whole(b) & _rows(a))


def _rows(p: Proposal) -> set[str]:
    return {key.rpartition("/")[0] for key in p.touches}


def _whole(p: Proposal) -> set[str]:
    return {key[:-1] for key in p.touches if key.endswith("/")}


ORDER = ("aux-head", "depth", "width", "groups", "kernel", "classes", "vocabulary", "bias")


def _ordered(*causes: Proposal) -> tuple[Proposal, ...]:
    """Causes in the order in which people think of them: the network first, then its counting."""
    place = {kind: i for i, kind in enumerate(ORDER)}
    return tuple(sorted(causes, key=lambda p: place.get(p.kind, len(ORDER))))


def _short(p: Proposal) -> str:
    """A cause in a word or two, for a note."""
    return p.text.split(" before ")[0].split(" after ")[0].split(":")[0].removeprefix("add ")


def best(found: list[Explanation], claim: Claim) -> tuple[Explanation, ...]:
    """The most plausible explanations, few of a sort."""
    slack = SLACK if claim.exact else ROUNDED_SLACK
    told: list[Explanation] = []
    seen: set[tuple[object, ...]] = set()
    whole = {frozenset((p.kind, p.text) for p in e.causes) for e in found}
    for e in sorted(found, key=lambda e: (round(e.cost, 3), len(e.causes), e.kinds)):
        causes = frozenset((p.kind, p.text) for p in e.causes)
        if len(causes) > 1 and any(other < causes for other in whole):
            continue  # a part of it explains the claim already
        alike = [o for o in told if o.kinds == e.kinds]
        key = e.kinds, e.result, tuple(frozenset(p.rows) for p in e.causes)
        if len(told) >= MOST_TOLD or e.cost > told[0].cost + slack if told else False:
            break
        if len(alike) < MOST_OF_KIND and key not in seen:
            seen.add(key)
            told.append(e)
    return tuple(told)


__all__ = ["Search", "apart", "best", "listed"]
