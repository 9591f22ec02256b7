"""Operators with weights: convolutions, products, normalisations, recurrent layers, attention."""

from __future__ import annotations

from typing import Any

from netledger.aten.call import Call, Layer, Value, alike, layer
from netledger.aten.moves import known
from netledger.errors import ShapeError
from netledger.ops import (
    GRU,
    LSTM,
    RNN,
    Add,
    BatchNorm,
    Conv,
    ConvTranspose,
    DynamicConv,
    Einsum,
    Embedding,
    Gather,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    MatMul,
    Multiply,
    Op,
    PReLU,
    RMSNorm,
    ScaledDotProductAttention,
)
from netledger.ops.linear import spelled_out
from netledger.ops.recurrent import Recurrent


def _kept(*values: Value | None) -> tuple[Value, ...]:
    """The stored ones; a computed weight is refused, for the rules would count it as stored."""
    present = tuple([v for v in values if v is not None])
    if not all([v.stored for v in present]):
        raise ShapeError("a weight is computed")
    return present


def _bias(call: Call) -> Value | None:
    """A stored bias. One that is computed is counted where it is stored; adding it is no MAC."""
    bias = call.optional("bias")
    return bias if bias is not None and bias.stored else None


def _size(d: Any) -> int:
    """A stored dimension, which never has a symbol."""
    if not isinstance(d, int):
        raise ShapeError("a stored tensor whose size is a symbol")
    return d


def convolution(call: Call) -> Layer:
    """conv1d, conv2d, conv3d, convolution and the transposed ones."""
    x, weight, bias = call.value("input", "self"), call.value("weight"), _bias(call)
    padding = call.args.get("padding")
    fields: dict[str, Any] = {
        "kernel_size": alike(weight.shape[2:]),
        "stride": call.per_axis("stride", 1),
        "padding": padding if isinstance(padding, str) else call.per_axis("padding", 0),
        "dilation": call.per_axis("dilation", 1),
        "groups": call.integer("groups", 1),
        "bias": bias is not None,
        "channels_last": False,
    }
    transposed = "transpose" in call.target or call.flag("transposed")
    extra = call.per_axis("output_padding", 0)
    if not weight.stored:
        for name in ("kernel_size", "bias"):
            del fields[name]
        op: Op = DynamicConv(transposed=transposed, output_padding=extra, **fields)
        given = call.optional("bias")
        return layer(op, x, weight, *([given] if given is not None else []))
    if transposed:
        out = weight.shape[1] * fields["groups"]
        op = ConvTranspose(out, output_padding=extra, **fields)
    else:
        op = Conv(_size(weight.shape[0]), **fields)
    return Layer((op,), (x,), _kept(weight, bias))


def linear(call: Call) -> Layer:
    """linear: a matrix that is stored; or the product with one that is computed."""
    x, weight, bias = call.value("input"), call.value("weight"), call.optional("bias")
    if not weight.stored:
        return _plus(_times_transposed(x, weight), bias)
    if len(x.shape) == 1:  # a vector by itself, which is no batch of them
        return _plus(layer(Einsum("z,yz->y"), x, weight), bias)
    return _linear(x, weight, bias)


def _linear(x: Value, weight: Value, bias: Value | None) -> Layer:
    """A fully connected layer; a bias that is computed is added to it."""
    size = _size(weight.shape[0])
    if bias is not None and bias.stored and bias.shape == weight.shape[:1]:
        return Layer((Linear(size),), (x,), (weight, bias))
    return _plus(Layer((Linear(size, bias=False),), (x,), (weight,)), bias)


def _plus(product: Layer, bias: Value | None) -> Layer:
    """A product, and a sum with what is added to it."""
    if bias is None:
        return product
    return product._replace(ops=(*product.ops, Add()), more=((bias,),))


def _times_transposed(x: Value, weight: Value) -> Layer:
    letters = "abcdefghij"[: len(x.shape) - 1]
    return layer(Einsum(f"{letters}z,yz->{letters}y"), x, weight)


def addmm(call: Call) -> Layer:
    """addmm: a fully connected layer if the matrix is a stored one, whichever way it is kept."""
    bias, x, weight = call.value("self"), call.value("mat1"), call.value("mat2")
    if weight.stored and not x.stored:
        return _linear(x, _in_our_order(weight), bias)
    return _plus(layer(MatMul(), x, weight), bias)


def _in_our_order(matrix: Value) -> Value:
    """A stored matrix that a product takes as inputs × outputs, as (outputs, inputs)."""
    return matrix._replace(type=matrix.type._replace(shape=matrix.shape[::-1]))


def matmul(call: Call) -> Layer:
    """mm, bmm, matmul, baddbmm."""
    x = call.value("batch1", "self")  # baddbmm has a self besides, which is added
    weight = call.value("batch2", "mat2", "other", "vec", "tensor")
    if weight.stored and not x.stored and len(x.shape) >= 2 == len(weight.shape):
        op = Linear(_size(weight.shape[1]), bias=False)
        return Layer((op,), (x,), (_in_our_order(weight),))
    ranks = len(x.shape), len(weight.shape)
    if min(ranks) < 2:  # a vector
        a, b = ("z", "z") if ranks == (1, 1) else ("z", "yz") if ranks[0] == 1 else ("yz", "z")
        if max(ranks) > 2:
            raise ShapeError("matmul of a vector and a stack of matrices")
        if ranks == (1, 2):
            b = "zy"
        out = "y" if max(ranks) == 2 else ""
        return layer(Einsum(f"{a},{b}->{out}"), x, weight)
    return layer(MatMul(), x, weight)


def embedding(call: Call) -> Layer:
    """embedding: rows of a stored table."""
    weight, indices = call.value("weight"), call.value("indices")
    if not weight.stored:
        return layer(Gather(0), weight, indices)
    rows, width = map(_size, weight.shape)
    op = Embedding(rows, width, to=weight.type.dtype)
    return Layer((op,), (indices,), _kept(weight))


def embedding_bag(call: Call) -> Layer:
    """embedding_bag: rows of a table, one sum (or mean) of some of them for each bag."""
    rows, bags = embedding(call), known(call).ops[0]
    ends = [v for v in (call.optional("offsets"),) if v is not None]
    return Layer((*rows.ops, bags), rows.inputs, rows.weights, known=True, more=(tuple(ends),))


def _scaled(op: Op, x: Value, weight: Value | None, bias: Value | None) -> Layer:
    """A normalisation of the last axes, then what is computed as its factor and offset."""
    factor = ((Multiply(), (weight,)),) if weight is not None else ()
    offset = ((Add(), (bias,)),) if bias is not None else ()
    after = (*factor, *offset)
    return Layer((op, *[o for o, _ in after]), (x,), more=tuple(v for _, v in after))


def _computed(*values: Value | None) -> bool:
    return not all(v.stored for v in values if v is not None)


def batch_norm(call: Call) -> Layer:
    """batch_norm and the forms that decompositions make of it."""
    if _computed(*(call.optional(n) for n in ("weight", "bias", "running_mean", "running_var"))):
        return known(call)
    x, weight, bias = call.value("input"), call.optional("weight"), call.optional("bias")
    mean, variance = call.optional("running_mean"), call.optional("running_var")
    op = BatchNorm(
        scale=weight is not None,
        center=bias is not None,
        running_stats=mean is not None,
        epsilon=call.number("eps", 1e-5),
        momentum=round(1 - call.number("momentum", 0.1), 12),
        channels_last=False,
    )
    return Layer((op,), (x,), _kept(weight, bias, mean, variance))


def instance_norm(call: Call) -> Layer:
    """instance_norm."""
    x, weight, bias = call.value("input"), call.optional("weight"), call.optional("bias")
    mean, variance = call.optional("running_mean"), call.optional("running_var")
    op = InstanceNorm(
        scale=weight is not None,
        center=bias is not None,
        running_stats=mean is not None,
        epsilon=call.number("eps", 1e-5),
        channels_last=False,
    )
    return Layer((op,), (x,), _kept(weight, bias, mean, variance))


def group_norm(call: Call) -> Layer:
    """group_norm, native_group_norm."""
    if _computed(call.optional("weight"), call.optional("bias")):
        return known(call)
    x, weight, bias = call.value("input"), call.optional("weight"), call.optional("bias")
    groups = call.integer("num_groups" if "num_groups" in call.args else "group")
    op = GroupNorm(
        groups=groups,
        scale=weight is not None,
        center=bias is not None,
        epsilon=call.number("eps", 1e-5),
        channels_last=False,
    )
    return Layer((op,), (x,), _kept(weight, bias))


_SMALLEST = 2.0**-23
"""What rms_norm adds where nothing is said: the precision of float32."""


def layer_norm(call: Call) -> Layer:
    """layer_norm, native_layer_norm, rms_norm."""
    x, weight, bias = call.value("input"), call.optional("weight"), call.optional("bias")
    rank = len(call.integers("normalized_shape"))
    over: Any = -1 if rank == 1 else tuple(range(-rank, 0))
    rms = "rms" in call.target
    epsilon = call.number("eps", _SMALLEST if rms else 1e-5)
    if _computed(weight, bias):
        kind = RMSNorm if rms else LayerNorm
        return _scaled(kind(over, scale=False, center=False, epsilon=epsilon), x, weight, bias)
    if rms:
        scaled = RMSNorm(over, scale=weight is not None, epsilon=epsilon)
        return Layer((scaled,), (x,), _kept(weight))
    op = LayerNorm(over, scale=weight is not None, center=bias is not None, epsilon=epsilon)
    return Layer((op,), (x,), _kept(weight, bias))


def prelu(call: Call) -> Layer:
    """prelu: one slope, or one for each channel."""
    x, weight = call.value("self"), call.value("weight")
    op = PReLU(channel_axis=None if weight.shape[0] == 1 else 1)
    return Layer((op,), (x,), _kept(weight))


_RECURRENT: dict[str, type[Recurrent]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn_tanh": RNN,
    "rnn_relu": RNN,
}


def recurrent(call: Call) -> Layer:
    """lstm, gru, rnn_tanh, rnn_relu; the states that it begins with are settings."""
    kind = _RECURRENT[call.target]
    x, weights = call.value("input"), call.args.get("params")
    if not isinstance(weights, list) or len(weights) < 2 or len(x.shape) != 3:
        raise ShapeError(f"{call.target} without its weights, or on packed sequences")
    stored = _kept(*weights)
    rows, width = map(_size, stored[1].shape)
    hidden = rows // kind.gates
    fields: dict[str, Any] = {"projection_size": width} if width != hidden else {}
    op = kind(
        hidden,
        num_layers=call.integer("num_layers", 1),
        bidirectional=call.flag("bidirectional"),
        bias=call.flag("has_biases", True),
        batch_first=call.flag("batch_first"),
        **fields,
    )
    return Layer((op,), (x,), stored)


def attention(call: Call) -> Layer:
    """scaled_dot_product_attention."""
    parts = [call.value(name) for name in ("query", "key", "value")]
    mask = call.optional("attn_mask")
    scale = call.args.get("scale")
    call.settle("enable_gqa")
    op = ScaledDotProductAttention(
        causal=call.flag("is_causal"), scale=scale if isinstance(scale, int | float) else None
    )
    return layer(op, *parts, *([mask] if mask else []))


def bilinear(call: Call) -> Layer:
    """bilinear: xᵀWy for every output."""
    x, y, weight = call.value("input1"), call.value("input2"), call.value("weight")
    letters = "abcdefghij"[: len(x.shape) - 1]
    product = layer(Einsum(f"{letters}y,xyz,{letters}z->{letters}x"), x, weight, y)
    return _plus(product, call.optional("bias"))


def einsum(call: Call) -> Layer:
    """Einsum."""
    equation, tensors = call.args.get("equation"), call.args.get("tensors")
    if not isinstance(equation, str) or not isinstance(tensors, list):
        raise ShapeError("einsum without an equation")
    return layer(Einsum(spelled_out(equation, [len(t.shape) for t in tensors])), *tensors)
