"""Ledgers as characters: one module for each format, imported when it is asked for.

A module of a format has ``write(ledger, view) -> str`` (``yaml``: ``write(graph) -> str``, for a
spec is what it writes).
"""

from __future__ import annotations

import importlib

from netledger.errors import UnknownName
from netledger.garbage import no_garbage
from netledger.ledger import Ledger
from netledger.render.common import LAYOUTS, View

FORMATS = ("table", "markdown", "csv", "json", "latex", "yaml", "html", "svg")
"""The formats that a ledger can be written in."""


def render(
    ledger: Ledger,
    format: str,
    *,
    ops: bool = False,
    depth: int | None = None,
    layout: str | None = None,
    width: int | None = None,
    color: bool = False,
) -> str:
    """A ledger in one of `FORMATS`, without a new line at the end.

    Args:
        ledger: The ledger.
        format: One of `FORMATS`.
        ops: A row for every operation, instead of folding the pointwise ones.
        depth: Fold what lies deeper in the module tree than this.
        layout: The axis order of tensor sizes: ``hwc``, ``chw`` or ``source``; by default ``hwc``
            where the network has its channels last, else ``source``.
        width: Columns of the terminal (tables only); None if nothing limits the width.
        color: Whether to use colours (tables only).

    Raises:
        UnknownName: If there is no such format or layout.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS, hint=f"the formats are {', '.join(FORMATS)}")
    if layout is not None and layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS, hint=f"the layouts are {', '.join(LAYOUTS)}")
    module = importlib.import_module(f"netledger.render.{format}")
    with no_garbage():
        if format == "yaml":
            return str(module.write(ledger.graph))
        return str(module.write(ledger, View(ops, depth, layout, width, color)))
