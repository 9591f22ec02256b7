"""The causes of a difference and which rows belong together, as data of a page."""

from __future__ import annotations

from typing import Any

from netledger.diff.counts import Counts, is_zero
from netledger.diff.difference import Difference
from netledger.diff.words import signed
from netledger.render.common import LONGEST_TEXT, inert


def encode_difference(found: Difference) -> dict[str, Any]:
    """Causes, sums, notes, and the rows of both sides in pairs."""
    return {
        "causes": [
            {
                "text": inert(c.text, LONGEST_TEXT),
                "consequence": inert(c.consequence, LONGEST_TEXT),
                "delta": _delta(c.delta),
            }
            for c in (*found.counting, *found.silent)
        ],
        "delta": _delta(found.delta),
        "notes": [inert(note, LONGEST_TEXT) for note in found.notes],
        "pairs": [
            *zip(found.a.graph.inputs, found.b.graph.inputs, strict=False),
            *(
                [pair.a.name if pair.a else None, pair.b.name if pair.b else None]
                for pair in found.pairs
            ),
        ],
    }


def _delta(counts: Counts) -> dict[str, str]:
    values = {what: getattr(counts, what) for what in ("params", "buffers", "macs")}
    return {what: "" if is_zero(value) else signed(value) for what, value in values.items()}
