"""Every rule, followed through one network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netledger.check.network import Network
from netledger.check.rules import RULES
from netledger.ledger import Finding, Ledger


def follow(ledger: Ledger, wanted: Callable[[str], bool]) -> Iterator[list[Finding]]:
    """What the books say, then what each rule whose code is `wanted` finds, rule by rule."""
    net = Network(ledger)
    yield [finding for finding in ledger.findings if wanted(finding.code)]
    for rule in RULES:
        if wanted(rule.code):
            yield list(rule().find(net))


def in_order(ledger: Ledger, found: Iterable[list[Finding]]) -> tuple[Finding, ...]:
    """Findings in the order of the rows that they are about; those of the whole network last."""
    order = {row.name: i for i, row in enumerate(ledger.ops)}
    every = [finding for part in found for finding in part]
    return tuple(sorted(every, key=lambda f: (order.get(f.row, len(order)), f.code)))
