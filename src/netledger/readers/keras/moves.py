"""Operations of `keras.ops` that move numbers: indexing, other shapes, parts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from netledger.errors import FieldError
from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops import Expand, Permute, Reshape, Slice, Split
from netledger.ops.base import Op, axis
from netledger.readers.keras.call import Call, LayerRule
from netledger.readers.keras.inbound import Value


def getitem(call: Call) -> list[str]:
    """``x[…]`` with integers, slices, new axes and an ellipsis."""
    found = call.argument("slice_spec", "key", at=1)
    keys = _spelled_out(found if isinstance(found, list) else [found], len(call.shape))
    if any(isinstance(k, Value) for k in keys) or len(keys) > 16:
        return call.opaque("no rule describes this way of indexing")
    value, at = call.first, 0
    for i, key in enumerate(keys):
        bounds = _bounds(key)
        if key is None:
            value, at = _reshaped(call, value, _with_one(call, value, at), f"new{i}"), at + 1
        elif type(key) is int:
            op = Slice(axis=at, start=key, stop=key + 1 if key != -1 else None)
            value = call.add(op, value, part=f"at{i}")
            shape = call.reading.shapes[value]
            value = _reshaped(call, value, (*shape[:at], *shape[at + 1 :]), f"drop{i}")
        elif bounds is not None and at < len(call.reading.shapes[value]):
            start, stop, step = bounds
            if (start, stop, step) != (None, None, None):
                op = Slice(axis=at, start=start or 0, stop=stop, step=1 if step is None else step)
                value = call.add(op, value, part=f"slice{i}")
            at += 1
        else:
            return call.opaque("no rule describes this way of indexing")
    return [value]


def _spelled_out(keys: list[Any], rank: int) -> list[Any]:
    """The keys, with whole axes in the place of an ellipsis."""
    dots = [i for i, key in enumerate(keys) if _is_ellipsis(key)]
    if len(dots) != 1 or len(keys) > 16:
        return keys
    whole = {"start": None, "stop": None, "step": None}
    others = sum(key is not None for key in keys) - 1
    return [*keys[: dots[0]], *[whole] * (rank - others), *keys[dots[0] + 1 :]]


def _is_ellipsis(key: Any) -> bool:
    return isinstance(key, dict) and key.get("class_name") == "__ellipsis__"


def _bounds(key: Any) -> tuple[Any, Any, Any] | None:
    """Start, stop and step of a slice that is written out."""
    inner = key.get("config", key) if isinstance(key, dict) else None
    if not isinstance(inner, dict) or not inner.keys() & {"start", "stop", "step"}:
        return None
    return inner.get("start"), inner.get("stop"), inner.get("step")


def _with_one(call: Call, value: str, at: int) -> Shape:
    shape = call.reading.shapes[value]
    return (*shape[:at], 1, *shape[at:])


def _reshaped(call: Call, value: str, shape: Shape, part: str = "") -> str:
    """The same numbers in a shape that includes the batch."""
    return call.add(Reshape(shape, keep_batch=False), value, part=part)


def expand(call: Call) -> str:
    """``expand_dims``."""
    said = call.argument("axis", at=1)
    axes = said if isinstance(said, list) else [said]
    shape = list(call.shape)
    rank = len(shape) + len(axes)
    if len(axes) > 16 or any(type(a) is not int for a in axes):
        raise FieldError(f"axis must be an integer; got {str(said)[:80]}")
    for at in sorted(axis(a, rank) for a in axes):
        shape.insert(at, 1)
    return _reshaped(call, call.first, tuple(shape))


def squeeze(call: Call) -> str:
    """``squeeze``."""
    said = call.argument("axis", at=1)
    shape = call.shape
    if said is None:
        gone = {i for i, d in enumerate(shape) if type(d) is int and d == 1}
    else:
        axes = said if isinstance(said, list) else [said]
        if any(type(a) is not int for a in axes):
            raise FieldError(f"axis must be an integer; got {str(said)[:80]}")
        gone = {axis(a, len(shape)) for a in axes}
    return _reshaped(call, call.first, tuple(d for i, d in enumerate(shape) if i not in gone))


def reshape(call: Call) -> list[str]:
    """``reshape`` to a shape with the batch; a size that is left open there is the batch."""
    said = call.argument("newshape", "shape", at=1)
    if not isinstance(said, list) or any(type(d) is not int and d is not None for d in said):
        return call.opaque("no rule describes a reshape to a computed shape")
    sizes = [-1 if d is None else d for d in said]
    if sizes[:1] == [-1] and -1 not in sizes[1:] and prod(call.shape[1:]) == prod(sizes[1:]):
        sizes[0] = call.shape[0]
    op = Reshape(sizes, keep_batch=False)
    return [call.add(op, call.first)]


def transpose(call: Call) -> str:
    """``transpose``."""
    order = call.argument("axes", "perm", at=1, default=list(range(len(call.shape)))[::-1])
    return call.add(Permute(order), call.first)


def joined(op_class: Callable[..., Op], default: int) -> LayerRule:
    """``concatenate`` and ``stack``."""
    return lambda call: call.add(op_class(call.argument("axis", at=1, default=default)))


def split(call: Call) -> list[str]:
    """``split`` into equal parts, or at given places."""
    at = call.argument("axis", at=2, default=0)
    if type(at) is not int:
        raise FieldError(f"axis must be an integer; got {str(at)[:80]}")
    at = axis(at, len(call.shape))
    size = call.shape[at]
    said = call.argument("indices_or_sections", "num_or_size_splits", at=1)
    if type(said) is int and isinstance(size, int) and 0 < said <= min(size, 1000):
        sizes = [size // said] * said
    elif call.kind == "Split" and isinstance(said, list) and isinstance(size, int):
        edges = [0, *said, size]
        sizes = [b - a for a, b in pairwise(edges) if type(a) is type(b) is int]
    else:
        return call.opaque("no rule describes this way of splitting")
    value = call.add(Split(sizes, axis=at), call.first, outputs=len(sizes))
    return [value, *(f"{value}:{i}" for i in range(1, len(sizes)))]


def broadcast(call: Call) -> list[str]:
    """``broadcast_to``."""
    said = call.argument("shape", at=1)
    if not isinstance(said, list) or any(type(d) is not int and d is not None for d in said):
        return call.opaque("no rule describes a broadcast to a computed shape")
    sizes = [-1 if d is None else d for d in said]
    return [call.add(Expand(sizes), call.first)]
