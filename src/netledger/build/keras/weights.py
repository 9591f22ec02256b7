"""Where Keras keeps the parameters of an operation, and in which order of axes.

Canonical are (out, in/groups, *kernel) and (out, in); Keras has (*kernel, in/groups, out) and
(in, out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from netledger import ops
from netledger.ops.base import Op
from netledger.ops.recurrent import Recurrent


class Storage(NamedTuple):
    """Where a parameter is.

    Attributes:
        path: Its attribute within the layer: ``kernel``, ``cell.kernel``.
        into: Makes Keras' array of the canonical one and of what the variable holds now.
        out: The way back; it may give another shape with the numbers in order.
    """

    path: str
    into: Callable[[Any, Any], Any] = lambda array, now: array.reshape(now.shape)
    out: Callable[[Any], Any] = lambda array: array


def _kernel(array: Any, now: Any) -> Any:
    return array.transpose(*range(2, array.ndim), 1, 0)


def _kernel_out(array: Any) -> Any:
    return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))


def _depthwise(array: Any, now: Any) -> Any:
    channels = array.reshape(now.shape[-2], now.shape[-1], *array.shape[2:])
    return channels.transpose(*range(2, channels.ndim), 0, 1)


def _depthwise_out(array: Any) -> Any:  # (*k, C, M)
    return array.transpose(array.ndim - 2, array.ndim - 1, *range(array.ndim - 2))


def _turned(array: Any, now: Any = None) -> Any:
    return array.T


KERNEL = {"weight": Storage("kernel", _kernel, _kernel_out)}
NORM = {
    "weight": Storage("gamma"),
    "bias": Storage("beta"),
    "running_mean": Storage("moving_mean"),
    "running_var": Storage("moving_variance"),
}
STORAGE: dict[type[Op], dict[str, Storage]] = {
    ops.Conv: KERNEL,
    ops.ConvTranspose: KERNEL,
    ops.DepthwiseConv: {"weight": Storage("kernel", _depthwise, _depthwise_out)},
    ops.Linear: {"weight": Storage("kernel", _turned, _turned)},
    ops.BatchNorm: NORM,
    ops.InstanceNorm: NORM,
    ops.GroupNorm: NORM,
    ops.LayerNorm: NORM,
    ops.Scale: NORM,
    ops.RMSNorm: {"weight": Storage("scale")},
    ops.Embedding: {"weight": Storage("embeddings")},
    ops.PReLU: {"weight": Storage("alpha")},
    ops.Tensor: {"weight": Storage("kernel")},
}


def storage(op: Op, parameter: str) -> Storage:
    """Where a parameter of an operation is; what has no entry is called the same and kept as is."""
    if isinstance(op, Recurrent):
        return _recurrent(op, parameter)
    if isinstance(op, ops.MultiHeadAttention):
        return _attention(op, parameter)
    return STORAGE.get(type(op), {}).get(parameter, Storage(parameter))


def _recurrent(op: Recurrent, parameter: str) -> Storage:
    """Gates in Keras' order: a GRU has the update before the reset."""
    order = (1, 0, 2) if isinstance(op, ops.GRU) else tuple(range(op.gates))

    def gates(array: Any) -> Any:
        parts = array.reshape(op.gates, -1, *array.shape[1:])
        return parts[list(order)].reshape(array.shape)

    cell = "cell"
    if op.bidirectional:
        cell = f"{'backward' if parameter.endswith('_reverse') else 'forward'}_layer.cell"
    if parameter.startswith("weight"):
        name = "kernel" if "_ih_" in parameter else "recurrent_kernel"
        return Storage(f"{cell}.{name}", lambda a, now: gates(a).T, lambda a: gates(a.T))
    if op.bias_vectors == 1:
        return Storage(f"{cell}.bias", lambda a, now: gates(a), gates)
    at = int("_hh_" in parameter)  # both vectors lie in one variable

    def into(array: Any, now: Any) -> Any:
        both = now.copy()
        both[at] = gates(array)
        return both

    return Storage(f"{cell}.bias", into, lambda a: gates(a[at]))


def _attention(op: ops.MultiHeadAttention, parameter: str) -> Storage:
    """``query_weight`` is ``query_dense.kernel``, with the heads on an axis of their own."""
    part, _, what = parameter.partition("_")
    layer = f"_{'output' if part == 'out' else part}_dense"
    if what == "bias":
        return Storage(f"{layer}.bias")
    if part == "out":  # (heads, size, out)
        return Storage(
            f"{layer}.kernel",
            lambda a, now: a.T.reshape(now.shape),
            lambda a: a.reshape(-1, a.shape[-1]).T,
        )
    return Storage(
        f"{layer}.kernel",
        lambda a, now: a.T.reshape(now.shape),
        lambda a: a.reshape(a.shape[0], -1).T,
    )
