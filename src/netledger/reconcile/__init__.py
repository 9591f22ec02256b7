"""Why a network's count is not a claimed one: the causes that lead from the one to the other.

>>> import netledger
>>> found = netledger.reconcile("alexnet", "60M")
>>> [(cause.kind, cause.rows, cause.delta) for cause in found.explanations[0].causes]
[('groups', ('Conv-2', 'Conv-4', 'Conv-5'), -1413120)]
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netledger.graph import Graph
    from netledger.ledger import Ledger
    from netledger.reconcile.proposal import Reconciliation

SECONDS = 8.0
"""How long a search may take."""


def reconcile(
    model: Ledger | Graph | str | PathLike[str],
    claim: int | str,
    inputs: Any = None,
    *,
    quantity: str | None = None,
    seconds: float = SECONDS,
) -> Reconciliation:
    """The most plausible causes that lead from a network's count to a claimed one.

    Args:
        model: A ledger, a graph, a zoo name, a path, or what names a live model.
        claim: An exact count (``62_378_344``, ``"62,378,344"``) or a rounded one (``"60M"``,
            ``"4.1 GFLOPs"``, ``"4.1G:macs"``, ``"528 MB"``).
        inputs: Other inputs than the model's own; see `netledger.read`.
        quantity: What is claimed (``params``, ``macs``, ``flops``, ``bytes``, ``neurons``,
            ``activations``), if the claim does not say so; by default ``params``.
        seconds: How long to search at most.

    Returns:
        The explanations, most plausible first; none if nothing that is known leads there.

    Raises:
        NetledgerError: If the model or the claim cannot be read; says where and why.
    """
    from netledger.garbage import no_garbage
    from netledger.graph import Graph
    from netledger.infer import infer
    from netledger.ledger import Ledger
    from netledger.readers import read
    from netledger.reconcile.answer import answer
    from netledger.reconcile.claim import parse_claim

    stated = parse_claim(claim, quantity)
    if isinstance(model, Ledger):
        ledger = model if inputs is None else infer(read(model.graph, inputs))
    else:
        ledger = infer(read(model, inputs))
    with no_garbage():
        if isinstance(model, Ledger | Graph):
            return answer(ledger, stated, seconds)
        return answer(ledger, stated, seconds, lambda shape: infer(read(model, shape)))


__all__ = ["reconcile"]
