"""Names for what a rule is asked with: hyperparameters and axes as formulas call them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netledger.formula import formula, symbol
from netledger.graph import Shape
from netledger.ops.base import Op, subscript


def named_op(op: Op) -> Op:
    """The operation with its hyperparameters named, as they are called in formulas."""
    changes = {}
    for name, rule in op.rules.items():
        value = getattr(op, name)
        if rule.symbol and value != rule.hide:
            changes[name] = _named(rule.symbol, value)
    return replace(op, **changes) if changes else op


def _named(name: str, value: Any) -> Any:
    if type(value) is int:
        return symbol(name, value)
    if not isinstance(value, tuple):
        return value
    if isinstance(value[0], tuple):
        pairs = [tuple(symbol(f"{name}{'₁₂'[i]}", p) for i, p in enumerate(v)) for v in value]
        if len(set(value)) == 1:
            return tuple(pairs)
        return tuple(
            tuple(symbol(f"{name}_{axis}{i}", p) for i, p in enumerate(v, start=1))
            for v, axis in zip(value, letters(len(value)), strict=True)
        )
    if len(set(value)) == 1:
        return tuple(symbol(name, v) for v in value)
    return tuple(symbol(f"{name}_{a}", v) for v, a in zip(value, letters(len(value)), strict=True))


def numbered(count: int) -> list[str]:
    """``D₁``, ``D₂`` and so on, for axes without a name of their own."""
    return [f"D{subscript(i)}" for i in range(1, count + 1)]


def letters(count: int) -> str:
    """A letter for each of so many spatial axes: height, width; depth first of three."""
    return {2: "hw", 3: "dhw"}.get(count, "abcdefgh"[:count])


def name_axes(names: Any, shapes: Any) -> tuple[Shape, ...]:
    """Shapes whose dimensions are named; axes of one name and one size share one symbol."""
    if not names:
        return tuple(tuple(formula(d) for d in shape) for shape in shapes)
    sizes: dict[str, set[Any]] = {}
    for axis_names, shape in zip(names, shapes, strict=False):
        for name, d in zip(axis_names, shape, strict=True):
            sizes.setdefault(name, set()).add(d)
    result = [_name_shape(n, shape, sizes) for n, shape in zip(names, shapes, strict=False)]
    return (*result, *shapes[len(result) :])


def _name_shape(names: tuple[str, ...], shape: Shape, sizes: dict[str, set[Any]]) -> Shape:
    dims: list[Any] = []
    for i, (name, d) in enumerate(zip(names, shape, strict=True)):
        if not name or not isinstance(d, int):
            dims.append(d)
            continue
        if len(sizes[name]) > 1 and names.count(name) > 1:
            axes = letters(names.count(name))
            name = f"{name}_{axes[names[:i].count(name)]}"
        dims.append(symbol(name, d))
    return tuple(dims)
