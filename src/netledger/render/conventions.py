"""A network counted by every convention → a table or JSON: the totals, and why each is not ours."""

from __future__ import annotations

import json
from typing import Any

from netledger.conventions import (
    ACTIVATIONS,
    BYTES,
    CONVENTIONS,
    FLOPS,
    MACS,
    PARAMS,
    Count,
    Term,
)
from netledger.formula import Formula
from netledger.ledger import SCHEMA, Ledger, plain
from netledger.render.common import inert, number

FORMATS = ("table", "json")
TITLES = {
    PARAMS: "parameters",
    MACS: "MACs",
    FLOPS: "FLOPs",
    ACTIVATIONS: "numbers made",
    BYTES: "bytes",
}
"""What is counted, in the order in which it is shown."""

WIDE = max(map(len, CONVENTIONS))
MODULES = "tools that count modules: every layer is taken for a module of PyTorch's own"


def write(ledger: Ledger, format: str = "table") -> str:
    """Every convention's total beside ours, with the causes of the difference.

    Args:
        ledger: The ledger.
        format: One of `FORMATS`.
    """
    counts = [convention.count(ledger) for convention in CONVENTIONS.values()]
    return _json(ledger, counts) if format == "json" else _table(ledger, counts)


def _table(ledger: Ledger, counts: list[Count]) -> str:
    per = "per sample" if ledger.batch is None else f"batch {ledger.batch:,}"
    short = [
        f"{_short(count)} {TITLES[q]}"
        for q in (PARAMS, MACS, FLOPS)
        for count in counts
        if count.convention.name == q
    ]
    lines = [" · ".join([inert(ledger.graph.name), per, *short])]
    figures = max(len(_total(count)) for count in counts)
    for quantity, title in TITLES.items():
        of = [count for count in counts if count.convention.quantity == quantity]
        lines += ["", title, *_section(of, min(figures, 40))]
    if not ledger.graph.calls:
        lines += ["", f"({MODULES})"]
    return "\n".join(lines)


def _section(counts: list[Count], figures: int) -> list[str]:
    """What differs from ours with its causes; in one line what does not."""
    lines, same = [], []
    for i, count in enumerate(counts):
        if count.terms or i == 0 or count.unknown != counts[0].unknown:
            lines.append(_line(count, figures))
            lines += [_cause(term, figures) for term in count.terms]
        else:
            same.append(count.convention.name)
    if same:
        lines.append(f"  {'the same':<{WIDE}}  {'':>{figures}}  {', '.join(same)}")
    return lines


def _line(count: Count, figures: int) -> str:
    c = count.convention
    tool = f"{c.tool}: " if c.tool else ""
    return f"  {c.name:<{WIDE}}  {_total(count):>{figures}}  {tool}{c.text}"


def _total(count: Count) -> str:
    return f"{'≥ ' if count.unknown else ''}{number(count.total)}"


def _cause(term: Term, figures: int) -> str:
    named = [kind for kind in term.kinds if kind]
    kinds = ", ".join(named if len(named) <= 4 else [*named[:3], "…"])
    rows = f"{len(term.rows):,} rows" if len(term.rows) > 1 else inert(term.rows[0][0])
    place = f"{rows}: {kinds}" if len(term.rows) > 1 and kinds else rows
    return f"  {'':<{WIDE}}  {_signed(term.delta):>{figures}}  {term.cause} ({place})"


def _short(count: Count) -> str:
    """A total as people say it: ``17.56 G``."""
    value = count.total.value if isinstance(count.total, Formula) else count.total
    if value is None:
        return number(count.total)
    least = "≥ " if count.unknown else ""
    for power, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{least}{value / 10**power:.4g} {unit}"
    return f"{least}{value}"


def _signed(delta: Any) -> str:
    text = number(delta).replace("-", "−")
    return text if text.startswith("−") else f"+{text}"


def _json(ledger: Ledger, counts: list[Count]) -> str:
    graph = ledger.graph
    return json.dumps(
        {
            "schema": SCHEMA,
            "model": {"name": graph.name, "source": graph.source, "reader": graph.reader},
            "batch": ledger.batch,
            "conventions": [_count_to_dict(count) for count in counts],
        },
        indent=2,
    )


def _count_to_dict(count: Count) -> dict[str, Any]:
    c = count.convention
    return {
        "name": c.name,
        "quantity": c.quantity,
        "tool": c.tool,
        "text": c.text,
        "ours": plain(count.ours),
        "total": plain(count.total),
        "complete": not count.unknown,
        "unknown": list(count.unknown),
        "terms": [
            {
                "cause": term.cause,
                "delta": plain(term.delta),
                "rows": {name: plain(delta) for name, delta in term.rows},
            }
            for term in count.terms
        ],
    }
