"""A ledger as CSV (RFC 4180): a line for each row, plain numbers, empty where one is unknown.

There is no line of totals: what reads the file can add up by itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from netledger.ledger import Ledger, Row, plain
from netledger.ledger.fold import shown_in
from netledger.render import common
from netledger.render.common import Sizes, View, inert

HEADINGS = (
    "name",
    "operation",
    "scope",
    "inputs",
    "tensor_size",
    "dtype",
    "weights",
    "biases",
    "parameters",
    "macs",
    "buffers",
    "elements",
    "receptive_field",
    "description",
    "unknown",
)


def write(ledger: Ledger, view: View) -> str:
    """The ledger as CSV; the last line has no break, as the standard allows."""
    sizes = Sizes(ledger, view.layout)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    rows = view.rows(ledger)
    feeders = shown_in(rows)
    for row in rows:
        writer.writerow(map(_cell, _values(row, sizes, feeders)))
    return text.getvalue().removesuffix("\r\n")


def _values(row: Row, sizes: Sizes, feeders: Mapping[str, str]) -> list[Any]:
    unknown = [f"{what}: {inert(why, common.LONGEST_TEXT)}" for what, why in row.unknown.items()]
    return [
        inert(row.name),
        inert(row.kind),
        inert(row.scope),
        ", ".join(inert(feeders.get(name, name)) for name in row.inputs),
        sizes.text(row),
        ", ".join(inert(t.dtype) for t in row.outputs),
        *(plain(_known(row, what)) for what in ("weights", "biases", "params", "macs")),
        plain(row.buffers),
        plain(row.elements),
        "" if row.receptive_field is None else common.reach(row),
        common.operation(row),
        "; ".join(unknown),
    ]


def _known(row: Row, what: str) -> Any:
    """A count, or None if it is only a lower bound, as a module's over an unknown part is."""
    return None if ("macs" if what == "macs" else "params") in row.unknown else getattr(row, what)


def _cell(value: Any) -> Any:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULAS else value


_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
