"""The whole ledger of every network, as a text in ``tests/golden``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netledger import zoo
from netledger.infer import infer
from netledger.ledger import Ledger, Row


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_ledger(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.txt", written(infer(zoo.load(name))))


def written(ledger: Ledger) -> str:
    """A ledger as text: totals, then a paragraph for each operation."""
    totals = (f"{k} {v}" for k, v in ledger.totals.to_dict().items())
    head = [f"{ledger.graph.name}: {ledger.graph.title}", *totals]
    return "\n".join([*head, "", *map(paragraph, ledger.ops)]) + "\n"


def paragraph(row: Row) -> str:
    feeds = f" of {', '.join(row.inputs)}" if row.inputs else ""
    fold = f" in {row.scope}" if row.scope else ""
    stored = ", ".join(f"{p.name} {'×'.join(map(str, p.shape))}" for p in row.parameters)
    counts = f"weights {row.weights} biases {row.biases} buffers {row.buffers} macs {row.macs}"
    return "\n  ".join(
        [
            f"{row.name}{fold}: {row.op or row.kind}{feeds}",
            f"-> {', '.join(map(str, row.outputs))} sees {row.receptive_field}",
            f"{counts} elements {row.elements}{'; ' + stored if stored else ''}",
        ]
    )
