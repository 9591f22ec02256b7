"""The network that is explained: its count, its layers by sort, what edits make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from netledger.edits import Edit, apply
from netledger.errors import NetledgerError, UsageError
from netledger.formula import Formula
from netledger.graph import BUFFER, WEIGHT, Graph
from netledger.ledger import Ledger, Row, Stored
from netledger.ops import Embedding, Flatten, Inventory, Linear, Tensor
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.norm import ChannelNorm, LayerNorm
from netledger.reconcile.claim import BYTES, FLOPS, MACS, NOUNS, PARAMS
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.tally import Trials, tally
from netledger.reconcile.words import changed, signed, sum_up

CONV, LINEAR, NORM, EMBEDDING, TENSOR = "conv", "linear", "norm", "embedding", "tensor"
MOST_SHOWN = 3
T = TypeVar("T")


class Subject:
    """A network, counted in one quantity.

    Attributes:
        ledger: Its ledger.
        quantity: What is counted.
        rows: Its layers that store anything, in order.
        most: Causes that are more surprising, in bits, need not be proposed.
        gap: Nor need causes with a delta that lies outside of this, if it is not None.
        trials: What it shares with the networks that are edits of it.
        origin: The network that it is an edit of.
    """

    def __init__(
        self,
        ledger: Ledger,
        quantity: str,
        trials: Trials | None = None,
        origin: Subject | None = None,
    ) -> None:
        self.ledger, self.quantity = ledger, quantity
        self.rows = tuple(row for row in ledger.ops if row.parameters)
        self.by_name = {row.name: row for row in ledger.ops}
        self.trials = trials or Trials()
        self.origin = origin
        self.most = 100.0
        self.gap: tuple[int, int] | None = None
        self._known: dict[str, Any] = {}
        self._edited: dict[tuple[Edit, ...], Subject | None] = {}

    @property
    def graph(self) -> Graph:
        """The network."""
        return self.ledger.graph

    @cached_property
    def count(self) -> int:
        """Its own count of the quantity."""
        return _plain(total(self.ledger, self.quantity), self.quantity)

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
        found: dict[str, tuple[Row, ...]] = {}
        for row in self.rows:
            sort = sort_of(row)
            found[sort] = (*found.get(sort, ()), row)
        return found

    def is_a(self, row: Row, sort: str) -> bool:
        """Whether a layer is of a sort."""
        return sort_of(row) == sort

    @cached_property
    def positions(self) -> dict[str, int]:
        """For layers that multiply by a matrix: how often every weight of it is used."""
        found = {}
        for row in self.rows:
            weights = sum(p.count for p in row.parameters if p.role == WEIGHT)
            if isinstance(row.op, Linear | Convolution | ConvTranspose) and weights:
                found[row.name] = _plain(row.macs or 0, MACS) // weights
        return found

    def weigh(self, cells: Iterable[Cell]) -> int | None:
        """What changes of stored tensors add to the count; None where that cannot be said."""
        found = 0
        for cell in cells:
            factor = self._factor(cell)
            if factor is None:
                return None
            found += factor * cell.delta
        return found

    def _factor(self, cell: Cell) -> int | None:
        if self.quantity == PARAMS:
            return 0 if cell.role == BUFFER else 1
        if self.quantity in (MACS, FLOPS):
            if cell.role != WEIGHT:
                return 0
            times = self.positions.get(cell.row)
            return times if self.quantity == MACS or times is None else 2 * times
        if self.quantity == BYTES:
            row = self.by_name.get(cell.row)
            widths = {p.dtype for p in row.parameters} if row is not None else {"float32"}
            return {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}.get(
                widths.pop() if len(widths) == 1 else ""
            )
        return None

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
        )

    def edited(self, edits: Sequence[Edit]) -> Subject | None:
        """The network after `edits`, derived once; None if it is none then."""
        key = tuple(edits)
        if key not in self._edited:
            self._edited[key] = self._derived(key)
        return self._edited[key]

    def _derived(self, edits: Sequence[Edit]) -> Subject | None:
        self.trials.made += 1
        known, graph = self.trials.known, self._free
        try:
            ledger = known.ledger(apply(graph, *edits), batch=self.ledger.batch)
            made = Subject(ledger, self.quantity, self.trials, self)
            assert made.count >= 0
        except (NetledgerError, ArithmeticError):
            return None
        return made

    def counted(self, edits: Sequence[Edit]) -> int | None:
        """The count after `edits`, without the network's books if rules alone give it."""
        if self.ledger.batch is None:
            self.trials.made += 1
            try:
                count = tally(apply(self._free, *edits), self.trials.known.rules, self.quantity)
            except (NetledgerError, ArithmeticError):
                return None
            if count is not None:
                return count
        made = self.edited(edits)
        return None if made is None else made.count

    @cached_property
    def _free(self) -> Graph:
        """The network without what its source recorded, which edits would contradict."""
        if self.origin is not None:
            return self.graph
        nodes = tuple(
            node if node.recorded is None or node.op.unknown() else replace(node, recorded=None)
            for node in self.graph.nodes
        )
        return replace(self.graph, nodes=nodes, _by_name={})

    @cached_property
    def editable(self) -> bool:
        """Whether rules alone give its count, so that they also give that of an edited network."""
        same = self.edited(())
        return same is not None and same.count == self.count

    def measure(
        self, kind: str, cost: float, text: str, edits: Sequence[Edit], rows: Sequence[str] = ()
    ) -> tuple[Proposal, Subject] | None:
        """A cause that is an edit, with the network that it makes; the delta is derived anew."""
        made = self.edited(edits)
        if made is None:
            return None
        deltas = row_deltas(self, made)
        texts = [
            self._changed(made, name, delta) for name, delta in list(deltas.items())[:MOST_SHOWN]
        ]
        if len(deltas) > MOST_SHOWN:
            texts = [sum_up(deltas.values())]
        proposal = Proposal(
            kind,
            tuple(rows) or tuple(dict.fromkeys(_row(e) for e in edits if _row(e))),
            made.count - self.count,
            text,
            "; ".join(texts) or "0",
            cost,
            frozenset(f"{name}/" for name in deltas),
            tuple(edits),
        )
        return proposal, made

    def _changed(self, made: Subject, name: str, delta: int) -> str:
        before, after = self.by_name.get(name), made.by_name.get(name)
        if self.quantity == PARAMS:
            return _sees(made, after) + changed(before, after, delta)
        return f"{name}: {signed(delta)}"


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
    ours, theirs = _per_row(a), _per_row(b)
    names = dict.fromkeys((*theirs, *ours))
    found = {name: theirs.get(name, 0) - ours.get(name, 0) for name in names}
    return {name: delta for name, delta in found.items() if delta}


def _per_row(s: Subject) -> dict[str, int]:
    return {row.name: _of_row(row, s.quantity) for row in s.ledger.ops}


def _of_row(row: Row, quantity: str) -> int:
    if quantity == BYTES:
        return sum(p.stored_bytes or 0 for p in row.parameters if p.tied_to is None)
    if quantity in (MACS, FLOPS):
        return (row.macs or 0) * (2 if quantity == FLOPS else 1)
    if quantity == PARAMS:
        return row.params or 0
    learns = any(p.role == WEIGHT for p in row.parameters)
    counted = row.op is not None and (quantity == "activations" or learns)
    return (row.elements or 0) if counted else 0


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


def sort_of(row: Row) -> str:
    """What sort of layer it is, by its operation, or by the shape and name of what it stores."""
    op = row.op
    if isinstance(op, Convolution | ConvTranspose):
        return CONV
    if isinstance(op, Linear):
        return LINEAR
    if isinstance(op, ChannelNorm | LayerNorm):
        return NORM
    if isinstance(op, Embedding):
        return EMBEDDING
    if isinstance(op, Tensor):
        return TENSOR
    return _sort_of_stored(row) if isinstance(op, Inventory) else ""


def _sort_of_stored(row: Row) -> str:
    weights = [p for p in row.parameters if p.name == "weight"]
    if len(weights) != 1:
        return ""
    rank = len(weights[0].shape)
    if rank == 2:
        return EMBEDDING if re.search(r"emb|wte|wpe", row.name) else LINEAR
    return NORM if rank == 1 else CONV if rank >= 3 else ""


def weight_of(row: Row) -> Stored | None:
    """A layer's one matrix or kernel; None if it has none of its own, or more."""
    weights = [p for p in row.parameters if p.role == WEIGHT and p.tied_to is None]
    return weights[0] if len(weights) == 1 else None


def tensor(row: Row, name: str) -> Stored | None:
    """A layer's stored tensor by name."""
    return next((p for p in row.parameters if p.name == name and p.tied_to is None), None)


def outputs_of(row: Row) -> int:
    """The number of kernels or neurons."""
    weight = weight_of(row)
    if weight is None:
        return 0
    if isinstance(row.op, ConvTranspose):
        return row.op.out_channels
    return sizes(weight)[0]


def sizes(p: Stored) -> tuple[int, ...]:
    """The shape of a stored tensor, in numbers."""
    dims: list[Any] = [d.value if isinstance(d, Formula) else d for d in p.shape]
    return tuple(dims)


def last_word(name: str) -> str:
    """What a layer is called within its block, digits aside: ``conv`` for ``layer1.0.conv2``."""
    return re.sub(r"\d+", "#", name.rpartition(".")[2])


def _row(edit: Edit) -> str:
    return str(getattr(edit, "row", "") or getattr(edit, "name", ""))
