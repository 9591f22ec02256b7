"""The books: a row for each layer, totals, findings.

Definitions, which every output repeats:

params       weights + biases, trainable or frozen; what is shared counts once
buffers      running statistics and other stored tensors that are not learned, counted apart
macs         multiply-accumulates of convolutions, matrix products and attention products; biases,
             normalisations and activations are not counted
neurons      output elements of the layers that have weights
activations  output elements of every operation (the input is none)
bytes        what the parameters and buffers take where they are stored

All counts are per sample unless a batch is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netledger.errors import UnknownName, UsageError
from netledger.garbage import no_garbage
from netledger.graph import Graph
from netledger.ledger.fold import fold_modules, fold_pointwise, shown_in
from netledger.ledger.row import (
    Finding,
    Row,
    Stored,
    Sums,
    add_up,
    plain,
    sums,
    type_to_dict,
)
from netledger.ledger.totals import Totals, total

SCHEMA = "netledger/1"


@dataclass(frozen=True)
class Ledger:
    """The ledger of a network.

    Attributes:
        graph: The network.
        ops: A row for each input and each operation, in order: the op view.
        findings: What the books say that they should not.
        batch: The batch that the counts are for; None: per sample.
        failed: The layer at which the ledger had to stop, if it did.
    """

    graph: Graph
    ops: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    batch: int | None = None
    failed: str = ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The layer view: parameterless pointwise operations folded into the row before."""
        return self.view()

    def view(self, *, ops: bool = False, depth: int | None = None) -> tuple[Row, ...]:
        """The rows of a view.

        Args:
            ops: A row for every operation, instead of folding the pointwise ones.
            depth: Fold what lies deeper in the module tree than this.
        """
        rows = self.ops if ops else fold_pointwise(self.ops)
        return rows if depth is None else fold_modules(rows, depth)

    def row(self, name: str) -> Row:
        """The row called `name`, also if the layer view folds it away.

        Raises:
            UnknownName: If there is none; names that differ in case only are accepted.
        """
        if not isinstance(name, str):
            raise UsageError(
                f"a row is named by a text, not by a {type(name).__name__}", hint="pass row.name"
            )
        for row in self.ops:
            if row.name == name:
                return row
        close = [row for row in self.ops if row.name.lower() == name.lower()]
        if len(close) == 1:
            return close[0]
        names = [row.name for row in self.ops]
        within = [own for own in names if own.startswith(f"{name}.")]
        listed = within or names
        hint = f"{f'{name} is a module; its' if within else 'the'} rows are: "
        hint += ", ".join(listed[:12]) + (" …" if len(listed) > 12 else "")
        raise UnknownName("row", name, () if within else names, hint=hint)

    @cached_property
    def totals(self) -> Totals:
        """The sums."""
        with no_garbage():
            return total(self.ops)

    def to_dict(self, *, ops: bool = False, depth: int | None = None) -> dict[str, Any]:
        """The ledger as JSON-ready data, in the contract's form.

        Rows that store the same share what says so: copy it before you change it.
        """
        with no_garbage():
            return self._to_dict(self.view(ops=ops, depth=depth))

    def _to_dict(self, rows: tuple[Row, ...]) -> dict[str, Any]:
        graph, feeders = self.graph, shown_in(rows)
        stored: dict[int, Any] = {}
        return {
            "schema": SCHEMA,
            "model": {"name": graph.name, "source": graph.source, "reader": graph.reader},
            "inputs": [{"name": name, **type_to_dict(t)} for name, t in graph.inputs.items()],
            "batch": self.batch,
            "rows": [row.to_dict(feeders, stored) for row in rows],
            "totals": self.totals.to_dict(),
            "findings": [
                {"code": f.code, "level": f.level, "row": f.row, "message": f.message}
                for f in self.findings
            ],
        }

    def records(self, *, ops: bool = False) -> list[dict[str, Any]]:
        """A flat dict for each row, for ``pandas.DataFrame`` or ``polars.DataFrame``.

        Counts are ints; None where they are unknown; text where they are formulas in symbols.
        """
        return [row.to_record() for row in self.view(ops=ops)]

    def __repr__(self) -> str:
        t = self.totals
        least = "≥ " if "params" in t.unknown else ""
        return f"<Ledger {self.graph.name}: {len(self.ops)} operations, {least}{t.params} params>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        import importlib  # by name: how a ledger looks is told by a layer above this one

        return str(importlib.import_module("netledger.render.notebook").write(self))


__all__ = [
    "Finding",
    "Ledger",
    "Row",
    "Stored",
    "Sums",
    "Totals",
    "add_up",
    "plain",
    "sums",
    "total",
    "type_to_dict",
]
