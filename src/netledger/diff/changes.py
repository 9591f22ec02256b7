"""From pairs of layers to groups of like changes, in the order in which they are applied.

The order is that of `ORDER`: what changes the size of maps comes first, then what changes how
many layers there are, then their widths, then what each layer stores. Within a kind, changes are
in the order of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from netledger.diff.align import Part, Side
from netledger.diff.alike import told_otherwise
from netledger.diff.layout import AXIS_FIELDS, fields, relaid, translate
from netledger.edits import (
    FIELD_KINDS,
    Edit,
    SetField,
    SetInput,
    SetOp,
    SetTrainable,
    has_weights,
    kind_of,
)
from netledger.graph import BATCH, Shape, TensorType
from netledger.ops import Cast, Dropout, Identity, LocalResponseNorm, Opaque, Permute
from netledger.ops.base import Spatial
from netledger.ops.pool import Pool

SPELLING = "spelling"
"""The kind of what only is told in other words."""
ORDER = (
    SPELLING,
    *("input-size", "rounding-mode", "padding", "kernel", "stride", "pooling", "flatten"),
    *("aux-head", "depth", "width", "groups", "classes", "vocabulary", "normalisation"),
    *("bias", "norm-affine", "buffers", "tied-embedding", "frozen", "operation", "wiring"),
)
"""The kinds of causes, in the order in which they are applied."""

ONE_BY_ONE = ("pooling", "flatten")
"""Kinds of which every change is a cause of its own, unless there are many."""
MANY = 6

IGNORABLE = (Identity, Dropout, Cast, Permute)
"""Operations that do nothing, after training at least, or only move numbers."""


@dataclass
class Change:
    """What happens to one layer: it comes, goes, or is edited.

    Attributes:
        a: The layer in the first network, if it is there.
        b: The layer in the second.
        edits: What is edited, of a layer that stays.
    """

    a: Part | None = None
    b: Part | None = None
    edits: list[Edit] = field(default_factory=list)

    @property
    def part(self) -> Part:
        """The layer, wherever it is."""
        found = self.a or self.b
        assert found is not None
        return found

    @property
    def stays(self) -> bool:
        """True for a layer of both networks."""
        return self.a is not None and self.b is not None


@dataclass
class Group:
    """Like changes, which are one cause."""

    kind: str
    changes: list[Change] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    """Edits of inputs and ties, which belong to no layer."""

    @property
    def ignorable(self) -> bool:
        """True if nothing changes but words, or operations that do nothing."""
        if self.kind == SPELLING:
            return True
        return not self.edits and all(isinstance(c.part.node.op, IGNORABLE) for c in self.changes)


def group(
    a: Side, b: Side, pairs: Iterable[tuple[Part | None, Part | None]], inputs: dict[str, str]
) -> list[Group]:
    """The groups of changes that lead from `a` to `b`, except for wiring and ties."""
    found: dict[tuple[Any, ...], Group] = {}

    def put(kind: str, sub: Any, change: Change) -> None:
        found.setdefault((kind, sub), Group(kind)).changes.append(change)

    pairs = list(pairs)
    last = _last_weights(a), _last_weights(b)
    words = told_otherwise(pairs, a, b)
    for pa, pb in pairs:
        if pa is not None and pb is not None:
            for kind, edits in _edits(pa, pb, a, b, (pa, pb) == last).items():
                ignorable = isinstance(pb.node.op, IGNORABLE) and kind == "operation"
                if id(pa) in words and kind != "frozen":
                    put(SPELLING, None, Change(pa, pb, edits))
                    continue
                put(kind, ignorable or _sub(kind, edits), Change(pa, pb, edits))
    for kind, change in _unpaired(pairs, a, b):
        op = change.part.node.op
        if id(change.part) in words and not isinstance(op, IGNORABLE):
            put(SPELLING, None, change)
            continue
        ignorable = isinstance(op, IGNORABLE) and kind == "operation"
        sub: Any = (change.a is None, op.kind) if kind == "normalisation" else ignorable or None
        if kind in ONE_BY_ONE:
            sub = change.part.node.name, change.a is None
        put(kind, sub, change)
    groups = _few([_inputs(a, b, inputs), *found.values()])
    return sorted(groups, key=lambda g: ORDER.index(g.kind))


def _sub(kind: str, edits: list[Edit]) -> Any:
    first = edits[0]
    if kind in ("bias", "norm-affine", "buffers") and isinstance(first, SetField):
        return first.value
    return first.row if kind in ONE_BY_ONE and isinstance(first, SetField | SetOp) else None


def _few(groups: Iterable[Group]) -> Iterator[Group]:
    """Joins kinds that are split one by one where that makes too many, or moves something."""
    many: dict[str, Group] = {}
    groups = [g for g in groups if g.changes or g.edits]
    for g in groups:
        same = [o for o in groups if o.kind == g.kind]
        moves = len({c.a is None for o in same for c in o.changes if not c.stays}) > 1
        if g.kind in ONE_BY_ONE and (len(same) > MANY or moves):
            whole = many.setdefault(g.kind, Group(g.kind))
            whole.changes += g.changes
        else:
            yield g
    yield from many.values()


def _inputs(a: Side, b: Side, names: dict[str, str]) -> Group:
    found = Group("input-size")
    for theirs, t in b.ledger.graph.inputs.items():
        ours = names[theirs]
        old = a.ledger.graph.inputs.get(ours)
        new = TensorType(relaid(t.shape, b.maps.get(theirs), a.maps.get(ours)), t.dtype)
        if old is None or _sample(old.shape) != _sample(new.shape):
            found.edits.append(SetInput(ours, new))
    return found


def _sample(shape: Shape) -> Shape:
    """A shape for one sample; a batch that is fixed at 1 is one that is open."""
    return (1, *shape[1:]) if shape and shape[0] in (BATCH, 1) else shape


def _last_weights(side: Side) -> Part | None:
    """The layer with weights that is nearest to the first output: it tells the classes."""
    outputs = side.ledger.graph.outputs
    value = outputs[0] if outputs else ""
    while value in side.maker:
        part = side.maker[value]
        if part.heavy:
            return part if {"out_features", "out_channels"} & part.fields.keys() else None
        value = part.node.inputs[0] if part.node.inputs else ""
    return None


def _edits(pa: Part, pb: Part, a: Side, b: Side, classifier: bool) -> dict[str, list[Edit]]:
    """What must be edited to make one layer the other, by kind."""
    found: dict[str, list[Edit]] = {}
    name = pa.node.name
    if pa.kind != pb.kind or (isinstance(pa.node.op, Opaque) and _stated(pa) != _stated(pb)):
        to_last = _layout(pa, a)
        if to_last is None and isinstance(pb.node.op, Spatial):
            to_last = _common_layout(a)
        op = translate(pb.node.op, _rank(pb), _layout(pb, b), to_last)
        kind = kind_of(pb.node.op)
        found[kind] = [SetOp(name, op, pb.node.recorded)]
    elif type(pa.node.op) is not type(pb.node.op) and pa.fields != pb.fields:
        op = translate(pb.node.op, _rank(pb), _layout(pb, b), _layout(pa, a))
        differ = [f for f in pa.fields if pa.fields[f] != pb.fields[f]]
        found[_kind(differ[0], pa, classifier)] = [SetOp(name, op)]
    elif type(pa.node.op) is type(pb.node.op):
        differ = [f for f in pa.fields if pa.fields[f] != pb.fields[f]]
        for key in differ:
            kind = _kind(key, pa, classifier)
            if "kernel_size" in differ and key in ("padding", "dilation"):
                kind = "kernel"
            found.setdefault(kind, []).append(SetField(name, key, _value(key, pa, pb, a, b)))
        for key in _unsettled(pa, pb, a, found):
            edit = SetField(name, key, _value(key, pa, pb, a, b))
            found[next(iter(found))].append(edit)
    if pa.node.trainable != pb.node.trainable and pa.row.parameters:
        found["frozen"] = [SetTrainable(name, pb.node.trainable)]
    return found


def _unsettled(pa: Part, pb: Part, a: Side, edits: dict[str, list[Edit]]) -> list[str]:
    """What another hyperparameter implied and no longer does: a stride by default, ``same``."""
    values = {e.field: e.value for es in edits.values() for e in es if isinstance(e, SetField)}
    if not values:
        return []
    op = replace(pa.node.op, **values)
    now = fields(op, _rank(pa), a.maps.get(pa.node.inputs[0]) if pa.node.inputs else None)
    return [key for key, value in now.items() if value != pb.fields[key] and key not in values]


def _kind(key: str, part: Part, classifier: bool) -> str:
    if classifier and key in ("out_features", "out_channels"):
        return "classes"
    if isinstance(part.node.op, LocalResponseNorm) or part.kind == "GroupNorm":
        return "operation"
    if part.kind == "Resize" and key == "scale":
        return "operation"
    return FIELD_KINDS.get(key, "operation")


def _stated(part: Part) -> Any:
    row = part.row
    return part.fields.get("what"), part.parameters, row.macs, part.outputs, dict(row.unknown)


def _rank(part: Part) -> int:
    return len(part.row.input_types[0].shape) if part.row.input_types else 0


def _layout(part: Part, side: Side) -> bool | None:
    """In which layout a layer works: its own, or that of what it reads."""
    if isinstance(part.node.op, Spatial):
        return part.node.op.channels_last
    return side.maps.get(part.node.inputs[0]) if part.node.inputs else None


def _common_layout(side: Side) -> bool | None:
    """The layout of all maps of a network, if it is one."""
    found = set(side.maps.values())
    return found.pop() if len(found) == 1 else None


def _value(key: str, pa: Part, pb: Part, a: Side, b: Side) -> Any:
    op = pb.node.op
    if key in AXIS_FIELDS:
        op = translate(op, _rank(pb), _layout(pb, b), _layout(pa, a))
    return op.step if key == "stride" and isinstance(op, Pool) else getattr(op, key)


def _unpaired(
    pairs: list[tuple[Part | None, Part | None]], a: Side, b: Side
) -> Iterator[tuple[str, Change]]:
    """What comes and goes, with the kind of each; a stretch with a layer of weights is depth."""
    heads = len(a.ledger.graph.outputs) != len(b.ledger.graph.outputs)
    serving = _serving(a, heads) | _serving(b, heads)
    for side in (0, 1):
        stretch: list[Part] = []
        for pair in [*pairs, (None, None)]:
            here, there = pair[side], pair[1 - side]
            if here is not None and there is None:
                stretch.append(here)
            elif not (here is None and there is not None):
                deep = any(has_weights(p.node.op) and id(p) in serving for p in stretch)
                for part in stretch:
                    kind = "depth" if deep else kind_of(part.node.op)
                    if id(part) not in serving:
                        kind = "aux-head"
                    yield kind, Change(part, None) if side == 0 else Change(None, part)
                stretch = []


def _serving(side: Side, heads: bool) -> set[int]:
    """The layers that the first output needs; all of them unless one network has more `heads`."""
    outputs = side.ledger.graph.outputs
    if len(outputs) < 2 or not heads:
        return {id(p) for p in side.parts}
    waiting, found = [outputs[0]], set()
    while waiting:
        part = side.maker.get(waiting.pop())
        if part is not None and id(part) not in found:
            found.add(id(part))
            waiting += part.node.inputs
    return found


__all__ = ["IGNORABLE", "MANY", "ONE_BY_ONE", "ORDER", "Change", "Group", "group"]
