"""The table of operations for JAX (flax nnx): maps are [batch, height, width, channels]."""

from __future__ import annotations

from typing import Any

from netledger import ops
from netledger.build.source.borders import Pads, effective_padding
from netledger.build.source.expression import Arg, Call, Items, Raw, call
from netledger.build.source.initialisation import published
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Table, Writer, batch_free, same
from netledger.ops.base import Op, distinct_axes, each_axis
from netledger.ops.window import pads

RNGS = Arg("rngs", Raw("rngs"), True)
"""What every layer with numbers of its own takes."""


def _arg(name: str, value: Any) -> Arg:
    return Arg(name, value)


def _key(name: str, value: Any, default: Any = ...) -> Arg:
    return Arg(name, value, True, default)


def layer(name: str, *args: Arg) -> Written:
    """A layer of flax."""
    return Written(Call(f"nnx.{name}", (*args, RNGS)))


def inline(function: str, *args: Any, **named: Any) -> Written:
    """A function of the inputs."""
    return Written(inline=lambda x: call(function, *map(Raw, x), *args, **named))


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows are placed by JAX itself, which takes any border."""
    return op  # type: ignore[no-any-return]


# --- layers with weights ---


def initialised(site: Site) -> tuple[Arg, ...]:
    """Initial weights and biases, where they are published."""
    known = published(site.net.origin)
    if known is None:
        return ()
    found = [_key("kernel_init", Raw(f"nnx.initializers.normal({known.std!r})"))]
    if site.op.bias and site.node.name in known.ones:
        found.append(_key("bias_init", Raw("nnx.initializers.ones")))
    return tuple(found)


def _padding(site: Site) -> Any:
    around = _around(site)
    equal = all(before == after for before, after in around)
    return same(tuple(before for before, _ in around)) if equal else around


def _around(site: Site) -> Pads:
    return effective_padding(site.op, site.spatial, site.made[1:-1])


def conv(site: Site) -> Written:
    """``nnx.Conv``; depthwise ones have a group per channel."""
    op, channels = site.op, site.channels
    groups = channels if isinstance(op, ops.DepthwiseConv) else op.groups
    return layer(
        "Conv",
        _arg("in_features", channels),
        _arg("out_features", op.filters(channels)),
        _key("kernel_size", each_axis(op.kernel_size, site.rank - 2)),
        _key("strides", same(op.stride), 1),
        _key("padding", _padding(site)),
        _key("kernel_dilation", same(op.dilation), 1),
        _key("feature_group_count", groups, 1),
        _key("use_bias", op.bias, True),
        *initialised(site),
    )


def conv_transpose(site: Site) -> Written | None:
    """``nnx.ConvTranspose``, whose padding is that of the convolution on the spread-out map."""
    op, rank = site.op, site.rank - 2
    if isinstance(op.padding, str) or op.groups != 1:
        return None
    around = []
    for k, d, (before, both), extra in zip(
        each_axis(op.kernel_size, rank),
        each_axis(op.dilation, rank),
        pads(op.padding, rank),
        each_axis(op.output_padding, rank),
        strict=True,
    ):
        reach = d * (k - 1)
        around.append((reach - before, reach - (both - before) + extra))
    return layer(
        "ConvTranspose",
        _arg("in_features", site.channels),
        _arg("out_features", op.out_channels),
        _key("kernel_size", each_axis(op.kernel_size, rank)),
        _key("strides", each_axis(op.stride, rank)),
        _key("padding", tuple(around)),
        _key("kernel_dilation", same(op.dilation), 1),
        _key("use_bias", op.bias, True),
    )


def linear(site: Site) -> Written:
    """``nnx.Linear``."""
    return layer(
        "Linear",
        _arg("in_features", site.shape[-1]),
        _arg("out_features", site.op.out_features),
        _key("use_bias", site.op.bias, True),
        *initialised(site),
    )


def embedding(site: Site) -> Written:
    """``nnx.Embed``."""
    sizes = (
        _arg("num_embeddings", site.op.num_embeddings),
        _arg("features", site.op.embedding_dim),
    )
    return layer("Embed", *sizes)


def batch_norm(site: Site) -> Written | None:
    """``nnx.BatchNorm``."""
    op = site.op
    if not op.running_stats:
        return None
    return layer(
        "BatchNorm",
        _arg("num_features", site.channels),
        _key("momentum", op.momentum, 0.99),
        _key("epsilon", op.epsilon, 1e-5),
        *_affine(site),
    )


def _affine(site: Site) -> tuple[Arg, ...]:
    return _key("use_scale", site.op.scale, True), _key("use_bias", site.op.center, True)


def instance_norm(site: Site) -> Written | None:
    """``nnx.InstanceNorm``."""
    if site.op.running_stats:
        return None
    epsilon = _key("epsilon", site.op.epsilon, 1e-6)
    return layer("InstanceNorm", _arg("num_features", site.channels), epsilon, *_affine(site))


def group_norm(site: Site) -> Written:
    """``nnx.GroupNorm``."""
    return layer(
        "GroupNorm",
        _arg("num_features", site.channels),
        _key("num_groups", site.op.groups, 32),
        _key("epsilon", site.op.epsilon, 1e-6),
        *_affine(site),
    )


def layer_norm(site: Site) -> Written | None:
    """``nnx.LayerNorm``, ``nnx.RMSNorm``, over the last axis."""
    op = site.op
    if distinct_axes(op.over, site.rank) != (site.rank - 1,):
        return None
    args = (_arg("num_features", site.shape[-1]), _key("epsilon", op.epsilon, 1e-6))
    if not isinstance(op, ops.RMSNorm):
        return layer("LayerNorm", *args, *_affine(site))
    return None if op.center else layer("RMSNorm", *args, _key("use_scale", op.scale, True))


def prelu(site: Site) -> Written | None:
    """``nnx.PReLU``, which has one slope."""
    return Written(call("nnx.PReLU")) if site.op.channel_axis is None else None


def dropout(site: Site) -> Written:
    """``nnx.Dropout``."""
    return layer("Dropout", _arg("rate", site.op.rate))


def multi_head(site: Site) -> Written | None:
    """``nnx.MultiHeadAttention`` on one tensor."""
    op, features = site.op, site.shape[-1]
    d, d_v, out = op.widths(site.shape)
    if len(site.node.inputs) > 1 or d != d_v or not op.batch_first:
        return None
    return layer(
        "MultiHeadAttention",
        _key("num_heads", op.num_heads),
        _key("in_features", features),
        _key("qkv_features", op.num_heads * d, features),
        _key("out_features", out, features),
        _key("use_bias", op.bias, True),
        _key("decode", False),
    )


# --- poolings ---


def pool(site: Site) -> Written | None:
    """``nnx.max_pool``, ``nnx.avg_pool``."""
    op, rank = site.op, site.rank - 2
    around = _around(site)
    padding = "VALID" if not any(map(any, around)) else around
    named: dict[str, Any] = {
        "window_shape": each_axis(op.kernel_size, rank),
        "strides": each_axis(op.step, rank),
    }
    if padding != "VALID":
        named["padding"] = "SAME" if op.padding == "same" else padding
    if isinstance(op, ops.MaxPool):
        return inline("nnx.max_pool", **named) if same(op.dilation) == 1 else None
    declared = pads(op.padding, rank)
    beyond = any(a > both - b for (b, a), (b, both) in zip(around, declared, strict=True))
    if beyond and any(both for _, both in declared):
        return None  # some of the border counts and some does not
    if beyond or op.padding == "same":
        named["count_include_pad"] = False
    return inline("nnx.avg_pool", **named)


def adaptive(name: str) -> Writer:
    """A pooling over the whole map, or in even windows, or in windows that differ."""

    def write(site: Site) -> Written | None:
        rank = site.rank - 2
        wanted = each_axis(site.op.output_size, rank)
        if all(i % o == 0 for i, o in zip(site.spatial, wanted, strict=True)):
            steps = tuple(i // o for i, o in zip(site.spatial, wanted, strict=True))
            word = {"mean": "avg_pool", "max": "max_pool"}[name]
            return inline(f"nnx.{word}", window_shape=steps, strides=steps)
        return inline("adaptive_pool", wanted, Raw(f"jnp.{name}"))

    return write


def over_map(name: str) -> Writer:
    """The mean or the maximum over the spatial axes."""

    def write(site: Site) -> Written:
        keep = {"keepdims": True} if site.op.keepdims else {}
        return inline(f"jnp.{name}", axis=tuple(range(1, site.rank - 1)), **keep)

    return write


def local_response_norm(site: Site) -> Written:
    """A function that the source defines: flax has no such layer."""
    op = site.op
    values = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "k": op.k}
    return inline("local_response_norm", **values)


# --- functions of each number ---

FUNCTIONS = {
    "relu": "nnx.relu",
    "relu6": "nnx.relu6",
    "leaky_relu": "nnx.leaky_relu",
    "elu": "nnx.elu",
    "selu": "nnx.selu",
    "celu": "nnx.celu",
    "silu": "nnx.silu",
    "mish": "jax.nn.mish",
    "sigmoid": "nnx.sigmoid",
    "hard_sigmoid": "nnx.hard_sigmoid",
    "hard_swish": "nnx.hard_swish",
    "tanh": "nnx.tanh",
    "softplus": "nnx.softplus",
    "softsign": "nnx.soft_sign",
    "exp": "jnp.exp",
    "log": "jnp.log",
    "sqrt": "jnp.sqrt",
    "abs": "jnp.abs",
    "negate": "jnp.negative",
    "erf": "jax.lax.erf",
}


def activation(site: Site) -> Written | None:
    """A function of each number."""
    if site.op.function == "gelu":
        return inline("nnx.gelu", approximate=False)
    function = FUNCTIONS.get(site.op.function)
    return inline(function) if function else None  # the bounds of a clip are not kept


def softmax(site: Site) -> Written:
    """``nnx.softmax``, ``nnx.log_softmax``."""
    axis = site.op.axis if site.op.axis < 0 else site.op.axis - site.rank
    word = "log_softmax" if site.op.log else "softmax"
    return inline(f"nnx.{word}", **({} if axis == -1 else {"axis": axis}))


def glu(site: Site) -> Written:
    """``nnx.glu``."""
    return inline("nnx.glu", axis=site.op.axis)


# --- sums, joins, moves ---


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
    """``jnp.concatenate``, ``jnp.stack``."""

    def write(site: Site) -> Written:
        axis = site.op.axis
        return Written(
            inline=lambda x: call(function, Items(tuple(Raw(name) for name in x)), axis=axis)
        )

    return write


def split(site: Site) -> Written:
    """``jnp.split``, which takes the places of the cuts."""
    axis = site.op.axis % site.rank
    cuts, at = [], 0
    for part in site.op.parts(site.shape[axis])[:-1]:
        at += part
        cuts.append(at)
    many = len(site.node.outputs) > 1
    return Written(
        inline=lambda x: call("jnp.split", Raw(x[0]), Items(tuple(cuts)), axis=axis),
        targets="" if many else "({0},)",
    )


def cut(site: Site) -> Written:
    """Python's own slices."""
    op = site.op
    parts = [":"] * (op.axis % site.rank + 1)
    stop = "" if op.stop is None else str(op.stop)
    parts[-1] = f"{op.start or ''}:{stop}" + (f":{op.step}" if op.step != 1 else "")
    inside = ", ".join(parts)
    return Written(inline=lambda x: Raw(f"{x[0]}[{inside}]"))


def flatten(site: Site) -> Written:
    """A reshape; the batch stays open."""
    first, last = site.op.start_dim % site.rank, site.op.end_dim % site.rank
    if (first, last) == (1, site.rank - 1):
        return Written(inline=lambda x: Raw(f"{x[0]}.reshape({x[0]}.shape[0], -1)"))
    return reshape(site)


def reshape(site: Site) -> Written:
    """``reshape``; the batch stays open."""
    shape = batch_free(site.made)
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``transpose``."""
    order = each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.transpose", *order))


def expand(site: Site) -> Written | None:
    """``jnp.broadcast_to``, if no size follows from another tensor."""
    shape = site.made
    if not all(isinstance(d, int) for d in shape):
        return None
    return inline("jnp.broadcast_to", shape)


def reduce(site: Site) -> Written | None:
    """``jnp.mean`` and so on."""
    op = site.op
    over = distinct_axes(op.over, site.rank)
    axes = over[0] if len(over) == 1 else over
    keep = {"keepdims": True} if op.keepdims else {}
    if op.function == "norm":
        return inline("jnp.linalg.norm", axis=axes, **keep) if len(over) <= 1 else None
    return inline(f"jnp.{op.function}", axis=axes, **keep)


def border(site: Site) -> Written | None:
    """``jnp.pad``."""
    op = site.op
    whole = op.whole(site.rank)
    found = pads(op.padding, site.rank if whole else site.rank - 2)
    widths = tuple((before, both - before) for before, both in found)
    widths = widths if whole else ((0, 0), *widths, (0, 0))
    mode = getattr(op, "mode", "zeros")
    if mode == "constant" or any(w < 0 for pair in widths for w in pair):
        return None
    value = float("-inf") if mode == "lowest" else 0.0
    if mode in ("reflect", "edge", "wrap"):
        return inline("jnp.pad", widths, mode=mode)
    return inline("jnp.pad", widths, **({"constant_values": value} if value else {}))


def resize(site: Site) -> Written | None:
    """``jnp.repeat`` along each axis: nearest neighbours, about which all frameworks agree."""
    op = site.op
    if op.mode != "nearest" or op.scale is None:
        return None

    def write(x: tuple[str, ...]) -> Any:
        value: Any = Raw(x[0])
        for axis, times in enumerate(each_axis(op.scale, site.rank - 2), start=1):
            value = call("jnp.repeat", value, times, axis=axis)
        return value

    return Written(inline=write)


def einsum(site: Site) -> Written:
    """``jnp.einsum``; `Einsum.terms` has checked that the equation is letters."""
    ins, out = site.op.terms(len(site.node.inputs))
    equation = f"{','.join(ins)}->{out}"
    return Written(inline=lambda x: call("jnp.einsum", equation, *map(Raw, x)))


DTYPES = ("float32", "float16", "bfloat16", "int32", "int16", "int8", "uint8", "bool")


def cast(site: Site) -> Written | None:
    """``astype``."""
    to = site.op.to
    if to not in DTYPES:
        return None
    return Written(
        inline=lambda x: call(f"{x[0]}.astype", Raw(f"jnp.{to}_" if to == "bool" else f"jnp.{to}"))
    )


def simple(function: str) -> Writer:
    """A function of all inputs."""
    return lambda site: inline(function)


WRITERS: dict[type[Op], Writer] = {
    ops.Conv: conv,
    ops.DepthwiseConv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: pool,
    ops.AvgPool: pool,
    ops.AdaptiveMaxPool: adaptive("max"),
    ops.AdaptiveAvgPool: adaptive("mean"),
    ops.GlobalMaxPool: over_map("max"),
    ops.GlobalAvgPool: over_map("mean"),
    ops.Linear: linear,
    ops.Embedding: embedding,
    ops.MatMul: simple("jnp.matmul"),
    ops.Einsum: einsum,
    ops.BatchNorm: batch_norm,
    ops.InstanceNorm: instance_norm,
    ops.GroupNorm: group_norm,
    ops.LayerNorm: layer_norm,
    ops.RMSNorm: layer_norm,
    ops.LocalResponseNorm: local_response_norm,
    ops.Activation: activation,
    ops.PReLU: prelu,
    ops.GLU: glu,
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.Identity: lambda site: Written(inline=lambda x: Raw(x[0])),
    ops.Cast: cast,
    ops.Add: chained("+"),
    ops.Subtract: chained("-"),
    ops.Multiply: chained("*"),
    ops.Divide: chained("/"),
    ops.Power: chained("**"),
    ops.Maximum: folded("jnp.maximum"),
    ops.Minimum: folded("jnp.minimum"),
    ops.Average: average,
    ops.MultiHeadAttention: multi_head,
    ops.Flatten: flatten,
    ops.Reshape: reshape,
    ops.Permute: permute,
    ops.Expand: expand,
    ops.Concat: joined("jnp.concatenate"),
    ops.Stack: joined("jnp.stack"),
    ops.Slice: cut,
    ops.Split: split,
    ops.Pad: border,
    ops.Resize: resize,
    ops.Reduce: reduce,
}

TABLE = Table("JAX", WRITERS, fits, channels_last=True)
