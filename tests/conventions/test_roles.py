"""Which layers are classifiers, auxiliary heads, embeddings."""

from __future__ import annotations

import netledger
from netledger import conventions
from netledger.builder import Network
from netledger.conventions.roles import aux_heads, embeddings, heads, position_embeddings
from netledger.graph import Graph
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import Add, Constant, Embedding, Linear, Softmax, Tensor


def language_model(tied: bool = False) -> Ledger:
    net = Network("words", (12,), dtype="int64")
    tokens = net(Embedding(500, 32), name="wte")
    positions = net(Embedding(64, 32), net(Constant((1, 12), "int64"), name="steps"), name="p")
    net(Add(), tokens, positions, name="sum")
    net(Linear(32), name="inner")
    net(Linear(500, bias=False), name="lm_head")
    net(Softmax(), name="probabilities")
    graph = net.graph()
    if tied:
        ties = ((("wte", "weight"), ("lm_head", "weight")),)
        graph = Graph(graph.name, graph.inputs, graph.nodes, graph.outputs, ties)
    return infer(graph)


def test_the_classifier_is_the_last_layer_with_weights() -> None:
    assert heads(netledger.ledger("alexnet")) == {"FC-3"}
    assert heads(netledger.ledger("resnet18")) == {"fc"}
    assert heads(language_model()) == {"lm_head"}


def test_classifiers_that_are_added_up_are_both_heads() -> None:
    net = Network("sum", (8,))
    trunk = net(Linear(8), name="trunk")
    low, high = net(Linear(3), trunk, name="low"), net(Linear(3), trunk, name="high")
    net(Add(), low, high, name="sum")
    net(Softmax(), name="probabilities")
    assert heads(infer(net.graph())) == {"low", "high"}


def test_auxiliary_heads_lead_to_a_lesser_output() -> None:
    found = aux_heads(netledger.ledger("googlenet-aux"))
    assert found and all("aux" in name for name in found)
    assert aux_heads(netledger.ledger("googlenet")) == frozenset()
    count = conventions.count(netledger.ledger("googlenet-aux"), "no-aux-heads")
    assert count.total == netledger.ledger("googlenet").totals.params


def test_auxiliary_heads_need_no_name() -> None:
    net = Network("two", (8,))
    trunk = net(Linear(8), name="trunk")
    side = net(Linear(3), name="side")
    net(Linear(8), trunk, name="more")
    main = net(Linear(3), name="main")
    assert aux_heads(infer(net.graph(side, main))) == {"side"}


def test_two_outputs_of_different_kinds_are_no_auxiliary_heads() -> None:
    net = Network("boxes and classes", (8,))
    trunk = net(Linear(8), name="trunk")
    boxes = net(Linear(4), trunk, name="boxes")
    classes = net(Linear(9), trunk, name="classes")
    assert aux_heads(infer(net.graph(boxes, classes))) == frozenset()


def test_embeddings() -> None:
    assert embeddings(language_model()) == {"wte", "p"}
    assert position_embeddings(language_model()) == {"p"}
    ours = language_model().totals.params
    assert conventions.count(language_model(), "no-embeddings").total == ours - 564 * 32


def test_a_tied_classifier_goes_with_the_embeddings() -> None:
    ledger = language_model(tied=True)
    assert conventions.count(ledger, "no-embeddings").total == 32 * 32 + 32


def test_a_tensor_of_positions() -> None:
    net = Network("patches", (9, 16))
    x = net(Linear(16), name="patch_embedding")
    positions = net(Tensor((1, 9, 16)), name="pos_embed")
    net(Add(), x, positions, name="sum")
    assert position_embeddings(infer(net.graph())) == {"pos_embed"}
