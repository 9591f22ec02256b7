"""Which rule reads which ONNX operation.

https://onnx.ai/onnx/operators
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf

from netledger.formula import Formula, ceil_div
from netledger.graph import Shape
from netledger.ops import (
    Activation,
    Add,
    Average,
    AvgPool,
    Cast,
    Compare,
    Divide,
    Dropout,
    GlobalAvgPool,
    GlobalMaxPool,
    Maximum,
    MaxPool,
    Minimum,
    Multiply,
    Op,
    Opaque,
    Power,
    Subtract,
    Where,
)
from netledger.ops.base import axis
from netledger.ops.pointwise import Arithmetic, broadcast
from netledger.readers.onnx import contrib, layers, moves, own, signals
from netledger.readers.onnx.model import DTYPES
from netledger.readers.onnx.values import Call, Layer, Unknown, Value

Rule = Callable[[Call], Layer | list[Value]]


def activation(function: str) -> Rule:
    """A function of each number."""
    usual: float | None = {"leaky_relu": 0.01, "elu": 1.0, "celu": 1.0}.get(function)

    def rule(call: Call) -> Layer:
        alpha = None if usual is None else call.real("alpha", usual)
        tanh = function == "gelu" and call.text("approximate", "none") == "tanh"
        op = Activation(function, alpha=None if alpha == usual else alpha, approximate=tanh)
        return Layer(op, [call.value(0)])

    return rule


def hard_sigmoid(call: Call) -> Layer:
    """HardSigmoid, which has a slope of 1/6 where PyTorch and Keras have it."""
    slope, offset = call.real("alpha", 0.2), call.real("beta", 0.5)
    untold = "" if (slope, offset) == (0.1666667, 0.5) else "slope and offset"
    return Layer(Activation("hard_sigmoid"), [call.value(0)], untold=untold)


def clip(call: Call) -> Layer:
    """Clip: its bounds are inputs, attributes before version 11."""
    if call.version < 11:
        low, high = (call.real(n, d) for n, d in (("min", -inf), ("max", inf)))
    else:
        low, high = call.number(1), call.number(2)
    untold = any(call.has(i) and b is None for i, b in ((1, low), (2, high)))
    if (low, high) == (0, 6):
        return Layer(Activation("relu6"), [call.value(0)])
    ends = [None if b in (-inf, inf) else b for b in (low, high)]
    op = Activation("clip", low=ends[0], high=ends[1])
    return Layer(op, [call.value(0)], untold="bounds" if untold else "")


def elementwise(op: Op) -> Rule:
    """An operation on tensors that stretch to one shape; constants that change no size go."""

    def rule(call: Call) -> Layer:
        values = call.values()
        kept = [v for v in values if not v.constant]
        whole = broadcast(*(v.shape for v in values))
        if not kept or broadcast(*(v.shape for v in kept)) != whole:
            kept = values
        if len(kept) == len(values):
            return Layer(op, kept)
        number = call.number(next(i for i, v in enumerate(values) if v.constant))
        if len(values) > 2 or number is None or not isinstance(op, Arithmetic):
            return Layer(op, kept, untold="constant")
        return Layer(type(op)(constant=number, reverse=values[0].constant), kept)

    return rule


def where(call: Call) -> Layer:
    """Where; it makes the dtype of what it chooses from."""
    made = elementwise(Where())(call)
    assert isinstance(made, Layer)
    if made.inputs == [call.value(0)]:
        chosen = call.value(1).type
        return Layer(Cast(chosen.dtype if chosen else "float32"), call.before(made, True))
    return made


def cast(call: Call) -> Layer:
    """Cast; CastLike."""
    if call.kind == "CastLike":
        like = call.value(1).type
        return Layer(Cast(like.dtype if like else "float32"), [call.value(0)])
    return Layer(Cast(DTYPES.get(call.integer("to", 1), "float32")), [call.value(0)])


def quantize(call: Call) -> Layer:
    """QuantizeLinear on activations: another dtype; scales and zero points are settings."""
    point = call.value(2).type if call.has(2) else None
    return Layer(Cast(point.dtype if point else "uint8"), [call.value(0)], untold="scale")


def dequantize(call: Call) -> Layer:
    """DequantizeLinear on activations."""
    scale = call.value(1).type
    return Layer(Cast(scale.dtype if scale else "float32"), [call.value(0)], untold="scale")


def known(shapes: Callable[[Call], list[Shape]]) -> Rule:
    """What has no rule of its own but a known shape: nothing stored, nothing accumulated."""

    def rule(call: Call) -> Layer:
        inputs = [v for v in call.values() if not v.constant]
        op = Opaque(call.kind, shapes(call), "no multiply-accumulates, nothing stored")
        return Layer(op, inputs or [call.value(0)], macs=0)

    return rule


def _like(i: int) -> Callable[[Call], list[Shape]]:
    return lambda call: [call.shape(i)]


def _top(call: Call) -> list[Shape]:
    x = call.shape(0)
    at = axis(call.integer("axis", -1), len(x))
    count = call.items(1)[0] if call.has(1) else call.integer("k", 1)
    shape = (*x[:at], count, *x[at + 1 :])
    return [shape, shape]


def _one_hot(call: Call) -> list[Shape]:
    x = call.shape(0)
    at = axis(call.integer("axis", -1), len(x) + 1)
    return [(*x[:at], call.items(1)[0], *x[at:])]


def _gather_nd(call: Call) -> list[Shape]:
    x, index = call.shape(0), call.shape(1)
    shared = call.integer("batch_dims", 0)
    if not isinstance(index[-1], int):
        raise Unknown("the length of its indices is a symbol")
    return [(*index[:-1], *x[shared + index[-1] :])]


def _grid_sample(call: Call) -> list[Shape]:
    x, grid = call.shape(0), call.shape(1)
    return [(x[0], x[1], *grid[1:-1])]


def _range(call: Call) -> list[Shape]:
    numbers = [call.items(i)[0] for i in range(3)]
    if any(isinstance(x, Formula) for x in numbers):
        start, limit, delta = (x if isinstance(x, Formula) else int(x) for x in numbers)
        return [(ceil_div(limit - start, delta),)]
    start, limit, delta = numbers
    return [(max(ceil((limit - start) / delta), 0),)]


ACTIVATIONS = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
    "Gelu": "gelu",
    "Mish": "mish",
    "Sigmoid": "sigmoid",
    "HardSwish": "hard_swish",
    "Swish": "silu",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Neg": "negate",
    "Erf": "erf",
}

ELEMENTWISE: dict[str, Op] = {
    "Add": Add(),
    "Sum": Add(),
    "Sub": Subtract(),
    "Mul": Multiply(),
    "Div": Divide(),
    "Pow": Power(),
    "Max": Maximum(),
    "Min": Minimum(),
    "Mean": Average(),
    **dict.fromkeys(
        ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"),
        Compare(),
    ),
}

REDUCTIONS = {
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    **dict.fromkeys(("ReduceSum", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"), "sum"),
}

SAME_SHAPE = (
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
    *("Reciprocal", "Floor", "Ceil", "Round", "Sign", "Not", "IsNaN", "IsInf", "BitwiseNot"),
    *("ThresholdedRelu", "Shrink", "Hardmax", "LpNormalization", "MeanVarianceNormalization"),
    *(
        "CumSum",
        "CumProd",
        "TensorScatter",
        "Trilu",
        "ReverseSequence",
        "ScatterND",
        "ScatterElements",
        "Scatter",
    ),
    *("Bernoulli", "RandomNormalLike", "RandomUniformLike", "RotaryEmbedding"),
)
"""Operations whose output is as large as their first input."""

RULES: dict[str, Rule] = {
    **{kind: activation(function) for kind, function in ACTIVATIONS.items()},
    **{kind: elementwise(op) for kind, op in ELEMENTWISE.items()},
    **{kind: moves.reduce(function, kind) for kind, function in REDUCTIONS.items()},
    **dict.fromkeys(SAME_SHAPE, known(_like(0))),
    "Conv": layers.conv,
    "QLinearConv": lambda call: layers.conv(call, 0, 3, 8),
    "ConvInteger": lambda call: layers.integer_product(call, layers.conv(call, 0, 1, 9)),
    "ConvTranspose": layers.conv_transpose,
    "DeformConv": layers.deform_conv,
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    "QLinearMatMul": lambda call: layers.matmul(call, 0, 3),
    "MatMulInteger": lambda call: layers.integer_product(call, layers.matmul(call)),
    "Gather": layers.gather,
    "BatchNormalization": layers.batch_norm,
    "InstanceNormalization": layers.instance_norm,
    "GroupNormalization": layers.group_norm,
    "LayerNormalization": layers.layer_norm,
    "RMSNormalization": layers.layer_norm,
    "SimplifiedLayerNormalization": layers.layer_norm,
    "com.microsoft.SimplifiedLayerNormalization": layers.layer_norm,
    "LRN": layers.lrn,
    "PRelu": layers.prelu,
    "RNN": layers.recurrent,
    "GRU": layers.recurrent,
    "LSTM": layers.recurrent,
    "Attention": layers.attention,
    **{f"{own.DOMAIN}.{word}": own.pool for word in own.POOLS},
    **{f"{contrib.DOMAIN}.{word}": rule for word, rule in contrib.CONTRIB.items()},
    "MaxPool": moves.pool(MaxPool),
    "AveragePool": moves.pool(AvgPool),
    "GlobalAveragePool": moves.global_pool(GlobalAvgPool),
    "GlobalMaxPool": moves.global_pool(GlobalMaxPool),
    "Softmax": moves.softmax(log=False),
    "LogSoftmax": moves.softmax(log=True),
    "HardSigmoid": hard_sigmoid,
    "Clip": clip,
    "Dropout": lambda call: Layer(Dropout(), [call.value(0)]),
    "Identity": moves.like_first,
    "Cast": cast,
    "CastLike": cast,
    "Where": where,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Transpose": moves.transpose,
    "Expand": moves.expand,
    "Tile": moves.tile,
    "Concat": moves.concat,
    "Split": moves.split,
    "Slice": moves.slices,
    "Pad": moves.pads,
    "Resize": moves.resize,
    "Upsample": moves.resize,
    "ArgMax": moves.position,
    "ArgMin": moves.position,
    "DepthToSpace": moves.depth_to_space,
    "SpaceToDepth": moves.space_to_depth,
    "Einsum": moves.einsum,
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": known(lambda call: [call.shape(0), (), ()]),
    **dict.fromkeys(
        ("Mod", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor"),
        known(lambda call: [broadcast(call.shape(0), call.shape(1))]),
    ),
    "GatherElements": known(_like(1)),
    "GatherND": known(_gather_nd),
    "GridSample": known(_grid_sample),
    "OneHot": known(_one_hot),
    "TopK": known(_top),
    "EyeLike": known(_like(0)),
    "Range": known(_range),
    "DFT": known(signals.dft),
    "STFT": known(signals.stft),
    "CausalConvWithState": signals.causal_conv,
    "LinearAttention": signals.linear_attention,
    "ConstantOfShape": known(lambda call: [tuple(call.items(0))]),
}
"""The rule of each operation; those of another domain than ONNX's own have it before the name."""

RELAYOUTS = frozenset(
    [
        "Identity",
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Cast",
        "DequantizeLinear",
        "QuantizeLinear",
    ]
)
"""What makes no row on a stored tensor: the same numbers in another order or encoding."""
