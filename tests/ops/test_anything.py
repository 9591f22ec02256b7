"""Whatever an operation is made of and fed with: a ledger or one clear message, nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ops import OPERATIONS, Op

Value = Callable[[random.Random, Any], Any]
DIMS: Any = (BATCH, 1, 2, 3, 4, 6, 8, symbol("H"))


def attempt(op_class: type[Op], rng: random.Random, any_value: Value) -> str:
    fields = {
        name: any_value(rng, rule)
        for name, rule in op_class.rules.items()
        if rule.default is ... or rng.random() < 0.5
    }
    base = [rng.choice(DIMS) for _ in range(rng.randint(0, 6))]
    shapes = [
        tuple(base if rng.random() < 0.7 else [rng.choice(DIMS) for _ in range(rng.randint(0, 6))])
        for _ in range(rng.randint(op_class.arity[0], op_class.arity[1] or 3))
    ]
    inputs = {f"x{i}": TensorType(shape) for i, shape in enumerate(shapes)}
    try:
        op = op_class(**fields)
        ledger = infer(Graph("g", inputs, (Node("n", op, tuple(inputs)),)))
    except NetledgerError as error:
        assert error.fact and "Traceback" not in str(error)
        return "refused"
    assert json.dumps(ledger.to_dict())
    assert ledger.rows and ledger.totals and repr(ledger)
    op.describe(*shapes)
    return "fine"


@pytest.mark.parametrize("op_class", OPERATIONS, ids=lambda op: op.key)
def test_a_ledger_or_a_message(op_class: type[Op], any_value: Value) -> None:
    chance = (random.Random(f"{op_class.key} {i}") for i in range(150))
    assert {attempt(op_class, rng, any_value) for rng in chance} <= {"fine", "refused"}
