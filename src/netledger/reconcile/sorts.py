"""What sort of layer a row is, and what it stores."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from netledger.formula import Formula
from netledger.graph import WEIGHT
from netledger.ledger import Row, Stored
from netledger.ops import Embedding, Inventory, Linear, Tensor
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.norm import ChannelNorm, LayerNorm

CONV, LINEAR, NORM, EMBEDDING, TENSOR = "conv", "linear", "norm", "embedding", "tensor"


def sort_of(row: Row) -> str:
    """What sort of layer it is, by its operation, or by the shape and name of what it stores."""
    op = row.op
    if isinstance(op, Convolution | ConvTranspose):
        return CONV
    if isinstance(op, Linear):
        return LINEAR
    if isinstance(op, ChannelNorm | LayerNorm):
        return NORM
    if isinstance(op, Embedding):
        return EMBEDDING
    if isinstance(op, Tensor):
        return TENSOR
    return _sort_of_stored(row) if isinstance(op, Inventory) else ""


def _sort_of_stored(row: Row) -> str:
    weights = [p for p in row.parameters if p.name == "weight"]
    if len(weights) != 1:
        return ""
    rank = len(weights[0].shape)
    if rank == 2:
        return EMBEDDING if re.search(r"emb|wte|wpe", row.name) else LINEAR
    return NORM if rank == 1 else CONV if rank >= 3 else ""


def weight_of(row: Row) -> Stored | None:
    """A layer's one matrix or kernel; None if it has none of its own, or more."""
    found = None
    for p in row.parameters:
        if p.role == WEIGHT and p.tied_to is None:
            if found is not None:
                return None
            found = p
    return found


def tensor(row: Row, name: str) -> Stored | None:
    """A layer's stored tensor by name."""
    return next((p for p in row.parameters if p.name == name and p.tied_to is None), None)


def outputs_of(row: Row) -> int:
    """The number of kernels or neurons."""
    weight = weight_of(row)
    if weight is None:
        return 0
    if isinstance(row.op, ConvTranspose):
        return row.op.out_channels
    return sizes(weight)[0]


def sizes(p: Stored) -> tuple[int, ...]:
    """The shape of a stored tensor, in numbers."""
    dims: list[Any] = [d.value if isinstance(d, Formula) else d for d in p.shape]
    return tuple(dims)


@lru_cache(maxsize=4096)
def last_word(name: str) -> str:
    """What a layer is called within its block, digits aside: ``conv`` for ``layer1.0.conv2``."""
    return re.sub(r"\d+", "#", name.rpartition(".")[2])
