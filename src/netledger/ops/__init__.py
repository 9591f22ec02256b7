"""Operations. One class states all rules of one operation; `OPERATIONS` lists them all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from netledger.errors import UnknownName
from netledger.ops.attention import MultiHeadAttention, ScaledDotProductAttention
from netledger.ops.base import Op, Window
from netledger.ops.conv import Conv, ConvTranspose, DepthwiseConv, LocallyConnected
from netledger.ops.dynamic import DynamicConv
from netledger.ops.indexing import (
    Arrange,
    GridSample,
    Index,
    Patches,
    Repeat,
    SlidingWindow,
    TakeAlong,
    TopK,
    Update,
)
from netledger.ops.linear import Einsum, Embedding, GroupedMatMul, Linear, MatMul
from netledger.ops.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
    Scale,
)
from netledger.ops.opaque import Constant, Inventory, Opaque, Tensor
from netledger.ops.pointwise import (
    FUNCTIONS,
    GLU,
    Activation,
    Add,
    Average,
    Cast,
    Compare,
    Divide,
    Dropout,
    Identity,
    Maximum,
    Minimum,
    Multiply,
    Power,
    PReLU,
    Softmax,
    Subtract,
    Where,
)
from netledger.ops.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from netledger.ops.recurrent import GRU, LSTM, RNN, ConvLSTM
from netledger.ops.resample import Pad, PixelShuffle, Resize
from netledger.ops.reshape import (
    Concat,
    Expand,
    Flatten,
    Gather,
    Permute,
    Reduce,
    Reshape,
    Slice,
    Split,
    Stack,
)

OPERATIONS: tuple[type[Op], ...] = (
    Conv,
    DepthwiseConv,
    LocallyConnected,
    ConvTranspose,
    DynamicConv,
    MaxPool,
    AvgPool,
    AdaptiveMaxPool,
    AdaptiveAvgPool,
    GlobalMaxPool,
    GlobalAvgPool,
    Linear,
    Embedding,
    MatMul,
    GroupedMatMul,
    Einsum,
    BatchNorm,
    InstanceNorm,
    GroupNorm,
    LayerNorm,
    RMSNorm,
    Scale,
    LocalResponseNorm,
    Activation,
    PReLU,
    GLU,
    Softmax,
    Dropout,
    Identity,
    Cast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Maximum,
    Minimum,
    Average,
    Compare,
    Where,
    RNN,
    GRU,
    LSTM,
    ConvLSTM,
    MultiHeadAttention,
    ScaledDotProductAttention,
    Flatten,
    Reshape,
    Permute,
    Expand,
    Concat,
    Stack,
    Slice,
    Gather,
    Index,
    TakeAlong,
    TopK,
    Split,
    Arrange,
    Update,
    Repeat,
    SlidingWindow,
    Patches,
    GridSample,
    Pad,
    Resize,
    PixelShuffle,
    Reduce,
    Tensor,
    Constant,
    Opaque,
    Inventory,
)


@cache
def by_key() -> Mapping[str, tuple[type[Op], Mapping[str, Any]]]:
    """What a word in a spec stands for: an operation, and hyperparameters that the word implies.

    Every operation has its own key; each activation function is a word too (``relu``).
    """
    words: dict[str, tuple[type[Op], Mapping[str, Any]]] = {op.key: (op, {}) for op in OPERATIONS}
    words.update({name: (Activation, Activation.implied(name)) for name in FUNCTIONS})
    return words


def from_key(key: str, values: Mapping[str, Any]) -> Op:
    """The operation that a spec calls `key`, with the hyperparameters `values`.

    Raises:
        UnknownName: If there is no such operation or hyperparameter.
        FieldError: If a hyperparameter is missing or impossible.
    """
    try:
        op_class, implied = by_key()[key]
    except KeyError:
        hint = "'netledger layer' lists all operations"
        raise UnknownName("operation", key, by_key(), hint=hint) from None
    for name in values:
        if name in implied:
            own = [field for field in op_class.rules if field not in implied]
            hint = f"{key} has {', '.join(own) or 'no hyperparameters'}"
            raise UnknownName(f"key of {key}", name, own, hint=hint)
    return op_class(**implied, **values)


__all__ = [
    "FUNCTIONS",
    "GLU",
    "GRU",
    "LSTM",
    "OPERATIONS",
    "RNN",
    "Activation",
    "AdaptiveAvgPool",
    "AdaptiveMaxPool",
    "Add",
    "Arrange",
    "Average",
    "AvgPool",
    "BatchNorm",
    "Cast",
    "Compare",
    "Concat",
    "Constant",
    "Conv",
    "ConvLSTM",
    "ConvTranspose",
    "DepthwiseConv",
    "Divide",
    "Dropout",
    "DynamicConv",
    "Einsum",
    "Embedding",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GridSample",
    "GroupNorm",
    "GroupedMatMul",
    "Identity",
    "Index",
    "InstanceNorm",
    "Inventory",
    "LayerNorm",
    "Linear",
    "LocalResponseNorm",
    "LocallyConnected",
    "MatMul",
    "MaxPool",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Op",
    "Opaque",
    "PReLU",
    "Pad",
    "Patches",
    "Permute",
    "PixelShuffle",
    "Power",
    "RMSNorm",
    "Reduce",
    "Repeat",
    "Reshape",
    "Resize",
    "Scale",
    "ScaledDotProductAttention",
    "Slice",
    "SlidingWindow",
    "Softmax",
    "Split",
    "Stack",
    "Subtract",
    "TakeAlong",
    "Tensor",
    "TopK",
    "Update",
    "Where",
    "Window",
    "by_key",
    "from_key",
]
