"""What the tests of `diff` share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netledger.diff.counts import Counts, total, totals
from netledger.diff.difference import Difference, compare
from netledger.edits import apply
from netledger.graph import Graph
from netledger.infer import infer


def _proved(a: Graph, b: Graph) -> Difference:
    found = compare(infer(a), infer(b))
    delta = Counts(*(y - x for x, y in zip(totals(infer(a)), totals(infer(b)), strict=True)))
    assert total(cause.delta for cause in found.causes) == delta == found.delta
    for cause in found.causes:
        assert total(cause.rows.values()) == cause.delta
        assert cause.text
        assert cause.kind != "recorded", cause
    assert total(pair.delta for pair in found.pairs)._replace(neurons=0) == delta._replace(
        neurons=0
    )
    assert {p.a.name for p in found.pairs if p.a} == {node.name for node in a.nodes}
    assert {p.b.name for p in found.pairs if p.b} == {node.name for node in b.nodes}
    assert totals(infer(apply(a, *found.edits))) == totals(infer(b))
    return found


@pytest.fixture(scope="session")
def proved() -> Callable[[Graph, Graph], Difference]:
    """``proved(a, b)``: their difference, all of its sums checked and all edits applied."""
    return _proved
