"""Published claims: the true cause is the first explanation, or among the first three."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netledger import Ledger
from netledger.reconcile import SECONDS as SECONDS_OF_SEARCH
from netledger.reconcile.answer import answer as give_answer
from netledger.reconcile.claim import parse_claim
from netledger.reconcile.proposal import Reconciliation

PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "claims.md"
SECONDS = 10


class Outcome(NamedTuple):
    claim: Any
    answer: Reconciliation
    rank: int | None
    seconds: float


def outcomes(claims: list[Any], network: Callable[..., Ledger]) -> Iterator[Outcome]:
    for claim in sorted(claims, key=lambda c: str(c.model)):
        ledger, stated = network(claim.model), parse_claim(claim.claim)
        began = time.process_time()
        again = partial(network, claim.model)
        answer = give_answer(ledger, stated, SECONDS_OF_SEARCH, again)
        seconds = time.process_time() - began
        for e in answer.explanations:
            assert sum(cause.delta for cause in e.causes) == e.result - answer.count
        yield Outcome(claim, answer, claim.rank(answer), seconds)


def test_the_claims_about_the_zoo(claims: list[Any], network: Callable[..., Ledger]) -> None:
    """A sample that needs no framework."""
    sample = [c for c in claims if ":" not in c.model or c.model in OWN]
    assert len(sample) > 35
    missed = [(o.claim, o.rank) for o in outcomes(sample, network) if o.rank != 1]
    assert not missed, missed


OWN = {f"networks.py:{name}" for name in ("overfeat_fast", "nin", "lenet5_1998", "resnet20")}


@pytest.mark.slow
def test_every_claim(
    claims: list[Any], network: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    """All of claims.csv; the table is kept in docs/proofs/claims.md."""
    found = []
    for outcome in outcomes(claims, network):
        found.append(outcome)
        with capsys.disabled():
            print(line(outcome), flush=True)
        gc.collect()
    PAGE.write_text("\n".join(report(found)) + "\n", encoding="utf-8")
    first = sum(o.rank == 1 for o in found)
    third = sum(o.rank is not None and o.rank <= 3 for o in found)
    assert first >= 0.90 * len(found) and third >= 0.97 * len(found)
    assert all(o.rank == 1 for o in found if o.claim.cause == "rounding")
    assert max(o.seconds for o in found) < SECONDS


def line(o: Outcome) -> str:
    best = o.answer.explanations[0] if o.answer.explanations else None
    told = "no explanation" if best is None else "; ".join(c.text for c in best.causes) or "equal"
    rank = "–" if o.rank is None else o.rank
    cells = (o.claim.model, f"{o.answer.count:,}", o.claim.claim, o.claim.cause, rank, told)
    return f"| {' | '.join(str(cell).replace('|', ' or ') for cell in cells)} |"


def report(found: list[Outcome]) -> Iterator[str]:
    first = sum(o.rank == 1 for o in found)
    third = sum(o.rank is not None and o.rank <= 3 for o in found)
    hard = [o for o in found if o.claim.cause not in ("equal", "rounding")]
    hit = sum(o.rank == 1 for o in hard)
    slowest = max(found, key=lambda o: o.seconds)
    yield "# Published counts"
    yield ""
    yield (
        "Counts out of papers, model cards and tables, each against a network as netledger reads "
        "it, and whether `netledger reconcile` names the known cause of the difference. Written by "
        "`make prove`; the claims, with their citations, are in `tests/reconcile/claims.csv`."
    )
    yield ""
    yield f"- {len(found)} claims about {len({o.claim.model for o in found})} networks"
    yield f"- the cause is the first explanation for {first} ({share(first, found)})"
    yield f"- it is among the first three for {third} ({share(third, found)})"
    yield f"- of the {len(hard)} that are neither equal nor merely rounded: {hit} first"
    yield f"- slowest: {slowest.claim.model}, {slowest.seconds:.1f} s of processor time"
    yield ""
    yield "| network | count | claim | cause | rank | first explanation |"
    yield "|---|---:|---|---|---|---|"
    yield from map(line, found)


def share(part: int, whole: list[Outcome]) -> str:
    return f"{100 * part / len(whole):.1f} %"
