"""Primitives that move numbers; stored tensors that are moved stay stored."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops import (
    AvgPool,
    Cast,
    Concat,
    Embedding,
    Expand,
    Flatten,
    MaxPool,
    Op,
    Pad,
    Permute,
    Reduce,
    Reshape,
    Slice,
    Split,
    Stack,
)
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.trace import Equation
from netledger.readers.jax_function.values import Value


def _view(x: Value, op: Op | None, shape: Shape, axes: tuple[int | None, ...] | None) -> Value:
    """A stored tensor, looked at in another way."""
    return x._replace(shape=shape, axes=axes, chain=(*x.chain, op) if op else x.chain)


def reshaping(old: Shape, new: Shape) -> Op:
    """The operation that gives the same numbers another shape."""
    if len(old) > 1 and len(new) == 2 and new[0] == old[0] and len(old) > 2:
        return Flatten()
    if len(new) > 1 and old and new[0] == old[0]:
        return Reshape(new[1:])
    return Reshape(new, keep_batch=False)


def reshape(build: Builder, equation: Equation) -> list[Value]:
    """``reshape``, ``squeeze``, ``expand_dims``."""
    x, shape = build.value(equation.inputs[0]), equation.outputs[0].shape
    if x.shape == shape:
        return [x]
    op = reshaping(x.shape, shape)
    if x.stored:
        return [_view(x, op, shape, _axes_after(x, shape))]
    return [build.moved(op, x, equation, shape)]


def _axes_after(x: Value, shape: Shape) -> tuple[int | None, ...] | None:
    """Which axis is which after a reshape; None if more than axes of size 1 came or went."""
    if x.axes is None:
        return None
    kept = [a for d, a in zip(x.shape, x.axes, strict=True) if d != 1]
    sizes = [d for d in x.shape if d != 1]
    if sizes != [d for d in shape if d != 1]:
        return None
    found = iter(kept)
    return tuple(None if d == 1 else next(found) for d in shape)


def transpose(build: Builder, equation: Equation) -> list[Value]:
    """``transpose``."""
    x, order = build.value(equation.inputs[0]), equation.params["permutation"]
    shape = equation.outputs[0].shape
    if x.stored:
        axes = None if x.axes is None else tuple(x.axes[i] for i in order)
        return [_view(x, Permute(order), shape, axes)]
    made = build.moved(Permute(order), x, equation, shape)
    product = build.products.get(x.name)
    if product and build.users[id(equation.inputs[0])] == 1:
        node, features = product
        build.products[made.name] = (node, tuple(order.index(i) for i in features))
    return [made]


def broadcast(build: Builder, equation: Equation) -> list[Value]:
    """``broadcast_in_dim``: new axes, and axes of size 1 that are repeated."""
    x, shape = build.value(equation.inputs[0]), equation.outputs[0].shape
    places = equation.params["broadcast_dimensions"]
    if x.shape == shape:
        return [x]
    wide = tuple(x.shape[places.index(i)] if i in places else 1 for i in range(len(shape)))
    if x.stored:
        axes = None
        if x.axes is not None:
            axes = tuple(
                x.axes[places.index(i)] if i in places and wide[i] == d else None
                for i, d in enumerate(shape)
            )
        made = x if wide == x.shape else _view(x, reshaping(x.shape, wide), wide, axes)
        return [made if wide == shape else _view(made, Expand(shape), shape, axes)]
    if wide != x.shape:
        x = build.moved(reshaping(x.shape, wide), x, equation, wide)
    return [x if wide == shape else build.moved(Expand(shape), x, equation, shape)]


def cast(build: Builder, equation: Equation) -> list[Value]:
    """``convert_element_type``."""
    x, dtype = build.value(equation.inputs[0]), equation.outputs[0].dtype
    if x.dtype == dtype:
        return [x]
    if x.stored:
        return [x._replace(dtype=dtype, chain=(*x.chain, Cast(dtype)))]
    made = build.emit(Cast(dtype), [x], equation, stated=x.shape)
    if x.name in build.products and build.users[id(equation.inputs[0])] == 1:
        build.products[made.name] = build.products[x.name]
    return [made]


def same(build: Builder, equation: Equation) -> list[Value]:
    """What passes its inputs on."""
    return [build.value(v) for v in equation.inputs][: len(equation.outputs)]


def concat(build: Builder, equation: Equation) -> list[Value]:
    """``concatenate``."""
    values = [build.value(v) for v in equation.inputs]
    op = Concat(equation.params["dimension"])
    return [build.emit(op, values, equation, stated=equation.outputs[0].shape)]


def stack(build: Builder, equation: Equation) -> list[Value]:
    """``stack``."""
    values = [build.value(v) for v in equation.inputs]
    op = Stack(equation.params["axis"])
    return [build.emit(op, values, equation, stated=equation.outputs[0].shape)]


def slices(build: Builder, equation: Equation) -> list[Value]:
    """``slice``."""
    x, p = build.value(equation.inputs[0]), equation.params
    steps = p["strides"] or (1,) * len(x.shape)
    shape = list(x.shape)
    for i, (start, stop, step) in enumerate(
        zip(p["start_indices"], p["limit_indices"], steps, strict=True)
    ):
        if (start, step) == (0, 1) and stop == x.shape[i]:
            continue
        end = None if stop == x.shape[i] else stop
        if not isinstance(start, int) or not isinstance(end, int | None):
            raise ShapeError("a part whose ends depend on the batch")
        op = Slice(i, start, end, step)
        shape[i] = op.length(shape[i])
        x = (
            _view(x, op, tuple(shape), None)
            if x.stored
            else build.moved(op, x, equation, tuple(shape))
        )
    return [x]


def split(build: Builder, equation: Equation) -> list[Value]:
    """``split``."""
    x, at = build.value(equation.inputs[0]), equation.params["axis"]
    sizes = tuple(equation.params["sizes"])
    if x.stored:
        edges = [0, *(sum(sizes[: i + 1]) for i in range(len(sizes)))]
        return [
            _view(x, Slice(at, start, stop), v.shape, None)
            for (start, stop), v in zip(pairwise(edges), equation.outputs, strict=True)
        ]
    op = Split(sizes, axis=at)
    op.check(x.shape)
    title = build.title(equation)
    names = (title, *(f"{title}:{i}" for i in range(1, len(sizes))))
    build.nodes.append(build._node(title, op, (build.name(x),), names, equation, None))
    return [build.made(n, v.shape, v.dtype) for n, v in zip(names, equation.outputs, strict=True)]


def pad(build: Builder, equation: Equation) -> list[Value]:
    """``pad``; with numbers in between it is only known."""
    x, borders = build.value(equation.inputs[0]), equation.params["padding_config"]
    if any(between for _, _, between in borders):
        return build.known(equation)
    pairs = tuple((before, after) for before, after, _ in borders)
    return [build.emit(Pad(pairs), [x], equation, stated=equation.outputs[0].shape)]


def gather(build: Builder, equation: Equation) -> list[Value]:
    """``gather``: rows of a stored table; any other is only known to compute nothing."""
    x, indices = map(build.value, equation.inputs)
    leaf = build.leaves.get(x.stored)
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    rows = (
        leaf is not None
        and len(leaf.shape) == 2
        and x.axes == (0, 1)
        and tuple(numbers.start_index_map) == (0,)
        and tuple(numbers.collapsed_slice_dims) == (0,)
        and tuple(sizes) == (1, leaf.shape[1])
        and not indices.constant
        and indices.shape[-1:] == (1,)
        and not numbers.operand_batching_dims
    )
    if leaf is None or not rows:
        return build.known(equation)
    shape = indices.shape[:-1]
    if indices.shape != shape:
        indices = build.moved(reshaping(indices.shape, shape), indices, equation, shape)
    count, width = leaf.shape
    value = build.emit(
        Embedding(count, width, equation.outputs[0].dtype),
        [indices],
        equation,
        stated=(*shape, width),
        weights=[(leaf, "weight", leaf.shape)],
    )
    if value.shape != equation.outputs[0].shape:
        raise ShapeError("its result is in another order")
    return [value]


def reduce(function: str) -> Any:
    """``reduce_sum``, ``reduce_max`` and their like."""

    def rule(build: Builder, equation: Equation) -> list[Value]:
        x, axes = build.value(equation.inputs[0]), tuple(equation.params["axes"])
        shape = equation.outputs[0].shape
        if not axes:
            return [x]
        value = build.emit(Reduce(axes, function=function), [x], equation, stated=shape)
        if function == "sum":
            count = prod(x.shape[i] for i in axes)
            build.sums[value.name] = (len(build.nodes) - 1, count)
        return [value]

    return rule


def pool(build: Builder, equation: Equation) -> list[Value]:
    """``reduce_window_max`` and ``reduce_window_sum``; a mean is a sum that is divided."""
    x, p = build.value(equation.inputs[0]), equation.params
    window, rank = tuple(p["window_dimensions"]), len(x.shape)
    ones = [i for i, k in enumerate(window) if k == 1 and p["window_strides"][i] == 1]
    last = 0 in ones and rank - 1 in ones
    if not 3 <= rank <= 5 or not (last or (0 in ones and 1 in ones)):
        return build.known(equation)
    if any(d != 1 for d in p["base_dilation"]):
        return build.known(equation)
    inner = slice(1, -1) if last else slice(2, None)
    border = p["padding"][inner]
    padding: Any = tuple(map(tuple, border))
    if all(before == after for before, after in border):
        padding = _same([before for before, _ in border])
    given: dict[str, Any] = {
        "stride": _same(p["window_strides"][inner]),
        "padding": padding,
        "channels_last": last,
    }
    kernel = _same(window[inner])
    if equation.name == "reduce_window_max":
        dilation = _same(p["window_dilation"][inner])
        op: Op = MaxPool(kernel, dilation=dilation, **given)
    elif any(d != 1 for d in p["window_dilation"]):
        return build.known(equation)
    else:
        op = AvgPool(kernel, **given)
    value = build.emit(op, [x], equation, stated=equation.outputs[0].shape)
    if isinstance(op, AvgPool):
        build.sums[value.name] = (len(build.nodes) - 1, prod(window))
    return [value]


def _same(values: Any) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)
