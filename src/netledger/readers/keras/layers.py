"""The table of layers: convolutions, poolings, normalisations, merging, reshaping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netledger.errors import FieldError
from netledger.ops import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    Add,
    Average,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    DynamicConv,
    Einsum,
    Embedding,
    Gather,
    GlobalAvgPool,
    GlobalMaxPool,
    Linear,
    MatMul,
    Maximum,
    MaxPool,
    Minimum,
    Multiply,
    Permute,
    Reshape,
    Subtract,
    Tensor,
)
from netledger.ops.base import Op, axis, each_axis, show_shape
from netledger.ops.linear import spelled_out
from netledger.ops.window import span
from netledger.readers.keras.activations import activated
from netledger.readers.keras.adapters import adapted
from netledger.readers.keras.call import (
    DEPTHWISE,
    KERNEL,
    SCALE,
    VECTOR,
    Call,
    LayerRule,
)
from netledger.readers.keras.norms import NORMS
from netledger.readers.keras.shaping import SHAPING, numbered


def dense(call: Call) -> str:
    """``Dense``: a matrix, a bias, an activation."""
    bias = call.config.flag("use_bias", True)
    kernel = adapted(call)
    if kernel is None:
        op = Linear(call.config.get("units"), bias=bias)
        return activated(call, call.add(op, slots=(KERNEL, VECTOR)[: 1 + bias]))
    value = call.add(MatMul(), call.first, kernel)
    return activated(call, biased(call, value, [call.config.integer("units")]) if bias else value)


def biased(call: Call, value: str, shape: Sequence[Any]) -> str:
    """A sum with a stored tensor."""
    return call.add(Add(), value, call.add(Tensor(shape), part="bias", slots=(SCALE,)), part="add")


def window(call: Call) -> dict[str, Any]:
    """What convolutions of all kinds have in common."""
    c = call.config
    return {
        "kernel_size": c.get("kernel_size"),
        "stride": c.get("strides", 1),
        "padding": c.text("padding", "valid").lower(),
        "dilation": c.get("dilation_rate", 1),
        "channels_last": call.last,
    }


def conv(call: Call) -> str:
    """``Conv1D`` to ``Conv3D``."""
    c, bias = call.config, call.config.flag("use_bias", True)
    kernel = adapted(call)
    if kernel is not None:
        return activated(call, _by_kernels(call, kernel, bias))
    op = Conv(c.get("filters"), groups=c.get("groups", 1), bias=bias, **window(call))
    return activated(call, call.add(op, slots=(KERNEL, VECTOR)[: 1 + bias]))


def _by_kernels(call: Call, kernel: str, bias: bool) -> str:
    """A convolution by kernels that are computed, which are (*window, in, out) in Keras."""
    rank, fields = len(call.shape), window(call)
    del fields["kernel_size"]
    fed = [call.add(Permute((rank - 1, rank - 2, *range(rank - 2))), kernel, part="turned")]
    if bias:
        filters = call.config.integer("filters")
        fed.append(call.add(Tensor([filters]), part="bias", slots=(SCALE,)))
    op = DynamicConv(groups=call.config.get("groups", 1), **fields)
    return call.add(op, call.first, *fed)


def depthwise(call: Call) -> str:
    """``DepthwiseConv1D`` and ``2D``."""
    c, bias = call.config, call.config.flag("use_bias", True)
    op = DepthwiseConv(depth_multiplier=c.get("depth_multiplier", 1), bias=bias, **window(call))
    return activated(call, call.add(op, slots=(DEPTHWISE, VECTOR)[: 1 + bias]))


def separable(call: Call) -> str:
    """``SeparableConv1D`` and ``2D``: a depthwise convolution, then one of 1 × 1."""
    c, bias = call.config, call.config.flag("use_bias", True)
    first = DepthwiseConv(depth_multiplier=c.get("depth_multiplier", 1), bias=False, **window(call))
    value = call.add(first, part="depthwise", slots=(DEPTHWISE,))
    second = Conv(c.get("filters"), 1, bias=bias, channels_last=call.last)
    value = call.add(second, value, part="pointwise", slots=(KERNEL, VECTOR)[: 1 + bias])
    return activated(call, value)


def transposed(call: Call) -> str:
    """``Conv1DTranspose`` to ``Conv3DTranspose``; a given output padding sets the size exactly."""
    c, bias, given = call.config, call.config.flag("use_bias", True), window(call)
    extra = c.get("output_padding")
    if extra is not None:
        rank = len(call.shape) - 2
        kernels = each_axis(_integers(call, "kernel_size"), rank)
        dilations = each_axis(_integers(call, "dilation_rate", 1), rank)
        reach = [span(k, d) for k, d in zip(kernels, dilations, strict=False)]
        same = given["padding"] == "same"
        given["padding"] = [k // 2 if same else 0 for k in reach]
        given["output_padding"] = extra
    op = ConvTranspose(c.get("filters"), bias=bias, groups=c.get("groups", 1), **given)
    return activated(call, call.add(op, slots=(KERNEL, VECTOR)[: 1 + bias]))


def _integers(call: Call, key: str, default: Any = ()) -> Any:
    found = call.config.integers(key, default)
    return found if len(found) > 1 else found[0] if found else 1


def pool(op_class: Callable[..., Op]) -> LayerRule:
    """Poolings with a window."""

    def rule(call: Call) -> str:
        c = call.config
        size = c.get("pool_size", 2)
        return call.add(
            op_class(
                size,
                c.get("strides", size),
                padding=c.text("padding", "valid").lower(),
                channels_last=call.last,
            )
        )

    return rule


def global_pool(op_class: Callable[..., Op]) -> LayerRule:
    """Poolings over the whole map."""

    def rule(call: Call) -> str:
        keep = call.config.flag("keepdims", False)
        return call.add(op_class(keepdims=keep, channels_last=call.last))

    return rule


def adaptive_pool(op_class: Callable[..., Op]) -> LayerRule:
    """Poolings to a given size."""

    def rule(call: Call) -> str:
        return call.add(op_class(call.config.get("output_size"), channels_last=call.last))

    return rule


def embedding(call: Call) -> str:
    """``Embedding``."""
    c, table = call.config, adapted(call, "embeddings")
    if table is not None:
        return call.add(Gather(0), table, call.first)
    return call.add(Embedding(c.get("input_dim"), c.get("output_dim")), slots=(SCALE,))


def reversible(call: Call) -> str:
    """``ReversibleEmbedding``: a table, or the product with it that leads back to words."""
    c, back = call.config, call.inbound.options.get("reverse") is True
    words, width = c.integer("input_dim"), c.integer("output_dim")
    product = Linear(words, bias=False)
    if c.flag("tie_weights", True):
        return call.add(product if back else Embedding(words, width), slots=(SCALE,))
    table = Tensor([words, width])
    forth = call.add(table if back else Embedding(words, width), slots=(SCALE,))
    reverse = call.add(product if back else table, part="reverse", slots=(KERNEL,))
    return reverse if back else forth


def equation(call: Call) -> tuple[str, dict[str, Any]]:
    """The equation of an ``EinsumDense``, with letters for its dots; the size of each letter."""
    said, shape = call.config.text("equation").replace(" ", ""), call.shape
    spelled = spelled_out(said, (len(shape), 0))
    left, _, right = spelled.partition("->")
    first, _, second = left.partition(",")
    if not (left + right).replace(",", "").isalpha() or len(first) != len(shape):
        raise FieldError(f"the equation {said[:80]!r} does not fit {show_shape(shape)}")
    given = call.config.get("output_shape", [])
    given = given if isinstance(given, list) else [given]
    sizes = dict(zip(first, shape, strict=True))
    tail = right[len(right) - len(given) :]
    sizes.update((k, d) for k, d in zip(tail, given, strict=True) if d is not None)
    if any(letter not in sizes for letter in second + right):
        raise FieldError(f"output_shape does not give every size of the equation {said[:80]!r}")
    return spelled, sizes


def einsum_dense(call: Call) -> str:
    """``EinsumDense``: a product with a stored tensor, whose shape the equation gives."""
    letters, sizes = equation(call)
    left, _, right = letters.partition("->")
    own = [sizes[k] for k in left.partition(",")[2]]
    kernel = adapted(call) or call.add(Tensor(own), part="kernel", slots=(SCALE,))
    value = call.add(Einsum(letters), call.first, kernel)
    axes = call.config.text("bias_axes")
    if axes:
        first_axis = min(right.index(letter) for letter in axes if letter in right)
        value = biased(call, value, [sizes[k] if k in axes else 1 for k in right[first_axis:]])
    return activated(call, value)


def layer_scale(call: Call) -> str:
    """``LayerScale`` of ConvNeXt: a learned factor for each channel."""
    gamma = call.add(Tensor([call.config.integer("projection_dim")]), part="gamma", slots=(SCALE,))
    return call.add(Multiply(), call.first, gamma)


def scaled_sum(call: Call) -> str:
    """``CustomScaleLayer`` of Inception-ResNet: x + constant × y."""
    if len(call.inputs) != 2:
        raise FieldError(f"CustomScaleLayer takes two values; got {len(call.inputs)}")
    factor = Multiply(constant=call.config.number("scale", 1.0))
    scaled = call.add(factor, call.inputs[1], part="scaled")
    return call.add(Add(), call.first, scaled)


def merge(op_class: Callable[[], Op]) -> LayerRule:
    """Layers that combine values number by number."""
    return lambda call: call.add(op_class())


def concat(call: Call) -> str:
    """``Concatenate``."""
    return call.add(Concat(call.config.integer("axis", -1)))


def dot(call: Call) -> str:
    """``Dot``: products along an axis of each of two values, sample by sample."""
    ranks = [len(call.reading.shapes[value]) for value in call.inputs]
    if len(ranks) != 2 or max(ranks) > 10:
        raise FieldError(f"Dot takes two values; got {len(ranks)}")
    said = call.config.integers("axes")
    axes = said * 2 if len(said) == 1 else said
    if len(axes) != 2:
        raise FieldError("axes must be one axis or two")
    a, b = list("Nabcdefghi"[: ranks[0]]), list("Nklmnopqrs"[: ranks[1]])
    a[axis(axes[0], ranks[0])] = b[axis(axes[1], ranks[1])] = "z"
    out = [k for k in (*a, *b[1:]) if k != "z"]
    if len(out) == 1:
        value = call.add(Einsum(f"{''.join(a)},{''.join(b)}->N"), part="product")
        return call.add(Reshape([1]), value)
    return call.add(Einsum(f"{''.join(a)},{''.join(b)}->{''.join(out)}"))


LAYERS: dict[str, LayerRule] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "ReversibleEmbedding": reversible,
    **numbered("Conv{}D", conv),
    **numbered("Convolution{}D", conv),
    **numbered("DepthwiseConv{}D", depthwise),
    **numbered("SeparableConv{}D", separable),
    **numbered("Conv{}DTranspose", transposed),
    **numbered("MaxPooling{}D", pool(MaxPool)),
    **numbered("AveragePooling{}D", pool(AvgPool)),
    **numbered("GlobalMaxPooling{}D", global_pool(GlobalMaxPool)),
    **numbered("GlobalAveragePooling{}D", global_pool(GlobalAvgPool)),
    **numbered("AdaptiveMaxPooling{}D", adaptive_pool(AdaptiveMaxPool)),
    **numbered("AdaptiveAveragePooling{}D", adaptive_pool(AdaptiveAvgPool)),
    "LayerScale": layer_scale,
    "CustomScaleLayer": scaled_sum,
    "Add": merge(Add),
    "Subtract": merge(Subtract),
    "Multiply": merge(Multiply),
    "Average": merge(Average),
    "Maximum": merge(Maximum),
    "Minimum": merge(Minimum),
    "Concatenate": concat,
    "Dot": dot,
    **NORMS,
    **SHAPING,
}
