"""GoogLeNet. Szegedy and others, "Going deeper with convolutions" (2014).

Two builds of it: torchvision's, with batch normalisation, no biases and the 5×5 branch built with
3×3 kernels (pytorch/vision, issue 906); and Caffe's, with the paper's kernels, biases and local
response normalisation. Modules are called as in torchvision.
"""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import (
    Activation,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool,
    Softmax,
)

RELU = Activation("relu")
LRN = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

MODULES = (
    ("3a", 64, (96, 128), (16, 32), 32),
    ("3b", 128, (128, 192), (32, 96), 64),
    ("4a", 192, (96, 208), (16, 48), 64),
    ("4b", 160, (112, 224), (24, 64), 64),
    ("4c", 128, (128, 256), (24, 64), 64),
    ("4d", 112, (144, 288), (32, 64), 64),
    ("4e", 256, (160, 320), (32, 128), 128),
    ("5a", 256, (160, 320), (32, 128), 128),
    ("5b", 384, (192, 384), (48, 128), 128),
)
"""The paper's table 1: kernels of the 1×1, 3×3, 5×5 and pooling branches; reductions first."""
AUXILIARY = {"4a": "aux1", "4d": "aux2"}
"""The modules that feed an auxiliary classifier."""


def googlenet(auxiliary: bool = False) -> Graph:
    """As in torchvision, perhaps with the two auxiliary classifiers that serve training."""
    title = "GoogLeNet of torchvision" + (", auxiliary heads included" if auxiliary else "")
    net = Network("googlenet", (224, 224, 3), title=title)
    _stem(net, caffe=False)
    heads = []
    for module in MODULES:
        x = _inception(net, *module, caffe=False)
        if auxiliary and module[0] in AUXILIARY:
            heads.append(_auxiliary_head(net, AUXILIARY[module[0]]))
            net.last = x
        _pool_after(net, module[0], last_kernel=2)
    net(AdaptiveAvgPool(1), name="avgpool")
    net.chain(Flatten(), Dropout(0.2))
    return net.graph(net(Linear(1000), name="fc"), *heads)


def caffe() -> Graph:
    """As in Caffe, which is the paper's, without auxiliary classifiers."""
    net = Network("googlenet", (224, 224, 3), title="GoogLeNet of Caffe")
    _stem(net, caffe=True)
    for module in MODULES:
        _inception(net, *module, caffe=True)
        _pool_after(net, module[0], last_kernel=3)
    net(AvgPool(7, stride=1), name="avgpool")
    net.chain(Flatten(), Dropout(0.4))
    net(Linear(1000), name="fc")
    net(Softmax(), name="prob")
    return net.graph()


def _stem(net: Network, *, caffe: bool) -> None:
    _unit(net, "conv1", 64, 7, stride=2, caffe=caffe)
    net(_max_pool(3), name="maxpool1")
    if caffe:
        net(LRN, name="norm1")
    _unit(net, "conv2", 64, 1, caffe=caffe)
    _unit(net, "conv3", 192, 3, caffe=caffe)
    if caffe:
        net(LRN, name="norm2")
    net(_max_pool(3), name="maxpool2")


def _inception(
    net: Network,
    name: str,
    ones: int,
    threes: tuple[int, int],
    fives: tuple[int, int],
    projection: int,
    *,
    caffe: bool,
) -> str:
    """Four branches side by side; their maps are joined."""
    x = net.last
    with net.scope(f"inception{name}"):
        branches = [_unit(net, "branch1", ones, 1, x, caffe=caffe)]
        for branch, (reduction, filters), kernel in (
            ("branch2", threes, 3),
            ("branch3", fives, 5 if caffe else 3),
        ):
            with net.scope(branch):
                _unit(net, "0", reduction, 1, x, caffe=caffe)
                branches.append(_unit(net, "1", filters, kernel, caffe=caffe))
        with net.scope("branch4"):
            net(_max_pool(3, stride=1, padding=1), x, name="0")
            branches.append(_unit(net, "1", projection, 1, caffe=caffe))
        return net(Concat(), *branches)


def _auxiliary_head(net: Network, name: str) -> str:
    with net.scope(name):
        net(AdaptiveAvgPool(4))
        _unit(net, "conv", 128, 1, caffe=False)
        net(Flatten())
        net(Linear(1024), name="fc1")
        net.chain(RELU, Dropout(0.7))
        return net(Linear(1000), name="fc2")


def _unit(
    net: Network, name: str, filters: int, kernel: int, *feed: str, stride: int = 1, caffe: bool
) -> str:
    """A convolution, its normalisation if it has one, and a ReLU."""
    with net.scope(name):
        conv = Conv(filters, kernel, stride=stride, padding=kernel // 2, bias=caffe)
        net(conv, *feed, name="conv")
        if not caffe:
            net(BatchNorm(), name="bn")
        return net(RELU)


def _pool_after(net: Network, module: str, *, last_kernel: int) -> None:
    if module == "3b":
        net(_max_pool(3), name="maxpool3")
    if module == "4e":
        net(_max_pool(last_kernel), name="maxpool4")


def _max_pool(kernel: int, stride: int = 2, padding: int = 0) -> MaxPool:
    return MaxPool(kernel, stride=stride, padding=padding, rounding="ceil_clipped")
