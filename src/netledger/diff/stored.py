"""Comparison with a file that has no graph: what modules store, for there is nothing else."""

from __future__ import annotations

from difflib import SequenceMatcher

from netledger.diff.counts import Counts, count
from netledger.graph import Graph
from netledger.ledger import Ledger, Row

Rows = tuple[Row | None, Row | None]


def graphless(graph: Graph) -> bool:
    """True for a list of stored tensors."""
    return any(node.op.silent for node in graph.nodes)


def align_stored(a: Ledger, b: Ledger) -> list[Rows]:
    """Rows that store something, by name, and else in order by the shapes of what they store."""
    ours, theirs = _storing(a), _storing(b)
    named = {row.name: row for row in theirs}
    pairs: list[Rows] = [(row, named[row.name]) for row in ours if row.name in named]
    both = {row.name for row, _ in pairs if row is not None}
    rest_a = [row for row in ours if row.name not in both]
    rest_b = [row for row in theirs if row.name not in both]
    match = SequenceMatcher(None, [*map(_shapes, rest_a)], [*map(_shapes, rest_b)], autojunk=False)
    for _, i0, i1, j0, j1 in match.get_opcodes():
        shared = min(i1 - i0, j1 - j0)
        pairs += zip(rest_a[i0 : i0 + shared], rest_b[j0 : j0 + shared], strict=True)
        pairs += [(row, None) for row in rest_a[i0 + shared : i1]]
        pairs += [(None, row) for row in rest_b[j0 + shared : j1]]
    return pairs


def _storing(ledger: Ledger) -> list[Row]:
    return [row for row in ledger.ops if row.parameters or "params" in row.unknown]


def _shapes(row: Row) -> str:
    return str(sorted((p.role, str(p.shape)) for p in row.parameters))


def stored_delta(pair: Rows) -> Counts:
    """What a pair of rows stores more or less; what it computes is left out."""
    a, b = (Counts() if row is None else count(row) for row in pair)
    return b.minus(a)._replace(macs=0, neurons=0, activations=0)
