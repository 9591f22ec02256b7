"""Ledgers of networks that differ little: only what depends on the difference is derived.

>>> from netledger import zoo
>>> from netledger.edits import SetField, apply
>>> known = Known()
>>> alexnet = zoo.load("alexnet")
>>> before = known.ledger(alexnet)
>>> after = known.ledger(apply(alexnet, SetField("Conv-5", "groups", 2)))
>>> before.row("Conv-4") is after.row("Conv-4"), before.totals.params - after.totals.params
(True, 442368)
"""

from __future__ import annotations

from typing import NamedTuple

from netledger.graph import Graph, Node, TensorType
from netledger.infer import Book, write
from netledger.ledger import Ledger, Row
from netledger.reach import Reach
from netledger.rules import Rules

Fed = tuple[tuple[TensorType, Reach], ...]
"""What a row is derived from, beside its node: of each input its type, and what it sees."""


class _Entry(NamedTuple):
    """A row, and what it was derived from; an input has no node, and makes what it is fed."""

    node: Node | None
    fed: Fed
    row: Row
    made: Fed


class Known:
    """What was derived last, to be taken over where nothing that it depends on has changed."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.rules = Rules()
        self._terms: object = None

    def ledger(self, graph: Graph, *, batch: int | None = None) -> Ledger:
        """What `infer` gives; rows are the same objects as before where they have not changed.

        Raises:
            NetledgerError: If a layer does not fit its input, as `infer` does.
        """
        terms = (batch, graph.ties)
        if terms != self._terms:
            self.entries, self._terms = {}, terms
        if batch != self.rules.batch:
            self.rules = Rules(batch)
        return write(_Again(graph, self))


class _Again(Book):
    """A book that takes over rows."""

    def __init__(self, graph: Graph, known: Known) -> None:
        self.entries = known.entries
        super().__init__(graph, known.rules)

    def _open(self, name: str, declared: TensorType) -> None:
        super()._open(name, declared)
        made = self._of((name,))
        known = self.entries.get(name)
        if known is not None and known.node is None and known.fed == made:
            self._take(self.rows.pop().made, known)
        else:
            self.entries[name] = _Entry(None, made, self.rows[-1], made)

    def enter(self, node: Node) -> None:
        fed = self._of(node.inputs)
        known = self.entries.get(node.name)
        if known is not None and known.node is node and known.fed == fed:
            self._take(node.outputs, known)
            return
        told = len(self.findings)
        super().enter(node)
        if len(self.findings) == told:  # a finding has to be told each time
            row = self.rows[-1]
            self.entries[node.name] = _Entry(node, fed, row, self._of(row.made))

    def _take(self, values: tuple[str, ...], known: _Entry) -> None:
        self.rows.append(known.row)
        for value, (t, reach) in zip(values, known.made, strict=True):
            self.types[value] = t
            self.reach[value] = reach

    def _of(self, values: tuple[str, ...]) -> Fed:
        return tuple([(self.types[value], self.reach[value]) for value in values])


__all__ = ["Known"]
