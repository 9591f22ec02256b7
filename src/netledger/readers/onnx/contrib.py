"""Operations of ``com.microsoft``: what ONNX Runtime's optimisers put in the place of several.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from typing import Any

from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT, Parameter
from netledger.ops import (
    Activation,
    Add,
    AvgPool,
    Cast,
    Concat,
    Conv,
    Embedding,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Permute,
    Reshape,
    RMSNorm,
    Scale,
    ScaledDotProductAttention,
    Slice,
)
from netledger.ops.pool import Pool
from netledger.readers.onnx import layers, moves
from netledger.readers.onnx.values import Call, Layer, Unknown, Value, Weight

DOMAIN = "com.microsoft"


def step(call: Call, op: Op, *inputs: Value, weights: list[Weight] | None = None) -> Value:
    """A row on the way to the last one."""
    return call.before(Layer(op, [*inputs], weights or []), False)[0]


def packed(call: Call, bits: int) -> Layer:
    """MatMulNBits, MatMulBnb4: a dense layer whose weight is packed, some bits a number."""
    out, features = call.integer("N", 0), call.integer("K", 0)
    weight = call.weight(1, "weight")
    stored = prod(weight.parameter.shape)
    parameter = Parameter("weight", WEIGHT, (out, features), f"uint{bits}", nbytes=stored)
    biased = call.kind.endswith("NBits") and call.has(5)
    bias = [call.weight(5, "bias", BIAS)] if biased else []
    weights = [Weight(parameter, weight.key), *bias]
    return Layer(Linear(out, bias=biased), [call.value(0)], weights)


def fused_matmul(call: Call) -> Layer:
    """FusedMatMul, TransposeMatMul: a product of matrices that may be turned.

    With transBatch, the rows of the matrices are on the first axis, before those of the batch.
    """
    a, b = call.value(0), call.value(1)
    if call.integer("transBatchA", 0):
        a = step(call, _rows_first(len(a.shape)), a)
    if call.integer("transBatchB", 0):
        b = step(call, _rows_first(len(b.shape)), b)
    if call.integer("transA", 0):
        a = step(call, _turned(len(a.shape)), a)
    turned = call.integer("transB", 0)
    if b.stored and len(b.shape) == 2:
        shape: Any = b.shape if turned else tuple(reversed(b.shape))
        weight = call.weight(1, "weight", shape=shape)
        return Layer(Linear(shape[0], bias=False), [a], [weight])
    if turned:
        b = step(call, _turned(len(b.shape)), b)
    return Layer(MatMul(), [a, b])


def _rows_first(rank: int) -> Op:
    return Permute((*range(1, rank - 1), 0, rank - 1))


def _turned(rank: int) -> Op:
    return Permute((*range(rank - 2), rank - 1, rank - 2))


def then_activation(layer: Layer, call: Call) -> Layer:
    """A layer and the function that is applied to what it makes."""
    function = call.text("activation", "").lower()
    if not function:
        return layer
    known = {"leakyrelu": "leaky_relu", "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish"}
    made = call.before(layer, True)
    return Layer(Activation(known.get(function, function)), made)


def fused_conv(call: Call) -> Layer:
    """FusedConv: a convolution, perhaps a sum, an activation."""
    layer = layers.conv(call)
    if call.has(3):
        layer = Layer(Add(), [call.before(layer, True)[0], call.value(3)])
    return then_activation(layer, call)


def channels_last(layer: Layer) -> Layer:
    """The same convolution, with channels on the last axis of the map."""
    fields = {**layer.op.__dict__, "channels_last": True}
    return Layer(Conv(**fields), layer.inputs, layer.weights)


def conv_of_bytes(call: Call) -> Layer:
    """QLinearConv, which has channels on either axis here."""
    layer = layers.conv(call, 0, 3, 8)
    return channels_last(layer) if call.integer("channels_last", 0) else layer


def blocked_conv(call: Call) -> Layer:
    """nchwc.Conv: channels in blocks, for the processor; the last block may be padded."""
    weight, x = call.shape(1), call.shape(0)
    if weight[1] * call.integer("group", 1) != x[1]:
        raise Unknown("its channels are padded to whole blocks")
    return fused_conv(call)


def from_blocks(call: Call) -> Layer:
    """nchwc.ReorderOutput: without the channels that only fill a block."""
    channels, x = call.integer("channels", 0), call.value(0)
    if x.shape[1] != channels:
        x = step(call, Slice(1, 0, channels), x)
    if not call.integer("channels_last", 0):
        return Layer(Identity(), [x])
    return Layer(Permute((0, *range(2, len(x.shape)), 1)), [x])


def quantised_gemm(call: Call) -> Layer:
    """QGemm: inputs 0 and 3, each with a scale and a zero point; a bias."""
    b = call.value(3)
    if not b.stored:
        raise Unknown("its weight is computed, not stored")
    shape: Any = b.shape if call.integer("transB", 0) else tuple(reversed(b.shape))
    if len(shape) != 2:
        raise Unknown(f"its weight has {len(shape)} axes")
    bias = [call.weight(6, "bias", BIAS)] if call.has(6) else []
    weights = [call.weight(3, "weight", shape=shape), *bias]
    return Layer(Linear(shape[0], bias=bool(bias)), [call.value(0)], weights)


def matmul_of_bytes(call: Call, bias: int) -> Layer:
    """DynamicQuantizeMatMul, MatMulIntegerToFloat: a product of bytes; its result are floats."""
    layer = layers.matmul(call)
    if isinstance(layer.op, Linear) and call.has(bias):
        weights = [*layer.weights, call.weight(bias, "bias", BIAS)]
        layer = Layer(Linear(layer.op.out_features), layer.inputs, weights)
    return Layer(Cast("float32"), call.before(layer, True))


def pointwise_of_bytes(op: Op) -> Any:
    """QLinearAdd, QLinearMul: inputs 0 and 3, each with a scale and a zero point."""
    return lambda call: Layer(op, [call.value(0), call.value(3)])


def concat_of_bytes(call: Call) -> Layer:
    """QLinearConcat: inputs 2, 5, 8 …, each with a scale and a zero point."""
    values = [call.value(i) for i in range(2, len(call.inputs), 3)]
    return Layer(Concat(call.integer("axis", 0)), values)


def global_pool_of_bytes(call: Call) -> Layer:
    """QLinearGlobalAveragePool."""
    last = bool(call.integer("channels_last", 0))
    return Layer(GlobalAvgPool(keepdims=True, channels_last=last), [call.value(0)])


def pool(kind: type[Pool], last: bool | None = None) -> Any:
    """QLinearAveragePool, NhwcMaxPool: a pooling with its channels on either axis."""

    def rule(call: Call) -> Layer:
        op = moves.pool(kind)(call).op
        where = bool(call.integer("channels_last", 0)) if last is None else last
        return Layer(kind(**{**op.__dict__, "channels_last": where}), [call.value(0)])

    return rule


def bias_gelu(call: Call) -> Layer:
    """BiasGelu, FastGelu: perhaps a bias, then a function of each number."""
    x = call.value(0)
    if call.has(1):
        x = offset(call, x, call.weight(1, "bias", BIAS))
    return Layer(Activation("gelu"), [x])


def offset(call: Call, x: Value, bias: Weight) -> Value:
    """A row of stored numbers, added to every row of a tensor."""
    return step(call, Scale(over=-1, scale=False), x, weights=[bias])


def skip_norm(call: Call) -> list[Value]:
    """SkipLayerNormalization, SkipSimplifiedLayerNormalization: a sum, then a normalisation."""
    plain = "Simplified" in call.kind
    x = step(call, Add(), call.value(0), call.value(1))
    at = 3 if plain else 4
    if call.has(at):
        x = offset(call, x, call.weight(at, "bias", BIAS))
    return [*_normed(call, x, 2, plain), *[x] * 3]


def _normed(call: Call, x: Value, first: int, plain: bool = False) -> list[Value]:
    """A normalisation over the last axis, with scale and offset from input `first` on."""
    centered = not plain and call.has(first + 1)
    weights = [call.weight(first, "weight")]
    weights += [call.weight(first + 1, "bias", BIAS)] if centered else []
    epsilon = call.real("epsilon", 1e-12)
    op: Op = RMSNorm(epsilon=epsilon) if plain else LayerNorm(epsilon=epsilon, center=centered)
    return call.before(Layer(op, [x], weights), True)


def embed_norm(call: Call) -> list[Value]:
    """(Q)EmbedLayerNormalization: words, positions, perhaps segments; summed and normalised."""
    words = call.value(0)
    parts = []
    for i, index in ((2, words), (3, words), (4, call.value(1) if call.has(1) else None)):
        if call.has(i) and index is not None:
            table: Any = call.shape(i)
            rows, width = table
            weight = call.weight(i, "weight")
            parts.append(step(call, Embedding(rows, width), index, weights=[weight]))
    total = step(call, Add(), *parts)
    lengths = Value("", None, why="the mask that it makes is not followed")
    return [*_normed(call, total, 5), lengths, total]


def split_heads(call: Call, x: Value, heads: int) -> Value:
    """[batch, tokens, heads × size] → [batch, heads, tokens, size]."""
    batch, tokens, width = x.shape
    if not heads or (isinstance(width, int) and width % heads):
        raise Unknown(f"{width} features cannot be shared out to {heads} heads")
    shape = Reshape((batch, tokens, heads, width // heads), keep_batch=False)
    return step(call, Permute((0, 2, 1, 3)), step(call, shape, x))


def attended(call: Call, q: Value, k: Value, v: Value) -> list[Value]:
    """The products of attention; then the heads side by side again."""
    made = call.before(Layer(ScaledDotProductAttention(), [q, k, v]), True)[0]
    turned = step(call, Permute((0, 2, 1, 3)), made)
    batch, tokens, heads, size = turned.shape
    return [step(call, Reshape((batch, tokens, heads * size), keep_batch=False), turned)]


_EARLIER = "keys and values of earlier steps are joined to its own"


def attention(call: Call) -> list[Value]:
    """Attention, QAttention: one dense layer to queries, keys and values; then their products."""
    quantised = call.kind.endswith("QAttention")
    if call.has(8 if quantised else 4):
        raise Unknown(_EARLIER)
    shape: Any = call.shape(1)
    features, wide = shape
    heads = call.integer("num_heads", 0)
    sizes = call.integers("qkv_hidden_sizes") or (wide // 3,) * 3
    weights = [call.weight(1, "weight", shape=(wide, features))]
    weights += [call.weight(2, "bias", BIAS)] if call.has(2) else []
    x = step(call, Linear(wide, bias=call.has(2)), call.value(0), weights=weights)
    parts: list[Value] = []
    at: int = 0
    for size in sizes:
        parts.append(split_heads(call, step(call, Slice(-1, at, at + size), x), heads))
        at += size
    return attended(call, *parts)


def multi_head(call: Call) -> list[Value]:
    """MultiHeadAttention: queries, keys and values that are there already; a bias for each."""
    if call.has(6) or call.has(7):
        raise Unknown(_EARLIER)
    values = [call.value(i) for i in range(3)] if call.has(1) and call.has(2) else []
    if [len(v.shape) for v in values] != [3, 3, 3]:
        raise Unknown("its queries, keys and values are packed into one tensor")
    if call.has(3):
        values = [
            offset(call, v, call.weight(3, "bias", BIAS, v.shape[-1:], part=i))
            for i, v in enumerate(values)
        ]
    heads = call.integer("num_heads", 0)
    return attended(call, *[split_heads(call, v, heads) for v in values])


def grouped_query(call: Call) -> list[Value]:
    """GroupQueryAttention: fewer heads of keys and values than of queries."""
    if any(call.has(i) and prod(call.shape(i)) != 0 for i in (3, 4)):
        raise Unknown(_EARLIER)
    heads, shared = call.integer("num_heads", 0), call.integer("kv_num_heads", 0)
    values = [call.value(0)]
    if call.has(1):
        values += [call.value(1), call.value(2)]
    else:
        size: Any = values[0].shape[-1] // (heads + 2 * shared)
        ends = (0, heads * size, (heads + shared) * size, (heads + 2 * shared) * size)
        x = values[0]
        values = [step(call, Slice(-1, ends[i], ends[i + 1]), x) for i in range(3)]
    parts = [split_heads(call, v, n) for v, n in zip(values, (heads, shared, shared), strict=True)]
    return attended(call, *parts)


CONTRIB: dict[str, Any] = {
    "MatMulNBits": lambda call: packed(call, call.integer("bits", 4)),
    "MatMulBnb4": lambda call: packed(call, 4),
    "FusedMatMul": fused_matmul,
    "TransposeMatMul": fused_matmul,
    "FusedConv": fused_conv,
    "FusedGemm": lambda call: then_activation(layers.gemm(call), call),
    **dict.fromkeys(
        ("NhwcConv", "NhwcFusedConv"),
        lambda call: then_activation(channels_last(layers.conv(call)), call),
    ),
    "NhwcMaxPool": pool(MaxPool, last=True),
    "nchwc.Conv": blocked_conv,
    "nchwc.MaxPool": moves.pool(MaxPool),
    "nchwc.AveragePool": moves.pool(AvgPool),
    "nchwc.GlobalMaxPool": moves.global_pool(GlobalMaxPool),
    "nchwc.GlobalAveragePool": moves.global_pool(GlobalAvgPool),
    "nchwc.ReorderInput": moves.like_first,
    "nchwc.ReorderOutput": from_blocks,
    "QLinearConv": conv_of_bytes,
    "QGemm": quantised_gemm,
    "DynamicQuantizeMatMul": lambda call: matmul_of_bytes(call, 4),
    "MatMulIntegerToFloat": lambda call: matmul_of_bytes(call, 6),
    "QLinearAdd": pointwise_of_bytes(Add()),
    "QLinearMul": pointwise_of_bytes(Multiply()),
    "QLinearConcat": concat_of_bytes,
    "QLinearGlobalAveragePool": global_pool_of_bytes,
    "QLinearAveragePool": pool(AvgPool),
    "QLinearSigmoid": lambda call: Layer(Activation("sigmoid"), [call.value(0)]),
    "QLinearLeakyRelu": lambda call: Layer(Activation("leaky_relu"), [call.value(0)]),
    "Gelu": lambda call: Layer(Activation("gelu"), [call.value(0)]),
    "QuickGelu": lambda call: Layer(Activation("gelu"), [call.value(0)]),
    "BiasGelu": bias_gelu,
    "FastGelu": bias_gelu,
    "SkipLayerNormalization": skip_norm,
    "SkipSimplifiedLayerNormalization": skip_norm,
    "EmbedLayerNormalization": embed_norm,
    "QEmbedLayerNormalization": embed_norm,
    "Attention": attention,
    "QAttention": attention,
    "MultiHeadAttention": multi_head,
    "GroupQueryAttention": grouped_query,
}
"""The rule of each, by its name in the domain."""
