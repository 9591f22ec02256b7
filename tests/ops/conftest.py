"""Reading one operation by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ledger import Row
from netledger.ops import Op

Sizes = tuple[int, ...]


def _row(op: Op, *shapes: Sizes) -> Row:
    inputs = {f"x{i}": TensorType((BATCH, *shape)) for i, shape in enumerate(shapes)}
    return infer(Graph("one", inputs, (Node("y", op, tuple(inputs)),))).ops[-1]


@pytest.fixture
def row() -> Callable[..., Row]:
    """``row(op, *shapes)``: the row of one operation; shapes are without the batch."""
    return _row


@pytest.fixture
def books() -> Callable[..., Any]:
    """``books(op, *shapes)``: output without the batch, weights, biases, MACs."""

    def read(op: Op, *shapes: Sizes) -> Any:
        row = _row(op, *shapes)
        return row.outputs[0].shape[1:], row.weights, row.biases, row.macs

    return read


@pytest.fixture
def refusal() -> Callable[..., tuple[str, str]]:
    """``refusal(op, *shapes)``: the fact and the hint with which the operation refuses."""

    def read(op: Op, *shapes: Sizes) -> tuple[str, str]:
        with pytest.raises(NetledgerError) as caught:
            _row(op, *shapes)
        return caught.value.fact, caught.value.hint

    return read
