"""AlexNet and its variants. Krizhevsky, Sutskever and Hinton (2012)."""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import Activation, Conv, Flatten, Linear, MaxPool, Softmax


def alexnet() -> Graph:
    """One tower without groups: 62,378,344 parameters."""
    net = Network("alexnet", (227, 227, 3), input_name="Input Image", title="AlexNet, one tower")
    relu, pool = Activation("relu"), MaxPool(3, stride=2)
    net(Conv(96, 11, stride=4), name="Conv-1")
    net(relu)
    net(pool, name="MaxPool-1")
    net(Conv(256, 5, padding=2), name="Conv-2")
    net(relu)
    net(pool, name="MaxPool-2")
    net(Conv(384, 3, padding=1), name="Conv-3")
    net(relu)
    net(Conv(384, 3, padding=1), name="Conv-4")
    net(relu)
    net(Conv(256, 3, padding=1), name="Conv-5")
    net(relu)
    net(pool, name="MaxPool-3")
    net(Flatten())
    net(Linear(4096), name="FC-1")
    net(relu)
    net(Linear(4096), name="FC-2")
    net(relu)
    net(Linear(1000), name="FC-3")
    net(Softmax(), name="Output")
    return net.graph()
