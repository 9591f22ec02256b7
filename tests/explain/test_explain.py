"""Derivations: the sources' own formulas, and numbers that re-evaluate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import netledger
from netledger.builder import Network
from netledger.errors import UnknownName
from netledger.explain import add_up, explain
from netledger.graph import Node, Shape, TensorType
from netledger.infer import infer
from netledger.ops import (
    LSTM,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    DepthwiseConv,
    Embedding,
    Flatten,
    Linear,
    MultiHeadAttention,
    Op,
)
from netledger.ops.base import operation
from netledger.ops.fields import integer
from netledger.render.explanation import write


@pytest.fixture(scope="module")
def alexnet() -> netledger.Ledger:
    return netledger.ledger("alexnet")


def texts(ledger: netledger.Ledger, row: str) -> dict[str, str]:
    (explanation,) = explain(ledger, row)
    return {d.quantity: d.text() for d in explanation.derivations}


# The formulas of "Number of Parameters and Tensor Sizes in a Convolutional Neural Network"
# (learnopencv.com, S. Mallick), with the numbers put in, for every layer that the text works out.
BLOG = [
    ("Conv-1", "size", "O = (I − K + 2P)/S + 1 = (227 − 11 + 2×0)/4 + 1 = 55"),
    ("MaxPool-1", "size", "O = (I − P_s)/S + 1 = (55 − 3)/2 + 1 = 27"),
    ("Conv-1", "weights", "W = K² × C × N = 11² × 3 × 96 = 34,848"),
    ("Conv-1", "biases", "B = N = 96"),
    ("Conv-1", "params", "P = W + B = 34,848 + 96 = 34,944"),
    ("FC-1", "weights", "W = O² × N × F = 6² × 256 × 4,096 = 37,748,736"),
    ("FC-1", "biases", "B = F = 4,096"),
    ("FC-1", "params", "P = W + B = 37,748,736 + 4,096 = 37,752,832"),
    ("FC-3", "weights", "W = F₋₁ × F = 4,096 × 1,000 = 4,096,000"),
    ("FC-3", "biases", "B = F = 1,000"),
    ("FC-3", "params", "P = W + B = 4,096,000 + 1,000 = 4,097,000"),
    ("FC-2", "params", "P = W + B = 16,777,216 + 4,096 = 16,781,312"),
    ("Conv-2", "size", "O = (I − K + 2P)/S + 1 = (27 − 5 + 2×2)/1 + 1 = 27"),
    ("MaxPool-2", "size", "O = (I − P_s)/S + 1 = (27 − 3)/2 + 1 = 13"),
    ("Conv-3", "size", "O = (I − K + 2P)/S + 1 = (13 − 3 + 2×1)/1 + 1 = 13"),
    ("Conv-5", "size", "O = (I − K + 2P)/S + 1 = (13 − 3 + 2×1)/1 + 1 = 13"),
    ("MaxPool-3", "size", "O = (I − P_s)/S + 1 = (13 − 3)/2 + 1 = 6"),
]


@pytest.mark.parametrize(("row", "quantity", "text"), BLOG)
def test_the_blogs_formulas(alexnet: netledger.Ledger, row: str, quantity: str, text: str) -> None:
    assert texts(alexnet, row)[quantity] == text


# "How to calculate the number of parameters of AlexNet?" (stackoverflow.com): every line of it.
QUESTION = [
    ("Conv-1", "(11*11)*3*96 + 96", 34944),
    ("Conv-2", "(5*5)*96*256 + 256", 614656),
    ("Conv-3", "(3*3)*256*384 + 384", 885120),
    ("Conv-4", "(3*3)*384*384 + 384", 1327488),
    ("Conv-5", "(3*3)*384*256 + 256", 884992),
    ("FC-1", "(6*6)*256*4096 + 4096", 37752832),
    ("FC-2", "4096*4096 + 4096", 16781312),
    ("FC-3", "4096*1000 + 1000", 4097000),
]


def test_the_questions_calculation(alexnet: netledger.Ledger) -> None:
    params, _ = add_up(alexnet)
    ours = [
        (
            name,
            how.replace("11²", "(11*11)")
            .replace("5²", "(5*5)")
            .replace("3²", "(3*3)")
            .replace("6²", "(6*6)")
            .replace("×", "*")
            .replace(",", ""),
            value,
        )
        for name, how, value in params.terms
    ]
    assert ours == QUESTION
    assert params.value == 62378344


def test_grouped_convolution_of_the_paper() -> None:
    found = texts(netledger.ledger("alexnet-2012"), "Conv-2")
    assert found["weights"] == "W = K² × (C/G) × N = 5² × (96/2) × 256 = 307,200"


def test_a_rounded_size_says_so() -> None:
    (e,) = explain(netledger.ledger("alexnet", "224x224x3"), "Conv-1")
    (size,) = (d for d in e.derivations if d.quantity == "size")
    assert size.text() == "O = ⌊(I − K + 2P)/S⌋ + 1 = ⌊(224 − 11 + 2×0)/4⌋ + 1 = 54"
    assert size.note == "54.25, rounded down"


@operation
class Patches(Op):
    """Windows of two maps' axes, counted: a product of two rounded numbers."""

    size: int = integer("side of a patch", "K")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, height, width, _ = inputs[0]
        return ((batch, (height // self.size) * (width // self.size) + 1),)

    def axes(self, *inputs: Shape) -> Any:
        return (("", "I", "I", "C"),), (("", "O"),)


def test_a_product_of_rounded_sizes_has_no_remainder_to_tell() -> None:
    net = Network("patches", (7, 9, 1))
    net(Patches(2), name="patches")
    (e,) = explain(infer(net.graph()), "patches")
    (size,) = (d for d in e.derivations if d.quantity == "size")
    assert size.text().endswith("= ⌊7/2⌋×⌊9/2⌋ + 1 = 13")
    assert size.note == ""


def test_shared_weights_are_said_to_be_shared() -> None:
    net = Network("tied", (7,), dtype="int64")
    net(Embedding(1000, 64), name="embed")
    net(Linear(1000), name="head")
    net.tie(("embed", "weight"), ("head", "weight"))
    ledger = infer(net.graph())
    check_rows(ledger)
    (e,) = explain(ledger, "head")
    found = {d.quantity: d for d in e.derivations}
    assert "weights" not in found
    assert found["params"].text() == "P = B = 1,000"
    assert found["params"].note == "shared: weight is embed.weight"


def test_a_layer_whose_every_weight_is_shared_has_no_parameters_of_its_own() -> None:
    net = Network("tied", (7,), dtype="int64")
    net(Embedding(1000, 64), name="embed")
    net(Linear(1000, bias=False), name="head")
    net.tie(("embed", "weight"), ("head", "weight"))
    ledger = infer(net.graph())
    text = write(ledger, explain(ledger, "head"))
    assert "  params    P = 0   (shared: weight is embed.weight)\n" in text
    params, macs = add_up(ledger)
    assert [(name, value) for name, _, value in params.terms] == [("embed", 64000)]
    assert [(name, value) for name, _, value in macs.terms] == [("head", 448000)]


def test_tensors_of_different_rank_are_explained() -> None:
    net = Network("sum", (4, 2))
    graph = replace(net.graph(), inputs={**net.inputs, "one": TensorType((1,))})
    graph = replace(graph, nodes=(Node("sum", Add(), ("one", "input")),), outputs=("sum",))
    assert texts(infer(graph), "sum")["elements"] == "A = D₁ × D₂ = 4 × 2 = 8"


def test_symbols_stay_symbols() -> None:
    (e,) = explain(netledger.ledger("alexnet", "HxWx3"), "MaxPool-1")
    height, width = (d.text() for d in e.derivations if d.quantity == "size")
    assert height.endswith("= ⌊(H − 19)/8⌋ + 1")
    assert width.endswith("= ⌊(W − 19)/8⌋ + 1")


def test_receptive_field(alexnet: netledger.Ledger) -> None:
    found = texts(alexnet, "Conv-5")
    assert found["field"] == "R = R₋₁ + (K − 1)×J = 131 + (3 − 1)×16 = 163"


def test_every_symbol_is_explained(alexnet: netledger.Ledger) -> None:
    (e,) = explain(alexnet, "Conv-1")
    assert e.meanings["C"] == "channels of the input"  # the blog never defines it
    assert e.meanings["N"] == "number of kernels"


def test_every_number_of_a_row_is_derived() -> None:
    net = Network("mixed", (33, 47, 8))
    a = net(Conv(16, (3, 5), stride=(2, 1), padding=((1, 2), (0, 1)), groups=4, dilation=2))
    b = net(DepthwiseConv(3, 2, padding="same"), a)
    net(Concat(), a, b)
    net(BatchNorm())
    net(AvgPool(3, stride=2, rounding="ceil_clipped", padding=1))
    net(Flatten())
    net(Linear(10))
    check_rows(infer(net.graph()))
    tokens = Network("tokens", (12, 64))
    tokens(LSTM(32, num_layers=2, bidirectional=True))
    tokens(MultiHeadAttention(8))
    check_rows(infer(tokens.graph()))


@pytest.mark.parametrize("name", ["alexnet-2012", "googlenet-aux", "resnet50", "lenet5", "vgg16"])
def test_every_number_of_the_zoo_is_derived(name: str) -> None:
    check_rows(netledger.ledger(name))


def check_rows(ledger: netledger.Ledger) -> None:
    for e in explain(ledger):
        found = {d.quantity: d.value for d in e.derivations}
        row = e.row
        expected = {
            "weights": row.weights,
            "biases": row.biases,
            "params": row.params,
            "buffers": row.buffers,
            "MACs": row.macs,
        }
        for quantity, value in expected.items():
            assert found.get(quantity, 0) == value, (row.name, quantity)
        if row.op is not None:
            assert found["elements"] == row.elements
            sizes = {d.value for d in e.derivations if d.quantity == "size"}
            assert sizes <= set(row.outputs[0].shape)


def test_an_unknown_row_is_told() -> None:
    with pytest.raises(UnknownName) as raised:
        explain(netledger.ledger("alexnet"), "Conv1")
    assert str(raised.value) == (
        "UnknownName: unknown row 'Conv1'\n  hint    did you mean 'Conv-1' or 'Conv-5' or 'Conv-4'?"
    )


def test_an_explanation_prints_itself() -> None:
    (e,) = explain(netledger.ledger("alexnet", "224x224x3"), "Conv-1")
    first, size, *_ = str(e).splitlines()
    assert first == "Conv-1: 96 kernels of 11×11×3, stride 4, padding 0"
    assert size == (
        "  size      O = ⌊(I − K + 2P)/S⌋ + 1 = ⌊(224 − 11 + 2×0)/4⌋ + 1 = 54"
        "   (54.25, rounded down)"
    )
    assert len(str(e).splitlines()) == 1 + len(e.derivations)
