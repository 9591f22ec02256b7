"""Where flax keeps the parameters of an operation, and in which order of axes.

Canonical are (out, in/groups, *kernel) and (out, in); flax has (*kernel, in/groups, out) and
(in, out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from netledger import ops
from netledger.graph import Node
from netledger.ops.base import Op


def _as_is(array: Any) -> Any:
    return array


class Storage(NamedTuple):
    """Where a parameter is.

    Attributes:
        path: Its attribute within the layer: ``kernel``, ``query.kernel``.
        into: Makes flax's array of the canonical one; it may be given back as another shape.
        out: The way back.
    """

    path: str
    into: Callable[[Any], Any] = _as_is
    out: Callable[[Any], Any] = _as_is


def _kernel_into(array: Any) -> Any:
    return array.transpose(*range(2, array.ndim), 1, 0)


def _kernel_out(array: Any) -> Any:
    return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))


def _flipped(array: Any) -> Any:
    """A transposed convolution's kernel: flax does not turn it around."""
    return array[(slice(None), slice(None), *(slice(None, None, -1),) * (array.ndim - 2))]


def _transposed_into(array: Any) -> Any:
    return _flipped(array).transpose(*range(2, array.ndim), 0, 1)


def _transposed_out(array: Any) -> Any:
    return _flipped(array.transpose(array.ndim - 2, array.ndim - 1, *range(array.ndim - 2)))


def _turned(array: Any) -> Any:
    return array.T


KERNEL = {"weight": Storage("kernel", _kernel_into, _kernel_out)}
NORM = {
    "weight": Storage("scale"),
    "running_mean": Storage("mean"),
    "running_var": Storage("var"),
}
STORAGE: dict[type[Op], dict[str, Storage]] = {
    ops.Conv: KERNEL,
    ops.DepthwiseConv: KERNEL,
    ops.ConvTranspose: {"weight": Storage("kernel", _transposed_into, _transposed_out)},
    ops.Linear: {"weight": Storage("kernel", _turned, _turned)},
    ops.Embedding: {"weight": Storage("embedding")},
    ops.BatchNorm: NORM,
    ops.InstanceNorm: NORM,
    ops.GroupNorm: NORM,
    ops.LayerNorm: NORM,
    ops.RMSNorm: NORM,
    ops.PReLU: {
        "weight": Storage("negative_slope", lambda a: a.reshape(()), lambda a: a.reshape(1))
    },
}


def storage(node: Node, parameter: str) -> Storage:
    """Where a parameter of a layer is; what has no entry is called the same and kept as is."""
    op = node.op
    if isinstance(op, ops.MultiHeadAttention):
        return _attention(op, parameter)
    if isinstance(op, ops.ConvTranspose) and op.groups != 1 and parameter == "weight":
        return _grouped(op.groups)
    if is_cell(node):
        return CELL[parameter]
    return STORAGE.get(type(op), {}).get(parameter, Storage(parameter))


def _grouped(groups: int) -> Storage:
    """A transposed convolution in groups, kept as a convolution on the spread-out map."""

    def into(array: Any) -> Any:
        parts = _flipped(array).reshape(groups, -1, *array.shape[1:])  # (G, in/G, out/G, *k)
        turned = parts.transpose(*range(3, parts.ndim), 1, 0, 2)
        return turned.reshape(*turned.shape[:-2], -1)

    def out(array: Any) -> Any:
        parts = array.reshape(*array.shape[:-1], groups, -1)  # (*k, in/G, G, out/G)
        n = parts.ndim
        turned = parts.transpose(n - 2, n - 3, n - 1, *range(n - 3))
        return _flipped(turned.reshape(-1, *turned.shape[2:]))

    return Storage("kernel", into, out)


CELL = {
    "weight_ih_l0": Storage("cell.dense_i.kernel", _turned, _turned),
    "weight_hh_l0": Storage("cell.dense_h.kernel", _turned, _turned),
    "bias_ih_l0": Storage("cell.dense_h.bias"),
}
"""An LSTM with one bias vector, which is a cell of flax."""


def is_cell(node: Node) -> bool:
    """True for a recurrent layer that flax has a cell for."""
    op = node.op
    if not isinstance(op, ops.LSTM) or op.num_layers > 1 or op.bidirectional or not op.bias:
        return False
    return op.return_sequences and op.bias_vectors == 1 and len(node.outputs) == 1


def _attention(op: ops.MultiHeadAttention, parameter: str) -> Storage:
    """``query_weight`` is ``query.kernel``, with the heads on an axis of their own."""
    part, _, what = parameter.partition("_")
    heads = op.num_heads
    if part == "out":
        if what == "bias":
            return Storage("out.bias")
        return Storage(
            "out.kernel",
            lambda a: a.T.reshape(heads, -1, a.shape[0]),
            lambda a: a.reshape(-1, a.shape[-1]).T,
        )
    if what == "bias":
        return Storage(f"{part}.bias", lambda a: a.reshape(heads, -1), lambda a: a.reshape(-1))
    return Storage(
        f"{part}.kernel",
        lambda a: a.T.reshape(a.shape[1], heads, -1),
        lambda a: a.reshape(a.shape[0], -1).T,
    )
