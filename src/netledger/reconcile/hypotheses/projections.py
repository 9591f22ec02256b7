"""Widths inside the blocks of transformers: keys and values, hidden sizes of gated layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from netledger.graph import BUFFER
from netledger.ledger import Row
from netledger.reconcile.hypotheses.base import Hypothesis, Step, number_cost
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import LINEAR, outputs_of, sizes, weight_of
from netledger.reconcile.subject import Subject

QUERY = re.compile(r"(^|[._])(q|query|q_proj|q_lin|wq)$")
KEY_OR_VALUE = re.compile(r"(^|[._])([kv]|key|value|[kv]_proj|[kv]_lin|w[kv])$")


class Projections(Hypothesis):
    """Fewer heads of keys and values than of queries, or as many; other hidden sizes."""

    def steps(self, s: Subject) -> Iterable[Step]:
        """So many features more in all blocks."""
        rows = [r for r in s.sort(LINEAR) if weight_of(r) is not None]
        queries = {outputs_of(r) for r in rows if QUERY.search(r.name)}
        shared = [r for r in rows if KEY_OR_VALUE.search(r.name)]
        owns = {outputs_of(r) for r in shared}
        if len(queries) == len(owns) == 1:
            (most,), (own,) = queries, owns
            cells = [c for row in shared for c in _outputs(row, own)]
            known = tuple(most // n - own for n in (1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 16, 32))
            yield Step(cells, partial(_keys, shared, cells, (own, most)), known)
        for own, gated in _gated(rows):
            cells = [c for row in gated for c in _outputs(row, own) or _inputs(row, own)]
            yield Step(cells, partial(_hidden, gated, cells, own))


def _keys(
    rows: list[Row], cells: list[Cell], widths: tuple[int, int], s: Subject, more: int
) -> Iterable[Proposal]:
    own, most = widths
    if not 0 < own + more <= most or most % (own + more):
        return ()
    text = f"keys and values of {own + more:,} features instead of {own:,} for queries of {most:,}"
    text = f"{text}, in {len(rows):,} layers"
    return s.offer("width", 4.5, text, cells, times=more)


def _hidden(
    rows: list[Row], cells: list[Cell], own: int, s: Subject, more: int
) -> Iterable[Proposal]:
    number = own + more
    if number <= 0 or number % 8 or not more:
        return ()
    text = f"{number:,} hidden features instead of {own:,} in {len(rows):,} layers"
    return s.offer("width", 5.5 + number_cost(number) / 2, text, cells, times=more)


def _gated(rows: Sequence[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Hidden sizes that several layers of a module make and another one takes."""
    modules: dict[str, list[Row]] = {}
    for row in rows:
        modules.setdefault(row.name.rpartition(".")[0], []).append(row)
    found: dict[int, list[Row]] = {}
    for inside in modules.values():
        for own in {outputs_of(row) for row in inside}:
            makes = [row for row in inside if outputs_of(row) == own != _taken(row)]
            takes = [row for row in inside if _taken(row) == own != outputs_of(row)]
            if len(makes) > 1 and takes and inside.index(makes[0]) < inside.index(takes[0]):
                found.setdefault(own, []).extend([*makes, *takes])
    yield from found.items()


def _taken(row: Row) -> int:
    weight = weight_of(row)
    return sizes(weight)[-1] if weight is not None else 0


def _outputs(row: Row, own: int) -> list[Cell]:
    """What one output more adds to a layer that has `own`."""
    if outputs_of(row) != own:
        return []
    learned = [p for p in row.parameters if p.role != BUFFER and p.tied_to is None]
    return [Cell(row.name, p.name, p.role, p.count // own) for p in learned]


def _inputs(row: Row, own: int) -> list[Cell]:
    """What one input more adds to a layer that takes `own`."""
    weight = weight_of(row)
    return [Cell(row.name, weight.name, weight.role, weight.count // own)] if weight else []
