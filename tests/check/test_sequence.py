"""Rules about what follows what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import netledger
from netledger import Graph
from netledger.builder import Network
from netledger.check import check
from netledger.graph import BATCH
from netledger.ops import (
    Activation,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    Op,
    Opaque,
    PReLU,
    Scale,
    Softmax,
)

Chain = Callable[..., Graph]
Found = Callable[[Graph, str], list[str]]
MAP, FLAT = (16, 16, 3), (64,)
RELU = Activation("relu")


def codes(graph: Graph, but: str = "NL107") -> list[str]:
    return [finding.code for finding in check(graph, ignore=[but])]


@pytest.mark.parametrize(
    ("shape", "op", "wasted"),
    [
        (MAP, Conv(96, 3), "conv warning 96 biases wasted: batch_norm subtracts"),
        (MAP, Conv(1, 3), "conv warning 1 bias wasted"),
        (MAP, ConvTranspose(8, 2), "conv_transpose warning 8 biases wasted"),
        (FLAT, Linear(10), "linear warning 10 biases wasted"),
        (MAP, Conv(96, 3, bias=False), ""),
    ],
)
def test_a_bias_before_batch_norm(
    chain: Chain, found: Found, shape: tuple[int, ...], op: Op, wasted: str
) -> None:
    told = found(chain(shape, op, BatchNorm()), "NL111")
    assert [line.startswith(wasted) for line in told] == ([True] if wasted else [])


def test_the_biases_of_keras_resnet_50() -> None:
    """Keras gives each of the 53 convolutions a bias: 26,560 that BatchNorm takes away again."""
    graph = netledger.read("resnet50")
    nodes = tuple(
        replace(node, op=replace(node.op, bias=True)) if isinstance(node.op, Conv) else node
        for node in graph.nodes
    )
    biased = replace(graph, nodes=nodes, _by_name={})
    wasted = [int(f.message.split()[0].replace(",", "")) for f in check(biased, select=["NL111"])]
    assert len(wasted) == 53 and sum(wasted) == 26_560


@pytest.mark.parametrize(
    ("op", "wasted"),
    [
        (InstanceNorm(), True),
        (LayerNorm(), False),  # subtracts the mean over the features, not of each
        (GroupNorm(groups=2), False),
        (RELU, False),
        (BatchNorm(channels_last=False), False),  # other channels than the biases'
    ],
)
def test_which_normalisations_take_the_bias_away(
    chain: Chain, found: Found, op: Op, wasted: bool
) -> None:
    assert bool(found(chain(MAP, Conv(8, 3), op), "NL111")) is wasted


def test_a_bias_that_something_else_sees_is_not_wasted(found: Found) -> None:
    net = Network("two", MAP)
    x = net(Conv(8, 3))
    assert found(net.graph(net(BatchNorm(), x), x), "NL111") == []
    assert found(net.graph(net(BatchNorm(), x), net(RELU, x)), "NL111") == []


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (RELU, RELU, "ReLU directly after ReLU (relu): it changes nothing"),
        (Activation("sigmoid"), RELU, "it changes nothing"),
        (RELU, Activation("gelu"), "GELU directly after ReLU (relu): one of the two is probably"),
        (PReLU(), RELU, "one of the two is probably not meant"),
        (Activation("softplus"), Activation("tanh"), ""),  # a Mish in parts
        (Activation("exp"), RELU, ""),
        (RELU, Activation("clip"), ""),  # a ReLU6 in parts
        (RELU, Linear(64), ""),
    ],
)
def test_two_activations(chain: Chain, found: Found, first: Op, second: Op, told: str) -> None:
    lines = found(chain(FLAT, Linear(64), first, second), "NL112")
    assert [told in line for line in lines] == ([True] if told else [])


def test_dropout_does_not_come_between_two_activations(chain: Chain, found: Found) -> None:
    assert len(found(chain(FLAT, RELU, Dropout(), RELU), "NL112")) == 1


def test_two_softmaxes(chain: Chain, found: Found) -> None:
    assert found(chain(FLAT, Linear(10), Softmax(), Softmax()), "NL113") == [
        "softmax_2 warning softmax of the softmax softmax: its inputs all lie between 0 and 1, so "
        "its outputs are nearly equal and it learns badly"
    ]
    assert len(found(chain(FLAT, Linear(10), Softmax(), Softmax(log=True)), "NL113")) == 1
    assert found(chain(FLAT, Softmax(), Linear(10), Softmax()), "NL113") == []


def test_logits_behind_a_relu(chain: Chain, found: Found) -> None:
    assert found(chain(FLAT, Linear(10), RELU, Softmax()), "NL114") == [
        "softmax warning softmax of ReLU (relu): no logit can be below 0, so no class can be ruled "
        "out"
    ]
    assert found(chain(FLAT, Linear(10), Activation("tanh"), Softmax()), "NL114") == []
    assert found(chain(FLAT, RELU, Linear(10), Softmax()), "NL114") == []


def test_softmax_over_one_number(chain: Chain, found: Found) -> None:
    assert found(chain(FLAT, Linear(1), Softmax()), "NL115") == [
        "softmax error softmax over an axis of size 1: the output is always 1"
    ]
    assert "always 0" in found(chain(FLAT, Linear(1), Softmax(log=True)), "NL115")[0]
    assert found(chain(FLAT, Linear(2), Softmax()), "NL115") == []
    inside = chain(FLAT, Linear(1), Softmax(), Linear(3))  # attention over one token is no mistake
    assert found(inside, "NL115") == []


@pytest.mark.parametrize(
    ("what", "softmax", "told"),
    [
        ("aten::cross_entropy_loss", True, True),
        ("aten.cross_entropy_loss.default", True, True),
        ("SoftmaxWithLoss", True, True),
        ("SoftmaxWithLoss", False, False),
        ("MeanSquaredError", True, False),
    ],
)
def test_softmax_into_a_loss(found: Found, what: str, softmax: bool, told: bool) -> None:
    net = Network("loss", FLAT)
    x = net(Linear(10))
    x = net(Softmax()) if softmax else x
    net(Opaque(what, [(BATCH,)]), x, name="loss")
    assert found(net.graph(), "NL116") == (
        [f"loss warning {what} takes the softmax itself: here it is taken twice"] if told else []
    )


def test_the_logarithm_of_a_softmax(chain: Chain, found: Found) -> None:
    told = found(chain(FLAT, Linear(10), Softmax(), Activation("log")), "NL116")
    assert told == ["log warning the logarithm of the softmax softmax: small shares become −∞"]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (LayerNorm(), BatchNorm(), True),
        (BatchNorm(), BatchNorm(), True),
        (BatchNorm(), RELU, False),
        (BatchNorm(), Scale(), False),  # Caffe's batch normalisation in two layers
        (Scale(), BatchNorm(), False),
    ],
)
def test_two_normalisations(chain: Chain, found: Found, first: Op, second: Op, told: bool) -> None:
    assert bool(found(chain(FLAT, Linear(64), first, second), "NL117")) is told


def test_a_norm_that_a_residual_uses_too_is_meant(found: Found) -> None:
    # CLIP's vision tower: one before the blocks, one at the start of the first.
    net = Network("clip", FLAT)
    x = net(LayerNorm())
    assert found(net.graph(net(LayerNorm(), x), x), "NL117") == []


def test_dropout_at_the_end(chain: Chain, found: Found) -> None:
    assert found(chain(FLAT, Linear(10), Dropout(), Softmax()), "NL118") == [
        "dropout warning dropout on the outputs of the last layer, linear"
    ]
    assert len(found(chain(FLAT, Linear(10), Softmax(), Dropout()), "NL118")) == 1
    assert found(chain(FLAT, Dropout(), Linear(10)), "NL118") == []
    assert found(chain(FLAT, Linear(10), LayerNorm(), Dropout()), "NL118") == []  # T5's encoder


@pytest.mark.parametrize(
    ("middle", "between", "told"),
    [
        (100, (), True),
        (100, (Dropout(),), True),
        (10, (), True),
        (8, (), False),  # a factorisation in two narrow matrices
        (100, (RELU,), False),
    ],
)
def test_two_dense_layers(
    chain: Chain, found: Found, middle: int, between: tuple[Op, ...], told: bool
) -> None:
    lines = found(chain(FLAT, Linear(middle), *between, Linear(10)), "NL119")
    assert bool(lines) is told
    if told:
        assert lines[0].endswith("together they can do no more than one of 64 → 10")


def test_a_sound_network_has_no_findings(chain: Chain) -> None:
    graph = chain(
        (32, 32, 3),
        Conv(8, 3, padding=1, bias=False),
        BatchNorm(),
        RELU,
        Conv(8, 32, bias=False),
        BatchNorm(),
        RELU,
        Flatten(),
        Dropout(),
        Linear(10),
        Softmax(),
    )
    assert codes(graph, but="NL131") == []
