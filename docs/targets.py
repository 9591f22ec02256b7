"""Writes the table of docs/build.md: which operation can be built where. Each one is tried.

    python docs/targets.py

A test sees to it that the page is up to date, and that no operation of a builder is left out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from netledger import NetledgerError, ops
from netledger.build import target
from netledger.build.onnx import skeleton
from netledger.builder import Network
from netledger.graph import BATCH, Graph, TensorType
from netledger.ops.base import Op

PAGE = Path(__file__).parent / "build.md"
MARKS = ("<!-- targets: made by docs/targets.py -->", "<!-- end of targets -->")
TARGETS = {"torch": "PyTorch", "keras": "Keras", "jax": "JAX", "onnx": "ONNX"}


class Sample(NamedTuple):
    """An operation, and what it is tried on.

    Attributes:
        op: The operation.
        shape: The shape of each input, without the batch.
        words: What is special about it; empty for the plain operation.
        inputs: How many inputs it takes.
        dtype: Their dtype.
    """

    op: Op
    shape: tuple[int, ...]
    words: str = ""
    inputs: int = 1
    dtype: str = "float32"


MAP, ROW, SERIES = (8, 8, 4), (8,), (6, 8)
SAMPLES = (
    Sample(ops.Conv(8, 3), MAP),
    Sample(ops.Conv(8, 3, stride=2, padding="same", groups=2), MAP, "uneven border, groups"),
    Sample(ops.DepthwiseConv(3), MAP),
    Sample(ops.ConvTranspose(6, 3, stride=2), MAP),
    Sample(ops.ConvTranspose(6, 3, stride=2, padding=1, output_padding=1), MAP, "padding"),
    Sample(ops.ConvTranspose(6, 3, stride=2, groups=2), MAP, "in groups"),
    Sample(ops.MaxPool(3, stride=2, padding=1), MAP),
    Sample(ops.MaxPool(2, dilation=2), MAP, "dilated"),
    Sample(ops.AvgPool(2), MAP),
    Sample(ops.AvgPool(3, stride=2, padding=1), MAP, "padding that counts"),
    Sample(ops.AdaptiveMaxPool(3), MAP, "uneven windows"),
    Sample(ops.AdaptiveAvgPool(3), MAP, "uneven windows"),
    Sample(ops.GlobalMaxPool(), MAP),
    Sample(ops.GlobalAvgPool(), MAP),
    Sample(ops.Linear(5), ROW),
    Sample(ops.Embedding(10, 4), (6,), dtype="int64"),
    Sample(ops.MatMul(), (6, 6), inputs=2),
    Sample(ops.Einsum("bij,bjk->bik"), (6, 6), inputs=2),
    Sample(ops.BatchNorm(), MAP),
    Sample(ops.BatchNorm(scale=False), MAP, "an offset alone"),
    Sample(ops.InstanceNorm(), MAP),
    Sample(ops.GroupNorm(groups=2), MAP),
    Sample(ops.LayerNorm(), SERIES),
    Sample(ops.LayerNorm(1), MAP, "over another axis"),
    Sample(ops.RMSNorm(), SERIES),
    Sample(ops.Scale(1), ROW),
    Sample(ops.LocalResponseNorm(), MAP),
    *(Sample(ops.Activation(f), ROW, f) for f in ("relu", "gelu", "hard_swish", "erf")),
    Sample(ops.Activation("clip", low=0, high=1), ROW, "clip"),
    Sample(ops.PReLU(), ROW),
    Sample(ops.PReLU(1), ROW, "a slope for each channel"),
    Sample(ops.GLU(), ROW),
    Sample(ops.Softmax(), ROW),
    Sample(ops.Dropout(), ROW),
    Sample(ops.Identity(), ROW),
    Sample(ops.Cast("float16"), ROW),
    Sample(ops.Add(), MAP, inputs=2),
    Sample(ops.Add(constant=2), MAP, "of a number"),
    Sample(ops.Add(), MAP, "of numbers that are not kept"),
    Sample(ops.Subtract(), MAP, inputs=2),
    Sample(ops.Multiply(), MAP, inputs=2),
    Sample(ops.Divide(), MAP, inputs=2),
    Sample(ops.Power(), MAP, inputs=2),
    Sample(ops.Maximum(), MAP, inputs=2),
    Sample(ops.Minimum(), MAP, inputs=2),
    Sample(ops.Average(), MAP, inputs=2),
    Sample(ops.Where(), MAP, inputs=3),
    Sample(ops.RNN(5), SERIES, "two bias vectors"),
    Sample(ops.RNN(5, bias_vectors=1), SERIES, "one bias vector"),
    Sample(ops.GRU(5), SERIES, "two bias vectors"),
    Sample(ops.GRU(5, bias_vectors=1), SERIES, "one bias vector"),
    Sample(ops.LSTM(5), SERIES, "two bias vectors"),
    Sample(ops.LSTM(5, bias_vectors=1), SERIES, "one bias vector"),
    Sample(ops.LSTM(5, num_layers=2, bidirectional=True), SERIES, "layers, both directions"),
    Sample(ops.LSTM(5, return_sequences=False), SERIES, "the last step only"),
    Sample(ops.LSTM(5, projection_size=2), SERIES, "projected"),
    Sample(ops.MultiHeadAttention(2), SERIES),
    Sample(ops.MultiHeadAttention(2), SERIES, "queries, keys, values", 3),
    Sample(ops.MultiHeadAttention(2, key_dim=3), SERIES, "heads of any size"),
    Sample(ops.MultiHeadAttention(2, batch_first=False), SERIES, "batch second"),
    Sample(ops.ScaledDotProductAttention(), (2, 6, 4), inputs=3),
    Sample(ops.Flatten(), MAP),
    Sample(ops.Reshape((4, 8, 8)), MAP),
    Sample(ops.Permute((0, 2, 1)), SERIES),
    Sample(ops.Expand((BATCH, 6, 8)), (1, 8)),
    Sample(ops.Concat(1), MAP, inputs=2),
    Sample(ops.Stack(1), MAP, inputs=2),
    Sample(ops.Slice(1, 0, 4), MAP),
    Sample(ops.Gather(1, index=0), SERIES, "one entry"),
    Sample(ops.Gather(1), SERIES, "an index that is not kept"),
    Sample(ops.Index(0), ROW, inputs=2, dtype="int64"),
    Sample(ops.TakeAlong(1), ROW, inputs=2, dtype="int64"),
    Sample(ops.Split(4, axis=1), MAP),
    Sample(ops.Pad(1), MAP),
    Sample(ops.Pad(1, mode="reflect"), MAP, "of the map itself"),
    Sample(ops.Resize(scale=2), MAP),
    Sample(ops.Resize(scale=2, mode="bilinear"), MAP, "bilinear"),
    Sample(ops.Resize(size=(5, 7), mode="bilinear"), MAP, "bilinear, to a size"),
    Sample(ops.Resize(size=(5, 7)), MAP, "nearest, to a size between"),
    Sample(ops.Resize(scale=2, mode="bicubic"), MAP, "bicubic"),
    Sample(ops.PixelShuffle(2), MAP),
    Sample(ops.Reduce(1), MAP),
    Sample(ops.Tensor(ROW), ROW, inputs=0),
    Sample(ops.Constant(ROW, value=2), ROW, "one number everywhere", inputs=0),
)


def network(sample: Sample) -> Graph:
    """A network of the one operation; a tensor by itself is added to the input."""
    names = [f"x{i}" for i in range(max(sample.inputs, 1))]
    net = Network("net", dict.fromkeys(names, sample.shape), dtype=sample.dtype)
    made = net(sample.op, *names[: sample.inputs], name="layer")
    if isinstance(sample.op, ops.Split):
        net.nodes[-1] = replace(net.nodes[-1], outputs=(made, "rest"))
    if not sample.inputs:
        net(ops.Add(), names[0], made)
    graph = net.graph()
    if isinstance(sample.op, ops.Where):  # which of the two is chosen
        graph = graph.with_inputs({names[0]: TensorType((BATCH, *sample.shape), "bool")})
    return graph


def builds(sample: Sample, to: str) -> bool:
    """Whether it can be written for a target."""
    try:
        graph = network(sample)
        skeleton(graph) if to == "onnx" else target(to).source(graph)
    except NetledgerError:
        return False
    return True


def table() -> str:
    """A row for each sample, and the operations that nothing writes."""
    heads = ["| operation | | ", " | ".join(TARGETS.values()), " |"]
    rows = ["".join(heads), "|---|---|" + "---|" * len(TARGETS)]
    for sample in SAMPLES:
        cells = ["yes" if builds(sample, to) else "–" for to in TARGETS]
        rows.append(f"| `{sample.op.key}` | {sample.words} | {' | '.join(cells)} |")
    known = {type(sample.op) for sample in SAMPLES}
    others = ", ".join(f"`{op.key}`" for op in ops.OPERATIONS if op not in known)
    return "\n".join(rows) + f"\n\nNo target writes {others}."


def filled(page: str) -> str:
    """The page with its table made anew."""
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return f"{before}{MARKS[0]}\n\n{table()}\n\n{MARKS[1]}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
