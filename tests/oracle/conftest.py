"""PyTorch's side of the books: shapes, parameters and MACs out of a forward on the meta device."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.graph import Graph, Node, TensorType
from netledger.infer import infer
from netledger.ledger import Row
from netledger.ops import Op
from netledger.rules import check_arity

Shapes = tuple[tuple[int, ...], ...]
REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError, NotImplementedError, TypeError)
"""What PyTorch raises for a layer that does not fit."""


def row(op: Op, *shapes: tuple[int, ...], dtype: str = "float32") -> Row:
    """The row of a network of one operation."""
    inputs = {f"x{i}": TensorType(shape, dtype) for i, shape in enumerate(shapes)}
    check_arity(op, len(shapes))
    op.check(*shapes)
    # So many outputs, and no more, are kept as are named here.
    names = tuple(f"y{i}" for i in range(len(op.outputs(*shapes))))
    return infer(Graph("one", inputs, (Node("op", op, tuple(inputs), names),))).ops[-1]


def to_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels moved from the second axis to the last."""
    return (shape[0], *shape[2:], shape[1])


class Oracle:
    """Compares operations with PyTorch and keeps count of what it has seen."""

    def __init__(self) -> None:
        self.torch = pytest.importorskip("torch")
        self.accepted = self.refused = 0

    @staticmethod
    def random(name: str, count: int) -> Iterator[random.Random]:
        """A source of chance for each of `count` configurations, the same in every run."""
        return (random.Random(f"{name} {i}") for i in range(count))

    def compare(
        self,
        op: Op | Callable[[], Op],
        shapes: Shapes,
        make: Callable[[], Any],
        *,
        last: bool = False,
        macs: bool = True,
        split_rows: tuple[str, ...] = (),
        dtype: Any = None,
        params: bool = True,
    ) -> None:
        """Holds one configuration against PyTorch.

        Args:
            op: Ours, or what makes it.
            shapes: Of the inputs, channels on the second axis.
            make: Makes PyTorch's: a module or a function of tensors.
            last: Ours has channels on the last axis.
            macs: Whether PyTorch's own count of operations holds for this one.
            split_rows: Parameters that PyTorch stores three in one.
            dtype: PyTorch's dtype of the inputs.
            params: Whether to compare parameters.
        """
        theirs = self._theirs(make, shapes, macs, split_rows, dtype)
        what = f"{op!r} on {shapes}"
        try:
            made = op() if callable(op) else op
            what = f"{made!r} on {shapes}"
            ours = row(made, *(map(to_last, shapes) if last else shapes))
        except NetledgerError as error:
            if not isinstance(theirs, str):  # the meta device looks less closely than a real one
                theirs = self._theirs(make, shapes, False, split_rows, dtype, device="cpu")
            assert isinstance(theirs, str), f"{what}: PyTorch gives {theirs}, we say {error}"
            self.refused += 1
            return
        outputs = [t.shape for t in ours.outputs]
        assert not isinstance(theirs, str), f"{what}: we give {outputs}, PyTorch says {theirs}"
        self.accepted += 1
        their_outputs, their_parameters, their_macs = theirs
        if last:
            their_outputs = [to_last(s) if len(s) > 2 else s for s in their_outputs]
        assert outputs == their_outputs, what
        if params:
            mine = Counter((p.role, p.shape) for p in ours.parameters)
            assert mine == their_parameters, what
            for role, count in (("weight", ours.weights), ("bias", ours.biases)):
                assert count == _numbers(their_parameters, role), what
            assert ours.buffers == _numbers(their_parameters, "buffer"), what
        if macs:
            assert ours.macs == their_macs, what

    def both_sides(self, accepted: int, refused: int = 0) -> None:
        """Makes sure that enough configurations were fine, and enough were not."""
        assert self.accepted >= accepted, (self.accepted, self.refused)
        assert self.refused >= refused, (self.accepted, self.refused)

    def _theirs(
        self,
        make: Callable[[], Any],
        shapes: Shapes,
        macs: bool,
        split_rows: tuple[str, ...],
        dtype: Any,
        device: str = "meta",
    ) -> Any:
        from torch.utils.flop_counter import FlopCounterMode

        torch, total = self.torch, 0
        try:
            with torch.device(device):
                module = make()
                tensors = [torch.zeros(s, dtype=dtype) for s in shapes]
                if macs:
                    with FlopCounterMode(display=False) as counter:
                        result = module(*tensors)
                    total = counter.get_total_flops()
                else:
                    result = module(*tensors)
        except REFUSALS as error:
            return str(error)
        outputs = list(_shapes(result))
        if any(0 in s for s in outputs):
            return "nothing is left"  # PyTorch lets empty tensors pass, netledger does not
        assert total % 2 == 0
        return outputs, self._parameters(module, split_rows), total // 2

    def _parameters(self, module: Any, split_rows: tuple[str, ...]) -> Counter[Any]:
        found: Counter[Any] = Counter()
        if not isinstance(module, self.torch.nn.Module):
            return found
        for name, p in module.named_parameters():
            role, shape = ("bias" if "bias" in name else "weight"), tuple(p.shape)
            if name in split_rows:
                found[role, (shape[0] // 3, *shape[1:])] += 3
            else:
                found[role, shape] += 1
        for name, b in module.named_buffers():
            if name != "num_batches_tracked":  # a counter of PyTorch's own, no statistic
                found["buffer", tuple(b.shape)] += 1
        return found


def _shapes(result: Any) -> Iterator[tuple[int, ...]]:
    if isinstance(result, tuple | list):
        for part in result:
            yield from _shapes(part)
    elif result is not None:
        yield tuple(result.shape)


def _numbers(parameters: Counter[Any], role: str) -> int:
    total = 0
    for (r, shape), times in parameters.items():
        if r == role:
            count = 1
            for d in shape:
                count *= d
            total += times * count
    return total


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()
