"""Receptive fields: how far a position sees into the input, carried from layer to layer.

Source of the arithmetic: Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural
Networks, Distill (2019).
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

from netledger.ops.base import ALL, Window
from netledger.ops.fields import LARGEST

Reach = tuple[tuple[Any, Any], ...] | str | None
"""Along each spatial axis (how far one position sees, distance between positions), in the input.

`ALL` where a position sees the whole input; None where windows say nothing."""


def of_input(rank: int) -> Reach:
    """What a position of the input sees: itself; None of an input without spatial axes."""
    return ((1, 1),) * rank if rank else None


def widest(reaches: list[Reach]) -> Reach:
    """What a position sees that is fed by several values."""
    if len(reaches) == 1:
        return reaches[0]
    if ALL in reaches:
        return ALL
    known = [r for r in reaches if isinstance(r, tuple)]
    if not known or len(known) < len(reaches) or len({len(r) for r in known}) > 1:
        return None
    return tuple(max(axes) for axes in zip(*known, strict=True))


def through(before: Reach, window: tuple[Window, ...] | str | None) -> Reach:
    """What a position sees behind a window, whose inputs see `before`."""
    if window is None or before == ALL or window == ALL:
        return ALL if window is not None or before == ALL else None
    if before is None or not window or isinstance(window, str):
        return before
    if len(window) != len(before):
        return None
    return tuple(
        [
            (far + (w.span - 1) * step, step * w.stride)
            for (far, step), w in zip(before, window, strict=True)
        ]
    )


def bounded(reach: Reach) -> Reach:
    """The reach, as long as its numbers can be those of an input at all."""
    if type(reach) is tuple:
        for far, step in reach:
            if far > LARGEST:
                return ALL  # further than any input is wide
            if step > LARGEST or (type(step) is not int and step * LARGEST < 1):
                return None
    return reach


def far(reach: Reach) -> tuple[Any, ...] | str | None:
    """How far an output sees; positions of a transposed convolution may lie between two inputs."""
    if type(reach) is not tuple:
        return reach
    return tuple([ceil(d) if type(d) is Fraction else d for d, _ in reach])


def steps(reach: Reach) -> tuple[Any, ...]:
    """The distances between neighbouring positions."""
    return tuple([step for _, step in reach]) if type(reach) is tuple else ()
