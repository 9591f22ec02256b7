"""Conventions of ours: their numbers, their causes, what they do with unknowns and symbols."""

from __future__ import annotations

import pytest

import netledger
from netledger import conventions
from netledger.builder import Network
from netledger.conventions import CONVENTIONS, PEERS, QUANTITIES
from netledger.errors import UnknownName
from netledger.formula import substitute
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import LSTM, AvgPool, Conv, Linear, MultiHeadAttention, Scale
from netledger.zoo import NETWORKS


def lenet_1998() -> Ledger:
    """The first two layers of LeNet-5 as in 1998; its C3 is sparse, which no one layer is."""
    net = Network("LeNet-5, C1 and S2", (32, 32, 1))
    net(Conv(6, 5), name="C1")
    net(AvgPool(2), name="S2")
    net(Scale(-1), name="S2 coefficients")
    return infer(net.graph())


def total(ledger: Ledger, name: str) -> int:
    return conventions.count(ledger, name).total


@pytest.mark.parametrize("network", ["alexnet", "googlenet-aux", "resnet18", "lenet5"])
def test_conventions_that_are_totals_of_the_ledger(network: str) -> None:
    ledger = netledger.ledger(network)
    t = ledger.totals
    assert total(ledger, "params") == t.params
    assert total(ledger, "trainable") == t.trainable
    assert total(ledger, "weights") == t.weights
    assert total(ledger, "with-buffers") == t.params + t.buffers
    assert total(ledger, "macs") == t.macs
    assert total(ledger, "flops") == 2 * t.macs
    assert total(ledger, "neurons") == t.neurons
    assert total(ledger, "activations") == t.activations
    assert total(ledger, "bytes") == total(ledger, "float32") == 4 * (t.params + t.buffers)
    assert total(ledger, "int8") == t.params + t.buffers


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_causes_add_up(network: str) -> None:
    ledger = netledger.ledger(network)
    names = {row.name for row in ledger.ops}
    for name in CONVENTIONS:
        count = conventions.count(ledger, name)
        deltas = [delta for term in count.terms for _, delta in term.rows]
        assert count.total == count.ours + sum(deltas)
        assert {row for term in count.terms for row, _ in term.rows} <= names
        assert all(term.delta != 0 or len(term.rows) > 1 for term in count.terms)


def test_every_convention_says_what_it_is() -> None:
    for name, convention in CONVENTIONS.items():
        assert convention.name == name
        assert convention.quantity in QUANTITIES
        assert convention.text and not convention.text.endswith(".")
        assert bool(convention.tool) == (convention in PEERS)


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="flop"):
        conventions.count(netledger.ledger("lenet5"), "flop")


def test_connections_of_lenet() -> None:
    # LeCun et al. (1998), section II.B: C1 has 122,304 connections, S2 has 5,880.
    count = conventions.count(lenet_1998(), "connections")
    assert count.total == 122_304 + 5_880


def test_biases_are_added_at_every_position() -> None:
    # AlexNet: one for each neuron of a layer with biases, which are all of its 659,272.
    count = conventions.count(netledger.ledger("alexnet"), "macs-with-biases")
    assert [(term.cause, term.delta) for term in count.terms] == [("biases are added", 659_272)]


def test_biases_of_recurrent_layers_and_attention() -> None:
    net = Network("sequence", (10, 32))
    net(LSTM(16), name="lstm")
    net(MultiHeadAttention(4), name="attention")
    rows = dict(conventions.count(infer(net.graph()), "macs-with-biases").terms[0].rows)
    assert rows == {"lstm": 10 * 2 * 4 * 16, "attention": 10 * 4 * 16}


def test_xla_skips_padding() -> None:
    # One 3×3 convolution on 4×4 with a border: (2 + 3 + 3 + 2)² of 4² × 3² taps.
    net = Network("one", (4, 4, 1))
    net(Conv(1, 3, padding=1), name="conv")
    ledger = infer(net.graph())
    assert total(ledger, "macs-without-padding") == 100
    assert total(ledger, "flops-without-padding") == 200


def test_a_batch_multiplies_work_and_no_parameters() -> None:
    graph = netledger.read("lenet5")
    one, eight = infer(graph), infer(graph, batch=8)
    for name in ("params", "thop-params", "bytes"):
        assert total(eight, name) == total(one, name)
    for name in ("macs-with-biases", "macs-with-elementwise", "connections", "fvcore", "torch"):
        assert total(eight, name) == 8 * total(one, name)


def test_symbols_stay_symbols() -> None:
    symbols, numbers = netledger.ledger("vgg16", "HxWx3"), netledger.ledger("vgg16")
    without = {"macs-without-padding", "flops-without-padding"}  # that depends on the numbers
    for name in CONVENTIONS:
        found = conventions.count(symbols, name)
        assert bool(found.unknown) == (name in without)
        if name not in without:
            value = substitute(found.total, {"H": 224, "W": 224})
            assert value == total(numbers, name), name


def test_int4_rounds_up_tensor_by_tensor() -> None:
    net = Network("odd", (3,))
    net(Linear(5), name="layer")  # 15 weights: 8 bytes; 5 biases: 3 bytes
    assert total(infer(net.graph()), "int4") == 11
