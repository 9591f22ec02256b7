"""Products: convolutions and `dot_general`, with weights that are stored or computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from netledger.errors import ShapeError
from netledger.formula import Formula, prod, substitute
from netledger.graph import BIAS, Parameter, Recorded, Shape
from netledger.ops import (
    Conv,
    ConvTranspose,
    Einsum,
    Flatten,
    GroupedMatMul,
    Linear,
    MatMul,
    Op,
    Permute,
    Reshape,
)
from netledger.ops.window import span
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.trace import Equation
from netledger.readers.jax_function.values import Leaf, Value

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def whole(value: Value, leaf: Leaf) -> bool:
    """True for a view that is the leaf itself: its axes in some order, no number left out."""
    if value.axes is None:
        return False
    kept = [a for a in value.axes if a is not None]
    sizes = all(d == 1 for d, a in zip(value.shape, value.axes, strict=True) if a is None)
    return (
        sizes
        and sorted(kept) == [i for i in range(len(leaf.shape)) if i in kept]
        and all(i in kept or leaf.shape[i] == 1 for i in range(len(leaf.shape)))
    )


def convolution(build: Builder, equation: Equation) -> list[Value]:
    """``conv_general_dilated``."""
    x, kernel = map(build.value, equation.inputs)
    params, numbers = equation.params, equation.params["dimension_numbers"]
    rank = len(numbers.lhs_spec) - 2
    last = numbers.lhs_spec[1] == rank + 1
    straight = tuple(range(rank + 2))
    layout = (0, rank + 1, *straight[1:-1]) if last else straight
    if params["batch_group_count"] != 1:
        raise ShapeError("no rule describes a convolution over groups of the batch")
    if tuple(numbers.lhs_spec) != layout:
        order = tuple(numbers.lhs_spec[i] for i in (0, *range(2, rank + 2), 1))
        x = build.moved(Permute(order), x, equation, tuple(x.shape[i] for i in order))
        last, layout = True, (0, rank + 1, *straight[1:-1])
    size = tuple(kernel.shape[i] for i in numbers.rhs_spec)
    op, shape = _window(params, size, last)
    leaf = build.leaves.get(kernel.stored)
    stored = leaf is not None and whole(kernel, leaf)
    ((*made,),) = op.outputs(x.shape)
    if leaf is None or not stored:
        return _computed_kernel(build, equation, op, x)
    wanted = equation.outputs[0].shape
    back = tuple(made[layout[numbers.out_spec.index(i)]] for i in range(rank + 2))
    value = build.emit(op, [x], equation, stated=tuple(made), weights=[(leaf, "weight", shape)])
    build.products[value.name] = (len(build.nodes) - 1, (layout[1],))
    if tuple(numbers.out_spec) != layout:
        order = tuple(layout[numbers.out_spec.index(i)] for i in range(rank + 2))
        value = build.moved(Permute(order), value, equation, back)
    if value.shape != wanted:
        raise ShapeError(f"the rule gives {list(map(str, value.shape))}")
    return [value]


def _window(params: Any, size: Shape, last: bool) -> tuple[Op, Shape]:
    """The operation, and the shape of its weight in our order."""
    out, fan_in, *kernel = map(_number, size)
    groups = params["feature_group_count"]
    dilation = _same(params["rhs_dilation"])
    given: dict[str, Any] = {
        "dilation": dilation,
        "groups": groups,
        "bias": False,
        "channels_last": last,
    }
    if all(d == 1 for d in params["lhs_dilation"]):
        borders = params["padding"]
        if any(p < 0 for pair in borders for p in pair):
            raise ShapeError("no rule describes a convolution that cuts its input")
        conv = Conv(
            out,
            _same(kernel),
            stride=_same(params["window_strides"]),
            padding=_border(borders),
            **given,
        )
        return conv, (out, fan_in, *kernel)
    if any(s != 1 for s in params["window_strides"]):
        raise ShapeError("no rule describes a convolution with a stride between inputs and outputs")
    cuts, extra = [], []
    reach = [span(k, d) for k, d in zip(kernel, params["rhs_dilation"], strict=True)]
    for k, (before, after) in zip(reach, params["padding"], strict=True):
        total = 2 * (k - 1) - before - after
        ends = (k - 1 - before, k - 1 - after)
        cuts.append(ends if min(ends) >= 0 else (0, max(total, 0)))
        extra.append(max(-total, 0))
    transposed = ConvTranspose(
        out,
        _same(kernel),
        stride=_same(params["lhs_dilation"]),
        padding=_border(cuts),
        output_padding=_same(extra),
        **given,
    )
    return transposed, (fan_in * groups, out // groups, *kernel)


def _number(d: Any) -> int:
    """A size of a kernel, which never has a symbol."""
    if not isinstance(d, int):
        raise ShapeError("a kernel whose size depends on the batch")
    return d


def _same(values: Sequence[Any]) -> Any:
    """One number for all axes where they are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _border(pairs: Sequence[Any]) -> Any:
    """Padding as short as it can be written."""
    if all(before == after for before, after in pairs):
        return _same([before for before, _ in pairs])
    return tuple(map(tuple, pairs))


def _computed_kernel(build: Builder, equation: Equation, op: Op, x: Value) -> list[Value]:
    """A convolution whose kernel is computed: its products are counted, it stores nothing."""
    op.check(x.shape)
    macs = op.macs((_one(x.shape),), (_one(equation.outputs[0].shape),))
    build.opaque(equation, "its kernel is computed; its products are counted", macs)
    return [build.values[id(equation.outputs[0])]]


def _one(shape: Shape) -> Shape:
    """The shape for a batch of 1."""
    return tuple(substitute(d, {"N": 1}) if isinstance(d, Formula) else d for d in shape)


def dot(build: Builder, equation: Equation) -> list[Value]:
    """``dot_general``: a fully connected layer if one side is stored, else a product of two."""
    a, b = map(build.value, equation.inputs)
    (summed, batched) = equation.params["dimension_numbers"]
    if not any(batched):
        for x, w, first in ((a, b, False), (b, a, True)):
            leaf = build.leaves.get(w.stored)
            if leaf is not None and x.name and whole(w, leaf):
                own = summed if not first else summed[::-1]
                made = _linear(build, equation, x, w, leaf, own, first)
                if made is not None:
                    return [made]
    return [_product(build, equation, a, b, summed, batched)]


def _linear(
    build: Builder, equation: Equation, x: Value, w: Value, leaf: Leaf, summed: Any, first: bool
) -> Value | None:
    """The product with a stored matrix as a fully connected layer.

    Args:
        build: The graph.
        equation: The product.
        x: What is multiplied.
        w: The matrix, as a view.
        leaf: The stored tensor that it is a view of.
        summed: The axes that are summed over, of `x` and of `w`.
        first: True if the matrix is the first factor, so that its axes come first in the result.
    """
    ours, theirs = (tuple(axes) for axes in summed)
    free = tuple(i for i in range(len(x.shape)) if i not in ours)
    outs = tuple(i for i in range(len(w.shape)) if i not in theirs)
    if not ours or not free or not outs:
        return None
    width, fan_in = prod(w.shape[i] for i in outs), prod(w.shape[i] for i in theirs)
    if (*free, *ours) != tuple(range(len(x.shape))):
        order = (*free, *ours)
        x = build.moved(Permute(order), x, equation, tuple(x.shape[i] for i in order))
    lead = x.shape[: len(free)]
    if len(ours) > 1:
        op = Flatten(len(free), -1) if len(free) == 1 else Reshape((*lead[1:], fan_in))
        x = build.moved(op, x, equation, (*lead, fan_in))
    value = build.emit(
        Linear(width, bias=False),
        [x],
        equation,
        stated=(*lead, width),
        weights=[(leaf, "weight", (width, fan_in))],
    )
    node = len(build.nodes) - 1
    features: tuple[int, ...] = (len(free),)
    sizes = tuple(w.shape[i] for i in outs)
    if len(outs) > 1:
        value = build.moved(Reshape((*lead[1:], *sizes)), value, equation, (*lead, *sizes))
        features = tuple(range(len(free), len(free) + len(outs)))
    if first:
        total = len(free) + len(outs)
        order = (*range(len(free), total), *range(len(free)))
        shape = tuple(value.shape[i] for i in order)
        value = build.moved(Permute(order), value, equation, shape)
        features = tuple(range(len(outs)))
    build.products[value.name] = (node, features)
    return value


def _product(
    build: Builder, equation: Equation, a: Value, b: Value, summed: Any, batched: Any
) -> Value:
    """The product of two tensors: of matrices where it is one, else by index letters."""
    shape = equation.outputs[0].shape
    (sa, sb), (ba, bb) = summed, batched
    lead = len(ba)
    plain = (
        tuple(ba) == tuple(bb) == tuple(range(lead))
        and len(a.shape) == len(b.shape) == lead + 2
        and (tuple(sa), tuple(sb)) == ((lead + 1,), (lead,))
    )
    if plain:
        return build.emit(MatMul(), [a, b], equation, stated=shape)
    letters = iter(_LETTERS)
    left = [next(letters) for _ in a.shape]
    right = [""] * len(b.shape)
    for i, j in (*zip(sa, sb, strict=True), *zip(ba, bb, strict=True)):
        right[j] = left[i]
    right = [letter or next(letters) for letter in right]
    out = [left[i] for i in ba]
    out += [c for i, c in enumerate(left) if i not in (*sa, *ba)]
    out += [c for i, c in enumerate(right) if i not in (*sb, *bb)]
    return build.emit(
        Einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}"), [a, b], equation, stated=shape
    )


def grouped(build: Builder, equation: Equation) -> list[Value]:
    """``ragged_dot_general``: rows times one matrix of a stack, in the order of the matrices."""
    numbers = equation.params["ragged_dot_dimension_numbers"]
    summed, batched = numbers.dot_dimension_numbers
    groups = (*numbers.lhs_ragged_dimensions, *numbers.rhs_group_dimensions)
    places = tuple([i for axes in (*summed, *batched) for i in axes])
    if (places, groups) != ((1, 1), (0, 0)):
        raise ShapeError("no rule describes groups along other axes than rows")
    values = [build.value(v) for v in equation.inputs]
    return [build.emit(GroupedMatMul(), values, equation, stated=equation.outputs[0].shape)]


def bias(build: Builder, equation: Equation) -> Value | None:
    """Folds a stored bias into the layer before, where the sum is plainly that; or None."""
    for at in (0, 1):
        x, w = build.value(equation.inputs[at]), build.value(equation.inputs[1 - at])
        leaf = build.leaves.get(w.stored)
        product = build.products.get(x.name)
        if leaf is None or product is None or build.users[id(equation.inputs[at])] != 1:
            continue
        node, features = product
        own = tuple(x.shape[i] for i in features)
        if w.axes is None or x.shape != equation.outputs[0].shape:
            continue
        long = [k for k, d in enumerate(leaf.shape) if d != 1]  # Equinox writes (C, 1, 1)
        offset = len(x.shape) - len(w.shape)
        placed = {i + offset: long.index(a) for i, a in enumerate(w.axes) if a in long}
        single = prod(own) == prod(leaf.shape) == 1  # an axis of size 1 is not told from others
        if not single and placed != {i: k for k, i in enumerate(features)}:
            continue
        if not single and tuple(leaf.shape[k] for k in long) != own:
            continue
        _give(build, node, leaf, prod(own))
        del build.products[x.name]
        return x
    return None


def _give(build: Builder, index: int, leaf: Leaf, width: Any) -> None:
    """Gives a node a bias."""
    node = build.nodes[index]
    recorded = node.recorded or Recorded()
    parameter = Parameter("bias", BIAS, (width,), leaf.dtype)
    build.nodes[index] = replace(
        node,
        op=replace(node.op, bias=True),  # type: ignore[call-arg]
        recorded=replace(recorded, parameters=(*(recorded.parameters or ()), parameter)),
    )
    build.uses.setdefault(leaf.path, []).append((node.name, "bias"))
