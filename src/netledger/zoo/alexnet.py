"""AlexNet and its variants. Krizhevsky, Sutskever and Hinton (2012); Krizhevsky (2014).

All are built from two parts, five convolutions and three fully connected layers, and differ in
what is handed to the two: kernels, towers, what stands between, and how the image is met.
"""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import (
    Activation,
    AdaptiveAvgPool,
    Conv,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool,
    Op,
    Softmax,
)

PAPER = (96, 256, 384, 384, 256)
"""Kernels of the five convolutions in the paper of 2012, both towers together."""
HALF = (48, 128, 192, 192, 256)
"""The net for one GPU that the paper compares with: one tower, its last convolution kept whole."""
WEIRD_TRICK = (64, 192, 384, 256, 256)
"""Those of "One weird trick for parallelizing convolutional neural networks" (2014)."""
TENSORFLOW = (64, 192, 384, 384, 256)
"""What TensorFlow's two versions use: the fourth convolution is that of 2012."""

RELU, DROPOUT, POOL = Activation("relu"), Dropout(0.5), MaxPool(3, stride=2)
LRN = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
LRN_CAFFE = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

Stage = tuple[tuple[str, Op], ...]
POOLED: Stage = (("MaxPool", POOL),)
NORMALISED: Stage = (("LRN", LRN), ("MaxPool", POOL))


def alexnet() -> Graph:
    """One tower without groups: 62,378,344 parameters."""
    net = _network("AlexNet, one tower", 227)
    convolutions(net, PAPER)
    return classifier(net)


def paper() -> Graph:
    """The network of the paper, 224×224, the first windows rounded up: 60,965,224 parameters."""
    net = _network("AlexNet of the paper, two towers", 224)
    convolutions(net, PAPER, rounding="ceil", towers=2, stage=NORMALISED)
    return classifier(net, dropout="after")


def half() -> Graph:
    """The paper's net for one GPU, half as wide but for Conv-5: 59,798,312 parameters."""
    net = _network("AlexNet, half of it for one GPU", 224)
    convolutions(net, HALF, rounding="ceil", stage=NORMALISED)
    return classifier(net, dropout="after")


def naive() -> Graph:
    """The paper's text taken literally, rounded down: 49,430,888 parameters."""
    net = _network("AlexNet at 224 without padding, rounded down", 224)
    convolutions(net, PAPER, towers=2, stage=NORMALISED)
    return classifier(net, dropout="after")


def caffe(norm_first: bool) -> Graph:
    """Caffe's AlexNet, or CaffeNet, which pools before it normalises: 60,965,224 parameters."""
    norm = ("LRN", LRN_CAFFE)
    net = _network("AlexNet of Caffe" if norm_first else "CaffeNet", 227)
    stage = (norm, *POOLED) if norm_first else (*POOLED, norm)
    convolutions(net, PAPER, towers=2, stage=stage)
    return classifier(net, dropout="after")


def one_weird_trick() -> Graph:
    """One tower, fewer kernels; as torchvision builds it: 61,100,840 parameters."""
    net = _network("AlexNet of the weird trick", 224)
    convolutions(net, WEIRD_TRICK, padding=2)
    net(AdaptiveAvgPool(6), name="AvgPool")
    return classifier(net, dropout="before", softmax=False)


def tf_benchmarks() -> Graph:
    """The one of TensorFlow's benchmarks, with 1001 classes: 61,842,345 parameters."""
    net = _network("AlexNet of tf_cnn_benchmarks", 227)
    convolutions(net, TENSORFLOW)
    return classifier(net, classes=1001, dropout="after", softmax=False)


def slim_v2() -> Graph:
    """The one of TF-slim, all convolutions: 50,303,912 parameters."""
    net = _network("AlexNet v2 of TF-slim", 224)
    convolutions(net, TENSORFLOW)
    for number, (filters, kernel) in enumerate(((4096, 5), (4096, 1)), start=1):
        net(Conv(filters, kernel), name=f"FC-{number}")
        net.chain(RELU, DROPOUT)
    net(Conv(1000, 1), name="FC-3")
    net(Flatten())
    return net.graph()


def keras(flatten: bool, third_pool: bool = False) -> Graph:
    """A Keras listing that misses the third pooling, and perhaps the flattening too.

    Without flattening, the fully connected layers run at every position of the last map:
    25,678,184 parameters, whether pooled or not. With it and unpooled: 201,838,952.
    """
    net = _network("AlexNet in Keras, something missing", 227)
    convolutions(net, PAPER, third_pool=third_pool)
    return classifier(net, flatten=flatten)


def _network(title: str, size: int) -> Network:
    return Network("alexnet", (size, size, 3), input_name="Input Image", title=title)


def convolutions(
    net: Network,
    kernels: tuple[int, ...],
    *,
    padding: int = 0,
    rounding: str = "floor",
    towers: int = 1,
    stage: Stage = POOLED,
    third_pool: bool = True,
) -> None:
    """The five convolutions; `stage` follows the first two, a pooling the last.

    `padding` and `rounding` are those of the first. With two `towers`, the second, fourth and
    fifth see only the maps of their own tower; the third sees both.
    """
    for number, filters in enumerate(kernels, start=1):
        if number == 1:
            conv = Conv(filters, 11, stride=4, padding=padding, rounding=rounding)
        else:
            size = 5 if number == 2 else 3
            groups = 1 if number == 3 else towers
            conv = Conv(filters, size, padding=size // 2, groups=groups)
        net(conv, name=f"Conv-{number}")
        net(RELU)
        for word, op in stage if number <= 2 else ():
            net(op, name=f"{word}-{number}")
    if third_pool:
        net(POOL, name="MaxPool-3")


def classifier(
    net: Network,
    *,
    classes: int = 1000,
    flatten: bool = True,
    dropout: str = "",
    softmax: bool = True,
) -> Graph:
    """The three fully connected layers; `dropout` stands before or after the first two, or not."""
    if flatten:
        net(Flatten())
    for name in ("FC-1", "FC-2"):
        if dropout == "before":
            net(DROPOUT)
        net(Linear(4096), name=name)
        net(RELU)
        if dropout == "after":
            net(DROPOUT)
    net(Linear(classes), name="FC-3")
    if softmax:
        net(Softmax(), name="Output")
    return net.graph()
