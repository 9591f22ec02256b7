"""LeNet-5. LeCun, Bottou, Bengio and Haffner, "Gradient-based learning …" (1998)."""

from __future__ import annotations

from netledger.builder import Network
from netledger.graph import Graph
from netledger.ops import Activation, AvgPool, Conv, Flatten, Linear


def lenet5() -> Graph:
    """As it is built today, with plain poolings and every map connected: 61,706 parameters."""
    net = Network("lenet5", (32, 32, 1), input_name="Input", title="LeNet-5, as built today")
    tanh, pool = Activation("tanh"), AvgPool(2)
    for filters, conv, subsampling in ((6, "C1", "S2"), (16, "C3", "S4")):
        net(Conv(filters, 5), name=conv)
        net(tanh)
        net(pool, name=subsampling)
    net(Conv(120, 5), name="C5")
    net.chain(tanh, Flatten())
    net(Linear(84), name="F6")
    net(tanh)
    net(Linear(10), name="Output")
    return net.graph()
