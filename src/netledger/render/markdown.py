"""A ledger as a table in GitHub's Markdown."""

from __future__ import annotations

from netledger.ledger import Ledger
from netledger.render import common
from netledger.render.common import COUNTS, Sizes, View, markdown_escape, markdown_text

HEADINGS = (
    "Layer",
    "Tensor size",
    "Weights",
    "Biases",
    "Parameters",
    "MACs",
    "Receptive field",
    "Operation",
)
LEFT = (0, 1, 7)
"""The columns of words; numbers are aligned to the right."""


def write(ledger: Ledger, view: View) -> str:
    """The ledger with its headline above, totals and notes below."""
    sizes = Sizes(ledger, view.layout)
    rows = [
        [
            markdown_text(row.name),
            markdown_escape(sizes.text(row)),
            *(markdown_escape(common.count(row, what)) for what in COUNTS),
            markdown_escape(common.reach(row)),
            markdown_escape(common.operation(row)),
        ]
        for row in view.rows(ledger)
    ]
    totals = ledger.totals
    sums = [f"**{markdown_escape(common.total(totals, what))}**" for what in COUNTS]
    rows.append(["**Total**", "", *sums, "", ""])
    title, *about = map(markdown_escape, common.headline(ledger, view, sizes))
    below = [" · ".join(pieces) for pieces in common.summary(ledger)] + common.notes(ledger)
    below += [line for _, line in common.findings(ledger)]
    below += [common.stopped(ledger)] if ledger.failed else []
    return "\n".join(
        [
            " · ".join([f"**{title}**", *about]),
            "",
            *_table(rows),
            "",
            "  \n".join(map(_paragraph, below)),
        ]
    )


def _paragraph(line: str) -> str:
    """A line that no list or heading begins with."""
    escaped = markdown_escape(line)
    return "\\" + escaped if escaped[:1] in ("=", "+", "-") else escaped


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    aligned = ["-" * w if i in LEFT else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [_line(HEADINGS, widths), _line(aligned, widths), *(_line(r, widths) for r in rows)]


def _line(cells: list[str] | tuple[str, ...], widths: list[int]) -> str:
    padded = (
        cell.ljust(w) if i in LEFT else cell.rjust(w)
        for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join(padded)} |"
