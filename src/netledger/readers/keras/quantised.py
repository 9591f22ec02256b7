"""Layers whose numbers are stored as small integers: what they multiply is known all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops import Einsum, Linear, Op
from netledger.readers.keras.call import Call
from netledger.readers.keras.layers import equation


def quantised(call: Call) -> list[str]:
    """Such a layer; an adapter beside it, which is in floating point, has its products too."""
    before = len(call.reading.nodes)
    rule = _RULES.get(call.kind)
    shape, macs = rule(call, _rank(call)) if rule is not None else (None, None)
    made = call.opaque("its parameters are quantised", made=shape)
    if macs is not None and call.stored is not None:
        call.reading.keep(before, tuple(call.stored), call.path, macs)
        call.stored = []
    return made


def _rank(call: Call) -> int:
    """How wide the layer's adapter is; 0 if it has none."""
    ranks = [one.shape[-1] for one in call.stored or () if one.path.endswith("_a")]
    return ranks[0] if ranks else 0


def _macs(op: Op, *inputs: Shape) -> Any:
    return op.macs(inputs, op.outputs(*inputs))


Known = tuple[Shape, Any]
"""The shape of what a layer makes, and its multiply-accumulates."""


def _dense(call: Call, rank: int) -> Known:
    x, units = call.shape, call.config.integer("units")
    down = _macs(Linear(rank, bias=False), x) if rank else 0
    macs = _macs(Linear(units, bias=False), x) + down + prod(x[:-1]) * units * rank
    return (*x[:-1], units), macs


def _einsum(call: Call, rank: int) -> Known:
    letters, sizes = equation(call)
    kernel, out = letters.partition(",")[2].split("->")
    shape, made = (tuple([sizes[k] for k in part]) for part in (kernel, out))
    down = _macs(Einsum(letters), call.shape, (*shape[:-1], rank)) if rank else 0
    return made, _macs(Einsum(letters), call.shape, shape) + down + prod(made) * rank


def _table(call: Call, rank: int) -> Known:
    x, width = call.shape, call.config.integer("output_dim")
    if call.inbound.options.get("reverse") is True:
        rows = call.config.integer("input_dim")
        return (*x[:-1], rows), _macs(Linear(rows, bias=False), x)
    return (*x, width), prod(x) * width * rank


_RULES: dict[str, Callable[[Call, int], Known]] = {
    "Dense": _dense,
    "EinsumDense": _einsum,
    "Embedding": _table,
    "ReversibleEmbedding": _table,
}
