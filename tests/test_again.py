"""Ledgers out of what is known already are those that `infer` derives."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from netledger import Graph, Ledger, NetledgerError, zoo
from netledger.again import Known
from netledger.edits import Edit, Insert, Remove, SetField, SetInput, SetTrainable, Tie, apply
from netledger.graph import Recorded, TensorType
from netledger.infer import infer
from netledger.ops import BatchNorm, Conv


def edits(graph: Graph, rng: random.Random) -> list[Edit]:
    """A few changes, of which some make layers that do not fit."""
    found: list[Edit] = []
    for node in rng.sample(graph.nodes, 2):
        match node.op:
            case Conv(out_channels=channels):
                found.append(SetField(node.name, "out_channels", channels + rng.choice((0, 8))))
            case _ if node.op.kind == "ReLU":
                found.append(Remove(node.name))
            case _:
                found.append(SetTrainable(node.name, rng.random() < 0.5))
    if rng.random() < 0.3:
        found.append(Insert("new", BatchNorm(), rng.choice(graph.nodes).outputs[:1]))
    if rng.random() < 0.2:
        convolutions = [node.name for node in graph.nodes if isinstance(node.op, Conv)]
        found.append(SetField(rng.choice(convolutions), "groups", 7))
    if rng.random() < 0.2:
        (name, t), *_ = graph.inputs.items()
        found.append(SetInput(name, TensorType((t.shape[0], 64, 64, t.shape[-1]))))
    return found


def outcome(write: object) -> tuple[Ledger | None, str]:
    try:
        return write(), ""  # type: ignore[operator]
    except NetledgerError as error:
        return error.partial, str(error)


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18"])
def test_after_any_edits_the_ledger_is_infers(name: str) -> None:
    graph, known, rng = zoo.load(name), Known(), random.Random(name)
    failed = 0
    for _ in range(40):
        changed = apply(graph, *edits(graph, rng))
        batch = rng.choice((None, None, 4))
        ours, said = outcome(lambda g=changed, b=batch: known.ledger(g, batch=b))
        theirs, expected = outcome(lambda g=changed, b=batch: infer(g, batch=b))
        assert (ours, said) == (theirs, expected)
        failed += bool(said)
    assert 0 < failed < 40


def test_what_has_not_changed_is_the_same_object() -> None:
    graph, known = zoo.load("resnet18"), Known()
    before = known.ledger(graph)
    after = known.ledger(apply(graph, SetField("layer2.0.conv1", "bias", True)))
    fresh = [a.name for a, b in zip(after.ops, before.ops, strict=True) if a is not b]
    assert fresh == ["layer2.0.conv1"]


def test_ties_are_seen() -> None:
    graph, known = zoo.load("alexnet"), Known()
    known.ledger(graph)
    tied = apply(graph, SetField("FC-3", "out_features", 4096), Tie(_weights("FC-2", "FC-3")))
    assert known.ledger(tied) == infer(tied)
    assert known.ledger(graph) == infer(graph)


def _weights(*rows: str) -> tuple[tuple[str, str], ...]:
    return tuple((row, "weight") for row in rows)


def test_a_finding_is_told_each_time() -> None:
    graph = zoo.load("lenet5")
    node = replace(graph.nodes[0], recorded=Recorded((TensorType((1, 2, 3)),)))
    odd = replace(graph, nodes=(node,), outputs=node.outputs, _by_name={})
    known = Known()
    first, second = known.ledger(odd), known.ledger(odd)
    assert [f.code for f in first.findings] == ["NL001"]
    assert first.findings == second.findings
