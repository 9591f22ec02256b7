"""Derivations → text, Markdown, LaTeX or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from netledger.explain import Derivation, Explanation, Sum
from netledger.formula import Formula, formula
from netledger.formula.printing import LATEX
from netledger.ledger import Ledger, plain
from netledger.render.common import Sizes, inert, latex_text, markdown_text

Explanations = Sequence[Explanation]

PROSE = 100
"""Columns after which a list of meanings goes on in the next line."""


def write(
    ledger: Ledger,
    explanations: Explanations,
    sums: Sequence[Sum] = (),
    format: str = "text",
    *,
    width: int | None = None,
) -> str:
    """The derivations of rows of `ledger`, and the totals added up, in one of `FORMATS`.

    Args:
        ledger: What is explained.
        explanations: The rows.
        sums: The totals.
        format: One of `FORMATS`.
        width: Columns of the terminal, for text; None where there is no end.
    """
    text = FORMATS[format](Sizes(ledger, None), explanations, sums)
    return text if width is None or format != "text" else fold(text, width)


def fold(text: str, width: int) -> str:
    """Lines that are too long go on in the next one, before a ``=``, else ``+``, ``·`` or blank.

    >>> print(fold("  size  O = (I − K)/S + 1 = 55", 28))
      size  O = (I − K)/S + 1
            = 55
    """
    return "\n".join(_fold(line, width) for line in text.split("\n"))


def _fold(line: str, width: int) -> str:
    label = re.match(r" *\S+(?: row by row)? {2,}| *", line)
    indent = label.end() if label and label.end() < width // 2 else 4
    lines: list[str] = []
    while len(line) > width:
        ends = (line.rfind(mark, indent + 1, width + 1) for mark in (" = ", " + ", " · ", " "))
        cut = next((end for end in ends if end >= width // 3), -1)
        if cut < 0:
            break
        lines.append(line[:cut].rstrip())
        line = " " * indent + line[cut + 1 :]
    return "\n".join([*lines, line])


def _text(sizes: Sizes, explanations: Explanations, sums: Sequence[Sum]) -> str:
    blocks = [_text_row(sizes, e) for e in explanations]
    blocks += [_text_sum(s) for s in sums if s.terms]
    return "\n\n".join(blocks)


def _title(e: Explanation) -> str:
    name = inert(e.row.name)
    return f"{name}: {inert(e.title)}" if e.title else f"{name} ({inert(e.row.kind)})"


def _text_row(sizes: Sizes, e: Explanation) -> str:
    lines = [_title(e)]
    width = max((len(d.quantity) for d in e.derivations), default=len("output"))
    for d in e.derivations:
        line = f"  {d.quantity:<{width}}  {d.text()}"
        lines.append(f"{line}   ({d.note})" if d.note else line)
    if e.row.outputs:
        lines.append(f"  {'output':<{width}}  {sizes.text(e.row)}")
    lines += [f"  {what} unknown: {inert(why)}" for what, why in e.row.unknown.items()]
    if e.row.folded:
        folded = ", ".join(f"{inert(r.name)} ({inert(r.kind)})" for r in e.row.folded)
        lines.append(f"  {'then':<{width}}  {folded}")
    if e.meanings:
        lines += _meanings(e, indent=width + 4)
    return "\n".join(lines)


def _meanings(e: Explanation, indent: int) -> list[str]:
    """``where I size of the input · K window``, wrapped between the entries."""
    lines = [f"  {'where':<{indent - 4}}  "]
    for entry in (f"{symbol} {meaning}" for symbol, meaning in e.meanings.items()):
        if len(lines[-1]) + len(entry) > PROSE and len(lines[-1]) > indent:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * indent)
        lines[-1] += f"{entry} · "
    lines[-1] = lines[-1].removesuffix(" · ")
    return [line.removesuffix(" ·") for line in lines]


def _text_sum(s: Sum) -> str:
    names = [inert(name) for name, _, _ in s.terms]
    first, second = max(map(len, names)), max(len(how) for _, how, _ in s.terms)
    numbers = [_number(value) for _, _, value in s.terms]
    third = max(map(len, numbers))
    lines = [f"{s.quantity}, row by row"]
    for name, (_, how, _), number in zip(names, s.terms, numbers, strict=True):
        lines.append(f"  {name:<{first}}  {how:<{second}} = {number:>{third}}")
    total = _number(s.known) if s.value is not None else f"≥ {_number(s.known)}"
    lines.append(f"  total = {' + '.join(numbers)} = {total}")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return formula(value).text() if value is not None else "?"


def _markdown(sizes: Sizes, explanations: Explanations, sums: Sequence[Sum]) -> str:
    lines: list[str] = []
    for e in explanations:
        title = f": {markdown_text(e.title)}" if e.title else ""
        lines += [f"**{markdown_text(e.row.name)}**{title}", ""]
        for d in e.derivations:
            note = f" ({d.note})" if d.note else ""
            lines.append(f"- {d.quantity.replace('_', ' ')}: ${d.latex()}${note}")
        lines += [f"- output: {sizes.text(e.row)}", ""]
    for s in sums:
        lines += [f"**{s.quantity}**", "", "| layer | calculation | result |", "|---|---|---:|"]
        for name, how, value in s.terms:
            lines.append(f"| {markdown_text(name)} | {how} | {_number(value)} |")
        total = _number(s.known) if s.value is not None else f"≥ {_number(s.known)}"
        lines += [f"| **total** | | **{total}** |", ""]
    return "\n".join(lines).rstrip()


def _latex(sizes: Sizes, explanations: Explanations, sums: Sequence[Sum]) -> str:
    lines: list[str] = []
    for e in explanations:
        title = f": {latex_text(e.title)}" if e.title else ""
        lines.append(rf"\paragraph{{{latex_text(e.row.name)}}}{title}")
        if e.derivations:
            rows = [_latex_row(d) for d in e.derivations]
            lines += [r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"]
        lines.append("")
    for s in sums:
        terms = " + ".join(formula(v).latex() for _, _, v in s.terms if v is not None)
        equals = "=" if s.value is not None else r"\ge"
        lines.append(rf"\[\text{{{s.quantity}}} {equals} {terms} = {formula(s.known).latex()}\]")
    return "\n".join(lines).rstrip()


def _latex_row(d: Derivation) -> str:
    symbol, *rest = d.steps(LATEX)
    note = rf" \quad \text{{({latex_text(d.note)})}}" if d.note else ""
    return rf"  {symbol} &= {' = '.join(rest)}{note}"


def _json(sizes: Sizes, explanations: Explanations, sums: Sequence[Sum]) -> str:
    rows = [
        {
            "name": e.row.name,
            "op": e.row.kind,
            "title": e.title,
            "derivations": [_derivation_to_dict(d) for d in e.derivations],
            "symbols": e.meanings,
            "unknown": dict(e.row.unknown),
        }
        for e in explanations
    ]
    totals = [
        {
            "quantity": s.quantity,
            "terms": [{"name": n, "numbers": h, "value": plain(v)} for n, h, v in s.terms],
            "value": plain(s.value),
        }
        for s in sums
    ]
    return json.dumps({"schema": "netledger/1", "rows": rows, "totals": totals}, indent=2)


def _derivation_to_dict(d: Derivation) -> dict[str, Any]:
    value = d.value
    return {
        "quantity": d.quantity,
        "symbol": d.symbol,
        "rule": d.formula.text(),
        "numbers": d.formula.text(numbers=True),
        "value": value.python() if isinstance(value, Formula) else value,
        "text": d.text(),
        "latex": d.latex(),
        "python": d.formula.python(),
        "note": d.note,
    }


FORMATS: dict[str, Callable[[Sizes, Explanations, Sequence[Sum]], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}
