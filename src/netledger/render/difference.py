"""Differences of two networks → text, a table, Markdown or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from typing import Any

from netledger.diff.changes import SPELLING
from netledger.diff.counts import Counts, is_zero
from netledger.diff.difference import CHANGE, INSERT, KEEP, REMOVE, Cause, Difference, Pair
from netledger.diff.words import signed
from netledger.ledger import Row
from netledger.render.common import (
    LONGEST_TEXT,
    Sizes,
    inert,
    markdown_escape,
    markdown_text,
    number,
    total,
)

PROSE = 100
"""Columns after which a cause goes on in the next line."""
QUANTITIES = {"params": "parameters", "buffers": "buffers", "macs": "MACs"}
MARKS = {KEEP: " ", CHANGE: "~", INSERT: "+", REMOVE: "−"}
TOGETHER = "* these do not fit one without the other; they were measured together"


def write(difference: Difference, format: str = "text") -> str:
    """The difference in one of `FORMATS`.

    ``text`` gives the causes, ``table`` also every layer, ``markdown`` both, ``json`` everything.
    """
    return FORMATS[format](difference)


def _text(d: Difference) -> str:
    return "\n".join([*_head(d), *_causes(d), *_rest(d)])


def _table(d: Difference) -> str:
    return f"{_text(d)}\n\n" + "\n".join(_layers(d))


def _names(d: Difference) -> tuple[str, str]:
    a, b = d.a.graph, d.b.graph
    if a.name != b.name or a.reader == b.reader:
        return inert(a.name), inert(b.name)
    return inert(f"{a.name} ({a.reader})"), inert(f"{b.name} ({b.reader})")


def _head(d: Difference) -> list[str]:
    first, second = _names(d)
    if d.empty:
        t = d.b.totals
        same = f"{total(t, 'params')} parameters, {total(t, 'macs')} MACs"
        if any(c.kind == "unknown" for c in d.causes):
            return [f"{first} and {second} store the same: {total(t, 'params')} parameters"]
        return [f"{first} and {second} are the same network: {same}"]
    lines = [f"{first} → {second}"]
    for what, noun in QUANTITIES.items():
        old, new = _total(d.a, what), _total(d.b, what)
        delta = getattr(d.delta, what)
        if what == "buffers" and is_zero(d.a.totals.buffers) and is_zero(d.b.totals.buffers):
            continue
        if is_zero(delta) and old == new:
            lines.append(f"  {old} {noun} in both")
        else:
            lines.append(f"  {old} → {new} {noun}: {signed(delta)}")
    return lines


def _total(ledger: Any, what: str) -> str:
    return number(ledger.totals.buffers) if what == "buffers" else total(ledger.totals, what)


def _columns(d: Difference) -> list[str]:
    """The quantities in which anything differs."""
    return [w for w in QUANTITIES if any(not is_zero(getattr(c.delta, w)) for c in d.counting)]


def _delta(counts: Counts, what: str) -> str:
    value = getattr(counts, what)
    return "" if is_zero(value) else signed(value)


def _causes(d: Difference) -> list[str]:
    shown = _columns(d)
    if not d.counting:
        return []
    rows = [([_delta(c.delta, what) for what in shown], _cause(c)) for c in d.counting]
    sums = [_delta(d.delta, what) or "0" for what in shown]
    head = [QUANTITIES[what] for what in shown]
    widths = [
        max(map(len, column)) for column in zip(head, sums, *(r for r, _ in rows), strict=True)
    ]
    indent = 2 + sum(w + 2 for w in widths)

    def line(cells: list[str]) -> str:
        return "  " + "".join(f"{c:>{w}}  " for c, w in zip(cells, widths, strict=True))

    lines = ["", f"{line(head)}cause"]
    for cells, texts in rows:
        wrapped = [piece for text in texts for piece in _wrap(text, PROSE - indent)]
        lines.append(f"{line(cells)}{wrapped[0]}")
        lines += [" " * indent + piece for piece in wrapped[1:]]
    lines.append(f"{line(sums)}in all")
    return [text.rstrip() for text in lines]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 40), break_on_hyphens=False, subsequent_indent="  ")


def _cause(c: Cause) -> list[str]:
    """What it is, what follows from it, and the sum over rows where there are several."""
    text = inert(c.text, LONGEST_TEXT) + ("*" if c.joint else "")
    texts = [f"{text}:" if c.consequence else text]
    texts += [inert(c.consequence, LONGEST_TEXT)] if c.consequence else []
    return texts + ([inert(c.arithmetic, LONGEST_TEXT)] if " = " in c.arithmetic else [])


def _rest(d: Difference) -> list[str]:
    lines: list[str] = []
    if any(c.joint for c in d.counting):
        lines += ["", f"  {TOGETHER}"]
    for label, texts in _remarks(d):
        first, *more = _wrap(f"{label}: {'; '.join(texts)}", PROSE - 2)
        lines += ["", first, *more] if not lines or lines[-1] == "" else [first, *more]
    return lines


def _remarks(d: Difference) -> list[tuple[str, list[str]]]:
    silent = [inert(c.text, LONGEST_TEXT) for c in d.silent]
    words = [inert(c.text, LONGEST_TEXT) for c in d.causes if c.ignorable and c.kind == SPELLING]
    ignorable = [
        inert(c.text, LONGEST_TEXT) for c in d.causes if c.ignorable and c.kind != SPELLING
    ]
    found = [("no count changes", silent)] if silent else []
    if not is_zero(d.delta.activations):
        found.append(("activations", [f"{signed(d.delta.activations)} (every operation counts)"]))
    notes = [inert(n, LONGEST_TEXT) for n in d.notes]
    notes += [f"{text} (comes to the same)" for text in words]
    notes += [
        text if "graph" in text else f"{text} (does nothing after training)" for text in ignorable
    ]
    return [*found, ("no difference", notes)] if notes else found


def _layers(d: Difference) -> list[str]:
    """Every layer beside its counterpart."""
    cells = _cells(d)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = len(widths) - len(QUANTITIES)
    return [
        "  ".join(
            text.rjust(w) if i >= right else text.ljust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _cells(d: Difference) -> list[list[str]]:
    first, second = _names(d)
    sizes = Sizes(d.a, None), Sizes(d.b, None)
    cells = [["", first, second, "operation", "output", *QUANTITIES.values()]]
    for pair in d.pairs:
        if pair.a is not None or pair.b is not None:
            cells.append(_layer(pair, sizes))
    return cells


def _layer(pair: Pair, sizes: tuple[Sizes, Sizes]) -> list[str]:
    a, b = pair.a, pair.b
    kinds = list(dict.fromkeys(inert(row.kind) for row in (a, b) if row))
    outputs = dict.fromkeys(s.text(row) for row, s in zip((a, b), sizes, strict=True) if row)
    return [
        MARKS[pair.what],
        _name(a),
        _name(b),
        " → ".join(kinds),
        " → ".join(outputs),
        *(_delta(pair.delta, what) for what in QUANTITIES),
    ]


def _name(row: Row | None) -> str:
    return inert(row.name) if row else "–"


def _markdown(d: Difference) -> str:
    lines = [f"**{markdown_escape(_head(d)[0])}**", ""]
    lines += [f"- {markdown_escape(text.strip())}" for text in _head(d)[1:]]
    shown = _columns(d)
    if d.counting:
        head = [*(QUANTITIES[what] for what in shown), "cause"]
        lines += ["", _md(head), _md([*("---:" for _ in shown), "---"])]
        for c in d.counting:
            words = "<br>".join(markdown_escape(text) for text in _cause(c))
            lines.append(_md([*(_delta(c.delta, what) for what in shown), words]))
        sums = [f"**{_delta(d.delta, what) or '0'}**" for what in shown]
        lines.append(_md([*sums, "**in all**"]))
    if any(c.joint for c in d.counting):
        lines += ["", markdown_escape(TOGETHER)]
    if _remarks(d):
        lines.append("")
    lines += [f"- {label}: {markdown_escape('; '.join(texts))}" for label, texts in _remarks(d)]
    head, *cells = _cells(d)
    lines += ["", _md([markdown_text(h) for h in head])]
    lines.append(_md([*("---" for _ in head[: -len(QUANTITIES)]), *("---:" for _ in QUANTITIES)]))
    lines += [_md([markdown_escape(text) for text in row]) for row in cells]
    return "\n".join(lines)


def _md(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _json(d: Difference) -> str:
    found = {
        "schema": "netledger/1",
        "a": _model(d.a),
        "b": _model(d.b),
        "equal": d.empty,
        "delta": d.delta.to_dict(),
        "causes": [
            {
                "kind": c.kind,
                "text": c.text,
                "consequence": c.consequence,
                "arithmetic": c.arithmetic,
                "delta": c.delta.to_dict(),
                "rows": {name: delta.to_dict() for name, delta in c.rows.items()},
                "edits": [{"kind": e.kind, "text": e.describe()} for e in c.edits],
                "counts": c.counts,
                "ignorable": c.ignorable,
                "joint": c.joint,
            }
            for c in d.causes
        ],
        "rows": [
            {
                "what": pair.what,
                "a": pair.a.name if pair.a else None,
                "b": pair.b.name if pair.b else None,
                "delta": pair.delta.to_dict(),
            }
            for pair in d.pairs
        ],
        "notes": list(d.notes),
    }
    return json.dumps(found, indent=2)


def _model(ledger: Any) -> dict[str, Any]:
    graph = ledger.graph
    return {
        "name": graph.name,
        "source": graph.source,
        "reader": graph.reader,
        "totals": ledger.totals.to_dict(),
    }


FORMATS: dict[str, Callable[[Difference], str]] = {
    "text": _text,
    "table": _table,
    "markdown": _markdown,
    "json": _json,
}
