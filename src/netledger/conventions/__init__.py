"""Ways to count: ours, those of papers, and those of other tools, each by its name.

Every convention starts from our own count of the same quantity and says row by row what it counts
otherwise, and why; the differences add up exactly.

>>> import netledger
>>> from netledger import conventions
>>> found = conventions.count(netledger.ledger("resnet18"), "with-buffers")
>>> found.total, found.ours, [(term.cause, term.delta) for term in found.terms]
(11699112, 11689512, [('buffers (running statistics) are counted', 9600)])
"""

from __future__ import annotations

from collections.abc import Mapping

from netledger.conventions.convention import (
    ACTIVATIONS,
    BYTES,
    FLOPS,
    MACS,
    PARAMS,
    QUANTITIES,
    Charge,
    Convention,
    Count,
    Term,
)
from netledger.conventions.parameters import PARAMETERS, SIZES
from netledger.conventions.peers import fvcore, keras, ptflops, thop, torch, torchinfo
from netledger.conventions.work import WORK
from netledger.errors import UnknownName
from netledger.ledger import Ledger

PEERS = tuple(
    convention
    for tool in (torchinfo, fvcore, thop, ptflops, torch, keras)
    for convention in tool.CONVENTIONS
)
"""Those of other tools."""

CONVENTIONS: Mapping[str, Convention] = {c.name: c for c in (*PARAMETERS, *WORK, *SIZES, *PEERS)}
"""Every convention, by name."""


def count(ledger: Ledger, name: str) -> Count:
    """A network counted by the convention called `name`.

    Raises:
        UnknownName: If there is no such convention.
    """
    try:
        convention = CONVENTIONS[name]
    except KeyError:
        raise UnknownName("convention", name, CONVENTIONS) from None
    return convention.count(ledger)


__all__ = [
    "ACTIVATIONS",
    "BYTES",
    "CONVENTIONS",
    "FLOPS",
    "MACS",
    "PARAMS",
    "PEERS",
    "QUANTITIES",
    "Charge",
    "Convention",
    "Count",
    "Term",
    "count",
]
