"""Each kind of cause by example, and random edits of random networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netledger.builder import Network
from netledger.diff.difference import Difference, compare
from netledger.edits import Insert, Remove, SetField, apply
from netledger.errors import NetledgerError
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ops import (
    Activation,
    Add,
    BatchNorm,
    Concat,
    Conv,
    DepthwiseConv,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Inventory,
    Linear,
    MaxPool,
    Opaque,
    Pad,
)

Proved = Callable[[Graph, Graph], Difference]


def residual(
    *,
    names: str = "",
    last: bool = True,
    bias: bool = False,
    norm: dict[str, Any] | None = None,
    pad: bool = False,
    swapped: bool = False,
    trainable: bool = True,
    classes: int = 10,
    size: Any = 16,
) -> Graph:
    """Two residual blocks, in many spellings."""
    shape = (size, size, 3) if last else (3, size, size)
    net = Network(f"net{names}", shape, channels_last=last)
    net(Conv(8, 3, padding=1, bias=bias), name=f"{names}stem")
    for number in range(2):
        start = net.last
        if swapped:
            side = net(Conv(8, 1, bias=bias), start, name=f"{names}side{number}")
        if pad:
            net(Pad(1), start)
            net(Conv(8, 3, bias=bias), name=f"{names}a{number}")
        else:
            net(Conv(8, 3, padding=1, bias=bias), start, name=f"{names}a{number}")
        if norm is not None:
            net(BatchNorm(**norm), name=f"{names}norm{number}")
        net(Activation("relu"))
        main = net(Conv(8, (3, 3), padding="same" if names else 1), name=f"{names}b{number}")
        if not swapped:
            side = net(Conv(8, 1, bias=bias), start, name=f"{names}side{number}")
        net(Add(), *((side, main) if swapped else (main, side)))
    net(GlobalAvgPool())
    net(Linear(classes), name=f"{names}fc", trainable=trainable)
    return net.graph()


def kinds(found: Difference) -> list[tuple[str, int]]:
    return [(cause.kind, cause.delta.params) for cause in found.causes]


@pytest.mark.parametrize(
    "other", [{"last": False}, {"names": "x_"}, {"swapped": True}, {"last": False, "names": "y"}]
)
def test_layouts_names_spellings_and_order_are_no_difference(
    proved: Proved, other: dict[str, Any]
) -> None:
    for first, second in ((residual(), residual(**other)), (residual(**other), residual())):
        found = proved(first, second)
        assert found.empty
        assert not found.causes
        assert bool(found.notes) is not (set(other) == {"swapped"})


def test_biases_before_normalisation(proved: Proved) -> None:
    found = proved(residual(norm={}), residual(norm={}, bias=True, last=False))
    (cause,) = found.causes
    assert (cause.kind, cause.delta.params) == ("bias", 5 * 8)
    one = Network("one", (8, 8, 3))
    one(Conv(4, 3, bias=False), name="conv")
    one(BatchNorm())
    (cause,) = proved(one.graph(), apply(one.graph(), SetField("conv", "bias", True))).causes
    assert cause.text == "biases before normalisation in conv"


def test_normalisation(proved: Proved) -> None:
    assert kinds(proved(residual(), residual(norm={}))) == [("normalisation", 32)]
    found = proved(residual(norm={}), residual(norm={"scale": False}))
    assert kinds(found) == [("norm-affine", -16)]
    found = proved(residual(norm={}), residual(norm={"running_stats": False}))
    assert kinds(found) == [("buffers", 0)]
    assert found.delta.buffers == -32


def test_padding_as_a_layer_of_its_own(proved: Proved) -> None:
    found = proved(residual(), residual(pad=True))
    (cause,) = found.causes
    assert (cause.kind, cause.counts, cause.ignorable) == ("spelling", False, True)
    assert cause.text.startswith("Pad ×2 added; padding 0 instead of 1 in ")
    assert found.empty


def test_classes_freezing_and_input(proved: Proved) -> None:
    assert kinds(proved(residual(), residual(classes=7))) == [("classes", -27)]
    (cause,) = proved(residual(), residual(trainable=False)).causes
    assert (cause.kind, cause.delta.frozen, cause.delta.trainable) == ("frozen", 90, -90)
    (cause,) = proved(residual(), residual(size=32, last=False)).causes
    assert (cause.kind, cause.text) == ("input-size", "input 32×32×3 instead of 16×16×3")


def test_sizes_that_are_symbols() -> None:
    a, b = (residual(size=symbol("S"), bias=bias) for bias in (False, True))
    found = compare(infer(a), infer(b))
    assert [(c.kind, c.delta.params) for c in found.causes] == [("bias", 40)]
    wider = compare(infer(a), infer(apply(a, SetField("stem", "out_channels", 16))))
    (cause,) = wider.causes
    assert cause.delta == wider.delta
    assert "S" in str(cause.delta.macs)


def test_shared_parameters(proved: Proved) -> None:
    net = Network("tied", {"tokens": (6,)}, dtype="int64")
    net(Embedding(50, 8), name="embed")
    net(Linear(50, bias=False), name="head")
    graph = net.graph()
    tied = replace(graph, ties=((("embed", "weight"), ("head", "weight")),), _by_name={})
    (cause,) = proved(graph, tied).causes
    assert (cause.kind, cause.delta.params) == ("tied-embedding", -400)
    assert cause.text == "embed.weight, head.weight are shared"
    (cause,) = proved(tied, graph).causes
    assert cause.delta.params == 400


def test_a_depthwise_convolution_is_one_in_groups(proved: Proved) -> None:
    def net(conv: Any) -> Graph:
        made = Network("depthwise", (8, 8, 6))
        made(conv, name="conv")
        return made.graph()

    depthwise = net(DepthwiseConv(3, padding=1))
    assert not proved(depthwise, net(Conv(6, 3, padding=1, groups=6))).causes
    (cause,) = proved(depthwise, net(Conv(6, 3, padding=1, groups=2))).causes
    assert (cause.kind, cause.delta.params) == ("groups", 108)


def test_what_does_nothing_is_no_difference(proved: Proved) -> None:
    graph = residual()
    found = proved(graph, apply(graph, Insert("drop", Dropout(), ("global_avg_pool",))))
    assert found.empty
    assert found.delta.activations == 8
    assert [cause.ignorable for cause in found.causes] == [True]


def test_what_no_rule_describes(proved: Proved) -> None:
    def net(size: int) -> Graph:
        made = Network("opaque", (8,))
        made(Opaque("Mystery", ((BATCH, size),)), name="mystery")
        made(Linear(2), name="fc")
        return made.graph()

    assert proved(net(4), net(4)).empty
    found = proved(net(4), net(6))
    assert not found.empty
    assert found.delta.params == 4


def test_a_branch(proved: Proved) -> None:
    def net(branches: int) -> Graph:
        made = Network("inception", (8, 8, 3))
        x = made(Conv(8, 1), name="stem")
        made(Concat(), *[made(Conv(4, 3, padding=1), x, name=f"b{i}") for i in range(branches)])
        made(GlobalAvgPool())
        made(Linear(10), name="fc")
        return made.graph()

    found = proved(net(2), net(3))
    assert found.delta.params == 4 * 72 + 4 + 40
    assert found.causes[0].kind == "depth"
    assert found.causes[0].text == "1 layer with weights (b2) added"


def test_layers_with_no_counterpart_at_all(proved: Proved) -> None:
    lone = Network("lone", {"tokens": (6,)}, dtype="int64")
    lone(Embedding(50, 8), name="embed")
    proved(residual(), lone.graph())
    proved(lone.graph(), residual())


def test_a_file_without_a_graph() -> None:
    ledger = infer(residual(norm={}))
    tensors = {
        row.name: tuple((p.name, p.role, p.shape, p.dtype, None) for p in row.parameters)
        for row in ledger.ops
        if row.parameters
    }

    def inventory(found: dict[str, Any]) -> Graph:
        nodes = [Node(name, Inventory(tensors=listed)) for name, listed in found.items()]
        return Graph("file", {}, tuple(nodes))

    found = compare(ledger, infer(inventory(tensors)))
    assert found.empty
    assert sum(cause.delta.macs for cause in found.causes) == -ledger.totals.macs
    renamed = inventory({f"model.{name}": listed for name, listed in tensors.items()})
    assert compare(infer(renamed), ledger).empty
    less = {name: listed for name, listed in tensors.items() if name != "norm0"}
    other = compare(ledger, infer(inventory(less)))
    (cause,) = other.counting
    assert (cause.text, cause.delta.params) == ("other tensors in norm0", -16)
    assert sum(c.delta.activations for c in other.causes) == other.delta.activations


def test_thousands_of_layers() -> None:
    def net(blocks: int, bias: bool, name: str) -> Graph:
        made = Network("deep", (8, 8, 4))
        for number in range(blocks):
            with made.scope(f"{name}{number}"):
                start = made.last
                made(Conv(4, 3, padding=1, bias=bias), name="conv1")
                made(BatchNorm(), name="bn1")
                made(Activation("relu"))
                made(Add(), made(Conv(4, 3, padding=1), name="conv2"), start)
        return made.graph()

    a, b = infer(net(1000, False, "a")), infer(net(996, True, "layer"))
    found = compare(a, b)
    assert [cause.kind for cause in found.causes] == ["depth", "bias"]
    assert [cause.delta.params for cause in found.causes] == [-4 * (2 * 144 + 4 + 8), 996 * 4]
    assert compare(a, a).empty


FIELDS = {
    "out_channels": [2, 4, 6],
    "kernel_size": [1, 3, (3, 1)],
    "stride": [1, 2],
    "padding": [0, 1, "same", ((1, 0), (0, 1))],
    "bias": [True, False],
    "groups": [1, 2],
    "out_features": [2, 5],
    "scale": [True, False],
    "running_stats": [True, False],
    "channels_last": [True],
}
INSERTED = [
    Conv(4, 3, padding=1),
    Conv(2, 1, bias=False),
    MaxPool(2),
    BatchNorm(),
    Activation("tanh"),
    Dropout(),
    Flatten(),
    Linear(3),
]


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    net = Network("random", (12, 12, 2))
    for number in range(draw(st.integers(1, 7))):
        op = draw(st.sampled_from(INSERTED[:6]))
        before = net.last
        net(op, name=f"l{number}" if draw(st.booleans()) else "")
        if draw(st.integers(0, 3)) == 0:
            net(Concat(), net.last, net(op, before))
    if draw(st.booleans()):
        net(Flatten())
    net(Linear(draw(st.sampled_from([2, 5]))), name="fc")
    return net.graph()


@st.composite
def edited(draw: st.DrawFn, graph: Graph) -> Graph:
    """A network after some random edits that leave it a network."""
    for number in range(draw(st.integers(1, 4))):
        if not graph.nodes:
            break
        node = draw(st.sampled_from(graph.nodes))
        own = sorted(set(FIELDS) & set(node.op.rules))
        what = draw(st.sampled_from(["insert", "remove", "input", *(["set"] * 3 if own else [])]))
        edits: list[Any] = []
        if what == "insert":
            edits = [Insert(f"new{number}", draw(st.sampled_from(INSERTED)), (node.name,))]
        elif what == "remove":
            edits = [Remove(node.name)]
        elif what == "set":
            name = draw(st.sampled_from(own))
            edits = [SetField(node.name, name, draw(st.sampled_from(FIELDS[name])))]
        else:
            shape = (BATCH, draw(st.sampled_from([9, 16])), 12, draw(st.sampled_from([2, 4])))
            graph = graph.with_inputs({"input": TensorType(shape)})
        try:
            changed = apply(graph, *edits)
            infer(changed)
        except NetledgerError:
            continue
        graph = changed
    return graph


def infers(graph: Graph) -> bool:
    try:
        infer(graph)
    except NetledgerError:
        return False
    return True


def sums_hold(a: Graph, b: Graph) -> None:
    found = compare(infer(a), infer(b))
    for name in found.delta._fields:
        parts = [getattr(cause.delta, name) for cause in found.causes]
        assert sum(parts) == getattr(found.delta, name)
        if name in infer(a).totals.to_dict():
            assert sum(parts) == getattr(found.b.totals, name) - getattr(found.a.totals, name)
    assert not [cause for cause in found.causes if cause.kind == "recorded"]


RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@RELAXED
@given(st.data())
def test_the_causes_of_random_edits_add_up(data: st.DataObject) -> None:
    graph = data.draw(networks().filter(infers))
    other = data.draw(edited(graph).filter(infers))
    sums_hold(graph, other)
    sums_hold(other, graph)
    assert compare(infer(graph), infer(graph)).empty


@RELAXED
@given(networks().filter(infers), networks().filter(infers))
def test_the_causes_between_random_networks_add_up(a: Graph, b: Graph) -> None:
    sums_hold(a, b)
