"""The table of operations for Keras: maps are [batch, height, width, channels]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netledger import ops
from netledger.build.source.borders import Pads
from netledger.build.source.expression import Arg, Call, Items, Raw, call
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Table, Writer, same
from netledger.errors import BuildError
from netledger.ops.base import Op, distinct_axes, each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import span


def _arg(name: str, value: Any) -> Arg:
    return Arg(name, value)


def _key(name: str, value: Any, default: Any = ...) -> Arg:
    return Arg(name, value, True, default)


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows that Keras places: without padding, ``same``, and ``causal`` along one axis."""
    word = _placed(op, around, spatial)
    if isinstance(op, Convolution):
        return replace(op, padding=word, rounding="floor") if word else None
    assert isinstance(op, Pool)
    if isinstance(op, ops.AvgPool) and word != "valid":
        _check_average(op, word)
        if op.padding != "same" and any(b for b, _ in around):
            return None  # zeros count
    return replace(op, padding=word, rounding="floor") if word else None


def _check_average(op: ops.AvgPool, word: str) -> None:
    """What hangs over the map or is left out of an average, Keras must be able to leave out."""
    overhangs = op.rounding != "floor"
    if (overhangs or op.padding == "same") and word != "same":
        raise BuildError("Keras cannot leave out of an average what lies outside of the map")
    if overhangs and op.padding not in (0, "valid", "same"):
        raise BuildError("Keras cannot count some of the padding in an average and not the rest")


def _placed(op: Any, around: Pads, spatial: tuple[int, ...]) -> str:
    """The word for a padding, or nothing."""
    rank = len(spatial)
    stride = op.step if isinstance(op, Pool) else op.stride
    spacing = op.spacing if isinstance(op, Pool) else op.dilation
    if all(pair == (0, 0) for pair in around):
        return "valid"
    if op.padding == "causal" and rank == 1:
        return "causal"
    wanted = []
    for i, k, s, d in zip(
        spatial,
        each_axis(op.kernel_size, rank),
        each_axis(stride, rank),
        each_axis(spacing, rank),
        strict=True,
    ):
        both = max((-(-i // s) - 1) * s + span(k, d) - i, 0)
        wanted.append((both // 2, both - both // 2))
    return "same" if tuple(wanted) == _used(around, op, spatial) else ""


def _used(around: Pads, op: Any, spatial: tuple[int, ...]) -> Pads:
    """The padding without what no window reaches."""
    rank = len(spatial)
    found = []
    stride = op.step if isinstance(op, Pool) else op.stride
    spacing = op.spacing if isinstance(op, Pool) else op.dilation
    for (before, after), i, k, s, d in zip(
        around,
        spatial,
        each_axis(op.kernel_size, rank),
        each_axis(stride, rank),
        each_axis(spacing, rank),
        strict=True,
    ):
        idle = (i + before + after - span(k, d)) % s
        found.append((before, after - idle if idle <= after else after))
    return tuple(found)


def conv(site: Site) -> Written:
    """``layers.Conv1D``, ``Conv2D``, ``Conv3D``; ``layers.DepthwiseConv2D``."""
    op, rank = site.op, site.rank - 2
    ends = (
        _key("strides", same(op.stride), 1),
        _key("padding", op.padding or "valid", "valid"),
        _key("dilation_rate", same(op.dilation), 1),
    )
    kernel = _arg("kernel_size", same(op.kernel_size))
    bias = _key("use_bias", op.bias, True)
    if isinstance(op, ops.DepthwiseConv):
        multiplier = _key("depth_multiplier", op.depth_multiplier, 1)
        return Written(Call(f"layers.DepthwiseConv{rank}D", (kernel, multiplier, *ends, bias)))
    filters = _arg("filters", op.out_channels)
    groups = _key("groups", op.groups, 1)
    return Written(Call(f"layers.Conv{rank}D", (filters, kernel, *ends, groups, bias)))


def conv_transpose(site: Site) -> Written | None:
    """``layers.Conv2DTranspose``, with a padding that Keras has a word for."""
    op, rank = site.op, site.rank - 2
    strides = each_axis(op.stride, rank)
    plain = op.padding == 0 and op.output_padding == 0
    wide = all(k >= s for k, s in zip(each_axis(op.kernel_size, rank), strides, strict=True))
    word = op.padding if isinstance(op.padding, str) else "valid" if plain and wide else ""
    if not word or op.groups != 1:
        return None
    return Written(
        Call(
            f"layers.Conv{rank}DTranspose",
            (
                _arg("filters", op.out_channels),
                _arg("kernel_size", same(op.kernel_size)),
                _key("strides", same(op.stride), 1),
                _key("padding", word, "valid"),
                _key("dilation_rate", same(op.dilation), 1),
                _key("use_bias", op.bias, True),
            ),
        )
    )


def pad(site: Site) -> Written | None:
    """``layers.ZeroPadding2D``, or `keras.ops.pad` of what a maximum ignores."""
    op, rank = site.op, site.rank - 2
    if op.whole(site.rank):
        return None
    pairs = tuple((b, both - b) for b, both in ops.window.pads(op.padding, rank))
    if any(min(pair) < 0 for pair in pairs):
        return None
    if op.mode == "zeros":
        around: Any = pairs
        if all(before == after for before, after in pairs):
            around = same(tuple(before for before, _ in pairs))
        elif rank == 1:
            around = pairs[0]
        return Written(Call(f"layers.ZeroPadding{rank}D", (_arg("padding", around),)))
    if op.mode != "lowest":
        return None
    every = ((0, 0), *pairs, (0, 0))
    return Written(
        inline=lambda x: call("ops.pad", Raw(x[0]), every, constant_values=float("-inf"))
    )


def pool(site: Site) -> Written | None:
    """``layers.MaxPooling2D``, ``layers.AveragePooling2D``."""
    op, rank = site.op, site.rank - 2
    if same(op.spacing) != 1:
        return None
    word = "Max" if isinstance(op, ops.MaxPool) else "Average"
    return Written(
        Call(
            f"layers.{word}Pooling{rank}D",
            (
                _arg("pool_size", same(op.kernel_size)),
                _key("strides", same(op.step), same(op.kernel_size)),
                _key("padding", op.padding or "valid", "valid"),
            ),
        )
    )


def adaptive(word: str) -> Writer:
    """``layers.GlobalAveragePooling2D``; to other sizes ``layers.AdaptiveAveragePooling2D``."""

    def write(site: Site) -> Written:
        rank = site.rank - 2
        size = same(site.op.output_size)
        if size == 1:
            return Written(call(f"layers.Global{word}Pooling{rank}D", keepdims=True))
        return Written(Call(f"layers.Adaptive{word}Pooling{rank}D", (_arg("output_size", size),)))

    return write


def global_pool(word: str) -> Writer:
    """``layers.GlobalAveragePooling2D``."""

    def write(site: Site) -> Written:
        keep = _key("keepdims", site.op.keepdims, False)
        return Written(Call(f"layers.Global{word}Pooling{site.rank - 2}D", (keep,)))

    return write


def linear(site: Site) -> Written:
    """``layers.Dense``."""
    units = _arg("units", site.op.out_features)
    return Written(Call("layers.Dense", (units, _key("use_bias", site.op.bias, True))))


def embedding(site: Site) -> Written:
    """``layers.Embedding``."""
    return Written(
        Call(
            "layers.Embedding",
            (_arg("input_dim", site.op.num_embeddings), _arg("output_dim", site.op.embedding_dim)),
        )
    )


def batch_norm(site: Site) -> Written | None:
    """``layers.BatchNormalization``."""
    op = site.op
    if not op.running_stats:
        return None
    return Written(
        Call(
            "layers.BatchNormalization",
            (
                _key("momentum", op.momentum, 0.99),
                _key("epsilon", op.epsilon, 1e-3),
                _key("center", op.center, True),
                _key("scale", op.scale, True),
            ),
        )
    )


def group_norm(site: Site) -> Written:
    """``layers.GroupNormalization``."""
    op = site.op
    return Written(
        Call(
            "layers.GroupNormalization",
            (
                _key("groups", op.groups, 32),
                _key("epsilon", op.epsilon, 1e-3),
                _key("center", op.center, True),
                _key("scale", op.scale, True),
            ),
        )
    )


def layer_norm(site: Site) -> Written | None:
    """``layers.LayerNormalization``, over the last axes."""
    op = site.op
    over = distinct_axes(op.over, site.rank)
    if over != tuple(range(site.rank - len(over), site.rank)):
        return None
    axis = -1 if len(over) == 1 else over
    ends = (_key("axis", axis, -1), _key("epsilon", op.epsilon, 1e-3))
    if isinstance(op, ops.RMSNorm):
        plain = op.scale and not op.center
        return Written(Call("layers.RMSNormalization", ends)) if plain else None
    given = (_key("center", op.center, True), _key("scale", op.scale, True))
    return Written(Call("layers.LayerNormalization", (*ends, *given)))


def local_response_norm(site: Site) -> Written:
    """A class of its own, which stands in the generated file: Keras has none."""
    op = site.op
    return Written(
        Call(
            "LocalResponseNormalization",
            (
                _arg("size", op.size),
                _key("alpha", op.alpha, 1e-4),
                _key("beta", op.beta, 0.75),
                _key("k", op.k, 1.0),
            ),
        )
    )


WORDS = {
    "relu6": "relu6",
    "elu": "elu",
    "selu": "selu",
    "celu": "celu",
    "silu": "silu",
    "mish": "mish",
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid",
    "hard_swish": "hard_silu",
    "tanh": "tanh",
    "softplus": "softplus",
    "softsign": "softsign",
    "exp": "exponential",
}
"""Activations that Keras knows by a word."""
FUNCTIONS = {"log": "log", "sqrt": "sqrt", "abs": "abs", "negate": "negative", "erf": "erf"}
"""Functions of `keras.ops`."""


def activation(site: Site) -> Written | None:
    """``layers.ReLU``, ``layers.Activation``."""
    function = site.op.function
    if function == "relu":
        return Written(call("layers.ReLU"))
    if function == "leaky_relu":
        return Written(call("layers.LeakyReLU", negative_slope=0.01))
    if function == "gelu":
        return Written(inline=lambda x: call("ops.gelu", Raw(x[0]), approximate=False))
    if function in FUNCTIONS:
        return Written(inline=lambda x: call(f"ops.{FUNCTIONS[function]}", Raw(x[0])))
    if function not in WORDS:
        return None  # the bounds of a clip are not kept
    return Written(Call("layers.Activation", (_arg("activation", WORDS[function]),)))


def softmax(site: Site) -> Written:
    """``layers.Softmax``."""
    axis = site.op.axis % site.rank
    if site.op.log:
        return Written(inline=lambda x: call("ops.log_softmax", Raw(x[0]), axis=axis))
    last = -1 if axis == site.rank - 1 else axis
    return Written(Call("layers.Softmax", (_key("axis", last, -1),)))


def prelu(site: Site) -> Written | None:
    """``layers.PReLU``, a slope per channel."""
    axis = site.op.channel_axis
    if axis is None or axis % site.rank != site.rank - 1:
        return None
    shared = tuple(range(1, site.rank - 1))
    return Written(Call("layers.PReLU", (_key("shared_axes", shared, ()),)))


def dropout(site: Site) -> Written:
    """``layers.Dropout``."""
    return Written(Call("layers.Dropout", (_arg("rate", site.op.rate),)))


def reshape(site: Site) -> Written | None:
    """``layers.Reshape``: the batch stays."""
    if site.made[0] != site.shape[0] or not all(isinstance(d, int) for d in site.made[1:]):
        return None
    return Written(Call("layers.Reshape", (_arg("target_shape", site.made[1:]),)))


def flatten(site: Site) -> Written | None:
    """``layers.Flatten``."""
    op = site.op
    if op.start_dim % site.rank == 1 and op.end_dim % site.rank == site.rank - 1:
        return Written(Call("layers.Flatten"))
    return reshape(site)


def permute(site: Site) -> Written | None:
    """``layers.Permute``: the batch stays where it is."""
    order = each_axis(site.op.order, 1)
    return Written(Call("layers.Permute", (_arg("dims", order[1:]),))) if order[0] == 0 else None


def merge(name: str) -> Writer:
    """``layers.Add``, ``layers.Multiply`` and their like."""
    return lambda site: Written(Call(f"layers.{name}"))


def chained(sign: str) -> Writer:
    """Tensors with a sign between them."""
    return lambda site: Written(inline=lambda x: Raw(f" {sign} ".join(x)))


def concat(site: Site) -> Written:
    """``layers.Concatenate``."""
    axis = site.op.axis % site.rank
    last = -1 if axis == site.rank - 1 else axis
    return Written(Call("layers.Concatenate", (_key("axis", last, -1),)))


def stack(site: Site) -> Written:
    """`keras.ops.stack`."""
    axis = site.op.axis
    return Written(inline=lambda x: call("ops.stack", Items(tuple(map(Raw, x))), axis=axis))


def split(site: Site) -> Written | None:
    """`keras.ops.split`, at the positions where parts begin."""
    axis = site.op.axis % site.rank
    parts = site.op.parts(site.shape[axis])
    if len(parts) != len(site.node.outputs) or len(parts) < 2:
        return None
    starts = Items(tuple(sum(parts[:i]) for i in range(1, len(parts))))
    return Written(inline=lambda x: call("ops.split", Raw(x[0]), starts, axis=axis))


def slice_(site: Site) -> Written:
    """Python's own slices."""
    op = site.op
    parts = [":"] * site.rank
    stop = "" if op.stop is None else str(op.stop)
    step = f":{op.step}" if op.step != 1 else ""
    parts[op.axis % site.rank] = f"{op.start or ''}:{stop}{step}"
    while parts[-1] == ":" and len(parts) > 1:
        parts.pop()
    inside = ", ".join(parts)
    return Written(inline=lambda x: Raw(f"{x[0]}[{inside}]"))


def reduce(site: Site) -> Written | None:
    """`keras.ops.mean`, ``sum``, ``max``, ``min``, ``prod``."""
    op = site.op
    if op.function == "norm":
        return None
    over = distinct_axes(op.over, site.rank)
    ends = (_key("axis", over[0] if len(over) == 1 else over), _key("keepdims", op.keepdims, False))
    return Written(inline=lambda x: Call(f"ops.{op.function}", (_arg("x", Raw(x[0])), *ends)))


def resize(site: Site) -> Written | None:
    """``layers.UpSampling2D``: nearest neighbours only, about which all frameworks agree."""
    if site.op.mode != "nearest" or site.op.scale is None:
        return None
    size = _arg("size", same(site.op.scale))
    return Written(Call(f"layers.UpSampling{site.rank - 2}D", (size,)))


def einsum(site: Site) -> Written:
    """`keras.ops.einsum`; `Einsum.terms` has checked that the equation is letters."""
    ins, out = site.op.terms(len(site.node.inputs))
    equation = f"{','.join(ins)}->{out}"
    return Written(inline=lambda x: call("ops.einsum", equation, *map(Raw, x)))


def lstm(site: Site) -> Written | None:
    """``layers.LSTM``, from a state of zeros; Keras has one bias."""
    op = site.op
    plain = op.num_layers == 1 and not op.bidirectional and op.projection_size is None
    if not plain or not op.batch_first or (op.bias and op.bias_vectors != 1):
        return None
    if len(site.node.inputs) > 1 or len(site.node.outputs) > 1:
        return None
    ends = (
        _key("return_sequences", op.return_sequences, False),
        _key("use_bias", op.bias, True),
    )
    return Written(Call("layers.LSTM", (_arg("units", op.hidden_size), *ends)))


WRITERS: dict[type[Op], Writer] = {
    ops.Conv: conv,
    ops.DepthwiseConv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: pool,
    ops.AvgPool: pool,
    ops.AdaptiveMaxPool: adaptive("Max"),
    ops.AdaptiveAvgPool: adaptive("Average"),
    ops.GlobalMaxPool: global_pool("Max"),
    ops.GlobalAvgPool: global_pool("Average"),
    ops.Linear: linear,
    ops.Embedding: embedding,
    ops.MatMul: lambda site: Written(inline=lambda x: call("ops.matmul", *map(Raw, x))),
    ops.Einsum: einsum,
    ops.BatchNorm: batch_norm,
    ops.GroupNorm: group_norm,
    ops.LayerNorm: layer_norm,
    ops.RMSNorm: layer_norm,
    ops.LocalResponseNorm: local_response_norm,
    ops.Activation: activation,
    ops.PReLU: prelu,
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.Identity: lambda site: Written(Call("layers.Identity")),
    ops.Add: merge("Add"),
    ops.Subtract: merge("Subtract"),
    ops.Multiply: merge("Multiply"),
    ops.Divide: chained("/"),
    ops.Power: chained("**"),
    ops.Maximum: merge("Maximum"),
    ops.Minimum: merge("Minimum"),
    ops.Average: merge("Average"),
    ops.LSTM: lstm,
    ops.Flatten: flatten,
    ops.Reshape: reshape,
    ops.Permute: permute,
    ops.Concat: concat,
    ops.Stack: stack,
    ops.Slice: slice_,
    ops.Split: split,
    ops.Pad: pad,
    ops.Resize: resize,
    ops.Reduce: reduce,
}

TABLE = Table("Keras", WRITERS, fits, channels_last=True)
