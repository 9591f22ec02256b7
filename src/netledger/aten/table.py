"""The table: for each ATen operator the rule that makes it one of our operations."""

from __future__ import annotations

from collections.abc import Callable

from netledger.aten import indices, layers, moves
from netledger.aten.call import Call, Layer, Value, layer
from netledger.errors import NetledgerError
from netledger.ops import (
    GLU,
    Activation,
    Add,
    Cast,
    Compare,
    Divide,
    Dropout,
    GroupedMatMul,
    Identity,
    Maximum,
    Minimum,
    Multiply,
    Op,
    Power,
    Softmax,
    Subtract,
    Where,
)
from netledger.ops.pointwise import Arithmetic

Rule = Callable[[Call], Layer]


def translate(call: Call) -> Layer | None:
    """What a call becomes; None if no rule describes it, or not in this form."""
    if len(call.results) == 1 and call.results[0] is not None and 0 in call.results[0].shape:
        return moves.made(call)  # no numbers in it, so it is the same whatever it is made of
    rule = _TABLE.get(call.target) or _TABLE.get(call.target.removesuffix("_"))
    if rule is None:
        return None
    try:
        return rule(call)
    except NetledgerError:  # arguments that the rule does not know
        return None


def describes(target: str) -> bool:
    """True if there is a rule for an operator."""
    return target in _TABLE or target.removesuffix("_") in _TABLE


def _plain(op: Op) -> Rule:
    return lambda call: layer(op, call.value("self", "input"))


def _arithmetic(kind: type[Arithmetic]) -> Rule:
    """Number by number: of two tensors, or of a tensor and a number."""

    def rule(call: Call) -> Layer:
        name = "exponent" if kind is Power else "other"
        pair = [call.args.get("self"), call.args.get(name)]
        if call.target.startswith("rsub"):
            pair.reverse()
        numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
        tensors = [x for x in pair if isinstance(x, Value)]
        if len(tensors) == 1 and len(numbers) == 1:
            op = kind(constant=numbers[0], reverse=tensors[0] is pair[1])
            return layer(op, *tensors)
        made = layer(kind(), *tensors)
        return made if len(tensors) == 2 else made._replace(untold=f"{name}={pair[1]}")

    return rule


def _alike(op: Op) -> Rule:
    """What has the size and the counts of an operation, and is another function."""
    return lambda call: layer(op, *call.values())._replace(untold=call.target)


def _function(name: str) -> Rule:
    setting, usual = {
        "leaky_relu": ("negative_slope", 0.01),
        "elu": ("alpha", 1.0),
        "celu": ("alpha", 1.0),
    }.get(name, ("", 0.0))

    def rule(call: Call) -> Layer:
        alpha = call.number(setting, usual) if setting else usual
        op = Activation(
            name,
            alpha=None if alpha == usual else alpha,
            approximate=name == "gelu" and call.args.get("approximate") == "tanh",
        )
        return layer(op, call.value("self", "input"))

    return rule


def _softmax(call: Call) -> Layer:
    op = Softmax(call.integer("dim"), log="log" in call.target)
    return layer(op, call.value("self", "input"))


def _dropout(call: Call) -> Layer:
    return layer(Dropout(call.number("p", 0.5)), call.value("input", "self"))


def _cast(call: Call) -> Layer:
    known = call.results[0]
    x = call.value("self")
    call.settle(*call.args)
    if known is None or known.dtype == x.type.dtype:
        return layer(Identity(), x)
    return layer(Cast(known.dtype), x)


def _clip(call: Call) -> Layer:
    low, high = (
        call.args.get(low, call.args.get(low_, None))
        for low, low_ in (("min_val", "min"), ("max_val", "max"))
    )
    if call.target.startswith("hardtanh"):
        low, high = -1.0 if low is None else low, 1.0 if high is None else high
    if (low, high) == (0, 6):
        return layer(Activation("relu6"), call.value("self"))
    bounds = [b if isinstance(b, int | float) else None for b in (low, high)]
    op = Activation("clip", low=bounds[0], high=bounds[1])
    return layer(op, call.value("self"))


def _where(call: Call) -> Layer:
    condition = call.value("condition")
    chosen = [v for v in (call.optional("self"), call.optional("other")) if v is not None]
    if not chosen:
        return moves.known(call)
    return layer(Where(), condition, chosen[0], chosen[-1])


def _glu(call: Call) -> Layer:
    return layer(GLU(call.integer("dim", -1)), call.value("self"))


def _grouped_mm(call: Call) -> Layer:
    """Rows times a stack of matrices, one for each group of rows."""
    ends = call.optional("offs")
    return layer(GroupedMatMul(), call.value("self"), call.value("mat2"), *filter(None, (ends,)))


def _weight_norm(call: Call) -> Layer:
    """Kernels, each scaled to a length of its own."""
    return layer(Multiply(), call.value("v"), call.value("g"))


_ACTIVATIONS = {
    **{name: name for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu")},
    **{name: name for name in ("silu", "mish", "sigmoid", "tanh", "softplus", "exp", "log")},
    **{name: name for name in ("sqrt", "abs", "erf", "sin", "cos", "floor", "ceil", "round")},
    **{name: name for name in ("sign", "log1p", "expm1", "log2", "softsign")},
    **dict.fromkeys(("logsigmoid", "log_sigmoid"), "logsigmoid"),
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "neg": "negate",
}
_ARITHMETIC: dict[str, type[Arithmetic]] = {
    **dict.fromkeys(("add", "__iadd__"), Add),
    **dict.fromkeys(("sub", "rsub", "subtract"), Subtract),
    **dict.fromkeys(("mul", "multiply"), Multiply),
    **dict.fromkeys(("div", "true_divide"), Divide),
    "pow": Power,
    "maximum": Maximum,
    "minimum": Minimum,
}
_WITH_NUMBERS: dict[str, Op] = {
    "reciprocal": Divide(constant=1, reverse=True),
    "rsqrt": Power(constant=-0.5),
    "square": Power(constant=2),
}
_ALIKE: dict[str, Op] = {
    **dict.fromkeys(("logaddexp", "lerp", "addcmul", "addcdiv"), Add()),
    **dict.fromkeys(("logical_and", "bitwise_and", "__and__", "__iand__"), Multiply()),
    **dict.fromkeys(("floor_divide", "remainder", "fmod"), Divide()),
    **dict.fromkeys(("logical_or", "bitwise_or", "__or__", "__ior__"), Maximum()),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "logical_not", "bitwise_not"), Compare()),
    **dict.fromkeys(
        ("isnan", "isinf", "isfinite", "logical_xor", "__xor__", "__ixor__"), Compare()
    ),
    "nan_to_num": Identity(),
}
_SAME = ("contiguous", "clone", "alias", "detach", "lift_fresh_copy", "lift_fresh", "positive")
_MADE = (
    *("zeros", "ones", "full", "empty", "arange", "linspace", "scalar_tensor", "eye", "rand"),
    *("randn", "new_zeros", "new_ones", "new_full", "new_empty", "tensor", "hann_window"),
    *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like"),
    *("fill", "zero"),
)
_KNOWN = (
    *("atan2", "tan", "masked_select", "nonzero", "as_strided", "col2im", "meshgrid", "diagonal"),
    *("one_hot", "bucketize", "searchsorted", "cdist", "affine_grid_generator", "isin", "outer"),
    *("channel_shuffle", "pixel_unshuffle", "view_as_complex", "view_as_real", "view_as"),
    *("diff", "trace", "bincount", "histc", "unique_dim", "_unique2", "complex", "polar", "real"),
    *("imag", "fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_fft2", "fft_ifft2", "fft_rfft2"),
    *("fft_irfft2", "fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn", "stft", "istft", "erfinv"),
    *("nll_loss_forward", "nll_loss2d_forward", "ctc_loss"),
    *("linalg_solve_triangular", "nms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"),
)
_ARRANGED = ("roll", "flip", "cumsum", "cumprod", "triu", "tril")
_UPDATED = (
    *("scatter", "scatter_add", "scatter_reduce", "index_put", "_index_put_impl", "index_add"),
    *("index_copy", "index_fill", "select_scatter", "slice_scatter", "copy", "masked_scatter"),
)

_TABLE: dict[str, Rule] = {
    **{f"conv{n}d": layers.convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": layers.convolution for n in (1, 2, 3)},
    **dict.fromkeys(("convolution", "_convolution"), layers.convolution),
    "linear": layers.linear,
    "addmm": layers.addmm,
    **dict.fromkeys(("mm", "bmm", "matmul", "baddbmm", "mv", "dot", "vdot"), layers.matmul),
    "einsum": layers.einsum,
    "embedding": layers.embedding,
    "embedding_bag": layers.embedding_bag,
    **dict.fromkeys(("batch_norm", "native_batch_norm", "cudnn_batch_norm"), layers.batch_norm),
    "_native_batch_norm_legit": layers.batch_norm,
    "_native_batch_norm_legit_no_training": layers.batch_norm,
    "_batch_norm_no_update": layers.batch_norm,
    "instance_norm": layers.instance_norm,
    **dict.fromkeys(("group_norm", "native_group_norm"), layers.group_norm),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), layers.layer_norm),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), layers.layer_norm),
    **dict.fromkeys(("prelu", "_prelu_kernel"), layers.prelu),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), layers.recurrent),
    "scaled_dot_product_attention": layers.attention,
    **{f"{kind}_pool{n}d": moves.pool for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": moves.pool for n in (2, 3)},
    **{
        f"{lead}adaptive_{kind}_pool{n}d": moves.adaptive_pool
        for lead in ("", "_")
        for kind in ("max", "avg")
        for n in (1, 2, 3)
    },
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "_reshape_alias"), moves.reshape),
    "flatten": moves.flatten,
    "unflatten": moves.unflatten,
    "unsqueeze": moves.unsqueeze,
    "squeeze": moves.squeeze,
    "permute": moves.permute,
    **dict.fromkeys(("transpose", "t", "swapaxes", "mT", "numpy_T"), moves.transpose),
    **dict.fromkeys(("expand", "broadcast_to"), moves.expand),
    "expand_as": moves.expand_as,
    **dict.fromkeys(("cat", "concat", "concatenate"), moves.concat),
    "stack": moves.stack,
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "chunk"), moves.split),
    **dict.fromkeys(("unsafe_chunk", "tensor_split"), moves.split),
    "unbind": moves.unbind,
    "select": moves.select,
    "index_select": moves.index_select,
    **dict.fromkeys(("slice", "narrow"), moves.slice_),
    **dict.fromkeys(("pad", "constant_pad_nd"), moves.pad),
    **{f"upsample_nearest{n}d": moves.resize for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": moves.resize for n in (1, 2, 3)},
    **{f"upsample_{mode}2d": moves.resize for mode in ("bilinear", "bicubic")},
    **{f"_upsample_{mode}2d_aa": moves.resize for mode in ("bilinear", "bicubic")},
    "upsample_linear1d": moves.resize,
    "upsample_trilinear3d": moves.resize,
    "pixel_shuffle": moves.pixel_shuffle,
    **{name: moves.reduce(name) for name in ("mean", "sum", "prod")},
    **{name: moves.reduce(name) for name in ("var", "std", "logsumexp", "any", "all")},
    **{name: moves.reduce(name) for name in ("argmax", "argmin")},
    "amax": moves.reduce("max"),
    "amin": moves.reduce("min"),
    **dict.fromkeys(("norm", "linalg_vector_norm", "frobenius_norm"), moves.reduce("norm")),
    "max": indices.extreme("max"),
    "min": indices.extreme("min"),
    "var_mean": indices.moments("var"),
    "std_mean": indices.moments("std"),
    **{name: indices.arrange(name) for name in _ARRANGED},
    **dict.fromkeys(_UPDATED, indices.update),
    "index": indices.index,
    "gather": indices.take,
    "masked_fill": indices.masked_fill,
    "sort": indices.sort,
    "argsort": indices.arrange("argsort"),
    "topk": indices.topk,
    **dict.fromkeys(("repeat", "tile"), indices.repeat),
    "repeat_interleave": indices.repeat_interleave,
    "unfold": indices.sliding,
    "im2col": indices.patches,
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"), indices.sample),
    **dict.fromkeys(("reshape_as", "view_as"), moves.like_other),
    **dict.fromkeys(("movedim", "moveaxis"), moves.movedim),
    "bilinear": layers.bilinear,
    **dict.fromkeys(_MADE, moves.made),
    **dict.fromkeys(_KNOWN, moves.known),
    **{name: _function(function) for name, function in _ACTIVATIONS.items()},
    **{name: _arithmetic(kind) for name, kind in _ARITHMETIC.items()},
    **{name: _plain(op) for name, op in _WITH_NUMBERS.items()},
    **{name: _alike(op) for name, op in _ALIKE.items()},
    **{name: _plain(Identity()) for name in _SAME},
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), _softmax),
    **dict.fromkeys(("log_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "native_dropout"), _dropout),
    **dict.fromkeys(("to", "_to_copy", "type_as", "_to_dtype"), _cast),
    **dict.fromkeys(("hardtanh", "clamp", "clamp_min", "clamp_max", "clip"), _clip),
    "where": _where,
    "glu": _glu,
    "_grouped_mm": _grouped_mm,
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": _weight_norm,
}
