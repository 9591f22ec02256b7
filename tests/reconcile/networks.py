"""Networks of claims that stand in no library, and models that need arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import netledger
from netledger import Graph
from netledger.builder import Network
from netledger.graph import Node
from netledger.ops import (
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Scale,
    Split,
)
from netledger.references import resolve

RELU, TANH = Activation("relu"), Activation("tanh")


def overfeat_fast() -> Graph:
    """Sermanet et al. (2013), table 1."""
    net = Network("overfeat-fast", (231, 231, 3))
    for i, (filters, kernel, stride, padding, pooled) in enumerate(
        (
            *((96, 11, 4, 0, True), (256, 5, 1, 0, True), (512, 3, 1, 1, False)),
            *((1024, 3, 1, 1, False), (1024, 3, 1, 1, True)),
        ),
        start=1,
    ):
        net(Conv(filters, kernel, stride=stride, padding=padding), name=f"conv{i}")
        net(RELU)
        if pooled:
            net(MaxPool(2), name=f"pool{i}")
    net(Flatten())
    for i, neurons in ((6, 3072), (7, 4096)):
        net(Linear(neurons), name=f"fc{i}")
        net(RELU)
    net(Linear(1000), name="fc8")
    return net.graph()


def nin() -> Graph:
    """Lin, Chen and Yan (2013), for ImageNet, as in Caffe's model zoo."""
    net = Network("nin", (224, 224, 3))
    for i, (filters, kernel, stride, padding, last) in enumerate(
        ((96, 11, 4, 0, 96), (256, 5, 1, 2, 256), (384, 3, 1, 1, 384), (1024, 3, 1, 1, 1000)),
        start=1,
    ):
        net(Conv(filters, kernel, stride=stride, padding=padding), name=f"conv{i}")
        net(RELU)
        net(Conv(filters, 1), name=f"cccp{2 * i - 1}")
        net(RELU)
        net(Conv(last, 1), name=f"cccp{2 * i}")
        net(RELU)
        net(MaxPool(3, stride=2) if i < 4 else GlobalAvgPool())
    return net.graph()


def lenet_caffe() -> Graph:
    """examples/mnist/lenet.prototxt."""
    net = Network("lenet-caffe", (28, 28, 1))
    for i, filters in ((1, 20), (2, 50)):
        net(Conv(filters, 5), name=f"conv{i}")
        net(MaxPool(2), name=f"pool{i}")
    net(Flatten())
    net(Linear(500), name="ip1")
    net(RELU)
    net(Linear(10), name="ip2")
    return net.graph()


TABLE_I = (
    *("012", "123", "234", "345", "045", "015"),
    *("0123", "1234", "2345", "0345", "0145", "0125", "0134", "1245", "0235", "012345"),
)
"""Which maps of S2 each map of C3 sees. LeCun et al. (1998), table I."""


def lenet5_1998() -> Graph:
    """The paper's network: trained subsampling, a sparse C3, fixed outputs."""
    net = Network("lenet5-1998", (32, 32, 1))
    net(Conv(6, 5), name="C1")
    net(TANH)
    net(AvgPool(2), name="S2")
    net(Scale(over=3), name="S2.coefficients")
    net(TANH)
    values = tuple(f"map{i}" for i in range(6))
    net.nodes.append(Node("maps", Split(1, axis=3), (net.last,), values))
    found = []
    for i, seen in enumerate(TABLE_I):
        net(Concat(), *(f"map{n}" for n in seen), name=f"C3.{i}.maps")
        found.append(net(Conv(1, 5), name=f"C3.{i}"))
    net(Concat(), *found, name="C3")
    net(TANH)
    net(AvgPool(2), name="S4")
    net(Scale(over=3), name="S4.coefficients")
    net(TANH)
    net(Conv(120, 5), name="C5")
    net.chain(TANH, Flatten())
    net(Linear(84), name="F6")
    net(TANH)
    net(Linear(10, bias=False), name="Output", trainable=False)
    return net.graph()


def vgg_c() -> Graph:
    """Simonyan and Zisserman (2014), configuration C: 1×1 where D has 3×3."""
    net = Network("vgg-c", (224, 224, 3))
    for stage, (filters, kernels) in enumerate(
        ((64, (3, 3)), (128, (3, 3)), (256, (3, 3, 1)), (512, (3, 3, 1)), (512, (3, 3, 1))), start=1
    ):
        for number, kernel in enumerate(kernels, start=1):
            net(Conv(filters, kernel, padding=kernel // 2), name=f"conv{stage}_{number}")
            net(RELU)
        net(MaxPool(2), name=f"pool{stage}")
    net(Flatten())
    for name, neurons in (("fc6", 4096), ("fc7", 4096), ("fc8", 1000)):
        net(Linear(neurons), name=name)
        net(RELU)
    return net.graph()


def cifar_resnet(depth: int) -> Graph:
    """He et al. (2015), section 4.2; shortcuts without parameters (option A)."""
    net = Network(f"resnet{depth}-cifar", (32, 32, 3))
    net(Conv(16, 3, padding=1, bias=False), name="conv1")
    net(BatchNorm(), name="bn1")
    net(RELU)
    for stage, width in enumerate((16, 32, 64), start=1):
        for number in range((depth - 2) // 6):
            with net.scope(f"layer{stage}.{number}"):
                start, stride = net.last, 2 if stage > 1 and number == 0 else 1
                net(Conv(width, 3, stride=stride, padding=1, bias=False), name="conv1")
                net(BatchNorm(), name="bn1")
                net(RELU)
                net(Conv(width, 3, padding=1, bias=False), name="conv2")
                end = net(BatchNorm(), name="bn2")
                if stride == 2:
                    half = net(MaxPool(1, stride=2), start)
                    start = net(Concat(), half, half)
                net(Add(), end, start)
                net(RELU)
    net(GlobalAvgPool())
    net(Linear(10), name="fc")
    return net.graph()


def fcn_resnet50() -> Any:
    """torchvision's, without weights, and so without the auxiliary head."""
    resolve("torchvision.models:alexnet")  # makes torchvision loadable where it is not
    import torch
    from torchvision.models.segmentation import fcn_resnet50 as make

    with torch.device("meta"):
        return make(weights=None, weights_backbone=None).eval()


def retinanet() -> Any:
    """torchvision's, without weights, and so without frozen normalisations; no boxes are chosen."""
    resolve("torchvision.models:alexnet")
    import torch
    from torchvision.models.detection import retinanet_resnet50_fpn as make

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = make(weights=None, weights_backbone=None)
            self.backbone, self.head = whole.backbone, whole.head

        def forward(self, x: Any) -> Any:
            found = self.head(list(self.backbone(x).values()))
            return found["cls_logits"], found["bbox_regression"]

    with torch.device("meta"):
        return netledger.read(Body().eval(), (3, 224, 224))


def named(name: str) -> Callable[[], Any]:
    """The function that makes a network."""
    cifar = re.fullmatch(r"resnet(\d+)", name)
    if cifar:
        return lambda: cifar_resnet(int(cifar[1]))
    made: Callable[[], Any] = globals()[name]
    return made
