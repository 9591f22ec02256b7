"""What a check of one network found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from netledger.check.budgets import KINDS, Verdict, findings, parse_budgets, verdicts
from netledger.check.follow import follow, in_order
from netledger.check.rules import LEVELS, RULES
from netledger.errors import UnknownName
from netledger.graph import Graph
from netledger.ledger import Finding, Ledger

BOOKS = "NL001"
"""The code of what the double-entry check finds; `infer` makes it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of one network found.

    Attributes:
        ledger: The network's ledger.
        findings: In the order of the rows; those about the whole network come last.
        verdicts: What became of each budget.
        rules: How many rules were followed.
    """

    ledger: Ledger
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...] = ()
    rules: int = 0

    @property
    def ok(self) -> bool:
        """False on a finding of level error; a broken budget is one."""
        return not any(finding.level == "error" for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        return {level: sum(f.level == level for f in self.findings) for level in LEVELS}


def examine(
    source: Ledger | Graph | str | PathLike[str],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    budgets: Mapping[str, Any] | None = None,
) -> Report:
    """Checks a network; see `netledger.check`."""
    wanted, limits = chooser(select, ignore), parse_budgets(budgets or {})
    ledger = _ledger(source)
    judged = verdicts(ledger, limits)
    return Report(
        ledger,
        (*in_order(ledger, follow(ledger, wanted)), *findings(ledger, judged)),
        judged,
        sum(wanted(code) for code in (BOOKS, *(rule.code for rule in RULES))),
    )


def chooser(select: Iterable[str], ignore: Iterable[str]) -> Callable[[str], bool]:
    """Tells which codes are wanted.

    Raises:
        UnknownName: If no code begins as `select` or `ignore` say.
    """
    select, ignore = _prefixes(select), _prefixes(ignore)
    codes = [BOOKS, *(rule.code for rule in RULES)]
    budgets = tuple(kind.code for kind in KINDS)
    for prefix in (*select, *ignore):
        if any(code.startswith(prefix) for code in budgets) and prefix not in ("N", "NL"):
            hint = "a budget that is given is kept or broken; leave it out"
            raise UnknownName("rule", prefix, (), hint=hint)
        if not any(code.startswith(prefix) for code in codes):
            raise UnknownName("rule", prefix, codes, hint="docs/check.md lists the codes")

    def wanted(code: str) -> bool:
        return (not select or code.startswith(select)) and not code.startswith(ignore or ("\0",))

    return wanted


def _prefixes(given: Iterable[str]) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else given
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def _ledger(source: Ledger | Graph | str | PathLike[str]) -> Ledger:
    if isinstance(source, Ledger):
        return source
    from netledger.infer import infer
    from netledger.readers import read

    return infer(read(source))
