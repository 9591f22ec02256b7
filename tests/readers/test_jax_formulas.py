"""What JAX has no name for is known by its arithmetic, if that is exactly the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netledger

jax = pytest.importorskip("jax")
jnp = jax.numpy
lax = jax.lax

Net = Callable[[Any], Any]


def kinds(function: Net, shape: tuple[int, ...]) -> list[str]:
    return [row.kind for row in netledger.ledger(function, [shape]).ops[1:]]


def summed(x: Any, size: int, axis: int = -1, border: tuple[int, int] | None = None) -> Any:
    window, around = [1] * x.ndim, [(0, 0)] * x.ndim
    window[axis] = size
    around[axis] = border or (size // 2, (size - 1) // 2)
    return lax.reduce_window(x * x, 0.0, lax.add, window, (1,) * x.ndim, around)


def windows(x: Any, edges: list[tuple[int, int]], axis: int, reduce: Any = jnp.mean) -> Any:
    parts = [lax.slice_in_dim(x, *ends, axis=axis) for ends in edges]
    return jnp.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)


THIRDS = [(0, 3), (2, 5), (4, 7)]
"""Windows of 7 positions that give 3."""


def test_local_response_norm() -> None:
    def net(x: Any) -> Any:
        return x / (2.0 + 1e-4 / 5 * summed(x, 5)) ** 0.75

    (row,) = netledger.ledger(net, [(6, 6, 16)]).ops[1:]
    assert row.op == netledger.ops.LocalResponseNorm(5, 1e-4, 0.75, 2.0)
    assert (row.name, row.scope) == ("local_response_norm", "")


def test_channels_first() -> None:
    def net(x: Any) -> Any:
        return x / (summed(x, 4, axis=1) * 0.5 + 1.0) ** 0.5

    (row,) = netledger.ledger(net, [(16, 6, 6)]).ops[1:]
    assert row.op == netledger.ops.LocalResponseNorm(4, 2.0, 0.5, 1.0, channels_last=False)


@pytest.mark.parametrize(
    "net",
    [
        lambda x: x / (2.0 + 0.1 * summed(x, 5, border=(4, 0))) ** 0.75,
        lambda x: (2.0 * x) / (2.0 + 0.1 * summed(x, 5)) ** 0.75,
        lambda x: x / (2.0 + 0.1 * summed(x, 5, axis=2)) ** 0.75,
        lambda x: (2.0 + 0.1 * summed(x, 5)) ** 0.75 / x,
        lambda x: x / (2.0 - 0.1 * summed(x, 5)) ** 0.75,
        lambda x: x / (2.0 + 0.1 * summed(x, 5)) ** x,
    ],
    ids=["one side", "another dividend", "along a row", "upside down", "difference", "exponent"],
)
def test_what_only_looks_like_it(net: Net) -> None:
    found = kinds(net, (6, 6, 16))
    assert "LocalResponseNorm" not in found and len(found) > 3


def test_what_something_else_looks_into() -> None:
    def net(x: Any) -> Any:
        total = 2.0 + 0.1 * summed(x, 5)
        return x / total**0.75 + total

    assert "LocalResponseNorm" not in kinds(net, (6, 6, 16))


@pytest.mark.parametrize(("reduce", "kind"), [(jnp.mean, "AvgPool"), (jnp.max, "MaxPool")])
def test_uneven_windows(reduce: Any, kind: str) -> None:
    def net(x: Any) -> Any:
        return windows(windows(x, THIRDS, 1, reduce), [(0, 3), (2, 5)], 2, reduce)

    (row,) = netledger.ledger(net, [(7, 5, 4)]).ops[1:]
    assert row.op == getattr(netledger.ops, f"Adaptive{kind}")((3, 2))
    assert str(row.outputs[0]) == "float32[N, 3, 2, 4]"


def test_uneven_windows_of_channels_first() -> None:
    def net(x: Any) -> Any:
        return windows(windows(x, THIRDS, 2), THIRDS, 3)

    (row,) = netledger.ledger(net, [(4, 7, 7)]).ops[1:]
    assert row.op == netledger.ops.AdaptiveAvgPool(3, channels_last=False)


@pytest.mark.parametrize(
    "net",
    [
        lambda x: windows(x, [(0, 3), (3, 5), (4, 7)], 1),
        lambda x: windows(x, THIRDS[::-1], 1),
        lambda x: windows(x, THIRDS, 1, jnp.sum),
        lambda x: windows(x, THIRDS, 1, jnp.min),
    ],
    ids=["other ends", "other order", "sums", "minima"],
)
def test_other_windows_stay_slices(net: Net) -> None:
    found = kinds(net, (7, 7, 4))
    assert found.count("Slice") == 3 and found[-1] == "Concat"


def test_windows_that_something_else_looks_into() -> None:
    def net(x: Any) -> Any:
        first = lax.slice_in_dim(x, 0, 3, axis=1)
        rest = [lax.slice_in_dim(x, *ends, axis=1) for ends in THIRDS[1:]]
        means = [part.mean(1, keepdims=True) for part in (first, *rest)]
        return jnp.concatenate(means, 1) + first

    assert kinds(net, (7, 7, 4)).count("Slice") == 3
