"""The table of operations that Keras saves as layers: `keras.ops`, and TFOpLambda of Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from netledger.errors import FieldError
from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops import (
    Activation,
    Add,
    Cast,
    Compare,
    Concat,
    Divide,
    Einsum,
    Expand,
    Identity,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Permute,
    Power,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Split,
    Stack,
    Subtract,
    Where,
)
from netledger.ops.base import Op, axis
from netledger.ops.linear import spelled_out
from netledger.ops.pointwise import Arithmetic
from netledger.readers.keras.activations import activation_op
from netledger.readers.keras.call import Call, LayerRule
from netledger.readers.keras.inbound import Value


def argument(call: Call, *names: str, at: int | None = None, default: Any = None) -> Any:
    """An argument of an operation: from its configuration, by keyword, or by position."""
    for name in names:
        for where in (call.config.values, call.inbound.options):
            if where.get(name) is not None:
                return where[name]
    args = call.inbound.args
    if at is not None and at < len(args) and args[at] is not None:
        return args[at]
    return default


def plain(op: Op) -> LayerRule:
    """An operation without arguments."""
    return lambda call: call.add(op)


def arithmetic(kind: type[Arithmetic]) -> LayerRule:
    """Of two tensors, or of a tensor and a number."""

    def rule(call: Call) -> str:
        pair = [argument(call, name, old, at=i) for i, (name, old) in enumerate(_TERMS)]
        numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
        if len(call.inputs) == 1 and len(numbers) == 1:
            return call.add(kind(constant=numbers[0], reverse=numbers[0] is pair[0]))
        return call.add(kind())

    return rule


_TERMS = (("x1", "x"), ("x2", "y"))
"""What Keras 3 calls the two, and what TensorFlow does."""


def clip(call: Call) -> str:
    """``clip`` to two numbers."""
    low, high = (argument(call, n, o, at=i) for n, o, i in _BOUNDS)
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
            alpha = argument(call, setting, at=1, default=usual)
            return call.add(Activation(name, alpha=None if alpha == 1 else alpha), call.first)
        if name == "gelu":  # of the functions, not of the layers, by way of tanh unless told so
            tanh = argument(call, "approximate", at=1, default=True)
            return call.add(Activation(name, approximate=bool(tanh)), call.first)
        return call.add(op)

    return rule


def reduce(function: str) -> LayerRule:
    """A number over some axes."""

    def rule(call: Call) -> str:
        over = argument(call, "axis", at=1, default=list(range(len(call.shape))))
        keep = argument(call, "keepdims", at=2, default=False)
        op = Reduce(over, keepdims=keep, function=function)
        length = argument(call, "ord") if function == "norm" else None
        return call.add(op, call.first, untold="" if length in (None, 2) else f"ord={length}")

    return rule


def getitem(call: Call) -> list[str]:
    """``x[…]`` with integers, slices, new axes and an ellipsis."""
    found = argument(call, "slice_spec", "key", at=1)
    keys = _spelled_out(found if isinstance(found, list) else [found], len(call.shape))
    if any(isinstance(k, Value) for k in keys) or len(keys) > 16:
        return call.opaque("no rule describes this way of indexing")
    value, at = call.first, 0
    for i, key in enumerate(keys):
        bounds = _bounds(key)
        if key is None:
            value, at = _reshaped(call, value, _with_one(call, value, at), f"new{i}"), at + 1
        elif type(key) is int:
            op = Slice(axis=at, start=key, stop=key + 1 if key != -1 else None)
            value = call.add(op, value, part=f"at{i}")
            shape = call.reading.shapes[value]
            value = _reshaped(call, value, (*shape[:at], *shape[at + 1 :]), f"drop{i}")
        elif bounds is not None and at < len(call.reading.shapes[value]):
            start, stop, step = bounds
            if (start, stop, step) != (None, None, None):
                op = Slice(axis=at, start=start or 0, stop=stop, step=1 if step is None else step)
                value = call.add(op, value, part=f"slice{i}")
            at += 1
        else:
            return call.opaque("no rule describes this way of indexing")
    return [value]


def _spelled_out(keys: list[Any], rank: int) -> list[Any]:
    """The keys, with whole axes in the place of an ellipsis."""
    dots = [i for i, key in enumerate(keys) if _is_ellipsis(key)]
    if len(dots) != 1 or len(keys) > 16:
        return keys
    whole = {"start": None, "stop": None, "step": None}
    others = sum(key is not None for key in keys) - 1
    return [*keys[: dots[0]], *[whole] * (rank - others), *keys[dots[0] + 1 :]]


def _is_ellipsis(key: Any) -> bool:
    return isinstance(key, dict) and key.get("class_name") == "__ellipsis__"


def _bounds(key: Any) -> tuple[Any, Any, Any] | None:
    """Start, stop and step of a slice that is written out."""
    inner = key.get("config", key) if isinstance(key, dict) else None
    if not isinstance(inner, dict) or not inner.keys() & {"start", "stop", "step"}:
        return None
    return inner.get("start"), inner.get("stop"), inner.get("step")


def _with_one(call: Call, value: str, at: int) -> Shape:
    shape = call.reading.shapes[value]
    return (*shape[:at], 1, *shape[at:])


def _reshaped(call: Call, value: str, shape: Shape, part: str = "") -> str:
    """The same numbers in a shape that includes the batch."""
    return call.add(Reshape(shape, keep_batch=False), value, part=part)


def expand(call: Call) -> str:
    """``expand_dims``."""
    said = argument(call, "axis", at=1)
    axes = said if isinstance(said, list) else [said]
    shape = list(call.shape)
    rank = len(shape) + len(axes)
    if len(axes) > 16 or any(type(a) is not int for a in axes):
        raise FieldError(f"axis must be an integer; got {str(said)[:80]}")
    for at in sorted(axis(a, rank) for a in axes):
        shape.insert(at, 1)
    return _reshaped(call, call.first, tuple(shape))


def squeeze(call: Call) -> str:
    """``squeeze``."""
    said = argument(call, "axis", at=1)
    shape = call.shape
    if said is None:
        gone = {i for i, d in enumerate(shape) if type(d) is int and d == 1}
    else:
        axes = said if isinstance(said, list) else [said]
        if any(type(a) is not int for a in axes):
            raise FieldError(f"axis must be an integer; got {str(said)[:80]}")
        gone = {axis(a, len(shape)) for a in axes}
    return _reshaped(call, call.first, tuple(d for i, d in enumerate(shape) if i not in gone))


def reshape(call: Call) -> list[str]:
    """``reshape`` to a shape with the batch; a size that is left open there is the batch."""
    said = argument(call, "newshape", "shape", at=1)
    if not isinstance(said, list) or any(type(d) is not int and d is not None for d in said):
        return call.opaque("no rule describes a reshape to a computed shape")
    sizes = [-1 if d is None else d for d in said]
    if sizes[:1] == [-1] and -1 not in sizes[1:] and prod(call.shape[1:]) == prod(sizes[1:]):
        sizes[0] = call.shape[0]
    op = Reshape(sizes, keep_batch=False)
    return [call.add(op, call.first)]


def transpose(call: Call) -> str:
    """``transpose``."""
    order = argument(call, "axes", "perm", at=1, default=list(range(len(call.shape)))[::-1])
    return call.add(Permute(order), call.first)


def joined(op_class: Callable[..., Op], default: int) -> LayerRule:
    """``concatenate`` and ``stack``."""
    return lambda call: call.add(op_class(argument(call, "axis", at=1, default=default)))


def split(call: Call) -> list[str]:
    """``split`` into equal parts, or at given places."""
    at = argument(call, "axis", at=2, default=0)
    if type(at) is not int:
        raise FieldError(f"axis must be an integer; got {str(at)[:80]}")
    at = axis(at, len(call.shape))
    size = call.shape[at]
    said = argument(call, "indices_or_sections", "num_or_size_splits", at=1)
    if type(said) is int and isinstance(size, int) and 0 < said <= min(size, 1000):
        sizes = [size // said] * said
    elif call.kind == "Split" and isinstance(said, list) and isinstance(size, int):
        edges = [0, *said, size]
        sizes = [b - a for a, b in pairwise(edges) if type(a) is type(b) is int]
    else:
        return call.opaque("no rule describes this way of splitting")
    value = call.add(Split(sizes, axis=at), call.first, outputs=len(sizes))
    return [value, *(f"{value}:{i}" for i in range(1, len(sizes)))]


def cast(call: Call) -> str:
    """``cast``."""
    to = argument(call, "dtype", at=1, default="float32")
    return call.add(Cast(to if isinstance(to, str) else "float32"), call.first)


def broadcast(call: Call) -> list[str]:
    """``broadcast_to``."""
    said = argument(call, "shape", at=1)
    if not isinstance(said, list) or any(type(d) is not int and d is not None for d in said):
        return call.opaque("no rule describes a broadcast to a computed shape")
    sizes = [-1 if d is None else d for d in said]
    return [call.add(Expand(sizes), call.first)]


def einsum(call: Call) -> str:
    """``einsum``."""
    said = argument(call, "subscripts", "equation", at=0)
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
    "Softmax": lambda call: call.add(Softmax(argument(call, "axis", at=1, default=-1))),
    "LogSoftmax": lambda call: call.add(Softmax(argument(call, "axis", default=-1), log=True)),
    "Square": plain(Power(constant=2)),
    "Rsqrt": plain(Power(constant=-0.5)),
    "GetItem": getitem,
    "ExpandDims": expand,
    "Squeeze": squeeze,
    "Reshape": reshape,
    "Transpose": transpose,
    "Concatenate": joined(Concat, 0),
    "Stack": joined(Stack, 0),
    "Split": split,
    "Cast": cast,
    "BroadcastTo": broadcast,
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
