"""Which windows Keras can place itself: what else lies around a map is a layer of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netledger import ops
from netledger.build.source.borders import Pads
from netledger.errors import BuildError
from netledger.ops.base import Op, each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import span


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows that Keras places: without padding, ``same``, and ``causal`` along one axis."""
    word = _placed(op, around, spatial)
    if isinstance(op, Convolution):
        return _replaced(op, word)
    assert isinstance(op, Pool)
    if isinstance(op, ops.AvgPool) and word != "valid":
        _check_average(op, word)
        if op.counts and any(b for b, _ in around):
            return None  # zeros count
    return _replaced(op, word)


def _replaced(op: Any, word: str) -> Op | None:
    """The layer with a padding that Keras has a word for; None if it has none."""
    if not word:
        return None
    made: Op = replace(op, padding=word, rounding="floor")
    return made


def _check_average(op: ops.AvgPool, word: str) -> None:
    """What hangs over the map or is left out of an average, Keras must be able to leave out."""
    overhangs = op.rounding != "floor"
    if (overhangs or not op.counts) and word != "same":
        raise BuildError("Keras cannot leave out of an average what lies outside of the map")
    if overhangs and op.padding not in (0, "valid", "same"):
        raise BuildError("Keras cannot count some of the padding in an average and not the rest")


def _placed(op: Any, around: Pads, spatial: tuple[int, ...]) -> str:
    """The word for a padding, or nothing."""
    rank = len(spatial)
    stride = op.step if isinstance(op, Pool) else op.stride
    spacing = op.spacing if isinstance(op, Pool) else op.dilation
    if all(pair == (0, 0) for pair in around):
        return "valid"
    if op.padding == "causal" and rank == 1:
        return "causal"
    wanted = []
    for i, k, s, d in zip(
        spatial,
        each_axis(op.kernel_size, rank),
        each_axis(stride, rank),
        each_axis(spacing, rank),
        strict=True,
    ):
        both = max((-(-i // s) - 1) * s + span(k, d) - i, 0)
        wanted.append((both // 2, both - both // 2))
    return "same" if tuple(wanted) == _used(around, op, spatial) else ""


def _used(around: Pads, op: Any, spatial: tuple[int, ...]) -> Pads:
    """The padding without what no window reaches."""
    rank = len(spatial)
    found = []
    stride = op.step if isinstance(op, Pool) else op.stride
    spacing = op.spacing if isinstance(op, Pool) else op.dilation
    for (before, after), i, k, s, d in zip(
        around,
        spatial,
        each_axis(op.kernel_size, rank),
        each_axis(stride, rank),
        each_axis(spacing, rank),
        strict=True,
    ):
        idle = (i + before + after - span(k, d)) % s
        found.append((before, after - idle if idle <= after else after))
    return tuple(found)
