"""Networks in Keras: the same function as in PyTorch, the round trip, files that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import NetledgerError, zoo
from netledger.build import write
from netledger.build.narrow import narrow
from netledger.builder import Network
from netledger.infer import infer
from netledger.ops import AvgPool, Conv, Embedding, Flatten, GroupNorm, Linear, RMSNorm, Scale

pytest.importorskip("torch")
keras = pytest.importorskip("keras")

Outputs = Callable[..., list[Any]]
Close = Callable[..., None]
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = ("lenet5", "alexnet-2012", "resnet18", "googlenet")
REST = [pytest.param(n, marks=pytest.mark.slow) for n in zoo.NETWORKS if n not in SAMPLE]


@pytest.mark.parametrize("name", SAMPLE)
def test_one_function_in_two_frameworks(name: str, outputs: Outputs, close: Close) -> None:
    """A fraction of the channels; `test_agreement.py` has the whole networks."""
    graph = narrow(zoo.load(name), 0.25)
    close(outputs(graph, "torch"), outputs(graph, "keras"))


@pytest.mark.parametrize("name", [*SAMPLE, *REST])
def test_the_round_trip_is_empty(name: str, tmp_path: Path) -> None:
    """Live, and through a saved file."""
    graph = zoo.load(name) if name not in SAMPLE else narrow(zoo.load(name), 0.25)
    model = netledger.build(graph, "keras")
    totals = infer(graph).totals
    assert model.count_params() == totals.params + totals.buffers
    read = netledger.read(model)
    found = netledger.diff(graph, read)
    assert found.empty, [cause.text for cause in found.causes]
    model.save(tmp_path / "net.keras")
    found = netledger.diff(graph, netledger.read(tmp_path / "net.keras"))
    assert found.empty, [cause.text for cause in found.causes]


def test_the_paper_s_initialisation() -> None:
    keras.utils.set_random_seed(0)
    model = netledger.build(narrow(zoo.load("alexnet-2012"), 0.25), "keras")
    for layer in model.layers:
        if layer.weights:
            kernel, bias = (w.value.detach() for w in layer.weights)
            assert abs(kernel.std().item() - 0.01) < 0.001 and abs(kernel.mean().item()) < 1e-3
            ones = ("Conv-2", "Conv-4", "Conv-5", "FC-1", "FC-2")
            assert (bias == float(layer.name in ones)).all()


def test_weights_come_back_as_they_went_in(target: Any, weights: Any) -> None:
    net = Network("all", (9, 9, 4))
    net(Conv(6, 3, groups=2), name="conv")
    net(GroupNorm(groups=3), name="group")
    net(Scale(-1), name="scale")
    net(Flatten())
    net(Linear(5), name="fc")
    net(RMSNorm(), name="rms")
    graph = net.graph()
    builder, given = target("keras"), weights(graph)
    model = builder.make(graph)
    builder.load(model, graph, given)
    back = builder.weights(model, graph)
    assert back.keys() == given.keys()
    assert all((back[key] == given[key]).all() for key in given)


def test_what_only_other_layers_have(outputs: Outputs, close: Close) -> None:
    net = Network("norms", (9, 9, 6))
    net.chain(GroupNorm(groups=3, epsilon=0.01), Scale(-1), Scale(3, center=False), Flatten())
    net.chain(Linear(8), RMSNorm(epsilon=0.1))
    close(outputs(net.graph(), "torch"), outputs(net.graph(), "keras"))


def test_a_table_of_words(target: Any) -> None:
    import numpy as np

    net = Network("words", (7,), dtype="int64")
    net(Embedding(20, 4), name="table")
    graph = net.graph()
    table = np.arange(80, dtype="float32").reshape(20, 4)
    for name in ("torch", "keras"):
        builder = target(name)
        model = builder.make(graph)
        builder.load(model, graph, {("table", "weight"): table})
        (made,) = builder.run(model, graph, [np.array([[0, 1, 19, 3, 2, 1, 0]])])
        assert (made[0, 2] == table[19]).all()


def test_an_average_that_keras_cannot_take() -> None:
    net = Network("n", (10, 10, 3))
    net(AvgPool(3, stride=2, padding=1, rounding="ceil_clipped"), name="mean")
    with pytest.raises(NetledgerError, match=r"mean \(AvgPool\): Keras cannot"):
        write(net.graph(), "keras")
