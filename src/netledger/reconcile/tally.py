"""The count of an edited network without its books: a search asks for hundreds of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from netledger.again import Known
from netledger.graph import BIAS, WEIGHT, Graph, Shape
from netledger.reconcile.claim import ACTIVATIONS, BYTES, FLOPS, MACS, PARAMS
from netledger.rules import Derived, Rules


@dataclass
class Trials:
    """What all networks of a search have in common.

    Attributes:
        known: What was derived so far.
        made: How many edited networks were derived.
    """

    known: Known = field(default_factory=Known)
    made: int = 0


def tally(graph: Graph, rules: Rules, quantity: str) -> int | None:
    """The count per sample; None where rules alone do not give it.

    Raises:
        NetledgerError: If a layer does not fit its input.
    """
    if graph.ties or quantity == BYTES:
        return None
    shapes: dict[str, Shape] = {name: t.shape for name, t in graph.inputs.items()}
    total = 0
    for node in graph.nodes:
        op = node.op
        if op.silent or node.recorded is not None or op.unknown():
            return None
        derived = rules.derive(op, tuple([shapes[v] for v in node.inputs]), node)
        shapes.update(zip(node.outputs, derived.outputs, strict=False))
        counted = _counted(derived, quantity)
        if type(counted) is not int:
            return None
        total += counted
    return total


def _counted(derived: Derived, quantity: str) -> object:
    if quantity in (MACS, FLOPS):
        return derived.macs * (2 if quantity == FLOPS else 1)
    if quantity == PARAMS:
        return sum(n for p, n in derived.parameters if p.role in (WEIGHT, BIAS))
    learns = any(p.role == WEIGHT for p, _ in derived.parameters)
    return derived.elements if quantity == ACTIVATIONS or learns else 0
