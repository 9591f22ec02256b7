"""Why two networks differ: layer by layer, and with the cause of every difference.

>>> import netledger
>>> found = netledger.diff("alexnet", "alexnet-tf-benchmarks")
>>> [(cause.kind, cause.delta.params) for cause in found.counting]
[('width', -540096), ('classes', 4097)]
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netledger.diff.difference import Difference
    from netledger.graph import Graph
    from netledger.ledger import Ledger


def diff(
    a: Ledger | Graph | str | PathLike[str],
    b: Ledger | Graph | str | PathLike[str],
    inputs: Any = None,
) -> Difference:
    """What leads from the network `a` to the network `b`, with the cause of every difference.

    Args:
        a: A ledger, a graph, a zoo name or a path.
        b: The same.
        inputs: Other inputs than the networks' own, for both; see `netledger.read`.

    Raises:
        NetledgerError: If one of them cannot be read or a layer does not fit; says where and why.
    """
    from netledger.diff.difference import compare
    from netledger.infer import infer
    from netledger.ledger import Ledger
    from netledger.readers import read

    def ledger(source: Any) -> Ledger:
        if isinstance(source, Ledger):
            return source if inputs is None else infer(read(source.graph, inputs))
        return infer(read(source, inputs))

    return compare(ledger(a), ledger(b))


__all__ = ["diff"]
