"""The networks of the zoo, a line each."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from netledger import zoo
from netledger.infer import infer

NARROWEST_STORY = 24


def write(format: str, *, width: int | None) -> str:
    """Name, year, input, parameters, MACs and story of every network.

    Args:
        format: ``table`` or ``json``.
        width: Columns of the terminal; None where there is no end.
    """
    entries = [_entry(name) for name in zoo.NETWORKS]
    return json.dumps(entries, indent=2) if format == "json" else _table(entries, width)


def _entry(name: str) -> dict[str, Any]:
    graph = zoo.load(name)
    totals = infer(graph).totals
    known = zoo.NETWORKS[name]
    (first, *_) = graph.inputs.values()
    return {
        "name": name,
        "year": known.year,
        "input": "x".join(map(str, first.shape[1:])),
        "params": totals.params,
        "macs": totals.macs,
        "story": known.story,
    }


def _table(entries: list[dict[str, Any]], width: int | None) -> str:
    header = ("Name", "Year", "Input", "Parameters", "MACs")
    cells = [
        (e["name"], str(e["year"]), e["input"], f"{e['params']:,}", f"{e['macs']:,}")
        for e in entries
    ]
    widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]
    left = sum(widths) + 2 * len(widths)
    room = None if width is None else width - left
    lines = [_line(header, widths) + ("  Story" if room is None or room >= NARROWEST_STORY else "")]
    for row, e in zip(cells, entries, strict=True):
        lines += _row(_line(row, widths), e["story"], left, room)
    lines += ["", "per sample; MACs: multiply-accumulates, biases not counted"]
    return "\n".join(lines)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, year, *rest = row
    numbers = (text.rjust(w) for text, w in zip(rest, widths[2:], strict=True))
    return "  ".join([name.ljust(widths[0]), year.ljust(widths[1]), *numbers])


def _row(line: str, story: str, left: int, room: int | None) -> list[str]:
    if room is None:
        return [f"{line}  {story}"]
    if room < NARROWEST_STORY:  # the story goes under the numbers
        below = textwrap.wrap(story, left - 4)
        return [line, *(f"    {text}" for text in below)]
    first, *more = textwrap.wrap(story, room) or [""]
    return [f"{line}  {first}", *(" " * left + text for text in more)]
