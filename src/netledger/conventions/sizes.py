"""The sizes of a row's tensors, with the batch that is counted put in."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from netledger.formula import prod, substitute
from netledger.graph import Shape
from netledger.ledger import Ledger, Row
from netledger.ops.base import Spatial


class Sized:
    """A row with its shapes in numbers (formulas, where the network has symbols of its own)."""

    def __init__(self, row: Row, batch: int | None) -> None:
        self.row = row
        self.op = row.op
        self.per = {"N": 1 if batch is None else batch}

    def _count(self, shape: Shape) -> Shape:
        return tuple([d if type(d) is int else substitute(d, self.per) for d in shape])

    @cached_property
    def inputs(self) -> tuple[Shape, ...]:
        """The shape of each input."""
        return tuple(self._count(t.shape) for t in self.row.input_types)

    @cached_property
    def outputs(self) -> tuple[Shape, ...]:
        """The shape of each output."""
        return tuple(self._count(t.shape) for t in self.row.outputs)

    @property
    def result(self) -> Shape:
        """The shape of the first output as PyTorch has it: the channels of a map are second."""
        return self._channels_second(self.outputs[0])

    @property
    def source(self) -> Shape:
        """The shape of the first input as PyTorch has it."""
        return self._channels_second(self.inputs[0])

    def _channels_second(self, shape: Shape) -> Shape:
        last = isinstance(self.op, Spatial) and self.op.channels_last and len(shape) > 2
        return (shape[0], shape[-1], *shape[1:-1]) if last else shape

    @property
    def taken(self) -> Any:
        """Numbers in the first input; 0 without one."""
        return prod(self.inputs[0]) if self.row.input_types else 0

    @property
    def made(self) -> Any:
        """Numbers in the first output; 0 without one."""
        return prod(self.outputs[0]) if self.row.outputs else 0

    @property
    def macs(self) -> Any:
        """Our multiply-accumulates; 0 where they are unknown."""
        return 0 if self.row.macs is None else self.row.macs

    def has(self, role: str) -> bool:
        """True if the row stores a parameter of that role."""
        return any(p.role == role for p in self.row.parameters)


def sized(ledger: Ledger) -> list[Sized]:
    """The rows of operations, with their sizes."""
    return [Sized(row, ledger.batch) for row in ledger.ops if row.op is not None]
