"""AlexNets row by row. Numbers from the layer files of the paper, Caffe, torchvision, TF-slim."""

from __future__ import annotations

from typing import Any

import pytest

from netledger import zoo
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.zoo import alexnet

BLOG = """\
Input Image  227x227x3            0      0           0
Conv-1       55x55x96        34,848     96      34,944
MaxPool-1    27x27x96             0      0           0
Conv-2       27x27x256      614,400    256     614,656
MaxPool-2    13x13x256            0      0           0
Conv-3       13x13x384      884,736    384     885,120
Conv-4       13x13x384    1,327,104    384   1,327,488
Conv-5       13x13x256      884,736    256     884,992
MaxPool-3    6x6x256              0      0           0
FC-1         4096        37,748,736  4,096  37,752,832
FC-2         4096        16,777,216  4,096  16,781,312
FC-3         1000         4,096,000  1,000   4,097,000
Output       1000                 0      0           0
"""
"""The table of the LearnOpenCV post; its 4096×1 is written 4096."""

LAYERS = ("Conv-1", "Conv-2", "Conv-3", "Conv-4", "Conv-5", "FC-1", "FC-2", "FC-3")
PAPER = (34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000)
WHOLE = (34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000)
PARAMS = {
    "alexnet": WHOLE,
    "alexnet-2012": PAPER,
    "alexnet-caffe": PAPER,
    "caffenet": PAPER,
    "alexnet-half": (17_472, 153_728, 221_376, 331_968, *PAPER[4:]),
    "alexnet-naive": (*PAPER[:5], 26_218_496, *PAPER[6:]),
    "alexnet-owt": (23_296, 307_392, 663_936, 884_992, 590_080, *PAPER[5:]),
    "alexnet-slim-v2": (
        *(23_296, 307_392, 663_936, 1_327_488, 884_992),
        *(26_218_496, 16_781_312, 4_097_000),
    ),
    "alexnet-tf-benchmarks": (
        *(23_296, 307_392, 663_936, 1_327_488, 884_992),
        *(37_752_832, 16_781_312, 4_101_097),
    ),
    "alexnet-keras-noflatten": (*WHOLE[:5], 1_052_672, *WHOLE[6:]),
    "alexnet-keras-flatten": (*WHOLE[:5], 177_213_440, *WHOLE[6:]),
}

MAPS = ("Conv-1", "MaxPool-1", "Conv-2", "MaxPool-2", "Conv-3", "Conv-4", "Conv-5", "MaxPool-3")
SIZES = (55, 27, 27, 13, 13, 13, 13, 6)
SMALLER = (54, 26, 26, 12, 12, 12, 12, 5)
REACHES = (11, 19, 51, 67, 99, 131, 163, 195)


def book(name: str) -> Ledger:
    return infer(zoo.load(name))


def test_the_blogs_table_row_by_row() -> None:
    rows = []
    for row in book("alexnet").rows:
        size = "x".join(map(str, row.outputs[0].shape[1:]))
        rows.append(
            f"{row.name:<12} {size:<9} {row.weights:>12,} {row.biases:>6,} {row.params:>11,}"
        )
    assert "\n".join(rows) + "\n" == BLOG


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_of_each_layer(name: str) -> None:
    ledger = book(name)
    assert tuple(ledger.row(layer).params for layer in LAYERS) == PARAMS[name]
    assert sum(PARAMS[name]) == ledger.totals.params


@pytest.mark.parametrize("name", PARAMS)
def test_sizes_and_receptive_fields_of_each_map(name: str) -> None:
    ledger = book(name)
    sizes = SMALLER if name in ("alexnet-naive", "alexnet-slim-v2") else SIZES
    for layer, size, reach in zip(MAPS, sizes, REACHES, strict=True):
        if layer == "MaxPool-3" and "keras" in name:
            assert layer not in [row.name for row in ledger.rows]
            continue
        row = ledger.row(layer)
        assert row.outputs[0].shape[1:3] == (size, size)
        assert row.receptive_field == (reach, reach)


@pytest.mark.parametrize("name", PARAMS)
def test_receptive_fields_of_the_fully_connected_layers(name: str) -> None:
    expected: Any = "all"
    if name == "alexnet-keras-noflatten":  # applied at each position, so it sees what Conv-5 sees
        expected = (163, 163)
    if name == "alexnet-slim-v2":  # a convolution: 195 + (5 − 1) × 32
        expected = (323, 323)
    fields = [book(name).row(layer).receptive_field for layer in ("FC-1", "FC-2", "FC-3")]
    assert fields == [expected] * 3


def test_neurons_of_the_paper() -> None:
    """About 650,000; its figure 2 prints 253,440 for the first layer, which is 55 · 48 · 96."""
    ledger = book("alexnet-2012")
    neurons = [ledger.row(layer).elements for layer in LAYERS]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000]
    assert sum(neurons) == ledger.totals.neurons == 659_272


def test_grouping_is_all_that_parts_the_blogs_count_from_the_papers() -> None:
    whole, towers = book("alexnet"), book("alexnet-2012")
    differences = [whole.row(layer).params - towers.row(layer).params for layer in LAYERS]
    assert differences == [0, 307_200, 0, 663_552, 442_368, 0, 0, 0]


def test_the_weird_trick_against_the_paper() -> None:
    ours, theirs = book("alexnet-owt"), book("alexnet-2012")
    differences = [ours.row(layer).params - theirs.row(layer).params for layer in LAYERS]
    assert differences == [-11_648, -64, -221_184, 221_056, 147_456, 0, 0, 0]


def test_the_order_of_pooling_and_normalisation() -> None:
    def after_conv1(name: str) -> list[str]:
        return [row.name for row in book(name).rows][2:4]

    assert after_conv1("alexnet-2012") == after_conv1("alexnet-caffe") == ["LRN-1", "MaxPool-1"]
    assert after_conv1("caffenet") == ["MaxPool-1", "LRN-1"]
    assert after_conv1("alexnet") == ["MaxPool-1", "Conv-2"]


def test_two_edits_mend_the_keras_listing() -> None:
    """The third pooling and Flatten; one of them alone does not give AlexNet's count."""
    pooled = infer(alexnet.keras(flatten=False, third_pool=True)).totals
    assert (pooled.params, pooled.macs, pooled.neurons) == (25_678_184, 1_865_818_656, 980_992)
    flattened = infer(alexnet.keras(flatten=True, third_pool=False)).totals
    assert flattened.params == 201_838_952
    mended = infer(alexnet.keras(flatten=True, third_pool=True)).totals
    assert mended == book("alexnet").totals


def test_the_first_windows_of_the_paper_hang_over_the_edge() -> None:
    """1 + ⌈(224 − 11)/4⌉ = 55 windows reach to 227: the same map as of 227 rounded down."""
    graph = zoo.load("alexnet-2012")
    conv = graph.node("Conv-1").op
    assert (graph.inputs["Input Image"].shape[1], conv.rounding, conv.padding) == (224, "ceil", 0)
    floored = infer(graph.with_fields("Conv-1", rounding="floor")).totals
    assert floored.params == 49_430_888
