"""Operations on tensors of any rank, by example: inputs, output, weights, biases, MACs."""

from __future__ import annotations

from typing import Any

import pytest

from netledger.graph import BATCH
from netledger.ops import (
    GLU,
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    Concat,
    ConvLSTM,
    Dropout,
    Einsum,
    Embedding,
    Expand,
    Flatten,
    Gather,
    GroupedMatMul,
    LayerNorm,
    Linear,
    MatMul,
    MultiHeadAttention,
    Multiply,
    Op,
    Permute,
    PReLU,
    Reduce,
    Reshape,
    RMSNorm,
    ScaledDotProductAttention,
    Slice,
    Softmax,
    Split,
    Stack,
    Where,
)

ROWS: list[tuple[Op, Any, Any, int, int, int]] = [
    (Linear(4096), [(9216,)], (4096,), 37_748_736, 4096, 37_748_736),
    (Linear(8, bias=False), [(5, 7, 16)], (5, 7, 8), 128, 0, 4480),
    (Embedding(50_257, 768), [(1024,)], (1024, 768), 38_597_376, 0, 0),
    (MatMul(), [(4, 5, 6), (4, 6, 7)], (4, 5, 7), 0, 0, 840),
    (MatMul(), [(4, 5, 6), (1, 6, 7)], (4, 5, 7), 0, 0, 840),
    (GroupedMatMul(), [(6,), (6, 7)], (7,), 0, 0, 42),
    (Einsum("bqd,bkd->bqk"), [(3, 4), (5, 4)], (3, 5), 0, 0, 60),
    (Einsum("ba,bc->bac"), [(3,), (5,)], (3, 5), 0, 0, 0),
    (RNN(8), [(10, 4)], (10, 8), 96, 16, 960),
    (GRU(8, bias_vectors=1), [(10, 4)], (10, 8), 288, 24, 2880),
    (LSTM(8), [(10, 4)], (10, 8), 384, 64, 3840),
    (LSTM(8, 2, bidirectional=True), [(10, 4)], (10, 16), 2304, 256, 23_040),
    (LSTM(8, projection_size=3), [(10, 4)], (10, 3), 248, 64, 2480),
    (LSTM(8, return_sequences=False), [(10, 4)], (8,), 384, 64, 3840),
    (ConvLSTM(4, 3), [(5, 9, 8, 3)], (5, 7, 6, 4), 1008, 16, 211_680),
    (ConvLSTM(4, 3, 2, "same", bias=False), [(5, 9, 3)], (5, 5, 4), 336, 0, 8400),
    (ConvLSTM(4, 3, return_sequences=False), [(5, 9, 3)], (7, 4), 336, 16, 11_760),
    (MultiHeadAttention(8), [(10, 64)], (10, 64), 16_384, 256, 176_640),
    (MultiHeadAttention(2, 5, 3, 7, bias=False), [(4, 6)], (4, 7), 198, 0, 1048),
    (MultiHeadAttention(2), [(4, 6), (5, 3), (5, 3)], (4, 6), 108, 24, 708),
    (ScaledDotProductAttention(), [(8, 5, 6), (8, 7, 6), (8, 7, 3)], (8, 5, 3), 0, 0, 2520),
    (ScaledDotProductAttention(), [(8, 5, 6), (2, 7, 6), (2, 7, 3)], (8, 5, 3), 0, 0, 2520),
    (LayerNorm(), [(10, 64)], (10, 64), 64, 64, 0),
    (LayerNorm(over=(1, 2)), [(10, 64)], (10, 64), 640, 640, 0),
    (LayerNorm(scale=False), [(10, 64)], (10, 64), 0, 64, 0),
    (RMSNorm(), [(10, 64)], (10, 64), 64, 0, 0),
    (PReLU(), [(8, 8, 3)], (8, 8, 3), 1, 0, 0),
    (PReLU(channel_axis=-1), [(8, 8, 3)], (8, 8, 3), 3, 0, 0),
    (Activation("gelu"), [(8, 8, 3)], (8, 8, 3), 0, 0, 0),
    (Dropout(), [(8, 8, 3)], (8, 8, 3), 0, 0, 0),
    (Softmax(), [(10,)], (10,), 0, 0, 0),
    (GLU(), [(5, 8)], (5, 4), 0, 0, 0),
    (Add(), [(8, 8, 3), (8, 8, 3)], (8, 8, 3), 0, 0, 0),
    (Multiply(), [(8, 8, 3), (1, 1, 3)], (8, 8, 3), 0, 0, 0),
    (Where(), [(8, 1), (1, 5), (8, 5)], (8, 5), 0, 0, 0),
    (Flatten(), [(6, 6, 256)], (9216,), 0, 0, 0),
    (Flatten(1, 2), [(6, 6, 256)], (36, 256), 0, 0, 0),
    (Reshape((-1, 4)), [(6, 6)], (9, 4), 0, 0, 0),
    (Permute((0, 3, 1, 2)), [(4, 5, 6)], (6, 4, 5), 0, 0, 0),
    (Expand((BATCH, 4, 6)), [(1, 6)], (4, 6), 0, 0, 0),
    (Concat(), [(4, 5), (4, 7)], (4, 12), 0, 0, 0),
    (Stack(), [(4, 5), (4, 5), (4, 5)], (3, 4, 5), 0, 0, 0),
    (Slice(1, 2, -1, 3), [(12, 5)], (3, 5), 0, 0, 0),
    (Gather(1), [(12, 5)], (5,), 0, 0, 0),
    (Gather(1, (2, 3)), [(12, 5)], (2, 3, 5), 0, 0, 0),
    (Split(4), [(3, 10)], (3, 4), 0, 0, 0),
    (Split((3, 7)), [(3, 10)], (3, 3), 0, 0, 0),
    (Reduce((1, 2)), [(7, 7, 64)], (64,), 0, 0, 0),
    (Reduce(-1, keepdims=True), [(7, 64)], (7, 1), 0, 0, 0),
]


@pytest.mark.parametrize(("op", "xs", "out", "weights", "biases", "macs"), ROWS, ids=str)
def test_rules(books: Any, op: Op, xs: Any, out: Any, weights: int, biases: int, macs: int) -> None:
    assert books(op, *xs) == (out, weights, biases, macs)


REFUSED: list[tuple[Op, Any, str, str]] = [
    (
        MatMul(),
        [(4, 5), (6, 7)],
        "cannot multiply [N, 4, 5] by [N, 6, 7]: 5 columns meet 6 rows",
        "the last axis of the first must equal the last but one of the second",
    ),
    (MatMul(), [(4, 5)], "takes 2 inputs; got 1", "name them with inputs:"),
    (
        Add(),
        [(8, 8, 3), (8, 8, 4)],
        "shapes [N, 8, 8, 3] and [N, 8, 8, 4] do not fit together",
        "sizes must be equal, or 1",
    ),
    (
        Concat(),
        [(4, 5), (3, 5)],
        "[N, 4, 5] and [N, 3, 5] differ outside axis -1",
        "only the joined axis may differ",
    ),
    (Stack(), [(4, 5), (4, 6)], "shapes [N, 4, 5] and [N, 4, 6] differ", ""),
    (
        Reshape((4, 7)),
        [(6, 6)],
        "cannot reshape [6, 6] (36 numbers) to [4, 7]",
        "the number of numbers must stay the same",
    ),
    (
        Reshape((-1, -1)),
        [(6, 6)],
        "shape has more than one -1",
        "only one size can be left open",
    ),
    (
        Reshape((0, -1)),
        [(6, 6)],
        "shape has a 0",
        "write the size itself, or -1 for what is left",
    ),
    (
        Permute((0, 1, 1)),
        [(4, 5)],
        "order 0×1×1 does not name each axis of [N, 4, 5] once",
        "it must be a permutation of 0 … 2",
    ),
    (Expand((BATCH, 4, 6)), [(2, 6)], "cannot expand [N, 2, 6] to [N, 4, 6]", ""),
    (
        Softmax(3),
        [(4, 5)],
        "axis 3 does not exist in a tensor of 3 axes",
        "axes run from -3 to 2",
    ),
    (Reduce((1, -2)), [(4, 5)], "(1, -2) names an axis twice", ""),
    (Flatten(2, 1), [(4, 5)], "start_dim 2 comes after end_dim 1", ""),
    (GLU(), [(4, 5)], "cannot halve an axis of 5", "its size must be even"),
    (Slice(1, 4, 2), [(4, 5)], "nothing of an axis of 4 is left between 4 and 2", ""),
    (Split((3, 4)), [(4, 5)], "parts of 3 + 4 do not add up to 5", ""),
    (Split(0), [(4, 5)], "an axis has no parts of 0", "only a list of sizes may hold 0"),
    (
        MultiHeadAttention(8),
        [(10, 60)],
        "60 features cannot be shared out to 8 heads",
        "num_heads must divide the features, or key_dim must be given",
    ),
    (
        ScaledDotProductAttention(),
        [(4, 6), (5, 7), (5, 6)],
        "queries [N, 4, 6] and keys [N, 5, 7] differ in features",
        "",
    ),
    (
        ScaledDotProductAttention(),
        [(8, 4, 6), (3, 5, 6), (3, 5, 6)],
        "queries [N, 8, 4, 6] and keys [N, 3, 5, 6] do not fit together",
        "leading axes must be equal, or 1; heads may also be shared out evenly",
    ),
    (
        Einsum("ij,jk"),
        [(4,), (5, 6)],
        "'jk' has 2 letters for [N, 5, 6]",
        "",
    ),
    (Einsum("ij->iij"), [(4,)], "the output has the index 'i' more than once", ""),
    (
        Einsum("...d"),
        [(4,)],
        "cannot read the equation '...d'",
        "write letters only, for instance 'bqd,bkd->bqk' (no '...')",
    ),
    (
        LSTM(8),
        [(4,)],
        "needs a tensor of 3 axes (batch, time and features); got [N, 4]",
        "the batch counts as an axis: an input of 227x227x3 has four",
    ),
    (LSTM(8, 10_001), [(4, 4)], "num_layers must be at most 10,000; got 10,001", ""),
]


@pytest.mark.parametrize(("op", "xs", "fact", "hint"), REFUSED, ids=str)
def test_what_does_not_fit(refusal: Any, op: Op, xs: Any, fact: str, hint: str) -> None:
    assert refusal(op, *xs) == (fact, hint)
