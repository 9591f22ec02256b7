"""What is said above and below a table: headline, totals with definitions, notes, findings."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netledger.formula import Formula
from netledger.ledger import Ledger, Totals
from netledger.render.common.numbers import COUNTS, at_least, is_zero, number, total
from netledger.render.common.sizes import Sizes
from netledger.render.common.text import LONGEST_TEXT, inert

if TYPE_CHECKING:
    from netledger.render.common import View


def headline(ledger: Ledger, view: View, sizes: Sizes) -> list[str]:
    """Name, title, inputs, what counts are for, view."""
    graph = ledger.graph
    title = inert(graph.title)
    inputs = [row for row in ledger.ops if row.op is None]
    named = [f"{inert(row.name)} {sizes.text(row)}" for row in inputs]
    shown = [sizes.text(row) for row in inputs] if len(inputs) == 1 else named
    return [
        inert(graph.name),
        *([title] if title and title != graph.name else []),
        *([f"input{'s' if len(shown) > 1 else ''} {', '.join(shown)}"] if shown else []),
        "per sample" if ledger.batch is None else f"batch {ledger.batch:,}",
        view.label,
    ]


def summary(ledger: Ledger) -> list[list[str]]:
    """The totals in words, with units and definitions: lines, each in pieces."""
    t = ledger.totals
    told = {what: total(t, what) for what in COUNTS}
    stored = [p for row in ledger.ops for p in row.parameters if p.tied_to is None]
    pieces = [f"{told['params']} parameters = {told['weights']} weights + {told['biases']} biases"]
    if not is_zero(t.frozen):
        pieces.append(f"{number(t.trainable)} trainable + {number(t.frozen)} frozen")
    if not is_zero(t.buffers):
        pieces.append(f"{number(t.buffers)} buffers (stored, not learned, not in the parameters)")
    if stored:
        whole = "params" not in t.unknown and all(p.stored_bytes is not None for p in stored)
        dtypes = ", ".join(sorted({inert(p.dtype) for p in stored}))
        pieces.append(f"{'' if whole else '≥ '}{_bytes(t.bytes)} in {dtypes}")
    return [
        pieces,
        [
            f"{told['macs']} MACs (multiply-accumulates, biases not counted)",
            f"{_told(t, 'neurons')} neurons (outputs of layers with weights)",
            f"{_told(t, 'activations')} activations (outputs of all operations)",
        ],
    ]


def _told(t: Totals, what: str) -> str:
    causes = {"activations", "params"} if what == "neurons" else {what}
    value = getattr(t, what)
    return number(value) if t.unknown.isdisjoint(causes) else at_least(value)


def _bytes(value: Any) -> str:
    if isinstance(value, Formula):
        return f"{number(value)} bytes"
    if value < 1000:
        return f"{value} bytes"
    power = min((len(str(value)) - 1) // 3, len(_UNITS))
    tenths = (value * 10 + 1000**power // 2) // 1000**power
    return f"{tenths // 10:,}.{tenths % 10} {_UNITS[power - 1]}"


_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def notes(ledger: Ledger, width: int | None = None) -> list[str]:
    """What the marks ``=`` and ``?`` in a table stand for; all of it where nothing limits it."""
    shared = [
        f"{inert(row.name)}.{inert(p.name)} is {inert(p.tied_to.replace('/', '.'))}"
        for row in ledger.ops
        for p in row.parameters
        if p.tied_to is not None
    ]
    found = [f"= shared, counted only once: {_listed(shared, width)}"] if shared else []
    rows: dict[tuple[str, str], list[str]] = {}
    for row in ledger.ops:
        for reason in _reasons(tuple(row.unknown.items())):
            rows.setdefault(reason, []).append(inert(row.name))
    of = sum([row.op is not None for row in ledger.ops])
    for (what, why), names in rows.items():
        listed = f"all {of:,} rows" if len(names) == of > 4 else _listed(names, width)
        found.append(f"? {what} unknown: {inert(why, LONGEST_TEXT)} ({listed})")
    return found


@lru_cache(maxsize=64)
def _reasons(unknown: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """What is not known of a row, and why: counts that share a reason together."""
    counts: dict[str, list[str]] = {}
    for what, why in unknown:
        counts.setdefault(why, []).append(_WORDS.get(what, what))
    return [(" and ".join(what), why) for why, what in counts.items()]


_WORDS = {"params": "parameters", "macs": "MACs"}


def _listed(names: list[str], width: int | None) -> str:
    """Names in a row; on a terminal only the first of many."""
    if width is None or len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def findings(ledger: Ledger) -> list[tuple[str, str]]:
    """The level of each finding, and the finding in words."""
    return [
        (f.level, f"{f.level} {f.code} {inert(f.row)}: {inert(f.message, LONGEST_TEXT)}")
        for f in ledger.findings
    ]


def stopped(ledger: Ledger) -> str:
    """Where a ledger that is not whole had to stop; empty for a whole one."""
    return f"… stopped at {inert(ledger.failed)}" if ledger.failed else ""
