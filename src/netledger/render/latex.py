r"""A ledger as a LaTeX table; it needs the packages amsmath and booktabs."""

from __future__ import annotations

import re

from netledger.formula import Dim, Formula, symbols
from netledger.graph import Shape
from netledger.ledger import Ledger, Row
from netledger.render import common
from netledger.render.common import COUNTS, SOURCE, Sizes, View, latex_escape, latex_text

HEADINGS = ("Layer", "Tensor size", "Weights", "Biases", "Parameters", "MACs")
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)?[₀₁₂₃₄₅₆₇₈₉]*")


def write(ledger: Ledger, view: View) -> str:
    """The ledger as a table with a caption, to be included in a document."""
    sizes = Sizes(ledger, view.layout)
    rows = [_row(row, sizes) for row in view.rows(ledger)]
    totals = ledger.totals
    sums = [_number(getattr(totals, w), common.total(totals, w)) for w in COUNTS]
    caption = " · ".join(common.headline(ledger, view, sizes))
    below = ["; ".join(pieces) + "." for pieces in common.summary(ledger)] + common.notes(ledger)
    below += [line for _, line in common.findings(ledger)]
    below += [common.stopped(ledger)] if ledger.failed else []
    label = re.sub("[^a-z0-9]+", "-", common.inert(ledger.graph.name).lower()).strip("-")
    return "\n".join(
        [
            r"% needs \usepackage{amsmath,booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_escape(caption)}}}",
            rf"  \label{{tab:{label}}}",
            r"  \begin{tabular}{llrrrr}",
            r"    \toprule",
            _line(list(HEADINGS)),
            r"    \midrule",
            *map(_line, rows),
            r"    \midrule",
            _line(["Total", "", *sums]),
            r"    \bottomrule",
            r"  \end{tabular}",
            "",
            r"  \medskip\footnotesize\raggedright",
            *(f"  {latex_escape(line)}\\par" for line in below),
            r"\end{table}",
        ]
    )


def _line(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _row(row: Row, sizes: Sizes) -> list[str]:
    shown = ", ".join(_size(axes, sizes) for axes in sizes.axes(row))
    counts = [_number(getattr(row, what), common.count(row, what)) for what in COUNTS]
    return [latex_text(row.name), shown, *counts]


def _size(axes: Shape, sizes: Sizes) -> str:
    if sizes.layout == SOURCE:
        return f"$[{', '.join(_dim(d, alone=True) for d in axes)}]$"
    factors = r" \times ".join(_dim(d, alone=len(axes) == 1) for d in axes)
    return f"${factors}$"


def _dim(d: Dim, alone: bool) -> str:
    if not isinstance(d, Formula):
        return str(d)
    if not _safe(d):
        return rf"\text{{{latex_escape(common.factor(d))}}}"
    return d.latex() if alone or not d.args else rf"\left({d.latex()}\right)"


def _number(value: object, shown: str) -> str:
    """A count; a formula as mathematics, with the marks that stand before it."""
    if isinstance(value, Formula) and value.value is None and _safe(value):
        mark = next((m for m in ("= ", "≥ ") if shown.startswith(m)), "")
        return f"{latex_escape(mark)}${value.latex()}$"
    return latex_escape(shown)


def _safe(f: Formula) -> bool:
    """Whether every symbol is a plain word: a name out of a file could be a command."""
    return all(_SYMBOL.fullmatch(name) for name in symbols(f))
