"""Layers of PyTorch: what has hyperparameters or weights, but for those that slide a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netledger import ops
from netledger.build.source.expression import Arg, Call, Raw, arg, call, key
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer, same
from netledger.graph import BUFFER
from netledger.ops.base import distinct_axes


def linear(site: Site) -> Written:
    """``nn.Linear``."""
    return Written(
        Call(
            "nn.Linear",
            (
                arg("in_features", site.shape[-1]),
                arg("out_features", site.op.out_features),
                key("bias", site.op.bias, True),
            ),
        )
    )


def embedding(site: Site) -> Written:
    """``nn.Embedding``."""
    return Written(
        Call(
            "nn.Embedding",
            (
                arg("num_embeddings", site.op.num_embeddings),
                arg("embedding_dim", site.op.embedding_dim),
            ),
        )
    )


def batch_norm(site: Site) -> Written:
    """``nn.BatchNorm2d``; with a scale or an offset alone, these follow by themselves."""
    op = site.op
    if op.scale != op.center:
        plain = replace(site.node, op=replace(op, scale=False, center=False))
        own = batch_norm(replace(site, node=plain)).module
        ends = (key("factor", op.scale, True), key("offset", op.center, True))
        other = Call("Scale", (arg("num_channels", site.channels), *ends))
        return Written(Call("nn.Sequential", (Arg("", own), Arg("", other))))
    kind = "InstanceNorm" if isinstance(op, ops.InstanceNorm) else "BatchNorm"
    usual = kind == "BatchNorm"
    return Written(
        Call(
            f"nn.{kind}{max(site.rank - 2, 1)}d",
            (
                arg("num_features", site.channels),
                key("eps", op.epsilon, 1e-5),
                key("momentum", _momentum(op), 0.1),
                key("affine", op.scale, usual),
                key("track_running_stats", op.running_stats, usual),
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
                arg("num_groups", site.op.groups),
                arg("num_channels", site.channels),
                key("eps", site.op.epsilon, 1e-5),
                key("affine", site.op.scale, True),
            ),
        )
    )


def layer_norm(site: Site) -> Written | None:
    """``nn.LayerNorm``, ``nn.RMSNorm``, over the last axes."""
    op = site.op
    over = distinct_axes(op.over, site.rank)
    plain = isinstance(op, ops.RMSNorm)
    if over != tuple(range(site.rank - len(over), site.rank)) or (op.center and not op.scale):
        return None
    shape = tuple(site.shape[i] for i in over)
    args = [
        arg("normalized_shape", same(shape) if len(shape) == 1 else shape),
        key("eps", op.epsilon, 1e-5),
        key("elementwise_affine", op.scale, True),
    ]
    if plain:
        return None if op.center else Written(Call("nn.RMSNorm", tuple(args)))
    return Written(Call("nn.LayerNorm", (*args, key("bias", op.center, True))))


def local_response_norm(site: Site) -> Written:
    """``nn.LocalResponseNorm``, which divides alpha by the size, as the books do."""
    op = site.op
    return Written(
        Call(
            "nn.LocalResponseNorm",
            (
                arg("size", op.size),
                key("alpha", op.alpha, 1e-4),
                key("beta", op.beta, 0.75),
                key("k", op.k, 1.0),
            ),
        )
    )


def scale(site: Site) -> Written | None:
    """A class of its own, for each channel: PyTorch has none."""
    op = site.op
    if distinct_axes(op.over, site.rank) != (1,):
        return None
    ends = (key("factor", op.scale, True), key("offset", op.center, True))
    return Written(Call("Scale", (arg("num_channels", site.shape[1]), *ends)))


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
    op = site.op
    if op.function == "clip":
        bounds = (key("min", op.low, None), key("max", op.high, None))
        return Written(inline=lambda x: Call("torch.clamp", (arg("x", Raw(x[0])), *bounds)))
    if op.function not in ACTIVATIONS:
        return None
    module, function = ACTIVATIONS[op.function]
    ends = SETTINGS.get(op.function, lambda op: ())(op)
    made = Call(module, ends) if module else None
    return Written(made, lambda x: Call(function, (arg("x", Raw(x[0])), *ends)))


SETTINGS: dict[str, Callable[[Any], tuple[Arg, ...]]] = {
    "leaky_relu": lambda op: (key("negative_slope", op.below, 0.01),),
    "elu": lambda op: (key("alpha", op.below, 1.0),),
    "celu": lambda op: (key("alpha", op.below, 1.0),),
    "gelu": lambda op: (key("approximate", "tanh" if op.approximate else "none", "none"),),
}
"""What functions are told besides, where that is not what they do anyway."""


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
        Call("nn.PReLU", (key("num_parameters", 1 if axis is None else site.shape[1], 1),))
    )


def dropout(site: Site) -> Written:
    """``nn.Dropout``."""
    return Written(Call("nn.Dropout", (arg("p", site.op.rate),)))


def pixel_shuffle(site: Site) -> Written | None:
    """``nn.PixelShuffle``."""
    return Written(Call("nn.PixelShuffle", (arg("upscale_factor", site.op.factor),)))


def resize(site: Site) -> Written | None:
    """``nn.Upsample``; what it calls linear goes by the number of axes."""
    op, rank = site.op, site.rank - 2
    mode = LINEAR.get(rank, op.mode) if op.mode in LINEAR.values() else op.mode
    if mode == "bicubic" and rank != 2:
        return None
    to = key("size", same(op.size)) if op.scale is None else key("scale_factor", same(op.scale))
    return Written(Call("nn.Upsample", (to, key("mode", mode, "nearest"))))


LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def multi_head(site: Site) -> Written | None:
    """``nn.MultiheadAttention``, whose heads share out the features."""
    op = site.op
    query, keys, values = op.three(tuple(t.shape for t in site.row.input_types))
    d, d_v, out = op.widths(query)
    if d != d_v or out != query[-1] or d * op.num_heads != out or site.shared:
        return None
    args = (
        arg("embed_dim", out),
        arg("num_heads", op.num_heads),
        key("bias", op.bias, True),
        key("kdim", keys[-1], out),
        key("vdim", values[-1], out),
        key("batch_first", op.batch_first, False),
    )

    def given(x: tuple[str, ...]) -> tuple[Arg, ...]:
        three = (x[0], x[min(1, len(x) - 1)], x[-1])
        return (*(Arg("", Raw(name)) for name in three), key("need_weights", False))

    return Written(Call("nn.MultiheadAttention", args), targets="{0}, _", given=given)


def stored(site: Site) -> Written | None:
    """A tensor by itself, as a layer that takes nothing."""
    op = site.op
    if op.to not in ("float32", "float16", "bfloat16", "float64") and op.role != BUFFER:
        return None
    ends = (key("learned", op.role != BUFFER, True), key("dtype", Raw(f"torch.{op.to}"), FLOAT))
    return Written(Call("Stored", (arg("shape", op.shape), *ends)))


FLOAT = Raw("torch.float32")


def recurrent(name: str) -> Writer:
    """``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, from a state of zeros."""

    def write(site: Site) -> Written | None:
        op = site.op
        if len(site.node.inputs) > 1 or not op.return_sequences:
            return None
        if op.bias and op.bias_vectors != 2:
            return None
        args = [
            arg("input_size", site.shape[-1]),
            arg("hidden_size", op.hidden_size),
            key("num_layers", op.num_layers, 1),
            key("bias", op.bias, True),
            key("batch_first", op.batch_first, False),
            key("bidirectional", op.bidirectional, False),
        ]
        if getattr(op, "projection_size", None) is not None:
            args.append(key("proj_size", op.projection_size, 0))
        outputs = len(site.node.outputs)
        states = {1: "_", 2: "{1}", 3: "({1}, {2})"}[outputs]
        if outputs == 2 and op.states == 2:
            states = "({1}, _)"
        return Written(Call(f"nn.{name}", tuple(args)), targets=f"{{0}}, {states}")

    return write
