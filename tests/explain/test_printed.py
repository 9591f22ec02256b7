"""What a derivation prints is worth its number: text and LaTeX, over thousands of layers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from netledger.builder import Network
from netledger.errors import NetledgerError
from netledger.explain import Derivation, explain
from netledger.formula import Formula
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import (
    GRU,
    LSTM,
    OPERATIONS,
    RNN,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    Embedding,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool,
    MultiHeadAttention,
    Op,
    Pad,
    PixelShuffle,
    Resize,
    ScaledDotProductAttention,
)

Evaluate = Callable[[str, dict[str, int]], Fraction]
LAYERS = 3000
ROUNDINGS = ["floor", "ceil", "ceil_clipped"]


def per_axis(rng: random.Random, rank: int, low: int, high: int) -> Any:
    if rng.random() < 0.6:
        return rng.randint(low, high)
    return [rng.randint(low, high) for _ in range(rank)]


def pads(rng: random.Random, rank: int, *words: str) -> Any:
    kind = rng.randrange(4)
    if kind == 0 and words:
        return rng.choice(words)
    if kind == 1:
        return [[rng.randint(0, 3), rng.randint(0, 3)] for _ in range(rank)]
    return per_axis(rng, rank, 0, 3)


def on_maps(rng: random.Random) -> tuple[tuple[int, ...], list[Op]]:
    rank = rng.choice([1, 2, 2, 2, 3])
    groups = rng.choice([1, 1, 2, 3])
    channels = groups * rng.choice([1, 2, 4, 16])
    size = rng.randint(7, 60)
    spatial = (size,) * rank if rng.random() < 0.5 else [rng.randint(7, 60) for _ in range(rank)]
    window = {
        "kernel_size": per_axis(rng, rank, 1, 5),
        "stride": per_axis(rng, rank, 1, 3),
        "padding": pads(rng, rank, "same", "valid"),
    }
    conv = {**window, "dilation": rng.choice([1, 1, 2]), "bias": rng.random() < 0.7}
    rounding = rng.choice(ROUNDINGS)
    pool = {**window, "padding": 0 if isinstance(window["padding"], str) else window["padding"]}
    op: Op = rng.choice(
        [
            lambda: Conv(groups * rng.randint(1, 9), **conv, groups=groups, rounding=rounding),
            lambda: DepthwiseConv(**conv, depth_multiplier=rng.randint(1, 3)),
            lambda: ConvTranspose(groups * rng.randint(1, 9), **conv, groups=groups),
            lambda: MaxPool(**pool, rounding=rounding),
            lambda: AvgPool(**{**pool, "stride": None}, rounding=rounding),
            lambda: BatchNorm(scale=rng.random() < 0.5),
            lambda: GroupNorm(groups),
            lambda: Pad(pads(rng, rank)),
            lambda: Resize(scale=per_axis(rng, rank, 1, 3)),
            lambda: PixelShuffle(2),
            lambda: Concat(),
        ]
    )()
    after = [Flatten(), Linear(rng.randint(1, 50))] if rng.random() < 0.3 else []
    return (*spatial, channels), [op, *after]


def on_tokens(rng: random.Random) -> tuple[tuple[int, ...], list[Op]]:
    heads = rng.choice([1, 2, 4])
    features = heads * rng.choice([4, 8, 16])
    recurrent = {
        "hidden_size": rng.randint(1, 40),
        "num_layers": rng.randint(1, 3),
        "bidirectional": rng.random() < 0.5,
        "bias_vectors": rng.choice([1, 2]),
    }
    op: Op = rng.choice(
        [
            lambda: LSTM(**recurrent, projection_size=rng.choice([None, 3])),
            lambda: GRU(**recurrent),
            lambda: RNN(**recurrent, bias=False),
            lambda: MultiHeadAttention(heads, key_dim=rng.choice([None, 5])),
            lambda: LayerNorm(),
            lambda: Linear(rng.randint(1, 64), bias=rng.random() < 0.5),
        ]
    )()
    return (rng.randint(1, 30), features), [op]


def derivations(seed: int) -> Iterator[Derivation]:
    rng = random.Random(seed)
    made = 0
    while made < LAYERS:
        shape, ops = on_maps(rng) if rng.random() < 0.75 else on_tokens(rng)
        net = Network("random", shape)
        if isinstance(ops[0], Concat):
            net(ops[0], "input", "input")
        net.chain(*ops[1:] if isinstance(ops[0], Concat) else ops)
        try:
            ledger = infer(net.graph())
        except NetledgerError:
            continue  # a window that does not fit, channels that do not divide
        made += 1
        for e in explain(ledger):
            yield from e.derivations


def values_of(f: Formula) -> dict[str, int]:
    """The value of every symbol in a formula; one name never stands for two values."""
    found: dict[str, int] = {}
    stack = [f]
    while stack:
        top = stack.pop()
        if top.name and top.value is not None:
            assert found.setdefault(top.name, top.value) == top.value, f.text()
        stack += top.args
    return found


def test_printed_derivations_are_worth_their_number(
    evaluate_text: Evaluate, evaluate_latex: Evaluate
) -> None:
    count = 0
    for d in derivations(seed=2012):
        f, values = d.formula, values_of(d.formula)
        assert d.value == f.value
        assert evaluate_text(f.text(), values) == d.value, d.text()
        assert evaluate_text(f.text(numbers=True), {}) == d.value, d.text()
        assert evaluate_latex(f.latex(), values) == d.value, d.latex()
        assert evaluate_latex(f.latex(numbers=True), {}) == d.value, d.latex()
        assert eval(f.python(numbers=True)) == d.value, f.python()
        count += 1
    assert count > 4 * LAYERS


@pytest.mark.parametrize("op_class", OPERATIONS, ids=lambda op: op.key)
def test_every_operation(
    op_class: type[Op],
    any_layers: Callable[[type[Op], int], Iterator[Ledger]],
    evaluate_text: Evaluate,
    evaluate_latex: Evaluate,
) -> None:
    """Whatever operation there is: its prints are worth its numbers, its symbols are explained."""
    fitted = 0
    for ledger in any_layers(op_class, 300):
        fitted += 1
        (e,) = explain(ledger, "y")
        explained = {*e.meanings, *(d.symbol for d in e.derivations)}
        for d in e.derivations:
            if d.formula.value is None:
                continue
            values = values_of(d.formula)
            assert values.keys() <= explained, d.text()
            assert evaluate_text(d.formula.text(), values) == d.value, d.text()
            assert evaluate_latex(d.formula.latex(), values) == d.value, d.latex()
    assert fitted


def test_a_wrong_print_would_be_found(evaluate_text: Evaluate) -> None:
    assert evaluate_text("(227 − 11 + 2×0)/4 + 1", {}) == 55
    assert evaluate_text("(227 − 11 + 2×0)/4 − 1", {}) != 55


@pytest.mark.parametrize(
    ("op", "shapes", "text"),
    [
        (Embedding(100, 8), [(7,)], "W = D × V = 8 × 100 = 800"),
        (
            ScaledDotProductAttention(),
            [(2, 9, 4), (2, 5, 4), (2, 5, 6)],
            "MACs = 2 × T_q × T_k × (d + d_v) = 2 × 9 × 5 × (4 + 6) = 900",
        ),
    ],
)
def test_operations_on_several_inputs(op: Op, shapes: list[tuple[int, ...]], text: str) -> None:
    net = Network("one", {f"x{i}": shape for i, shape in enumerate(shapes)})
    name = net(op, *net.inputs)
    (e,) = explain(infer(net.graph()), name)
    assert text in [d.text() for d in e.derivations]


def meanings(op: Op, *shapes: tuple[int, ...]) -> dict[str, str]:
    net = Network("one", {f"x{i}": shape for i, shape in enumerate(shapes)})
    return explain(infer(net.graph(net(op, *net.inputs))), net.last)[0].meanings


def test_symbols_mean_what_the_operation_says() -> None:
    assert meanings(PixelShuffle(2), (4, 4, 12))["N"] == "channels of the output"
    joined = meanings(Concat(), (4, 4, 3), (4, 4, 5))
    assert (joined["C₁"], joined["C₂"]) == ("its size in input 1", "its size in input 2")
    assert meanings(MaxPool([2, 3]), (8, 9, 1))["P_s_h"] == meanings(MaxPool(2), (8, 9, 1))["P_s"]


def test_attention_on_equal_inputs_is_self_attention() -> None:
    same = meanings(MultiHeadAttention(4), (7, 16), (7, 16), (7, 16))
    assert same == meanings(MultiHeadAttention(4), (7, 16))
    assert same["T"] == "positions (tokens, steps)"
    other = meanings(MultiHeadAttention(4), (7, 16), (9, 16), (9, 8))
    assert {"T_q", "T_k", "E", "E_k", "E_v", "h"} <= other.keys()
