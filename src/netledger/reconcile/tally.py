"""The count of an edited network without its books: a search asks for hundreds of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netledger.again import Known
from netledger.graph import BIAS, WEIGHT, Graph, Node, Shape
from netledger.ledger import Row
from netledger.ops.base import Op
from netledger.reconcile.claim import ACTIVATIONS, BYTES, FLOPS, MACS, PARAMS
from netledger.rules import Counted, Derived, Rules


class Answers:
    """What rules gave so far, by objects: edited networks are made of the same nearly everywhere.

    To see that objects are the same is faster than to see that they are equal. All are kept, so
    that no other one can take the place of one that is gone.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._equal: dict[Op, Op] = {}
        self._ops: dict[int, tuple[Op, Op]] = {}
        self._given: dict[tuple[int, ...], tuple[tuple[Shape, ...], Derived]] = {}

    def ask(self, node: Node, shapes: tuple[Shape, ...]) -> Derived:
        """What the rules of a layer give for inputs of some shapes.

        Raises:
            NetledgerError: If the layer does not fit its inputs.
        """
        op = node.op
        if id(op) not in self._ops:
            self._ops[id(op)] = op, self._equal.setdefault(op, op)
        key = (id(self._ops[id(op)][1]), len(node.outputs), *map(id, shapes))
        if key not in self._given:
            self._given[key] = shapes, self.rules.derive(op, shapes, node)
        return self._given[key][1]


class Trials:
    """What all networks of a search have in common.

    Attributes:
        known: What was derived last.
        answers: What rules gave so far.
        made: How many edited networks were derived.
    """

    def __init__(self) -> None:
        self.known = Known()
        self.answers = Answers(self.known.rules)
        self.made = 0


class Parts(NamedTuple):
    """What a count is made of.

    Attributes:
        nodes: The layers by name.
        shapes: The shape of each value.
        counts: What each layer adds to the count.
        stored: What each layer stores, if anything.
        kept: Whether that is what the network stored from which it was made.
    """

    nodes: Mapping[str, Node]
    shapes: Mapping[str, Shape]
    counts: Mapping[str, int]
    stored: Mapping[str, Counted]
    kept: bool = False


NOTHING = Parts({}, {}, {}, {})


def tally(before: Parts, graph: Graph, answers: Answers, quantity: str) -> Parts | None:
    """The count per sample of a network that differs little from another one.

    Only what has changed is asked for anew: layers, and those that take what is of another shape
    now. None where rules alone do not give it.

    Raises:
        NetledgerError: If a layer does not fit its input.
    """
    if quantity == BYTES or (graph.ties and quantity == PARAMS):
        return None
    shapes = {**before.shapes, **{name: t.shape for name, t in graph.inputs.items()}}
    other = {name for name in graph.inputs if shapes[name] != before.shapes.get(name)}
    counts: dict[str, int] = {}
    stored: dict[str, Counted] = {}
    for node in graph.nodes:
        name = node.name
        if before.nodes.get(name) is node and other.isdisjoint(node.inputs):
            counts[name] = before.counts[name]
            if name in before.stored:
                stored[name] = before.stored[name]
            continue
        op = node.op
        if op.silent or node.recorded is not None or op.unknown():
            return None
        derived = answers.ask(node, tuple([shapes[v] for v in node.inputs]))
        for value, shape in zip(node.outputs, derived.outputs, strict=False):
            if shape != before.shapes.get(value):
                other.add(value)
            shapes[value] = shape
        counted = _counted(derived, quantity)
        if type(counted) is not int:
            return None
        counts[name] = counted
        if derived.parameters:
            stored[name] = derived.parameters
    nodes = {node.name: node for node in graph.nodes}
    return Parts(nodes, shapes, counts, stored, stored == before.stored)


def _counted(derived: Derived, quantity: str) -> object:
    if quantity in (MACS, FLOPS):
        return derived.macs * (2 if quantity == FLOPS else 1)
    if quantity == PARAMS:
        return sum(n for p, n in derived.parameters if p.role in (WEIGHT, BIAS))
    learns = any(p.role == WEIGHT for p, _ in derived.parameters)
    return derived.elements if quantity == ACTIVATIONS or learns else 0


def of_row(row: Row, quantity: str) -> int:
    """What a layer adds to the count; nothing where that is unknown."""
    if quantity == BYTES:
        taken: int = row.sums.bytes
        return taken
    if quantity in (MACS, FLOPS):
        return (row.macs or 0) * (2 if quantity == FLOPS else 1)
    if quantity == PARAMS:
        return row.params or 0
    if quantity == ACTIVATIONS:
        return 0 if row.op is None else row.elements or 0
    return row.neurons or 0
