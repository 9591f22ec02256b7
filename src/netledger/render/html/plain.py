"""The ledger as it was when the page was written: what is there where no script runs."""

from __future__ import annotations

from html import escape

from netledger.ledger import Ledger, Row
from netledger.render.common import Sizes, count, inert, operation, total

MOST = 100
"""The rows that are kept; the page itself has all of them."""

HEAD = ("Layer", "Operation", "Output", "Parameters", "MACs")


def table(ledger: Ledger) -> str:
    """A table of the layers, with their sum."""
    sizes = Sizes(ledger, None)
    rows = ledger.rows
    body = [_line(_cells(row, sizes)) for row in rows[:MOST]]
    if len(rows) > MOST:
        body.append(_line([f"… and {len(rows) - MOST:,} more", "", "", "", ""]))
    totals = [total(ledger.totals, what) for what in ("params", "macs")]
    return (
        f'<table class="facts asread"><thead>{_line(HEAD, "th")}</thead>'
        f"<tbody>{''.join(body)}</tbody><tfoot>{_line(['total', '', '', *totals])}</tfoot></table>"
    )


def _cells(row: Row, sizes: Sizes) -> list[str]:
    size = sizes.text(row).replace("x", "×")
    return [inert(row.name), operation(row), size, count(row, "params"), count(row, "macs")]


def _line(cells: list[str] | tuple[str, ...], tag: str = "td") -> str:
    opened = [f"<{tag}>"] * 3 + [f'<{tag} class="number">'] * 2
    parts = zip(opened, cells, strict=True)
    return f"<tr>{''.join(f'{start}{escape(cell)}</{tag}>' for start, cell in parts)}</tr>"
