"""A recorded forward pass → a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from netledger.aten import Arguments, Builder, Call, Invocation, Stored, Value, filled
from netledger.formula import Dim
from netledger.graph import BATCH, TensorType
from netledger.readers.torch_module.operators import look
from netledger.readers.torch_module.trace import Recorded, Tensor, Trace

_PRODUCTS = (
    "conv",
    "linear",
    "mm",
    "matmul",
    "einsum",
    "attention",
    "lstm",
    "gru",
    "rnn",
    "bilinear",
)
"""Parts of the names of operators that accumulate: never folded away, not even of constants."""


class Sizes:
    """Sizes as the graph has them: multiples of a distinctive batch are multiples of N."""

    def __init__(self, batch: int | None) -> None:
        self.batch = batch
        self._known: dict[int, Dim] = {}

    def dim(self, size: int) -> Dim:
        """A size."""
        if self.batch is None or size % self.batch or not size:
            return size
        known = self._known.get(size)
        if known is None:
            times = size // self.batch
            known = self._known[size] = BATCH if times == 1 else times * BATCH
        return known

    def type(self, shape: Any, dtype: Any) -> TensorType:
        """The type of a tensor of PyTorch."""
        return TensorType(tuple([self.dim(d) for d in shape]), dtype_name(dtype))

    def known(self, tensor: Tensor) -> TensorType:
        """The type of a tensor when it was made; it may have been changed in place since."""
        shape, _, dtype, _ = tensor.spec
        return self.type(shape, dtype)


def dtype_name(dtype: Any) -> str:
    """The dtype as NumPy names it."""
    return str(dtype)[6:]


class Translation:
    """The nodes of a trace.

    Args:
        trace: The recorded pass.
        inputs: The types of the inputs.
        stored: What the model keeps.
        sizes: How sizes are written.
    """

    def __init__(
        self,
        trace: Trace,
        inputs: Mapping[str, TensorType],
        stored: Mapping[str, Stored],
        sizes: Sizes,
    ) -> None:
        self.trace, self.sizes = trace, sizes
        kept = [r for r in trace.records if not _folded(r)]
        inside = Counter(trace.calls[r.call].path for r in kept if r.call >= 0)
        self.builder = Builder(inputs, stored, inside)
        self._fixed: set[str] = set()
        for record in kept:
            self._add(record)

    def _add(self, record: Recorded) -> None:
        operator = look(record.function)
        rest = iter(record.tensors)
        given = [self._argument(arg, rest) for arg in record.args]
        args = dict(zip(operator.names, given, strict=False))
        for name, value in record.kwargs.items():
            args[name] = self._argument(value, rest)
        stated = tuple([self.sizes.known(t) for t in record.results])
        names = [t.name for t in record.results]
        call = Call(operator.name, Arguments(args), stated)
        path = self._path(record.call)
        self.builder.add(Invocation(operator.name.strip("_"), call, names, path, record.call))

    def _path(self, at: int) -> str:
        return self.trace.calls[at].path if at >= 0 else ""

    def _argument(self, arg: Any, rest: Any) -> Any:
        if isinstance(arg, torch.Tensor):
            return self.value(next(rest))
        if isinstance(arg, list | tuple):
            return [self._argument(a, rest) for a in arg]
        if type(arg) is int:
            return self.sizes.dim(arg)
        return arg if isinstance(arg, bool | float | str) else None

    def value(self, tensor: Tensor) -> Value:
        """The tensor in the graph; a constant is made where it is first used."""
        if tensor.constant and tensor.name not in self.builder:
            maker = tensor.maker
            at = maker.call if maker is not None else -1
            number = Arguments({"fill_value": _number(maker)})
            call = Call("full", number, (self.sizes.known(tensor),))
            own = ".".join(filter(None, (self._path(at), tensor.name.partition(" ")[0].strip("_"))))
            self.builder.add(Invocation(own, call, [tensor.name], "", at))
        return self.builder.value(tensor.name)


_SAME = ("detach", "lift_fresh", "alias", "clone", "expand", "view", "unsqueeze")
"""What leaves the numbers of a constant as they are."""


def _number(maker: Recorded | None) -> Any:
    """The number that a constant is made of everywhere; None if it is not that simple."""
    if maker is None:
        return None
    if maker.function is None:
        tensor = maker.args[0]
        return None if tensor.is_meta or tensor.numel() != 1 else tensor.item()
    operator = look(maker.function)
    if operator.name.rstrip("_") in _SAME and maker.tensors:
        return _number(maker.tensors[0].maker)
    args = dict(zip(operator.names, maker.args, strict=False), **maker.kwargs)
    return filled(Call(operator.name, args, ()))


def _folded(record: Recorded) -> bool:
    """True for what is computed of constants alone: its result is a constant."""
    if not record.results or not all([t.constant for t in record.results]):
        return not record.results
    name = record.function._schema.name
    return not any(product in name for product in _PRODUCTS)
