"""Layers of Keras that have hyperparameters or weights. Maps are [batch, …, channels]."""

from __future__ import annotations

from typing import Any

from netledger import ops
from netledger.build.source.expression import Arg, Call, Raw, arg, call, key
from netledger.build.source.functions import inline
from netledger.build.source.kinds import Written
from netledger.build.source.plan import LINEAR, Site, Writer, same, whole_steps
from netledger.graph import BUFFER
from netledger.ops.base import distinct_axes, each_axis
from netledger.ops.window import pads


def conv(site: Site) -> Written:
    """``layers.Conv1D``, ``Conv2D``, ``Conv3D``; ``layers.DepthwiseConv2D``."""
    op, rank = site.op, site.rank - 2
    ends = (
        key("strides", same(op.stride), 1),
        key("padding", op.padding or "valid", "valid"),
        key("dilation_rate", same(op.dilation), 1),
    )
    kernel = arg("kernel_size", same(op.kernel_size))
    bias = key("use_bias", op.bias, True)
    if isinstance(op, ops.DepthwiseConv):
        multiplier = key("depth_multiplier", op.depth_multiplier, 1)
        return Written(Call(f"layers.DepthwiseConv{rank}D", (kernel, multiplier, *ends, bias)))
    filters = arg("filters", op.out_channels)
    groups = key("groups", op.groups, 1)
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
                arg("filters", op.out_channels),
                arg("kernel_size", same(op.kernel_size)),
                key("strides", same(op.stride), 1),
                key("padding", word, "valid"),
                key("dilation_rate", same(op.dilation), 1),
                key("use_bias", op.bias, True),
            ),
        )
    )


def pad(site: Site) -> Written | None:
    """``layers.ZeroPadding2D``, or `keras.ops.pad` of what a maximum ignores."""
    op, rank = site.op, site.rank - 2
    if op.whole(site.rank):
        return None
    pairs = tuple((b, both - b) for b, both in pads(op.padding, rank))
    if any(min(pair) < 0 for pair in pairs):
        return None
    if op.mode == "zeros":
        around: Any = pairs
        if all(before == after for before, after in pairs):
            around = same(tuple(before for before, _ in pairs))
        elif rank == 1:
            around = pairs[0]
        return Written(Call(f"layers.ZeroPadding{rank}D", (arg("padding", around),)))
    if op.number is None:
        return None
    every = ((0, 0), *pairs, (0, 0))
    return Written(inline=lambda x: call("ops.pad", Raw(x[0]), every, constant_values=op.number))


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
                arg("pool_size", same(op.kernel_size)),
                key("strides", same(op.step), same(op.kernel_size)),
                key("padding", op.padding or "valid", "valid"),
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
        return Written(Call(f"layers.Adaptive{word}Pooling{rank}D", (arg("output_size", size),)))

    return write


def global_pool(word: str) -> Writer:
    """``layers.GlobalAveragePooling2D``."""

    def write(site: Site) -> Written:
        keep = key("keepdims", site.op.keepdims, False)
        return Written(Call(f"layers.Global{word}Pooling{site.rank - 2}D", (keep,)))

    return write


def linear(site: Site) -> Written:
    """``layers.Dense``."""
    units = arg("units", site.op.out_features)
    return Written(Call("layers.Dense", (units, key("use_bias", site.op.bias, True))))


def embedding(site: Site) -> Written:
    """``layers.Embedding``."""
    return Written(
        Call(
            "layers.Embedding",
            (arg("input_dim", site.op.num_embeddings), arg("output_dim", site.op.embedding_dim)),
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
                key("momentum", op.momentum, 0.99),
                key("epsilon", op.epsilon, 1e-3),
                key("center", op.center, True),
                key("scale", op.scale, True),
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
                key("groups", op.groups, 32),
                key("epsilon", op.epsilon, 1e-3),
                key("center", op.center, True),
                key("scale", op.scale, True),
            ),
        )
    )


def instance_norm(site: Site) -> Written | None:
    """``layers.GroupNormalization``, every channel a group of its own."""
    op = site.op
    if op.running_stats:
        return None
    ends = (
        key("epsilon", op.epsilon, 1e-3),
        key("center", op.center, True),
        key("scale", op.scale, True),
    )
    return Written(Call("layers.GroupNormalization", (arg("groups", -1), *ends)))


def layer_norm(site: Site) -> Written | None:
    """``layers.LayerNormalization``, over the last axes."""
    op = site.op
    over = distinct_axes(op.over, site.rank)
    if over != tuple(range(site.rank - len(over), site.rank)):
        return None
    axis = -1 if len(over) == 1 else over
    ends = (key("axis", axis, -1), key("epsilon", op.epsilon, 1e-3))
    if isinstance(op, ops.RMSNorm):
        plain = op.scale and not op.center
        return Written(Call("layers.RMSNormalization", ends)) if plain else None
    given = (key("center", op.center, True), key("scale", op.scale, True))
    return Written(Call("layers.LayerNormalization", (*ends, *given)))


def local_response_norm(site: Site) -> Written:
    """A class of its own, which stands in the generated file: Keras has none."""
    op = site.op
    return Written(
        Call(
            "LocalResponseNormalization",
            (
                arg("size", op.size),
                key("alpha", op.alpha, 1e-4),
                key("beta", op.beta, 0.75),
                key("k", op.k, 1.0),
            ),
        )
    )


def scale(site: Site) -> Written | None:
    """A class of its own, for each number of the last axis: Keras has none."""
    op = site.op
    if distinct_axes(op.over, site.rank) != (site.rank - 1,):
        return None
    ends = (key("factor", op.scale, True), key("offset", op.center, True))
    return Written(Call("Scale", ends))


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
    op, function = site.op, site.op.function
    if function == "relu":
        return Written(call("layers.ReLU"))
    if function == "leaky_relu":
        return Written(call("layers.LeakyReLU", negative_slope=op.below))
    if function == "elu" and op.below != 1:
        return Written(call("layers.ELU", alpha=op.below))
    if function == "celu" and op.below != 1:
        return inline("ops.celu", alpha=op.below)
    if function == "gelu":
        return inline("ops.gelu", approximate=op.approximate)
    if function == "clip":
        low, high = (
            float(s + "inf") if b is None else b for s, b in (("-", op.low), ("", op.high))
        )
        return inline("ops.clip", low, high)
    if function in FUNCTIONS:
        return inline(f"ops.{FUNCTIONS[function]}")
    if function not in WORDS:
        return None
    return Written(Call("layers.Activation", (arg("activation", WORDS[function]),)))


def softmax(site: Site) -> Written:
    """``layers.Softmax``."""
    axis = site.op.axis % site.rank
    if site.op.log:
        return Written(inline=lambda x: call("ops.log_softmax", Raw(x[0]), axis=axis))
    last = -1 if axis == site.rank - 1 else axis
    return Written(Call("layers.Softmax", (key("axis", last, -1),)))


def prelu(site: Site) -> Written | None:
    """``layers.PReLU``, a slope per channel."""
    axis = site.op.channel_axis
    if axis is None or axis % site.rank != site.rank - 1:
        return None
    shared = tuple(range(1, site.rank - 1))
    return Written(Call("layers.PReLU", (key("shared_axes", shared, ()),)))


def dropout(site: Site) -> Written:
    """``layers.Dropout``."""
    return Written(Call("layers.Dropout", (arg("rate", site.op.rate),)))


def resize(site: Site) -> Written | None:
    """``layers.UpSampling2D`` by whole steps, ``layers.Resizing`` in between; others disagree."""
    rank = site.rank - 2
    steps = whole_steps(site)
    if steps is not None:
        return Written(Call(f"layers.UpSampling{rank}D", (arg("size", same(steps)),)))
    if site.op.mode not in LINEAR or rank != 2:
        return None
    sizes = (arg("height", site.made[1]), arg("width", site.made[2]))
    return Written(Call("layers.Resizing", sizes))


def multi_head(site: Site) -> Written | None:
    """``layers.MultiHeadAttention``, which takes the values before the keys."""
    op = site.op
    if not op.batch_first:
        return None
    d, d_v, out = op.widths(site.shape)
    args = (
        arg("num_heads", op.num_heads),
        arg("key_dim", d),
        key("value_dim", d_v, d),
        key("use_bias", op.bias, True),
        key("output_shape", out, site.shape[-1]),
    )

    def given(x: tuple[str, ...]) -> tuple[Arg, ...]:
        keys = x[min(1, len(x) - 1)]
        three = (x[0], x[-1], keys) if x[-1] != keys else (x[0], keys)
        return tuple(Arg("", Raw(name)) for name in three)

    return Written(Call("layers.MultiHeadAttention", args), given=given)


def stored(site: Site) -> Written | None:
    """A tensor by itself, in a class of its own; in Keras a layer has to take something."""
    op = site.op
    if op.note:  # nothing takes it, so no model would have it
        return None
    ends = (key("learned", op.role != BUFFER, True), key("dtype", op.to, "float32"))
    return Written(Call("Stored", (arg("shape", op.shape), *ends)))


def recurrent(name: str) -> Writer:
    """``layers.LSTM`` and its like, from a state of zeros; a GRU alone may have two biases."""

    def write(site: Site) -> Written | None:
        op, gru = site.op, isinstance(site.op, ops.GRU)
        if op.num_layers > 1 or not op.batch_first or getattr(op, "projection_size", None):
            return None
        if op.bias and op.bias_vectors != 1 and not gru:
            return None
        if len(site.node.inputs) > 1 or len(site.node.outputs) > 1:
            return None
        ends = [
            key("return_sequences", op.return_sequences, False),
            key("use_bias", op.bias, True),
        ]
        if gru:
            ends.append(key("reset_after", op.bias_vectors == 2, True))
        made = Call(f"layers.{name}", (arg("units", op.hidden_size), *ends))
        return Written(Call("layers.Bidirectional", (Arg("", made),)) if op.bidirectional else made)

    return write
