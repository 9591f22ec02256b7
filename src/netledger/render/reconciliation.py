"""Why a count is not a claim → text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from netledger.reconcile.claim import NOUNS, Claim
from netledger.reconcile.proposal import Explanation, Reconciliation
from netledger.reconcile.words import signed
from netledger.render.common import LONGEST_TEXT, inert

WIDE = 76
"""The column at which results stand, where a line leaves room."""


def write(answer: Reconciliation, format: str = "text") -> str:
    """The answer in one of `FORMATS`."""
    return FORMATS[format](answer)


def _text(answer: Reconciliation) -> str:
    lines = [_head(answer)]
    if not answer.explanations:
        lines += _nothing(answer)
    for rank, explanation in enumerate(answer.explanations, start=1):
        lines += _explanation(rank, explanation, answer)
    return "\n".join(lines)


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
    words = "; ".join(inert(cause.text, LONGEST_TEXT) for cause in e.causes)
    first = f"{rank}. {words}"
    end = "exact" if e.exact else f"{e.result:,}"
    lines = [f"{first:<{WIDE}}  {end}"]
    for cause in e.causes:
        if cause.arithmetic not in ("", "0"):
            lines.append(_sum(inert(cause.arithmetic, LONGEST_TEXT), cause.delta))
    if len(e.causes) > 1 and sum(1 for c in e.causes if c.delta) > 1:
        terms = " ".join(signed(c.delta) for c in e.causes if c.delta)
        lines.append(f"     in all {terms} = {signed(e.result - answer.count)}")
    return lines + [f"   ({inert(note, LONGEST_TEXT)})" for note in e.notes]


def _sum(arithmetic: str, delta: int) -> str:
    """A line of arithmetic that ends in the cause's own delta."""
    end = signed(delta)
    if arithmetic.endswith(end) or not delta:
        return f"     {arithmetic}"
    return f"     {arithmetic:<{WIDE - 5}}  {end}"


def _nothing(answer: Reconciliation) -> list[str]:
    reason = "the time ran out first" if answer.cut else f"{answer.tried:,} combinations weighed"
    return [f"No explanation found within two edits ({reason})."]


def _json(answer: Reconciliation) -> str:
    return json.dumps(answer.to_dict(), indent=2)


FORMATS: dict[str, Callable[[Reconciliation], str]] = {"text": _text, "json": _json}
