"""Packed sequences, as the whole ones that they may be: each as long as the longest.

How long every sequence is only data can say. Taken as the longest, a packed batch has the steps of
all of its sequences, one after the other in time: a recurrent layer on it is one on a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import pad
from torch.utils._python_dispatch import _disable_current_modes

_VF: Any = torch._VF


def _full(count: int, number: int) -> Any:
    """The same whole number several times, outside of the pass: PyTorch asks for it on the CPU."""
    with _disable_current_modes():
        return torch.full((count,), number)


def _pack(x: Any, lengths: Any, batch_first: bool) -> tuple[Any, Any]:
    x = x.transpose(0, 1) if batch_first else x
    return x.flatten(0, 1), _full(*x.shape[:2])


def _unpack(x: Any, sizes: Any, batch_first: bool, padding: float, steps: int) -> tuple[Any, Any]:
    x, (time, batch) = x.unflatten(0, (len(sizes), -1)), (len(sizes), len(x) // len(sizes))
    if steps > time:
        x = pad(x, (*[0, 0] * (x.dim() - 1), 0, steps - time), value=padding)
    return x.transpose(0, 1) if batch_first else x, _full(batch, time)


def _recurrent(layer: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent layer on packed sequences: one on a batch whose first axis is time."""

    def packed(x: Any, sizes: Any, states: Any, weights: Any, *settings: Any) -> Any:
        made, *last = layer(x.unflatten(0, (len(sizes), -1)), states, weights, *settings, False)
        return made.flatten(0, 1), *last

    return packed


WHOLE: dict[str, Callable[..., Any]] = {
    "aten::_pack_padded_sequence": _pack,
    "aten::_pad_packed_sequence": _unpack,
    "aten::lstm.data": _recurrent(_VF.lstm),
    "aten::gru.data": _recurrent(_VF.gru),
    "aten::rnn_tanh.data": _recurrent(_VF.rnn_tanh),
    "aten::rnn_relu.data": _recurrent(_VF.rnn_relu),
}
"""By the full name of an operator: what it is composed of here."""
