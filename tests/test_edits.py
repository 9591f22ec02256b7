"""Edits: each changes one thing, and leaves the graph it is applied to as it is."""

from __future__ import annotations

import pytest

from netledger import zoo
from netledger.builder import Network
from netledger.edits import (
    Edit,
    Insert,
    Remove,
    Rewire,
    SetField,
    SetInput,
    SetOp,
    SetTrainable,
    Tie,
    Untie,
    apply,
)
from netledger.errors import GraphError, UnknownName, UsageError
from netledger.graph import BATCH, Graph, TensorType
from netledger.infer import infer
from netledger.ops import Activation, Add, Conv, Dropout, Embedding, Flatten, Linear, MaxPool


def params(graph: Graph) -> int:
    return infer(graph).totals.params


def small() -> Graph:
    net = Network("small", (8, 8, 3))
    x = net(Conv(4, 3, padding=1), name="one")
    y = net(Conv(4, 3, padding=1), name="two")
    net(Add(), x, y, name="sum")
    net(Activation("relu"), name="relu")
    net(Flatten(), name="flat")
    net(Linear(10), name="fc")
    return net.graph()


def test_the_two_edits_of_the_keras_listing() -> None:
    graph = zoo.load("alexnet-keras-noflatten")
    pool = Insert("MaxPool-3", MaxPool(3, stride=2), ("relu_5",))
    flatten = Insert("flatten", Flatten(), ("MaxPool-3",))
    assert params(apply(graph, pool)) == 25_678_184
    assert params(apply(graph, pool, flatten)) == 62_378_344
    alone = Insert("flatten", Flatten(), ("relu_5",))
    assert params(apply(graph, alone)) == 201_838_952
    assert params(graph) == 25_678_184


def test_set_field() -> None:
    assert params(apply(small(), SetField("fc", "bias", False))) == params(small()) - 10


def test_set_op() -> None:
    changed = apply(small(), SetOp("one", Conv(4, 1)))
    assert params(changed) == params(small()) - (9 - 1) * 3 * 4


def test_set_input() -> None:
    larger = apply(small(), SetInput("input", TensorType((BATCH, 16, 16, 3))))
    assert params(larger) == params(small()) + (256 - 64) * 4 * 10


def test_an_inserted_layer_feeds_all_that_took_its_input() -> None:
    changed = apply(small(), Insert("drop", Dropout(), ("one",)))
    assert changed.node("two").inputs == ("drop",)
    assert changed.node("sum").inputs == ("drop", "two")
    names = [node.name for node in changed.nodes]
    assert names.index("one") < names.index("drop") < names.index("two")


def test_an_inserted_layer_feeds_only_what_it_is_told_to() -> None:
    changed = apply(small(), Insert("drop", Dropout(), ("one",), feeds=(("sum", 0),)))
    assert changed.node("two").inputs == ("one",)
    assert changed.node("sum").inputs == ("drop", "two")


def test_a_layer_inserted_at_the_end_is_the_output() -> None:
    assert apply(small(), Insert("last", Activation("tanh"), ("fc",))).outputs == ("last",)


def test_a_removed_layer_hands_its_input_on() -> None:
    changed = apply(small(), Remove("two"))
    assert changed.node("sum").inputs == ("one", "one")
    assert params(changed) == params(small()) - (9 * 4 * 4 + 4)
    assert apply(small(), Remove("fc")).outputs == ("flat",)


def test_rewire() -> None:
    changed = apply(small(), Rewire("relu", ("two",)))
    assert changed.node("relu").inputs == ("two",)


def test_a_graph_that_feeds_itself_is_refused() -> None:
    with pytest.raises(GraphError, match="feeds itself"):
        apply(small(), Rewire("one", ("relu",)))


def test_set_trainable() -> None:
    totals = infer(apply(small(), SetTrainable("fc", False))).totals
    assert totals.frozen == 8 * 8 * 4 * 10 + 10
    assert totals.params == params(small())


def test_tie_and_untie() -> None:
    net = Network("tied", {"tokens": (6,)}, dtype="int64")
    net(Embedding(50, 8), name="embed")
    net(Linear(50, bias=False), name="head")
    graph = net.graph()
    shared = (("embed", "weight"), ("head", "weight"))
    tied = apply(graph, Tie(shared))
    assert (params(graph), params(tied)) == (800, 400)
    assert params(apply(tied, Untie(shared))) == 800
    assert apply(tied, Remove("head")).ties == ()


@pytest.mark.parametrize(
    ("edit", "kind", "text"),
    [
        (SetField("Conv-2", "groups", 2), "groups", "Conv-2: groups 2"),
        (SetField("fc", "out_features", 10), "width", "fc: out features 10"),
        (SetField("lrn", "size", 3), "operation", "lrn: size 3"),
        (SetOp("pool", MaxPool(2)), "pooling", "pool: MaxPool"),
        (Insert("flat", Flatten(), ("x",)), "flatten", "flat (Flatten) inserted after x"),
        (Insert("conv", Conv(8, 3), ("x",)), "depth", "conv (Conv) inserted after x"),
        (Remove("conv"), "depth", "conv removed"),
        (Remove("drop", Dropout()), "operation", "drop removed"),
        (Rewire("sum", ("a", "b")), "wiring", "sum takes a, b"),
        (SetTrainable("fc", False), "frozen", "fc: frozen"),
        (Tie((("a", "w"), ("b", "w"))), "tied-embedding", "a.w is b.w"),
        (Untie((("a", "w"), ("b", "w"))), "tied-embedding", "a.w and b.w are not shared"),
        (
            SetInput("x", TensorType((BATCH, 224, 224, 3))),
            "input-size",
            "x: [N, 224, 224, 3]",
        ),
    ],
)
def test_kinds_and_words(edit: Edit, kind: str, text: str) -> None:
    assert (edit.kind, edit.describe()) == (kind, text)


@pytest.mark.parametrize(
    ("edit", "error", "said"),
    [
        (SetField("on", "bias", False), UnknownName, "on"),
        (SetField("one", "group", 2), UnknownName, "group"),
        (Remove("three"), UnknownName, "three"),
        (Insert("one", Flatten(), ("relu",)), UsageError, "called 'one' already"),
        (Insert("new", Flatten(), ("one",), (("fc", 3),)), UsageError, "no input 3"),
        (Insert("new", Flatten(), ("nothing",)), GraphError, "no layer makes"),
    ],
)
def test_what_does_not_exist_is_refused(edit: Edit, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        apply(small(), edit)
