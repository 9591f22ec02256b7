"""What single layers may be otherwise: groups, kernels, connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from netledger.conventions.roles import position_embeddings
from netledger.edits import SetField
from netledger.graph import BIAS, WEIGHT
from netledger.ledger import Row
from netledger.ops import Conv
from netledger.ops.base import each_axis
from netledger.ops.conv import Convolution, DepthwiseConv
from netledger.reconcile.hypotheses.base import Hypothesis, one_of
from netledger.reconcile.proposal import Cell, Proposal
from netledger.reconcile.sorts import CONV, LINEAR, TENSOR, last_word, sizes, tensor, weight_of
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import changed, listed, named, signed

GROUPS = (2, 3, 4, 8, 16, 32, 64)
KERNELS = (1, 2, 3, 4, 5, 7, 9, 11, 14, 16, 32)


def kernel_of(row: Row) -> tuple[int, ...]:
    """The size of a convolution's window, along each axis."""
    weight = weight_of(row)
    return sizes(weight)[2:] if weight is not None else ()


def groups_of(row: Row) -> int:
    """In how many groups a convolution is."""
    if isinstance(row.op, DepthwiseConv):
        weight = weight_of(row)
        return sizes(weight)[0] // row.op.depth_multiplier if weight is not None else 1
    return row.op.groups if isinstance(row.op, Conv) else 1


class Groups(Hypothesis):
    """Convolutions whose parts do not see one another, or that see everything after all."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Sets of layers in so many groups; grouped ones in one."""
        convs = [r for r in s.sort(CONV) if isinstance(r.op, Convolution) and weight_of(r)]
        whole = [r for r in convs if groups_of(r) == 1]
        pairs = [(r, sizes(w)[:2]) for r in whole if (w := weight_of(r)) is not None]
        for number in GROUPS:
            fit = [r for r, dims in pairs if all(d % number == 0 and d > number for d in dims)]
            for text, cost, rows in _grouped(whole, fit, number, s.most):
                yield from _regroup(s, rows, number, f"{text} in {number} groups", cost)
        depthwise = [r for r in whole if r.op is not None and _square(r) and max(kernel_of(r)) > 1]
        if depthwise:
            text = f"{named(depthwise, 'convolution')} depthwise: a kernel for each channel"
            yield from _regroup(s, depthwise, 0, text, 5.0)
        grouped = [r for r in convs if groups_of(r) > 1]
        if grouped:
            text = f"{named(grouped, 'grouped convolution')} in one group"
            yield from _regroup(s, grouped, 1, text, 2.5)
        for row in grouped if len(grouped) > 1 else ():
            cost = 6.0 + one_of(len(grouped))
            yield from _regroup(s, [row], 1, f"{row.name} in one group", cost)
        for number in GROUPS:
            other = [r for r in grouped if groups_of(r) != number and _refits(r, number)]
            if other:
                text = f"{named(other, 'grouped convolution')} in {number} groups"
                yield from _regroup(s, other, number, text, 5.0)


def _square(row: Row) -> bool:
    weight = weight_of(row)
    return weight is not None and weight.shape[0] == weight.shape[1]


def _refits(row: Row, number: int) -> bool:
    weight = weight_of(row)
    if weight is None or isinstance(row.op, DepthwiseConv):
        return False
    return all(d % number == 0 for d in (weight.shape[0], weight.shape[1] * groups_of(row)))


def _grouped(
    convs: Sequence[Row], fit: Sequence[Row], number: int, most: float
) -> Iterator[tuple[str, float, Sequence[Row]]]:
    if not fit:
        return
    extra = 0.0 if number == 2 else 1.0
    towers = [convs[i] for i in (1, 3, 4)] if len(convs) == 5 else []
    if number == 2 and towers and all(row in fit for row in towers):
        yield f"two towers, on two GPUs: {listed(r.name for r in towers)}", 2.0, towers
    wide = [r for r in fit if max(kernel_of(r)) > 1]
    seen: set[frozenset[str]] = {frozenset(r.name for r in towers)} if number == 2 else set()
    choices: list[tuple[float, Sequence[Row]]] = [(4.0, fit), (4.0, wide)]
    if len(fit) <= 6:
        some = (c for size in range(1, len(fit)) for c in combinations(fit, size))
        choices += [(4.5 + len(fit), rows) for rows in some]
    else:
        single = 6.0 + one_of(len(fit))
        choices += [(single, [row]) for row in fit if single + extra <= most]
    for cost, rows in choices:
        key = frozenset(row.name for row in rows)
        if rows and key not in seen:
            seen.add(key)
            yield named(rows, "convolution"), cost + extra, rows


def _regroup(
    s: Subject, rows: Sequence[Row], number: int, text: str, cost: float
) -> Iterable[Proposal]:
    """`rows` in `number` groups; 0: as many as channels."""
    if cost > s.most:
        return ()
    cells = []
    for row in rows:
        weight = weight_of(row)
        assert weight is not None
        count = weight.count * groups_of(row) // (number or sizes(weight)[1])
        cells.append(Cell(row.name, weight.name, WEIGHT, count - weight.count))
    return s.offer("groups", cost, text, cells, edits=partial(_in_groups, rows, number))


def _in_groups(rows: Sequence[Row], number: int) -> list[SetField]:
    """The edits; none if a layer's groups cannot be set."""
    if not all(isinstance(row.op, Conv) for row in rows):
        return []
    weights = [(row, weight_of(row)) for row in rows]
    return [SetField(r.name, "groups", number or sizes(w)[1]) for r, w in weights if w is not None]


class Kernels(Hypothesis):
    """Another size of the window; the maps keep their size."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Layers of one kernel size, of one name, single ones."""
        convs = [r for r in s.sort(CONV) if len(set(kernel_of(r))) == 1]
        for rows, cost in _alike(convs, s.most):
            yield from self._others(s, rows, cost)
        yield from _patches(s)

    @staticmethod
    def _others(s: Subject, rows: Sequence[Row], cost: float) -> Iterator[Proposal]:
        old, *more = kernel_of(rows[0])
        rank = 1 + len(more)
        tap = [Cell(r.name, w.name, WEIGHT, w.count // old**rank) for r in rows
               if (w := weight_of(r))]  # fmt: skip
        where = named(rows, "convolution")
        for new in KERNELS:
            odd = 0.0 if new % 2 and new > 1 else 3.0
            if new != old and abs(new - old) < 17:
                text = f"kernels of {new}×{new} instead of {old}×{old} in {where}"
                taps = new**rank - old**rank
                edits = partial(_same_maps, rows, new)
                yield from s.offer("kernel", cost + odd, text, tap, times=taps, edits=edits)


def _same_maps(rows: Sequence[Row], new: int) -> Iterator[SetField]:
    """Other kernels, padded so that the maps keep their size if they did."""
    for row in rows:
        if not isinstance(row.op, Conv):
            continue
        yield SetField(row.name, "kernel_size", new)
        old = row.op.kernel_size
        if row.op.padding == (old // 2 if isinstance(old, int) else tuple(k // 2 for k in old)):
            yield SetField(row.name, "padding", new // 2)


def _alike(convs: Sequence[Row], most: float) -> Iterator[tuple[Sequence[Row], float]]:
    """Sets of convolutions with one kernel size, none more surprising than `most`."""
    found: dict[frozenset[str], tuple[Sequence[Row], float]] = {}

    def put(rows: Sequence[Row], cost: float) -> None:
        if cost > most:
            return
        key = frozenset(row.name for row in rows)
        if key not in found or found[key][1] > cost:
            found[key] = rows, cost

    by_size: dict[tuple[tuple[int, ...], str], list[Row]] = {}
    for row in convs:
        for word in {"", row.name.rpartition(".")[2], last_word(row.name), _path(row.name)}:
            by_size.setdefault((kernel_of(row), word), []).append(row)
    for (_, word), rows in by_size.items():
        if not word or len(rows) > 1:
            put(rows, 5.0 if word else 4.0)
    for i, row in enumerate(convs):
        put([row], 5.0 if i == 0 else 6.0 + one_of(len(convs)))
    yield from found.values()


def _path(name: str) -> str:
    """The path of a layer without what counts its block: ``.branch3.1.conv``."""
    parts = name.split(".")
    return ".".join(parts[1:]) if len(parts) > 2 and not parts[1].isdigit() else name


def _patches(s: Subject) -> Iterator[Proposal]:
    """Other patches of a vision transformer: another kernel, and so other positions."""
    first = s.sort(CONV)[:1]
    if not first or not isinstance(first[0].op, Conv):
        return
    row = first[0]
    kernel = kernel_of(row)
    assert isinstance(row.op, Conv)
    if len(kernel) != 2 or each_axis(row.op.stride, 2) != kernel or not row.outputs:
        return
    named_so = position_embeddings(s.ledger)
    found = [r for r in s.sort(TENSOR) if r.name in named_so and weight_of(r)]
    weight = weight_of(row)
    if len(found) != 1 or weight is None:
        return
    positions, old = weight_of(found[0]), kernel[0]
    assert positions is not None
    dim = sizes(positions)[-1]
    side = next((d for d in row.outputs[0].shape[2:3] if type(d) is int), 0)
    for new in (8, 14, 16, 32):
        if new != old and side * old % new == 0:
            more = (side * old // new) ** 2 - side**2
            kernels = weight.count // old**2 * (new**2 - old**2)
            cells = [Cell(row.name, "weight", WEIGHT, kernels),
                     Cell(found[0].name, "weight", WEIGHT, more * dim)]  # fmt: skip
            text = f"patches of {new}×{new} instead of {old}×{old} in {row.name}"
            how = f"kernels {signed(kernels)}, positions {signed(more)} × {dim:,} = "
            how += signed(more * dim)
            yield from s.offer("kernel", 3.0, text, cells, arithmetic=how)


LENET_TABLE = 60
"""Of LeNet-5's 6 × 16 pairs of maps, so many are connected in C3 (LeCun et al. 1998, table I)."""


class Sparse(Hypothesis):
    """A convolution of which not every output sees every input."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """LeNet-5's table; its trained subsampling; its fixed output."""
        for row in s.sort(CONV):
            weight = weight_of(row)
            if weight is None or tuple(weight.shape[:2]) != (16, 6):
                continue
            gone = 96 - LENET_TABLE
            area = weight.count // 96
            text = f"{LENET_TABLE} of the 96 pairs of maps connected in {row.name}, as in LeNet-5"
            cells = [Cell(row.name, weight.name, WEIGHT, -gone * area)]
            how = f"−{gone} × {area} = {signed(-gone * area)}"
            yield from s.offer("sparse-connection", 2.5, text, cells, arithmetic=how)
            yield from self._as_in_1998(s, cells[0])

    @staticmethod
    def _as_in_1998(s: Subject, sparse: Cell) -> Iterable[Proposal]:
        """All that the paper counts otherwise than today's LeNet-5."""
        pools = [r for r in s.ledger.ops if r.kind in ("AvgPool", "MaxPool") and r.outputs]
        last = s.rows[-1]
        maps = [_channels(r) for r in pools]
        if not pools or not s.is_a(last, LINEAR) or not all(maps):
            return
        cells = [sparse]
        cells += [
            Cell(r.name, "coefficients", WEIGHT, 2 * c) for r, c in zip(pools, maps, strict=True)
        ]
        cells += [Cell(last.name, p.name, p.role, -p.count) for p in last.parameters]
        text = (
            f"as in the paper of 1998: {LENET_TABLE} of 96 pairs of maps connected in "
            f"{sparse.row}, a coefficient and a bias for each subsampled map, "
            f"{last.name} not trained"
        )
        yield from s.offer("sparse-connection", 4.0, text, cells)


def _channels(row: Row) -> int:
    op: Any = row.op
    d = op.split(row.outputs[0].shape)[1]
    return d if type(d) is int else 0


class Neighbours(Hypothesis):
    """A layer that was written down as the one beside it."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Every layer of a small network as the one before, or after."""
        rows = [r for r in s.rows if s.is_a(r, CONV) or s.is_a(r, LINEAR)]
        if len(rows) > 40:
            return
        for i, row in enumerate(rows):
            for other in rows[max(i - 1, 0) : i + 2]:
                if other is not row and sort_alike(row, other):
                    yield from self._as(s, row, other, 6.0 + one_of(2 * len(rows)))

    @staticmethod
    def _as(s: Subject, row: Row, other: Row, cost: float) -> Iterable[Proposal]:
        delta = (other.params or 0) - (row.params or 0)
        cells = []
        for name, role in (("weight", WEIGHT), ("bias", BIAS)):
            mine, theirs = tensor(row, name), tensor(other, name)
            more = (theirs.count if theirs else 0) - (mine.count if mine else 0)
            cells += [Cell(row.name, name, role, more)] if more else []
        text = f"{row.name} written down as {other.name}, what follows it unchanged"
        how = changed(row, other, delta).replace(f"{other.name}:", f"{row.name}:", 1)
        return s.offer("width", cost, text, cells, arithmetic=how)


def sort_alike(a: Row, b: Row) -> bool:
    """Whether two layers are of one operation and kernel."""
    return type(a.op) is type(b.op) and kernel_of(a) == kernel_of(b)
