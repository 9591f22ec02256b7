"""What is counted from what has changed is what the books of the whole network say."""

from __future__ import annotations

import pytest

import netledger
from netledger.edits import Edit, apply
from netledger.errors import NetledgerError
from netledger.graph import Graph
from netledger.infer import infer
from netledger.reconcile.claim import FLOPS, MACS, NEURONS, PARAMS
from netledger.reconcile.hypotheses import HYPOTHESES, Change
from netledger.reconcile.offers import cheapest, makers
from netledger.reconcile.subject import Subject, total

NETWORKS = ("alexnet-keras-noflatten", "googlenet-aux", "lenet5", "resnet18")


def changes(s: Subject) -> list[Change]:
    return [change for h in HYPOTHESES for change in h.networks(s)]


def booked(graph: Graph, quantity: str, *edits: Edit) -> int | None:
    """The count after edits, by the books of the whole network; None if it is none then."""
    try:
        found: int = total(infer(apply(graph, *edits)), quantity)
    except NetledgerError:
        return None
    return found


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("quantity", [PARAMS, MACS, NEURONS])
def test_edited_networks_are_counted_as_their_books_say(model: str, quantity: str) -> None:
    s = Subject.of(netledger.ledger(model), quantity)
    found = changes(s)
    assert len(found) > 4
    for change in found[::2]:
        assert s.counted(change.edits) == booked(s.graph, quantity, *change.edits), change


def test_edits_of_an_edited_network() -> None:
    s = Subject.of(netledger.ledger("resnet18"), FLOPS)
    seen = 0
    for change in changes(s)[::9]:
        made = s.edited(change.edits)
        for then in changes(made)[::11] if made is not None else ():
            edits = (*change.edits, *then.edits)
            assert made.counted(then.edits) == booked(s.graph, FLOPS, *edits), (change, then)
            seen += 1
    assert seen > 90


def test_causes_are_weighed_anew_where_the_layers_store_the_same() -> None:
    """Not proposed anew: what comes out is the same."""
    s = Subject.of(netledger.ledger("resnet18"), MACS)
    seen = 0
    for change in changes(s)[::8]:
        made = s.edited(change.edits)
        if made is None or made.kept is made:
            continue
        seen += 1
        fresh = Subject.of(made.ledger, MACS)
        assert {p.delta for p in cheapest(made)} == {p.delta for p in cheapest(fresh)}, change
        assert makers(made).keys() == makers(fresh).keys(), change
    assert seen > 7
