"""Depth: repeated blocks, one more or fewer of them; layers like their neighbour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from itertools import product as product_of
from typing import NamedTuple

from netledger.graph import BIAS, BUFFER, WEIGHT
from netledger.ledger import Row
from netledger.ops.pool import Pool
from netledger.reconcile.claim import PARAMS
from netledger.reconcile.hypotheses.base import Hypothesis, Step, one_of
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import CONV, LINEAR, outputs_of, sizes, tensor, weight_of
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, named, product, several, signed, stored

FEW_BLOCKS = 9
LONE_COST = 2.5
"""That a single layer is left out is more surprising than that a block of several is."""
MOST = 64
"""Nobody forgets more blocks than this."""
BLOCKS, LAYERS = tuple(range(-MOST, MOST + 1)), tuple(range(2, 9))
"""So many more are tried where a claim of few digits leaves a choice."""


class Family(NamedTuple):
    """Blocks that are alike: `blocks` holds the layers of each."""

    stem: str
    blocks: tuple[tuple[Row, ...], ...]
    names: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """What one block stores."""
        return _cells(self.blocks[-1])


def _cells(rows: Sequence[Row]) -> list[Cell]:
    """What layers store."""
    return [
        Cell(row.name, p.name, p.role, p.count)
        for row in rows
        for p in row.parameters
        if p.tied_to is None and p.role != BUFFER
    ]


def families(s: Subject) -> list[Family]:
    """The repeated blocks of a network, by the numbers in the names of its modules."""
    return s.once("families", _families)


def _families(s: Subject) -> list[Family]:
    numbered: dict[str, dict[str, list[Row]]] = {}
    for row in s.rows:
        parts = row.name.split(".")
        for i, part in enumerate(parts[:-1]):
            if part.isdigit():
                stem = ".".join(parts[:i])
                numbered.setdefault(stem, {}).setdefault(f"{stem}.{part}", []).append(row)
        keras = re.match(r"^(.*?block)(\d+)_", row.name)
        if keras and "." not in row.name:
            numbered.setdefault(keras[1], {}).setdefault(keras[1] + keras[2], []).append(row)
    found = []
    for stem, blocks in numbered.items():
        alike: dict[tuple[object, ...], list[str]] = {}
        for name, rows in blocks.items():
            alike.setdefault(_signature(rows), []).append(name)
        for names in alike.values():
            members = tuple(tuple(blocks[name]) for name in names)
            if any(weight_of(row) is not None for row in members[0]):
                found.append(Family(stem, members, tuple(names)))
    return found


def _lone(s: Subject, family: Family) -> bool:
    """Whether a block is a single layer."""
    layers = [r for r in family.blocks[-1] if s.is_a(r, CONV) or s.is_a(r, LINEAR)]
    return len(layers) < 2


def _outermost(found: list[Family]) -> list[Family]:
    """Families of blocks that are in no block themselves."""
    blocks = tuple(f"{name}." for f in found for name in f.names)
    return [f for f in found if not f"{f.stem}.".startswith(blocks)]


def _signature(rows: Sequence[Row]) -> tuple[object, ...]:
    return tuple((p.role, p.shape) for row in rows for p in row.parameters)


class Depth(Hypothesis):
    """More blocks, or fewer."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """One layer more or fewer that keeps the number of channels; one in each of some stages."""
        for family in families(s):
            if len(family.blocks) > 1:
                for more in (-2, -1, 1, 2):
                    yield from _blocks(s, [family], more, 6.0)
        yield from _new_layers(s)
        layers = _keeping(s)
        for row in layers:
            cost = 5.0 + one_of(len(layers))
            yield from _copies(s, [row], 1, cost)
            if len(layers) < 40:
                yield from _copies(s, [row], -1, cost + 1)
        if 1 < len(layers) <= 8:
            for some in (c for n in (2, 3, 4) for c in combinations(layers, n)):
                in_a_row = layers.index(some[-1]) - layers.index(some[0]) == len(some) - 1
                yield from _copies(s, some, 1, 5.0 if in_a_row else 9.0)
                yield from _copies(s, some, -1, 6.0 if in_a_row else 10.0)

    def steps(self, s: Subject) -> Iterable[Step]:
        """As many blocks of a family as give the difference; as many of each family."""
        found = families(s)
        many = [f for f in _outermost(found) if len(f.blocks) > 1]
        for some in [[f] for f in found] + ([many] if len(many) > 1 else []):
            cells = [c for f in some for c in f.cells]
            yield Step(cells, partial(self._so_many, some), BLOCKS)
        for row in _keeping(s) if s.quantity == PARAMS else ():
            yield Step(_cells([row]), partial(self._layers, row), LAYERS)

    @staticmethod
    def _so_many(some: list[Family], s: Subject, more: int) -> Iterable[Proposal]:
        fixed = len(some) == 1 and len(some[0].blocks) > 1 and abs(more) < 3
        if not more or fixed or not -min(len(f.blocks) for f in some) <= more <= MOST:
            return ()
        lone = LONE_COST if all(_lone(s, f) for f in some) else 0.0
        return _blocks(s, some, more, 4.0 + len(some) / 4 + lone)

    @staticmethod
    def _layers(row: Row, s: Subject, more: int) -> Iterable[Proposal]:
        return _copies(s, [row], more, 7.0) if 1 < more <= MOST else ()

    def solve(self, s: Subject, delta: int) -> Iterable[Proposal]:
        """Other numbers of blocks in several stages."""
        last = {f.stem: f for f in families(s)}
        return _stages(s, list(last.values()), delta)


def _stages(s: Subject, found: list[Family], delta: int) -> Iterator[Proposal]:
    """Other numbers of blocks in several stages, as ResNet-34 has them instead of ResNet-18.

    All but one are counted through, that one is solved for.
    """
    units = [s.weigh(f.cells) or 0 for f in found]
    if not 2 <= len(found) <= 4 or min(units) <= 0:
        return
    sign = 1 if delta > 0 else -1
    seen = set()
    for solved, unit in enumerate(units):
        others = [i for i in range(len(units)) if i != solved]
        for counts in product_of(range(FEW_BLOCKS), repeat=len(others)):
            left = abs(delta) - sum(n * units[i] for n, i in zip(counts, others, strict=True))
            if left < 0 or left % unit or left // unit > MOST:
                continue
            more = [0] * len(units)
            for n, i in zip(counts, others, strict=True):
                more[i] = n
            more[solved] = left // unit
            if tuple(more) not in seen and sum(n > 0 for n in more) > 1:
                seen.add(tuple(more))
                if sign > 0 or all(n < len(f.blocks) for n, f in zip(more, found, strict=True)):
                    yield from _of_stages(s, found, [sign * n for n in more])


def _of_stages(s: Subject, found: list[Family], more: list[int]) -> Iterable[Proposal]:
    cells = [
        c._replace(delta=c.delta * n) for f, n in zip(found, more, strict=True) for c in f.cells
    ]
    units = [s.weigh(f.cells) or 0 for f in found]
    what = ", ".join(f"{abs(n)} like {f.names[-1]}" for f, n in zip(found, more, strict=True) if n)
    terms = [f"{signed(n)}×{u:,}" for n, u in zip(more, units, strict=True) if n]
    total = sum(n * u for n, u in zip(more, units, strict=True))
    cost = 5.0 + sum(one_of(1 + abs(n)) for n in more)
    text = f"{'more' if max(more) > 0 else 'fewer'} blocks: {what}"
    how = f"{' '.join(terms)} = {signed(total)}"
    some = [f for f, n in zip(found, more, strict=True) if n]
    return [_of_blocks(p, some) for p in s.offer("depth", cost, text, cells, arithmetic=how)]


def _blocks(s: Subject, some: Sequence[Family], more: int, cost: float) -> Iterable[Proposal]:
    cells = [c for f in some for c in f.cells]
    unit = s.weigh(cells) or 0
    each = " in each stage" if len(some) > 1 else ""
    what = several(abs(more), "block")
    text = (
        f"{what} {'more' if more > 0 else 'fewer'}{each} like {listed(f.names[-1] for f in some)}"
    )
    price = cost + one_of(abs(more)) + one_of(len(some[0].blocks) if more < 0 else 1) / 4
    how = f"{signed(more)} × {unit:,}"
    found = s.offer("depth", price, text, cells, times=more, arithmetic=how)
    return [_of_blocks(p, some) for p in found]


def _of_blocks(p: Proposal, some: Sequence[Family]) -> Proposal:
    from dataclasses import replace

    whole = "×" not in p.arithmetic or " = " in p.arithmetic
    arithmetic = p.arithmetic if whole else f"{p.arithmetic} = {signed(p.delta)}"
    return replace(p, rows=tuple(f.names[-1] for f in some), arithmetic=arithmetic)


def _keeping(s: Subject) -> list[Row]:
    """Layers with as many outputs as inputs, one of each shape: a stack can have one more."""
    return s.once("keeping", _find_keeping)


def _find_keeping(s: Subject) -> list[Row]:
    found: list[Row] = []
    before: Row | None = None
    for row in s.ledger.ops:
        if isinstance(row.op, Pool):
            before = None
        if not s.is_a(row, CONV) and not s.is_a(row, LINEAR):
            continue
        shape = _square_shape(row)
        if shape:
            if before is not None and _square_shape(before) == shape:
                found.pop()
            found.append(row)
        before = row
    return found if len(found) <= 40 else []


def _square_shape(row: Row) -> tuple[int, ...]:
    """The shape of a kernel with as many outputs as inputs."""
    weight = weight_of(row)
    if weight is None or len(weight.shape) < 2 or weight.shape[0] != weight.shape[1]:
        return ()
    return sizes(weight)


def _new_layers(s: Subject) -> Iterator[Proposal]:
    """A layer that nobody mentions: as many outputs as inputs, behind one that is there."""
    rows = [r for r in (*s.sort(CONV), *s.sort(LINEAR)) if weight_of(r) is not None][:-1]
    seen: set[tuple[int, int]] = set()
    for row in rows if len(rows) <= 60 else ():
        width, biased = outputs_of(row), tensor(row, "bias") is not None
        for kernel in (3, 1) if s.is_a(row, CONV) else (0,):
            weight = weight_of(row)
            if (width, kernel) in seen or (kernel and weight and len(weight.shape) != 4):
                continue
            seen.add((width, kernel))
            taps = kernel * kernel or 1
            cells = [Cell("new layer", "weight", WEIGHT, taps * width * width)]
            cells += [Cell("new layer", "bias", BIAS, width)] if biased else []
            what = f"{kernel}×{kernel} convolution" if kernel else "linear layer"
            text = f"one more {what} {width:,} → {width:,} after {row.name}"
            shape = (width, width, *(kernel, kernel)[: 2 * bool(kernel)])
            how = f"{product(shape)}{f' + {width:,}' if biased else ''}"
            yield from s.offer("depth", 6.5 + one_of(len(rows)) / 2, text, cells, arithmetic=how)


def _copies(s: Subject, rows: Sequence[Row], more: int, cost: float) -> Iterable[Proposal]:
    cells = _cells(rows)
    if more > 0:
        what = f"{several(more, 'layer')} more like {named(rows, 'layer')}"
        if len(rows) > 1:
            what = f"a layer more like each of {listed(r.name for r in rows)}"
    else:
        what = f"without {named(rows, 'layer')}"
    how = f"{stored(rows[0])}: {signed((rows[0].params or 0) * more)}" if len(rows) == 1 else ""
    price = cost + one_of(abs(more))
    return s.offer("depth", price, what, cells, times=more, arithmetic=how)
