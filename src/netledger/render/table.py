"""A ledger as a table for the terminal: whole in a pipe, fitted to the width of a terminal.

Plain strings and a few colour codes: importing a library for this would take longer than all the
rest of the command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from netledger.ledger import Ledger, Row
from netledger.render import common
from netledger.render.common import COUNTS, Sizes, View, inert

BOLD, DIM, ACCENT, WARN, BAD = "1", "2", "36", "33", "31"
GAP = "  "
BAR = 8
"""Cells of the longest bar."""
FORMULA = 24
"""On a narrow terminal, formulas longer than this stand in a list under the table."""
LEAST_NAME, LEAST_OPERATION = 20, 36


@dataclass
class Column:
    """A column: what it says in each row and in the line of totals.

    Attributes:
        key: What it shows.
        title: Its heading.
        cells: A text for each row, the total last.
        right: Whether it is aligned to the right.
        dimmed: How many characters at the start of each cell are set back.
        bars: For each row, how long a bar stands behind the number, in eighths of a cell.
    """

    key: str
    title: str
    cells: list[str]
    right: bool = True
    dimmed: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)

    @property
    def digits(self) -> int:
        """Terminal cells that its texts take, bars apart."""
        return max(wides(self.cells), default=0)

    @property
    def width(self) -> int:
        """Terminal cells that it takes."""
        return max(wide(self.title), self.digits + (1 + BAR if self.bars else 0))


def write(ledger: Ledger, view: View) -> str:
    """The ledger as a table, with totals, definitions and notes."""
    sizes = Sizes(ledger, view.layout)
    rows = view.rows(ledger)
    columns = _columns(ledger, rows, sizes)
    below = [] if view.width is None else _fit(columns, view.width, rows)
    pen = Pen(view.color)
    title, *about = common.headline(ledger, view, sizes)
    head = _wrap([title, *about], view.width)
    head[0] = pen(title, BOLD) + head[0][len(title) :]
    lines = [*head, "", *_draw(columns, pen), ""]
    for pieces in common.summary(ledger):
        lines += _wrap(pieces, view.width)
    lines += [pen(line, WARN) for line in common.notes(ledger, view.width)]
    lines += [pen(line, DIM) for line in below]
    for level, line in common.findings(ledger):
        lines.append(pen(level, BAD if level == "error" else WARN) + line[len(level) :])
    if ledger.failed:
        lines.append(pen(common.stopped(ledger), BAD))
    return "\n".join(line.rstrip() for line in lines)


# What the columns say.


def _columns(ledger: Ledger, rows: tuple[Row, ...], sizes: Sizes) -> list[Column]:
    names = [inert(row.name) for row in rows]
    scopes = [len(_scope(row, name)) for row, name in zip(rows, names, strict=True)]
    totals = ledger.totals
    label = "Total so far" if ledger.failed else "Total"
    columns = [
        Column("name", "Layer", [*names, label], right=False, dimmed=[*scopes, 0]),
        Column("size", "Tensor size", [*map(sizes.text, rows), ""], right=False),
    ]
    for what, title in zip(COUNTS, ("Weights", "Biases", "Parameters", "MACs"), strict=True):
        cells = [common.count(row, what) for row in rows]
        columns.append(Column(what, title, [*cells, common.total(totals, what)]))
    if any(row.receptive_field is not None for row in rows if row.op is not None):
        fields = [common.reach(row) for row in rows]
        columns.append(Column("reach", "Receptive field", [*fields, ""]))
    for what, title in (("params", "% params"), ("macs", "% MACs")):
        if what not in totals.unknown:  # a share of a lower bound would be none
            columns += _share(getattr(totals, what), [getattr(row, what) for row in rows], title)
    operations = [common.operation(row) for row in rows]
    columns.append(Column("operation", "Operation", [*operations, ""], right=False))
    return columns


def _scope(row: Row, name: str) -> str:
    scope = inert(row.scope) + "."
    return scope if row.scope and name.startswith(scope) and name != scope else ""


def _share(whole: Any, counts: list[Any], title: str) -> list[Column]:
    """What share of the total each row has; nothing where a count is a formula."""
    if not whole or any(type(c) is not int for c in (whole, *counts)):
        return []
    most = max(counts)
    # The longest bar is the largest row, not the total: in a deep network every share is small.
    bars = [-(-c * BAR * 8 // most) for c in counts]
    shares = [percent(c, whole) for c in counts]
    return [Column(title, title, [*shares, "100"], bars=[*bars, 0])]


def percent(value: int, whole: int) -> str:
    """A share of the whole, in percent, to one decimal."""
    if value == 0:
        return "0"
    tenths = (value * 2000 + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10}" if tenths else "<0.1"


# Fitting: whole columns are left out, numbers are never cut.


def _fit(columns: list[Column], width: int, rows: tuple[Row, ...]) -> list[str]:
    """Makes the table as narrow as the terminal; says what is shown elsewhere or not at all."""
    below: list[str] = []
    steps: list[Callable[[int], None]] = [
        lambda _: below.extend(_formulas_apart(columns, rows)),
        lambda over: _shorten(columns, "operation", LEAST_OPERATION, over, cut_end),
        _without(columns, "operation"),
        lambda _: _bars_off(columns, "% MACs"),
        lambda _: _bars_off(columns, "% params"),
        *(_without(columns, key) for key in ("% MACs", "% params", "reach")),
        lambda over: _shorten(columns, "name", LEAST_NAME, over, cut_middle),
        *(_without(columns, key) for key in ("biases", "weights", "size", "macs")),
        lambda over: _shorten(columns, "name", 1, over, cut_middle),
    ]
    titles = [column.title for column in columns]
    for step in steps:
        over = sum(c.width for c in columns) + len(GAP) * (len(columns) - 1) - width
        if over <= 0:
            break
        step(over)
    gone = [title for title in titles if title not in [column.title for column in columns]]
    if gone:
        listed = [*(f"{title}," for title in gone[:-1]), gone[-1]]
        below += _wrap([f"not shown in {width} columns:", *listed], width, " ")
    return below


def _without(columns: list[Column], key: str) -> Callable[[int], None]:
    def step(over: int) -> None:
        columns[:] = [column for column in columns if column.key != key]

    return step


def _bars_off(columns: list[Column], key: str) -> None:
    for column in columns:
        if column.key == key:
            column.bars = []


def _shorten(
    columns: list[Column], key: str, least: int, over: int, cut: Callable[[str, int], str]
) -> None:
    for column in columns:
        if column.key == key:
            to = max(least, column.width - over)
            column.cells = [cut(cell, to) for cell in column.cells]


def _formulas_apart(columns: list[Column], rows: tuple[Row, ...]) -> list[str]:
    """Puts a number such as ``[1]`` for each long formula; says what they stand for."""
    numbers: dict[str, str] = {}
    told: list[str] = []
    names = [*columns[0].cells]
    for i in range(len(rows) + 1):
        for column in columns:
            text = column.cells[i]
            if column.key in ("name", "operation") or wide(text) <= FORMULA:
                continue
            if text not in numbers:
                numbers[text] = f"[{len(numbers) + 1}]"
                told.append(f"{numbers[text]} {names[i]}, {column.title}: {text}")
            column.cells[i] = numbers[text]
    return told


def cut_middle(text: str, width: int) -> str:
    """The beginning and the end of a text, with ``…`` between."""
    if wide(text) <= width:
        return text
    head, tail = text, text
    while wide(head) > (width - 1) // 2:
        head = head[:-1]
    while wide(head) + 1 + wide(tail) > width and tail:
        tail = tail[1:]
    return f"{head}…{tail}"


def cut_end(text: str, width: int) -> str:
    """The beginning of a text, up to the end of a word, with ``…`` behind."""
    if wide(text) <= width:
        return text
    while wide(text) >= width:
        text = text[:-1]
    return f"{text.rpartition(' ')[0].rstrip(' ,:→') or text}…"


def _wrap(pieces: Iterable[str], width: int | None, between: str = " · ") -> list[str]:
    """Pieces on as few lines as fit into the width; a piece that is longer breaks at blanks."""
    lines: list[str] = []
    for piece in pieces:
        joined = f"{lines[-1]}{between}{piece}" if lines else piece
        if width is None or wide(joined) <= width:
            lines[-1:] = [joined]
        elif wide(piece) > width and between != " ":
            lines += _wrap(piece.split(" "), width, " ")
        else:
            lines.append(piece)
    return lines


# Drawing.


def _draw(columns: list[Column], pen: Pen) -> list[str]:
    widths = [column.width for column in columns]
    across = sum(widths) + len(GAP) * (len(columns) - 1)
    heavy, light = pen("━" * across, DIM), pen("─" * across, DIM)
    titles = [pad(c.title, w, c.right and not c.bars) for c, w in zip(columns, widths, strict=True)]
    drawn = [_cells(column, w, pen) for column, w in zip(columns, widths, strict=True)]
    *rows, total = [GAP.join(cells) for cells in zip(*drawn, strict=True)]
    return [heavy, pen(GAP.join(titles), BOLD), light, *rows, light, total, heavy]


def _cells(column: Column, width: int, pen: Pen) -> list[str]:
    """The texts of a column with blanks and colours, all as wide as the column; the total last."""
    digits = column.digits if column.bars else width
    side = str.rjust if column.right else str.ljust
    taken = wides(column.cells)
    cells = [
        side(text, digits + len(text) - own) for text, own in zip(column.cells, taken, strict=True)
    ]
    if pen.color:
        cells = [_colored(column, i, cell, pen) for i, cell in enumerate(cells)]
    if column.bars:
        bars = [bar(eighths) for eighths in column.bars]
        blanks = width - digits - 1
        cells = [
            f"{cell} {pen(full, ACCENT)}{' ' * (blanks - len(full))}"
            for cell, full in zip(cells, bars, strict=True)
        ]
    return cells


def _colored(column: Column, i: int, cell: str, pen: Pen) -> str:
    text = column.cells[i]
    at = column.dimmed[i] if column.dimmed and "…" not in text else 0
    if at:
        return pen(cell[:at], DIM) + cell[at:]
    return pen(cell, _style(column, text, i == len(column.cells) - 1))


def _style(column: Column, text: str, total: bool) -> str:
    if total:
        return BOLD
    if column.key == "operation" or text in ("0", "–"):
        return DIM
    return WARN if column.right and text[:1] in ("=", "?", "≥") else ""


def bar(eighths: int) -> str:
    """A bar of so many eighths of a cell."""
    full, rest = divmod(eighths, 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()


class Pen:
    """Writes in colour, or plainly."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str) -> str:
        """`text` in a style; blank text needs none."""
        visible = self.color and style and text.strip()
        return f"\x1b[{style}m{text}\x1b[0m" if visible else text


def pad(text: str, width: int, right: bool) -> str:
    """`text` with blanks to a width of terminal cells."""
    blanks = " " * (width - wide(text))
    return blanks + text if right else text + blanks


_SINGLE = re.compile("[\x00-\x7f×−→–…≥⌊⌋⌈⌉·²³█▏▎▍▌▋▊▉]*")


def wide(text: str) -> int:
    """Terminal cells that a text takes; East Asian characters take two."""
    if _single(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wides(texts: list[str]) -> list[int]:
    """Terminal cells that each of many texts takes."""
    return list(map(len if _single("".join(texts)) else wide, texts))


def _single(text: str) -> bool:
    """Whether every character takes one cell, as nearly all do."""
    return text.isascii() or _SINGLE.fullmatch(text) is not None
