"""Writing networks in Python."""

from __future__ import annotations

import pytest

from netledger.builder import Network
from netledger.errors import GraphError
from netledger.graph import BATCH
from netledger.infer import infer
from netledger.ops import (
    Activation,
    Add,
    BatchNorm,
    Conv,
    Embedding,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Tensor,
)


def test_layers_follow_one_another() -> None:
    net = Network("two", (8,))
    net.chain(Linear(4), Activation(), Linear(2))
    graph = net.graph()
    assert [(n.name, n.inputs) for n in graph.nodes] == [
        ("linear", ("input",)),
        ("relu", ("linear",)),
        ("linear_2", ("relu",)),
    ]
    assert graph.outputs == ("linear_2",)
    assert graph.inputs["input"].shape == (BATCH, 8)


def test_branches_name_their_inputs() -> None:
    net = Network("branch", (8, 8, 3))
    stem = net(Conv(4, 3, padding=1), name="stem")
    left = net(Conv(4, 1), stem, name="left")
    right = net(Conv(4, 3, padding=1), stem, name="right")
    net(Add(), left, right, name="sum")
    ledger = infer(net.graph(left, "sum"))
    assert ledger.graph.outputs == ("left", "sum")
    assert ledger.totals.params == (27 * 4 + 4) + (4 * 4 + 4) + (36 * 4 + 4)


def test_blocks_repeat_in_scopes_of_their_own() -> None:
    net = Network("blocks", (16, 16, 3))
    for i in (1, 2):
        with net.scope(f"block{i}"):
            net(Conv(4, 3, padding=1, bias=False), name="conv")
            with net.scope("norm"):
                net(BatchNorm(), name="bn")
    net(GlobalAvgPool(), name="pool")
    names = [node.name for node in net.graph().nodes]
    assert names == ["block1.conv", "block1.norm.bn", "block2.conv", "block2.norm.bn", "pool"]
    assert net.graph().node("block2.norm.bn").scope == "block2.norm"
    assert net.scope_name == ""


def test_a_scope_ends_even_if_something_fails_inside() -> None:
    net = Network("scopes", (8,))
    with pytest.raises(ZeroDivisionError), net.scope("inner"):
        raise ZeroDivisionError
    assert net.scope_name == ""


def test_the_layout_is_said_once() -> None:
    net = Network("chw", (3, 16, 16), channels_last=False)
    net.chain(Conv(4, 3), MaxPool(2))
    assert [row.outputs[0].shape[1:] for row in infer(net.graph()).ops[1:]] == [
        (4, 14, 14),
        (4, 7, 7),
    ]


def test_what_is_shared_counts_once() -> None:
    net = Network("tied", (5,), dtype="int64")
    net(Embedding(100, 16), name="embed")
    net(Linear(100, bias=False), name="head")
    net.tie(("embed", "weight"), ("head", "weight"))
    ledger = infer(net.graph())
    assert ledger.totals.params == 1600
    assert ledger.row("head").parameters[0].tied_to == "embed/weight"


def test_frozen_layers_and_several_inputs() -> None:
    net = Network("inputs", {"a": (4,), "b": (4,)})
    net(Add(), "a", "b")
    net(Linear(3), trainable=False, name="frozen")
    net(Linear(2), name="free")
    totals = infer(net.graph()).totals
    assert (totals.frozen, totals.trainable) == (15, 8)


def test_a_bare_tensor_needs_no_input() -> None:
    net = Network("token", (4, 8))
    net(Tensor((1, 1, 8)), name="token")
    assert net.graph().node("token").inputs == ()


def test_a_name_is_given_once() -> None:
    net = Network("twice", (8,))
    net(Linear(4), name="fc")
    net(Linear(4), name="fc")
    with pytest.raises(GraphError, match="two layers are called 'fc'"):
        net.graph()
