"""What is not an operation of ours: bare tensors, and things that no rule describes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from netledger.formula import symbol
from netledger.graph import BIAS, BUFFER, WEIGHT, Parameter, Shape
from netledger.ops.base import Op, operation
from netledger.ops.fields import choice, dims, number, shapes, tensors, text


@operation
class Tensor(Op):
    """A stored tensor by itself: a class token, position embeddings, a table of constants."""

    arity = (0, 0)
    shape: Any = dims("its shape")
    role: str = choice("learned, or a buffer", (WEIGHT, BIAS, BUFFER), default=WEIGHT)
    to: str = text("its dtype", default="float32")
    note: str = text("what else there is to say of it: that nothing uses it", default="")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (self.shape,)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return (Parameter("weight", self.role, self.shape, self.to, self.role != BUFFER),)

    def dtype(self, *inputs: str) -> str:
        return self.to

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        kind = "buffer" if self.role == BUFFER else "parameter"
        return f"a stored {kind}, {self.note}" if self.note else f"a stored {kind}"


@operation
class Constant(Op):
    """Numbers that are neither input nor learned: positions 0 … T − 1, zeros, a mask."""

    arity = (0, 0)
    shape: Any = dims("its shape")
    to: str = text("its dtype", default="float32")
    value: float | None = number("what all of them are, if that is one", default=None, silent=True)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (self.shape,)

    def dtype(self, *inputs: str) -> str:
        return self.to

    def window(self, *inputs: Shape) -> None:
        return None


NO_SIZE = symbol("?")
"""The only size in the shape of a tensor of which nothing is known, not even its axes."""


@operation
class Opaque(Op):
    """Something that no rule describes. Its outputs are taken as stated, its counts are unknown."""

    arity = (0, None)
    what: str = text("what the source calls it")
    shapes: Any = shapes("the shape of each output, batch included")
    reason: str = text("why nothing more is known", default="no rule describes it")
    to: str = text("the dtype of its outputs; by default that of the first input", default="")

    @property
    def kind(self) -> str:
        return self.what

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return tuple(self.shapes)

    def dtype(self, *inputs: str) -> str:
        return self.to or (inputs[0] if inputs else "float32")

    def window(self, *inputs: Shape) -> None:
        return None

    def unknown(self) -> Mapping[str, str]:
        counts = {"params": self.reason, "macs": self.reason}
        shapeless = any(d is NO_SIZE for shape in self.shapes for d in shape)
        return {**counts, "activations": self.reason} if shapeless else counts

    def describe(self, *inputs: Shape) -> str:
        return f"unknown: {self.reason}"


NO_GRAPH = "no graph in this file: parameters only"


@lru_cache(maxsize=64)
def _nothing_more(reason: str, why: str) -> Mapping[str, str]:
    """What is not known of stored tensors; one for all of them, for there may be 150,000."""
    known = {"macs": why, "activations": why}
    return MappingProxyType({"params": reason, **known} if reason else known)


@operation
class Inventory(Op):
    """The stored tensors of one module, out of something that has no graph."""

    arity = (0, 0)
    silent = True
    tensors: Any = tensors("what is stored: name, role, shape, dtype, bytes")
    reason: str = text("why the number of parameters is not known; empty: it is", default="")
    why: str = text("why nothing more is known", default=NO_GRAPH)

    @classmethod
    def of(cls, tensors: tuple[Any, ...], reason: str) -> Inventory:
        """One of tensors that a reader has checked; to check 150,000 again takes a second."""
        made = cls.__new__(cls)
        made.__dict__.update(tensors=tensors, reason=reason, why=NO_GRAPH)
        return made

    @property
    def kind(self) -> str:
        return "Module"

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ()

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return tuple(
            [
                Parameter(name, role, shape, dtype, role != BUFFER, nbytes)
                for name, role, shape, dtype, nbytes in self.tensors
            ]
        )

    def dtype(self, *inputs: str) -> str:
        return "float32"

    def window(self, *inputs: Shape) -> None:
        return None

    def unknown(self) -> Mapping[str, str]:
        return _nothing_more(self.reason, self.why)

    def describe(self, *inputs: Shape) -> str:
        many = len(self.tensors)
        return "1 stored tensor" if many == 1 else f"{many} stored tensors"
