"""A ledger in a notebook: one table, without a script, its style on the elements themselves.

Notebooks show HTML that a cell returns, but run no script of it once it is saved and opened
elsewhere; and a style sheet would reach all the rest of the page.
"""

from __future__ import annotations

from html import escape

from netledger.ledger import Ledger, Row
from netledger.render.common import (
    Sizes,
    View,
    count,
    findings,
    headline,
    inert,
    notes,
    operation,
    stopped,
    summary,
    total,
)

MOST = 100
"""A longer ledger is cut in the middle; ``netledger report`` makes a page of all of it."""

_RULE = "border-top:1px solid rgba(128,128,128,.3)"
_CELL = f"padding:2px 12px 2px 0;text-align:left;vertical-align:top;background:none;{_RULE}"
_NUMBER = f"padding:2px 0 2px 14px;text-align:right;vertical-align:top;background:none;{_RULE}"
_FONT = "font-variant-numeric:tabular-nums;font-size:13px;line-height:1.45"
_SOFT = "opacity:.7"


def write(ledger: Ledger, view: View | None = None) -> str:
    """The ledger as a piece of HTML."""
    view = view or View()
    sizes = Sizes(ledger, view.layout)
    name, *about = headline(ledger, view, sizes)
    rows = view.rows(ledger)
    shown = rows if len(rows) <= MOST else (*rows[: MOST // 2], *rows[-MOST // 2 :])
    lines = [_line(row, sizes) for row in shown]
    if len(shown) < len(rows):
        lines.insert(MOST // 2, _across(f"… {len(rows) - len(shown):,} rows are not shown here …"))
    if ledger.failed:
        lines.append(_across(stopped(ledger)))
    below = [" · ".join(pieces) for pieces in summary(ledger)]
    below += [*notes(ledger), *(words for _, words in findings(ledger))]
    return "".join(
        [
            f'<div style="{_FONT};max-width:100%;overflow-x:auto">',
            f"<p style='margin:0 0 4px'><b>{_text(name)}</b> ",
            f'<span style="{_SOFT}">{_text(" · ".join(about))}</span></p>',
            f'<table style="border-collapse:collapse;{_FONT};border:0">',
            f"<thead>{_head()}</thead><tbody>{''.join(lines)}{_sum(ledger)}</tbody></table>",
            *(f'<p style="margin:3px 0 0;{_SOFT}">{_text(words)}</p>' for words in below),
            "</div>",
        ]
    )


def _text(words: str) -> str:
    return escape(words, quote=True)


def _head() -> str:
    left = "".join(f'<th style="{_CELL};border:0">{w}</th>' for w in ("Layer", "What", "Output"))
    right = "".join(f'<th style="{_NUMBER};border:0">{w}</th>' for w in ("Parameters", "MACs"))
    return f"<tr>{left}{right}</tr>"


def _line(row: Row, sizes: Sizes) -> str:
    words = (inert(row.name), operation(row), sizes.text(row))
    left = "".join(f'<td style="{_CELL}">{_text(w)}</td>' for w in words)
    numbers = (count(row, what) for what in ("params", "macs"))
    right = "".join(f'<td style="{_NUMBER}">{_text(n)}</td>' for n in numbers)
    return f"<tr>{left}{right}</tr>"


def _across(words: str) -> str:
    return f'<tr><td colspan="5" style="{_CELL};{_SOFT}">{_text(words)}</td></tr>'


def _sum(ledger: Ledger) -> str:
    numbers = [total(ledger.totals, what) for what in ("params", "macs")]
    told = "".join(f'<td style="{_NUMBER}"><b>{_text(n)}</b></td>' for n in numbers)
    return f'<tr><td colspan="3" style="{_CELL}"><b>total</b></td>{told}</tr>'
