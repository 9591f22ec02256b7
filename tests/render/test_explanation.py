"""Derivations on a narrow terminal: nothing is lost, nothing is wider than the terminal."""

from __future__ import annotations

import pytest

import netledger
from netledger.explain import add_up, explain
from netledger.render.explanation import write

WIDTHS = (40, 60, 80, 120)


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_narrow_terminal_gets_every_word_in_lines_that_fit(columns: int) -> None:
    ledger = netledger.ledger("alexnet")
    whole = write(ledger, explain(ledger), add_up(ledger))
    folded = write(ledger, explain(ledger), add_up(ledger), width=columns)
    assert folded.split() == whole.split()
    assert max(map(len, folded.splitlines())) <= columns
    assert len(folded.splitlines()) > len(whole.splitlines())
