"""Computations on shapes: exporters write ``x.view(x.size(0), -1)`` as a dozen small nodes.

They are followed on row-major tuples of ints, floats and formulas (a symbolic batch stays one), so
that Reshape, Expand, Slice and Resize get their arguments and no such node becomes a row. A number
that cannot be followed is None.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from netledger.formula import Formula, prod
from netledger.ops.base import axis
from netledger.readers.onnx import arithmetic
from netledger.readers.onnx.model import DTYPES
from netledger.readers.onnx.values import FOLDED, Call, Items, Unknown, contents

Sizes = tuple[int, ...]


class Known(NamedTuple):
    """A small constant: its shape and its numbers."""

    shape: Sizes
    items: Items


Fold = Callable[[Call, list[Known]], list[Known]]


def constants(call: Call) -> list[Known] | None:
    """The numbers in all inputs, or None if one of them is not small and constant."""
    found = []
    for value in call.values():
        sizes = value.sizes
        if not value.constant or sizes is None or prod(sizes) > FOLDED:
            return None
        items = contents(value, call.wire)
        found.append(Known(sizes, (None,) * prod(sizes) if items is None else items))
    return found


def fold(call: Call) -> list[Known] | None:
    """The outputs of a computation on constants, or None if it cannot be followed."""
    rule = FOLDS.get(call.kind)
    if rule is None:
        return None
    known = constants(call)
    if known is None:
        return None
    try:
        made = rule(call, known)
    except (ArithmeticError, IndexError, TypeError, ValueError, Unknown):
        return None  # not what the operation takes: its result is not followed
    call.wire.numbers_left -= sum(len(k.items) for k in (*known, *made))
    return made if call.wire.numbers_left > 0 else None


def _positions(shape: Sizes) -> Iterator[Sizes]:
    return product(*map(range, shape))


def _flat(at: Sizes, shape: Sizes) -> int:
    place = 0
    for i, size in zip(at, shape, strict=True):
        place = place * size + i
    return place


def _bounded(shape: Sizes) -> Sizes:
    if any(type(d) is not int for d in shape) or not 0 <= prod(shape) <= FOLDED or len(shape) > 16:
        raise ValueError
    return shape


def _take(x: Known, shape: Sizes, where: Callable[[Sizes], Sizes]) -> Known:
    """The tensor whose number at a position is that of `x` at ``where(position)``."""
    _bounded(shape)
    items = tuple(x.items[_flat(where(at), x.shape)] for at in _positions(shape))
    return Known(shape, items)


def _broadcast(*shapes: Sizes) -> Sizes:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        longest = {d for d in sizes if d != 1}
        if len(longest) > 1:
            raise ValueError
        result.append(longest.pop() if longest else 1)
    return _bounded(tuple(result))


def _stretched(x: Known, shape: Sizes) -> Known:
    skip = len(shape) - len(x.shape)
    return _take(
        x,
        shape,
        lambda at: tuple(0 if d == 1 else i for i, d in zip(at[skip:], x.shape, strict=True)),
    )


def _pointwise(rule: Callable[..., Any]) -> Fold:
    def run(call: Call, known: list[Known]) -> list[Known]:
        shape = _broadcast(*(k.shape for k in known))
        rows = zip(*(_stretched(k, shape).items for k in known), strict=True)
        return [Known(shape, tuple(arithmetic.one(rule, row) for row in rows))]

    return run


def _identity(call: Call, known: list[Known]) -> list[Known]:
    return known[:1]


def _cast(call: Call, known: list[Known]) -> list[Known]:
    to = DTYPES.get(call.integer("to", 1), "")
    return [Known(known[0].shape, tuple(_as(x, to) for x in known[0].items))]


def _as(x: Any, to: str) -> Any:
    if x is None or isinstance(x, Formula):
        return None if to == "bool" else x
    if to == "bool":
        return bool(x)
    if "float" in to:
        return float(x)
    return int(x) if math.isfinite(x) else None


def _axes(call: Call, known: list[Known]) -> Any:
    """The axes that Squeeze, Unsqueeze and reductions take: an attribute once, an input today."""
    return known[1].items if len(known) > 1 else call.integers("axes")


def _unsqueeze(call: Call, known: list[Known]) -> list[Known]:
    x, axes = known[0], _axes(call, known)
    rank = len(x.shape) + len(axes)
    new = {axis(a, rank) for a in axes}
    rest = iter(x.shape)
    return [Known(tuple(1 if i in new else next(rest) for i in range(rank)), x.items)]


def _squeeze(call: Call, known: list[Known]) -> list[Known]:
    x, axes = known[0], _axes(call, known)
    rank = len(x.shape)
    gone = {i for i, d in enumerate(x.shape) if d == 1}
    if axes is not None:
        gone = {axis(a, rank) for a in axes}
    return [Known(tuple(d for i, d in enumerate(x.shape) if i not in gone), x.items)]


def _reshape(call: Call, known: list[Known]) -> list[Known]:
    x, target = known[0], list(known[1].items)
    if not call.integer("allowzero", 0):
        target = [x.shape[i] if d == 0 else d for i, d in enumerate(target)]
    if -1 in target:
        target[target.index(-1)] = len(x.items) // prod(d for d in target if d != -1)
    shape = _bounded(tuple(target))
    if prod(shape) != len(x.items):
        raise ValueError
    return [Known(shape, x.items)]


def _concat(call: Call, known: list[Known]) -> list[Known]:
    parts = [k for k in known if k.shape != (0,)] or known[:1]
    at = axis(call.integer("axis", 0), len(parts[0].shape))
    shape = list(parts[0].shape)
    shape[at] = sum(k.shape[at] for k in parts)
    _bounded(tuple(shape))
    inner = [prod(k.shape[at:]) for k in parts]
    items: list[Any] = []
    for row in range(prod(shape[:at])):
        for k, n in zip(parts, inner, strict=True):
            items += k.items[row * n : (row + 1) * n]
    if len(items) != prod(shape):
        raise ValueError
    return [Known(tuple(shape), tuple(items))]


def _gather(call: Call, known: list[Known]) -> list[Known]:
    x, index = known
    at = axis(call.integer("axis", 0), len(x.shape))
    shape = (*x.shape[:at], *index.shape, *x.shape[at + 1 :])
    rank = len(index.shape)

    def where(position: Sizes) -> Sizes:
        i = index.items[_flat(position[at : at + rank], index.shape)]
        return (*position[:at], axis(i, x.shape[at]), *position[at + rank :])

    return [_take(x, shape, where)]


def _slice(call: Call, known: list[Known]) -> list[Known]:
    x, *rest = known
    if rest:
        starts, ends = rest[0].items, rest[1].items
        axes = rest[2].items if len(rest) > 2 else tuple(range(len(starts)))
        steps = rest[3].items if len(rest) > 3 else (1,) * len(starts)
    else:
        starts, ends = call.integers("starts") or (), call.integers("ends") or ()
        axes = call.integers("axes") or tuple(range(len(starts)))
        steps = (1,) * len(starts)
    ranges = [range(d) for d in x.shape]
    for start, end, a, step in zip(starts, ends, axes, steps, strict=True):
        i = axis(a, len(x.shape))
        low = -(x.shape[i] + 1)  # below it, Python and ONNX agree that nothing is left
        end = None if step < 0 and end <= low else end
        ranges[i] = range(x.shape[i])[slice(start, end, step)]
    shape = tuple(map(len, ranges))
    return [_take(x, shape, lambda at: tuple(r[i] for r, i in zip(ranges, at, strict=True)))]


def _transpose(call: Call, known: list[Known]) -> list[Known]:
    x = known[0]
    order = call.integers("perm") or tuple(reversed(range(len(x.shape))))
    shape = tuple(x.shape[i] for i in order)
    back = [order.index(i) for i in range(len(order))]
    return [_take(x, shape, lambda at: tuple(at[i] for i in back))]


def _expand(call: Call, known: list[Known]) -> list[Known]:
    shape = _broadcast(known[0].shape, tuple(known[1].items))
    return [_stretched(known[0], shape)]


def _fill(call: Call, known: list[Known]) -> list[Known]:
    attribute = call.attributes.get("value")
    value: Any = 0.0
    if attribute is not None and attribute.t is not None:
        value = None
        found = attribute.t.raw_data or (0, 0)
        if attribute.t.data_type == 7 and found[1] - found[0] == 8:
            value = int.from_bytes(call.wire.view[slice(*found)], "little", signed=True)
        elif attribute.t.data_type == 7:
            numbers = attribute.t.int64s.integers(call.wire)
            value = numbers[0] if numbers else None
    shape = _bounded(tuple(known[0].items))
    return [Known(shape, (value,) * prod(shape))]


def _range(call: Call, known: list[Known]) -> list[Known]:
    start, limit, delta = (k.items[0] for k in known)
    count = max(math.ceil((limit - start) / delta), 0)
    _bounded((count,))
    return [Known((count,), tuple(start + i * delta for i in range(count)))]


def _reduce(rule: Callable[[Any], Any]) -> Fold:
    def run(call: Call, known: list[Known]) -> list[Known]:
        x, axes = known[0], _axes(call, known)
        if axes and {axis(a, len(x.shape)) for a in axes} != set(range(len(x.shape))):
            raise ValueError
        keep = call.integer("keepdims", 1)
        items = None if None in x.items else rule(x.items)
        return [Known((1,) * len(x.shape) if keep else (), (items,))]

    return run


def _split(call: Call, known: list[Known]) -> list[Known]:
    x = known[0]
    at = axis(call.integer("axis", 0), len(x.shape))
    sizes = known[1].items if len(known) > 1 else call.integers("split")
    if sizes is None:
        sizes = (-(-x.shape[at] // call.outputs),) * call.outputs
    parts, start = [], 0
    for size in sizes:
        size = min(size, x.shape[at] - start)
        shape = (*x.shape[:at], size, *x.shape[at + 1 :])
        parts.append(_cut(x, shape, at, start))
        start += size
    return parts


def _cut(x: Known, shape: Sizes, at: int, start: int) -> Known:
    return _take(x, shape, lambda p: (*p[:at], p[at] + start, *p[at + 1 :]))


def _scatter(call: Call, known: list[Known]) -> list[Known]:
    """ScatterND of single numbers: how exporters write ``sizes[i] = n``."""
    x, index, updates = known
    if index.shape[-1] != len(x.shape):
        raise ValueError
    items, rank = list(x.items), len(x.shape)
    for n, update in enumerate(updates.items):
        place = index.items[n * rank : (n + 1) * rank]
        items[_flat(tuple(axis(p, d) for p, d in zip(place, x.shape, strict=True)), x.shape)] = (
            update
        )
    return [Known(x.shape, tuple(items))]


FOLDS: dict[str, Fold] = {
    "Identity": _identity,
    "Cast": _cast,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Transpose": _transpose,
    "Expand": _expand,
    "ConstantOfShape": _fill,
    "Range": _range,
    "Split": _split,
    "ScatterND": _scatter,
    "ReduceProd": _reduce(prod),
    "ReduceSum": _reduce(sum),
    "ReduceMax": _reduce(lambda items: arithmetic.larger(*items)),
    "ReduceMin": _reduce(lambda items: arithmetic.smaller(*items)),
    "Add": _pointwise(operator.add),
    "Sub": _pointwise(operator.sub),
    "Mul": _pointwise(operator.mul),
    "Div": _pointwise(arithmetic.divide),
    "Mod": _pointwise(operator.mod),
    "Pow": _pointwise(arithmetic.power),
    "Min": _pointwise(arithmetic.smaller),
    "Max": _pointwise(arithmetic.larger),
    "Neg": _pointwise(operator.neg),
    "Abs": _pointwise(lambda a: a if isinstance(a, Formula) else abs(a)),
    "Floor": _pointwise(arithmetic.real(lambda a: float(math.floor(a)))),
    "Ceil": _pointwise(arithmetic.real(lambda a: float(math.ceil(a)))),
    "Round": _pointwise(arithmetic.real(lambda a: float(round(a)))),
    "Sqrt": _pointwise(lambda a: math.sqrt(a)),
    "Reciprocal": _pointwise(lambda a: 1 / a),
    "Equal": _pointwise(arithmetic.equal),
    "Less": _pointwise(arithmetic.order(operator.lt)),
    "LessOrEqual": _pointwise(arithmetic.order(operator.le)),
    "Greater": _pointwise(arithmetic.order(operator.gt)),
    "GreaterOrEqual": _pointwise(arithmetic.order(operator.ge)),
    "And": _pointwise(lambda a, b: bool(a) and bool(b)),
    "Or": _pointwise(lambda a, b: bool(a) or bool(b)),
    "Not": _pointwise(operator.not_),
    "Where": _pointwise(arithmetic.where),
}
"""What each operation does to small constants."""
