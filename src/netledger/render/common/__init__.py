"""What the output formats share: the view, inert text, tensor sizes, counts, notes and totals."""

from __future__ import annotations

from dataclasses import dataclass

from netledger.ledger import Ledger, Row
from netledger.render.common.notes import findings, headline, notes, stopped, summary
from netledger.render.common.numbers import COUNTS, count, number, operation, reach, total
from netledger.render.common.sizes import LAYOUTS, SOURCE, Sizes, factor
from netledger.render.common.text import (
    LONGEST_TEXT,
    inert,
    latex_escape,
    latex_text,
    markdown_escape,
    markdown_text,
)


@dataclass(frozen=True)
class View:
    """What is shown of a ledger, and where.

    Attributes:
        ops: A row for every operation, instead of folding the pointwise ones.
        depth: Fold what lies deeper in the module tree than this.
        layout: One of `LAYOUTS`; None for what suits the network.
        width: Columns of the terminal; None where nothing limits the width.
        color: Whether the terminal shows colours.
    """

    ops: bool = False
    depth: int | None = None
    layout: str | None = None
    width: int | None = None
    color: bool = False

    def rows(self, ledger: Ledger) -> tuple[Row, ...]:
        """The rows that are shown."""
        return ledger.view(ops=self.ops, depth=self.depth)

    @property
    def label(self) -> str:
        """What a row stands for, in words."""
        if self.depth is not None:
            return f"modules to depth {self.depth}"
        return "every operation" if self.ops else "layer view"


__all__ = [
    "COUNTS",
    "LAYOUTS",
    "LONGEST_TEXT",
    "SOURCE",
    "Sizes",
    "View",
    "count",
    "factor",
    "findings",
    "headline",
    "inert",
    "latex_escape",
    "latex_text",
    "markdown_escape",
    "markdown_text",
    "notes",
    "number",
    "operation",
    "reach",
    "stopped",
    "summary",
    "total",
]
