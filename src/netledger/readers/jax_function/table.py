"""The table: a primitive of JAX → what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netledger.ops import (
    Activation,
    Add,
    Compare,
    Divide,
    GlobalAvgPool,
    Maximum,
    Minimum,
    Multiply,
    Op,
    Power,
    Reduce,
    Subtract,
    Where,
)
from netledger.ops.pointwise import broadcast
from netledger.readers.jax_function import control, moves, products
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.trace import Equation
from netledger.readers.jax_function.values import Value

Rule = Callable[[Builder, Equation], list[Value]]


def pointwise(op: Op) -> Rule:
    """Number by number; what is written into the program is a setting."""

    def rule(build: Builder, equation: Equation) -> list[Value]:
        values = [_plain(build, v) for v in map(build.value, equation.inputs) if not v.constant]
        shape, dtype = equation.outputs[0].shape, equation.outputs[0].dtype
        if broadcast(*(v.shape for v in values)) != shape:  # constants that change the size
            values = [v for v in map(build.value, equation.inputs) if not v.scalar]
        untold = equation.name if equation.name in _ALIKE else ""
        made = build.emit(op, values, equation, stated=shape, untold=untold)
        return [made._replace(dtype=dtype)]

    return rule


_ALIKE = ("rem", "and", "or")
"""What has the size and the counts of an operation of ours, and is another function."""


def _plain(build: Builder, x: Value) -> Value:
    """A stored tensor without axes of size 1 in front, which stretching gives it anyway."""
    leaf = build.leaves.get(x.stored)
    if leaf is None or x.axes is None or x.dtype != leaf.dtype:
        return x
    own, lead = len(leaf.shape), len(x.axes) - len(leaf.shape)
    straight = lead >= 0 and x.axes[lead:] == tuple(range(own))
    return x._replace(shape=leaf.shape, axes=x.axes[lead:], chain=()) if straight else x


def add(build: Builder, equation: Equation) -> list[Value]:
    """``add``: the bias of the layer before, or a sum."""
    made = products.bias(build, equation)
    return [made] if made is not None else pointwise(Add())(build, equation)


def divide(build: Builder, equation: Equation) -> list[Value]:
    """``div``: a sum that is divided by how many there are is a mean."""
    x, y = equation.inputs
    mean = _mean(build, equation, build.value(x), y.number if y.literal else None)
    if mean is not None:
        return [mean]
    if build.value(y).constant and build.value(x).name in build.sums:
        node = build.nodes[build.sums[build.value(x).name][0]]
        if not isinstance(node.op, Reduce):  # a mean that leaves the border out
            return [build.value(x)]
    return pointwise(Divide())(build, equation)


def multiply(build: Builder, equation: Equation) -> list[Value]:
    """``mul``: a sum times 1/n is a mean."""
    for x, y in (equation.inputs, equation.inputs[::-1]):
        number = float(y.number) if y.literal and not build.value(x).scalar else 0.0
        mean = _mean(build, equation, build.value(x), 1 / number if number else None)
        if mean is not None:
            return [mean]
    return pointwise(Multiply())(build, equation)


def _mean(build: Builder, equation: Equation, x: Value, number: object) -> Value | None:
    found = build.sums.get(x.name)
    if found is None or number is None or build.users[id(equation.inputs[0])] > 1:
        return None
    index, count = found
    if not isinstance(count, int) or abs(float(number) - count) > 1e-3 * count:  # type: ignore[arg-type]
        return None
    node = build.nodes[index]
    if isinstance(node.op, Reduce):
        build.nodes[index] = replace(node, op=_mean_of(node.op, len(x.shape) + len(node.op.over)))
    return x


def _mean_of(op: Reduce, rank: int) -> Op:
    """A mean over all spatial axes of a map is a global pooling."""
    if rank >= 4 and op.over in (tuple(range(1, rank - 1)), tuple(range(2, rank))):
        return GlobalAvgPool(channels_last=op.over[0] == 1)
    return replace(op, function="mean")


def where(build: Builder, equation: Equation) -> list[Value]:
    """``select_n``."""
    values = [build.value(v) for v in equation.inputs]
    shape, dtype = equation.outputs[0].shape, equation.outputs[0].dtype
    if len(values) != 3 or len(values[0].shape) < len(shape):
        return build.known(equation)
    kept = [v for v in values if not v.constant]
    if values[0].constant or len(kept) < 2:
        kept = kept or values[:1]
    made = build.emit(Where(), kept, equation, stated=shape)
    return [made._replace(dtype=dtype)]


def _known(build: Builder, equation: Equation) -> list[Value]:
    return build.known(equation)


_FUNCTIONS = {
    **{name: name for name in ("exp", "log", "tanh", "sqrt", "abs", "erf")},
    "neg": "negate",
    "logistic": "sigmoid",
    "clamp": "clip",
}
_POINTWISE: dict[str, Op] = {
    "sub": Subtract(),
    **dict.fromkeys(("pow", "integer_pow", "rsqrt", "square", "cbrt", "exp2"), Power()),
    **dict.fromkeys(("max", "or"), Maximum()),
    "min": Minimum(),
    "and": Multiply(),
    "rem": Divide(),
    "add_any": Add(),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "not", "is_finite"), Compare()),
}
_KNOWN = (
    *("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort", "top_k", "argmax"),
    *("argmin", "rev", "iota", "dynamic_slice", "dynamic_update_slice", "scatter", "clz"),
    *("scatter-add", "scatter_add", "scatter-mul", "scatter_mul", "scatter_min", "scatter_max"),
    *("sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "atan2", "asinh", "acosh"),
    *("atanh", "floor", "ceil", "round", "sign", "log1p", "expm1", "erfc", "erf_inv", "lgamma"),
    *("digamma", "nextafter", "population_count", "shift_left", "shift_right_logical", "xor"),
    *("shift_right_arithmetic", "random_bits", "random_wrap", "random_unwrap", "random_seed"),
    *("random_split", "random_fold_in", "random_gamma", "threefry2x32", "bitcast_convert_type"),
    *("real", "imag", "complex", "conj", "reduce_and", "reduce_or", "reduce_xor"),
    *("reduce_window_min", "select_and_gather_add", "rng_bit_generator", "unstack", "tile"),
    *("psum", "psum_invariant", "pmax", "pmin", "all_gather", "all_gather_invariant"),
    *("reduce_scatter", "all_to_all", "ppermute", "axis_index"),
    "fft",
)

RULES: dict[str, Rule] = {
    "conv_general_dilated": products.convolution,
    "dot_general": products.dot,
    "ragged_dot_general": products.grouped,
    "add": add,
    "div": divide,
    "mul": multiply,
    "select_n": where,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), moves.reshape),
    "transpose": moves.transpose,
    "broadcast_in_dim": moves.broadcast,
    **dict.fromkeys(("convert_element_type", "reduce_precision"), moves.cast),
    **dict.fromkeys(
        ("stop_gradient", "copy", "copy_p", "optimization_barrier", "name", "pvary"), moves.same
    ),
    **dict.fromkeys(("sharding_constraint", "layout_constraint"), moves.same),
    "concatenate": moves.concat,
    "stack": moves.stack,
    "slice": moves.slices,
    "split": moves.split,
    "pad": moves.pad,
    "gather": moves.gather,
    **{f"reduce_{name}": moves.reduce(name) for name in ("sum", "max", "min", "prod")},
    **dict.fromkeys(("reduce_window_max", "reduce_window_sum"), moves.pool),
    **{name: pointwise(Activation(function)) for name, function in _FUNCTIONS.items()},
    **{name: pointwise(op) for name, op in _POINTWISE.items()},
    **dict.fromkeys(_KNOWN, _known),
    **dict.fromkeys(control.INLINED, control.inline),
    "scan": control.scan,
    "cond": control.cond,
    "while": control.loop,
    "shard_map": control.devices,
}
