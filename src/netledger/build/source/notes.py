"""Comments in generated code: what a layer makes and stores."""

from __future__ import annotations

from netledger.build.source.tree import Block, Leaf
from netledger.graph import BUFFER, Shape
from netledger.ledger import Ledger, Row


def shape_text(shape: Shape) -> str:
    """A shape without the batch: ``96×55×55``."""
    return "×".join(map(str, shape[1:])) or "1"


def note(child: Leaf | Block) -> str:
    """What a child makes and how many parameters it has: ``96×55×55, 34,944 parameters``.

    Nothing for what the layer view folds, unless it changes the shape.
    """
    if isinstance(child, Leaf) and _is_plain(child.row):
        return ""
    rows = [leaf.row for leaf in child.leaves()] if isinstance(child, Block) else [child.row]
    made = {value: t for row in rows for value, t in zip(row.made, row.outputs, strict=True)}
    shapes = [shape_text(made[value].shape) for value in child.outputs if value in made]
    counted = parameters_text(rows)
    return ", ".join([*shapes[:1], *([counted] if counted else [])])


def parameters_text(rows: list[Row]) -> str:
    """Parameters of rows, and buffers: ``128 parameters, 128 buffers``."""
    params = sum(row.params or 0 for row in rows)
    buffers = sum(p.count for row in rows for p in row.parameters if p.role == BUFFER)
    parts = [f"{params:,} parameters"] if params else []
    return ", ".join([*parts, *([f"{buffers:,} buffers"] if buffers else [])])


def totals_text(ledger: Ledger) -> str:
    """The totals of a network, in a line."""
    t = ledger.totals
    parts = [f"{t.params:,} parameters"]
    if t.buffers:
        parts.append(f"{t.buffers:,} buffers")
    return ", ".join([*parts, f"{t.macs:,} multiply-accumulates per sample"])


def _is_plain(row: Row) -> bool:
    """True for what the layer view folds and changes no shape."""
    return row.op is not None and row.op.folds and row.input_types[:1] == row.outputs
