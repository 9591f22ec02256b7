"""The table of operations for PyTorch: maps are [batch, channels, height, width]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netledger import ops
from netledger.build.source.borders import Pads, effective_padding
from netledger.build.source.expression import Arg, Call, Items, Raw, call
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Table, Writer, batch_free, same
from netledger.errors import BuildError
from netledger.ops.base import Op
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool


def _arg(name: str, value: Any) -> Arg:
    return Arg(name, value)


def _key(name: str, value: Any, default: Any = ...) -> Arg:
    return Arg(name, value, True, default)


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows that PyTorch places: equal padding on both sides, ``same`` without a stride."""
    equal = all(before == after for before, after in around)
    if isinstance(op, Convolution):
        unit = same(op.stride) == 1
        return op if equal or (op.padding == "same" and unit) else None
    assert isinstance(op, Pool)
    if isinstance(op, ops.AvgPool) and op.padding == "same" and not equal:
        raise BuildError("PyTorch has no average pooling that leaves out padding on one side only")
    kernel = ops.base.each_axis(op.kernel_size, len(spatial))
    small = all(2 * before <= k for (before, _), k in zip(around, kernel, strict=True))
    if equal and small:
        return op
    declared = ops.window.pads(op.padding, len(spatial))
    even = all(2 * before == both for before, both in declared)
    clipped = op.rounding == "ceil_clipped" and not isinstance(op.padding, str)
    return op if clipped and even and small else None


def _padding(site: Site) -> Any:
    if site.op.padding == "same" and same(site.op.stride) == 1:
        around = effective_padding(site.op, site.spatial, site.made[2:])
        if any(before != after for before, after in around):
            return "same"
    around = effective_padding(site.op, site.spatial, site.made[2:])
    return same(tuple(before for before, _ in around))


def conv(site: Site) -> Written:
    """``nn.Conv1d``, ``nn.Conv2d``, ``nn.Conv3d``; depthwise ones have a group per channel."""
    op, channels = site.op, site.channels
    groups = channels if isinstance(op, ops.DepthwiseConv) else op.groups
    return Written(
        Call(
            f"nn.Conv{site.rank - 2}d",
            (
                _arg("in_channels", channels),
                _arg("out_channels", op.filters(channels)),
                _arg("kernel_size", same(op.kernel_size)),
                _key("stride", same(op.stride), 1),
                _key("padding", _padding(site), 0),
                _key("dilation", same(op.dilation), 1),
                _key("groups", groups, 1),
                _key("bias", op.bias, True),
            ),
        )
    )


def conv_transpose(site: Site) -> Written | None:
    """``nn.ConvTranspose2d``."""
    op = site.op
    declared = ops.window.pads(op.padding, site.rank - 2)
    if isinstance(op.padding, str) or any(2 * before != both for before, both in declared):
        return None
    return Written(
        Call(
            f"nn.ConvTranspose{site.rank - 2}d",
            (
                _arg("in_channels", site.channels),
                _arg("out_channels", op.out_channels),
                _arg("kernel_size", same(op.kernel_size)),
                _key("stride", same(op.stride), 1),
                _key("padding", same(tuple(before for before, _ in declared)), 0),
                _key("output_padding", same(op.output_padding), 0),
                _key("groups", op.groups, 1),
                _key("bias", op.bias, True),
                _key("dilation", same(op.dilation), 1),
            ),
        )
    )


BORDERS = {"zeros": "Zero", "reflect": "Reflection", "edge": "Replication", "wrap": "Circular"}
"""What paddings are called, by what the border is made of."""


def border(site: Site) -> Written | None:
    """``nn.ZeroPad2d``, ``nn.ConstantPad2d``: the last axis comes first."""
    op, rank = site.op, site.rank - 2
    if op.whole(site.rank):
        return None
    pairs = ops.window.pads(op.padding, rank)
    widths = same(tuple(w for before, both in reversed(pairs) for w in (before, both - before)))
    if op.mode in BORDERS:
        return Written(Call(f"nn.{BORDERS[op.mode]}Pad{rank}d", (_arg("padding", widths),)))
    if op.mode != "lowest":
        return None  # the number is not kept
    lowest = (_arg("padding", widths), _arg("value", float("-inf")))
    return Written(Call(f"nn.ConstantPad{rank}d", lowest))


def pool(site: Site) -> Written:
    """``nn.MaxPool2d``, ``nn.AvgPool2d``."""
    op, rank = site.op, site.rank - 2
    around = effective_padding(op, site.spatial, site.made[2:])
    upward = any(before != after for before, after in around) or op.rounding == "ceil_clipped"
    declared = ops.window.pads(op.padding, rank) if upward else ()
    before = tuple(b for b, _ in (declared or around))
    pairs = zip(around, declared, strict=False)
    overhangs = any(after > both - b for (b, after), (_, both) in pairs)
    args = [
        _arg("kernel_size", same(op.kernel_size)),
        _key("stride", same(op.step), same(op.kernel_size)),
        _key("padding", same(before), 0),
        _key("ceil_mode", overhangs, False),
    ]
    if isinstance(op, ops.MaxPool):
        args.append(_key("dilation", same(op.dilation), 1))
        return Written(Call(f"nn.MaxPool{rank}d", tuple(args)))
    args.append(_key("count_include_pad", not (op.padding == "same" and any(before)), True))
    return Written(Call(f"nn.AvgPool{rank}d", tuple(args)))


def adaptive(name: str) -> Writer:
    """``nn.AdaptiveAvgPool2d``."""

    def write(site: Site) -> Written:
        size = _arg("output_size", same(site.op.output_size))
        return Written(Call(f"nn.{name}{site.rank - 2}d", (size,)))

    return write


def global_pool(name: str, method: str) -> Writer:
    """A pooling to 1×1, or the mean or maximum over the axes of the map."""

    def write(site: Site) -> Written:
        axes = tuple(range(2, site.rank))
        if site.op.keepdims:
            return Written(Call(f"nn.{name}{site.rank - 2}d", (_arg("output_size", 1),)))
        return Written(inline=lambda x: call(f"{x[0]}.{method}", dim=axes))

    return write


def linear(site: Site) -> Written:
    """``nn.Linear``."""
    return Written(
        Call(
            "nn.Linear",
            (
                _arg("in_features", site.shape[-1]),
                _arg("out_features", site.op.out_features),
                _key("bias", site.op.bias, True),
            ),
        )
    )


def embedding(site: Site) -> Written:
    """``nn.Embedding``."""
    return Written(
        Call(
            "nn.Embedding",
            (
                _arg("num_embeddings", site.op.num_embeddings),
                _arg("embedding_dim", site.op.embedding_dim),
            ),
        )
    )


def batch_norm(site: Site) -> Written | None:
    """``nn.BatchNorm2d``; it has a scale and an offset, or neither."""
    op = site.op
    if op.scale != op.center:
        return None
    kind = "InstanceNorm" if isinstance(op, ops.InstanceNorm) else "BatchNorm"
    usual = kind == "BatchNorm"
    return Written(
        Call(
            f"nn.{kind}{max(site.rank - 2, 1)}d",
            (
                _arg("num_features", site.channels),
                _key("eps", op.epsilon, 1e-5),
                _key("momentum", _momentum(op), 0.1),
                _key("affine", op.scale, usual),
                _key("track_running_stats", op.running_stats, usual),
            ),
        )
    )


def _momentum(op: Any) -> float:
    """How much of the new statistics counts; the books keep how much of the old ones stays."""
    return float(round(1 - op.momentum, 12))


def group_norm(site: Site) -> Written | None:
    """``nn.GroupNorm``."""
    if site.op.scale != site.op.center:
        return None
    return Written(
        Call(
            "nn.GroupNorm",
            (
                _arg("num_groups", site.op.groups),
                _arg("num_channels", site.channels),
                _key("eps", site.op.epsilon, 1e-5),
                _key("affine", site.op.scale, True),
            ),
        )
    )


def layer_norm(site: Site) -> Written | None:
    """``nn.LayerNorm``, ``nn.RMSNorm``, over the last axes."""
    op = site.op
    over = ops.base.distinct_axes(op.over, site.rank)
    plain = isinstance(op, ops.RMSNorm)
    if over != tuple(range(site.rank - len(over), site.rank)) or (op.center and not op.scale):
        return None
    shape = tuple(site.shape[i] for i in over)
    args = [
        _arg("normalized_shape", same(shape) if len(shape) == 1 else shape),
        _key("eps", op.epsilon, 1e-5),
        _key("elementwise_affine", op.scale, True),
    ]
    if plain:
        return None if op.center else Written(Call("nn.RMSNorm", tuple(args)))
    return Written(Call("nn.LayerNorm", (*args, _key("bias", op.center, True))))


def local_response_norm(site: Site) -> Written:
    """``nn.LocalResponseNorm``, which divides alpha by the size, as the books do."""
    op = site.op
    return Written(
        Call(
            "nn.LocalResponseNorm",
            (
                _arg("size", op.size),
                _key("alpha", op.alpha, 1e-4),
                _key("beta", op.beta, 0.75),
                _key("k", op.k, 1.0),
            ),
        )
    )


ACTIVATIONS: dict[str, tuple[str, str]] = {
    "relu": ("nn.ReLU", "F.relu"),
    "relu6": ("nn.ReLU6", "F.relu6"),
    "leaky_relu": ("nn.LeakyReLU", "F.leaky_relu"),
    "elu": ("nn.ELU", "F.elu"),
    "selu": ("nn.SELU", "F.selu"),
    "celu": ("nn.CELU", "F.celu"),
    "gelu": ("nn.GELU", "F.gelu"),
    "silu": ("nn.SiLU", "F.silu"),
    "mish": ("nn.Mish", "F.mish"),
    "sigmoid": ("nn.Sigmoid", "torch.sigmoid"),
    "hard_sigmoid": ("nn.Hardsigmoid", "F.hardsigmoid"),
    "hard_swish": ("nn.Hardswish", "F.hardswish"),
    "tanh": ("nn.Tanh", "torch.tanh"),
    "softplus": ("nn.Softplus", "F.softplus"),
    "softsign": ("nn.Softsign", "F.softsign"),
    "exp": ("", "torch.exp"),
    "log": ("", "torch.log"),
    "sqrt": ("", "torch.sqrt"),
    "abs": ("", "torch.abs"),
    "negate": ("", "torch.neg"),
    "erf": ("", "torch.erf"),
}
"""For each function a module, if there is one, and a function."""


def activation(site: Site) -> Written | None:
    """A module in a chain, a function elsewhere."""
    if site.op.function not in ACTIVATIONS:
        return None  # the bounds of a clip are not kept
    module, function = ACTIVATIONS[site.op.function]
    made = Call(module) if module else None
    return Written(made, lambda x: call(function, Raw(x[0])))


def softmax(site: Site) -> Written:
    """``nn.Softmax``, ``nn.LogSoftmax``."""
    log, axis = site.op.log, site.op.axis % site.rank
    word, function = ("nn.LogSoftmax", "F.log_softmax") if log else ("nn.Softmax", "F.softmax")
    return Written(call(word, dim=axis), lambda x: call(function, Raw(x[0]), dim=axis))


def prelu(site: Site) -> Written | None:
    """``nn.PReLU``."""
    axis = site.op.channel_axis
    if axis is not None and axis % site.rank != 1:
        return None
    return Written(
        Call("nn.PReLU", (_key("num_parameters", 1 if axis is None else site.shape[1], 1),))
    )


def dropout(site: Site) -> Written:
    """``nn.Dropout``."""
    return Written(Call("nn.Dropout", (_arg("p", site.op.rate),)))


def flatten(site: Site) -> Written:
    """``nn.Flatten``."""
    first, last = site.op.start_dim % site.rank, site.op.end_dim % site.rank - site.rank
    module = Call("nn.Flatten", (_key("start_dim", first, 1), _key("end_dim", last, -1)))
    ends = (_arg("start_dim", first), _key("end_dim", last, -1))
    return Written(module, lambda x: Call("torch.flatten", (_arg("x", Raw(x[0])), *ends)))


def chained(sign: str) -> Writer:
    """Tensors with a sign between them: ``x + y``."""
    return lambda site: Written(inline=lambda x: Raw(f" {sign} ".join(x)))


def folded(function: str) -> Writer:
    """A function of two tensors, over as many as there are."""

    def fold(x: tuple[str, ...]) -> Any:
        value: Any = Raw(x[0])
        for name in x[1:]:
            value = call(function, value, Raw(name))
        return value

    return lambda site: Written(inline=fold)


def average(site: Site) -> Written:
    """The mean of some tensors."""
    return Written(inline=lambda x: Raw(f"({' + '.join(x)}) / {len(x)}"))


def joined(function: str) -> Writer:
    """``torch.cat``, ``torch.stack``."""

    def write(site: Site) -> Written:
        axis = site.op.axis
        return Written(
            inline=lambda x: call(function, Items(tuple(Raw(name) for name in x)), dim=axis)
        )

    return write


def split(site: Site) -> Written:
    """``torch.split``."""
    sizes, axis = site.op.sizes, site.op.axis
    targets = "{0}, = " if len(site.node.outputs) == 1 else ""
    return Written(
        inline=lambda x: call(
            "torch.split", Raw(x[0]), Items(sizes) if isinstance(sizes, tuple) else sizes, dim=axis
        ),
        targets=targets.removesuffix(" = "),
    )


def slice_(site: Site) -> Written:
    """Python's own slices."""
    op = site.op
    parts = [":"] * site.rank
    stop = "" if op.stop is None else str(op.stop)
    parts[op.axis % site.rank] = f"{op.start or ''}:{stop}" + (
        f":{op.step}" if op.step != 1 else ""
    )
    while parts[-1] == ":" and len(parts) > 1:
        parts.pop()
    inside = ", ".join(parts)
    return Written(inline=lambda x: Raw(f"{x[0]}[{inside}]"))


def reshape(site: Site) -> Written:
    """``Tensor.reshape``; the batch stays open."""
    shape = batch_free(site.made)
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``Tensor.permute``."""
    order = ops.base.each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.permute", *order))


def expand(site: Site) -> Written:
    """``Tensor.expand``."""
    shape = site.op.shape
    if any(not isinstance(d, int) for d in shape):
        return Written(inline=lambda x: call(f"{x[0]}.expand", *batch_free(shape)))
    return Written(inline=lambda x: call(f"{x[0]}.expand", *shape))


def reduce(site: Site) -> Written | None:
    """``Tensor.mean``, ``sum``, ``amax``, ``amin``."""
    methods = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin", "norm": "norm"}
    op = site.op
    if op.function not in methods:
        return None
    over = ops.base.distinct_axes(op.over, site.rank)
    axes = over[0] if len(over) == 1 else over
    ends = (_key("dim", axes), _key("keepdim", op.keepdims, False))
    return Written(inline=lambda x: Call(f"{x[0]}.{methods[op.function]}", ends))


def identity(site: Site) -> Written:
    """``nn.Identity``."""
    return Written(Call("nn.Identity"), lambda x: Raw(x[0]))


DTYPES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
)


def cast(site: Site) -> Written | None:
    """``Tensor.to``."""
    if site.op.to not in DTYPES:
        return None
    return Written(inline=lambda x: call(f"{x[0]}.to", Raw(f"torch.{site.op.to}")))


def einsum(site: Site) -> Written:
    """``torch.einsum``; `Einsum.terms` has checked that the equation is letters."""
    ins, out = site.op.terms(len(site.node.inputs))
    equation = f"{','.join(ins)}->{out}"
    return Written(inline=lambda x: call("torch.einsum", equation, *map(Raw, x)))


def attention(site: Site) -> Written | None:
    """``F.scaled_dot_product_attention``, without a mask."""
    if len(site.node.inputs) != 3 or site.row.input_types[1].shape[:-2] != site.shape[:-2]:
        return None
    return Written(inline=lambda x: call("F.scaled_dot_product_attention", *map(Raw, x)))


def pixel_shuffle(site: Site) -> Written | None:
    """``nn.PixelShuffle``."""
    return Written(Call("nn.PixelShuffle", (_arg("upscale_factor", site.op.factor),)))


def resize(site: Site) -> Written | None:
    """``nn.Upsample``: nearest neighbours only, about which all frameworks agree."""
    if site.op.mode != "nearest" or site.op.scale is None:
        return None
    return Written(Call("nn.Upsample", (_key("scale_factor", same(site.op.scale)),)))


def recurrent(name: str) -> Writer:
    """``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, from a state of zeros."""

    def write(site: Site) -> Written | None:
        op = site.op
        if len(site.node.inputs) > 1 or not op.return_sequences:
            return None
        if op.bias and op.bias_vectors != 2:
            return None
        args = [
            _arg("input_size", site.shape[-1]),
            _arg("hidden_size", op.hidden_size),
            _key("num_layers", op.num_layers, 1),
            _key("bias", op.bias, True),
            _key("batch_first", op.batch_first, False),
            _key("bidirectional", op.bidirectional, False),
        ]
        if getattr(op, "projection_size", None) is not None:
            args.append(_key("proj_size", op.projection_size, 0))
        outputs = len(site.node.outputs)
        states = {1: "_", 2: "{1}", 3: "({1}, {2})"}[outputs]
        if outputs == 2 and op.states == 2:
            states = "({1}, _)"
        return Written(Call(f"nn.{name}", tuple(args)), targets=f"{{0}}, {states}")

    return write


def _simple(function: str) -> Callable[[Site], Written]:
    return lambda site: Written(inline=lambda x: call(function, *map(Raw, x)))


WRITERS: dict[type[Op], Writer] = {
    ops.Conv: conv,
    ops.DepthwiseConv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: pool,
    ops.AvgPool: pool,
    ops.AdaptiveMaxPool: adaptive("AdaptiveMaxPool"),
    ops.AdaptiveAvgPool: adaptive("AdaptiveAvgPool"),
    ops.GlobalMaxPool: global_pool("AdaptiveMaxPool", "amax"),
    ops.GlobalAvgPool: global_pool("AdaptiveAvgPool", "mean"),
    ops.Linear: linear,
    ops.Embedding: embedding,
    ops.MatMul: _simple("torch.matmul"),
    ops.Einsum: einsum,
    ops.BatchNorm: batch_norm,
    ops.InstanceNorm: batch_norm,
    ops.GroupNorm: group_norm,
    ops.LayerNorm: layer_norm,
    ops.RMSNorm: layer_norm,
    ops.LocalResponseNorm: local_response_norm,
    ops.Activation: activation,
    ops.PReLU: prelu,
    ops.GLU: lambda site: Written(call("nn.GLU", dim=site.op.axis)),
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.Identity: identity,
    ops.Cast: cast,
    ops.Add: chained("+"),
    ops.Subtract: chained("-"),
    ops.Multiply: chained("*"),
    ops.Divide: chained("/"),
    ops.Power: chained("**"),
    ops.Maximum: folded("torch.maximum"),
    ops.Minimum: folded("torch.minimum"),
    ops.Average: average,
    ops.RNN: recurrent("RNN"),
    ops.GRU: recurrent("GRU"),
    ops.LSTM: recurrent("LSTM"),
    ops.ScaledDotProductAttention: attention,
    ops.Flatten: flatten,
    ops.Reshape: reshape,
    ops.Permute: permute,
    ops.Expand: expand,
    ops.Concat: joined("torch.cat"),
    ops.Stack: joined("torch.stack"),
    ops.Slice: slice_,
    ops.Split: split,
    ops.Pad: border,
    ops.Resize: resize,
    ops.PixelShuffle: pixel_shuffle,
    ops.Reduce: reduce,
}

TABLE = Table("PyTorch", WRITERS, fits, channels_last=False)
