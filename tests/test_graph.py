"""The vocabulary: what a graph accepts, and how it is changed."""

from __future__ import annotations

import pytest

from netledger.errors import GraphError, UnknownName
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ops import Activation, Add, Conv, Inventory, Linear, Split

X = {"x": TensorType((BATCH, 8))}
FIRST, SECOND = Node("a", Linear(4), ("x",)), Node("b", Linear(2), ("a",))


def test_a_single_output_has_the_nodes_name() -> None:
    assert FIRST.outputs == ("a",)
    assert Node("s", Split(4), ("x",), ("s0", "s1")).outputs == ("s0", "s1")
    assert Node("m", Inventory([])).outputs == ()


def test_types_print_as_people_write_them() -> None:
    assert str(TensorType((BATCH, 55, 55, 96))) == "float32[N, 55, 55, 96]"
    assert str(TensorType((symbol("H") - 1,), "int64")) == "int64[H − 1]"


@pytest.mark.parametrize(
    ("nodes", "outputs", "fact", "hint"),
    [
        ((FIRST, FIRST), (), "two layers are called 'a'", ""),
        ((Node("x", Linear(4), ("x",)),), (), "two layers are called 'x'", ""),
        (
            (SECOND, FIRST),
            (),
            "takes 'a', which is made only later",
            "list it after that layer",
        ),
        (
            (Node("conv1", Linear(4), ("x",)), Node("b", Linear(2), ("conv11",))),
            (),
            "takes 'conv11', which no layer makes",
            "did you mean 'conv1'?",
        ),
        ((FIRST,), ("y",), "the output 'y' is not made by any layer", ""),
    ],
)
def test_what_is_no_graph(
    nodes: tuple[Node, ...], outputs: tuple[str, ...], fact: str, hint: str
) -> None:
    with pytest.raises(GraphError) as caught:
        Graph("g", X, nodes, outputs)
    assert (caught.value.fact, caught.value.hint) == (fact, hint)


def test_nodes_are_found_by_name() -> None:
    graph = Graph("g", X, (FIRST, SECOND))
    assert graph.node("b") is SECOND
    with pytest.raises(UnknownName) as caught:
        graph.node("z")
    assert caught.value.fact == "unknown layer 'z'"


def test_other_inputs() -> None:
    graph = Graph("g", X, (FIRST, SECOND))
    wide = graph.with_inputs({"x": TensorType((BATCH, 100))})
    assert infer(wide).totals.params == 100 * 4 + 4 + 4 * 2 + 2
    assert infer(graph).totals.params == 8 * 4 + 4 + 4 * 2 + 2
    with pytest.raises(UnknownName) as caught:
        graph.with_inputs({"y": TensorType((BATCH, 100))})
    assert caught.value.fact == "unknown input 'y'"


def test_other_fields() -> None:
    graph = Graph("g", X, (FIRST, SECOND))
    wide = graph.with_fields("a", out_features=10, bias=False)
    assert infer(wide).totals.params == 8 * 10 + 10 * 2 + 2
    assert wide.node("a").op == Linear(10, False) and graph.node("a").op == Linear(4)
    with pytest.raises(UnknownName) as caught:
        graph.with_fields("a", out_feature=10)
    assert caught.value.hint == "did you mean 'out_features'?"


def test_a_failure_says_where_and_keeps_the_ledger_so_far() -> None:
    nodes = (
        Node("up", Conv(32, 3, padding=1), ("m",), source="net.yaml:7"),
        Node("relu", Activation(), ("up",)),
        Node("bad", Conv(32, 3, groups=3), ("relu",), source="net.yaml:9"),
        Node("never", Add(), ("bad", "bad")),
    )
    graph = Graph("g", {"m": TensorType((BATCH, 56, 56, 3))}, nodes)
    with pytest.raises(Exception) as caught:
        infer(graph)
    assert str(caught.value).splitlines() == [
        "ShapeError: bad (Conv): in_channels=32 is not divisible by groups=3",
        "  input   relu: float32[N, 56, 56, 32]",
        "  source  net.yaml:9",
        "  hint    groups must divide 32",
    ]
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert [row.name for row in partial.ops] == ["m", "up", "relu"]
    assert partial.failed == "bad" and partial.totals.params == 32 * 28


def test_modules_that_share_a_list_may_be_frozen_one_by_one() -> None:
    listed = Inventory([["weight", "weight", [3, 4], "float32", None]])
    nodes = (Node("a", listed), Node("b", listed, trainable=False))
    totals = infer(Graph("net", {}, nodes, ())).totals
    assert (totals.params, totals.trainable, totals.frozen) == (24, 12, 12)
