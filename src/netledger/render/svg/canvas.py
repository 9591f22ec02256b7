"""SVG, piece by piece. All text is escaped; the file loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from netledger.render.common import inert

INK, SOFT, RULE = "#1b1d21", "#5d6067", "#c9c5ba"
ACCENT, DENSE, REST = "#0d6b6a", "#4c5560", "#a3aab2"
FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

Point = tuple[float, float]


def number(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 11,
    anchor: str = "middle",
    fill: str = INK,
    weight: int = 400,
) -> str:
    """One line of text."""
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" '
        f'text-anchor="{anchor}" fill="{fill}"{bold}>{escape(inert(words))}</text>'
    )


def polygon(points: Iterable[Point], fill: str, opacity: float = 1.0, stroke: str = INK) -> str:
    """A filled shape with a thin edge."""
    corners = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    see = f' fill-opacity="{number(opacity)}"' if opacity != 1 else ""
    return f'<polygon points="{corners}" fill="{fill}"{see} stroke="{stroke}"/>'


def path(d: str, stroke: str = SOFT, *, dashed: bool = False, arrow: bool = False) -> str:
    """A line."""
    dashes = ' stroke-dasharray="2 2"' if dashed else ""
    tip = ' marker-end="url(#tip)"' if arrow else ""
    return f'<path d="{d}" fill="none" stroke="{stroke}"{dashes}{tip}/>'


def rectangle(x: float, y: float, width: float, height: float, fill: str, stroke: str) -> str:
    """A box with slightly round corners."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {place} rx="2" fill="{fill}" stroke="{stroke}"/>'


TIP = (
    '<defs><marker id="tip" viewBox="0 0 6 6" refX="5.2" refY="3" markerWidth="6" '
    f'markerHeight="6" orient="auto"><path d="M0 0 L6 3 L0 6 z" fill="{SOFT}"/></marker></defs>'
)


def drawing(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """The whole picture, on white paper, so that it reads on any page."""
    w, h = number(width), number(height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" font-family="{FONT}" stroke-width="0.8" '
            'stroke-linejoin="round" role="img">',
            f"<title>{escape(inert(title))}</title>",
            f'<rect width="{w}" height="{h}" fill="#ffffff"/>',
            *parts,
            "</svg>",
        ]
    )
