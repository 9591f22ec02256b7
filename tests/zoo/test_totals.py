"""The totals of every network of the zoo, with where they were published.

``published`` is the count as the source gives it, with the digits that it gives; the exact numbers
beside it were worked out from the cited layer files.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from netledger import zoo
from netledger.infer import infer


class Books(NamedTuple):
    params: int
    weights: int
    biases: int
    buffers: int
    macs: int
    neurons: int | None  # None: of no source
    input: tuple[int, int, int]
    source: str


LAYERS_145 = "AlexNet source code (Computer History Museum), layers/layers-145.cfg"
TORCHVISION = "torchvision 0.28.0, num_params in the metadata of the weights; MACs: _ops"
BLOG = "Mallick and Nayak, Number of parameters and tensor sizes in a CNN, LearnOpenCV (2018)"
KERAS = "Where are the 60 million params of AlexNet?, Data Science Stack Exchange"

# fmt: off
BOOKS = {
    "alexnet": Books(
        62_378_344, 62_367_776, 10_568, 0, 1_135_256_096, 659_272, (227, 227, 3), BLOG),
    "alexnet-2012": Books(
        60_965_224, 60_954_656, 10_568, 0, 724_406_816, 659_272, (224, 224, 3),
        f"{LAYERS_145}; the paper's abstract: 60 million parameters, 650,000 neurons"),
    "alexnet-caffe": Books(
        60_965_224, 60_954_656, 10_568, 0, 724_406_816, 659_272, (227, 227, 3),
        "BVLC/caffe, models/bvlc_alexnet/train_val.prototxt"),
    "caffenet": Books(
        60_965_224, 60_954_656, 10_568, 0, 724_406_816, 659_272, (227, 227, 3),
        "BVLC/caffe, models/bvlc_reference_caffenet/train_val.prototxt"),
    "alexnet-half": Books(
        59_798_312, 59_788_304, 10_008, 0, 391_514_384, 355_864, (224, 224, 3),
        "AlexNet source code (Computer History Museum), layers/layers-145-half.cfg"),
    "alexnet-naive": Books(
        49_430_888, 49_420_320, 10_568, 0, 643_026_048, 609_640, (224, 224, 3),
        "the paper's section 3.5, sizes rounded down"),
    "alexnet-owt": Books(
        61_100_840, 61_090_496, 10_344, 0, 714_188_480, 494_184, (224, 224, 3), TORCHVISION),
    "alexnet-slim-v2": Books(
        50_303_912, 50_293_440, 10_472, 0, 736_555_776, 473_064, (224, 224, 3),
        "tensorflow/models, research/slim/nets/alexnet.py"),
    "alexnet-tf-benchmarks": Books(
        61_842_345, 61_831_872, 10_473, 0, 838_792_896, 515_817, (227, 227, 3),
        "tensorflow/benchmarks, scripts/tf_cnn_benchmarks/models/alexnet_model.py"),
    "alexnet-keras-noflatten": Books(
        25_678_184, 25_667_616, 10_568, 0, 4_781_416_992, 2_203_528, (227, 227, 3),
        f"{KERAS}, the question"),
    "alexnet-keras-flatten": Books(
        201_838_952, 201_828_384, 10_568, 0, 1_274_716_704, 659_272, (227, 227, 3),
        f"{KERAS}, the answer's listing as printed"),
    "lenet5": Books(
        61_706, 61_470, 236, 0, 416_520, None, (32, 32, 1),
        "LeCun and others (1998), figure 2, with C3 and the output dense, S2 and S4 plain"),
    "vgg16": Books(
        138_357_544, 138_344_128, 13_416, 0, 15_470_264_320, None, (224, 224, 3),
        f"arXiv 1409.1556, table 2: 138 million; {TORCHVISION}"),
    "googlenet": Books(
        6_624_904, 6_616_624, 8_280, 14_560, 1_498_376_192, None, (224, 224, 3), TORCHVISION),
    "googlenet-aux": Books(
        13_004_888, 12_992_304, 12_584, 15_072, 1_506_748_416, None, (224, 224, 3),
        "torchvision 0.28.0, googlenet() with its defaults"),
    "googlenet-caffe": Books(
        6_998_552, 6_990_272, 8_280, 0, 1_582_671_872, None, (224, 224, 3),
        "BVLC/caffe, models/bvlc_googlenet/train_val.prototxt"),
    "resnet18": Books(
        11_689_512, 11_683_712, 5_800, 9_600, 1_814_073_344, None, (224, 224, 3), TORCHVISION),
    "resnet34": Books(
        21_797_672, 21_788_160, 9_512, 17_024, 3_663_761_408, None, (224, 224, 3), TORCHVISION),
    "resnet50": Books(
        25_557_032, 25_529_472, 27_560, 53_120, 4_089_184_256, None, (224, 224, 3), TORCHVISION),
    "resnet50-v1": Books(
        25_557_032, 25_529_472, 27_560, 53_120, 3_857_973_248, None, (224, 224, 3),
        "arXiv 1512.03385, table 1: 3.8 billion multiply-adds"),
    "resnet101": Books(
        44_549_160, 44_495_488, 53_672, 105_344, 7_801_405_440, None, (224, 224, 3), TORCHVISION),
    "resnet152": Books(
        60_192_808, 60_116_096, 76_712, 151_424, 11_513_626_624, None, (224, 224, 3), TORCHVISION),
}
# fmt: on


def test_every_network_has_its_books() -> None:
    assert set(BOOKS) == set(zoo.NETWORKS)


@pytest.mark.parametrize("name", BOOKS)
def test_totals(name: str) -> None:
    books, ledger = BOOKS[name], infer(zoo.load(name))
    totals = ledger.totals
    found = Books(
        totals.params,
        totals.weights,
        totals.biases,
        totals.buffers,
        totals.macs,
        totals.neurons if books.neurons is not None else None,
        next(iter(ledger.graph.inputs.values())).shape[1:],
        books.source,
    )
    assert found == books
    assert (totals.trainable, totals.frozen) == (books.params, 0)
    assert totals.complete
    assert not ledger.findings


@pytest.mark.parametrize("name", BOOKS)
def test_the_graph_says_where_it_is_from(name: str) -> None:
    graph = zoo.load(name)
    assert (graph.name, graph.source, graph.reader) == (name, "zoo", "zoo")
    assert graph.title


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_has_a_story(name: str) -> None:
    entry = zoo.NETWORKS[name]
    assert 1998 <= entry.year <= 2015
    assert 30 < len(entry.story) < 160
    assert "\n" not in entry.story


def params(name: str) -> int:
    return infer(zoo.load(name)).totals.params


def macs(name: str) -> int:
    return infer(zoo.load(name)).totals.macs


def test_the_differences_that_the_stories_tell() -> None:
    assert params("alexnet") - params("alexnet-2012") == 1_413_120
    assert params("alexnet-owt") - params("alexnet-2012") == 135_616
    assert params("googlenet-caffe") - params("googlenet") == 373_648
    assert macs("resnet50") - macs("resnet50-v1") == 231_211_008
    assert round(100 * (1 - params("alexnet-half") / params("alexnet-2012")), 1) == 1.9
    assert 4 < macs("alexnet-keras-noflatten") / macs("alexnet") < 4.5
    heads = params("googlenet-aux") - params("googlenet")
    assert heads == 3_188_968 + 3_191_016
    assert 0.45 < heads / params("googlenet-aux") < 0.5


def test_keras_counts_of_resnets_come_out() -> None:
    """Keras' "Total params": keras.applications, 25,636,712, 44,707,176 and 60,419,944.

    Its convolutions have biases too, one for each channel that batch normalisation keeps two
    running statistics of, and it adds those statistics.
    """
    for depth, printed in ((50, 25_636_712), (101, 44_707_176), (152, 60_419_944)):
        totals = infer(zoo.load(f"resnet{depth}")).totals
        assert totals.params + totals.buffers // 2 + totals.buffers == printed
