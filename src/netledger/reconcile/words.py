"""Numbers and layers in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from netledger.diff.words import listed, signed
from netledger.graph import BIAS, WEIGHT
from netledger.ledger import Row, Stored

MOST_TERMS = 6
"""So many terms of a sum are written out."""


def sum_up(terms: Iterable[int]) -> str:
    """``−307,200 −663,552 −442,368 = −1,413,120``; equal neighbours together."""
    values = [t for t in terms if t]
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    shown = [signed(v) if n == 1 else f"{n}×({signed(v)})" for v, n in runs]
    if len(shown) > MOST_TERMS:
        tally = Counter(values)
        shown = [signed(v) if n == 1 else f"{n}×({signed(v)})" for v, n in tally.items()]
    if len(shown) > MOST_TERMS:
        left = len(shown) - MOST_TERMS + 1
        shown = [*shown[: MOST_TERMS - 1], f"… ({left} terms more)"]
    if len(values) < 2:
        return shown[0] if shown else "0"
    return f"{' '.join(shown)} = {signed(sum(values))}"


def product(shape: Sequence[Any]) -> str:
    """A tensor's size as a product, the inputs first: ``3²×256×384``, ``9,216×4,096``."""
    if len(shape) < 2:
        return f"{shape[0]:,}" if shape else "1"
    out, fan_in, *kernel = shape
    taps = []
    for size, same in groupby(kernel):
        power = len(list(same))
        taps.append(f"{size}{'²³'[power - 2] if power in (2, 3) else ''}")
    return "×".join([*(t for t in taps if not t.startswith("1")), f"{fan_in:,}", f"{out:,}"])


def stored(row: Row) -> str:
    """What a row stores as arithmetic: ``256×4,096 + 4,096 = 1,052,672``."""
    learned = [p for p in row.parameters if p.role in (WEIGHT, BIAS) and p.tied_to is None]
    if not learned:
        return "0"
    text = " + ".join(product(p.shape) for p in learned)
    total = sum(p.count for p in learned)
    return text if text == f"{total:,}" else f"{text} = {total:,}"


def changed(before: Row | None, after: Row | None, delta: int) -> str:
    """A row's arithmetic before and after: ``FC-1: 256×4,096 → 9,216×4,096: +36,700,160``."""
    row = after or before
    assert row is not None
    old = stored(before) if before is not None else "0"
    new = stored(after) if after is not None else "0"
    return f"{row.name}: {old} → {new}: {signed(delta)}"


def several(number: int, noun: str) -> str:
    """``1 convolution``, ``53 convolutions``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def named(rows: Sequence[Row], noun: str) -> str:
    """Layers by name if they are few, else their number: ``Conv-2``, ``53 convolutions``."""
    if len(rows) <= 4:
        return listed(row.name for row in rows)
    return f"{len(rows):,} {noun}s"


def shared_shape(p: Stored) -> str:
    """``32,128×512``."""
    return "×".join(f"{d:,}" for d in p.shape)


__all__ = [
    "changed",
    "listed",
    "named",
    "product",
    "several",
    "shared_shape",
    "signed",
    "stored",
    "sum_up",
]
