"""The sizes of tensors, in the axis order that is asked for.

Which axis of a map holds the channels is decided by the operations, not by the numbers.
"""

from __future__ import annotations

from netledger.formula import Dim, Formula
from netledger.formula.printing import is_exact
from netledger.graph import Shape
from netledger.ledger import Ledger, Row
from netledger.ops.base import Op, Spatial
from netledger.ops.linear import Linear
from netledger.ops.reshape import Permute, Reduce
from netledger.render.common.text import escape

HWC, CHW, SOURCE = "hwc", "chw", "source"
LAYOUTS = (HWC, CHW, SOURCE)
"""In which order the axes of maps print: the channels last, first, or as in the source."""


class Sizes:
    """The sizes of tensors in the axis order that is asked for.

    Attributes:
        layout: The order that is used.
    """

    def __init__(self, ledger: Ledger, layout: str | None) -> None:
        self._last, self._fed = _trace(ledger)
        suits = HWC if set(self._last.values()) == {True} else SOURCE
        self.layout = layout or suits
        inputs = (t for row in ledger.ops if row.op is None for t in row.outputs)
        self._batches = [t.shape[0] for t in inputs if t.shape]

    def axes(self, row: Row) -> list[Shape]:
        """For each output, the dimensions to print, in order."""
        made = _made(row)
        return [
            self._axes(made[i] if i < len(made) else "", t.shape) for i, t in enumerate(row.outputs)
        ]

    def text(self, row: Row) -> str:
        """The size of each output: ``55x55x96``."""
        if self.layout == SOURCE:
            return ", ".join(f"[{', '.join(map(dim, axes))}]" for axes in self.axes(row))
        return ", ".join("x".join(map(factor, axes)) for axes in self.axes(row))

    def _axes(self, value: str, shape: Shape) -> Shape:
        if self.layout == SOURCE:
            return shape
        batched = shape and shape[0] in self._batches
        # A stored tensor may happen to have as many rows as the batch; a symbol is no accident.
        batched = batched and (value in self._fed or isinstance(shape[0], Formula))
        body = shape[1:] if batched else shape
        if len(body) <= 1:
            features = body or (1,)
            return (*features, 1) if self.layout == HWC and batched else features
        last = self._last.get(value)
        if last is None or not batched or last == (self.layout == HWC):
            return body
        return (*body[1:], body[0]) if self.layout == HWC else (body[-1], *body[:-1])


def _made(row: Row) -> tuple[str, ...]:
    return _made(row.folded[-1]) if row.folded and not row.made else row.made


def _trace(ledger: Ledger) -> tuple[dict[str, bool], set[str]]:
    """Which values are maps (and whether their channels are last), and which an input feeds."""
    last: dict[str, bool] = {}
    fed: set[str] = set()
    alike: dict[str, list[str]] = {}  # an input and what pointwise operations make of it
    for row in ledger.ops:
        op = row.op
        if op is None:
            alike[row.name] = [row.name]
            fed.add(row.name)
            continue
        if not fed.isdisjoint(row.inputs):
            fed.update(row.made)
        rank = len(row.outputs[0].shape) if row.outputs else 0
        if isinstance(op, Spatial):
            for value, t in zip(row.inputs, row.input_types, strict=True):
                if len(t.shape) > 2:
                    for other in alike.get(value, ()):
                        last.setdefault(other, op.channels_last)
            if rank > 2:
                for value in row.made:
                    last[value] = op.channels_last
            continue
        if not row.inputs or len(row.input_types[0].shape) != rank or rank < 3:
            continue
        shapes = tuple(t.shape for t in row.input_types)
        feeds = [value for value in row.inputs if value in last]
        if feeds:
            kept = _keeps(op, shapes, last[feeds[0]])
            last.update({} if kept is None else dict.fromkeys(row.made, kept))
        elif row.inputs[0] in alike and op.window(*shapes) is not None:
            group = alike[row.inputs[0]]
            group += row.made
            alike.update(dict.fromkeys(row.made, group))
    return last, fed


def _keeps(op: Op, shapes: tuple[Shape, ...], last: bool) -> bool | None:
    """Whether the channels of a map are last after an operation; None if it is no map then."""
    if isinstance(op, Permute):
        was = len(op.order) - 1 if last else 1
        now = op.order.index(was)
        return {len(op.order) - 1: True, 1: False}.get(now)
    if isinstance(op, Linear):
        return last or None
    return last if isinstance(op, Reduce) or op.window(*shapes) is not None else None


def dim(d: Dim) -> str:
    """A dimension by itself."""
    return escape(d.text()) if isinstance(d, Formula) else str(d)


def factor(d: Dim) -> str:
    """A dimension beside others; a formula stands in brackets where it needs them."""
    if isinstance(d, Formula) and d.args and d.value is None:
        whole = d.head in ("ceil", "min", "max") or (d.head == "//" and not is_exact(d))
        return dim(d) if whole else f"({dim(d)})"
    return dim(d)
