"""The table of layers: convolutions, poolings, normalisations, merging, reshaping."""

from __future__ import annotations

from collections.abc import Callable
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
    Einsum,
    Embedding,
    GlobalAvgPool,
    GlobalMaxPool,
    Linear,
    Maximum,
    MaxPool,
    Minimum,
    Multiply,
    Reshape,
    Subtract,
    Tensor,
)
from netledger.ops.base import Op, axis, each_axis, show_shape
from netledger.ops.window import span
from netledger.readers.keras.activations import activated
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
    op = Linear(call.config.get("units"), bias=bias)
    adapters = [one for one in call.stored or () if "/lora_" in one.path]
    if adapters:
        call.sort("kernel", "bias", "lora_kernel_a", "lora_kernel_b")
        _freeze_first(call)
    value = call.add(op, slots=(KERNEL, VECTOR)[: 1 + bias])
    if len(adapters) == 2:  # low-rank adaptation: x·A·B beside x·W
        down = Linear(adapters[0].shape[-1], bias=False)
        low = call.add(down, part="lora_a", slots=(KERNEL,))
        up = Linear(call.config.get("units"), bias=False)
        low = call.add(up, low, part="lora_b", slots=(KERNEL,))
        value = call.add(Add(), value, low, part="lora")
    return activated(call, value)


def _freeze_first(call: Call) -> None:
    """The kernel is not trained where an adapter is."""
    if call.stored:
        call.stored[0] = call.stored[0]._replace(trainable=False)


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
    op = Conv(c.get("filters"), groups=c.get("groups", 1), bias=bias, **window(call))
    return activated(call, call.add(op, slots=(KERNEL, VECTOR)[: 1 + bias]))


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
    c = call.config
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


def einsum_dense(call: Call) -> list[str]:
    """``EinsumDense``: a product with a stored tensor, whose shape the equation gives."""
    equation = call.config.text("equation").replace(" ", "").replace("...", "")
    left, _, right = equation.partition("->")
    first, _, second = left.partition(",")
    given = call.config.get("output_shape", [])
    given = given if isinstance(given, list) else [given]
    shape = call.shape
    if "..." in call.config.text("equation"):
        return call.opaque("no rule describes an equation with '...'")
    if not equation.replace("->", "").replace(",", "").isalpha() or len(first) != len(shape):
        raise FieldError(f"the equation {equation[:80]!r} does not fit {show_shape(shape)}")
    sizes = dict(zip(first, shape, strict=True))
    tail = right[len(right) - len(given) :]
    sizes.update((k, d) for k, d in zip(tail, given, strict=True) if d is not None)
    if any(letter not in sizes for letter in second + right):
        raise FieldError(f"output_shape does not give every size of the equation {equation!r}")
    kernel = call.add(Tensor([sizes[k] for k in second]), part="kernel", slots=(SCALE,))
    value = call.add(Einsum(equation), call.first, kernel)
    axes = call.config.text("bias_axes")
    if axes:
        first_axis = min(right.index(letter) for letter in axes if letter in right)
        bias = [sizes[k] if k in axes else 1 for k in right[first_axis:]]
        bias_value = call.add(Tensor(bias), part="bias", slots=(SCALE,))
        value = call.add(Add(), value, bias_value, part="add")
    return [activated(call, value)]


def layer_scale(call: Call) -> str:
    """``LayerScale`` of ConvNeXt: a learned factor for each channel."""
    gamma = call.add(Tensor([call.config.integer("projection_dim")]), part="gamma", slots=(SCALE,))
    return call.add(Multiply(), call.first, gamma)


def scaled_sum(call: Call) -> str:
    """``CustomScaleLayer`` of Inception-ResNet: x + constant × y."""
    if len(call.inputs) != 2:
        raise FieldError(f"CustomScaleLayer takes two values; got {len(call.inputs)}")
    scaled = call.add(Multiply(), call.inputs[1], part="scaled")
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
