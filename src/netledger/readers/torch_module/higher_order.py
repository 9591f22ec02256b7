"""Operators that take functions: loops and choices as in Python, attention with one's own scores.

PyTorch compiles the functions, or runs them on a real device; here they run as they are written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log
from typing import Any


def _choice(condition: Any, first: Any, second: Any, operands: Any) -> Any:
    return (first if condition else second)(*operands)


def _while(condition: Any, body: Any, carried: Any, more: Any) -> Any:
    while condition(*carried, *more):
        carried = body(*carried, *more)
    return carried


def _scan(body: Any, first: Any, sequences: Any, more: Any) -> Any:
    from torch._higher_order_ops.scan import generic_scan

    return generic_scan(body, first, sequences, additional_inputs=more)


def _attention(
    query: Any, key: Any, value: Any, change: Any, mask: Any, scale: Any, options: Any, *more: Any
) -> tuple[Any, Any, Any]:
    """The products, with the model's own functions between them.

    A mask of blocks leaves products out where it can; they count, as under any other mask. The sum
    and the largest of the scores are to the base of 2, and made where they are asked for.
    """
    from torch._higher_order_ops.flex_attention import _math_attention_inner

    key, value = (_for_every_query(query, x) for x in (key, value))
    _, scores = _math_attention_inner(query, key, value, change, mask, scale, options, *more)
    nothing = scores.new_empty(0)
    total = scores.logsumexp(-1) / log(2) if options["OUTPUT_LOGSUMEXP"] else nothing
    most = scores.amax(-1) / log(2) if options["OUTPUT_MAX"] else nothing
    return scores.softmax(-1).to(query.dtype) @ value, total, most


def _for_every_query(query: Any, x: Any) -> Any:
    """Keys or values, repeated for the heads and samples that share them."""
    heads = query.size(1) // x.size(1)
    x = x.repeat_interleave(heads, 1) if heads > 1 else x
    return x.expand(query.size(0), -1, -1, -1)


RUN_THROUGH: dict[str, Callable[..., Any]] = {
    "cond": _choice,
    "while_loop": _while,
    "scan": _scan,
    "flex_attention": _attention,
}
"""By the operator's name; each is called with the operator's arguments."""

_MASK = "kv_num_blocks"


@contextmanager
def attention_without_device() -> Iterator[None]:
    """FlexAttention on tensors without numbers, and without its compiler."""
    module: Any = sys.modules.get("torch.nn.attention.flex_attention")
    if module is None:
        yield
        return
    changes = {
        "_validate_device": lambda *tensors: None,
        "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG": True,
    }
    before = {name: getattr(module, name) for name in changes}
    for name, value in changes.items():
        setattr(module, name, value)
    setattr(module.BlockMask, _MASK, property(_on_meta, _kept))
    try:
        yield
    finally:
        delattr(module.BlockMask, _MASK)
        for name, value in before.items():
            setattr(module, name, value)


def _on_meta(mask: Any) -> Any:
    """Where a mask is must be where the query is; its numbers are not asked for."""
    return vars(mask)[_MASK].to("meta")


def _kept(mask: Any, value: Any) -> None:
    vars(mask)[_MASK] = value
