"""What depends on data: how many of something there are, and numbers that the model asks for.

How many numbers a mask chooses, or boxes a suppression keeps, only data can say: the largest that
it can be is taken. A number that the model asks for (``.item()``) is computed if it follows from
constants, small stored tensors and given sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch

SMALL = 1 << 16
"""How many numbers a tensor may have that is really computed."""

ASKED = ("item", "is_nonzero", "_local_scalar_dense", "equal", "allclose")


class DataDependent(RuntimeError):
    """The model asks for a number that only real data have."""


def _empty(shape: Any, dtype: Any = torch.int64) -> Any:
    return torch.empty(tuple(shape), dtype=dtype, device="meta")


def _nonzero(function: Any, x: Any) -> Any:
    return _empty((x.numel(), x.dim()))


def _nonzero_numpy(function: Any, x: Any) -> Any:
    return [_empty((x.numel(),)) for _ in range(max(x.dim(), 1))]


def _where(function: Any, condition: Any, *chosen: Any, **kwargs: Any) -> Any:
    return None if chosen or kwargs else _nonzero_numpy(function, condition)


def _masked_select(function: Any, x: Any, mask: Any) -> Any:
    return _empty((prod(torch.broadcast_shapes(x.shape, mask.shape)),), x.dtype)


def _index(function: Any, x: Any, indices: Any) -> Any:
    """Masks as the indices of all that they could choose."""
    if not any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices):
        return None
    plain: list[Any] = []
    for i in indices:
        mask = i is not None and i.dtype in (torch.bool, torch.uint8)
        plain += _nonzero_numpy(function, i) if mask else [i]
    return function(x, plain)


def _unique(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return _empty((x.numel(),), x.dtype), _empty(x.shape), _empty((x.numel(),))


def _nms(function: Any, boxes: Any, scores: Any, threshold: float) -> Any:
    return _empty(boxes.shape[:1])


def _roi_align(
    function: Any, x: Any, rois: Any, scale: float, height: int, width: int, *rest: Any
) -> Any:
    return _empty((rois.shape[0], x.shape[1], height, width), x.dtype)


def _recurrent(function: Any, x: Any, states: Any, weights: Any, *rest: Any) -> Any:
    """One step of a recurrent layer; PyTorch would go through every step of the sequence."""
    if function._overloadname != "input":
        return None
    time = int(bool(rest[-1]))  # batch_first
    sequence, *last = function(x.narrow(time, 0, 1), states, weights, *rest)
    shape = (*sequence.shape[:time], x.shape[time], *sequence.shape[time + 1 :])
    return (_empty(shape, sequence.dtype), *last)


def _ctc_loss(function: Any, x: Any, y: Any, steps: Any, lengths: Any, *settings: Any) -> Any:
    """The blank symbol and the reduction are among the settings: none keeps a loss a sequence."""
    each = settings[1:2] == (0,)
    return _empty(x.shape[1:2] if each else (), x.dtype)


def _linear(function: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    """The product alone: PyTorch adds the bias in Python there, which takes ten times as long."""
    if bias is None or bias.shape != weight.shape[:1] or bias.dtype != weight.dtype:
        return None
    return function(x, weight)


LARGEST: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "nonzero": _nonzero,
    "nonzero_numpy": _nonzero_numpy,
    "where": _where,
    "masked_select": _masked_select,
    "index": _index,
    "_unique2": _unique,
    "_unique": _unique,
    "nms": _nms,
    "ctc_loss": _ctc_loss,
    "roi_align": _roi_align,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
}
"""The largest result that there can be, and what is long to work out; None: as any other."""


def asked(function: Any, name: str, tensors: list[Any]) -> Any:
    """The number that the model asks for.

    Raises:
        DataDependent: If it is not known.
    """
    known: dict[int, Any] = {}
    return function(*[evaluate(tensor, known) for tensor in tensors])


def evaluate(tensor: Any, known: dict[int, Any]) -> Any:
    """The numbers of a tensor that follows from what is known.

    Raises:
        DataDependent: If they are not known, or are too many.
    """
    if id(tensor) in known:
        return known[id(tensor)]
    maker = tensor.maker
    if maker is None or maker.key == "a view was changed" or tensor.meta.numel() > SMALL:
        raise DataDependent("the model asks for a number that depends on its input")
    if maker.function is None:
        (found,) = maker.args
        if found.is_meta:
            raise DataDependent("the model asks for a number of a tensor without numbers")
        found = found.detach().cpu()
    else:
        found = _computed(maker, tensor, known)
    known[id(tensor)] = found
    return found


def _computed(maker: Any, tensor: Any, known: dict[int, Any]) -> Any:
    if torch.Tag.nondeterministic_seeded in maker.function.tags:
        raise DataDependent("the model asks for a random number")
    rest = iter([evaluate(t, known) for t in maker.tensors])
    changed = maker.function._schema.is_mutable

    def real(arg: Any) -> Any:
        if isinstance(arg, torch.Tensor):
            found = next(rest)
            return found.clone() if changed else found
        if isinstance(arg, list | tuple):
            return type(arg)([real(a) for a in arg])
        return torch.device("cpu") if isinstance(arg, torch.device) else arg

    args = [real(arg) for arg in maker.args]
    kwargs = {name: real(arg) for name, arg in maker.kwargs.items()}
    result = maker.function(*args, **kwargs)
    if isinstance(result, torch.Tensor):
        return result
    at = next(i for i, made in enumerate(maker.results) if made is tensor)
    return result[at]
