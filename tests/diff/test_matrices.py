"""A dense layer and a convolution by 1×1 on a map of size 1×1 are one and the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netledger.builder import Network
from netledger.diff.difference import Difference
from netledger.graph import Graph
from netledger.ops import Conv, Flatten, GlobalAvgPool, Linear, Op, Reduce

Proved = Callable[[Graph, Graph], Difference]


def classifier(*, dense: bool, last: bool, size: int = 8) -> Graph:
    """A convolution, the average of its map, and ten classes by a matrix, in either spelling."""
    net = Network("net", (size, size, 3) if last else (3, size, size), channels_last=last)
    net(Conv(16, 3, padding=1), name="stem")
    net(GlobalAvgPool(keepdims=not dense), name="average")
    if dense:
        net(Linear(10), name="fc")
    else:
        net(Conv(10, 1), name="fc_as_conv")
        net(Flatten(), name="flat")
    return net.graph()


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_they_are_the_same(proved: Proved, last: bool, other: bool) -> None:
    dense, kernels = classifier(dense=True, last=last), classifier(dense=False, last=other)
    for a, b in ((dense, kernels), (kernels, dense)):
        found = proved(a, b)
        assert found.empty
        assert not found.counting


def test_on_a_larger_map_they_are_not(proved: Proved) -> None:
    def net(dense: bool) -> Graph:
        made = Network("net", (2, 2, 3))
        made(*([Flatten()] if dense else [Conv(5, 2)]), name="first")
        made(Linear(5) if dense else Flatten(), name="second")
        return made.graph()

    found = proved(net(True), net(False))
    assert not found.empty  # the same parameters, and another way to them
    assert found.delta.params == 0


@pytest.mark.parametrize("last", [True, False])
def test_the_mean_over_a_map_is_a_global_pooling(proved: Proved, last: bool) -> None:
    def net(op: Op) -> Graph:
        made = Network("net", (8, 8, 3) if last else (3, 8, 8), channels_last=last)
        made(Conv(4, 3), name="conv")
        made(op, name="average")
        made(Linear(2), name="fc")
        return made.graph()

    axes = (1, 2) if last else (2, 3)
    assert proved(net(GlobalAvgPool()), net(Reduce(axes))).empty
    assert proved(net(Reduce(axes)), net(GlobalAvgPool())).empty
    assert not proved(net(GlobalAvgPool()), net(Reduce(axes, function="sum"))).empty
