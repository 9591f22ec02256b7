"""Equations that compute a known formula: known by the arithmetic itself, whatever it is called.

JAX has no local response normalisation and no pooling in uneven windows: who needs one writes it
out. A row of the books stands for the equations only where their numbers are those of the formula
(every window, border and factor), and where nothing else looks at what lies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, pairwise, takewhile
from typing import Any

from netledger.formula import ceil_div
from netledger.ops import AdaptiveAvgPool, AdaptiveMaxPool, LocalResponseNorm, Op
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.trace import Body, Equation, Variable


def formula(build: Builder, body: Body, at: int) -> int:
    """Adds one operation for equations that are its formula; returns how many they are, or 0."""
    first = body.equations[at]
    match = _MATCHES.get(first.name)
    if match is None or not build.value(first.inputs[0]).name:
        return 0
    found = match(body.equations, at)
    if found is None:
        return 0
    op, count = found
    run = body.equations[at : at + count]
    if enclosed(build, run) != [run[-1].outputs[0]]:
        return 0
    x, out, path = build.value(first.inputs[0]), run[-1].outputs[0], build.path(first)
    title = ".".join(filter(None, (path, op.key)))
    value = build.emit(op, [x], first, stated=out.shape, title=title)
    build.values[id(out)] = value._replace(dtype=out.dtype)
    return count


def enclosed(build: Builder, run: Sequence[Equation]) -> list[Variable]:
    """What some equations make that is used outside of them."""
    inside = [id(v) for e in run for v in e.inputs]
    return [v for e in run for v in e.outputs if build.users[id(v)] > inside.count(id(v))]


Match = tuple[Op, int] | None
"""The operation, and how many equations it takes."""


def _response_norm(equations: Sequence[Equation], at: int) -> Match:
    """Local response normalisation: x / (k + α/n Σ x²)^β, over n neighbouring channels."""
    run = equations[at : at + 6]
    if len(run) < 6:
        return None
    square, total, scaled, moved, raised, divided = run
    x, rank = square.inputs[0], len(square.inputs[0].shape)
    chained = all(a.outputs[0] in b.inputs for a, b in pairwise(run))
    window = _neighbours(total, rank)
    if not chained or not _is_square(square) or window is None:
        return None
    axis, size = window
    alpha, k, beta = _number(scaled, "mul"), _number(moved, "add"), _number(raised, "pow")
    ends = divided.name == "div" and divided.inputs == (x, raised.outputs[0])
    if None in (alpha, k, beta) or raised.inputs[0] is not moved.outputs[0] or not ends:
        return None
    alpha = float(f"{alpha * size:.6g}")  # α/n was rounded when it became a float32
    return LocalResponseNorm(size, alpha, beta, k, channels_last=axis == rank - 1), 6


def _is_square(equation: Equation) -> bool:
    power = equation.params.get("y", 2)
    return power == 2 and all(v is equation.inputs[0] for v in equation.inputs)


def _neighbours(equation: Equation, rank: int) -> tuple[int, int] | None:
    """The channel axis and the width of a window over neighbouring channels, half on each side."""
    p = equation.params
    if equation.name != "reduce_window_sum" or not 3 <= rank <= 5:
        return None
    wide = [i for i, k in enumerate(p["window_dimensions"]) if k != 1]
    if len(wide) != 1 or wide[0] not in (1, rank - 1):
        return None
    axis = wide[0]
    size = p["window_dimensions"][axis]
    border = [(0, 0)] * rank
    border[axis] = (size // 2, (size - 1) // 2)
    ones = (*p["window_strides"], *p["base_dilation"], *p["window_dilation"])
    plain = all(d == 1 for d in ones) and [tuple(pair) for pair in p["padding"]] == border
    return (axis, size) if plain else None


def _number(equation: Equation, name: str) -> Any:
    """The number that is written into an equation of two terms."""
    numbers = [v.number for v in equation.inputs if v.literal]
    return float(f"{float(numbers[0]):.6g}") if equation.name == name and numbers else None


def _uneven_pool(equations: Sequence[Equation], at: int) -> Match:
    """A mean or a maximum of windows from ⌊i I/O⌋ to ⌈(i + 1) I/O⌉, one axis after another."""
    x, end = equations[at].inputs[0], at
    sizes = list(x.shape)
    pooled: dict[int, str] = {}
    while (found := _axis(equations, end, x)) is not None and found[0] not in pooled:
        axis, function, count = found
        end += count
        x = equations[end - 1].outputs[0]
        pooled[axis], sizes[axis] = function, x.shape[axis]
    rank = len(sizes)
    functions = set(pooled.values())
    if len(functions) != 1 or not 3 <= rank <= 5 or 0 in pooled:
        return None
    last = rank - 1 not in pooled
    if not last and 1 in pooled:
        return None
    spatial = tuple(sizes[1:-1] if last else sizes[2:])
    op = AdaptiveAvgPool if functions == {"mean"} else AdaptiveMaxPool
    return op(spatial[0] if len(set(spatial)) == 1 else spatial, channels_last=last), end - at


_POOLING = ("slice", "reduce_sum", "reduce_max", "broadcast_in_dim", "reshape", "div")


def _axis(equations: Sequence[Equation], at: int, x: Variable) -> tuple[int, str, int] | None:
    """The axis along which the equations there pool `x`, how, and how many they are."""
    run = list(takewhile(lambda e: e.name in _POOLING, islice(equations, at, None)))
    if at + len(run) == len(equations) or equations[at + len(run)].name != "concatenate":
        return None
    joined = equations[at + len(run)]
    axis, parts = joined.params["dimension"], joined.inputs
    length = x.shape[axis]
    if not isinstance(length, int):
        return None
    makers = {id(v): e for e in run for v in e.outputs}
    functions, used = set(), 1
    for i, part in enumerate(parts):
        start, stop = i * length // len(parts), ceil_div((i + 1) * length, len(parts))
        found = _window(makers, part, x, axis, (start, stop))
        if found is None:
            return None
        functions.add(found[0])
        used += found[1]
    if len(functions) != 1 or used != len(run) + 1:
        return None
    return axis, functions.pop(), used


def _window(
    makers: dict[int, Equation], part: Variable, x: Variable, axis: int, ends: tuple[int, int]
) -> tuple[str, int] | None:
    """What is taken of one window of `x`, and in how many equations."""
    equation, used = makers.get(id(part)), 0
    count = 1.0
    while equation is not None and equation.name in ("div", "broadcast_in_dim", "reshape"):
        if equation.name == "div":
            count = _number(equation, "div") or 0.0
        equation, used = makers.get(id(equation.inputs[0])), used + 1
    if equation is None or equation.params.get("axes") != (axis,):
        return None
    cut = makers.get(id(equation.inputs[0]))
    function = {"reduce_sum": "mean", "reduce_max": "max"}.get(equation.name)
    if cut is None or function is None or not _cuts(cut, x, axis, ends):
        return None
    if count != (ends[1] - ends[0] if function == "mean" else 1):
        return None
    kept = tuple(1 if i == axis else d for i, d in enumerate(x.shape))
    return (function, used + 2) if part.shape == kept else None


def _cuts(equation: Equation, x: Variable, axis: int, ends: tuple[int, int]) -> bool:
    """True for a slice of `x` along one axis, with these ends."""
    p = equation.params
    if equation.name != "slice" or equation.inputs[0] is not x or set(p["strides"] or (1,)) != {1}:
        return False
    starts, stops = [0] * len(x.shape), list(x.shape)
    starts[axis], stops[axis] = ends
    return list(p["start_indices"]) == starts and list(p["limit_indices"]) == stops


_MATCHES: dict[str, Callable[[Sequence[Equation], int], Match]] = {
    **dict.fromkeys(("mul", "square", "integer_pow"), _response_norm),
    "slice": _uneven_pool,
}
"""The formulas, by the primitive that they begin with."""
