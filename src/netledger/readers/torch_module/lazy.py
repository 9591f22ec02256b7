"""Modules whose parameters get their shapes from the first input: on a copy, which they shape."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn.parameter import is_lazy


def is_unshaped(model: Any) -> bool:
    """True if some parameter or buffer has no shape yet."""
    return any(is_lazy(t) for t in (*model.parameters(), *model.buffers()))


def shaped(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A copy that has seen one input. What has a shape already is shared with the original."""
    memo: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        if is_lazy(tensor):
            given = {"device": "meta", "dtype": tensor.dtype}
            new = type(tensor)(requires_grad=tensor.requires_grad, **given)
        else:
            new = tensor
        memo[id(tensor)] = new
    made = copy.deepcopy(model, memo)
    with torch.no_grad():
        made.eval()(*args, **kwargs)
    return made
