"""What changes the size of maps: poolings, flattening, input, padding, rounding, strides.

A layer behind it may store more or less for it, so the network is derived anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netledger.edits import Edit, Insert, Remove, SetField, SetInput
from netledger.graph import Shape, TensorType
from netledger.ledger import Row
from netledger.ops import (
    AvgPool,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
)
from netledger.ops.base import Op, Spatial
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool
from netledger.ops.reshape import Reduce
from netledger.reconcile.claim import ACTIVATIONS, FLOPS, MACS, NEURONS
from netledger.reconcile.hypotheses.base import Change, Hypothesis, one_of
from netledger.reconcile.sorts import CONV
from netledger.reconcile.subject import Subject

COMPUTED = (MACS, FLOPS, NEURONS, ACTIVATIONS)
SIZES = (
    *(224, 227, 299, 256, 32, 28, 384, 331, 192, 160, 128, 96, 64, 48, 112, 176, 200, 208, 225),
    *(231, 240, 260, 280, 288, 300, 320, 321, 380, 416, 448, 456, 480, 512, 513, 528, 600, 640),
    *(800, 1024),
)
USUAL = SIZES[:6]
ROOM = 1.4
"""So far from the area's growth may a count be: borders count less, attention more."""


def sees_a_map(s: Subject) -> bool:
    """Whether any matrix's size depends on the size of a map."""
    return any(isinstance(r.op, Flatten) and len(_spatial(r)) > 0 for r in s.ledger.ops)


def _spatial(row: Row) -> tuple[Any, ...]:
    shape = row.input_types[0].shape if row.input_types else ()
    return tuple(d for d in shape[1:] if d != 1)[1:]


def matters(s: Subject) -> bool:
    """Whether the size of maps can change the count."""
    return s.quantity in COMPUTED or sees_a_map(s)


def _last_dense(s: Subject) -> Iterator[tuple[Row, Row]]:
    """The first linear layer on a map, with the layer that makes the map's features."""
    makers = {value: row for row in s.ledger.ops for value in row.made}
    for row in s.ledger.ops:
        if isinstance(row.op, Linear) and row.input_types and len(row.input_types[0].shape) == 4:
            maker = makers.get(row.inputs[0])
            if maker is not None:
                yield maker, row
            return


class FlattenMaps(Hypothesis):
    """A Flatten before the first linear layer, or a global pooling there."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """Inserted, removed or exchanged."""
        for maker, dense in _last_dense(s):
            last = _last_layout(s)
            flat = Insert("flatten", Flatten(), (maker.made[0],), feeds=((dense.name, 0),))
            yield Change("flatten", 2.0, f"add Flatten before {dense.name}", (flat,), ("flatten",))
            pool = GlobalAvgPool(channels_last=last)
            inserted = Insert("global_avg_pool", pool, (maker.made[0],), feeds=((dense.name, 0),))
            text = f"add global average pooling before {dense.name}"
            yield Change("pooling", 4.0, text, (inserted,), ("global_avg_pool",))
        for row in s.ledger.ops:
            if isinstance(row.op, Flatten) and _spatial(row):
                text = f"without {row.name}: what follows it runs at every position"
                yield Change("flatten", 4.0, text, (Remove(row.name),))
                yield from self._averaged(s, row)
            if isinstance(row.op, GlobalPool | AdaptivePool | Reduce) and _squashes(row):
                yield from self._flattened(s, row)

    @staticmethod
    def _averaged(s: Subject, flatten: Row) -> Iterator[Change]:
        if len(flatten.input_types[0].shape) == 4:
            pool = GlobalAvgPool(channels_last=_last_layout(s))
            edits = (
                Insert("global_avg_pool", pool, flatten.inputs[:1], feeds=((flatten.name, 0),)),
            )
            text = f"add global average pooling before {flatten.name}"
            yield Change("pooling", 4.0, text, edits, ("global_avg_pool",))

    @staticmethod
    def _flattened(s: Subject, pool: Row) -> Iterator[Change]:
        flat = any(isinstance(taker.op, Flatten) for taker in s.next(pool))
        edits: tuple[Edit, ...] = (Remove(pool.name),)
        if not flat:
            takers = [t for t in s.next(pool) if t.op is not None]
            feeds = tuple((t.name, t.inputs.index(pool.made[0])) for t in takers)
            edits = (Insert("flatten", Flatten(), pool.inputs[:1], feeds=feeds), *edits)
        yield Change(
            "flatten", 5.0, f"the map flattened, not pooled by {pool.name}", edits, (pool.name,)
        )


def _squashes(row: Row) -> bool:
    taken = [d for d in row.input_types[0].shape[1:] if d != 1]
    made = [d for d in row.outputs[0].shape[1:] if d != 1]
    return len(taken) == 3 and len(made) == 1


def _last_layout(s: Subject) -> bool:
    return next((r.op.channels_last for r in s.ledger.ops if isinstance(r.op, Spatial)), True)


class Poolings(Hypothesis):
    """A pooling more, one fewer, or with another window."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """Where the others stand: before the fully connected layers, or between convolutions."""
        if not matters(s) and not list(_last_dense(s)):
            return
        pools = [r for r in s.ledger.ops if isinstance(r.op, Pool)]
        yield from self._more(s, pools)
        for row in pools:
            cost = 4.0 + (one_of(len(pools)) if row is not pools[-1] else 0.0)
            yield Change("pooling", cost, f"without {row.name}", (Remove(row.name),))
            yield from self._other(row, len(pools))
        for row in s.ledger.ops:
            if isinstance(row.op, AdaptivePool) and not _squashes(row):
                for size in range(1, 9):
                    edit = SetField(row.name, "output_size", size)
                    text = f"{row.name} to {size}×{size}"
                    yield Change("pooling", 5.0, text, (edit,))
                yield Change("pooling", 5.0, f"without {row.name}", (Remove(row.name),))

    @staticmethod
    def _more(s: Subject, pools: list[Row]) -> Iterator[Change]:
        last, own = _last_layout(s), [r.op for r in pools if r.op is not None]
        usual: list[Op] = [MaxPool(3, stride=2, channels_last=last), MaxPool(2, channels_last=last)]
        usual.append(AvgPool(2, channels_last=last))
        windows = list(dict.fromkeys([*reversed(own), *usual]))
        places = _places(s)
        for place, (value, words, cost) in enumerate(places):
            for op in windows:
                assert isinstance(op, Pool)
                name = f"{op.key}_{place + 1}_more"
                text = f"add {_pool_words(op)} {words}"
                price = cost + (0.0 if op in own else 1.0) + (op != (own or windows)[-1]) * 0.25
                yield Change("pooling", price, text, (Insert(name, op, (value,)),), (name,))

    @staticmethod
    def _other(row: Row, pools: int) -> Iterator[Change]:
        op: Any = row.op
        for kernel, stride in ((2, 2), (3, 2), (3, 3), (2, 1), (3, 1)):
            if (op.kernel_size, op.step) not in ((kernel, stride), ((kernel,) * 2, (stride,) * 2)):
                edits = (
                    SetField(row.name, "kernel_size", kernel),
                    SetField(row.name, "stride", stride),
                )
                text = f"{row.name} {kernel}×{kernel}, stride {stride}"
                yield Change("pooling", 6.0 + one_of(pools), text, edits)


def _pool_words(op: Pool) -> str:
    kernel = op.kernel_size[0] if isinstance(op.kernel_size, tuple) else op.kernel_size
    step = op.step[0] if isinstance(op.step, tuple) else op.step
    return f"{op.kind} {kernel}×{kernel}/{step}"


def _places(s: Subject) -> list[tuple[str, str, float]]:
    """Where a pooling may stand: values, in words, and how surprising."""
    found: list[tuple[str, str, float]] = []
    pairs = list(_last_dense(s))
    flats = [r for r in s.ledger.ops if isinstance(r.op, Flatten) and _spatial(r)]
    convs = s.sort(CONV)
    pooled = any(
        isinstance(t.op, Pool | AdaptivePool | GlobalPool) for c in convs[-1:] for t in _after(s, c)
    )
    after = f"after {convs[-1].name}" if convs else ""
    if pairs:
        maker, dense = pairs[0]
        found.append((maker.made[0], after or f"before {dense.name}", 2.5 + pooled))
    elif flats:
        found.append((flats[0].inputs[0], after or f"before {flats[0].name}", 2.5 + pooled))
    for row in convs[:-1] if len(convs) <= 20 else ():
        if not any(isinstance(t.op, Pool) for t in _after(s, row)):
            ends = [r for r in _after(s, row) if r.op is not None and r.op.folds]
            value = (ends[-1] if ends else row).made[0]
            found.append((value, f"after {row.name}", 6.0 + one_of(len(convs))))
    return found


def _after(s: Subject, row: Row) -> list[Row]:
    """What follows a layer up to the next convolution or matrix."""
    found: list[Row] = []
    todo = s.next(row)
    while todo and len(found) < 12:
        taker = todo.pop(0)
        if taker.parameters and isinstance(taker.op, Conv | Linear):
            continue
        found.append(taker)
        todo += s.next(taker)
    return found


class InputSize(Hypothesis):
    """Images of another size, sequences of another length."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """The sizes that networks are published for."""
        if not matters(s) or len(s.graph.inputs) != 1:
            return
        name, t = next(iter(s.graph.inputs.items()))
        last = _last_layout(s)
        if len(t.shape) == 4:
            own = t.shape[1] if last else t.shape[2]
            for size in SIZES:
                if size != own and _near(s, size / own if type(own) is int else 1):
                    shape = (size, size, t.shape[-1]) if last else (t.shape[1], size, size)
                    text = f"input {size}×{size} instead of {own}×{own}"
                    yield _input(name, t, shape, 3.0 if size in USUAL else 6.0, text)
        elif len(t.shape) in (2, 3) and s.quantity in COMPUTED:
            for size in (32, 64, 128, 256, 384, 512, 1024, 2048, 4096):
                text = f"a sequence of {size:,} instead of {t.shape[1]}"
                yield _input(name, t, (size, *t.shape[2:]), 4.0, text)


def _near(s: Subject, times: Any) -> bool:
    """Whether an input so many times as wide can close the gap: work grows with the area."""
    if s.gap is None or s.quantity not in COMPUTED:
        return True
    low, high = s.count + s.gap[0], s.count + s.gap[1]
    return bool(low / ROOM <= s.count * times * times <= high * ROOM)


def _input(name: str, t: TensorType, shape: Shape, cost: float, text: str) -> Change:
    edit = SetInput(name, TensorType((t.shape[0], *shape), t.dtype))
    return Change("input-size", cost, text, (edit,))


class Paddings(Hypothesis):
    """No padding, or as much as keeps the size; windows rounded up or down."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """All convolutions, the first, each of a few; all poolings, all windows."""
        if not matters(s):
            return
        convs = [r for r in s.ledger.ops if isinstance(r.op, Conv)]
        pools = [r for r in s.ledger.ops if isinstance(r.op, Pool)]
        for word in ("valid", "same"):
            for rows, what, cost in (
                (convs, "all convolutions", 4.0),
                (pools, "all poolings", 4.5),
                (convs + pools, "all convolutions and poolings", 4.5),
                *(([r], r.name, 6.0 + one_of(len(convs))) for r in convs[:8] + pools[:8]),
            ):
                edits = tuple(SetField(r.name, "padding", word) for r in rows)
                yield Change("padding", cost, f"padding {word} in {what}", edits)
        for row in convs[:1]:
            for padding in (1, 2, 3):
                if getattr(row.op, "padding", 0) != padding:
                    edit = SetField(row.name, "padding", padding)
                    yield Change("padding", 6.0, f"padding {padding} in {row.name}", (edit,))
        yield from self._roundings(convs, pools)

    @staticmethod
    def _roundings(convs: list[Row], pools: list[Row]) -> Iterator[Change]:
        for rounding, word in (("floor", "down"), ("ceil", "up")):
            for rows, what, cost in (
                (convs[:1], convs[0].name if convs else "", 4.5),
                (convs, "all convolutions", 5.0),
                (pools, "all poolings", 4.5),
                (convs + pools, "all windows", 4.5),
                *(([row], row.name, 7.0) for row in pools[:8]),
            ):
                changed = [r for r in rows if getattr(r.op, "rounding", "") != rounding]
                edits = tuple(SetField(r.name, "rounding", rounding) for r in changed)
                if edits:
                    text = f"windows rounded {word} in {what}"
                    yield Change("rounding-mode", cost, text, edits, tuple(r.name for r in changed))


class Strides(Hypothesis):
    """Strides elsewhere, or others."""

    def networks(self, s: Subject) -> Iterable[Change]:
        """On a bottleneck's first convolution or on its second; the first layer's; each other."""
        if not matters(s):
            return
        for forward in (True, False):
            edits = tuple(_moved(s, forward))
            if edits:
                rows = tuple(dict.fromkeys(e.row for e in edits))
                where = "first 1×1" if forward else "3×3"
                text = f"strides on the {where} convolutions of {len(rows) // 2} blocks"
                text += " (ResNet v1)" if forward else " (ResNet v1.5)"
                yield Change("stride", 2.0, text, edits, rows)
        convs = [r for r in s.ledger.ops if isinstance(r.op, Conv)]
        strided = [r for r in convs if getattr(r.op, "stride", 1) not in (1, (1, 1))]
        for i, row in enumerate(strided[:12]):
            for stride in (1, 2, 4):
                if getattr(row.op, "stride", 1) not in (stride, (stride, stride)):
                    cost = 5.0 + (i > 0) * (1.5 + one_of(len(strided)))
                    text = f"stride {stride} in {row.name}"
                    yield Change("stride", cost, text, (SetField(row.name, "stride", stride),))


def _moved(s: Subject, forward: bool) -> Iterator[SetField]:
    """Strides moved from a convolution to the one before it in its block, or after."""
    for row in s.sort(CONV):
        if not isinstance(row.op, Conv) or len(row.outputs[0].shape) != 4:
            continue
        for other in _next_convs(s, row):
            assert isinstance(other.op, Conv)
            pair = _step(row), _step(other)
            sizes = _size(row), _size(other)
            if sizes != (1, 3):
                continue
            if forward and pair[0] == 1 and pair[1] > 1:
                yield SetField(row.name, "stride", pair[1])
                yield SetField(other.name, "stride", 1)
            elif not forward and pair[0] > 1 and pair[1] == 1:
                yield SetField(row.name, "stride", 1)
                yield SetField(other.name, "stride", pair[0])


def _next_convs(s: Subject, row: Row) -> list[Row]:
    """The convolution that a layer feeds through what keeps the size, if it is the only one."""
    at = row
    for _ in range(4):
        takers = s.next(at)
        if len(takers) != 1:
            return []
        at = takers[0]
        if isinstance(at.op, Conv):
            return [at]
        if isinstance(at.op, Pool) or len(at.inputs) != 1:
            return []
    return []


def _step(row: Row) -> int:
    stride: Any = getattr(row.op, "stride", 1)
    return int(stride[0] if isinstance(stride, tuple) else stride)


def _size(row: Row) -> int:
    kernel: Any = getattr(row.op, "kernel_size", 1)
    return int(kernel[0] if isinstance(kernel, tuple) else kernel)
