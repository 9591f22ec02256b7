"""What the rules of an operation give for inputs of some shapes: asked once, remembered."""

from __future__ import annotations

from typing import Any, NamedTuple

from netledger.errors import ShapeError
from netledger.formula import Formula, prod, substitute
from netledger.formula.simplify import simplify
from netledger.graph import BATCH, Node, Parameter, Shape
from netledger.ledger import Stored, Sums
from netledger.ops.base import Op, Window, size
from netledger.ops.fields import LARGEST

Counted = tuple[tuple[Parameter, Any], ...]
"""Parameters, each with how many numbers it has."""

Recorded = tuple[Parameter, ...] | None
"""The parameters that the source states, if it states any."""


class Derived(NamedTuple):
    """What the rules of an operation give for inputs of some shapes."""

    outputs: tuple[Shape, ...]
    parameters: Counted
    macs: Any
    elements: Any
    window: tuple[Window, ...] | str | None


Kept = tuple[tuple[Stored, ...], Sums]
"""What a layer stores, and the sums of it."""

NOTHING: Kept = ((), Sums())


class Rules:
    """What rules gave so far; networks that are much alike may share it.

    Args:
        batch: Counts are for this batch; by default per sample.
        check: Whether operations check their inputs first.
    """

    def __init__(self, batch: int | None = None, check: bool = True) -> None:
        self.batch, self.check = batch, check
        self.per = {"N": 1 if batch is None else batch}
        self.known: dict[tuple[Op, tuple[Shape, ...], int], Derived] = {}
        self.kept: dict[tuple[Counted, Recorded, str, str, bool], Kept] = {}

    def derive(self, op: Op, shapes: tuple[Shape, ...], node: Node) -> Derived:
        """Asks the rules; networks repeat themselves, so the same question is asked once."""
        key = (op, shapes, len(node.outputs))
        known = self.known.get(key) if self.check else None
        if known is not None:
            return known
        counted = tuple([self.count(shape) for shape in shapes])
        if self.check:
            check_arity(op, len(shapes))
            op.check(*shapes)
        outputs = tuple([_simplest(shape) for shape in op.outputs(*shapes)])
        if len(outputs) < len(node.outputs):
            raise _too_few(node, len(outputs))
        made = tuple([self.count(shape) for shape in outputs])
        if self.check:
            check_sizes(made[: len(node.outputs)], empty=_records_empty(node))
        derived = Derived(
            outputs,
            tuple([(p, simplify(size(p))) for p in op.parameters(*counted)]),
            simplify(op.macs(counted, made)),
            simplify(sum_elements(made[: len(node.outputs)])),
            op.window(*shapes),
        )
        if self.check:
            self.known[key] = derived
        return derived

    def count(self, shape: Shape) -> Shape:
        """The shape for the batch that is counted."""
        if not shape:
            return shape
        # Nearly always the batch is the first dimension and the only symbol.
        first = self.per["N"] if shape[0] is BATCH else shape[0]
        for d in (first, *shape[1:]):
            if type(d) is Formula:
                return tuple([substitute(d, self.per) for d in shape])
        return (first, *shape[1:])


def _simplest(shape: Shape) -> Shape:
    """The shape with every formula in its shortest form."""
    for d in shape:
        if type(d) is Formula and d is not BATCH:
            return tuple(map(simplify, shape))
    return shape


def check_arity(op: Op, count: int) -> None:
    """Refuses too few or too many inputs."""
    least, most = op.arity
    if count < least or (most is not None and count > most):
        if most is None:
            wanted = f"at least {least}"
        else:
            wanted = str(least) if least == most else f"{least} to {most}"
        plural = "input" if wanted == "1" else "inputs"
        raise ShapeError(f"takes {wanted} {plural}; got {count}", hint="name them with inputs:")


def _too_few(node: Node, made: int) -> ShapeError:
    extra = node.outputs[made]
    return ShapeError(f"makes {made} output{'s' * (made != 1)}; {extra!r} is not one of them")


def _records_empty(node: Node) -> bool:
    """Whether the source itself says that the node makes a tensor without numbers."""
    outputs = node.recorded.outputs if node.recorded is not None else ()
    return 0 in getattr(node.op, "shape", ()) or any(
        t is not None and 0 in t.shape for t in outputs
    )


def check_sizes(shapes: tuple[Shape, ...], *, empty: bool = False) -> None:
    """Refuses an output with an axis of size 0 (unless `empty`) or less, or of 2^63 or more."""
    least = 0 if empty else 1
    for shape in shapes:
        for d in shape:
            if type(d) is int and not least <= d <= LARGEST:
                if d > 1:
                    raise ShapeError(
                        "the output would have an axis of 2^63 or more numbers",
                        hint="no tensor library can hold it",
                    )
                raise ShapeError(
                    f"the output would have the size {'×'.join(map(str, shape[1:]))}",
                    hint="the map has become too small: use less stride, more padding, "
                    "or a larger input",
                )


def sum_elements(shapes: tuple[Shape, ...]) -> Any:
    """The numbers in all outputs."""
    total: Any = 0
    for shape in shapes:
        total = total + prod(shape)
    return total
