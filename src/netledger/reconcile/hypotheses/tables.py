"""Tables of vectors: vocabularies, positions, and what shares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import isqrt, log2

from netledger.conventions.roles import position_embeddings
from netledger.graph import BUFFER, WEIGHT
from netledger.ledger import Row
from netledger.reconcile.claim import PARAMS
from netledger.reconcile.hypotheses.base import Hypothesis, Step, number_cost
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import EMBEDDING, LINEAR, TENSOR, outputs_of, sizes, weight_of
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, signed, sum_up

VOCABULARIES = (
    *(30522, 30000, 28996, 50257, 50265, 50304, 50272, 32000, 32128, 32001, 32064, 128256),
    *(256000, 256128, 250002, 250880, 49408, 151936, 152064, 129280, 51200, 50280, 50277, 50400),
    *(30528, 119547, 105879, 21128, 31002, 100352, 65024, 64000, 102400, 131072, 49152, 32768),
)
SIDES = (7, 8, 10, 12, 14, 16, 20, 21, 24, 27, 28, 30, 31, 32, 33, 36, 37, 40, 48, 64)
"""Patches along a side, for inputs of 224, 384, 448, 512, 518 … and patches of 8, 14, 16, 32."""
WINDOWS = (4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32)
CLASS_TOKEN = re.compile(r"(^|[._])(cls|class)_?tok", re.I)
LENGTHS = (128, 256, 512, 514, 1024, 1026, 2048, 2050, 4096, 8192, 77, 1500, 448)


class Ties(Hypothesis):
    """Shared tensors counted again, or tensors shared that need not be."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """What is shared, together and one by one; what could be."""
        tied = [(r, p) for r in s.rows for p in r.parameters if p.tied_to is not None]
        large = [(r, p) for r, p in tied if len(p.shape) > 1]
        if s.quantity != PARAMS:
            return
        together = [large, tied] if large and len(tied) > len(large) else [large]
        for chosen in [*together, *([pair] for pair in large if len(large) > 1)]:
            if chosen and type(chosen[0][1].count) is int:
                deltas = [p.count for _, p in chosen]
                names = listed(f"{r.name}.{p.name}" for r, p in chosen)
                text = f"shared tensors counted again: {names}"
                touched = frozenset(f"{r.name}/{p.name}" for r, p in chosen)
                rows = tuple(dict.fromkeys(r.name for r, _ in chosen))
                yield Proposal(
                    "tied-embedding", rows, sum(deltas), text, sum_up(deltas), 2.0, touched
                )
        yield from _every_name(s)
        for table in s.sort(EMBEDDING):
            yield from self._of_table(s, table, bool(tied))

    def _of_table(self, s: Subject, table: Row, tied: bool) -> Iterable[Proposal]:
        weight = weight_of(table)
        if weight is None or weight.shape[0] < 256:
            return
        for row in s.sort(LINEAR):
            other = weight_of(row)
            if other is not None and other.shape == weight.shape:
                cells = [Cell(row.name, other.name, WEIGHT, -other.count)]
                text = f"{row.name} shares the matrix of {table.name}"
                yield from s.offer("tied-embedding", 2.5, text, cells)
                text = f"{table.name} and {row.name} are not counted: tables of the vocabulary"
                both = [*cells, Cell(table.name, weight.name, WEIGHT, -weight.count)]
                yield from s.offer("convention", 4.0, text, both)
        if not tied and weight.shape[0] > 4096:
            text = f"an output layer as large as {table.name}, which it does not share"
            cells = [Cell("output layer", "weight", WEIGHT, weight.count)]
            yield from s.offer("tied-embedding", 4.5, text, cells)


def _every_name(s: Subject) -> Iterator[Proposal]:
    """Shared tensors under each name that the source has for them: four for T5's table."""
    counts = {(r.name, p.name): p.count for r in s.rows for p in r.parameters if not p.tied_to}
    homes = {
        key: names
        for key, names in s.graph.homes.items()
        if len(names) > 1 and type(counts.get(key)) is int
    }
    deltas = [(len(names) - 1) * counts[key] for key, names in homes.items()]
    if deltas:
        text = listed(name for names in homes.values() for name in names)
        touched = frozenset(f"{row}/{name}" for row, name in homes)
        rows = tuple(dict.fromkeys(row for row, _ in homes))
        text = f"shared tensors counted under each of their names: {text}"
        yield Proposal("tied-embedding", rows, sum(deltas), text, sum_up(deltas), 3.0, touched)


class Vocabulary(Hypothesis):
    """Another number of tokens."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Well-known vocabularies."""
        for rows, own in self._tables(s):
            for size in VOCABULARIES:
                yield from self._other(s, rows, own, size - own)

    def steps(self, s: Subject) -> Iterable[Step]:
        """Whatever number of tokens gives the difference."""
        for rows, own in self._tables(s):
            yield Step(self._cells(rows, own, 1), partial(self._unheard, rows, own))

    def _unheard(self, rows: list[Row], own: int, s: Subject, more: int) -> Iterable[Proposal]:
        if own < 4 * (own + more) < 40 * own and own + more not in VOCABULARIES:
            return self._other(s, rows, own, more)
        return ()

    @staticmethod
    def _tables(s: Subject) -> Iterator[tuple[list[Row], int]]:
        """The largest table of embeddings, with everything that has as many rows."""
        tables = [r for r in s.sort(EMBEDDING) if weight_of(r) is not None]
        if not tables:
            return
        largest = max(tables, key=lambda r: weight_of(r).count)  # type: ignore[union-attr]
        own = outputs_of(largest)
        rows = [largest, *(r for r in s.sort(LINEAR) if _rows_of(r) == own)]
        yield rows, own

    @staticmethod
    def _cells(rows: list[Row], own: int, more: int) -> list[Cell]:
        return [
            Cell(r.name, p.name, p.role, more * p.count // own)
            for r in rows
            for p in r.parameters
            if p.tied_to is None and p.shape and p.shape[0] == own
        ]

    def _other(self, s: Subject, rows: list[Row], own: int, more: int) -> Iterable[Proposal]:
        # A number of its own, or a few tokens that were added, or that pad the table.
        bits = min(number_cost(own + more), 2.0 + log2(1 + abs(more)))
        cost = 4.5 if own + more in VOCABULARIES else 5.0 + bits / 2
        return s.offer(
            "vocabulary",
            cost,
            f"a vocabulary of {own + more:,} instead of {own:,}",
            self._cells(rows, own, more),
            arithmetic=f"{signed(more)} × {(s.weigh(self._cells(rows, own, 1)) or 0):,}",
        )


def _rows_of(row: Row) -> int:
    shapes = [p.shape for p in row.parameters if p.role != BUFFER and p.shape]
    return int(shapes[0][0]) if shapes and type(shapes[0][0]) is int else 0


class Positions(Hypothesis):
    """Learned embeddings of more positions, or of fewer: another input size, another length."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Windows of another size, where attention has positions within them; no class token."""
        yield from _windows(s)
        tokens = [r for r in s.sort(TENSOR) if CLASS_TOKEN.search(r.name) and weight_of(r)]
        tables = position_tables(s)
        if len(tokens) == 1 and len(tables) == 1:
            dim = sizes(tokens[0].parameters[0])[-1]
            cells = [Cell(row.name, "weight", WEIGHT, -dim) for row in (tokens[0], tables[0])]
            text = f"without {tokens[0].name} and its position: no class token"
            yield from s.offer("head", 4.0, text, cells)

    def steps(self, s: Subject) -> Iterable[Step]:
        """The number of positions that gives the difference."""
        for row in position_tables(s):
            weight = weight_of(row)
            if weight is None or len(weight.shape) < 2:
                continue
            dim = sizes(weight)[-1]
            own = weight.count // dim
            extra = own - isqrt(own) ** 2 if s.is_a(row, TENSOR) else 0
            if extra > 2:
                continue
            usual = LENGTHS if not s.is_a(row, TENSOR) else _squares(SIDES, extra)
            known = LENGTHS if not s.is_a(row, TENSOR) else _squares(range(2, 129), extra)
            make = partial(self._other, row, own, dim, extra, (usual, known))
            cells = [Cell(row.name, "weight", WEIGHT, dim)]
            yield Step(cells, make, tuple(n - own for n in usual))

    @staticmethod
    def _other(
        row: Row,
        own: int,
        dim: int,
        extra: int,
        numbers: tuple[Sequence[int], Sequence[int]],
        s: Subject,
        more: int,
    ) -> Iterable[Proposal]:
        usual, known = numbers
        if own + more not in known:
            return
        cost = 3.0 if own + more in usual else 6.0
        new, side = own + more, isqrt(own + more - extra)
        text = f"{new:,} positions instead of {own:,} in {row.name}"
        if s.is_a(row, TENSOR):
            old = isqrt(own - extra)
            text = f"input of {side}×{side} patches instead of {old}×{old}: {text}"
        yield from s.offer(
            "input-size",
            cost,
            text,
            [Cell(row.name, "weight", WEIGHT, more * dim)],
            arithmetic=f"{signed(more)} × {dim:,} = {signed(more * dim)}",
        )


def position_tables(s: Subject) -> list[Row]:
    """The tables of learned positions."""
    return s.once("position embeddings", _position_tables)


def _position_tables(s: Subject) -> list[Row]:
    named = position_embeddings(s.ledger)
    return [row for row in s.rows if row.name in named]


def _windows(s: Subject) -> Iterator[Proposal]:
    """Swin's tables of biases: (2w − 1)² positions of a window of w × w, for each head."""
    tables = [r for r in s.sort(TENSOR) if "relative_position_bias" in r.name and weight_of(r)]
    shapes = {sizes(r.parameters[0])[0] for r in tables if len(r.parameters[0].shape) == 2}
    if len(shapes) != 1:
        return
    (own,) = shapes
    old = (isqrt(own) + 1) // 2
    for new in WINDOWS if (2 * old - 1) ** 2 == own else ():
        more = (2 * new - 1) ** 2 - own
        cells = [Cell(r.name, "weight", WEIGHT, sizes(r.parameters[0])[1]) for r in tables]
        text = f"windows of {new}×{new} instead of {old}×{old}, as for larger images"
        yield from s.offer("input-size", 4.0, text, cells, times=more)


def _squares(sides: Iterable[int], extra: int) -> list[int]:
    return [n * n + extra for n in sides]
