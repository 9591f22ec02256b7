"""What an operation is, whatever the order of axes and the spelling that its source prefers.

Channels first or last, a pair or a number, ``valid`` or 0: two layers that do the same have the
same `spelt` form. `translate` writes the operation of one network in the layout of another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netledger.graph import Shape
from netledger.ledger import Ledger, Row
from netledger.ops import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    Conv,
    DepthwiseConv,
    GlobalAvgPool,
    GlobalMaxPool,
)
from netledger.ops.base import Op, Spatial, distinct_axes, each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool
from netledger.ops.reshape import Permute, Reduce, Reshape

AXIS_FIELDS = ("axis", "channel_axis", "over")
"""Hyperparameters that number the axes of the first input."""

Layouts = dict[str, bool]
"""For each value that is a map: whether its channels are on the last axis."""


def layouts(ledger: Ledger) -> Layouts:
    """Which values are maps, and in which layout: what windows read and write, and their kin."""
    found: Layouts = {}
    rows = [row for row in ledger.ops if row.op is not None]
    for row in reversed(rows):  # what a window reads is a map, also before a ReLU
        op = row.op
        known = op.channels_last if isinstance(op, Spatial) else None
        if known is None and row.made and row.made[0] in found and _keeps_axes(row):
            known = found[row.made[0]]
        if known is not None:
            for value, t in zip(row.inputs, row.input_types, strict=True):
                if len(t.shape) > 2:
                    found.setdefault(value, known)
    for row in rows:
        op, rank = row.op, len(row.outputs[0].shape) if row.outputs else 0
        if rank < 3 or not row.inputs:
            continue
        if isinstance(op, Spatial):
            found.update(dict.fromkeys(row.made, op.channels_last))
        elif row.inputs[0] in found and _keeps_axes(row):
            for value in row.made:
                found.setdefault(value, found[row.inputs[0]])
    return found


def _keeps_axes(row: Row) -> bool:
    if isinstance(row.op, Permute | Reshape) or not row.input_types or not row.outputs:
        return False
    return len(row.input_types[0].shape) == len(row.outputs[0].shape)


def shape_of(shape: Shape, last: bool | None) -> tuple[Any, ...]:
    """A shape with the channels last, the batch left out."""
    body = shape[1:]
    return (*body[1:], body[0]) if last is False and len(body) > 1 else tuple(body)


def relaid(shape: Shape, was_last: bool | None, last: bool | None) -> Shape:
    """A whole shape in another layout."""
    if was_last is None or last is None or was_last == last or len(shape) < 3:
        return shape
    batch, *body = shape
    return (batch, *body[1:], body[0]) if last else (batch, body[-1], *body[:-1])


GLOBAL: dict[type[Op], type[GlobalPool]] = {
    AdaptiveAvgPool: GlobalAvgPool,
    AdaptiveMaxPool: GlobalMaxPool,
}


def plain(op: Op, shapes: tuple[Shape, ...]) -> Op:
    """The operation in one spelling, for inputs of any size.

    A depthwise convolution is the grouped one that it is; a pooling to a size of 1 is global.
    """
    if type(op) in GLOBAL and shapes:
        assert isinstance(op, AdaptivePool)
        if all(size == 1 for size in each_axis(op.output_size, 1)):
            return GLOBAL[type(op)](keepdims=True, channels_last=op.channels_last)
    if type(op) is not DepthwiseConv or not shapes:
        return op
    channels = op.split(shapes[0])[1]
    if not isinstance(channels, int):
        return op
    same = ("kernel_size", "stride", "padding", "dilation", "bias", "rounding", "channels_last")
    shared = {name: getattr(op, name) for name in same}
    return Conv(out_channels=op.filters(channels), groups=channels, **shared)


def spelt(row: Row, maps: Layouts) -> Op:
    """The operation in one spelling; a mean over the axes of a map is a global pooling."""
    op, shapes = row.op, tuple(t.shape for t in row.input_types)
    assert op is not None
    last = maps.get(row.inputs[0]) if row.inputs else None
    if isinstance(op, Reduce) and op.function in MEANS and last is not None:
        rank = len(shapes[0])
        axes = range(1, rank - 1) if last else range(2, rank)
        if distinct_axes(op.over, rank) == tuple(axes):
            return MEANS[op.function](keepdims=op.keepdims, channels_last=last)
    return plain(op, shapes)


MEANS: dict[str, type[GlobalPool]] = {"mean": GlobalAvgPool, "max": GlobalMaxPool}


def fields(op: Op, rank: int, last: bool | None) -> dict[str, Any]:
    """The same of an operation on a tensor of so many axes, channels last or first."""
    return {n: _canonical(op, n, rank, last) for n, rule in op.rules.items() if not rule.silent}


def _canonical(op: Op, name: str, rank: int, last: bool | None) -> Any:
    value = getattr(op, name)
    if name in AXIS_FIELDS:
        return _from_end(_axes(value, rank, last, True), rank)
    if name in ("start_dim", "end_dim") and rank:
        return _from_end(value % rank, rank)
    if name == "stride" and isinstance(op, Pool):
        value = op.step
    if name == "padding":
        value = _padding(op, value, rank)
    while isinstance(value, tuple) and value and len(set(value)) == 1:
        value = value[0]
    return value


def _from_end(value: Any, rank: int) -> Any:
    """The last axis as −1, for it may have another number in a tensor of other rank."""
    return -1 if isinstance(value, int) and value == rank - 1 else value


def _padding(op: Op, value: Any, rank: int) -> Any:
    if value == "valid":
        return 0
    if value == "same" and isinstance(op, Convolution | Pool):
        spatial = max(rank - 2, 0)
        steps = each_axis(op.step if isinstance(op, Pool) else op.stride, spatial)
        spacing = op.spacing if isinstance(op, Pool) else op.dilation
        around = [
            d * (k - 1)
            for k, d in zip(
                each_axis(op.kernel_size, spatial), each_axis(spacing, spatial), strict=True
            )
        ]
        if all(s == 1 for s in steps) and all(both % 2 == 0 for both in around):
            return tuple(both // 2 for both in around)
    return value


def _axes(value: Any, rank: int, last: bool | None, to_last: bool | None) -> Any:
    """Axes by number, of a tensor whose channels were or were not last, as of another layout."""
    if isinstance(value, tuple):
        moved = tuple(sorted(_axes(v, rank, last, to_last) for v in value))
        return moved[0] if len(moved) == 1 else moved
    if not isinstance(value, int) or not rank or not -rank <= value < rank:
        return value
    at = value % rank
    if last is None or to_last is None or last == to_last or at == 0:
        return at
    if to_last:
        return rank - 1 if at == 1 else at - 1
    return 1 if at == rank - 1 else at + 1


def translate(op: Op, rank: int, last: bool | None, to_last: bool | None) -> Op:
    """An operation as it stands in a network of another layout."""
    changes: dict[str, Any] = {}
    if isinstance(op, Spatial) and to_last is not None:
        changes["channels_last"] = to_last
    if last is not None and to_last is not None and last != to_last:
        for name in AXIS_FIELDS:
            if name in op.rules:
                changes[name] = _axes(getattr(op, name), rank, last, to_last)
        if isinstance(op, Permute) and rank == len(each_axis(op.order, 1)):
            changes["order"] = tuple(_axes(at, rank, last, to_last) for at in op.order)
    return replace(op, **changes) if changes else op
