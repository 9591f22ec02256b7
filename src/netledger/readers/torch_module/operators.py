"""What the schemas of operators say, and which of them stand for others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch

from netledger.aten import describes
from netledger.readers.torch_module.data import ASKED, LARGEST
from netledger.readers.torch_module.quantized import PACKED
from netledger.readers.torch_module.sequences import WHOLE


class Operator(NamedTuple):
    """What the schema of an operator says.

    Attributes:
        name: Without namespace and overload: ``conv2d``, ``relu_``.
        names: Its arguments, in order.
        written: The places of arguments that it changes.
        pure: True if its results are new tensors and nothing is changed.
        same: True if its result is its first argument, changed, in the same shape.
        view: True if its result may be a view of its first argument.
        device: The place of an argument that says on which device the result is.
        packed: What unpacks its weights, if they are packed.
        composed: What runs the operators that it is composed of, if no rule describes it.
    """

    name: str
    names: tuple[str, ...]
    written: tuple[int, ...]
    pure: bool
    same: bool
    view: bool
    device: int | None
    packed: Any
    composed: Callable[..., Any] | None


_DEVICES = ("Device", "Optional[Device]", "Device?")
_MOVES_AXES = ("t_", "transpose_", "squeeze_", "unsqueeze_", "swapaxes_", "resize_", "set_")


@cache
def look(function: Any) -> Operator:
    """Reads the schema of an operator."""
    schema = function._schema
    arguments = schema.arguments
    aliases = [a.alias_info for a in arguments]
    written = tuple(i for i, alias in enumerate(aliases) if alias is not None and alias.is_write)
    shared = any(a is not None for a in aliases)
    name = schema.name.partition("::")[2]
    place = next((i for i, a in enumerate(arguments) if str(a.type) in _DEVICES), None)
    return Operator(
        name,
        tuple(a.name for a in arguments),
        written,
        not shared and not any(r.alias_info for r in schema.returns) and len(schema.returns) > 0,
        written == (0,) and name.endswith("_") and name not in _MOVES_AXES,
        shared and not written,
        place,
        PACKED.get(schema.name),
        WHOLE.get(function.name()) or (None if written else _composed(function, name)),
    )


def _composed(function: Any, name: str) -> Callable[..., Any] | None:
    """What PyTorch composes an operator of that has no rule of its own."""
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    if (
        describes(name)
        or name in (*LARGEST, *ASKED)
        or not function.has_kernel_for_dispatch_key(key)
    ):
        return None
    decompose: Callable[..., Any] = function.decompose
    return decompose
