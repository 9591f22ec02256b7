"""Draws the pictures of README and docs as SVG: a table as a terminal shows it, a network.

``python docs/pictures.py`` writes ``docs/images``; a test checks that they are up to date.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

import netledger
from netledger.render import render

IMAGES = Path(__file__).parent / "images"
WIDTH = 126
PAPER = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [(36, 41, 47), (207, 34, 46), (17, 99, 41), (154, 103, 0), (9, 105, 218), (130, 80, 223),
     (27, 124, 131), (110, 119, 129)],
    [(87, 96, 106), (164, 14, 38), (26, 127, 55), (99, 57, 1), (33, 139, 255), (164, 117, 249),
     (49, 146, 170), (140, 149, 159)],
)  # fmt: skip
"""Ink on white paper, readable on light and dark pages alike."""


def draw(name: str) -> str:
    """The coloured table of a network, as SVG."""
    table = render(netledger.ledger(name), "table", width=WIDTH, color=True)
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(table), soft_wrap=True)
    svg = console.export_svg(title=f"netledger show {name}", theme=PAPER, unique_id=name)
    # No font is fetched from elsewhere; the reader's own monospaced one does.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+\n", "\n", svg.replace("Fira Code", "ui-monospace"))


def pictures() -> dict[Path, str]:
    """Every picture, by its file."""
    return {
        IMAGES / "show-alexnet.svg": draw("alexnet"),
        IMAGES / "alexnet.svg": render(netledger.ledger("alexnet"), "svg"),
    }


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for path, svg in pictures().items():
        path.write_text(svg, encoding="utf-8")
