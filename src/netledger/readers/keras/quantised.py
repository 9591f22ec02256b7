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
    made = call.opaque("its parameters are quantised")
    rule = _MACS.get(call.kind)
    if rule is not None and call.stored is not None:
        call.reading.keep(before, tuple(call.stored), call.path, rule(call, _rank(call)))
        call.stored = []
    return made


def _rank(call: Call) -> int:
    """How wide the layer's adapter is; 0 if it has none."""
    ranks = [one.shape[-1] for one in call.stored or () if one.path.endswith("_a")]
    return ranks[0] if ranks else 0


def _macs(op: Op, *inputs: Shape) -> Any:
    return op.macs(inputs, op.outputs(*inputs))


def _dense(call: Call, rank: int) -> Any:
    x, units = call.shape, call.config.integer("units")
    down = _macs(Linear(rank, bias=False), x) if rank else 0
    return _macs(Linear(units, bias=False), x) + down + prod(x[:-1]) * units * rank


def _einsum(call: Call, rank: int) -> Any:
    letters, sizes = equation(call)
    kernel, out = letters.partition(",")[2].split("->")
    shape = tuple([sizes[k] for k in kernel])
    down = _macs(Einsum(letters), call.shape, (*shape[:-1], rank)) if rank else 0
    return _macs(Einsum(letters), call.shape, shape) + down + prod([sizes[k] for k in out]) * rank


def _table(call: Call, rank: int) -> Any:
    width = call.config.integer("output_dim")
    if call.inbound.options.get("reverse") is True:
        return _macs(Linear(call.config.integer("input_dim"), bias=False), call.shape)
    return prod(call.shape) * width * rank


_MACS: dict[str, Callable[[Call, int], Any]] = {
    "Dense": _dense,
    "EinsumDense": _einsum,
    "Embedding": _table,
    "ReversibleEmbedding": _table,
}
