"""Layers in the words of flax nnx: convolutions, products, normalisations, poolings."""

from __future__ import annotations

from typing import Any

from netledger import ops
from netledger.build.jax.weights import is_cell
from netledger.build.source.borders import Pads, effective_padding
from netledger.build.source.expression import Arg, Call, Raw, call
from netledger.build.source.functions import inline
from netledger.build.source.initialisation import published
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer, same
from netledger.graph import BUFFER
from netledger.ops.base import distinct_axes, each_axis
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
    if isinstance(op.padding, str):
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
    if op.groups != 1:  # flax' own has no groups; a convolution on the spread-out map has
        return layer(
            "Conv",
            _arg("in_features", site.channels),
            _arg("out_features", op.out_channels),
            _key("kernel_size", each_axis(op.kernel_size, rank)),
            _key("padding", tuple(around)),
            _key("input_dilation", each_axis(op.stride, rank)),
            _key("kernel_dilation", same(op.dilation), 1),
            _key("feature_group_count", op.groups),
            _key("use_bias", op.bias, True),
        )
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
    """``nnx.MultiHeadAttention``; keys and values are equally wide."""
    op, features = site.op, site.shape[-1]
    d, d_v, out = op.widths(site.shape)
    _, keys, values = op.three(tuple(t.shape for t in site.row.input_types))
    if keys[-1] != values[-1] or d != d_v or not op.batch_first:
        return None
    return layer(
        "MultiHeadAttention",
        _key("num_heads", op.num_heads),
        _key("in_features", features),
        _key("qkv_features", op.num_heads * d, features),
        _key("out_features", out, features),
        _key("in_kv_features", keys[-1], features),
        _key("use_bias", op.bias, True),
        _key("decode", False),
    )


def recurrent(kind: str) -> Writer:
    """``nnx.RNN`` over an LSTM with one bias vector; else a class that the source defines."""

    def write(site: Site) -> Written | None:
        op = site.op
        if len(site.node.inputs) > 1 or not op.batch_first:
            return None
        if kind == "LSTM" and op.projection_size is not None:
            return None
        if is_cell(site.node):
            sizes = (Arg("", site.shape[-1]), Arg("", op.hidden_size), RNGS)
            cell = Call("nnx.OptimizedLSTMCell", sizes)
            return layer("RNN", Arg("", cell))
        if kind == "GRU" and op.bias_vectors == 1:
            return None
        made = Call(
            "Recurrent",
            (
                _arg("kind", kind),
                _arg("in_features", site.shape[-1]),
                _arg("hidden_size", op.hidden_size),
                _key("num_layers", op.num_layers, 1),
                _key("bidirectional", op.bidirectional, False),
                _key("biases", op.bias_vectors if op.bias else 0, 2),
                _key("return_sequences", op.return_sequences, True),
                RNGS,
            ),
        )
        outputs = len(site.node.outputs)
        names = [f"{{{i}}}" for i in range(outputs)]
        return Written(made, targets=", ".join([*names, "*_"] if outputs == 1 else names))

    return write


def stored(site: Site) -> Written:
    """A tensor by itself, as a layer that takes nothing."""
    op = site.op
    dtype = op.to.replace("64", "32")  # unless it is told to, JAX has no wider ones
    ends = (_key("learned", op.role != BUFFER, True), _key("dtype", dtype, "float32"))
    return Written(Call("Stored", (_arg("shape", op.shape), *ends)))


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
    if op.counts and beyond and any(both for _, both in declared):
        return None  # some of the border counts and some does not
    if beyond or not op.counts:
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
