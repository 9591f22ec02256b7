"""Signals and sequences in ONNX: Fourier transforms, and layers that carry a state along."""

from __future__ import annotations

from typing import Any

from netledger.graph import Shape
from netledger.ops import Activation, Conv, Opaque
from netledger.ops.base import axis
from netledger.readers.onnx.layers import bias
from netledger.readers.onnx.values import Call, Layer, Unknown, Value


def dft(call: Call) -> list[Shape]:
    """DFT: real and imaginary part on the last axis; of a real signal half may be left out."""
    x, first = call.shape(0), 1 if call.version < 20 else -2
    at = axis(call.items(2)[0] if call.has(2) else call.integer("axis", first), len(x))
    half, inverse = call.integer("onesided", 0), call.integer("inverse", 0)
    length: Any = x[at]
    if call.has(1):
        length = call.items(1)[0]
    elif half and inverse:
        length = 2 * (length - 1)
    kept = length // 2 + 1 if half and not inverse else length
    return [(*x[:at], kept, *x[at + 1 : -1], 1 if half and inverse else 2)]


def stft(call: Call) -> list[Shape]:
    """STFT: a transform of every frame of a signal."""
    batch, length, _ = call.shape(0)
    frame: Any = call.shape(2)[0] if call.has(2) else length
    if call.has(3):
        frame = call.items(3)[0]
    kept = frame // 2 + 1 if call.integer("onesided", 1) else frame
    return [(batch, (length - frame) // call.items(1)[0] + 1, kept, 2)]


def causal_conv(call: Call) -> list[Value]:
    """CausalConvWithState: a convolution of each channel, which may go on from earlier inputs."""
    x, weight = call.shape(0), call.weight(1, "weight")
    shape: Any = weight.parameter.shape
    channels, _, kernel = shape
    op = Conv(
        channels,
        kernel,
        padding="causal",
        groups=channels,
        bias=call.has(2),
        channels_last=False,
    )
    layer = Layer(op, [call.value(0)], [weight, *bias(call, 2, channels)])
    if call.has(3) or any(call.used[1:]):
        op.check(x)
        state = (*x[:2], kernel - 1)
        whole = Opaque(call.kind, (x, state), "a convolution that goes on from earlier inputs")
        fed = [call.value(i) for i in (0, 3) if call.has(i)]
        layer = Layer(whole, fed, layer.weights, op.macs((x,), (x,)))
    made = call.before(layer, True)
    if call.text("activation", "none") != "none":
        made[:1] = call.before(Layer(Activation("silu"), made[:1]), False)
    return made


def linear_attention(call: Call) -> Layer:
    """LinearAttention: each token adds a product to a state, and reads it with another.

    With a delta rule, what the state says already is read first.
    """
    heads, shared = call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0)
    if heads < 1 or shared < 1:
        raise Unknown("it does not say how many heads it has")
    batch, tokens, width = call.shape(0)
    size: Any = width // heads
    values: Any = call.shape(2)[2] // shared
    delta = call.text("update_rule", "gated_delta").endswith("delta")
    products = heads + shared * (2 if delta else 1)
    shapes = ((batch, tokens, heads * values), (batch, shared, size, values))
    op = Opaque(call.kind, shapes, "attention through a state, one token after another")
    return Layer(op, call.values(), macs=batch * tokens * products * size * values)
