"""Other widths: one layer's, solved from what it feeds; the whole network's, by a factor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache, partial
from typing import NamedTuple

from netledger.edits import SetField
from netledger.graph import BIAS, BUFFER, WEIGHT
from netledger.ledger import Row
from netledger.ops import Activation, Conv, Dropout, Flatten, Identity, Linear, PReLU
from netledger.ops.conv import DepthwiseConv
from netledger.ops.norm import ChannelNorm, LayerNorm, LocalResponseNorm
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool
from netledger.reconcile.hypotheses.base import Change, Hypothesis, Step, number_cost, one_of
from netledger.reconcile.hypotheses.ends import last_layers
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import (
    CONV,
    LINEAR,
    last_word,
    outputs_of,
    sort_of,
    tensor,
    weight_of,
)
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, named, signed

PASSING = (
    *(Activation, Dropout, Identity, PReLU, LocalResponseNorm, Pool, AdaptivePool, GlobalPool),
    *(ChannelNorm, LayerNorm),
)
"""Operations that make as many channels as they take."""
FACTORS = (
    *(Fraction(n, 8) for n in (1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 16, 24, 32)),
    *(Fraction(1, 3), Fraction(2, 3), Fraction(11, 10), Fraction(6, 5), Fraction(13, 10)),
    Fraction(7, 5),
)
MULTIPLIERS = tuple(Fraction(n, 100) for n in (25, 35, 50, 75, 100, 110, 120, 130, 140, 150, 200))
MOST_ROWS = 400
ALIKE_COST = 6.0
"""For layers of one name; a single layer of a few costs hardly less."""


class Unit(NamedTuple):
    """Layers whose width can change alone: what one output more adds, how surprising that is."""

    rows: list[Row]
    cells: list[Cell]
    cost: float


class Widths(Hypothesis):
    """One layer, or layers of one name, with another number of kernels or neurons.

    One kernel more is so many parameters more in the layer itself, in the normalisations that it
    passes and in the layers that it feeds: the rest is a division.
    """

    def steps(self, s: Subject) -> Iterable[Step]:
        """The number of kernels that gives the difference."""
        for unit in s.once("width units", find_units) if s.most > ALIKE_COST else ():
            if unit.cost < s.most:
                known = _more(outputs_of(unit.rows[0]))
                yield Step(unit.cells, partial(self._other, unit), known)

    @staticmethod
    def _other(unit_of: Unit, s: Subject, more: int) -> Iterable[Proposal]:
        rows, cells, cost = unit_of
        number, unit = outputs_of(rows[0]) + more, s.weigh(cells) or 0
        if number <= 0 or not more or (number % 4 and abs(more) > 2):
            return
        what = "neurons" if sort_of(rows[0]) == LINEAR else "kernels"
        text = f"{number:,} {what} instead of {number - more:,} in {named(rows, 'layer')}"
        fed = [c.row for c in cells if all(c.row != r.name for r in rows)]
        if fed and len(rows) == 1:
            text += f", which feed {listed(dict.fromkeys(fed))}"
        field = "out_features" if what == "neurons" else "out_channels"
        editable = all(isinstance(r.op, Conv | Linear) for r in rows)
        chosen = rows if editable else []
        how = f"{signed(more)} × {unit:,} = {signed(more * unit)}"
        price = cost + number_cost(number) / 2
        edits = partial(_set, chosen, field, number)
        found = s.offer("width", price, text, cells, times=more, edits=edits)
        yield from (_explained(p, rows, how) for p in found)


def _set(rows: list[Row], field: str, number: int) -> Iterator[SetField]:
    yield from (SetField(row.name, field, number) for row in rows)


def find_units(s: Subject) -> list[Unit]:
    """Every layer whose width can change alone, and layers of one name together."""
    return list(_find_units(s))


def _find_units(s: Subject) -> Iterator[Unit]:
    last = {row.name for row in last_layers(s)}
    rows = [r for r in (*s.sort(CONV), *s.sort(LINEAR)) if r.name not in last]
    if len(rows) > MOST_ROWS:
        return
    single = {}
    for row in rows:
        cells = _unit(s, row)
        if cells:
            single[row.name] = cells
            yield Unit([row], cells, 5.5 + one_of(len(rows)))
    alike: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row.name in single:
            alike.setdefault((last_word(row.name), outputs_of(row)), []).append(row)
    for some in alike.values():
        if len(some) > 1:
            yield Unit(some, _merged([c for row in some for c in single[row.name]]), ALIKE_COST)


def _explained(p: Proposal, rows: list[Row], how: str) -> Proposal:
    from dataclasses import replace

    return replace(p, rows=tuple(r.name for r in rows), arithmetic=how)


@lru_cache(maxsize=1024)
def _more(own: int) -> tuple[int, ...]:
    """The widths that people choose, by how many they are more."""
    found = {own * n // 8 for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 14, 16, 24, 32)}
    found |= {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096}
    return tuple(n - own for n in sorted(found))


def _merged(cells: list[Cell]) -> list[Cell]:
    found: dict[tuple[str, str, str], int] = {}
    for c in cells:
        key = c.row, c.name, c.role
        found[key] = found.get(key, 0) + c.delta
    return [Cell(*key, delta) for key, delta in found.items()]


def _unit(s: Subject, row: Row) -> list[Cell]:
    """What one output more adds, layer by layer; nothing if that cannot be said."""
    weight, own = weight_of(row), outputs_of(row)
    if weight is None or own < 2 or getattr(row.op, "groups", 1) != 1:
        return []
    cells = [Cell(row.name, weight.name, WEIGHT, weight.count // own)]
    if tensor(row, "bias"):
        cells.append(Cell(row.name, "bias", BIAS, 1))
    todo, seen = [(taker, 1) for taker in s.next(row)], set()
    while todo:
        taker, times = todo.pop()
        if taker.name in seen:
            continue
        seen.add(taker.name)
        fed = _fed(taker, own * times)
        if fed is None:
            return []
        cells += [c._replace(delta=c.delta * times) for c in fed]
        if isinstance(taker.op, PASSING):
            todo += [(after, times) for after in s.next(taker)]
        elif isinstance(taker.op, Flatten):
            shape = taker.input_types[0].shape[1:]
            area = [d for d in shape if type(d) is int]
            whole = 1
            for d in area:
                whole *= d
            todo += [(after, whole // own) for after in s.next(taker)]
    return cells


def _fed(taker: Row, channels: int) -> list[Cell] | None:
    """What one input more adds to a layer; None if it cannot have one more alone."""
    op = taker.op
    if isinstance(op, Flatten):
        return []
    if isinstance(op, PASSING):
        learned = [p for p in taker.parameters if p.role != BUFFER and p.tied_to is None]
        return [Cell(taker.name, p.name, p.role, p.count // channels) for p in learned]
    weight = weight_of(taker)
    if not isinstance(op, Conv | Linear) or weight is None or getattr(op, "groups", 1) != 1:
        return None
    if weight.count % channels:
        return None
    return [Cell(taker.name, weight.name, WEIGHT, weight.count // channels)]


class Factor(Hypothesis):
    """The whole network wider or narrower by a factor."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """Every width but the last, times the factor."""
        last = {row.name for row in last_layers(s)}
        rows = [
            r
            for r in (*s.sort(CONV), *s.sort(LINEAR))
            if r.name not in last and isinstance(r.op, Conv | Linear)
        ]
        yield from _divisible(s)
        convs = [r for r in rows if isinstance(r.op, Conv)]
        alone = {r.name for unit in s.once("width units", find_units) for r in unit.rows}
        inner = [r for r in convs if r.name in alone]
        told: list[list[Row]] = []
        dense = [r for r in rows if isinstance(r.op, Linear)]
        for chosen, what in (
            (rows, "layers"),
            (dense if convs and len(dense) < 4 else [], "fully connected layers"),
            (convs, "convolutions"),
            (inner, "convolutions that no sum needs"),
            ([r for r in inner if r is not convs[0]], "convolutions within their blocks"),
        ):
            if len(chosen) < 2 or chosen in told:
                continue
            told.append(chosen)
            for factor in FACTORS:
                widths = [outputs_of(r) * factor for r in chosen]
                if all(w.denominator == 1 for w in widths):
                    edits = tuple(map(_widen, chosen, widths))
                    cost = 4.0 if factor in (2, Fraction(1, 2)) else 5.0
                    text = f"{factor} times as many kernels in {len(chosen):,} {what}"
                    yield Change("width", cost, text, edits)


def _divisible(s: Subject) -> Iterator[Change]:
    """MobileNet's multiplier: widths rounded to multiples of 8, the last not narrowed."""
    convs = [r for r in s.sort(CONV) if isinstance(r.op, Conv | DepthwiseConv)]
    if len(convs) < 8 or not any(_depthwise(r) for r in convs):
        return
    for factor in MULTIPLIERS:
        edits = list(_multiplied(convs, factor))
        text = f"width multiplier {float(factor):g}, rounded to multiples of 8"
        yield Change("width", 4.0, text, tuple(edits))


def _multiplied(convs: list[Row], factor: Fraction) -> Iterator[SetField]:
    """Projections are rounded; expansions are as many times as wide as before."""
    width = before = projected = 0
    for row, after in zip(convs, [*convs[1:], None], strict=True):
        own = outputs_of(row)
        if _depthwise(row):
            if not isinstance(row.op, DepthwiseConv):
                yield SetField(row.name, "out_channels", width)
                yield SetField(row.name, "groups", width)
            continue
        if before and after is not None and _depthwise(after) and own % before == 0:
            width = own // before * projected
        elif after is None and factor < 1:
            return
        else:
            width = projected = rounded(own * factor)
            before = own
        yield SetField(row.name, "out_channels", width)


def _depthwise(row: Row) -> bool:
    groups = getattr(row.op, "groups", 1)
    return isinstance(row.op, DepthwiseConv) or (groups > 1 and groups == outputs_of(row))


def rounded(width: Fraction) -> int:
    """The nearest multiple of 8 that is not 10 % below. Howard et al. (2017), as in TF-slim.

    >>> rounded(Fraction(24 * 7, 5))
    32
    """
    found = max(8, int(width + 4) // 8 * 8)
    return found + 8 if found < Fraction(9, 10) * width else found


def _widen(row: Row, width: Fraction) -> SetField:
    field = "out_features" if isinstance(row.op, Linear) else "out_channels"
    return SetField(row.name, field, int(width))
