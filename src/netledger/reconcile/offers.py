"""What the hypotheses have to offer for a network; what was offered before is only weighed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netledger.reconcile.hypotheses import HYPOTHESES, MAPS, Change
from netledger.reconcile.hypotheses.base import Step
from netledger.reconcile.proposal import Proposal
from netledger.reconcile.subject import Subject

Makers = dict[tuple[int, tuple[int, ...]], list[Callable[[Subject, int], Iterable[Proposal]]]]
"""By what one more adds to the count and the numbers that people choose: what makes proposals."""


def cheapest(s: Subject) -> list[Proposal]:
    """What the network offers, the most plausible first; of equal ones only the first."""
    found: dict[tuple[int, frozenset[str] | str], Proposal] = {}
    for p in _offered(s):
        key = p.delta, frozenset(p.rows) or p.text
        if key not in found or found[key].cost > p.cost:
            found[key] = p
    return sorted(found.values(), key=lambda p: p.cost)


def _offered(s: Subject) -> Iterator[Proposal]:
    """What hypotheses propose; what concerns stored tensors, of the network that has the same."""
    before = s.kept.once("fixed", cheapest) if s.kept is not s else None
    for hypothesis in HYPOTHESES:
        if before is None or not hypothesis.of_tensors:
            yield from hypothesis.fixed(s)
    for p in before or ():
        if p.cost > s.most:
            return
        if p.cells:
            yield from s.again(p)


def makers(s: Subject) -> Makers:
    """Makers of causes with a number in them; those that one division solves for stand together."""
    found: Makers = {}
    for step in s.kept.once("steps", _steps):
        unit = s.weigh(step.cells)
        if unit:
            found.setdefault((unit, step.known), []).append(step.make)
    return found


def _steps(s: Subject) -> list[Step]:
    return [step for hypothesis in HYPOTHESES for step in hypothesis.steps(s)]


def changes_of_maps(s: Subject) -> list[Change]:
    """The edits that change the size of maps, the most plausible first."""
    return sorted((c for h in MAPS for c in h.networks(s)), key=lambda c: c.cost)
