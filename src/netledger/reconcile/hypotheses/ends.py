"""The two ends of a network: channels of the input, classes, heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from netledger.conventions.roles import aux_heads, heads
from netledger.edits import SetField
from netledger.graph import BUFFER, WEIGHT
from netledger.ledger import Row
from netledger.reconcile.claim import BYTES, PARAMS
from netledger.reconcile.hypotheses.base import Hypothesis, Step, number_cost, one_of
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import CONV, LINEAR, TENSOR, outputs_of, sizes, tensor, weight_of
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, signed, sum_up

CLASSES = (
    *(1000, 10, 100, 1001, 21841, 21842, 21843, 365, 2, 1, 3, 4, 5, 6, 7, 8, 20, 21, 22),
    *(37, 80, 81, 90, 91, 101, 102, 120, 128, 196, 200, 256, 257, 400, 555, 600, 700, 8142),
    *(10450, 11221, 11821, 512, 768, 1024, 2048),
)
"""ImageNet, CIFAR, Caltech, Places, Flowers, Kinetics, COCO, VOC … and their backgrounds."""


MOST_CLASSES = 1 << 20
MOST_IN_HEAD = 4
"""More layers than these in a module with a classifier are no part of a head."""
WORK_COST = 1.5
"""Work is hardly ever told for other classes than those of ImageNet, nor does it change much."""


def last_layers(s: Subject) -> tuple[Row, ...]:
    """The layers that make the classes."""
    return s.once("last layers", _last_layers)


def _last_layers(s: Subject) -> tuple[Row, ...]:
    found = heads(s.ledger)
    rows = [row for row in s.rows if row.name in found and weight_of(row) is not None]
    if not rows:
        rows = [r for r in s.rows[-1:] if s.is_a(r, LINEAR) and weight_of(r) is not None]
    return tuple(rows)


class Classes(Hypothesis):
    """The last layer has another number of outputs."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """The numbers of classes of well-known data sets."""
        for rows, cost in self._choices(s):
            own = outputs_of(rows[0])
            for number in CLASSES:
                yield from self._other(s, rows, number - own, cost)

    def steps(self, s: Subject) -> Iterable[Step]:
        """Whatever number gives the difference."""
        for rows, cost in self._choices(s):
            yield Step(self._cells(s, rows, 1), partial(self._unheard, rows, cost))

    def _unheard(
        self, rows: Sequence[Row], cost: float, s: Subject, more: int
    ) -> Iterable[Proposal]:
        number = outputs_of(rows[0]) + more
        if 0 < number <= MOST_CLASSES and number not in CLASSES:
            return self._other(s, rows, more, cost)
        return ()

    def _choices(self, s: Subject) -> Iterator[tuple[tuple[Row, ...], float]]:
        rows = last_layers(s)
        if rows and len({outputs_of(r) for r in rows}) == 1:
            yield rows, 3.0 if not _square(rows[0]) else 6.0
            stored = _idle_heads(s, outputs_of(rows[0]))
            if stored:
                yield (*rows, *stored), 3.0
        if len(rows) > 1:
            for row in rows:
                yield (row,), 5.0

    @staticmethod
    def _cells(s: Subject, rows: Sequence[Row], more: int) -> list[Cell]:
        found = []
        for row in rows:
            own = sizes(row.parameters[0])[0] if s.is_a(row, TENSOR) else outputs_of(row)
            found += [
                Cell(row.name, p.name, p.role, more * p.count // own)
                for p in row.parameters
                if p.role != BUFFER and p.tied_to is None
            ]
        return found

    def _other(self, s: Subject, rows: Sequence[Row], more: int, cost: float) -> Iterable[Proposal]:
        own = outputs_of(rows[0])
        number = own + more
        field = "out_features" if s.is_a(rows[0], LINEAR) else "out_channels"
        editable = [r.name for r in rows if r.op and field in r.op.rules]
        per = sum(cell.delta for cell in self._cells(s, rows, 1))
        return s.offer(
            "classes",
            cost + _classes_cost(number) + (0.0 if s.quantity in (PARAMS, BYTES) else WORK_COST),
            f"{number:,} classes instead of {own:,} in {listed(r.name for r in rows)}",
            self._cells(s, rows, more),
            edits=lambda: [SetField(name, field, number) for name in editable],
            arithmetic=f"{signed(more)} × {per:,} = {signed(more * per)}",
        )


def _square(row: Row) -> bool:
    """Whether it makes as many features as it takes: a pooler, no classifier."""
    weight = weight_of(row)
    return weight is not None and len(weight.shape) == 2 and weight.shape[0] == weight.shape[1]


def _idle_heads(s: Subject, classes: int) -> tuple[Row, ...]:
    """What auxiliary heads store for each class, where no layer uses it: they serve training."""
    named = aux_heads(s.ledger)
    tensors = [r for r in s.sort(TENSOR) if r.name in named]
    return tuple(r for r in tensors if sizes(r.parameters[0])[0] == classes)


def _classes_cost(number: int) -> float:
    if number in CLASSES[:7]:
        return 0.0
    return 3.0 if number in CLASSES else 2.5 + number_cost(number) / 2


class Head(Hypothesis):
    """The fully connected layers after the convolutions are left out, or a classifier is added."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Without all of them; with one more."""
        convs = s.sort(CONV)
        if convs:
            after = s.rows[s.rows.index(convs[-1]) + 1 :]
            rows = [row for row in after if s.is_a(row, LINEAR)]
            if 1 < len(rows) < 6 and len(rows) == len([r for r in after if r.params]):
                cells = [Cell(r.name, p.name, p.role, -p.count) for r in rows for p in r.parameters]
                text = f"without the fully connected layers {listed(r.name for r in rows)}"
                yield from s.offer("head", 3.0, text, cells)
        yield from _without_modules(s)
        for number in CLASSES[:8]:
            yield from self._added(s, number)

    def steps(self, s: Subject) -> Iterable[Step]:
        """A classifier for whatever number of classes."""
        features = self._features(s)
        if features:
            cells = [Cell("classifier", "weight", WEIGHT, features + 1)]
            yield Step(cells, self._unheard)

    def _unheard(self, s: Subject, number: int) -> Iterable[Proposal]:
        return self._added(s, number) if number > 1 and number not in CLASSES[:8] else ()

    def _added(self, s: Subject, number: int) -> Iterable[Proposal]:
        features = self._features(s)
        if not features or s.quantity != PARAMS:
            return
        delta = features * number + number
        yield Proposal(
            "head",
            (),
            delta,
            f"with a classifier of {number:,} classes on the {features:,} features",
            f"{features:,}×{number:,} + {number:,} = {delta:,}",
            5.0 + number_cost(number, CLASSES[:8]),
            frozenset({"classifier"}),
        )

    @staticmethod
    def _features(s: Subject) -> int:
        return s.once("features", _features)


def _without_modules(s: Subject) -> Iterable[Proposal]:
    """Without the modules of the classifiers: normalisations and hidden layers in them too."""
    last = last_layers(s)
    modules = tuple(f"{row.name.rpartition('.')[0]}." for row in last)
    rows = [row for row in s.rows if row.name.startswith(modules)] if "." not in modules else []
    if len(last) < len(rows) <= MOST_IN_HEAD * len(last):
        cells = [Cell(r.name, p.name, p.role, -p.count) for r in rows for p in r.parameters]
        text = f"without {listed(dict.fromkeys(m[:-1] for m in modules))}: "
        text += f"{listed(r.name for r in rows)}"
        yield from s.offer("head", 4.0, text, cells)


def _features(s: Subject) -> int:
    """The features that the network returns, if no classifier makes its output."""
    if any(not _square(s.by_name[name]) for name in heads(s.ledger)):
        return 0
    types = {v: t for r in s.ledger.ops for v, t in zip(r.made, r.outputs, strict=False)}
    shapes = [types[v].shape for v in s.graph.outputs if v in types]
    last = s.sort(CONV)[-1:]
    if not shapes:
        return 0
    if len(shapes[0]) > 3:
        return outputs_of(last[0]) if last else 0
    features = shapes[0][-1]
    return features if isinstance(features, int) else 0


class AuxHead(Hypothesis):
    """Auxiliary classifiers, which serve training only: one of them left out, or added."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Each alone; and those of papers, on the maps where they stand."""
        named = aux_heads(s.ledger)
        rows = [row for row in s.rows if row.name in named]
        tops = dict.fromkeys(_top(row) for row in rows)
        for top in tops if len(tops) > 1 else ():
            mine = [row for row in rows if _top(row) == top]
            cells = [Cell(r.name, p.name, p.role, -p.count) for r in mine for p in r.parameters]
            yield from s.offer("aux-head", 5.0, f"without the auxiliary head {top}", cells)
        if not rows:
            yield from _missing_heads(s)


def _top(row: Row) -> str:
    return (row.scope or row.name).split(".")[0]


def _missing_heads(s: Subject) -> Iterator[Proposal]:
    """GoogLeNet's heads, where inception modules are; and one like an FCN's own."""
    last = last_layers(s)
    if not last or s.quantity != PARAMS:
        return
    classes = outputs_of(last[0])
    widths = list(dict.fromkeys(_channels(s)))
    normed = not any(tensor(r, "bias") for r in s.sort(CONV))
    fc = 2048 * 1024 + 1024 + 1024 * classes + classes
    for i, first in enumerate(widths):
        for second in widths[i + 1 :] if len(widths) < 12 else ():
            found = [c * 128 + (256 if normed else 128) + fc for c in (first, second)]
            joined = {first, second} == {512, 528}
            text = f"with two auxiliary heads, on maps of {first} and {second} channels"
            how = f"C×128 + {'2×' if normed else ''}128 + 2,048×1,024 + 1,024"
            how = f"{how} + 1,024×{classes:,} + {classes:,} each: {sum_up(found)}"
            yield _head(text, how, found, 2.5 if joined else 8.5)
    if s.is_a(last[0], CONV):
        for channels in widths:
            mid = channels // 4
            delta = 9 * channels * mid + 2 * mid + mid * classes + classes
            text = f"with an auxiliary head (3×3, 1×1) on maps of {channels:,} channels"
            how = f"3²×{channels:,}×{mid:,} + 2×{mid:,} + {mid:,}×{classes:,} + {classes:,}"
            yield _head(text, f"{how} = {delta:,}", [delta], 3.0 + one_of(len(widths)))


def _head(text: str, arithmetic: str, deltas: list[int], cost: float) -> Proposal:
    return Proposal(
        "aux-head", (), sum(deltas), text, arithmetic, cost, frozenset({"auxiliary heads"})
    )


def _channels(s: Subject) -> Iterator[int]:
    """The channels of maps that several layers share, and of those that layers join."""
    for row in s.ledger.ops:
        if row.kind in ("Concat", "Add") and row.outputs and len(row.outputs[0].shape) == 4:
            yield from (
                d for d in (row.outputs[0].shape[-1], row.outputs[0].shape[1])
                if type(d) is int and d >= 128 and d % 8 == 0
            )  # fmt: skip


class Channels(Hypothesis):
    """Images with other channels: grey, with depth or infrared, several stacked."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Other numbers of channels in the layers that see the input."""
        fed = [row for name in s.graph.inputs for row in s.takers.get(name, ())]
        rows = [r for r in fed if s.is_a(r, CONV) and weight_of(r) is not None]
        if not rows or len(rows) < len(fed) or getattr(rows[0].op, "groups", 1) != 1:
            return
        weight = weight_of(rows[0])
        assert weight is not None
        own = sizes(weight)[1]
        for number in (1, 2, 3, 4, 5, 6, 9, 10, 12, 13):
            cells = [
                Cell(r.name, w.name, WEIGHT, w.count // own * (number - own))
                for r in rows
                if (w := weight_of(r)) is not None
            ]
            text = f"images of {number} channel{'s' * (number > 1)} instead of {own}"
            text = f"{text} in {listed(r.name for r in rows)}"
            yield from s.offer("input-size", 3.0 if number in (1, 3) else 4.5, text, cells)
