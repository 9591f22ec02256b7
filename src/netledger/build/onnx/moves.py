"""Functions of each number, sums, moves of numbers: in the words of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from netledger.build.onnx.writer import Place, Rule, element_type
from netledger.formula import Formula
from netledger.graph import BATCH
from netledger.ops.base import each_axis
from netledger.ops.window import pads

FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "celu": ("Celu", {}),
    "gelu": ("Gelu", {}),
    "mish": ("Mish", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exp": ("Exp", {}),
    "log": ("Log", {}),
    "sqrt": ("Sqrt", {}),
    "abs": ("Abs", {}),
    "negate": ("Neg", {}),
    "erf": ("Erf", {}),
}
"""Activations that are one operator, with what PyTorch's defaults are where ONNX's differ."""


def activation(place: Place) -> None:
    """A function of each number."""
    name = place.op.function
    x = place.value()
    if name in FUNCTIONS:
        kind, given = FUNCTIONS[name]
        if name in ("leaky_relu", "elu", "celu"):
            given = {"alpha": float(place.op.below)}
        if place.op.approximate:
            given = {"approximate": "tanh"}
        place.make(kind, [x], **given)
    elif name in ("relu6", "clip"):
        ends = (0, 6) if name == "relu6" else (place.op.low, place.op.high)
        named = zip(("low", "high"), ends, strict=True)
        bounds = ["" if v is None else place.constant(w, number(place, v)) for w, v in named]
        place.make("Clip", [x, *bounds])
    elif name == "silu":
        place.make("Mul", [x, place.step("Sigmoid", [x])])
    else:
        raise place.cannot(f"no operator for {name!r} is written")


def number(place: Place, value: float) -> Any:
    """A number of the first input's dtype."""
    return np.array(value, helper.tensor_dtype_to_np_dtype(element_type(place.types[0].dtype)))


def same(kind: str) -> Rule:
    """An operator of one input that keeps the axes as they are."""
    return lambda place: place.make(kind, [place.value()])


def dropout(place: Place) -> None:
    """Dropout: does nothing outside of training."""
    ratio = place.constant("ratio", np.float32(place.op.rate))
    place.make("Dropout", [place.value(), ratio])


def cast(place: Place) -> None:
    """Another dtype."""
    to = element_type(place.op.to)
    place.make("Cast", [place.value()], to=to)


def elementwise(kind: str, several: str = "") -> Rule:
    """Of tensors that stretch to one shape; `several` is the operator for more than two."""

    def rule(place: Place) -> None:
        values = place.values()
        constant = getattr(place.op, "constant", None)
        if constant is not None:
            besides = place.constant("constant", number(place, constant))
            values = [besides, *values] if place.op.reverse else [*values, besides]
        count = len(values)
        if count > 2 and not several:
            for value in values[1:-1]:
                values[0] = place.step(kind, [values[0], value])
            values = [values[0], values[-1]]
        place.make(several if count > 2 and several else kind, values)

    return rule


def where(place: Place) -> None:
    """A choice between two tensors."""
    if len(place.node.inputs) < 3:
        raise place.cannot("its constant is not in the graph")
    place.make("Where", place.values())


def softmax(place: Place) -> None:
    """Softmax, LogSoftmax."""
    kind = "LogSoftmax" if place.op.log else "Softmax"
    axis = place.axis(place.op.axis)
    place.make(kind, [place.value()], axis=axis)


def glu(place: Place) -> None:
    """One half of an axis times the sigmoid of the other."""
    axis = place.axis(place.op.axis)
    half = place.shapes[0][place.op.axis % place.rank] // 2
    sizes = place.constant("sizes", np.array(place.ints("a size", (half, half)), np.int64))
    names = [place.writer.unique(f"{place.node.name}/{w}") for w in ("value", "gate")]
    place.split([place.value(), sizes], names, axis)
    place.make("Mul", [names[0], place.step("Sigmoid", [names[1]])])


def flatten(place: Place) -> None:
    """Neighbouring axes become one."""
    first, last = place.axis(place.op.start_dim), place.axis(place.op.end_dim)
    if (first, last) == (1, place.rank - 1):
        return place.make("Flatten", [place.value()], axis=1)
    shape = [*[0] * first, -1, *place.shapes[0][last + 1 :]]
    return place.make("Reshape", [place.value(), _ints(place, "shape", shape)])


def _ints(place: Place, what: str, values: Sequence[Any]) -> str:
    return place.constant(what, np.array(place.ints("a size", values), np.int64))


def reshape(place: Place) -> None:
    """The same numbers in another shape; one size may be left open."""
    shape = list(place.op.shape)
    if place.op.keep_batch:
        shape = [0, *shape]
    open_sizes = [i for i, d in enumerate(shape) if isinstance(d, Formula)]
    if len(open_sizes) == 1 and -1 not in shape:
        shape[open_sizes[0]] = -1
    place.make("Reshape", [place.value(), _ints(place, "shape", shape)])


def permute(place: Place) -> None:
    """The axes in another order."""
    place.make("Transpose", [place.value()], perm=each_axis(place.op.order, 1))


def expand(place: Place) -> None:
    """Axes of size 1 stretched; the batch is looked up where the network runs."""
    shape = place.op.shape
    if not any(d is BATCH for d in shape):
        known = [1 if d == -1 else d for d in shape]
        return place.make("Expand", [place.value(), _ints(place, "shape", known)])
    source = next(iter(place.writer.graph.inputs))
    batch = place.step("Shape", [place.writer.names[source]], start=0, end=1)
    parts = [batch if d is BATCH else _ints(place, "size", [1 if d == -1 else d]) for d in shape]
    whole = place.step("Concat", parts, axis=0) if len(parts) > 1 else batch
    return place.make("Expand", [place.value(), whole])


def concat(place: Place) -> None:
    """Tensors one behind the other."""
    place.make("Concat", place.values(), axis=place.axis(place.op.axis))


def stack(place: Place) -> None:
    """Tensors side by side along a new axis."""
    at = place.op.axis % (place.rank + 1)
    axes = place.constant("axis", np.array([at], np.int64))
    parts = [place.step("Unsqueeze", [value, axes]) for value in place.values()]
    place.make("Concat", parts, axis=at)


def cut(place: Place) -> None:
    """A part of an axis."""
    op = place.op
    stop = np.iinfo(np.int64).max if op.stop is None else op.stop
    given = (op.start, stop, place.axis(op.axis), op.step)
    names = ("start", "stop", "axis", "step")
    settings = [
        place.constant(n, np.array([v], np.int64)) for n, v in zip(names, given, strict=True)
    ]
    place.make("Slice", [place.value(), *settings])


def gather(place: Place) -> None:
    """Entries of an axis, by the indices of a second input, or by given ones."""
    op, values = place.op, place.values()
    if len(values) < 2:
        indices = np.array(op.index, np.int64).reshape(place.ints("a size", op.shape))
        values.append(place.constant("index", indices))
    place.make("Gather", values, axis=op.axis % place.rank)


def looked_up(place: Place) -> None:
    """Entries of the first axis."""
    if each_axis(place.op.over, 1) not in ((0,), (-place.rank,)):
        raise place.cannot("it indexes another axis than the first")
    place.make("Gather", place.values(), axis=0)


def take_along(place: Place) -> None:
    """A number along an axis for each index."""
    place.make("GatherElements", place.values(), axis=place.axis(place.op.axis))


def constant(place: Place) -> None:
    """One number in a shape."""
    op = place.op
    value = np.array([op.value], helper.tensor_dtype_to_np_dtype(element_type(op.to)))
    shape = _ints(place, "shape", op.shape)
    place.make("ConstantOfShape", [shape], value=numpy_helper.from_array(value))


def split(place: Place) -> None:
    """An axis in parts."""
    size = place.shapes[0][place.op.axis % place.rank]
    parts = place.op.parts(size)
    if len(parts) != len(place.node.outputs):
        raise place.cannot(f"{len(parts)} parts, of which {len(place.node.outputs)} are named")
    inputs = [place.value(), _ints(place, "sizes", parts)]
    place.make("Split", inputs, axis=place.axis(place.op.axis))


def pad(place: Place) -> None:
    """A border: of zeros, of what a maximum ignores, or of the map itself."""
    op, rank = place.op, place.rank
    whole = op.whole(rank)
    found = pads(op.padding, rank if whole else rank - 2)
    found = found if whole else ((0, 0), (0, 0), *found)
    sides = [before for before, _ in found] + [total - before for before, total in found]
    inputs = [place.value(), _ints(place, "pads", sides)]
    if op.number:
        inputs.append(place.constant("value", number(place, op.number)))
    elif op.mode == "constant":
        raise place.cannot("the graph does not say which number the border is made of")
    mode = op.mode if op.mode in ("reflect", "edge", "wrap") else "constant"
    place.make("Pad", inputs, mode=mode)


RESIZES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor"},
    **{word: {"mode": "linear"} for word in ("linear", "bilinear", "trilinear")},
    "bicubic": {"mode": "cubic"},
}  # fmt: skip


def resize(place: Place) -> None:
    """A map at another size; positions lie as in PyTorch (without aligned corners)."""
    op = place.op
    if op.mode not in RESIZES:
        raise place.cannot(f"the mode {op.mode!r}")
    x, rank = place.value(), place.rank - 2
    settings = dict(RESIZES[op.mode])
    if op.scale is not None:
        scales = np.array([1, 1, *each_axis(op.scale, rank)], np.float32)
        inputs = [x, "", place.constant("scales", scales)]
    else:
        axes = list(range(2, rank + 2))
        settings["axes"] = axes
        inputs = [x, "", "", _ints(place, "size", each_axis(op.size, rank))]
    place.make("Resize", inputs, **settings)


def pixel_shuffle(place: Place) -> None:
    """Channels moved into space, in the order of Shi et al."""
    op = place.op
    if place.rank != 4:
        raise place.cannot(f"{place.rank - 2} spatial axes")
    inputs = [place.value()]
    place.make("DepthToSpace", inputs, blocksize=op.factor, mode="CRD")


REDUCTIONS = {
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
    "norm": "ReduceL2",
    "logsumexp": "ReduceLogSumExp",
}


def reduce(place: Place) -> None:
    """One number over some axes."""
    op = place.op
    if op.function not in REDUCTIONS:
        raise place.cannot(f"{op.function!r} over axes")
    over = [a % place.rank for a in each_axis(op.over, 1)]
    axes = place.constant("axes", np.array(over, np.int64))
    place.make(REDUCTIONS[op.function], [place.value(), axes], keepdims=int(op.keepdims))


def tensor(place: Place) -> None:
    """A stored tensor by itself."""
    place.make("Identity", [place.weight("weight")])


def matmul(place: Place) -> None:
    """A product of two tensors."""
    place.make("MatMul", place.values())


def einsum(place: Place) -> None:
    """A sum of products."""
    place.make("Einsum", place.values(), equation=place.op.equation)
