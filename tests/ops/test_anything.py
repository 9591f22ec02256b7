"""Whatever an operation is made of and fed with: a ledger or one clear message, nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ops import OPERATIONS, Op

LARGE = 2**63 - 1
TEXTS = ("ab,bc->ac", "a", "", "float32", "ij->ji", "->", "...", "ab,ab->", "aa->a")
DIMS: Any = (BATCH, 1, 2, 3, 4, 6, 8, symbol("H"))


def value(rng: random.Random, rule: Any) -> Any:
    """Something that a field may well not be able to be."""
    number = rng.choice((0, 1, 2, 3, -1, -2, 5, 1, 2, 3, LARGE))
    numbers = [rng.choice((0, 1, 2, 3, -1, 5)) for _ in range(rng.randint(0, 4))]
    pairs = [[rng.choice((0, 1, 2, -1)) for _ in range(2)] for _ in range(rng.randint(0, 4))]
    fixed: dict[str, Any] = {
        "flag": rng.random() < 0.5,
        "choice": rng.choice(rule.choices or ("",)),
        "text": rng.choice(TEXTS),
        "number": rng.choice((0.5, 1, -1)),
        "dims": [rng.choice((0, -1, *DIMS)) for _ in range(rng.randint(0, 4))],
        "shapes": [[rng.choice((0, 1, 2, BATCH))], []][: rng.randint(0, 2)],
        "tensors": [["w", "weight", [2, 3], "float32", None]],
    }
    if rule.kind in fixed:
        return fixed[rule.kind]
    if rule.kind == "integer":
        return number
    more = [*rule.choices, pairs] if rule.kind == "padding" else []
    return rng.choice((number, numbers, *more))


def attempt(op_class: type[Op], rng: random.Random) -> str:
    fields = {
        name: value(rng, rule)
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
def test_a_ledger_or_a_message(op_class: type[Op]) -> None:
    chance = (random.Random(f"{op_class.key} {i}") for i in range(150))
    assert {attempt(op_class, rng) for rng in chance} <= {"fine", "refused"}
