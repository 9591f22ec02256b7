"""Many variants at once: equal to the same networks counted one by one, or refused."""

from __future__ import annotations

import builtins
import random

import numpy as np
import pytest

from netledger import infer, zoo
from netledger.builder import Network
from netledger.errors import FieldError, MissingPackage, NetledgerError, UnknownName, UsageError
from netledger.graph import TensorType
from netledger.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Opaque,
    Reshape,
)
from netledger.variants import COUNTS, variants


def one_by_one(graph, changes, i):
    """The totals of variant `i`, through plain ints."""
    for (name, what), values in changes.items():
        value = int(values[i])
        if isinstance(what, str):
            graph = graph.with_fields(name, **{what: value})
        else:
            t = graph.inputs[name]
            shape = tuple(value if k == what else d for k, d in enumerate(t.shape))
            graph = graph.with_inputs({name: TensorType(shape, t.dtype)})
    try:
        totals = infer(graph, batch=1).totals
    except NetledgerError:
        return dict.fromkeys(COUNTS, -1)
    return {name: getattr(totals, name) for name in COUNTS}


def branches():
    net = Network("branches", (24, 24, 8))
    a = net(Conv(16, 3, padding=1, groups=2), name="a")
    b = net(Conv(16, 3, stride=1, padding=1), "input", name="b")
    net(Add(), a, b, name="sum")
    net(BatchNorm(), name="norm")
    c = net(MaxPool(3, stride=2, padding=1), name="pool")
    d = net(DepthwiseConv(3, 2, stride=2, padding=1), "norm", name="d")
    net(Concat(axis=-1), c, d, name="join")
    net(ConvTranspose(8, 4, stride=2, padding=1), name="up")
    net(AvgPool(3, stride=2, padding=1, rounding="ceil_clipped"), name="small")
    net(GlobalAvgPool(), name="global")
    net(Linear(10), name="fc")
    return net.graph()


RANGES = [
    (
        zoo.load("alexnet"),
        {
            ("Conv-1", "out_channels"): (1, 200),
            ("Conv-1", "kernel_size"): (1, 13),
            ("Conv-1", "stride"): (1, 5),
            ("Conv-2", "padding"): (0, 4),
            ("MaxPool-3", "kernel_size"): (1, 7),
            ("FC-1", "out_features"): (1, 9000),
            ("Input Image", 1): (60, 300),
            ("Input Image", 2): (20, 300),
            ("Input Image", 3): (1, 5),
        },
    ),
    (
        branches(),
        {
            ("a", "out_channels"): (16, 17),
            ("b", "out_channels"): (16, 17),
            ("a", "groups"): (1, 3),
            ("b", "groups"): (1, 2),
            ("pool", "kernel_size"): (2, 3),
            ("d", "depth_multiplier"): (1, 4),
            ("up", "stride"): (1, 3),
            ("small", "stride"): (1, 3),
            ("input", 1): (3, 40),
        },
    ),
    (
        zoo.load("resnet18"),
        {("fc", "out_features"): (1, 2000), ("input", 1): (32, 256), ("conv1", "stride"): (1, 3)},
    ),
]


@pytest.mark.parametrize(("graph", "ranges"), RANGES, ids=["alexnet", "branches", "resnet18"])
def test_every_variant_equals_the_network_counted_alone(graph, ranges):
    rng = np.random.default_rng(1912)
    count = 300 if len(graph.nodes) < 40 else 30
    changes = {key: rng.integers(low, high + 1, count) for key, (low, high) in ranges.items()}
    found = variants(graph, changes, chunk=64)
    for i in range(count):
        expected = one_by_one(graph, changes, i)
        assert {name: int(found[name][i]) for name in COUNTS} == expected
        assert bool(found["possible"][i]) is (expected["macs"] >= 0)


def test_both_possible_and_impossible_variants_occur_above():
    rng = np.random.default_rng(1912)
    for graph, ranges in RANGES[:2]:
        changes = {key: rng.integers(low, high + 1, 300) for key, (low, high) in ranges.items()}
        share = variants(graph, changes)["possible"].mean()
        assert 0.05 < share < 0.95


def test_the_chunk_makes_no_difference():
    rng = random.Random(3)
    changes = {("Conv-3", "out_channels"): [rng.randint(1, 999) for _ in range(100)]}
    whole = variants(zoo.load("alexnet"), changes)
    parts = variants(zoo.load("alexnet"), changes, chunk=7)
    assert all((whole[name] == parts[name]).all() for name in (*COUNTS, "possible"))


def test_a_single_value_serves_for_all_variants():
    changes = {("Conv-1", "kernel_size"): 7, ("Input Image", 1): [224, 227, 230]}
    assert variants(zoo.load("alexnet"), changes)["params"].shape == (3,)


ALEXNET = zoo.load("alexnet")
REFUSED = [
    ({}, UsageError, "nothing varies"),
    ({("Conv-9", "stride"): [1]}, UnknownName, "unknown layer 'Conv-9'"),
    ({("Conv-1", "strid"): [1]}, UnknownName, "unknown field of Conv 'strid'"),
    ({("Conv-1", "stride"): [0, 1]}, FieldError, "stride must be an integer of at least 1"),
    ({("Conv-1", "stride"): [1.5]}, UsageError, "must be whole numbers in a row"),
    ({("Conv-1", "stride"): [[1], [2]]}, UsageError, "must be whole numbers in a row"),
    ({("Conv-1", "stride"): [1, 2], ("Conv-2", "stride"): [1]}, UsageError, "different lengths"),
    ({("Conv-1", "stride"): []}, UsageError, "must be whole numbers|different lengths"),
    ({("Input Image", 0): [2]}, UsageError, "no axis 0"),
    ({("Input Image", 9): [2]}, UsageError, "no axis 9"),
    ({("Input Image", 1): [0]}, UsageError, "a size must be at least 1"),
    ({("Conv-1", "bias"): [0, 1]}, FieldError, "bias must be true or false"),
    ({("FC-1", "out_features"): [2**63]}, UsageError, "pass 2\\^63"),
    ({("FC-1", "out_features"): [2**61]}, NetledgerError, "could pass 2\\^63"),
    ({("Conv-1", "out_channels"): [2**60]}, NetledgerError, "could pass"),
]


@pytest.mark.parametrize(("changes", "error", "says"), REFUSED)
def test_what_cannot_be_varied_is_refused(changes, error, says):
    with pytest.raises(error, match=says):
        variants(ALEXNET, changes)


def test_a_count_near_the_limit_is_exact_and_one_beyond_is_refused():
    net = Network("wide", (1,))
    net(Linear(1, bias=False), name="fc")
    graph = net.graph()
    assert variants(graph, {("fc", "out_features"): [2**62]})["params"][0] == 2**62
    with pytest.raises(NetledgerError, match="could pass"):
        variants(graph, {("fc", "out_features"): [2**62], ("input", 1): [2]})


def test_layers_without_counts_are_refused():
    net = Network("unknown", (8, 8, 3))
    net(Conv(4, 3), name="c")
    net(Opaque("Mystery", ((1, 2),)), name="m")
    with pytest.raises(UsageError, match="m: no rule gives its counts"):
        variants(net.graph(), {("c", "out_channels"): [4]})


def test_a_reshape_that_fits_some_variants_only():
    net = Network("reshape", (8, 8, 3))
    net(Flatten())
    net(Reshape((16, -1)), name="r")
    changes = {("input", 3): [1, 2, 3], ("input", 1): [8, 9, 6]}
    found = variants(net.graph(), changes)
    assert found["possible"].tolist() == [True, True, True]
    assert variants(net.graph(), {("input", 1): [7, 8]})["possible"].tolist() == [False, True]


def test_without_numpy_the_install_command_is_said(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **values):
        if name == "numpy":
            raise ImportError(name)
        return real(name, *args, **values)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingPackage, match=r"pip install 'netledger\[numpy\]'"):
        variants(ALEXNET, {("Conv-1", "stride"): [4]})
