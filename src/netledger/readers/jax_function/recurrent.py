"""Loops over one cell of a recurrent layer, which are that layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT, Parameter, Recorded
from netledger.ops import LSTM, Permute, Reshape
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.trace import Equation, Pairing
from netledger.readers.jax_function.values import Leaf, Value

_CELLS = ("LSTMCell", "OptimizedLSTMCell")
"""Cells that are an LSTM with one bias vector. A GRU of flax or Equinox has other biases than ours
(three for the input and one for the state), and stays what it is: products and sums."""


def cell_loop(build: Builder, equation: Equation) -> list[Value] | None:
    """The loop as an LSTM, if it is one; else None."""
    consts, carried = equation.params["num_consts"], equation.params["num_carry"]
    values = [build.value(v) for v in equation.inputs]
    data = [v for v in values[consts + carried :] if v.name]
    cells = _cells(equation)
    if len(cells) != 1 or carried != 2 or len(data) != 1 or len(data[0].shape) != 3:
        return None
    if any(v.name for v in values[: consts + carried]):  # it begins with a state that is computed
        return None
    leaves = {v.stored: build.leaves[v.stored] for v in values[:consts] if v.stored}
    hidden = values[consts].shape[-1]
    x = data[0]
    parts = _parts(list(leaves.values()), x.shape[-1], hidden)
    if parts is None:
        return None
    (path, first) = cells.pop()
    return _emit(build, equation, x, hidden, parts, path, carried, first)


def _cells(equation: Equation) -> set[tuple[str, bool]]:
    """The cells that the products of the body belong to: path, and whether it is Equinox's."""
    raw = [e.params["jaxpr"] for e in equation.raw]
    body = Pairing(equation.modules).read(*raw)
    found: set[tuple[str, bool]] = set()
    for e in _products(body.equations):
        own = [m for m in e.modules if m.kind in _CELLS]
        found.add((own[0].path, own[0].setting.startswith("first")) if own else ("", False))
    return set() if ("", False) in found else found


def _products(equations: tuple[Equation, ...]) -> Iterator[Equation]:
    """Everything that multiplies, or that might."""
    for e in equations:
        inner = any(hasattr(p, "eqns") or hasattr(p, "jaxpr") for p in e.raw[0].params.values())
        if e.name in ("dot_general", "conv_general_dilated") or inner:
            yield e


Parts = list[tuple[str, str, tuple[Any, ...], list[Leaf]]]


def _parts(leaves: list[Leaf], width: Any, hidden: Any) -> Parts | None:
    """The stored tensors by the parameter of an LSTM that they are, gates one above the other."""

    def named(*words: str) -> list[Leaf]:
        return [
            leaf
            for leaf in leaves
            if len(leaf.shape) == 2 and any(w in words for w in leaf.path.split("."))
        ]

    into = named("ii", "if", "ig", "io", "dense_i", "weight_ih")
    back = named("hi", "hf", "hg", "ho", "dense_h", "weight_hh")
    biases = [leaf for leaf in leaves if len(leaf.shape) == 1]
    if len(into) + len(back) + len(biases) != len(leaves):
        return None
    rows = 4 * hidden
    sizes = [sum(prod(leaf.shape) for leaf in group) for group in (into, back, biases)]
    if sizes[:2] != [rows * width, rows * hidden] or sizes[2] not in (0, rows):
        return None
    found: Parts = [
        ("weight_ih_l0", WEIGHT, (rows, width), into),
        ("weight_hh_l0", WEIGHT, (rows, hidden), back),
    ]
    return [*found, ("bias_ih_l0", BIAS, (rows,), biases)] if biases else found


def _emit(
    build: Builder,
    equation: Equation,
    x: Value,
    hidden: Any,
    parts: Parts,
    path: str,
    carried: int,
    first: bool,
) -> list[Value] | None:
    """Adds the layer, batch first where the loop only turned the batch away."""
    before = build.source.get(x.name)
    turned = before is not None and isinstance(before[1], Permute) and before[1].order == (1, 0, 2)
    if turned and before is not None:
        x = Value(*build.types[before[0]], before[0])
    made = equation.outputs[carried:]
    sequence = [v for v in made if len(v.shape) == 3 and v.shape[-1] == hidden]
    if len(sequence) != len(made) or len(made) > 1:
        return None
    op = LSTM(hidden, bias=len(parts) == 3, bias_vectors=1, batch_first=turned)
    op.check(x.shape)
    title = build.unique(path)
    names = (title, f"{title}:1", f"{title}:2")
    parameters = tuple(Parameter(n, role, shape) for n, role, shape, _ in parts)
    node = build._node(title, op, (build.name(x),), names, equation, Recorded((), parameters))
    build.nodes.append(node)
    for name, _, _, leaves in parts:
        for leaf in leaves:
            build.uses.setdefault(leaf.path, []).append((title, name))
    shapes = op.outputs(x.shape)
    outs = [build.made(n, s, x.dtype) for n, s in zip(names, shapes, strict=True)]
    states = [
        build.moved(Reshape(v.shape[1:], keep_batch=False), v, equation, v.shape[1:])
        for v in outs[1:]
    ]
    if turned and made:
        order = (1, 0, 2)
        whole = tuple(outs[0].shape[i] for i in order)
        outs[0] = build.moved(Permute(order), outs[0], equation, whole)
    return [*(states if first else states[::-1]), *outs[: len(made)]]
