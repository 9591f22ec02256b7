"""Text out of a file, made harmless: a name is data, whatever a terminal or a page makes of it."""

from __future__ import annotations

import re

LONGEST_NAME = 200
LONGEST_TEXT = 2000


def inert(text: str, longest: int = LONGEST_NAME) -> str:
    r"""Text as one line with nothing invisible in it, and not too long.

    A target with a syntax of its own (Markdown, LaTeX, CSV) escapes the result once more.

    >>> inert("conv\x1b[2J\n1")
    'conv\\x1b[2J\\x0a1'
    """
    cut = text[: longest + 1]
    if not cut.isprintable():
        cut = escape(cut)
    return cut if len(cut) <= longest else cut[: longest - 1] + "…"


def escape(text: str) -> str:
    r"""Text with every character that does not print written as ``\xNN`` or ``\uNNNN``."""
    return "".join(c if c.isprintable() else _code(c) for c in text)


def _code(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# An underscore inside a word means nothing in GitHub's Markdown; at the edge of one it does.
_MARKDOWN = re.compile(r"[\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)//|(?<=www)\.")


def markdown_text(text: str) -> str:
    r"""A name for Markdown, also inside a table: no markup, no HTML, no links.

    >>> markdown_text("a|b <i> [x](http://y)")
    'a\\|b &lt;i&gt; \\[x\\](http:\\//y)'
    """
    return markdown_escape(inert(text))


def markdown_escape(text: str) -> str:
    """Inert text for Markdown."""
    plain = re.sub("[&<>]", lambda m: _ENTITIES[m[0]], text)
    return _MARKDOWN.sub(lambda m: "\\" + m[0], plain)


_LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "{-}",  # no dashes out of hyphens
    **{c: "{" + c + "}" for c in "[]*"},  # a line break before it would take one as its argument
    "·": r"\textperiodcentered{}",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "≥": r"$\ge$",
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    **{c: f"$^{n}$" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{c: f"$_{n}$" for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}


def latex_text(text: str) -> str:
    r"""A name for LaTeX: none of it is a command.

    >>> latex_text("50% of \\input{x}_1")
    '50\\% of \\textbackslash{}input\\{x\\}\\_1'
    """
    return latex_escape(inert(text))


def latex_escape(text: str) -> str:
    """Inert text for LaTeX."""
    return "".join(_LATEX.get(c, c) for c in text)
