"""What all operations have in common: fields, equality, and how they show themselves."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from netledger.errors import FieldError, NetledgerError, UnknownName, UsageError
from netledger.ops import (
    FUNCTIONS,
    OPERATIONS,
    Activation,
    Conv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Op,
    Pad,
    Reshape,
    Split,
    by_key,
    from_key,
)

FIELDS: list[tuple[type[Op], dict[str, Any], str]] = [
    (Linear, {"out_features": 0}, "out_features must be an integer of at least 1; got 0"),
    (Linear, {"out_features": 1.5}, "out_features must be an integer of at least 1; got 1.5"),
    (Linear, {"out_features": True}, "out_features must be an integer of at least 1; got True"),
    (Linear, {"out_features": "10"}, "out_features must be an integer of at least 1; got '10'"),
    (Linear, {"out_features": None}, "out_features must be an integer of at least 1; got None"),
    (
        Linear,
        {"out_features": 2**63},
        "out_features must be an integer of at least 1; got 9223372036854775808",
    ),
    (Linear, {"out_features": 4, "bias": 1}, "bias must be true or false; got 1"),
    (
        Conv,
        {"out_channels": 8, "kernel_size": [3, 0]},
        "kernel_size must be an integer of at least 1, or one for each axis; got [3, 0]",
    ),
    (
        Conv,
        {"out_channels": 8, "kernel_size": []},
        "kernel_size must be an integer of at least 1, or one for each axis; got []",
    ),
    (
        Conv,
        {"out_channels": 8, "kernel_size": 3, "padding": "some"},
        "padding must be an integer of at least 0, one for each axis, a [before, after] pair for "
        "each axis, 'same' or 'valid' or 'causal'; got 'some'",
    ),
    (
        Conv,
        {"out_channels": 8, "kernel_size": 3, "padding": -1},
        "padding must be an integer of at least 0, one for each axis, a [before, after] pair for "
        "each axis, 'same' or 'valid' or 'causal'; got -1",
    ),
    (
        MaxPool,
        {"kernel_size": 2, "rounding": "up"},
        "rounding must be 'floor' or 'ceil' or 'ceil_clipped'; got 'up'",
    ),
    (Dropout, {"rate": "half"}, "rate must be a number; got 'half'"),
    (
        Reshape,
        {"shape": [-2]},
        "shape must be a list of integers (-1: what is left) or symbols; got [-2]",
    ),
    (
        Split,
        {"sizes": -1},
        "sizes must be an integer of at least 0, or a list of them; got -1",
    ),
    (Linear, {}, "linear needs out_features: an integer of at least 1 (neurons)"),
]


@pytest.mark.parametrize(("op_class", "values", "fact"), FIELDS)
def test_impossible_values(op_class: type[Op], values: dict[str, Any], fact: str) -> None:
    with pytest.raises(FieldError) as caught:
        op_class(**values)
    assert caught.value.fact == fact


def test_unknown_fields_name_the_closest() -> None:
    with pytest.raises(UnknownName) as caught:
        Conv(8, 3, strid=2)
    assert caught.value.fact == "unknown key of conv 'strid'"
    assert caught.value.hint.startswith("did you mean 'stride'")
    with pytest.raises(UnknownName) as caught:
        Linear(8, momentum=2)
    assert caught.value.hint == "linear has out_features, bias"


def test_too_many_values() -> None:
    with pytest.raises(UsageError) as caught:
        Linear(8, True, 3)
    assert caught.value.fact == "linear takes no more than 2 values"


def test_the_layout_is_given_by_name_only() -> None:
    with pytest.raises(UsageError):
        Pad(1, "zeros", False)
    assert Pad(1, channels_last=False).channels_last is False


def test_lists_become_tuples() -> None:
    op = Conv(8, [3, 5], padding=[[0, 1], [2, 3]])
    assert op.kernel_size == (3, 5) and op.padding == ((0, 1), (2, 3))
    assert op == Conv(8, (3, 5), padding=((0, 1), (2, 3)))


def test_numbers_of_numpy_become_ints() -> None:
    np = pytest.importorskip("numpy")
    op = Linear(np.int64(8), np.bool_(False))
    assert type(op.out_features) is int and op == Linear(8, False)
    with pytest.raises(FieldError):
        Linear(np.int32(-8))


def test_an_operation_is_immutable() -> None:
    op = Conv(8, 3)
    with pytest.raises(AttributeError) as caught:
        op.stride = 2
    assert str(caught.value) == "Conv is immutable; dataclasses.replace makes a changed copy"
    changed = dataclasses.replace(op, stride=2)
    assert (op.stride, changed.stride, changed.kernel_size) == (1, 2, 3)
    with pytest.raises(FieldError):
        dataclasses.replace(op, stride=0)


def test_equality_and_hash() -> None:
    assert Conv(8, 3) == Conv(8, 3, stride=1) and hash(Conv(8, 3)) == hash(Conv(8, 3, stride=1))
    assert Conv(8, 3) != Conv(8, 3, stride=2) and Conv(8, 3) != Linear(8)
    assert Conv(8, 3) != "Conv"
    assert len({Conv(8, 3), Conv(8, 3), Conv(8, 5), Flatten()}) == 3


def test_representation_builds_the_same_again() -> None:
    op = Conv(8, (3, 5), padding="same", channels_last=False)
    assert repr(op) == (
        "Conv(out_channels=8, kernel_size=(3, 5), padding='same', channels_last=False)"
    )
    assert eval(repr(op), {"Conv": Conv}) == op
    assert op.given() == {
        "out_channels": 8,
        "kernel_size": (3, 5),
        "padding": "same",
        "channels_last": False,
    }
    assert Conv(**op.given()) == op
    assert pickle.loads(pickle.dumps(op)) == op
    assert dataclasses.asdict(op)["kernel_size"] == (3, 5)


@pytest.mark.parametrize(
    ("op", "shape", "text"),
    [
        (Conv(96, 11, 4), (1, 227, 227, 3), "96 kernels of 11×11×3, stride 4, padding 0"),
        (
            Conv(8, 3, padding="same", dilation=2, groups=2, bias=False),
            (1, 9, 9, 4),
            "8 kernels of 3×3×2, stride 1, padding same, dilation 2, 2 groups, no bias",
        ),
        (MaxPool(3, 2), (1, 9, 9, 4), "maximum over 3×3, stride 2"),
        (Linear(10), (1, 256), "10 neurons, each fed by 256"),
        (Flatten(), (1, 6, 6, 256), "6×6×256 numbers in a row"),
        (Dropout(), (1, 6), ""),
        (Dropout(0.2), (1, 6), "rate 0.2"),
    ],
)
def test_description(op: Op, shape: Any, text: str) -> None:
    assert op.describe(shape) == text


def test_every_operation_has_a_key_of_its_own_and_help_for_every_field() -> None:
    assert len({op.key for op in OPERATIONS}) == len(OPERATIONS)
    for op in OPERATIONS:
        assert op.__doc__ and op.key == op.key.lower()
        for name, rule in op.rules.items():
            assert rule.help and rule.describe(), f"{op.key}.{name}"


def test_keys_of_a_spec() -> None:
    assert from_key("conv", {"out_channels": 8, "kernel_size": 3}) == Conv(8, 3)
    assert from_key("gelu", {}) == Activation("gelu")
    assert set(FUNCTIONS) <= set(by_key())
    with pytest.raises(NetledgerError) as caught:
        from_key("con", {})
    assert caught.value.fact == "unknown operation 'con'"
    assert "'conv'" in caught.value.hint
