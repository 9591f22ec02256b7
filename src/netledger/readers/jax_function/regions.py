"""Equations that are one operation together: normalisations, and functions such as softmax.

A trace has no layer norm, only a mean, a difference, a square root … What belongs together is
known by the call of a module, or of a function of `jax.nn`, that made it; what has neither, by the
arithmetic itself (`formulas`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netledger.errors import NetledgerError
from netledger.graph import BUFFER
from netledger.ops import (
    Activation,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Op,
    RMSNorm,
    Softmax,
)
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.formulas import enclosed, formula
from netledger.readers.jax_function.trace import Body, Equation, Module
from netledger.readers.jax_function.values import Leaf, Value

_FUNCTIONS = {
    **{
        name: name
        for name in (
            *("relu", "relu6", "softplus", "silu", "elu", "leaky_relu", "celu", "selu", "gelu"),
            *("sigmoid", "hard_sigmoid", "hard_swish", "mish"),
        )
    },
    "swish": "silu",
    "hard_silu": "hard_swish",
    "soft_sign": "softsign",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
}
_NORMS = ("BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm")
_HEAVY = (
    *("dot_general", "conv_general_dilated", "scan", "while", "cond", "gather", "custom_call"),
    *("ragged_dot_general", "pallas_call", "scatter", "fft", "scatter-add", "scatter_add"),
)


def region(build: Builder, body: Body, at: int) -> int:
    """Adds one operation for equations that are one together; returns how many they are, or 0."""
    known = formula(build, body, at)
    if known:
        return known
    key = _key(body.equations[at])
    if key is None or (at and _key(body.equations[at - 1]) == key):
        return 0
    end = at
    while end < len(body.equations) and _key(body.equations[end]) == key:
        end += 1
    run = body.equations[at:end]
    if any(_heavy(equation.raw[0]) for equation in run):
        return 0
    made = {id(v) for e in run for v in e.outputs}
    outs = enclosed(build, run)
    outer = {
        id(v): build.value(v) for e in run for v in e.inputs if not v.literal and id(v) not in made
    }
    data = {v.name: v for v in outer.values() if v.name}
    if len(outs) != 1 or len(data) != 1:
        return 0
    (x,) = data.values()
    stored = {v.stored: build.leaves[v.stored] for v in outer.values() if v.stored}
    try:
        found = _norm(key, x, stored) if isinstance(key, Module) else _function(key[0], run)
        if found is None or x.shape != outs[0].shape:
            return 0
        op, weights = found
        value = build.emit(
            op,
            [x],
            run[0],
            stated=outs[0].shape,
            weights=weights,
            title="" if weights else _title(build, key, run[0]),
            untold=_untold(op, run),
        )
    except NetledgerError:
        return 0
    build.values[id(outs[0])] = value._replace(dtype=outs[0].dtype)
    return len(run)


def _title(build: Builder, key: Any, first: Equation) -> str:
    """What to call a region without parameters: its module, or the function below its module."""
    if isinstance(key, Module):
        return key.path
    path = build.path(first)
    return f"{path}.{key[0]}" if path else str(key[0])


def _key(equation: Equation) -> Any:
    """What an equation is a part of, if anything that is known."""
    for module in equation.modules:
        if module.kind in _NORMS:
            return module
    if equation.function in _FUNCTIONS:
        return equation.function, equation.modules
    return None


def _heavy(raw: Any) -> bool:
    """True for a product, a loop and their like, also inside of a call."""
    if raw.primitive.name in _HEAVY:
        return True
    inner = [p for p in raw.params.values() if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
    return any(_heavy(e) for p in inner for e in getattr(p, "jaxpr", p).eqns)


Found = tuple[Op, list[tuple[Leaf, str, Any]]]


def _function(name: str, run: Sequence[Equation]) -> Found | None:
    """The operation of a function of `jax.nn`."""
    known = _FUNCTIONS[name]
    if "softmax" not in known:
        tanh = known == "gelu" and any(e.name == "tanh" for e in run)
        return Activation(known, approximate=tanh), []
    axes = [e.params["axes"] for e in run if e.name == "reduce_max"]
    if len(axes) != 1 or len(axes[0]) != 1:
        return None
    rank = len(next(e for e in run if e.name == "reduce_max").inputs[0].shape)
    at = axes[0][0]
    return Softmax(-1 if at == rank - 1 else at, log=known.startswith("log")), []


def _untold(op: Op, run: Sequence[Equation]) -> str:
    """A factor below 0 that comes into the function from outside of it, so that it is not known."""
    if not isinstance(op, Activation) or op.function not in ("leaky_relu", "elu", "celu"):
        return ""
    return "slope below 0" if any(e.name == "convert_element_type" for e in run) else ""


def _norm(module: Module, x: Value, stored: dict[str, Leaf]) -> Found | None:
    """The operation of a normalisation, and what its parameters are."""
    parts: dict[str, Leaf] = {}
    statistics = [leaf for leaf in stored.values() if leaf.role == BUFFER]
    for leaf in stored.values():
        name = leaf.path.rpartition(".")[2].lower()
        if leaf.role != BUFFER:
            parts["bias" if name in ("bias", "beta", "offset", "b") else "weight"] = leaf
    if statistics:
        statistics.sort(key=lambda leaf: "var" in leaf.path.rpartition(".")[2].lower())
        if len(statistics) != 2:
            return None
        parts["running_mean"], parts["running_var"] = statistics
    if len(parts) != len(stored):
        return None
    op = _NORM_OPS[module.kind](module, x, parts)
    order = [p.name for p in op.parameters(x.shape)] if op is not None else []
    if op is None or sorted(order) != sorted(parts):
        return None
    return op, [(parts[name], name, parts[name].shape) for name in order]


def _last(module: Module, x: Value, parts: dict[str, Leaf]) -> bool:
    """True if channels are on the last axis; Equinox has them first."""
    sizes = {leaf.shape for leaf in parts.values()}
    first = module.setting.startswith("first")
    return not first and (not sizes or (x.shape[-1],) in sizes)


def _affine(parts: dict[str, Leaf]) -> dict[str, bool]:
    return {"scale": "weight" in parts, "center": "bias" in parts}


def _batch(module: Module, x: Value, parts: dict[str, Leaf]) -> Op | None:
    kept = "running_mean" in parts
    return BatchNorm(running_stats=kept, channels_last=_last(module, x, parts), **_affine(parts))


def _layer(kind: Callable[..., Op]) -> Any:
    def rule(module: Module, x: Value, parts: dict[str, Leaf]) -> Op | None:
        shapes = {leaf.shape for leaf in parts.values()}
        if len(shapes) > 1:
            return None
        rank = len(next(iter(shapes), (1,)))
        if shapes and x.shape[-rank:] != next(iter(shapes)):
            return None
        over: Any = -1 if rank == 1 else tuple(range(-rank, 0))
        return kind(over, **_affine(parts))

    return rule


def _group(module: Module, x: Value, parts: dict[str, Leaf]) -> Op | None:
    groups = module.setting.partition(":")[2]
    if not groups.isdigit():
        return None
    return GroupNorm(groups=int(groups), channels_last=_last(module, x, parts), **_affine(parts))


def _instance(module: Module, x: Value, parts: dict[str, Leaf]) -> Op | None:
    return InstanceNorm(channels_last=_last(module, x, parts), **_affine(parts))


_NORM_OPS: dict[str, Callable[[Module, Value, dict[str, Leaf]], Op | None]] = {
    "BatchNorm": _batch,
    "LayerNorm": _layer(LayerNorm),
    "RMSNorm": _layer(RMSNorm),
    "GroupNorm": _group,
    "InstanceNorm": _instance,
}
