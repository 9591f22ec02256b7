"""The rules give the same in the page as in Python: every operation, every printed derivation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

import netledger
from netledger import Graph, Ledger
from netledger.explain import explain
from netledger.formula import symbol
from netledger.graph import TensorType
from netledger.infer import infer
from netledger.ops import OPERATIONS
from netledger.render.html import page
from netledger.render.html.data import encode_graph

TRIES, KEPT = 2000, 30


def told(ledger: Ledger, bare: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "rows": bare([row.to_dict() for row in ledger.ops]),
        "totals": bare(ledger.totals.to_dict()),
        "error": None,
        "derivations": [
            [[d.text(), d.mathml()] for d in explain(ledger, row.name)[0].derivations]
            for row in ledger.ops
        ],
    }


@pytest.fixture(scope="module")
def any_page() -> str:
    return page(netledger.ledger("lenet5"))


def test_every_operation_gives_the_same(
    any_page: str,
    open_page: Callable[..., Any],
    any_layers: Callable[..., Iterator[Ledger]],
    bare: Callable[[Any], Any],
) -> None:
    cases = [ledger for op in OPERATIONS for ledger in islice(any_layers(op, TRIES), KEPT)]
    missed = set(OPERATIONS) - {type(case.graph.nodes[0].op) for case in cases}
    assert len(missed) <= 2, missed  # chance hardly ever makes inputs that fit these
    found = open_page(any_page).run(
        "(graphs) => graphs.map((g) => netledger.derive(g))",
        [encode_graph(case.graph) for case in cases],
    )
    for case, said in zip(cases, found, strict=True):
        assert said == told(case, bare), case.graph.nodes[0].op


@pytest.mark.parametrize("name", ["alexnet-2012", "googlenet", "resnet18"])
def test_symbols_print_the_same(
    any_page: str, open_page: Callable[..., Any], bare: Callable[[Any], Any], name: str
) -> None:
    graph = netledger.read(name)
    inputs = {
        key: TensorType((t.shape[0], symbol("H"), symbol("W"), t.shape[-1]))
        for key, t in graph.inputs.items()
    }
    graph = _open(graph.with_inputs(inputs))
    found = open_page(any_page).run("(g) => netledger.derive(g)", encode_graph(graph))
    assert found == told(infer(graph), bare)


def _open(graph: Graph) -> Graph:
    """The part of a network that any size of input fits."""
    last = next(i for i, node in enumerate(graph.nodes) if node.op.kind == "Linear")
    nodes = graph.nodes[: last - 1]
    return Graph(graph.name, graph.inputs, nodes, (nodes[-1].name,))
