"""A network of any shape as blocks: one for each layer, or for each module of a large network."""

from __future__ import annotations

from dataclasses import dataclass, field

from netledger.ledger import Ledger, Row
from netledger.ops.base import Op
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.linear import Linear
from netledger.render.common import Sizes, View, number
from netledger.render.svg.canvas import (
    ACCENT,
    DENSE,
    INK,
    REST,
    RULE,
    SOFT,
    TIP,
    drawing,
    path,
    rectangle,
    text,
)

MOST = 60
"""With more rows than this, modules are drawn instead of layers, as deep as still fits."""
HIGH, ACROSS, DOWN, MARGIN, HEAD = 40.0, 26.0, 30.0, 26.0, 44.0
NARROW, WIDE = 188.0, 250.0
"""A box is as wide as the longest line in one, between these."""
LETTER = 5.6
"""How wide a small letter is, at least in the fonts that a reader is likely to have."""


@dataclass
class _Block:
    row: Row
    size: str = ""
    feeds: list[str] = field(default_factory=list)
    fed: list[str] = field(default_factory=list)
    rank: int = 0
    x: float = 0.0
    y: float = 0.0
    wide: float = NARROW

    @property
    def says(self) -> str:
        """What it is, and how many parameters it has."""
        row = self.row
        kind = f"{len(_parts(row)) - 1} layers" if row.kind == "Module" else row.kind
        return f"{kind} · {number(row.params)}" if row.params else kind


def draw_blocks(ledger: Ledger, view: View) -> str:
    """The drawing, from top to bottom."""
    rows = _rows(ledger, view)
    blocks = _connect(rows)
    ranks = _arrange(blocks)
    wide = _write(blocks, Sizes(ledger, None))
    most = max(map(len, ranks.values()), default=1)
    width = 2 * MARGIN + most * (wide + ACROSS) - ACROSS + 2 * ACROSS
    for rank, names in ranks.items():
        left = (width - len(names) * (wide + ACROSS) + ACROSS) / 2
        for i, name in enumerate(names):
            block = blocks[name]
            block.x, block.y, block.wide = (
                left + i * (wide + ACROSS),
                HEAD + rank * (HIGH + DOWN),
                wide,
            )
    parts = [TIP, *_heading(ledger, width)]
    parts += [_edge(b, blocks[to], ranks, blocks) for b in blocks.values() for to in b.feeds]
    for block in blocks.values():
        parts += _draw(block)
    height = HEAD + len(ranks) * (HIGH + DOWN) - DOWN + MARGIN
    return drawing(width, height, ledger.graph.name, parts)


def _rows(ledger: Ledger, view: View) -> tuple[Row, ...]:
    """What is drawn: what is asked for, or else the deepest view with few enough rows."""
    rows = view.rows(ledger)
    if view.depth is not None or view.ops or len(rows) <= MOST:
        return rows
    deepest = max(row.scope.count(".") + 1 for row in rows)
    for depth in range(deepest, 0, -1):
        folded = ledger.view(depth=depth)
        if len(folded) <= MOST:
            return folded
    return ledger.view(depth=1)


def _connect(rows: tuple[Row, ...]) -> dict[str, _Block]:
    blocks = {row.name: _Block(row) for row in rows}
    maker: dict[str, str] = {}
    parts = {row.name: list(_parts(row)) for row in rows}
    for name, inner in parts.items():
        for part in inner:
            maker.update(dict.fromkeys(part.made, name))
    for name, inner in parts.items():
        for part in inner:
            for value in part.inputs:
                before = maker.get(value, name)
                if before != name and name not in blocks[before].feeds:
                    blocks[before].feeds.append(name)
                    blocks[name].fed.append(before)
    return blocks


def _write(blocks: dict[str, _Block], sizes: Sizes) -> float:
    """Writes the sizes into the boxes; returns how wide a box is."""
    longest = 0
    for block in blocks.values():
        block.size = sizes.text(block.row).replace("x", "×")
        longest = max(longest, len(block.says) + len(block.size))
    return min(WIDE, max(NARROW, longest * LETTER + 35))


def _parts(row: Row) -> list[Row]:
    return [row, *(inner for folded in row.folded for inner in _parts(folded))]


def _arrange(blocks: dict[str, _Block]) -> dict[int, list[str]]:
    """Ranks: every block below those that feed it; what is only stored right above its use.

    Rows are in an order in which they can run.
    """
    ranks: dict[int, list[str]] = {}
    for block in blocks.values():
        block.rank = max((blocks[b].rank + 1 for b in block.fed), default=0)
    for name, block in blocks.items():
        if block.feeds and not block.fed and block.row.kind != "Input":
            block.rank = max(0, min(blocks[b].rank for b in block.feeds) - 1)
        ranks.setdefault(block.rank, []).append(name)
    return dict(sorted(ranks.items()))


def _heading(ledger: Ledger, width: float) -> list[str]:
    totals = ledger.totals
    told = [f"{number(totals.params)} parameters", f"{number(totals.macs)} MACs"]
    return [
        text(MARGIN, 24, ledger.graph.name, size=14, anchor="start", weight=600),
        *(
            text(width - MARGIN, 17 + 13 * i, line, size=10, anchor="end", fill=SOFT)
            for i, line in enumerate(told)
        ),
    ]


def _draw(block: _Block) -> list[str]:
    row, x, y, wide = block.row, block.x, block.y, block.wide
    module = row.kind == "Module"
    colour = _colour(max(_parts(row)[1:] or [row], key=_weight).op)
    room = int((wide - 35) / LETTER) - len(block.says)
    size = _clip(block.size, max(12, room))
    return [
        rectangle(x, y, wide, HIGH, "#f4f2ec" if module else "#ffffff", RULE),
        rectangle(x, y, 4, HIGH, colour, colour),
        text(x + 13, y + 16, _clip(row.name, 26), anchor="start", weight=600, fill=INK),
        text(x + 13, y + 30, block.says, size=9.5, anchor="start", fill=SOFT),
        text(x + wide - 8, y + 30, size, size=9.5, anchor="end", fill=SOFT),
    ]


def _weight(row: Row) -> int:
    return row.params if isinstance(row.params, int) else 0


def _clip(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _edge(a: _Block, b: _Block, ranks: dict[int, list[str]], blocks: dict[str, _Block]) -> str:
    x1, y1, x2, y2 = a.x + a.wide / 2, a.y + HIGH, b.x + b.wide / 2, b.y - 1
    if b.rank <= a.rank + 1:
        half = (y1 + y2) / 2
        return path(
            f"M{x1:.1f} {y1:.1f} C{x1:.1f} {half:.1f} {x2:.1f} {half:.1f} {x2:.1f} {y2:.1f}",
            arrow=True,
        )
    between = (name for rank in range(a.rank, b.rank + 1) for name in ranks.get(rank, ()))
    side = max(blocks[name].x for name in between) + a.wide + 14
    start, end = a.x + a.wide, b.x + b.wide
    return path(
        f"M{start:.1f} {a.y + HIGH - 12:.1f} C{side:.1f} {a.y + HIGH - 12:.1f} {side:.1f} "
        f"{a.y + HIGH:.1f} {side:.1f} {a.y + HIGH + 14:.1f} V{b.y:.1f} "
        f"C{side:.1f} {b.y + 12:.1f} {side:.1f} {b.y + 12:.1f} {end + 1:.1f} {b.y + 12:.1f}",
        RULE,
        arrow=True,
    )


def _colour(op: Op | None) -> str:
    if isinstance(op, Convolution | ConvTranspose):
        return ACCENT
    return DENSE if isinstance(op, Linear) else REST
