"""The table of operations that Keras saves as layers: `keras.ops`, and TFOpLambda of Keras 2."""

from __future__ import annotations

from collections.abc import Callable

from netledger.ops import (
    Activation,
    Add,
    Cast,
    Compare,
    Concat,
    Divide,
    Einsum,
    Identity,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Power,
    Reduce,
    Softmax,
    Stack,
    Subtract,
    Where,
)
from netledger.ops.base import Op
from netledger.ops.linear import spelled_out
from netledger.ops.pointwise import Arithmetic
from netledger.readers.keras import moves
from netledger.readers.keras.activations import activation_op
from netledger.readers.keras.call import Call, LayerRule


def plain(op: Op) -> LayerRule:
    """An operation without arguments."""
    return lambda call: call.add(op)


def arithmetic(kind: type[Arithmetic]) -> LayerRule:
    """Of two tensors, or of a tensor and a number."""

    def rule(call: Call) -> str:
        pair = [call.argument(name, old, at=i) for i, (name, old) in enumerate(_TERMS)]
        numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
        if len(call.inputs) == 1 and len(numbers) == 1:
            return call.add(kind(constant=numbers[0], reverse=numbers[0] is pair[0]))
        return call.add(kind())

    return rule


_TERMS = (("x1", "x"), ("x2", "y"))
"""What Keras 3 calls the two, and what TensorFlow does."""


def clip(call: Call) -> str:
    """``clip`` to two numbers."""
    low, high = (call.argument(n, o, at=i) for n, o, i in _BOUNDS)
    ends = [b if isinstance(b, int | float) else None for b in (low, high)]
    untold = "" if ends == [low, high] else "bounds"
    return call.add(Activation("clip", low=ends[0], high=ends[1]), call.first, untold=untold)


_BOUNDS = (("x_min", "clip_value_min", 1), ("x_max", "clip_value_max", 2))


def function(name: str) -> LayerRule:
    """A function of each number, with its settings."""
    setting, usual = {
        "leaky_relu": ("negative_slope", 0.2),
        "elu": ("alpha", 1.0),
        "celu": ("alpha", 1.0),
    }.get(name, ("", None))

    def rule(call: Call) -> str:
        op = activation_op(name) or Identity()
        if setting:
            alpha = call.argument(setting, at=1, default=usual)
            return call.add(Activation(name, alpha=None if alpha == 1 else alpha), call.first)
        if name == "gelu":  # of the functions, not of the layers, by way of tanh unless told so
            tanh = call.argument("approximate", at=1, default=True)
            return call.add(Activation(name, approximate=bool(tanh)), call.first)
        return call.add(op)

    return rule


def reduce(function: str) -> LayerRule:
    """A number over some axes."""

    def rule(call: Call) -> str:
        over = call.argument("axis", at=1, default=list(range(len(call.shape))))
        keep = call.argument("keepdims", at=2, default=False)
        op = Reduce(over, keepdims=keep, function=function)
        length = call.argument("ord") if function == "norm" else None
        return call.add(op, call.first, untold="" if length in (None, 2) else f"ord={length}")

    return rule


def cast(call: Call) -> str:
    """``cast``."""
    to = call.argument("dtype", at=1, default="float32")
    return call.add(Cast(to if isinstance(to, str) else "float32"), call.first)


def einsum(call: Call) -> str:
    """``einsum``."""
    said = call.argument("subscripts", "equation", at=0)
    said = said if isinstance(said, str) else ""
    ranks = [len(call.reading.shapes[value]) for value in call.inputs]
    return call.add(Einsum(spelled_out(said, ranks)))


_ARITHMETIC: dict[str, type[Arithmetic]] = {
    "Add": Add,
    "Subtract": Subtract,
    "Multiply": Multiply,
    "Divide": Divide,
    "TrueDivide": Divide,
    "Power": Power,
    "Maximum": Maximum,
    "Minimum": Minimum,
}
_BINARY: dict[str, Callable[[], Op]] = {
    "Where": Where,
    "Matmul": MatMul,
    **dict.fromkeys(("Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"), Compare),
}
_UNARY = {
    **{k: k.lower() for k in ("Exp", "Log", "Sqrt", "Abs", "Tanh", "Erf")},
    "Absolute": "abs",
    "Negative": "negate",
}
_ACTIVATIONS = (
    *("Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "LeakyRelu", "HardSigmoid"),
    *("HardSilu", "Elu", "Selu", "Gelu", "Celu", "Glu"),
)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def known(call: Call) -> list[str]:
    """What has no rule of its own, but surely stores and accumulates nothing."""
    return call.opaque("no multiply-accumulates, nothing stored", bare=True, macs=0)


_KNOWN = (
    *("ZerosLike", "OnesLike", "FullLike", "Sin", "Cos", "Tan", "Arctan", "Floor", "Ceil", "Round"),
    *("Sign", "Log1p", "Expm1", "Log2", "Log10", "Cumsum", "Cumprod", "Sort", "Argsort", "Argmax"),
    *("Argmin", "TopK", "Tile", "Repeat", "Flip", "Roll", "Take", "TakeAlongAxis", "OneHot"),
    *("Triu", "Tril", "Var", "Std", "LogicalNot", "LogicalAnd", "LogicalOr", "Isnan", "Isinf"),
    *("Isfinite", "All", "Any", "CountNonzero", "Logsumexp", "Moveaxis", "Swapaxes", "Diagonal"),
    *("FloorDivide", "Mod", "Reciprocal", "LogSigmoid", "Normalize", "NanToNum", "Pad"),
)
"""Nothing stored, nothing accumulated; the shape of the result is the one that is stated."""


OPERATIONS: dict[str, LayerRule] = {
    **dict.fromkeys(_KNOWN, known),
    **{name: plain(op_class()) for name, op_class in _BINARY.items()},
    **{name: arithmetic(kind) for name, kind in _ARITHMETIC.items()},
    **{name: plain(Activation(function)) for name, function in _UNARY.items()},
    **{name: function(_snake(name)) for name in _ACTIVATIONS},
    "Clip": clip,
    **{name.capitalize(): reduce(name) for name in ("mean", "sum", "max", "min", "prod")},
    "Amax": reduce("max"),
    "Amin": reduce("min"),
    "Norm": reduce("norm"),
    "Softmax": lambda call: call.add(Softmax(call.argument("axis", at=1, default=-1))),
    "LogSoftmax": lambda call: call.add(Softmax(call.argument("axis", default=-1), log=True)),
    "Square": plain(Power(constant=2)),
    "Rsqrt": plain(Power(constant=-0.5)),
    "GetItem": moves.getitem,
    "ExpandDims": moves.expand,
    "Squeeze": moves.squeeze,
    "Reshape": moves.reshape,
    "Transpose": moves.transpose,
    "Concatenate": moves.joined(Concat, 0),
    "Stack": moves.joined(Stack, 0),
    "Split": moves.split,
    "Cast": cast,
    "BroadcastTo": moves.broadcast,
    "Einsum": einsum,
    "StopGradient": plain(Identity()),
    "ConvertToTensor": plain(Identity()),
    "Identity": plain(Identity()),
}
"""By the class's name in `keras.ops`."""

TENSORFLOW = {
    "math.add": "Add",
    "__operators__.add": "Add",
    "add": "Add",
    "math.subtract": "Subtract",
    "subtract": "Subtract",
    "math.multiply": "Multiply",
    "multiply": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
    "math.pow": "Power",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "linalg.matmul": "Matmul",
    "einsum": "Einsum",
    "math.reduce_mean": "Mean",
    "math.reduce_sum": "Sum",
    "math.reduce_max": "Max",
    "math.reduce_min": "Min",
    "math.reduce_prod": "Prod",
    "math.exp": "Exp",
    "math.log": "Log",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.abs": "Abs",
    "math.negative": "Negative",
    "math.tanh": "Tanh",
    "math.sigmoid": "Sigmoid",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.gelu": "Gelu",
    "nn.silu": "Silu",
    "nn.swish": "Silu",
    "nn.softmax": "Softmax",
    "nn.sigmoid": "Sigmoid",
    "reshape": "Reshape",
    "transpose": "Transpose",
    "expand_dims": "ExpandDims",
    "squeeze": "Squeeze",
    "concat": "Concatenate",
    "stack": "Stack",
    "split": "Split",
    "cast": "Cast",
    "broadcast_to": "BroadcastTo",
    "stop_gradient": "StopGradient",
    "identity": "Identity",
    "__operators__.getitem": "GetItem",
}
"""Functions of TensorFlow, as Keras 2 saves them, and their counterparts in `keras.ops`."""


def tensorflow(call: Call) -> str | list[str]:
    """``TFOpLambda`` and ``SlicingOpLambda``."""
    function = call.config.text("function")
    rule = OPERATIONS.get(TENSORFLOW.get(function, ""))
    if rule is None:
        call.kind = f"tf.{function}"[:80]
        return call.opaque("no rule describes this function of TensorFlow")
    made = rule(call)
    return made if isinstance(made, str) else list(made)
