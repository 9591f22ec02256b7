"""Why a count is not a claim → text or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable

from netledger.reconcile.claim import NOUNS, Claim
from netledger.reconcile.proposal import Explanation, Reconciliation
from netledger.reconcile.words import signed
from netledger.render.common import LONGEST_TEXT, inert

WIDE, WIDEST = 62, 79
"""The column at which results stand, where a line leaves room; where lines end."""


def write(answer: Reconciliation, format: str = "text") -> str:
    """The answer in one of `FORMATS`."""
    return FORMATS[format](answer)


def _text(answer: Reconciliation) -> str:
    lines = _wrap(_head(answer), "  ", WIDEST)
    if not answer.explanations:
        lines += _nothing(answer)
    for rank, explanation in enumerate(answer.explanations, start=1):
        lines += _explanation(rank, explanation, answer)
    return "\n".join([*lines, *(inert(note, LONGEST_TEXT) for note in answer.notes)])


def _head(answer: Reconciliation) -> str:
    least = "" if answer.complete else "at least "
    counted = f"{least}{answer.count:,} {NOUNS[answer.claim.quantity]}"
    head = f"{inert(answer.model)}: {counted}; {_claimed(answer.claim)} claimed"
    return f"{head}; difference {signed(answer.difference)}" if answer.difference else head


def _claimed(claim: Claim) -> str:
    if claim.exact:
        return f"{claim.low:,}"
    return f"{inert(claim.text)} ({claim.low:,} to {claim.high:,})"


def _explanation(rank: int, e: Explanation, answer: Reconciliation) -> list[str]:
    if not e.causes:
        return ["The counts are equal."]
    words = [inert(cause.text, LONGEST_TEXT) for cause in e.causes]
    short = all(len(text) < 50 and "," not in text for text in words)
    text = (", and " if short else "; ").join(words)
    *lines, last = _wrap(f"{rank}. {text}", "   ")
    lines.append(f"{last:<{WIDE}}  {'exact' if e.exact else f'{e.result:,}'}")
    for cause in e.causes:
        if cause.arithmetic not in ("", "0"):
            lines += _sum(inert(cause.arithmetic, LONGEST_TEXT), cause.delta)
    if sum(1 for c in e.causes if c.delta) > 1:
        terms = " ".join(signed(c.delta) for c in e.causes if c.delta)
        lines.append(f"     in all {terms} = {signed(e.result - answer.count)}")
    notes = [_wrap(f"   ({inert(note, LONGEST_TEXT)})", "    ", WIDEST) for note in e.notes]
    return [*lines, *(line for wrapped in notes for line in wrapped)]


def _wrap(text: str, indent: str, width: int = WIDE) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _sum(arithmetic: str, delta: int) -> list[str]:
    """Arithmetic that ends in the cause's own delta; long sums in several lines."""
    end = signed(delta)
    parts = [arithmetic] if len(arithmetic) <= WIDE else arithmetic.split("; ")
    lines = [f"     {line}" for part in parts for line in _wrap(part, "  ", WIDEST - 5)]
    if not delta or lines[-1].endswith(end):
        return lines
    if len(lines[-1]) > WIDE:
        lines.append("")
    return [*lines[:-1], f"{lines[-1]:<{WIDE}}  {end}"]


def _nothing(answer: Reconciliation) -> list[str]:
    reason = "the time ran out first" if answer.cut else f"{answer.tried:,} combinations weighed"
    return [f"No explanation found within two edits ({reason})."]


def _json(answer: Reconciliation) -> str:
    return json.dumps(answer.to_dict(), indent=2)


FORMATS: dict[str, Callable[[Reconciliation], str]] = {"text": _text, "json": _json}
