"""Calls from Python that cannot be understood: one clear error, never a traceback from within."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger.builder import Network
from netledger.errors import UsageError
from netledger.explain import explain
from netledger.ops import Conv

MISUSES: list[tuple[Callable[..., Any], str, str]] = [
    (
        lambda: Network("x", (8, 8, 3))(Conv),  # type: ignore[arg-type]
        "Conv is a class, not a layer",
        "make one: Conv(…)",
    ),
    (
        lambda: Network("x", (8, 8, 3))("conv"),  # type: ignore[arg-type]
        "'conv' is no operation",
        "pass one of netledger.ops: Conv(96, 11)",
    ),
    (
        lambda: Network("x", "32x32x3"),  # type: ignore[arg-type]
        "'32x32x3' is not a shape",
        "pass a tuple without the batch: (32, 32, 3)",
    ),
    (
        lambda: Network("x", (32.5, 3)),  # type: ignore[arg-type]
        "(32.5, 3) is not a shape",
        "pass a tuple without the batch: (32, 32, 3)",
    ),
    (
        lambda: netledger.ledger("alexnet", 224),
        "224 is not a shape",
        "write for instance (227, 227, 3)",
    ),
    (
        lambda: netledger.ledger("alexnet", (227.5, 227, 3)),
        "'(227.5, 227, 3)' is not a shape: 227.5 is no size",
        "write for instance 3x224x224, HxWx3, 4hx4wx3, or int64[128]",
    ),
    (
        lambda: explain(ledger := netledger.ledger("lenet5"), ledger.rows[1]),  # type: ignore[arg-type]
        "a row is named by a text, not by a Row",
        "pass row.name",
    ),
    (lambda: netledger.ledger("alexnet", batch=0), "batch must be at least 1; got 0", ""),
    *(
        (
            lambda given=given: netledger.ledger(given),
            f"a {name} is no network",
            "pass a name of the zoo, a path, a Graph, or a model of PyTorch, Keras or JAX",
        )
        for given, name in ((None, "NoneType"), (5, "int"), (Conv, "Conv"))
    ),
    (
        lambda: netledger.ledger(Network("x", (8,))),  # type: ignore[arg-type]
        "a Network is still under construction",
        "pass its .graph()",
    ),
]


@pytest.mark.parametrize(("call", "fact", "hint"), MISUSES, ids=[fact for _, fact, _ in MISUSES])
def test_misuse(call: Callable[..., Any], fact: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert (caught.value.fact, caught.value.hint) == (fact, hint)


def test_formulas_are_sizes() -> None:
    from netledger.formula import symbol

    ledger = netledger.ledger("alexnet", (symbol("H"), 227, 3))
    assert str(ledger.row("Conv-1").outputs[0].shape[1]) == "⌊(H − 11)/4⌋ + 1"
