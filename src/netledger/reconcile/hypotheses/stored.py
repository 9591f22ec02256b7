"""What layers store beside their kernels: biases, scales and offsets of normalisations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations

from netledger.edits import SetField
from netledger.graph import BIAS, BUFFER, WEIGHT
from netledger.ledger import Row
from netledger.ops.norm import BatchNorm, ChannelNorm, LayerNorm
from netledger.ops.recurrent import Recurrent
from netledger.reconcile.hypotheses.base import Change, Hypothesis, one_of
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import (
    CONV,
    LINEAR,
    NORM,
    TENSOR,
    last_word,
    outputs_of,
    tensor,
    weight_of,
)
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, named

SCALES = re.compile(r"(^|[._])(layer_?scale\w*|gamma(_\d)?|ls\d)([._]|$)", re.I)
"""How the scales of whole layers are called, which ConvNeXt and CaiT have."""
Choice = tuple[str, float, Sequence[Row]]


class Bias(Hypothesis):
    """Biases that are there and were not counted, or the other way round."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Whole classes of layers, then single ones."""
        without = [r for r in _multiplying(s) if weight_of(r) and not tensor(r, "bias")]
        with_one = [r for r in _multiplying(s) if tensor(r, "bias")]
        for text, cost, rows in _classes(s, without) if s.most > 2.5 else ():
            yield from _add(s, rows, f"biases in {text}", cost)
        for text, cost, rows in _classes(s, with_one) if s.most > 2.5 else ():
            yield from _drop(s, rows, f"no biases in {text}", cost + 1)

    def networks(self, s: Subject) -> Iterable[Change]:
        """Recurrent layers with another number of bias vectors."""
        rows = [r for r in s.rows if isinstance(r.op, Recurrent) and r.op.bias]
        if rows:
            assert isinstance(rows[0].op, Recurrent)
            vectors = 3 - rows[0].op.bias_vectors
            text = f"{vectors} bias vector{'s' * (vectors > 1)} for each gate, not {3 - vectors}"
            edits = tuple(SetField(r.name, "bias_vectors", vectors) for r in rows)
            yield Change("bias", 3.0, f"{text}, in {named(rows, 'recurrent layer')}", edits)


def _multiplying(s: Subject) -> tuple[Row, ...]:
    return s.sort(CONV) + s.sort(LINEAR)


def _classes(s: Subject, rows: Sequence[Row]) -> Iterator[Choice]:
    """Sets of layers that are likely to be alike; the same set is named once."""
    convs = [r for r in rows if s.is_a(r, CONV)]
    normed = [r for r in convs if _normed(s, r)]
    free = [r for r in convs if not _normed(s, r)]
    linears = [r for r in rows if s.is_a(r, LINEAR)]
    choices: list[Choice] = [
        (f"convolutions before normalisation ({len(normed):,})", 2.5, normed),
        (f"all {len(convs):,} convolutions", 3.0, convs),
        (f"convolutions that no normalisation follows ({len(free):,})", 4.0, free),
        (f"all {len(linears):,} linear layers", 4.0, linears),
        (f"all {len(rows):,} convolutions and linear layers", 4.5, rows),
    ]
    for word, alike in _by_word(rows).items():
        choices.append((f"the {len(alike):,} layers called {word}", 5.0, alike))
    choices += _by_parent(linears)
    single = 6.5 + one_of(len(rows))
    choices += [(row.name, single, [row]) for row in rows if single <= s.most]
    seen = set()
    for text, cost, chosen in choices:
        key = frozenset(r.name for r in chosen)
        if key and key not in seen:
            seen.add(key)
            yield text if len(chosen) > 4 else named(chosen, "layer"), cost, chosen


def _by_word(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        for word in {row.name.rpartition(".")[2], last_word(row.name)}:
            found.setdefault(word, []).append(row)
    return {word: alike for word, alike in found.items() if len(alike) > 1}


def _by_parent(rows: Sequence[Row]) -> Iterator[Choice]:
    """The layers of modules of one name, as attention's queries, keys and values."""
    parents: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        *_, parent, word = ("", "", *row.name.split("."))
        if parent and not parent.isdigit():
            parents.setdefault(parent, {}).setdefault(word, []).append(row)
    for parent, words in parents.items():
        for number in (2, 3, 4) if len(words) <= 6 else ():
            for some in combinations(words, number):
                chosen = [row for word in some for row in words[word]]
                if len(chosen) > number:
                    yield f"{listed(some)} of every {parent}", 4.5 + number / 4, chosen


def _normed(s: Subject, row: Row) -> bool:
    return any(isinstance(taker.op, ChannelNorm | LayerNorm) for taker in s.next(row))


def _add(s: Subject, rows: Sequence[Row], text: str, cost: float) -> Iterable[Proposal]:
    cells = [Cell(r.name, "bias", BIAS, outputs_of(r)) for r in rows]
    return s.offer("bias", cost, text, cells, edits=partial(_set, rows, "bias", True))


def _drop(s: Subject, rows: Sequence[Row], text: str, cost: float) -> Iterable[Proposal]:
    cells = [Cell(r.name, "bias", BIAS, -p.count) for r in rows if (p := tensor(r, "bias"))]
    return s.offer("bias", cost, text, cells, edits=partial(_set, rows, "bias", False))


def _set(rows: Sequence[Row], field: str, value: bool) -> tuple[SetField, ...]:
    if all(r.op is not None and field in r.op.rules for r in rows):
        return tuple(SetField(r.name, field, value) for r in rows)
    return ()


class NormAffine(Hypothesis):
    """Normalisations without scale or offset, more of them, or fewer."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Scales, offsets or both left out; normalisations added, or exchanged for biases."""
        norms = s.sort(NORM)
        batch = [r for r in norms if isinstance(r.op, BatchNorm)]
        choices = [(f"{len(norms):,} normalisations", 3.0, norms)]
        if 0 < len(batch) < len(norms):
            choices.append((f"{len(batch):,} batch normalisations", 3.0, tuple(batch)))
        for word, alike in _by_word(norms).items():
            if len(alike) < len(norms):
                text = f"the {len(alike):,} normalisations called {word}"
                choices.append((text, 6.0, tuple(alike)))
        single = 6.5 + one_of(len(norms))
        choices += [(row.name, single, (row,)) for row in norms if single <= s.most]
        for text, cost, rows in choices:
            if cost > s.most:
                continue
            yield from _unlearned(s, rows, f"scales and offsets of {text} not counted", cost)
            yield from _unlearned(s, rows, f"no scales in {text}", cost + 1, WEIGHT)
            yield from _unlearned(s, rows, f"no offsets in {text}", cost + 1, BIAS)
        yield from _normalised(s)
        yield from _exchanged(s)
        scales = [r for r in s.sort(TENSOR) if SCALES.search(r.name)]
        if scales:
            text = f"no scales of layers ({named(scales, 'tensor')})"
            cells = [Cell(r.name, p.name, p.role, -p.count) for r in scales for p in r.parameters]
            yield from s.offer("norm-affine", 4.0, text, cells)


def _unlearned(
    s: Subject, rows: Sequence[Row], text: str, cost: float, role: str = ""
) -> Iterable[Proposal]:
    cells = [
        Cell(row.name, p.name, p.role, -p.count)
        for row in rows
        for p in row.parameters
        if p.tied_to is None and p.role != BUFFER and role in ("", p.role)
    ]
    return s.offer("norm-affine", cost, text, cells)


def _normalised(s: Subject) -> Iterable[Proposal]:
    """A batch normalisation after every convolution that has none, biases kept or not."""
    rows = [r for r in s.sort(CONV) if not _normed(s, r)]
    if not rows or len(rows) < len(s.sort(CONV)) / 2:
        return
    added = [Cell(f"{r.name}/norm", "weight", WEIGHT, 2 * outputs_of(r)) for r in rows]
    running = [Cell(f"{r.name}/norm", "running", WEIGHT, 2 * outputs_of(r)) for r in rows]
    gone = [Cell(r.name, "bias", BIAS, -p.count) for r in rows if (p := tensor(r, "bias"))]
    text = f"batch normalisation (scale, offset) after {named(rows, 'convolution')}"
    yield from s.offer("norm-affine", 3.0, text, added)
    yield from s.offer("norm-affine", 5.0, f"{text}, running statistics too", added + running)
    if gone:
        text = f"{text} in place of the bias"
        yield from s.offer("norm-affine", 3.5, text, added + gone)
        text = f"{text}, running statistics too"
        yield from s.offer("norm-affine", 5.5, text, added + running + gone)


def _exchanged(s: Subject) -> Iterable[Proposal]:
    """Biases in place of the batch normalisations, as if these were fused into the kernels."""
    pairs = [
        (row, norm)
        for row in s.sort(CONV)
        for norm in s.next(row)
        if isinstance(norm.op, BatchNorm) and norm.parameters
    ]
    if not pairs:
        return
    gone = [
        Cell(norm.name, p.name, p.role, -p.count)
        for _, norm in pairs
        for p in norm.parameters
        if p.role != BUFFER
    ]
    biases = [
        Cell(row.name, "bias", BIAS, outputs_of(row)) for row, _ in pairs if not tensor(row, "bias")
    ]
    text = f"no batch normalisation after {named([row for row, _ in pairs], 'convolution')}"
    text = f"{text}, a bias in its place"
    yield from s.offer("norm-affine", 3.5, text, gone + biases)
