"""Layers with packed integer weights, as the layers that they stand for.

``torch.ao.quantization.quantize_dynamic`` packs the weights of linear and recurrent layers into
objects that are no parameters; a count of parameters finds none. Here they count with their
logical shape, and take the bytes of their integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

Stands = tuple[Any, tuple[Any, ...]]
"""An operator, and what it is called with, on the meta device."""


class Kept(NamedTuple):
    """A weight out of a packed object: a twin on the meta device, and the dtype that is stored."""

    name: str
    twin: Any
    dtype: str


def linear(module: Any, args: tuple[Any, ...]) -> tuple[Stands, list[Kept]] | None:
    """quantized.linear_dynamic(x, packed)."""
    packed = args[1]
    if "Linear" not in str(packed._type()):
        return None
    weight, bias = packed.unpack()
    kept = _kept({"weight": weight, **({} if bias is None else {"bias": bias})})
    x = args[0]
    twins = [k.twin for k in kept]
    return (torch.ops.aten.linear.default, (x, *twins)), kept


def recurrent(module: Any, args: tuple[Any, ...]) -> tuple[Stands, list[Kept]] | None:
    """quantized_lstm and quantized_gru on a batch of sequences, called by their module."""
    if not hasattr(module, "get_weight") or not isinstance(args[2], list | tuple):
        return None  # called without its module, or on packed sequences
    tensors = {**module.get_weight(), **module.get_bias()}
    order = []
    for layer in range(module.num_layers):
        for way in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            leaves = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ()))
            order += [f"{leaf}_l{layer}{way}" for leaf in leaves]
    kept = _kept({name: tensors[name] for name in order})
    twins = [k.twin for k in kept]
    gru = isinstance(args[1], torch.Tensor)
    function = torch.ops.aten.gru.input if gru else torch.ops.aten.lstm.input
    return (function, (args[0], args[1], twins, *args[3:9])), kept


def _kept(tensors: dict[str, Any]) -> list[Kept]:
    found = []
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype)[6:]
        stored = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}.get(dtype, dtype)
        found.append(Kept(name, torch.empty(tensor.shape, device="meta"), stored))
    return found


PACKED: dict[str, Callable[[Any, tuple[Any, ...]], tuple[Stands, list[Kept]] | None]] = {
    "quantized::linear_dynamic": linear,
    "quantized::linear_dynamic_fp16": linear,
    "quantized::linear_relu_dynamic": linear,
    "aten::quantized_lstm": recurrent,
    "aten::quantized_gru": recurrent,
}
"""By the operator's full name."""
