"""A chain of maps as volumes whose faces are to scale, as papers draw AlexNet.

Height and width of a map are to one scale; so is the number of channels, to one of its own. Vectors
are bars whose length is the square root of their numbers: the largest one is as tall as the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from netledger.ledger import Ledger, Row
from netledger.ops.base import Op
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.linear import Linear
from netledger.render.common import Sizes, View
from netledger.render.svg.canvas import ACCENT, DENSE, REST, SOFT, drawing, path, polygon, text

MOST = 16
"""Longer chains are drawn as blocks."""
TALL, DEEP, THIN = 250.0, 118.0, 3.0
"""The largest face, the most channels, and the thinnest that is still drawn, in pixels."""
BACK, STEEP = 0.5, 0.5
"""How what goes back is drawn: so much of its length to the right, and so much of that up."""
HALF = TALL * (1 + BACK * STEEP) / 2
GAP, TOP, MARGIN = 24.0, 44.0, 26.0


@dataclass(frozen=True)
class Volume:
    """What a layer makes: a map (height, width, channels) or a vector (1, 1, features)."""

    row: Row
    height: int
    width: int
    channels: int

    @property
    def flat(self) -> bool:
        """True for a vector."""
        return self.height == self.width == 1


def volumes(ledger: Ledger, view: View) -> list[Volume] | None:
    """The volumes of a chain of layers with numbers for sizes; None where it is none."""
    rows = view.rows(ledger)
    if not 2 <= len(rows) <= MOST or ledger.failed or not _is_chain(ledger):
        return None
    sizes = Sizes(ledger, "hwc")
    found: list[Volume] = []
    for row in rows:
        axes = sizes.axes(row)[0] if row.outputs else ()
        if not all(type(d) is int for d in axes) or len(axes) not in (1, 2, 3):
            return None
        flat = len(axes) == 1 or (len(axes) == 2 and axes[1] == 1)
        if len(axes) == 2 and not flat:
            return None
        kept = (1, 1, axes[0]) if flat else axes
        found.append(Volume(row, *(int(str(d)) for d in kept)))
    return None if all(v.flat for v in found) else found


def _is_chain(ledger: Ledger) -> bool:
    """True if every layer is fed by the one before it only."""
    before = ""
    for row in ledger.ops:
        if row.op is not None and row.inputs != (before,):
            return False
        if len(row.made) != 1:
            return False
        before = row.made[0]
    return sum(row.op is None for row in ledger.ops) == 1


def draw_volumes(ledger: Ledger, found: list[Volume]) -> str:
    """The drawing."""
    face = TALL / max(max(v.height, v.width) for v in found)
    maps = [v for v in found if not v.flat]
    deep = DEEP / max(v.channels for v in maps)
    long = TALL / sqrt(max((v.channels for v in found if v.flat), default=1))
    middle = TOP + HALF
    parts: list[str] = []
    x = MARGIN
    for i, v in enumerate(found):
        if v.flat:
            across, up, depth = THIN + 4, long * sqrt(v.channels), 0.0
        else:
            across, up = max(v.channels * deep, THIN), max(v.height * face, THIN)
            depth = max(v.width * face, THIN) * BACK
        room = max(across + depth, _room(v))
        left = x + (room - across - depth) / 2
        parts += _solid(
            left, middle + (up + depth * STEEP) / 2, across, up, depth, _colour(v.row.op)
        )
        parts += _words(v, x + room / 2, middle)
        if i + 1 < len(found):
            parts.append(path(f"M{x + room + 4:.1f} {middle:.1f} h{GAP - 8:.1f}", dashed=True))
        x += room + GAP
    width = x - GAP + MARGIN
    bottom = middle + HALF + 72
    totals = ledger.totals
    line = f"{totals.params:,} parameters · {totals.macs:,} multiply-accumulates"
    parts.append(text(MARGIN, 22, ledger.graph.name, size=14, anchor="start", weight=600))
    parts.append(text(width - MARGIN, 22, line, size=11, anchor="end", fill=SOFT))
    scale = "faces to one scale; depths of maps to another; bars of vectors by square root"
    parts.append(text(width - MARGIN, bottom - 8, scale, size=9, anchor="end", fill=SOFT))
    return drawing(width, bottom, f"{ledger.graph.name}: {line}", parts)


def _room(v: Volume) -> float:
    """What the words below need."""
    return 6.2 * max(len(v.row.name), len(_size(v)) * 0.95)


def _size(v: Volume) -> str:
    return f"{v.channels:,}" if v.flat else f"{v.height}×{v.width}×{v.channels}"


def _solid(x: float, base: float, across: float, up: float, depth: float, fill: str) -> list[str]:
    """A box seen from the front, its depth going back to the right."""
    top, back, rise = base - up, x + across, depth * STEEP
    faces = [polygon([(x, base), (back, base), (back, top), (x, top)], fill, 0.85)]
    if depth:
        over = [(x, top), (back, top), (back + depth, top - rise), (x + depth, top - rise)]
        side = [
            (back, base),
            (back, top),
            (back + depth, top - rise),
            (back + depth, base - rise),
        ]
        faces += [polygon(over, fill, 0.35), polygon(side, fill, 0.6)]
    return faces


def _words(v: Volume, x: float, middle: float) -> list[str]:
    below = middle + HALF + 16
    lines = [
        text(x, below, v.row.name, size=11, weight=600),
        text(x, below + 14, _size(v), size=10.5),
    ]
    how = _how(v.row.op)
    return [*lines, text(x, below + 27, how, size=9.5, fill=SOFT)] if how else lines


def _how(op: Op | None) -> str:
    """The window of a layer, in short: ``11×11, stride 4``."""
    kernel = getattr(op, "kernel_size", None)
    if kernel is None:
        return ""
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    stride = getattr(op, "step", getattr(op, "stride", 1))
    step = "" if stride == 1 else f" / {stride}"
    return "×".join(map(str, sides)) + step


def _colour(op: Op | None) -> str:
    if isinstance(op, Linear):
        return DENSE
    return ACCENT if isinstance(op, Convolution | ConvTranspose) else REST
