"""The network that is explained: its count, its layers by sort, what edits make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar

from netledger.edits import Edit, apply
from netledger.edits.draft import derived
from netledger.errors import NetledgerError, UsageError
from netledger.formula import Formula
from netledger.graph import BUFFER, WEIGHT, Graph
from netledger.ledger import Ledger, Row
from netledger.ops import Flatten, Linear
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.reconcile.claim import BYTES, FLOPS, MACS, NOUNS, PARAMS
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import sort_of
from netledger.reconcile.tally import NOTHING, Parts, Trials, of_row, tally
from netledger.reconcile.words import changed, signed, sum_up

MOST_SHOWN = 3
ROOM = 3
"""An edit changes another cause's share of the count by no more than this factor, or its inverse.
"""
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
T = TypeVar("T")


class Subject:
    """A network, counted in one quantity.

    Attributes:
        graph: The network.
        quantity: What is counted.
        trials: What it shares with the networks that are edits of it.
        origin: The network that it is an edit of.
        batch: What its books are for; None: one sample.
        most: Causes that are more surprising, in bits, need not be proposed.
        gap: Nor need causes with a delta that lies outside of this, if it is not None.
    """

    def __init__(
        self,
        graph: Graph,
        write: Callable[[], Ledger],
        quantity: str,
        trials: Trials,
        *,
        batch: int | None = None,
        origin: Subject | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.graph, self.quantity, self.trials = graph, quantity, trials
        self.origin, self.batch = origin, batch
        self.most = 100.0
        self.gap: tuple[int, int] | None = None
        self._write, self._parts = write, parts
        self._known: dict[str, Any] = {}
        self._edited: dict[tuple[Edit, ...], Subject | None] = {}

    @classmethod
    def of(cls, ledger: Ledger, quantity: str, trials: Trials | None = None) -> Subject:
        """A network with books."""
        return cls(ledger.graph, lambda: ledger, quantity, trials or Trials(), batch=ledger.batch)

    @cached_property
    def ledger(self) -> Ledger:
        """Its books; those of an edit are written when they are asked for."""
        return self._write()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its layers that store anything, in order."""
        return tuple([row for row in self.ledger.ops if row.parameters])

    @cached_property
    def by_name(self) -> dict[str, Row]:
        """All rows by name."""
        return {row.name: row for row in self.ledger.ops}

    @cached_property
    def count(self) -> int:
        """Its own count of the quantity."""
        if self._parts is not None:
            return sum(self._parts.counts.values())
        return _plain(total(self.ledger, self.quantity), self.quantity)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """What each layer adds to the count."""
        if self._parts is not None:
            return self._parts.counts
        return {row.name: of_row(row, self.quantity) for row in self.ledger.ops}

    @property
    def kept(self) -> Subject:
        """The first network in the line of edits whose layers store what this one's store."""
        same = self._parts is not None and self._parts.kept
        return self.origin.kept if same and self.origin is not None else self

    @property
    def alike(self) -> Subject:
        """The first network in the line of edits with the same layers that store the same."""
        before, now = self.kept.parts, self._parts
        same = before is not None and now is not None and before.nodes.keys() == now.nodes.keys()
        return self.kept if same else self

    @cached_property
    def takers(self) -> dict[str, list[Row]]:
        """Who takes a value."""
        found: dict[str, list[Row]] = {}
        for row in self.ledger.ops:
            for value in row.inputs:
                found.setdefault(value, []).append(row)
        return found

    def next(self, row: Row) -> list[Row]:
        """The layers that a layer feeds."""
        return [taker for value in row.made for taker in self.takers.get(value, ())]

    def once(self, what: str, find: Callable[[Subject], T]) -> T:
        """What `find` finds out about this network, asked once."""
        if what not in self._known:
            self._known[what] = find(self)
        found: T = self._known[what]
        return found

    def sort(self, sort: str) -> tuple[Row, ...]:
        """The layers of one sort: `CONV`, `LINEAR`, `NORM`, `EMBEDDING` or `TENSOR`."""
        return self._by_sort.get(sort, ())

    @cached_property
    def _by_sort(self) -> dict[str, tuple[Row, ...]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(self._sorts[row.name], []).append(row)
        return {sort: tuple(rows) for sort, rows in found.items()}

    def is_a(self, row: Row, sort: str) -> bool:
        """Whether a layer is of a sort."""
        return self._sorts.get(row.name, "") == sort

    @cached_property
    def _sorts(self) -> dict[str, str]:
        return {row.name: sort_of(row) for row in self.rows}

    def near(self, share: float) -> bool:
        """Whether what has such a share of another network's count can close the gap here.

        An edit hardly changes the share that another cause has.
        """
        if self.gap is None:
            return True
        least, most = sorted((share / ROOM, share * ROOM))
        return self.gap[0] <= most * self.count and least * self.count <= self.gap[1]

    def weigh(self, cells: Iterable[Cell]) -> int | None:
        """What changes of stored tensors add to the count; None where that cannot be said."""
        if self.quantity == PARAMS:
            return sum([delta for _, _, role, delta in cells if role != BUFFER])
        factors = self._factors
        weights_only = self.quantity in (MACS, FLOPS)
        found = 0
        for row, _, role, delta in cells:
            if role == WEIGHT or not weights_only:
                factor = factors.get(row)
                if factor is None:
                    if weights_only or row in self.by_name:
                        return None
                    factor = _BYTES["float32"]  # a new layer
                found += factor * delta
        return found

    @cached_property
    def _factors(self) -> dict[str, int]:
        """What one number more in a layer's tensors, or in its matrix, adds to the count."""
        if self.quantity in (MACS, FLOPS):
            return {name: self.counts[name] // size for name, size in self.kept.matrices.items()}
        if self.quantity == BYTES:
            return {row.name: width for row in self.ledger.ops if (width := _width(row))}
        return {}

    @cached_property
    def matrices(self) -> dict[str, int]:
        """The sizes of the matrices that layers multiply by."""
        rows = [r for r in self.rows if isinstance(r.op, Linear | Convolution | ConvTranspose)]
        sizes = {r.name: sum(p.count for p in r.parameters if p.role == WEIGHT) for r in rows}
        return {name: size for name, size in sizes.items() if size}

    def offer(
        self,
        kind: str,
        cost: float,
        text: str,
        cells: Sequence[Cell],
        *,
        times: int = 1,
        edits: Callable[[], Iterable[Edit]] = tuple,
        arithmetic: str = "",
    ) -> Iterable[Proposal]:
        """A cause that changes stored tensors, so many times, if it changes the count."""
        delta = times * (self.weigh(cells) or 0) if cost <= self.most else 0
        if not delta or (self.gap and not self.gap[0] <= delta <= self.gap[1]):
            return
        by_row: dict[str, int] = {}
        for cell in cells:
            more = times * (self.weigh([cell]) or 0)
            by_row[cell.row] = by_row.get(cell.row, 0) + more
        if self.quantity != PARAMS or not arithmetic:
            arithmetic = sum_up(by_row.values())
        yield Proposal(
            kind,
            tuple(by_row),
            delta,
            text,
            arithmetic,
            cost,
            frozenset(f"{c.row}/{c.name}" for c in cells),
            tuple(edits()),
            cells=tuple(cells),
            times=times,
        )

    def again(self, p: Proposal) -> Iterable[Proposal]:
        """A cause that was offered for `kept`, as it counts here."""
        edits = partial(tuple, p.edits)
        offered = self.offer(p.kind, p.cost, p.text, p.cells, times=p.times, edits=edits)
        return [replace(q, rows=p.rows) for q in offered]

    def edited(self, edits: Sequence[Edit]) -> Subject | None:
        """The network after `edits`, made once; None if it is none then."""
        key = tuple(edits)
        if key not in self._edited:
            self._edited[key] = self._made(key)
        return self._edited[key]

    def counted(self, edits: Sequence[Edit]) -> int | None:
        """The count after `edits`, of which nothing is kept."""
        made = self._made(edits)
        return None if made is None else made.count

    def _made(self, edits: Sequence[Edit]) -> Subject | None:
        self.trials.made += 1
        known, batch = self.trials.known, self.batch
        try:
            graph = apply(self._free, *edits)
            parts = None if self.parts is None else self._tally(self.parts, graph)
            write = partial(known.ledger, graph, batch=batch)
            made = Subject(graph, write, self.quantity, self.trials,
                           batch=batch, origin=self, parts=parts)  # fmt: skip
            assert made.count >= 0
        except (NetledgerError, ArithmeticError):
            return None
        return made

    @cached_property
    def parts(self) -> Parts | None:
        """What its count is made of; None where rules alone do not give it."""
        if self.origin is not None or self.batch is not None:
            return self._parts
        return self._tally(NOTHING, self._free)

    def _tally(self, before: Parts, graph: Graph) -> Parts | None:
        return tally(before, graph, self.trials.answers, self.quantity)

    @cached_property
    def _free(self) -> Graph:
        """The network without what its source recorded, which edits would contradict."""
        return self.graph if self.origin is not None else derived(self.graph)

    @cached_property
    def editable(self) -> bool:
        """Whether rules alone give its count, so that they also give that of an edited network."""
        same = self.edited(())
        return same is not None and same.count == self.count

    def measure(
        self, kind: str, cost: float, text: str, edits: Sequence[Edit], rows: Sequence[str] = ()
    ) -> Proposal | None:
        """A cause that is an edit; its delta is derived anew."""
        made = self.edited(edits)
        if made is None:
            return None
        deltas = row_deltas(self, made)
        texts = [
            self._changed(made, name, delta) for name, delta in list(deltas.items())[:MOST_SHOWN]
        ]
        if len(deltas) > MOST_SHOWN:
            texts = [sum_up(deltas.values())]
        return Proposal(
            kind,
            tuple(rows) or tuple(dict.fromkeys(_row(e) for e in edits if _row(e))),
            made.count - self.count,
            text,
            "; ".join(texts) or "0",
            cost,
            frozenset(f"{name}/" for name in deltas),
            tuple(edits),
        )

    def _changed(self, made: Subject, name: str, delta: int) -> str:
        before, after = self.by_name.get(name), made.by_name.get(name)
        if self.quantity == PARAMS:
            return _sees(made, after) + changed(before, after, delta)
        return f"{name}: {signed(delta)}"


def _width(row: Row) -> int:
    """The bytes of one number; 0 where they are unknown, or differ."""
    widths = {p.dtype for p in row.parameters}
    return _BYTES.get(widths.pop(), 0) if len(widths) == 1 else 0


def _sees(s: Subject, row: Row | None) -> str:
    """The map that a matrix sees, where it is flattened: ``6×6×256 = 9,216 inputs; ``."""
    if row is None or not isinstance(row.op, Linear):
        return ""
    for other in s.ledger.ops:
        if row.inputs[0] in other.made and isinstance(other.op, Flatten):
            shape = [str(d) for d in other.input_types[0].shape[1:]]
            if len(shape) > 1:
                return f"{'×'.join(shape)} = {row.input_types[0].shape[-1]:,} inputs; "
    return ""


def row_deltas(a: Subject, b: Subject) -> dict[str, int]:
    """What each row adds to the difference of the counts, in the order of the second network."""
    ours, theirs = a.counts, b.counts
    names = dict.fromkeys((*theirs, *ours))
    found = {name: theirs.get(name, 0) - ours.get(name, 0) for name in names}
    return {name: delta for name, delta in found.items() if delta}


def total(ledger: Ledger, quantity: str) -> Any:
    """A network's own count of a quantity."""
    totals = ledger.totals
    return 2 * totals.macs if quantity == FLOPS else getattr(totals, quantity)


def _plain(value: Any, quantity: str) -> int:
    if isinstance(value, Formula):
        if value.value is not None:
            return value.value
        raise UsageError(
            f"the count of {NOUNS[quantity]} has symbols in it: {value.text()}",
            hint="give the input's sizes: --input 224x224x3",
        )
    assert isinstance(value, int)
    return value


def _row(edit: Edit) -> str:
    return str(getattr(edit, "row", "") or getattr(edit, "name", ""))
