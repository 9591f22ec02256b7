"""A linter for networks: findings with stable codes, and budgets.

>>> import netledger
>>> [finding.code for finding in netledger.check("alexnet-keras-noflatten")]
['NL101']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netledger.graph import Graph
    from netledger.ledger import Finding, Ledger


def check(
    source: Ledger | Graph | str | PathLike[str],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    budgets: Mapping[str, Any] | None = None,
) -> tuple[Finding, ...]:
    """What a careful engineer would say of a network, in the order of its layers.

    Args:
        source: A ledger, a graph, a zoo name or a path.
        select: Codes, or their beginnings (``NL10``), of the rules to follow; by default all.
        ignore: Codes, or their beginnings, of the rules to leave out.
        budgets: The most that is allowed of ``params``, ``macs``, ``activations`` and ``size``
            (bytes): numbers, or texts such as ``"5M"`` and ``"20MiB"``. A broken budget is a
            finding of level ``error``; neither `select` nor `ignore` concern it.

    Raises:
        UnknownName: If no code begins as `select` or `ignore` say, or there is no such budget.
        NetledgerError: If the source cannot be read.
    """
    from netledger.check.report import examine

    return examine(source, select=select, ignore=ignore, budgets=budgets or {}).findings


__all__ = ["check"]
