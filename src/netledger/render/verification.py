"""What a verification found: for each framework a ledger with two columns, predicted, observed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from netledger.render.common import LONGEST_TEXT, inert, markdown_escape, number
from netledger.verify.books import Account, Run, Verification

SAME, OTHER, OPEN = "=", "≠", "·"
"""The marks of accounts that balance, that do not, and that need not."""

HEAD = (
    "",
    "row",
    "operation",
    "output: predicted",
    "observed",
    "parameters: predicted",
    "observed",
)
WORDS = {
    "parameters": "parameters",
    "trainable": "trainable",
    "buffers": "buffers",
    "gradients": "gradients",
    "macs": "MACs per sample",
}


def write(found: Verification, format: str = "text") -> str:
    """A verification in one of `FORMATS`."""
    return FORMATS[format](found)


def _text(found: Verification) -> str:
    parts = ["\n".join(_run(found, run)) for run in found.runs]
    return "\n\n\n".join([*parts, *([_verdict(found)] if len(found.runs) > 1 else [])])


def _verdict(found: Verification) -> str:
    words = [f"{run.target}: {_balance(run)}" for run in found.runs]
    return f"{inert(found.name)}  {', '.join(words)}"


def _balance(run: Run) -> str:
    return "balances" if run.balances else "does not balance"


def _title(found: Verification, run: Run) -> str:
    samples = "1 sample" if run.batch == 1 else f"{run.batch:,} samples"
    return f"{inert(found.name)} in {inert(run.framework)}, {samples}: the ledger {_balance(run)}"


def _run(found: Verification, run: Run) -> Iterator[str]:
    yield _title(found, run)
    yield ""
    yield from _aligned([list(HEAD), *_rows(run)], right=(5, 6))
    yield ""
    yield from _aligned([["", "in all", "predicted", "observed", ""], *_totals(run)], right=(2, 3))
    yield ""
    yield f"  {'; '.join(_measures(run))}"
    for note in run.notes:
        yield f"  {inert(note, LONGEST_TEXT)}"


def _rows(run: Run) -> Iterator[list[str]]:
    for entry in run.rows:
        outputs = [a for a in entry.accounts if a.what == "output"]
        stored = [a for a in entry.accounts if a.what != "output"]
        for i in range(max(len(outputs), len(stored), 1)):
            made = outputs[i] if i < len(outputs) else None
            kept = stored[i] if i < len(stored) else None
            name = [inert(entry.row), inert(entry.kind)] if i == 0 else ["", ""]
            yield [_mark(made, kept), *name, *_cells(made), *_cells(kept)]


def _mark(*accounts: Account | None) -> str:
    known = [a for a in accounts if a is not None]
    if not all(a.balances for a in known):
        return OTHER
    return OPEN if any(a.why for a in known) else SAME


def _cells(account: Account | None) -> list[str]:
    if account is None:
        return ["", ""]
    unit = " buffers" if account.what == "buffers" else ""
    return [_value(account.predicted, unit), _value(account.observed, unit)]


def _value(value: Any, unit: str = "") -> str:
    if value is None:
        return "–"
    return number(value) + unit if isinstance(value, int) else inert(str(value))


def _totals(run: Run) -> Iterator[list[str]]:
    for a in run.totals:
        word = WORDS.get(a.what, a.what)
        yield [_mark(a), word, _value(a.predicted), _value(a.observed), inert(a.why, LONGEST_TEXT)]


def _measures(run: Run) -> Iterator[str]:
    yield ", ".join(f"{what} {seconds:.2f} s" for what, seconds in run.seconds.items())
    if run.saved_bytes is not None:
        yield f"{run.saved_bytes:,} bytes kept for the backward pass"
    if run.peak_bytes is not None:
        yield f"the process held at most {run.peak_bytes / 1e6:,.0f} MB"


def _aligned(cells: list[list[str]], right: tuple[int, ...]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            text.rjust(w) if i in right else text.ljust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()


def _markdown(found: Verification) -> str:
    lines: list[str] = []
    for run in found.runs:
        lines += [*([""] if lines else []), f"**{markdown_escape(_title(found, run))}**", ""]
        lines += [_line(HEAD), _line(("---",) * 5 + ("---:",) * 2), *map(_line, _rows(run)), ""]
        lines += [_line(("", "in all", "predicted", "observed", ""))]
        lines += [_line(("---", "---", "---:", "---:", "---")), *map(_line, _totals(run)), ""]
        lines += [f"- {markdown_escape(text)}" for text in (*_measures(run), *run.notes)]
    return "\n".join(lines)


def _line(cells: Any) -> str:
    return f"| {' | '.join(markdown_escape(cell) for cell in cells)} |"


def _json(found: Verification) -> str:
    return json.dumps(found.to_dict(), indent=2)


FORMATS: dict[str, Callable[[Verification], str]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}
"""The formats that a verification can be written in."""

__all__ = ["FORMATS", "write"]
