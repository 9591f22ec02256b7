"""Counts, receptive fields and operations in words, as every table shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netledger.formula import Formula
from netledger.graph import BIAS, WEIGHT
from netledger.ledger import Row, Totals
from netledger.render.common.sizes import factor
from netledger.render.common.text import LONGEST_TEXT, escape, inert


def number(value: Any) -> str:
    """A count with thousands apart; ``?`` for None."""
    if value is None:
        return "?"
    if isinstance(value, Formula):
        return escape(value.text()) if value.value is None else f"{value.value:,}"
    return f"{value:,}"


def at_least(value: Any) -> str:
    """A count of which something is unknown."""
    return "?" if value is None or is_zero(value) else f"≥ {number(value)}"


def is_zero(value: Any) -> bool:
    """True for a count that is known to be 0."""
    return isinstance(value, int) and value == 0


COUNTS = ("weights", "biases", "params", "macs")
"""The counts of a row that tables show, in order."""

_ROLES = {"weights": (WEIGHT,), "biases": (BIAS,), "params": (WEIGHT, BIAS), "macs": ()}


def count(row: Row, what: str) -> str:
    """A count of a row; marked ``=`` if shared parameters count elsewhere, ``?``, ``≥``."""
    value = getattr(row, what)
    if ("macs" if what == "macs" else "params") in row.unknown:
        return at_least(value)
    for p in row.parameters:
        if p.tied_to is not None and p.role in _ROLES[what]:
            return f"= {number(value)}"
    return number(value)


def total(totals: Totals, what: str) -> str:
    """A total; marked if it is only a lower bound."""
    incomplete = ("macs" if what == "macs" else "params") in totals.unknown
    value = getattr(totals, what)
    return at_least(value) if incomplete else number(value)


def reach(row: Row) -> str:
    """The receptive field: ``11x11``, ``all``, or a dash where positions have no meaning."""
    field = row.receptive_field
    if isinstance(field, tuple):
        return "x".join(factor(r) for r in field)
    return field or "–"


def operation(row: Row) -> str:
    """What a row does: ``Conv: 96 kernels of 11×11×3, stride 4, padding 0 → ReLU``."""
    if row.op is None:
        if row.kind == "Input":
            return "Input"
        return f"Module of {sum(1 for _ in _operations(row))} operations"
    words = row.op.describe(*[t.shape for t in row.input_types])
    text = f"{row.kind}: {words}" if words else row.kind
    return inert(" → ".join([text, *[folded.kind for folded in row.folded]]), LONGEST_TEXT)


def _operations(row: Row) -> Iterator[Row]:
    if row.op is not None:
        yield row
    for folded in row.folded:
        yield from _operations(folded)
