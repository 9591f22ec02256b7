"""Networks of the zoo against one another: exact sums, and causes that a person would name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

import netledger
from netledger import zoo
from netledger.diff.difference import Cause, Difference
from netledger.graph import Graph

Proved = Callable[[Graph, Graph], Difference]

NAMES = list(zoo.NETWORKS)
SAMPLE = [(a, b) for i, (a, b) in enumerate(product(NAMES, NAMES)) if a != b and i % 17 == 0]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_and_itself(proved: Proved, name: str) -> None:
    found = proved(zoo.load(name), zoo.load(name))
    assert found.empty
    assert not found.causes
    assert not found.notes
    assert {pair.what for pair in found.pairs} == {"keep"}


@pytest.mark.parametrize(("a", "b"), SAMPLE)
def test_the_causes_add_up(proved: Proved, a: str, b: str) -> None:
    assert not proved(zoo.load(a), zoo.load(b)).empty


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), [(a, b) for a, b in product(NAMES, NAMES) if a != b])
def test_the_causes_of_all_pairs_add_up(proved: Proved, a: str, b: str) -> None:
    assert not proved(zoo.load(a), zoo.load(b)).empty


def counting(a: str, b: str) -> list[Cause]:
    return list(netledger.diff(a, b).counting)


def test_the_grouping_of_the_paper() -> None:
    found = netledger.diff("alexnet", "alexnet-2012")
    (cause,) = found.counting
    assert cause.kind == "groups"
    assert cause.text == "Conv-2, Conv-4, Conv-5 in 2 groups"
    assert cause.arithmetic == "−307,200 −663,552 −442,368 = −1,413,120"
    assert cause.delta.macs == 724_406_816 - 1_135_256_096
    assert [c.text for c in found.silent] == [
        "input 224×224×3 instead of 227×227×3, and windows rounded up in Conv-1: "
        "together the same sizes",
        "LocalResponseNorm ×2 added",
    ]
    assert [c.text for c in found.causes if c.ignorable] == ["Dropout ×2 added"]


def test_the_two_mistakes_of_the_keras_listing() -> None:
    pool, flatten = counting("alexnet-keras-noflatten", "alexnet")
    assert (pool.kind, pool.text, pool.delta.params) == ("pooling", "MaxPool-3 added", 0)
    assert pool.delta.macs == 1_865_818_656 - 4_781_416_992
    assert (flatten.kind, flatten.text) == ("flatten", "Flatten added")
    assert flatten.consequence == "FC-1 sees 9,216 features instead of 256 at each of 6×6 positions"
    assert flatten.delta.params == 36_700_160


def test_the_flattening_alone() -> None:
    (cause,) = counting("alexnet-keras-noflatten", "alexnet-keras-flatten")
    assert cause.consequence == (
        "FC-1 sees 43,264 features instead of 256 at each of 13×13 positions"
    )
    assert cause.delta.params == 201_838_952 - 25_678_184


def test_the_third_pooling_missing() -> None:
    (cause,) = counting("alexnet", "alexnet-keras-flatten")
    assert cause.text == "MaxPool-3 missing"
    assert cause.consequence == "FC-1 sees 43,264 features instead of 9,216"
    assert cause.delta.params == 139_460_608


def test_the_strides_of_resnet() -> None:
    (cause,) = counting("resnet50", "resnet50-v1")
    assert cause.kind == "stride"
    assert cause.text == (
        "stride 2 instead of 1 in layer2.0.conv1, layer3.0.conv1, layer4.0.conv1; "
        "stride 1 instead of 2 in layer2.0.conv2, layer3.0.conv2, layer4.0.conv2"
    )
    assert (cause.delta.params, cause.delta.macs) == (0, -231_211_008)


def test_blocks() -> None:
    (cause,) = counting("resnet50", "resnet101")
    assert (cause.kind, cause.text) == ("depth", "17 blocks (layer3.6 … layer3.22) added")
    (cause,) = counting("resnet101", "resnet50")
    assert cause.text == "17 blocks (layer3.6 … layer3.22) missing"


def test_auxiliary_heads() -> None:
    (cause,) = counting("googlenet", "googlenet-aux")
    assert (cause.kind, cause.text) == ("aux-head", "auxiliary heads aux1, aux2 added")
    assert cause.delta.params == 13_004_888 - 6_624_904


def test_two_builds_of_googlenet() -> None:
    kernel, norm, bias = counting("googlenet", "googlenet-caffe")
    assert kernel.text.startswith("kernel 5×5 instead of 3×3 in inception3a.branch3.1.conv,")
    assert norm.text == "BatchNorm ×57 missing"
    assert norm.delta.buffers == -14_560
    assert bias.text == "biases (57 convolutions)"
    deltas = [cause.delta.params for cause in (kernel, norm, bias)]
    assert deltas == [380_928, -14_560, 7_280]
    assert sum(deltas) == 373_648


def test_classes() -> None:
    width, classes = counting("alexnet", "alexnet-tf-benchmarks")
    assert width.text == "64 kernels instead of 96 in Conv-1; 192 kernels instead of 256 in Conv-2"
    assert (classes.kind, classes.delta.params) == ("classes", 4_097)
    assert classes.text == "1,001 classes instead of 1,000 (FC-3)"


def test_the_order_of_layers_without_counts() -> None:
    found = netledger.diff("alexnet-caffe", "caffenet")
    assert not found.counting
    assert not found.empty
    assert [cause.text for cause in found.silent] == ["LocalResponseNorm ×2 elsewhere"]


def test_inputs_for_both() -> None:
    found = netledger.diff("resnet18", "resnet34", (64, 64, 3))
    assert found.a.graph.inputs["input"].shape[1:] == (64, 64, 3)
    assert found.b.graph.inputs["input"].shape[1:] == (64, 64, 3)
