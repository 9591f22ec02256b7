"""VGG. Simonyan and Zisserman, "Very deep convolutional networks …" (2014)."""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import Activation, Conv, Dropout, Flatten, Linear, MaxPool, Softmax

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""For each stage of configuration D: kernels, and how many convolutions."""


def vgg16() -> Graph:
    """Configuration D of the paper: 138,357,544 parameters."""
    net = Network("vgg16", (224, 224, 3), title="VGG-16, configuration D")
    relu = Activation("relu")
    for stage, (filters, depth) in enumerate(STAGES, start=1):
        for number in range(1, depth + 1):
            net(Conv(filters, 3, padding=1), name=f"conv{stage}_{number}")
            net(relu)
        net(MaxPool(2), name=f"pool{stage}")
    net(Flatten())
    for name in ("fc6", "fc7"):
        net(Linear(4096), name=name)
        net.chain(relu, Dropout(0.5))
    net(Linear(1000), name="fc8")
    net(Softmax(), name="prob")
    return net.graph()
