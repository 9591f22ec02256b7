"""Rules about what is not used, frozen or tied; about sizes and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import netledger
from netledger import Graph
from netledger.builder import Network
from netledger.check import check
from netledger.graph import Parameter, Recorded, TensorType
from netledger.ops import (
    Activation,
    Add,
    BatchNorm,
    Constant,
    Conv,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Linear,
    Op,
    Tensor,
)

Chain = Callable[..., Graph]
Found = Callable[[Graph, str], list[str]]
RELU = Activation("relu")


def test_layers_that_lead_to_no_output(found: Found) -> None:
    net = Network("dead", (64,))
    x = net(Linear(64), name="body")
    net(Linear(100), name="head")
    net.chain(RELU, Linear(10))
    graph = net.graph(x)
    assert found(graph, "NL121") == [
        "head warning this layer and 2 others after it lead to no output of the network: 7,510 "
        "parameters and 7,400 MACs for nothing"
    ]


def test_groups_of_dead_layers_that_meet_are_one(found: Found) -> None:
    net = Network("dead", (64,))
    x = net(RELU)
    a, b = net(Linear(8), x, name="a"), net(Linear(8), x, name="b")
    net(Add(), a, b)
    net(Linear(8), x, name="alone")
    told = found(net.graph(x), "NL121")
    assert [line.split()[0] for line in told] == ["a", "alone"]
    assert "2 others" in told[0] and "this layer leads" in told[1]


def test_a_parameter_that_is_never_used(found: Found) -> None:
    net = Network("unused", (64,))
    net(Tensor((1, 64)), name="class_token")
    net(Constant((3,)), name="positions")  # what costs nothing is what exporters leave over
    net(RELU)
    x = net(Linear(10), "input")
    assert found(net.graph(x), "NL121") == [
        "class_token warning this layer leads to no output of the network: 64 parameters for "
        "nothing"
    ]


def test_without_outputs_nothing_is_called_dead(found: Found) -> None:
    net = Network("open", (64,))
    net(Linear(10))
    assert found(replace(net.graph(), outputs=(), _by_name={}), "NL121") == []


def test_an_input_that_is_not_used(found: Found) -> None:
    net = Network("inputs", {"image": (64,), "mask": (64,)})
    net(Linear(10), "image")
    assert found(net.graph(), "NL122") == ["mask warning no layer takes this input"]


def test_a_partly_frozen_layer(chain: Chain, found: Found) -> None:
    weight = Parameter("weight", "weight", (10, 64), trainable=False)
    bias = Parameter("bias", "bias", (10,))

    class Frozen(Linear):
        def parameters(self, *inputs: object) -> tuple[Parameter, ...]:
            return (weight, bias)

    assert found(chain((64,), Frozen(10)), "NL123") == ["frozen info weight is frozen, bias is not"]
    assert found(chain((64,), Linear(10), BatchNorm()), "NL123") == []  # buffers are not frozen


def test_odd_ties(found: Found) -> None:
    def tied(*ops: Op, parts: tuple[str, str] = ("weight", "weight")) -> list[str]:
        net = Network("tied", (64,))
        names = [net(op) for op in ops]
        net.tie((names[0], parts[0]), (names[-1], parts[1]))
        return found(net.graph(), "NL124")

    assert tied(Linear(64), Linear(64)) == []
    assert tied(Linear(32), Linear(64)) == []  # a transposed matrix
    assert tied(Linear(64), RELU, Linear(64), parts=("weight", "bias")) == [
        "linear_2 warning bias is tied to linear.weight, but one is a weight, the other a bias"
    ]
    assert tied(Linear(64), Linear(10)) == [
        "linear_2 warning weight is tied to linear.weight, but their shapes are 64×64 and 10×64"
    ]


def test_an_embedding_tied_to_the_output_is_fine(found: Found) -> None:
    net = Network("lm", (12,), dtype="int64")
    embedding = net(Embedding(1000, 64))
    output = net(Linear(1000, bias=False))
    net.tie((embedding, "weight"), (output, "weight"))
    assert found(net.graph(), "NL124") == []


def test_dense_layers_hold_most(found: Found) -> None:
    """The Keras listing as printed: without the third pooling, FC-1 has 177 million."""
    assert found(netledger.read("alexnet-keras-flatten"), "NL131") == [
        "FC-1 info FC-1, FC-2 and FC-3, fully connected, hold 198,091,752 of 201,838,952 "
        "parameters (98 %); FC-1 alone 177,213,440, fed by 43,264 numbers"
    ]


def test_after_a_global_pooling_there_is_nothing_to_pool(chain: Chain, found: Found) -> None:
    stem, head = Conv(8, 3), Linear(1000)
    assert found(chain((32, 32, 3), stem, GlobalAvgPool(), head), "NL131") == []
    assert len(found(chain((32, 32, 3), stem, Flatten(), head), "NL131")) == 1
    assert found(chain((64,), Linear(1000)), "NL131") == []  # no convolution
    squeeze = (GlobalAvgPool(keepdims=True), Conv(999, 1), RELU, Conv(8, 1))
    assert found(chain((32, 32, 3), stem, *squeeze), "NL131") == []


def test_towers_that_stay_apart(chain: Chain, found: Found) -> None:
    assert found(netledger.read("alexnet-2012"), "NL132") == [
        "Conv-5 info 2 groups, as in Conv-4, and nothing mixes them in between: the 2 towers stay "
        "apart over both layers"
    ]
    assert found(netledger.read("alexnet"), "NL132") == []
    depthwise = Conv(8, 3, groups=8)
    assert found(chain((32, 32, 8), depthwise, depthwise), "NL132") == []
    grouped = Conv(8, 3, groups=2)
    assert found(chain((32, 32, 8), grouped, Conv(8, 1), grouped), "NL132") == []


def test_float64(chain: Chain, found: Found) -> None:
    assert found(chain((64,), Linear(10), dtype="float64"), "NL133") == [
        "input warning 1 input is in float64",
        "linear warning 1 layer has parameters in float64",
    ]
    assert found(chain((64,), Linear(10)), "NL133") == []


def test_mixed_dtypes(found: Found) -> None:
    def stored(*dtypes: str) -> list[str]:
        net = Network("mixed", (64,))
        for i, dtype in enumerate(dtypes):
            net(Tensor((64, 64) if i < 3 else (64,), to=dtype), name=f"w{i}")
        return found(net.graph(), "NL134")

    assert stored("float16", "float32", "float16") == [
        "w1 info weight matrices in several dtypes: 2 in float16, 1 in float32"
    ]
    assert stored("float16", "float16", "float16", "float32") == []  # vectors may be wider


def test_books_that_do_not_balance_are_findings_too() -> None:
    """The blog's "Conv-5 changes the size back to 27×27×256": the rule gives 13×13×256."""
    graph = netledger.read("alexnet")
    said = Recorded(outputs=(TensorType((*graph.inputs["Input Image"].shape[:1], 27, 27, 256)),))
    nodes = tuple(
        replace(n, recorded=said) if n.name == "Conv-5" else n
        for n in graph.nodes
        if graph.nodes.index(n) <= [m.name for m in graph.nodes].index("Conv-5")
    )
    blog = Graph("blog", graph.inputs, nodes, ("Conv-5",))
    (finding,) = check(blog, select=["NL001"])
    assert (finding.level, finding.row) == ("error", "Conv-5")
    assert "the rule gives float32[N, 13, 13, 256]" in finding.message
    assert "the source says float32[N, 27, 27, 256]" in finding.message
