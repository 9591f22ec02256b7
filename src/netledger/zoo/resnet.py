"""ResNets. He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015).

Modules are called as in torchvision, and so is where the stride stands: on the 3×3 convolution
("v1.5"), not on the first 1×1 as in the paper ("v1").
"""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import (
    Activation,
    AdaptiveAvgPool,
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Linear,
    MaxPool,
)

RELU = Activation("relu")
BASIC, BOTTLENECK = 1, 4
"""Kinds of block, by how many times as many maps leave one as its 3×3 convolution makes."""
DEPTHS = {
    18: (BASIC, (2, 2, 2, 2)),
    34: (BASIC, (3, 4, 6, 3)),
    50: (BOTTLENECK, (3, 4, 6, 3)),
    101: (BOTTLENECK, (3, 4, 23, 3)),
    152: (BOTTLENECK, (3, 8, 36, 3)),
}
"""The kind of block, and how many there are in each of the four layers (the paper's table 1)."""


def resnet(depth: int, first_strided: bool = False) -> Graph:
    """A ResNet of `depth` layers; with `first_strided`, bottlenecks stride as in the paper."""
    expansion, blocks = DEPTHS[depth]
    net = Network(f"resnet{depth}", (224, 224, 3), title=f"ResNet-{depth}")
    _conv_bn(net, 1, 64, kernel=7, stride=2)
    net(RELU)
    net(MaxPool(3, stride=2, padding=1), name="maxpool")
    for layer, count in enumerate(blocks):
        width = 64 * 2**layer
        for number in range(count):
            stride = 2 if layer > 0 and number == 0 else 1
            changes = number == 0 and (layer > 0 or expansion > 1)
            with net.scope(f"layer{layer + 1}.{number}"):
                _block(net, width, expansion, stride, changes, first_strided)
    net(AdaptiveAvgPool(1), name="avgpool")
    net(Flatten())
    net(Linear(1000), name="fc")
    return net.graph()


def _block(
    net: Network, width: int, expansion: int, stride: int, changes: bool, first_strided: bool
) -> None:
    """Two or three convolutions, added to the block's input, or to its projection if it changes."""
    start = net.last
    if expansion == BASIC:
        _conv_bn(net, 1, width, kernel=3, stride=stride)
        net(RELU)
        end = _conv_bn(net, 2, width, kernel=3)
    else:
        one, three = (stride, 1) if first_strided else (1, stride)
        _conv_bn(net, 1, width, stride=one)
        net(RELU)
        _conv_bn(net, 2, width, kernel=3, stride=three)
        net(RELU)
        end = _conv_bn(net, 3, width * expansion)
    if changes:
        with net.scope("downsample"):
            net(Conv(width * expansion, 1, stride=stride, bias=False), start, name="0")
            start = net(BatchNorm(), name="1")
    net(Add(), end, start)
    net(RELU)


def _conv_bn(net: Network, number: int, filters: int, *, kernel: int = 1, stride: int = 1) -> str:
    conv = Conv(filters, kernel, stride=stride, padding=kernel // 2, bias=False)
    net(conv, name=f"conv{number}")
    return net(BatchNorm(), name=f"bn{number}")
