"""What a model is called with: the tensors in any nest of arguments."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

import torch

from netledger.errors import UsageError
from netledger.formula import Formula
from netledger.graph import TensorType
from netledger.readers.inputs import Arguments, rebuilt


def types_of(given: Arguments) -> list[TensorType]:
    """The types of all tensors, in order."""
    return [type_of(leaf) for leaf in _leaves((given.args, given.kwargs)) if is_tensor(leaf)]


def _leaves(nest: Any) -> Iterator[Any]:
    if is_record(nest):
        nest = {f.name: getattr(nest, f.name) for f in dataclasses.fields(nest)}
    if isinstance(nest, Mapping):
        for value in nest.values():
            yield from _leaves(value)
    elif isinstance(nest, list | tuple) and not is_tensor(nest):
        for value in nest:
            yield from _leaves(value)
    else:
        yield nest


def is_record(nest: Any) -> bool:
    """True for an object with fields that are known."""
    return dataclasses.is_dataclass(nest) and not isinstance(nest, type)


def is_tensor(leaf: Any) -> bool:
    """True for what stands for a tensor: a type, a tensor, an array.

    Raises:
        UsageError: For one that has no shape.
    """
    packed = isinstance(leaf, torch.nn.utils.rnn.PackedSequence)
    if packed or (isinstance(leaf, torch.Tensor) and leaf.is_nested):
        which = "packed" if packed else "nested"
        raise UsageError(
            f"a {which} tensor has sequences of several lengths, no shape",
            hint="give the shape that they have padded to the longest: 128x768",
        )
    return isinstance(leaf, TensorType) or (hasattr(leaf, "shape") and hasattr(leaf, "dtype"))


def type_of(leaf: Any) -> TensorType:
    """The type of what stands for a tensor."""
    if isinstance(leaf, TensorType):
        return leaf
    return TensorType(tuple(map(int, leaf.shape)), str(leaf.dtype).rpartition(".")[2])


def is_batch(first: Any, given: Arguments) -> bool:
    """True for N, and for the size that the first axis of the first tensor has."""
    if isinstance(first, Formula):
        return True
    types = [t for t in types_of(given) if t.shape]
    return first == types[0].shape[0] and not any(isinstance(t.shape[0], Formula) for t in types)


def meta_call(given: Arguments) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments for one sample, on the meta device."""

    def tensor(leaf: Any, name: str) -> Any:
        t = type_of(leaf)
        return empty(tuple(1 if isinstance(d, Formula) else d for d in t.shape), t.dtype)

    args = tuple([replaced(arg, "", tensor) for arg in given.args])
    return args, {name: replaced(arg, "", tensor) for name, arg in given.kwargs.items()}


def empty(shape: tuple[Any, ...], dtype: str) -> Any:
    """A tensor on the meta device."""
    if not all(isinstance(d, int) for d in shape):
        raise UsageError(
            "a live model needs sizes that are numbers; only the batch may be a symbol",
            hint="write for instance 3x224x224",
        )
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise UsageError(f"PyTorch has no dtype {dtype!r}", hint="for instance int64 or float32")
    return torch.empty(shape, dtype=found, device="meta")


def replaced(nest: Any, name: str, tensor: Any) -> Any:
    """A nest with ``tensor(leaf, name)`` in the place of each tensor."""
    if is_tensor(nest):
        return tensor(nest, name)
    if isinstance(nest, Mapping):
        return {k: replaced(v, f"{name}.{k}", tensor) for k, v in nest.items()}
    if isinstance(nest, list | tuple):
        titles = getattr(nest, "_fields", range(len(nest)))
        parts = zip(titles, nest, strict=True)
        return rebuilt(nest, [replaced(v, f"{name}.{k}", tensor) for k, v in parts])
    if is_record(nest):
        made = copy(nest)
        for k in [f.name for f in dataclasses.fields(nest)]:  # it may be frozen
            object.__setattr__(made, k, replaced(getattr(nest, k), f"{name}.{k}", tensor))
        return made
    return nest


def argument_names(model: Any, given: Arguments) -> list[str]:
    """What the model calls its arguments."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in parameters if p.kind in kinds]
    except (TypeError, ValueError):
        names = []
    count = len(given.args)
    return [*names, *(f"input_{i}" for i in range(len(names), count))][:count]
