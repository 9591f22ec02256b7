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


def test_the_claims_about_the_zoo(
    claims: list[Any], many: list[Any], network: Callable[..., Ledger]
) -> None:
    """A sample that needs no framework."""
    sample = [c for c in claims if ":" not in c.model or c.model in OWN]
    sample += [c for c in many if c.model in SMALL]
    assert len(sample) > 65
    missed = [(o.claim, o.rank) for o in outcomes(sample, network) if o.rank != 1]
    assert not missed, missed


SMALL = ("alexnet", "alexnet-2012", "lenet5", "vgg16")
OWN = {f"networks.py:{name}" for name in ("overfeat_fast", "nin", "lenet5_1998", "resnet20")}


@pytest.mark.slow
def test_every_claim(
    claims: list[Any], network: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    """All of claims.csv; the table is kept in docs/proofs/claims.md."""
    found = measure(claims, network, capsys)
    write(PAGE, "# Published counts", PUBLISHED, found)
    assert share(1, found) >= 0.90 and share(3, found) >= 0.97
    assert all(o.rank == 1 for o in found if o.claim.cause == "rounding")


@pytest.mark.slow
def test_every_variant(
    variants: list[Any], network: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    """Models built with other arguments; the table is kept in docs/proofs/variants.md."""
    found = measure(variants, network, capsys)
    write(PAGE.with_name("variants.md"), "# Variants of library models", VARIANTS, found)
    assert share(1, found) >= 0.90 and share(3, found) >= 0.90


@pytest.mark.slow
def test_claims_of_many_sorts(
    many: list[Any], network: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    """Claims of many sorts; the table is kept in docs/proofs/many.md."""
    found = measure(many, network, capsys)
    write(PAGE.with_name("many.md"), "# Claims of many sorts", MANY, found)
    assert share(1, found) >= 0.90 and share(3, found) >= 0.90


PUBLISHED = (
    "Counts out of papers, model cards and tables, each against a network as netledger reads it, "
    "and whether `netledger reconcile` names the known cause of the difference. Counts whose cause "
    "nobody knows are left out. What a cause costs beforehand was set with these in view. Written "
    "by `make prove`; the claims, with their citations, are in `tests/reconcile/claims.csv`."
)
VARIANTS = (
    "What PyTorch counts for a model that is built with other arguments, claimed of the model as "
    "it is built by default. The list was made after the search was finished: on its first run 88 "
    "of 94 causes came first, and 88 among the first three. Then three gaps that it showed were "
    "mended (biases of layers with one name, several stages deeper at once, MobileNet's rounded "
    "widths). Written by `make prove`; the calls are in `tests/reconcile/variants.csv`."
)


MANY = (
    "What people change, misread or leave out, tried on torchvision, timm, Keras, transformers and "
    "the zoo: the true count after the change, claimed of the network as it is by default. Two "
    "lists, each written down before the search was tried on any of it. Of the first, 222 claims, "
    "the cause then came first for 195, and two more were labelled too narrowly; of the second, 70 "
    "claims about other networks, for 64 (66 among the first three). Then the gaps that they "
    "showed were mended in general: after the first, keys and values of other widths, gated hidden "
    "sizes, biases of attention, tables under each of their names, windows, layer scales, class "
    "tokens, auxiliary heads that no layer uses, partly frozen networks, what a file takes beside "
    "its tensors; after the second, heads that are added up, heads of several layers, Keras' "
    "larger files, numbers that are rounded up. Written by `make prove`; the claims are in "
    "`tests/reconcile/many.csv`, the second list behind the first."
)


def measure(
    claims: list[Any], network: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> list[Outcome]:
    found = []
    for outcome in outcomes(claims, network):
        found.append(outcome)
        with capsys.disabled():
            print(line(outcome), flush=True)
        gc.collect()
    return found


def share(rank: int, found: list[Outcome]) -> float:
    """For how many the cause is among the first explanations."""
    return count(rank, found) / len(found)


def count(rank: int, found: list[Outcome]) -> int:
    return sum(o.rank is not None and o.rank <= rank for o in found)


def line(o: Outcome) -> str:
    best = o.answer.explanations[0] if o.answer.explanations else None
    told = "no explanation" if best is None else "; ".join(c.text for c in best.causes) or "equal"
    rank = "–" if o.rank is None else o.rank
    cells = (o.claim.model, f"{o.answer.count:,}", o.claim.claim, o.claim.cause, rank, told)
    return f"| {' | '.join(str(cell).replace('|', ' or ') for cell in cells)} |"


def write(page: Path, title: str, about: str, found: list[Outcome]) -> None:
    hard = [o for o in found if o.claim.cause not in ("equal", "rounding")]
    slowest = max(found, key=lambda o: o.seconds)
    lines = [
        *(title, "", about, ""),
        f"- {len(found)} claims about {len({o.claim.model for o in found})} networks",
        f"- the cause is the first explanation for {told(1, found)}",
        f"- it is among the first three for {told(3, found)}",
        f"- of the {len(hard)} that are neither equal nor merely rounded: {told(1, hard)} first",
        f"- slowest: {slowest.claim.model}, {slowest.seconds:.1f} s of processor time",
        *("", "| network | count | claim | cause | rank | first explanation |"),
        "|---|---:|---|---|---|---|",
        *map(line, found),
    ]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def told(rank: int, found: list[Outcome]) -> str:
    return f"{count(rank, found)} ({100 * share(rank, found):.1f} %)"
