"""Well-known networks, written with the public builder."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from netledger.graph import Graph


class Published(NamedTuple):
    """How the paper initialises a network: weights from N(0, std²), biases 1 or 0.

    Attributes:
        std: The standard deviation of every weight.
        ones: The layers whose biases begin at 1; all others begin at 0.
    """

    std: float
    ones: tuple[str, ...]


class Entry(NamedTuple):
    """A network of the zoo.

    Attributes:
        year: Of the paper that the architecture comes from.
        story: One line: which paper, which variant, why its count differs from its neighbours'.
        module: The module of this package that builds it.
        function: The function of that module; it returns a `Graph`.
        arguments: What the function is called with.
        initialisation: How its paper initialises it, where that is known to the zoo.
    """

    year: int
    story: str
    module: str
    function: str
    arguments: tuple[object, ...] = ()
    initialisation: Published | None = None


ALEXNET_2012 = Published(0.01, ("Conv-2", "Conv-4", "Conv-5", "FC-1", "FC-2"))
"""Krizhevsky and others (2012), section 5; ones feed the first ReLUs with positive inputs."""

NETWORKS: Mapping[str, Entry] = {
    "alexnet": Entry(
        2012,
        "one tower at 227: the network of blogs and answers; whole kernels in Conv-2, 4 and 5, "
        "1,413,120 parameters more than the paper's",
        "alexnet",
        "alexnet",
        initialisation=ALEXNET_2012,
    ),
    "alexnet-2012": Entry(
        2012,
        "the paper's two towers (groups in Conv-2, 4, 5), LRN and dropout; 224 with the first "
        "windows rounded up, as in its own code: 55, not 54",
        "alexnet",
        "paper",
        initialisation=ALEXNET_2012,
    ),
    "alexnet-caffe": Entry(
        2012,
        "Caffe's bvlc_alexnet: the paper's network at 227, where nothing needs rounding",
        "alexnet",
        "caffe",
        (True,),
    ),
    "caffenet": Entry(
        2012,
        "Caffe's bvlc_reference_caffenet: pools before LRN; the same counts, smaller maps to "
        "normalise",
        "alexnet",
        "caffe",
        (False,),
    ),
    "alexnet-half": Entry(
        2012,
        "the paper's net for one GPU: half the kernels, but Conv-5 kept whole, so FC-1 does not "
        "shrink; only 1.9 % fewer parameters",
        "alexnet",
        "half",
        initialisation=ALEXNET_2012,
    ),
    "alexnet-naive": Entry(
        2012,
        "the paper's text taken literally: 224 without padding, rounded down, gives 54 and in the "
        "end 5×5, not 6×6, so FC-1 has 11.5 million fewer",
        "alexnet",
        "naive",
        initialisation=ALEXNET_2012,
    ),
    "alexnet-owt": Entry(
        2014,
        "One weird trick, as in torchvision: one tower of 64-192-384-256-256 at 224 with padding "
        "2, no LRN; 135,616 more than the paper's",
        "alexnet",
        "one_weird_trick",
    ),
    "alexnet-slim-v2": Entry(
        2014,
        "TF-slim's alexnet_v2: 224 without padding ends in 5×5, so FC-1, a 5×5 convolution, has "
        "26.2 million instead of 37.8",
        "alexnet",
        "slim_v2",
    ),
    "alexnet-tf-benchmarks": Entry(
        2014,
        "tf_cnn_benchmarks: One weird trick's at 227, but 384 kernels in Conv-4, and 1001 classes",
        "alexnet",
        "tf_benchmarks",
    ),
    "alexnet-keras-noflatten": Entry(
        2012,
        "a Keras listing without Flatten: FC-1 sees 256 numbers at each of 13×13 positions, not "
        "9,216 once; fewer parameters, four times the MACs",
        "alexnet",
        "keras",
        (False,),
    ),
    "alexnet-keras-flatten": Entry(
        2012,
        "the same listing with Flatten, still without the third pooling: FC-1 sees 13×13×256 "
        "numbers, not 6×6×256",
        "alexnet",
        "keras",
        (True,),
    ),
    "lenet5": Entry(
        1998,
        "LeNet-5 as built today: plain poolings, C3 connected to every map, a dense output; the "
        "paper's own counts 60,000",
        "lenet",
        "lenet5",
    ),
    "vgg16": Entry(
        2014,
        "VGG's configuration D: 3×3 kernels only; fc6 sees 7×7×512 and holds 103 of the 138 "
        "million",
        "vgg",
        "vgg16",
    ),
    "googlenet": Entry(
        2014,
        "as in torchvision: batch normalisation, the 5×5 branch built as 3×3, heads for training "
        "left out",
        "googlenet",
        "googlenet",
    ),
    "googlenet-aux": Entry(
        2014,
        "torchvision's with its two auxiliary heads, which serve training only and hold nearly "
        "half of the parameters",
        "googlenet",
        "googlenet",
        (True,),
    ),
    "googlenet-caffe": Entry(
        2014,
        "Caffe's bvlc_googlenet without heads: the paper's 5×5 kernels, biases, no batch "
        "normalisation; 373,648 more than torchvision's",
        "googlenet",
        "caffe",
    ),
    "resnet18": Entry(
        2015,
        "basic blocks of two 3×3 convolutions, 2-2-2-2: half of the blocks of ResNet-34",
        "resnet",
        "resnet",
        (18,),
    ),
    "resnet34": Entry(
        2015,
        "basic blocks, 3-4-6-3: the blocks of ResNet-50, which makes bottlenecks of them",
        "resnet",
        "resnet",
        (34,),
    ),
    "resnet50": Entry(
        2015,
        "bottlenecks, 3-4-6-3; torchvision's v1.5 strides the 3×3 convolution; Keras prints "
        "25,636,712: it has convolution biases and adds running statistics",
        "resnet",
        "resnet",
        (50,),
    ),
    "resnet50-v1": Entry(
        2015,
        "the paper's own: strides the first 1×1 convolution; the same parameters, 231,211,008 "
        "MACs fewer than v1.5",
        "resnet",
        "resnet",
        (50, True),
    ),
    "resnet101": Entry(
        2015,
        "bottlenecks, 3-4-23-3, v1.5: 17 blocks more than ResNet-50, all of them in layer3",
        "resnet",
        "resnet",
        (101,),
    ),
    "resnet152": Entry(
        2015,
        "bottlenecks, 3-8-36-3, v1.5: four blocks more in layer2 and 13 more in layer3 than "
        "ResNet-101",
        "resnet",
        "resnet",
        (152,),
    ),
}


def load(name: str) -> Graph:
    """The graph of a network of the zoo, by name."""
    entry = NETWORKS[name]
    module = importlib.import_module(f"netledger.zoo.{entry.module}")
    graph: Graph = getattr(module, entry.function)(*entry.arguments)
    return replace(graph, name=name, source="zoo", reader="zoo", _by_name={})
