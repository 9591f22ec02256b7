"""The table from Caffe's kinds of layers to operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netledger.errors import ShapeError, SpecError
from netledger.formula import Dim
from netledger.ops import (
    LSTM,
    RNN,
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    InstanceNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Maximum,
    MaxPool,
    Multiply,
    Op,
    Permute,
    Power,
    PReLU,
    Reduce,
    Repeat,
    Reshape,
    RMSNorm,
    Scale,
    Slice,
    Softmax,
    Split,
    Tensor,
)
from netledger.readers.caffe.layer import Layer
from netledger.readers.caffe.text import Message, shown

Chain = Sequence[Op]


def window(message: Message, field: str, short: str, default: int | None) -> Any:
    """A hyperparameter of a window: one number, one for each axis, or height and width."""
    pair = [f"{short}_h", f"{short}_w"]
    given = message.integers(field)
    if any(message.has(name) for name in pair):
        if given:
            raise SpecError(f"{message.name}: has both {field} and {pair[0]} or {pair[1]}")
        missing = 0 if default is None else default
        return tuple(message.integer(name, missing) for name in pair)
    if not given:
        if default is None:
            raise SpecError(f"{message.name} has no {field}")
        return default
    return given[0] if len(set(given)) == 1 and len(given) <= 3 else tuple(given)


def required(message: Message, field: str) -> int:
    """A hyperparameter that must be there."""
    if not message.has(field):
        raise SpecError(f"{message.name} has no {field}")
    return message.integer(field, 0)


def _windows(message: Message) -> dict[str, Any]:
    return {
        "kernel_size": window(message, "kernel_size", "kernel", None),
        "stride": window(message, "stride", "stride", 1),
        "padding": window(message, "pad", "pad", 0),
    }


def _convolution(layer: Layer, op: type[Conv] | type[ConvTranspose], depthwise: bool) -> Chain:
    p = layer.param("convolution")
    if p.integer("axis", 1) not in (1, -3):
        raise SpecError("convolution_param: only axis 1 is known as the channels")
    out = required(p, "num_output")
    dilation = p.integers("dilation")
    made = op(
        out_channels=out,
        **_windows(p),
        dilation=tuple(dilation) if len(dilation) > 1 else dilation[0] if dilation else 1,
        groups=p.integer("group", out if depthwise else 1),
        bias=p.flag("bias_term", True),
        channels_last=False,
    )
    return (made,)


def _pooling(layer: Layer) -> Chain:
    p = layer.param("pooling")
    maximum = p.word("pool", "MAX") in ("MAX", "0")
    if p.flag("global_pooling", False):
        made = GlobalMaxPool if maximum else GlobalAvgPool
        return (made(keepdims=True, channels_last=False),)
    windows = _windows(p)
    floor = p.word("round_mode", "CEIL") in ("FLOOR", "1") or not p.flag("ceil_mode", True)
    up = "ceil_clipped" if windows["padding"] not in (0, (0, 0)) else "ceil"
    pool = MaxPool if maximum else AvgPool
    return (pool(**windows, rounding="floor" if floor else up, channels_last=False),)


def _inner_product(layer: Layer) -> Chain:
    p = layer.param("inner_product")
    axis = layer.axis(p)
    linear = Linear(required(p, "num_output"), bias=p.flag("bias_term", True))
    flat = layer.shapes[:1] != (None,) and len(layer.shape) == axis + 1
    return (linear,) if flat else (Flatten(start_dim=axis), linear)


def _lrn(layer: Layer) -> Chain:
    p = layer.param("lrn")
    if p.word("norm_region", "ACROSS_CHANNELS") not in ("ACROSS_CHANNELS", "0"):
        layer.untold = "norm_region"
    made = LocalResponseNorm(
        size=p.integer("local_size", 5),
        alpha=p.number("alpha", 1),
        beta=p.number("beta", 0.75),
        k=p.number("k", 1),
        channels_last=False,
    )
    return (made,)


def _relu(layer: Layer) -> Chain:
    slope = layer.param("relu").number("negative_slope", 0)
    return (Activation("leaky_relu", alpha=slope) if slope else Activation("relu"),)


def _elu(layer: Layer) -> Chain:
    scale = layer.param("elu").number("alpha", 1)
    return (Activation("elu", alpha=None if scale == 1 else scale),)


def _clip(layer: Layer) -> Chain:
    p = layer.param("clip")
    ends = {k: p.number(w, 0) for k, w in (("low", "min"), ("high", "max")) if p.has(w)}
    return (Activation("clip", low=ends.get("low"), high=ends.get("high")),)


def _power(layer: Layer) -> Chain:
    p = layer.param("power")
    if p.number("scale", 1) != 1 or p.number("shift", 0) != 0:
        layer.untold = "scale and shift"
    return (Power(constant=p.number("power", 1)),)


def _prelu(layer: Layer) -> Chain:
    shared = layer.param("prelu").flag("channel_shared", False)
    return (PReLU(channel_axis=None if shared else 1),)


def _softmax(layer: Layer) -> Chain:
    layer.first()
    return (Softmax(axis=layer.axis(layer.param("softmax"))),)


def _concat(layer: Layer) -> Chain:
    p = layer.param("concat")
    return (Concat(axis=p.integer("concat_dim", 1) if p.has("concat_dim") else layer.axis(p)),)


def _eltwise(layer: Layer) -> Chain:
    word = layer.param("eltwise").word("operation", "SUM")
    kinds = {"SUM": Add, "1": Add, "PROD": Multiply, "0": Multiply, "MAX": Maximum, "2": Maximum}
    if word not in kinds:
        raise SpecError(f"eltwise_param: unknown operation {shown(word)}")
    if set(layer.param("eltwise").numbers("coeff")) - {1}:
        layer.untold = "coeff"
    return (kinds[word](),)


def _batch_norm(layer: Layer) -> Chain:
    p = layer.param("batch_norm")
    affine, epsilon = p.flag("scale_bias", False), p.number("eps", 1e-5)
    op = BatchNorm(scale=affine, center=affine, epsilon=epsilon, channels_last=False)
    return (op,)


def _scale(layer: Layer) -> Chain | None:
    p = layer.param("scale")
    if len(layer.inputs) == 2:
        return None
    over = _covered(layer, p)
    return None if over is None else (Scale(over=over, center=p.flag("bias_term", False)),)


def _bias(layer: Layer) -> Chain | None:
    over = _covered(layer, layer.param("bias")) if len(layer.inputs) == 1 else None
    return None if over is None else (Scale(over=over, scale=False),)


def _covered(layer: Layer, p: Message) -> Any:
    """The axes whose positions have a factor each; None for a single factor for all."""
    axis, count = layer.axis(p), p.integer("num_axes", 1)
    if count == -1:
        count = len(layer.shape) - axis
    if not 1 <= count <= 16:
        return None
    return axis if count == 1 else tuple(range(axis, axis + count))


def _slice(layer: Layer) -> Chain | None:
    p = layer.param("slice")
    axis = p.integer("slice_dim", 1) if p.has("slice_dim") else layer.axis(p)
    if not 0 <= axis < len(layer.shape):
        raise ShapeError(f"axis {axis} does not exist in a tensor of {len(layer.shape)} axes")
    size = layer.shape[axis]
    points = p.integers("slice_point")
    count = len(layer.tops)
    if points:
        if len(points) != count - 1:
            raise SpecError(f"slice_param has {len(points)} slice_point for {count} tops")
        ends = [*points, size]
        sizes = [end - start for start, end in zip([0, *points], ends, strict=True)]
    else:
        if count < 1 or (isinstance(size, int) and size % count):
            raise ShapeError(f"cannot cut an axis of {size} into {count} equal parts")
        sizes = [size // count] * count
    if any(isinstance(part, int) and part < 1 for part in sizes):
        raise ShapeError(f"slice_param: the points do not rise, or pass the end of {size}")
    if len(sizes) == 1:
        return (Slice(axis=axis),)
    return (Split(tuple(sizes), axis=axis),) if len(sizes) <= 16 else None


def _flatten(layer: Layer) -> Chain:
    p = layer.param("flatten")
    return (Flatten(start_dim=p.integer("axis", 1), end_dim=p.integer("end_axis", -1)),)


def _reshape(layer: Layer) -> Chain:
    p = layer.param("reshape")
    rank = len(layer.shape)
    start = p.integer("axis", 0)
    start = start + rank + 1 if start < 0 else start
    count = p.integer("num_axes", -1)
    end = rank if count == -1 else start + count
    dims: list[Dim] = []
    for i, d in enumerate(p.message("shape").integers("dim")):
        if d == 0 and start + i >= rank:
            raise ShapeError(f"reshape_param: there is no axis {start + i} to copy")
        dims.append(layer.shape[start + i] if d == 0 else d)
    new = (*layer.shape[:start], *dims, *layer.shape[end:])
    whole = bool(new) and rank > 0 and (new[0] is layer.shape[0] or new[0] == layer.batch)
    return (Reshape(new[1:] if whole else new, keep_batch=whole),)


def _embed(layer: Layer) -> Chain:
    p = layer.param("embed")
    table = Embedding(required(p, "input_dim"), required(p, "num_output"))
    if not p.flag("bias_term", True):
        return (table,)
    return (table, Scale(over=-1, scale=False))


def _recurrent(kind: type[LSTM | RNN]) -> Callable[[Layer], Chain | None]:
    def chain(layer: Layer) -> Chain | None:
        p = layer.param("recurrent")
        if len(layer.inputs) > 2 or p.flag("expose_hidden", False):
            return None
        layer.first()  # the second says where sequences begin
        size = required(p, "num_output")
        ops: list[Op] = [] if len(layer.shape) == 3 else [Flatten(start_dim=2)]
        ops.append(kind(size, bias_vectors=1, batch_first=False))
        if kind is RNN:  # Caffe's has an output layer of its own
            ops += [Linear(size), Activation("tanh")]
        return ops

    return chain


def _tile(layer: Layer) -> Chain:
    p = layer.param("tile")
    axis, rank = layer.axis(p), len(layer.shape)
    times = [1] * max(rank, 1)
    if not 0 <= axis < len(times):
        raise ShapeError(f"tile_param: there is no axis {axis}")
    times[axis] = required(p, "tiles")
    return (Repeat(times),)


def _crop_layer(layer: Layer) -> Chain:
    p = layer.param("crop")
    if len(layer.shapes) != 2:
        raise SpecError(f"takes 2 inputs; got {len(layer.shapes)}")
    reference: tuple[Any, ...] = layer.shapes[1] or ()
    layer.first()
    axis, offsets = layer.axis(p, 2), p.integers("offset") or [0]
    axes = range(axis, min(len(layer.shape), len(reference)))
    if len(offsets) not in (1, len(axes)):
        raise SpecError(f"crop_param has {len(offsets)} offsets for {len(axes)} axes")
    starts = offsets * len(axes) if len(offsets) == 1 else offsets
    for i, start in zip(axes, starts, strict=True):
        size, left = layer.shape[i], reference[i]
        if isinstance(size, int) and isinstance(left, int) and not 0 <= start <= size - left:
            raise ShapeError(f"cannot cut {left} out of {size} from {start} on, along axis {i}")
    cuts = [
        Slice(axis=i, start=start, stop=start + reference[i])
        for i, start in zip(axes, starts, strict=True)
    ]
    return cuts or (Slice(axis=1),)


def _reduction(layer: Layer) -> Chain:
    p = layer.param("reduction")
    over = tuple(range(layer.axis(p, 0), len(layer.shape))) or (0,)
    mean = p.word("operation", "SUM") in ("MEAN", "4")
    return (Reduce(over=over, function="mean" if mean else "sum"),)


def _mvn(layer: Layer) -> Chain:
    if layer.param("mvn").flag("across_channels", False):
        return (LayerNorm(over=tuple(range(1, len(layer.shape))) or 1, scale=False, center=False),)
    return (InstanceNorm(channels_last=False),)


def _normalize(layer: Layer) -> Chain | None:
    shared = layer.param("norm").flag("channel_shared", True)
    return None if shared else (RMSNorm(over=1),)


def _activation(function: str) -> Callable[[Layer], Chain]:
    """A function whose settings, if it is given any, are not kept."""

    def rule(layer: Layer) -> Chain:
        given = layer.param(layer.type.lower())
        layer.untold = next((field for field in given.fields if field != "engine"), "")
        return (Activation(function),)

    return rule


CHAINS: Mapping[str, Callable[[Layer], Chain | None]] = {
    "Convolution": lambda layer: _convolution(layer, Conv, False),
    "ConvolutionDepthwise": lambda layer: _convolution(layer, Conv, True),
    "DepthwiseConvolution": lambda layer: _convolution(layer, Conv, True),
    "Deconvolution": lambda layer: _convolution(layer, ConvTranspose, False),
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "ReLU": _relu,
    "PReLU": _prelu,
    "ReLU6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "TanH": _activation("tanh"),
    "ELU": _elu,
    "AbsVal": _activation("abs"),
    "Exp": _activation("exp"),
    "Log": _activation("log"),
    "BNLL": _activation("softplus"),
    "Swish": _activation("silu"),
    "Clip": _clip,
    "Power": _power,
    "Dropout": lambda layer: (Dropout(layer.param("dropout").number("dropout_ratio", 0.5)),),
    "Softmax": _softmax,
    "SoftmaxWithLoss": _softmax,
    "Concat": _concat,
    "Eltwise": _eltwise,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Bias": _bias,
    "Slice": _slice,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Embed": _embed,
    "LSTM": _recurrent(LSTM),
    "RNN": _recurrent(RNN),
    "Tile": _tile,
    "Crop": _crop_layer,
    "Reduction": _reduction,
    "MVN": _mvn,
    "Normalize": _normalize,
    "Permute": lambda layer: (Permute(tuple(layer.param("permute").integers("order"))),),
    "Parameter": lambda layer: (
        Tensor(tuple(layer.param("parameter").message("shape").integers("dim"))),
    ),
}
"""For each kind of layer the operations that it is, one after the other; None if unknown."""
