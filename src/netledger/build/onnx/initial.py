"""The numbers that a file begins with: as published where the zoo says so, else as He et al. do.

He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015): weights from N(0, 2/fan-in). Factors
of normalisations are 1, offsets and biases 0.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from netledger.build.source.initialisation import published
from netledger.graph import BIAS, BUFFER, WEIGHT, Graph
from netledger.infer import infer
from netledger.ledger import Row, Stored
from netledger.ops.norm import ChannelNorm, LayerNorm

SEED = 0


def initial(graph: Graph) -> dict[tuple[str, str], Any]:
    """Arrays for every parameter; the same each time."""
    generator = np.random.default_rng(SEED)
    known = published(graph)
    found: dict[tuple[str, str], Any] = {}
    for row in infer(graph).ops:
        for p in row.parameters:
            std = known.std if known is not None else None
            one = known is not None and row.name in known.ones and p.role == BIAS
            made = np.ones(_ints(p), np.float32) if one else _numbers(row, p, std, generator)
            found[row.name, p.name] = made
    return found


def _numbers(row: Row, p: Stored, std: float | None, generator: np.random.Generator) -> Any:
    if p.role == BUFFER:
        return np.full(_ints(p), float(p.name == "running_var"), np.float32)
    if p.role != WEIGHT:
        return np.zeros(_ints(p), np.float32)
    if isinstance(row.op, ChannelNorm | LayerNorm):
        return np.ones(_ints(p), np.float32)
    shape = _ints(p)
    fan_in = max(prod(shape[1:]), 1)
    made = generator.standard_normal(shape, np.float32)
    made *= np.float32((2 / fan_in) ** 0.5 if std is None else std)
    return made


def _ints(p: Stored) -> tuple[int, ...]:
    return p.shape  # type: ignore[return-value]  # a graph with a symbol among them is refused
