"""Operators that go along the batch as along a sequence.

The pass runs with a batch of a distinctive size, so that what scales with it is seen. A model that
takes its batch apart would be taken apart a thousand times; one whose first axis is time (a
recurrent layer without ``batch_first``) would have the time counted as one step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class BatchLoop(Exception):
    """The first axis is no batch, or is not left whole: the pass runs with the sizes given."""


def refuse_loops(batch: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Stops at an operator that goes along the batch.

    Raises:
        BatchLoop: If it does.
    """
    goes = _ALONG.get(name)
    if goes is not None and goes(batch, *args, **kwargs):
        raise BatchLoop


def _unbind(batch: int, x: Any, dim: int = 0) -> bool:
    return bool(x.dim()) and x.shape[dim] == batch


def _split(batch: int, x: Any, sizes: Any, dim: int = 0) -> bool:
    whole = type(sizes) is int and sizes >= batch
    return bool(x.shape[dim] == batch) and not whole


def _chunk(batch: int, x: Any, chunks: Any, dim: int = 0) -> bool:
    return bool(x.shape[dim] == batch) and chunks != 1


def _select(batch: int, x: Any, dim: int, index: int) -> bool:
    """The first or the last entry may be all that is wanted."""
    return x.shape[dim] == batch and index not in (0, -1)


def _slice(
    batch: int, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> bool:
    if not x.dim() or x.shape[dim] != batch:
        return False
    return len(range(batch)[start:end:step]) not in (0, 1, batch)


def _narrow(batch: int, x: Any, dim: int, start: Any, length: Any) -> bool:
    return x.shape[dim] == batch and length not in (0, 1, batch)


def _product(batch: int, x: Any, y: Any) -> bool:
    """Sums over the batch: it is a sequence that is attended to."""
    return bool(x.dim()) and x.shape[-1] == batch


def _attention(batch: int, query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> bool:
    return bool(key.shape[-2] == batch)


def _recurrent(batch: int, x: Any, states: Any, weights: Any, *rest: Any, **named: Any) -> bool:
    first = rest and rest[-1] is True  # batch_first
    return bool(x.dim() == 3 and x.shape[1 if first else 0] == batch)


_ALONG: dict[str, Callable[..., bool]] = {
    "unbind": _unbind,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    **dict.fromkeys(("chunk", "tensor_split"), _chunk),
    "select": _select,
    "slice": _slice,
    "narrow": _narrow,
    **dict.fromkeys(("mm", "bmm", "matmul"), _product),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
}
"""By the operator's name; each is called with the batch and the operator's arguments."""
