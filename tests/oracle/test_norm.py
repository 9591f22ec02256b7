"""Normalisations and pointwise operations against PyTorch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from netledger.ops import (
    FUNCTIONS,
    GLU,
    Activation,
    Add,
    BatchNorm,
    Compare,
    Divide,
    Dropout,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Maximum,
    Minimum,
    Multiply,
    Power,
    PReLU,
    RMSNorm,
    Softmax,
    Subtract,
    Where,
)

pytestmark = pytest.mark.oracle


def a_map(rng: random.Random, least: int = 2) -> tuple[int, ...]:
    return tuple(rng.randint(2, 7) for _ in range(rng.randint(least, 5)))


def test_batch_norm(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("batch", 200):
        x, last, affine, track = a_map(rng), *(rng.random() < 0.5 for _ in range(3))
        cls = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(x) - 2]
        oracle.compare(
            BatchNorm(scale=affine, center=affine, running_stats=track, channels_last=last),
            (x,),
            lambda cls=cls, c=x[1], a=affine, t=track: cls(c, affine=a, track_running_stats=t),
            last=last,
        )
    oracle.both_sides(200)


def test_instance_norm(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("instance", 200):
        x, last, affine, track = a_map(rng, 3), *(rng.random() < 0.5 for _ in range(3))
        cls = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[len(x) - 3]
        oracle.compare(
            InstanceNorm(scale=affine, center=affine, running_stats=track, channels_last=last),
            (x,),
            lambda cls=cls, c=x[1], a=affine, t=track: cls(c, affine=a, track_running_stats=t),
            last=last,
        )
    oracle.both_sides(200)


def test_group_norm(oracle: Any) -> None:
    for rng in oracle.random("group", 200):
        x, last, affine = a_map(rng), rng.random() < 0.5, rng.random() < 0.5
        groups = rng.choice((1, 2, 3, x[1]))
        oracle.compare(
            GroupNorm(scale=affine, center=affine, groups=groups, channels_last=last),
            (x,),
            lambda g=groups, c=x[1], a=affine: oracle.torch.nn.GroupNorm(g, c, affine=a),
            last=last,
        )
    oracle.both_sides(120, 30)


def test_layer_norm(oracle: Any) -> None:
    for rng in oracle.random("layer", 200):
        x, scale = a_map(rng), rng.random() < 0.7
        count = rng.randint(1, len(x) - 1)
        over = tuple(range(-count, 0)) if rng.random() < 0.5 or count > 1 else -1
        center = scale and rng.random() < 0.5
        oracle.compare(
            LayerNorm(over=over, scale=scale, center=center),
            (x,),
            lambda s=x[-count:], a=scale, b=center: oracle.torch.nn.LayerNorm(
                s, elementwise_affine=a, bias=b
            ),
        )
        oracle.compare(
            RMSNorm(over=over, scale=scale),
            (x,),
            lambda s=x[-count:], a=scale: oracle.torch.nn.RMSNorm(s, elementwise_affine=a),
        )
    oracle.both_sides(400)


def test_local_response_norm(oracle: Any) -> None:
    for rng in oracle.random("lrn", 60):
        x, last, size = a_map(rng, 3), rng.random() < 0.5, rng.randint(1, 5)
        oracle.compare(
            LocalResponseNorm(size=size, channels_last=last),
            (x,),
            lambda s=size: oracle.torch.nn.LocalResponseNorm(s),
            last=last,
            macs=False,  # PyTorch makes it out of an average pooling
        )
    oracle.both_sides(60)


TORCH_NAMES = {
    "hard_sigmoid": "hardsigmoid",
    "hard_swish": "hardswish",
    "negate": "neg",
    "clip": "relu",
    "tanh": "tanh",
}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_activations(oracle: Any, function: str) -> None:
    name = TORCH_NAMES.get(function, function)
    functional, torch = oracle.torch.nn.functional, oracle.torch
    theirs = getattr(functional, name, None) or getattr(torch, name)
    for rng in oracle.random(function, 20):
        oracle.compare(Activation(function), (a_map(rng),), lambda: theirs)
    oracle.both_sides(20)


def test_softmax_glu_dropout(oracle: Any) -> None:
    nn = oracle.torch.nn
    for rng in oracle.random("softmax", 200):
        x = a_map(rng)
        axis = rng.randint(-len(x) - 1, len(x))
        log = rng.random() < 0.5
        cls = nn.LogSoftmax if log else nn.Softmax
        oracle.compare(Softmax(axis, log=log), (x,), lambda c=cls, a=axis: c(a))
        oracle.compare(GLU(axis), (x,), lambda a=axis: nn.GLU(a))
        oracle.compare(Dropout(0.3), (x,), lambda: nn.Dropout(0.3))
    oracle.both_sides(350, 150)


def test_prelu(oracle: Any) -> None:
    for rng in oracle.random("prelu", 100):
        x, each = a_map(rng), rng.random() < 0.5
        slopes = x[1] if each else 1
        oracle.compare(
            PReLU(channel_axis=1 if each else None),
            (x,),
            lambda s=slopes: oracle.torch.nn.PReLU(s),
        )
    oracle.both_sides(100)


BROADCASTING = {
    Add: "add",
    Subtract: "sub",
    Multiply: "mul",
    Divide: "div",
    Power: "pow",
    Maximum: "maximum",
    Minimum: "minimum",
    Compare: "lt",
}


@pytest.mark.parametrize("ours", list(BROADCASTING))
def test_broadcasting(oracle: Any, ours: Any) -> None:
    theirs = getattr(oracle.torch, BROADCASTING[ours])
    for rng in oracle.random(ours.__name__, 80):
        full = a_map(rng)
        oracle.compare(ours(), (_part(rng, full), _part(rng, full)), lambda: theirs)
    oracle.both_sides(40, 5)


def test_where_and_sums_of_many(oracle: Any) -> None:
    torch = oracle.torch
    for rng in oracle.random("where", 150):
        full = a_map(rng)
        three = tuple(_part(rng, full) for _ in range(3))
        oracle.compare(Where(), three, lambda: lambda c, a, b: torch.where(c > 0, a, b))
        oracle.compare(Add(), three, lambda: lambda a, b, c: a + b + c)
    oracle.both_sides(150, 20)


def _part(rng: random.Random, full: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that stretches to `full`; now and then one that does not."""
    part = tuple(rng.choice((1, d, d)) for d in full)[rng.randint(0, len(full) - 1) :]
    if rng.random() < 0.15:
        return (*part[:-1], part[-1] + 1)
    return part
