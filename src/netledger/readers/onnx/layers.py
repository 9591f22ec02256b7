"""What ONNX calls layers: operations with weights, in our terms.

A function of the table takes a `Call` and gives a `Layer`. Weights come in our axis order: a dense
layer's is (out, in) whichever way the file has it.
"""

from __future__ import annotations

from typing import Any

from netledger.formula import prod
from netledger.formula.simplify import simplify
from netledger.graph import BIAS, BUFFER, Shape
from netledger.ops import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Cast,
    Conv,
    ConvTranspose,
    Embedding,
    Gather,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Op,
    Opaque,
    Permute,
    PReLU,
    Reshape,
    RMSNorm,
    ScaledDotProductAttention,
)
from netledger.ops.base import axis
from netledger.readers.onnx.values import Call, Layer, Unknown, Value, Weight, contents


def same(values: Any) -> Any:
    """A single number where all axes agree, as people write it."""
    values = tuple(values)
    return values[0] if values and all(v == values[0] for v in values) else values


def pad(call: Call, rank: int) -> Any:
    """The padding of a window: ``[begin …, end …]``, or by name."""
    auto = call.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return "same"
    pads = call.integers("pads")
    if pads is None or auto == "VALID":
        return 0
    if len(pads) != 2 * rank:
        raise Unknown(f"it pads {len(pads)} sides of {rank} axes")
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if all(a == b for a, b in pairs):
        return same(a for a, _ in pairs)
    return pairs


def windows(call: Call, kernel: Any, rank: int) -> dict[str, Any]:
    """The hyperparameters that convolutions share."""
    return {
        "kernel_size": same(call.integers("kernel_shape") or kernel),
        "stride": same(call.integers("strides") or (1,) * rank),
        "padding": pad(call, rank),
        "dilation": same(call.integers("dilations") or (1,) * rank),
        "groups": call.integer("group", 1),
        "channels_last": False,
    }


def conv(call: Call, x: int = 0, w: int = 1, b: int = 2) -> Layer:
    """Conv, QLinearConv, ConvInteger: (out, in/groups, *kernel), as ours."""
    weight = call.weight(w, "weight")
    shape: Any = weight.parameter.shape
    if len(shape) < 3:
        raise Unknown(f"its weight has {len(shape)} axes")
    key = (shape, call.has(b))
    known = call.like.get(key)
    if known is None:
        op = Conv(shape[0], bias=call.has(b), **windows(call, shape[2:], len(shape) - 2))
        known = call.like[key] = op, frozenset(call.read)
    op, read = known
    call.read |= read
    return Layer(op, [call.value(x)], [weight, *bias(call, b, shape[0])])


def deform_conv(call: Call) -> Layer:
    """DeformConv: the products of a convolution, at places that other layers compute."""
    layer, x = conv(call, 0, 1, 3), call.shape(0)
    layer.op.check(x)
    made = tuple(tuple(map(simplify, shape)) for shape in layer.op.outputs(x))
    macs = layer.op.macs((x,), made)
    fed = [call.value(i) for i in (0, 2, 4) if call.has(i)]
    op = Opaque(call.kind, made, "a convolution at places that are computed")
    return Layer(op, fed, layer.weights, macs)


def bias(call: Call, i: int, size: Any) -> list[Weight]:
    """Input `i` as a bias, if it is there."""
    if not call.has(i):
        return []
    return [call.weight(i, "bias", BIAS, _flat(call.shape(i), size))]


def _flat(shape: Shape, size: Any) -> Shape:
    """A bias as a row of numbers, also where the file has axes of size 1 around it."""
    return (size,) if prod(shape) == size else shape


def conv_transpose(call: Call) -> Layer:
    """ConvTranspose: (in, out/groups, *kernel), as ours."""
    weight = call.weight(1, "weight")
    shape = weight.parameter.shape
    if len(shape) < 3:
        raise Unknown(f"its weight has {len(shape)} axes")
    fields = windows(call, shape[2:], len(shape) - 2)
    filters = shape[1] * fields["groups"]
    extra = call.integers("output_padding")
    if extra:
        fields["output_padding"] = same(extra)
    if call.integers("output_shape"):
        raise Unknown("its padding follows from an output_shape")
    return Layer(
        ConvTranspose(filters, bias=call.has(2), **fields),
        [call.value(0)],
        [weight, *bias(call, 2, filters)],
    )


def gemm(call: Call) -> Layer:
    """Gemm: alpha·A·B + beta·C."""
    a, b = call.value(0), call.value(1)
    if call.integer("transA", 0):
        a = call.before(Layer(Permute((1, 0)), [a]), False)[0]
    turned = call.integer("transB", 0)
    if not b.stored:
        if turned:
            b = call.before(Layer(Permute((1, 0)), [b]), False)[0]
        if call.has(2):
            raise Unknown("a product of two computed matrices with a third one added")
        return Layer(MatMul(), [a, b])
    shape: Any = b.shape if turned else tuple(reversed(b.shape))
    if len(shape) != 2:
        raise Unknown(f"its weight has {len(shape)} axes")
    weights = [call.weight(1, "weight", shape=shape)]
    biased = call.has(2) and bool(call.value(2).stored)
    if biased:
        weights += bias(call, 2, shape[0])
    elif call.has(2):
        raise Unknown("what it adds is computed, not stored")
    return Layer(Linear(shape[0], bias=biased), [a], weights)


def matmul(call: Call, a: int = 0, b: int = 1) -> Layer:
    """MatMul: a dense layer if a stored matrix is on the right."""
    left, right = call.value(a), call.value(b)
    if right.stored and len(right.shape) == 2 and len(left.shape) >= 2:
        stored: Any = right.shape
        rows, columns = stored
        weight = call.weight(b, "weight", shape=(columns, rows))
        return Layer(Linear(columns, bias=False), [left], [weight])
    if len(left.shape) < 2 or len(right.shape) < 2:
        return _vector(call, left, right)
    return Layer(MatMul(), [left, right])


def _vector(call: Call, left: Value, right: Value) -> Layer:
    """A product with a vector: a matrix of one row, or of one column."""
    x, y = left.shape, right.shape
    if len(x) == 1:
        left = call.before(Layer(_to((1, *x)), [left]), False)[0]
    if len(y) == 1:
        right = call.before(Layer(_to((*y, 1)), [right]), False)[0]
    made = call.before(Layer(MatMul(), [left, right]), True)[0]
    shape = made.shape
    kept = shape[:-2] + (shape[-2:-1] if len(x) > 1 else ()) + (shape[-1:] if len(y) > 1 else ())
    return Layer(_to(kept), [made])


def _to(shape: Shape) -> Op:
    return Reshape(shape, keep_batch=False)


def integer_product(call: Call, inner: Any) -> Layer:
    """ConvInteger and MatMulInteger: products of bytes, summed in 32 bits."""
    return Layer(Cast("int32"), call.before(inner, True))


def gather(call: Call) -> Layer:
    """Gather: an embedding if a stored table is looked up, else entries of an axis."""
    x, index = call.value(0), call.value(1)
    at = axis(call.integer("axis", 0), len(x.shape))
    learned = x.learned or (x.stored and x.name.endswith("_quantized"))  # as ONNX Runtime says
    if learned and len(x.shape) == 2 and at == 0 and not index.learned and index.shape:
        table: Any = x.shape
        rows, width = table
        return Layer(Embedding(rows, width), [index], [call.weight(0, "weight")])
    if index.constant:
        known = contents(index, call.wire)
        few = known is not None and len(known) <= 16 and all(type(i) is int for i in known)
        return Layer(Gather(at, index.shape, index=_bare(known) if few else None), [x])
    return Layer(Gather(at), [x, index])


def _bare(numbers: Any) -> Any:
    return numbers[0] if len(numbers) == 1 else numbers


def batch_norm(call: Call) -> Layer:
    """BatchNormalization: scale, offset, and running statistics, which are buffers.

    Statistics that are computed, as a rule those of the batch, are nothing that it keeps.
    """
    size = call.shape(1)[0] if len(call.shape(1)) == 1 else None
    if size is None:
        raise Unknown("its scale is not a row of numbers")
    found, fields = _affine(call)
    running = bool(call.value(3).stored and call.value(4).stored)
    if running:
        names = ("running_mean", "running_var")
        found["weights"] += [call.weight(i, name, BUFFER) for i, name in enumerate(names, start=3)]
    else:
        found["untold"] = found["untold"] or "computed statistics"
    op = BatchNorm(
        channels_last=False,
        epsilon=call.real("epsilon", 1e-5),
        momentum=call.real("momentum", 0.9),
        running_stats=running,
        **fields,
    )
    return Layer(op, [call.value(0)], **found)


def _affine(
    call: Call, first: int = 1, shape: Shape | None = None
) -> tuple[dict[str, Any], dict[str, bool]]:
    """Scale and offset, each a parameter if it is an initializer; written constants are not."""
    weights, given, untold = [], {}, ""
    for i, field, name in ((first, "scale", "weight"), (first + 1, "center", "bias")):
        given[field] = call.has(i) and call.value(i).learned
        if given[field]:
            role = BIAS if name == "bias" else "weight"
            weights.append(call.weight(i, name, role, shape))
        elif call.has(i) and not call.value(i).constant:
            raise Unknown(f"its {field} is computed, not stored")
        elif call.has(i) and call.number(i) != (1 if field == "scale" else 0):
            untold = f"constant {field}"
    return {"weights": weights, "untold": untold}, given


def instance_norm(call: Call) -> Layer:
    """InstanceNormalization."""
    found, fields = _affine(call)
    op = InstanceNorm(channels_last=False, epsilon=call.real("epsilon", 1e-5), **fields)
    return Layer(op, [call.value(0)], **found)


def group_norm(call: Call) -> Layer:
    """GroupNormalization: one scale per channel; before version 21, one per group."""
    groups = call.integer("num_groups", 0)
    x, scale = call.shape(0), call.shape(1)
    if scale != (x[1],):
        raise Unknown("it has a scale for each group, not for each channel")
    found, fields = _affine(call)
    epsilon = call.real("epsilon", 1e-5)
    op = GroupNorm(groups=groups, channels_last=False, epsilon=epsilon, **fields)
    return Layer(op, [call.value(0)], **found)


def layer_norm(call: Call) -> Layer:
    """LayerNormalization and RMSNormalization, over the axes from `axis` to the last."""
    rank = len(call.shape(0))
    first = axis(call.integer("axis", -1), rank)
    over = same(i - rank for i in range(first, rank))
    found, fields = _affine(call)
    kind = RMSNorm if "RMS" in call.kind or call.kind.startswith("Simplified") else LayerNorm
    op = kind(over=over, epsilon=call.real("epsilon", 1e-5), **fields)
    return Layer(op, [call.value(0)], **found)


def lrn(call: Call) -> Layer:
    """LRN."""
    op = LocalResponseNorm(
        call.integer("size", 5),
        alpha=call.real("alpha", 1e-4),
        beta=call.real("beta", 0.75),
        k=call.real("bias", 1.0),
        channels_last=False,
    )
    return Layer(op, [call.value(0)])


def prelu(call: Call) -> Layer:
    """PRelu: one slope, or one for each channel."""
    slopes = call.shape(1)
    count = prod(slopes)
    if count != 1 and count != call.shape(0)[1]:
        raise Unknown(f"it has {count} slopes")
    op = PReLU() if count == 1 else PReLU(channel_axis=1)
    return Layer(op, [call.value(0)], [call.weight(1, "weight", shape=(count,))])


RECURRENT = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}


def recurrent(call: Call) -> list[Value]:
    """RNN, GRU, LSTM: the weights of all directions lie in one tensor, the two biases in one."""
    kind = RECURRENT[call.kind]
    hidden = call.integer("hidden_size", 0)
    both = call.text("direction", "forward") == "bidirectional"
    batch_first = bool(call.integer("layout", 0))
    op = kind(hidden, bidirectional=both, bias=call.has(3), batch_first=batch_first)
    weights = []
    for i, names in ((1, ("weight_ih",)), (2, ("weight_hh",)), (3, ("bias_ih", "bias_hh"))):
        if call.has(i):
            weights += _directions(call, i, names, op.directions)
    layer = Layer(op, [call.value(0)], weights, untold=_untold_state(call))
    sequence, *states = call.before(layer, True)
    if call.used[0]:
        first, second, _ = sequence.shape
        if batch_first or not both:
            shape: Any = (first, second, op.directions, hidden)
            shape = shape if batch_first else (first, 1, second, hidden)
            sequence = call.before(Layer(_to(shape), [sequence]), False)[0]
        else:
            split = call.before(Layer(_to((first, second, 2, hidden)), [sequence]), False)
            sequence = call.before(Layer(Permute((0, 2, 1, 3)), split), False)[0]
    if batch_first:
        states = [call.before(Layer(Permute((1, 0, 2)), [s]), False)[0] for s in states]
    return [sequence, *states]


def _untold_state(call: Call) -> str:
    """What is said of a recurrent layer beyond its operation, or nothing."""
    if call.kind == "GRU" and not call.integer("linear_before_reset", 0):
        return "reset before the product"
    given = [word for i, word in ((4, "lengths"), (5, "state"), (6, "state")) if _varies(call, i)]
    return given[0] if given else call.untold()


def _varies(call: Call, i: int) -> bool:
    return call.has(i) and not call.value(i).constant


def _directions(call: Call, i: int, names: tuple[str, ...], directions: int) -> list[Weight]:
    shape = call.shape(i)
    if len(shape) < 2 or shape[0] != directions or shape[-1 if len(names) > 1 else 1] % len(names):
        raise Unknown(f"the shape of its input {i + 1} is {list(shape)}")
    found = []
    for d in range(directions):
        for k, name in enumerate(names):
            own = (shape[1] // 2,) if len(names) > 1 else shape[1:]
            role = BIAS if "bias" in name else "weight"
            full = f"{name}_l0{'_reverse' if d else ''}"
            found.append(call.weight(i, full, role, own, part=(d, k)))
    return found


def attention(call: Call) -> Layer:
    """Attention (version 23): heads on an axis of their own, or side by side in the features."""
    values = [call.value(i) for i in range(3)]
    if call.has(4) or call.has(5):
        raise Unknown("keys and values of earlier steps are joined to its own")
    scale = call.real("scale", 0.0) or None
    op = ScaledDotProductAttention(causal=bool(call.integer("is_causal", 0)), scale=scale)
    untold = "mask" if call.has(3) else ""
    if len(values[0].shape) == 4:
        return Layer(op, values, untold=untold)
    heads = [call.integer(name, 0) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
    if 0 in heads:
        raise Unknown("it does not say how many heads it has")
    parts = []
    batch: Any
    for value, count in zip(values, heads, strict=True):
        batch, tokens, width = value.shape
        split = call.before(Layer(_to((batch, tokens, count, width // count)), [value]), False)
        parts += call.before(Layer(Permute((0, 2, 1, 3)), split), False)
    made = call.before(Layer(op, parts, untold=untold), True)
    turned = call.before(Layer(Permute((0, 2, 1, 3)), made), False)
    whole: Any = turned[0].shape
    return Layer(_to((*whole[:2], whole[2] * whole[3])), turned)
