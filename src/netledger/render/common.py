"""What the output formats share: the view, inert text, tensor sizes, counts, notes and totals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netledger.formula import Dim, Formula
from netledger.formula.printing import is_exact
from netledger.graph import BIAS, WEIGHT, Shape
from netledger.ledger import Ledger, Row
from netledger.ops.base import Op, Spatial
from netledger.ops.linear import Linear
from netledger.ops.reshape import Permute, Reduce

HWC, CHW, SOURCE = "hwc", "chw", "source"
LAYOUTS = (HWC, CHW, SOURCE)
"""In which order the axes of maps print: the channels last, first, or as in the source."""

LONGEST_NAME = 200
LONGEST_TEXT = 2000


@dataclass(frozen=True)
class View:
    """What is shown of a ledger, and where.

    Attributes:
        ops: A row for every operation, instead of folding the pointwise ones.
        depth: Fold what lies deeper in the module tree than this.
        layout: One of `LAYOUTS`; None for what suits the network.
        width: Columns of the terminal; None where nothing limits the width.
        color: Whether the terminal shows colours.
    """

    ops: bool = False
    depth: int | None = None
    layout: str | None = None
    width: int | None = None
    color: bool = False

    def rows(self, ledger: Ledger) -> tuple[Row, ...]:
        """The rows that are shown."""
        return ledger.view(ops=self.ops, depth=self.depth)

    @property
    def label(self) -> str:
        """What a row stands for, in words."""
        if self.depth is not None:
            return f"modules to depth {self.depth}"
        return "every operation" if self.ops else "layer view"


def inert(text: str, longest: int = LONGEST_NAME) -> str:
    r"""Text out of a file, made harmless to look at: one line, nothing invisible, not too long.

    A target with a syntax of its own (Markdown, LaTeX, CSV) escapes the result once more.

    >>> inert("conv\x1b[2J\n1")
    'conv\\x1b[2J\\x0a1'
    """
    cut = text[: longest + 1]
    if not cut.isprintable():
        cut = escape(cut)
    return cut if len(cut) <= longest else cut[: longest - 1] + "…"


def escape(text: str) -> str:
    """Text with every character that does not print written as ``\\xNN`` or ``\\uNNNN``."""
    return "".join(c if c.isprintable() else _code(c) for c in text)


def _code(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Tensor sizes: which axis holds the channels is decided by the operations, not by the numbers.


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
        batched = value in self._fed and shape and shape[0] in self._batches
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
        fed.update(row.made if fed.intersection(row.inputs) else ())
        rank = len(row.outputs[0].shape) if row.outputs else 0
        if isinstance(op, Spatial):
            for value, t in zip(row.inputs, row.input_types, strict=True):
                if len(t.shape) > 2:
                    for other in alike.get(value, ()):
                        last.setdefault(other, op.channels_last)
            if rank > 2:
                last.update(dict.fromkeys(row.made, op.channels_last))
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


# Numbers.


def dim(d: Dim) -> str:
    """A dimension by itself."""
    return escape(d.text()) if isinstance(d, Formula) else str(d)


def factor(d: Dim) -> str:
    """A dimension beside others; a formula stands in brackets where it needs them."""
    if isinstance(d, Formula) and d.args and d.value is None:
        whole = d.head in ("ceil", "min", "max") or (d.head == "//" and not is_exact(d))
        return dim(d) if whole else f"({dim(d)})"
    return dim(d)


def number(value: Any) -> str:
    """A count with thousands apart; ``?`` for None."""
    if value is None:
        return "?"
    if isinstance(value, Formula):
        return escape(value.text()) if value.value is None else f"{value.value:,}"
    return f"{value:,}"


def at_least(value: Any) -> str:
    """A count of which something is unknown."""
    return "?" if value is None or is_zero(value) else f"≥ {number(value)}"


def is_zero(value: Any) -> bool:
    """True for a count that is known to be 0."""
    return isinstance(value, int) and value == 0


COUNTS = ("weights", "biases", "params", "macs")
"""The counts of a row that tables show, in order."""

_ROLES = {"weights": (WEIGHT,), "biases": (BIAS,), "params": (WEIGHT, BIAS), "macs": ()}


def count(row: Row, what: str) -> str:
    """A count of a row; marked ``=`` if shared parameters count elsewhere, ``?``, ``≥``."""
    value = getattr(row, what)
    if ("macs" if what == "macs" else "params") in row.unknown:
        return at_least(value)
    shared = any(p.tied_to is not None and p.role in _ROLES[what] for p in row.parameters)
    return f"= {number(value)}" if shared else number(value)


def total(ledger: Ledger, what: str) -> str:
    """A total; marked if it is only a lower bound."""
    totals = ledger.totals
    incomplete = ("macs" if what == "macs" else "params") in totals.unknown
    value = getattr(totals, what)
    return at_least(value) if incomplete else number(value)


def reach(row: Row) -> str:
    """The receptive field: ``11x11``, ``all``, or a dash where positions have no meaning."""
    field = row.receptive_field
    if isinstance(field, tuple):
        return "x".join(factor(r) for r in field)
    return field or "–"


def operation(row: Row) -> str:
    """What a row does: ``Conv: 96 kernels of 11×11×3, stride 4, padding 0 → ReLU``."""
    if row.op is None:
        if row.kind == "Input":
            return "Input"
        return f"Module of {sum(1 for _ in _operations(row))} operations"
    words = row.op.describe(*[t.shape for t in row.input_types])
    text = f"{row.kind}: {words}" if words else row.kind
    return inert(" → ".join([text, *[folded.kind for folded in row.folded]]), LONGEST_TEXT)


def _operations(row: Row) -> Iterator[Row]:
    if row.op is not None:
        yield row
    for folded in row.folded:
        yield from _operations(folded)


# What is said above and below a table.


def headline(ledger: Ledger, view: View, sizes: Sizes) -> list[str]:
    """Name, title, inputs, what counts are for, view."""
    graph = ledger.graph
    title = inert(graph.title)
    inputs = [row for row in ledger.ops if row.op is None]
    named = [f"{inert(row.name)} {sizes.text(row)}" for row in inputs]
    shown = [sizes.text(row) for row in inputs] if len(inputs) == 1 else named
    return [
        inert(graph.name),
        *([title] if title and title != graph.name else []),
        *([f"input{'s' if len(shown) > 1 else ''} {', '.join(shown)}"] if shown else []),
        "per sample" if ledger.batch is None else f"batch {ledger.batch:,}",
        view.label,
    ]


def summary(ledger: Ledger) -> list[list[str]]:
    """The totals in words, with units and definitions: lines, each in pieces."""
    t = ledger.totals
    told = {what: total(ledger, what) for what in COUNTS}
    stored = [p for row in ledger.ops for p in row.parameters if p.tied_to is None]
    lines = [f"{told['params']} parameters = {told['weights']} weights + {told['biases']} biases"]
    if not is_zero(t.frozen):
        lines.append(f"{number(t.trainable)} trainable + {number(t.frozen)} frozen")
    if not is_zero(t.buffers):
        lines.append(f"{number(t.buffers)} buffers (stored, not learned, not in the parameters)")
    if stored:
        whole = "params" not in t.unknown and all(p.stored_bytes is not None for p in stored)
        dtypes = " and ".join(sorted({inert(p.dtype) for p in stored}))
        lines.append(f"{'' if whole else '≥ '}{_bytes(t.bytes)} in {dtypes}")
    return [
        lines,
        [
            f"{told['macs']} MACs (multiply-accumulates, biases not counted)",
            f"{_elements(t.neurons, t.unknown)} neurons (outputs of layers with weights)",
            f"{_elements(t.activations, t.unknown)} activations (outputs of all operations)",
        ],
    ]


def _elements(value: Any, unknown: frozenset[str]) -> str:
    return at_least(value) if "activations" in unknown else number(value)


def _bytes(value: Any) -> str:
    if isinstance(value, Formula) and value.value is None:
        return f"{number(value)} bytes"
    size, unit = float(int(value)), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"


def notes(ledger: Ledger, view: View) -> list[str]:
    """What the marks ``=`` and ``?`` in a table stand for."""
    shared = [
        f"{inert(row.name)}.{inert(p.name)} is {inert(p.tied_to.replace('/', '.'))}"
        for row in ledger.ops
        for p in row.parameters
        if p.tied_to is not None
    ]
    found = [f"= shared, counted only once: {listed(shared, view)}"] if shared else []
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in ledger.ops:
        for what, why in row.unknown.items():
            reasons.setdefault((row.name, why), []).append(_WORDS.get(what, what))
    rows: dict[tuple[str, str], list[str]] = {}
    for (name, why), what in reasons.items():
        rows.setdefault((" and ".join(what), why), []).append(inert(name))
    found += [
        f"? {what} unknown: {inert(why, LONGEST_TEXT)} ({listed(names, view)})"
        for (what, why), names in rows.items()
    ]
    return found


_WORDS = {"params": "parameters", "macs": "MACs"}


def listed(names: list[str], view: View) -> str:
    """Names in a row; on a terminal only the first of many."""
    if view.width is None or len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def findings(ledger: Ledger) -> list[tuple[str, str]]:
    """The level of each finding, and the finding in words."""
    return [
        (f.level, f"{f.level} {f.code} {inert(f.row)}: {inert(f.message, LONGEST_TEXT)}")
        for f in ledger.findings
    ]


def stopped(ledger: Ledger) -> str:
    """Where a ledger that is not whole had to stop; empty for a whole one."""
    return f"… stopped at {inert(ledger.failed)}" if ledger.failed else ""
