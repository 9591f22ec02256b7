"""Which layer of one network is which layer of the other.

Both networks are put into one order, which depends on their structure alone; names that both use
for layers of one kind are anchors; between them, layers with weights are aligned first (the best
global alignment, Needleman and Wunsch 1970), then what lies between two of those.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from netledger.diff.layout import Layouts, fields, layouts, shape_of, spelt
from netledger.graph import Node
from netledger.ledger import Ledger, Row
from netledger.ops import Opaque
from netledger.ops.pointwise import Activation, Broadcast
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool

MOST_CELLS = 1_500_000
"""Where there would be more pairs than this, only those near the diagonal are compared."""

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A layer, as it is compared."""

    node: Node
    row: Row
    kind: str
    fields: dict[str, Any]
    parameters: tuple[Any, ...]
    outputs: tuple[Any, ...]
    heavy: bool
    trusted: bool
    """Whether its name was given by a person, not counted up."""
    token: str
    """What it is and does, as text: equal for equal layers."""


class Side:
    """One of the two networks.

    Attributes:
        ledger: Its ledger.
        maps: The layout of each value.
        parts: Its layers, in the order of comparison.
        maker: The layer that makes a value.
        takers: The layers that take it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.maps: Layouts = layouts(ledger)
        rows = {row.name: row for row in ledger.ops}
        self.by_name = {n.name: _part(n, rows[n.name], self.maps) for n in ledger.graph.nodes}
        self.maker = {v: p for p in self.by_name.values() for v in p.node.outputs}
        self.takers: dict[str, list[Part]] = {}
        for part in self.by_name.values():
            for value in part.node.inputs:
                self.takers.setdefault(value, []).append(part)
        self.parts = self._ordered()

    def _ordered(self) -> list[Part]:
        """Depth first from the outputs; of the terms of a sum, the one with more weights first."""
        depth: dict[str, int] = {}
        for name, part in self.by_name.items():
            feeds = [depth[self.maker[v].node.name] for v in part.node.inputs if v in self.maker]
            depth[name] = max(feeds, default=0) + part.heavy
        done: dict[str, Part] = {}
        starts = [self.maker[v] for v in self.ledger.graph.outputs if v in self.maker]
        for start in [*starts, *self.by_name.values()]:
            waiting = [start]
            while waiting:
                top = waiting[-1]
                makers = [self.maker[v] for v in top.node.inputs if v in self.maker]
                if isinstance(top.node.op, Broadcast):
                    makers.sort(key=lambda p: -depth[p.node.name])
                missing = [p for p in makers if p.node.name not in done]
                if missing and top.node.name not in done:
                    waiting += reversed(missing)
                else:
                    done[top.node.name] = waiting.pop()
        return list(done.values())


def _part(node: Node, row: Row, maps: Layouts) -> Part:
    op = spelt(row, maps)
    layout = maps.get(row.inputs[0]) if row.inputs else None
    own = fields(op, len(row.input_types[0].shape) if row.input_types else 0, layout)
    parameters = tuple(sorted((p.role, str(p.shape)) for p in row.parameters))
    values = row.made or (row.name,)
    outputs = tuple(
        shape_of(t.shape, maps.get(v)) for t, v in zip(row.outputs, values, strict=False)
    )
    kind = op.kind if isinstance(op, Opaque) else type(op).__name__
    learns = any(p.role != "buffer" for p in row.parameters)
    counts = not isinstance(row.macs, int) or row.macs != 0
    last = node.name.rpartition(".")[2]
    word = op.function if isinstance(op, Activation) else op.key
    word = kind.lower() if isinstance(op, Opaque) else word
    counted = re.fullmatch(rf"({re.escape(word)}|[a-z]+[a-z_]*(1d|2d|3d)?)?[_.]?\d*", last, re.I)
    trusted = counted is None or (last.isalpha() and last != word) or "." in node.name
    token = f"{kind} {own} {parameters} {outputs}"
    return Part(node, row, kind, own, parameters, outputs, learns or counts, trusted, token)


def align(a: Side, b: Side) -> list[tuple[Part | None, Part | None]]:
    """Pairs in order; None where a layer has no partner."""
    pairs = dict(_align(a.parts, b.parts))
    found: list[tuple[Part | None, Part | None]] = []
    j = 0
    for i, part in enumerate(a.parts):
        if i not in pairs:
            found.append((part, None))
            continue
        found += [(None, b.parts[k]) for k in range(j, pairs[i])]
        found.append((part, b.parts[pairs[i]]))
        j = pairs[i] + 1
    return [*found, *((None, part) for part in b.parts[j:])]


def _align(a: Sequence[Part], b: Sequence[Part]) -> Pairs:
    anchors = _anchors(a, b)
    heavy: Pairs = []
    for (i0, j0), (i1, j1) in _between(anchors, len(a), len(b)):
        ia = [i for i in range(i0 + 1, i1) if a[i].heavy]
        jb = [j for j in range(j0 + 1, j1) if b[j].heavy]
        found = _best([a[i] for i in ia], [b[j] for j in jb], _likeness)
        heavy += [(ia[i], jb[j]) for i, j in found]
    firm = sorted([*anchors, *heavy])
    light: Pairs = []
    for (i0, j0), (i1, j1) in _between(firm, len(a), len(b)):
        ia = [i for i in range(i0 + 1, i1) if not a[i].heavy]
        jb = [j for j in range(j0 + 1, j1) if not b[j].heavy]
        found = _best([a[i] for i in ia], [b[j] for j in jb], _light_likeness)
        light += [(ia[i], jb[j]) for i, j in found]
    return sorted([*firm, *light])


def _between(pairs: Pairs, n: int, m: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    edges = [(-1, -1), *pairs, (n, m)]
    return list(pairwise(edges))


def _anchors(a: Sequence[Part], b: Sequence[Part]) -> Pairs:
    """Layers of one kind that both networks call the same; as many as stand in one order."""
    where = {p.node.name: j for j, p in enumerate(b)}
    pairs = []
    same_names = sum(p.node.name in where for p in a)
    alike = 2 * same_names > min(len(a), len(b))  # one vocabulary: counted names match too
    for i, part in enumerate(a):
        j = where.get(part.node.name)
        if j is None or not _namesakes(part, b[j]):
            continue
        if part.heavy and (part.trusted or (alike and part.token == b[j].token)):
            pairs.append((i, j))
    return _increasing(pairs)


def _namesakes(a: Part, b: Part) -> bool:
    if a.kind == b.kind:
        return True
    return a.trusted and bool(a.row.parameters) and bool(b.row.parameters)


def _increasing(pairs: Pairs) -> Pairs:
    """The longest subsequence that increases on both sides."""
    tails: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for at, (_, j) in enumerate(pairs):
        k = bisect_left(tails, j)
        if k == len(tails):
            tails.append(j)
            ends.append(at)
        else:
            tails[k], ends[k] = j, at
        back.append(ends[k - 1] if k else -1)
    found: Pairs = []
    at = ends[-1] if ends else -1
    while at >= 0:
        found.append(pairs[at])
        at = back[at]
    return found[::-1]


def _best(a: Sequence[Part], b: Sequence[Part], likeness: Callable[[Part, Part], int]) -> Pairs:
    """The alignment with the largest sum of likenesses."""
    start = 0
    while start < min(len(a), len(b)) and a[start].token == b[start].token:
        start += 1
    found: Pairs = [(k, k) for k in range(start)]
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end].token == b[-1 - end].token:
        end += 1
    mid_a, mid_b = a[start : len(a) - end], b[start : len(b) - end]
    inner = _needleman_wunsch(mid_a, mid_b, likeness)
    found += [(start + i, start + j) for i, j in inner]
    return found + [(len(a) - k, len(b) - k) for k in range(end, 0, -1)]


def _needleman_wunsch(
    a: Sequence[Part], b: Sequence[Part], likeness: Callable[[Part, Part], int]
) -> Pairs:
    if not a or not b:
        return []
    rows_a, rows_b = _numbered(a), _numbered(b)
    scores = _scores(a, b, rows_a, rows_b, likeness)
    names = [_own_name(p) for p in b]
    width = len(b) + 1
    before = [0] * width
    came: list[tuple[int, bytearray]] = []
    band = MOST_CELLS // (2 * len(a)) + 1
    for i, part in enumerate(a):
        now = [0] * width
        middle = i * len(b) // len(a)
        low, high = max(1, middle - band), min(width, middle + band + len(b) // len(a) + 2)
        step = bytearray(high - low)
        score = scores[rows_a[i]]
        name = _own_name(part)
        for j in range(low, high):
            pair = score[rows_b[j - 1]]
            if pair and name and names[j - 1] == name:
                pair += 5
            best, how = before[j - 1] + pair if pair else -1, 1
            if before[j] > best:
                best, how = before[j], 2
            if now[j - 1] > best:
                best, how = now[j - 1], 3
            now[j], step[j - low] = best, how
        now[high:] = [now[high - 1]] * (width - high)
        came.append((low, step))
        before = now
    return _trace_back(came, len(a), len(b))


def _own_name(part: Part) -> str:
    """What a layer is called within its module, if a person called it so."""
    return part.node.name.rpartition(".")[2] if part.trusted else ""


def _trace_back(came: list[tuple[int, bytearray]], i: int, j: int) -> Pairs:
    found: Pairs = []
    while i and j:
        low, steps = came[i - 1]
        how = 2 if j < low else 3 if j >= low + len(steps) else steps[j - low]
        if how == 1:
            found.append((i - 1, j - 1))
        i, j = i - (how != 3), j - (how != 2)
    return found[::-1]


def _numbered(parts: Sequence[Part]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(p.token, len(numbers)) for p in parts]


def _scores(
    a: Sequence[Part],
    b: Sequence[Part],
    rows_a: list[int],
    rows_b: list[int],
    likeness: Callable[[Part, Part], int],
) -> list[list[int]]:
    """The likeness of each kind of part to each other kind, which are few."""
    first_a = {number: p for number, p in zip(reversed(rows_a), reversed(a), strict=True)}
    first_b = {number: p for number, p in zip(reversed(rows_b), reversed(b), strict=True)}
    return [
        [likeness(first_a[i], first_b[j]) for j in range(len(first_b))] for i in range(len(first_a))
    ]


AFFINE = {"BatchNorm", "Scale"}
"""A factor and an offset may stand in a layer of their own behind the normalisation (Caffe)."""


MATRICES = {"Linear", "Conv"}
"""A dense layer may be written with kernels of 1×1."""


def _numbers(part: Part) -> list[tuple[Any, ...]]:
    """The sizes of what a layer stores, but for axes of size 1."""
    return [tuple(d for d in p.shape if d != 1) for p in part.row.parameters]


def _likeness(a: Part, b: Part) -> int:
    """How alike two layers with weights are; 0: not at all."""
    if a.kind != b.kind:
        if {a.kind, b.kind} == MATRICES:
            return 9 * int(_numbers(a) == _numbers(b))
        return 2 * int({a.kind, b.kind} == AFFINE and a.outputs == b.outputs)
    if a.token == b.token:
        return 12
    same = [value == b.fields.get(name) for name, value in a.fields.items()]
    likeness: int = 1 + 4 * sum(same) // max(len(same), 1)
    likeness += 2 * int(a.fields.get("kernel_size") == b.fields.get("kernel_size"))
    return likeness + 2 * int(a.parameters == b.parameters) + int(a.outputs == b.outputs)


POOLS = (Pool, AdaptivePool, GlobalPool)


def _light_likeness(a: Part, b: Part) -> int:
    if a.token == b.token:
        return 6
    if a.kind == b.kind:
        return 3 + (a.fields == b.fields) + (a.outputs == b.outputs)
    if isinstance(a.node.op, POOLS) and isinstance(b.node.op, POOLS):
        return 1 + (a.outputs == b.outputs)
    return 0


__all__ = ["Part", "Side", "align"]
