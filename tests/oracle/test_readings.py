"""One rule, three readings: ints, formulas and arrays give equal numbers, and so do symbols."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netledger.errors import NetledgerError
from netledger.formula import Formula, substitute, symbol
from netledger.formula.simplify import simplify
from netledger.ops import (
    GLU,
    GRU,
    LSTM,
    RNN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvLSTM,
    ConvTranspose,
    DepthwiseConv,
    Einsum,
    Embedding,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool,
    MultiHeadAttention,
    Op,
    Pad,
    Permute,
    PixelShuffle,
    Reduce,
    Resize,
    ScaledDotProductAttention,
    Slice,
    Split,
    Stack,
)
from netledger.rules import check_sizes

Shapes = tuple[tuple[Any, ...], ...]
Dice = random.Random
PER_FAMILY, VARIANTS = 60, 4


def numbers(op: Op, shapes: Shapes) -> list[Any]:
    """Every number that the rules of `op` give."""
    outputs = op.outputs(*shapes)
    parameters = [d for p in op.parameters(*shapes) for d in p.shape]
    window = op.window(*shapes)
    steps = [n for w in window for n in w] if isinstance(window, tuple) else []
    if isinstance(op, ConvTranspose):
        steps = steps[::2]  # its steps are fractions, which have one reading only
    return [*(d for x in outputs for d in x), *parameters, op.macs(shapes, outputs), *steps]


def fits(op: Op, shapes: Shapes) -> bool:
    try:
        op.check(*shapes)
        check_sizes(op.outputs(*shapes))
    except NetledgerError:
        return False
    return True


def changed(op: Op, change: Callable[[str, Any], Any]) -> Op:
    """`op` with every field that appears in formulas changed."""
    fields = {n: getattr(op, n) for n, rule in op.rules.items() if rule.symbol}
    return replace(op, **{n: _deep(n, v, change) for n, v in fields.items()})


def _deep(name: str, value: Any, change: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_deep(f"{name}_{i}", v, change) for i, v in enumerate(value))
    return change(name, value) if type(value) is int else value


# A structure: what makes an operation and its inputs out of chance. Called again with the same
# `form` it keeps the structure (rank, flags, words) and changes the numbers.
def conv(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    rank, pairs = form.randint(1, 3), form.random() < 0.3
    groups = n.randint(1, 3)
    fields: dict[str, Any] = {
        "kernel_size": _per_axis(form, n, rank, 1, 4),
        "stride": _per_axis(form, n, rank, 1, 3),
        "dilation": _per_axis(form, n, rank, 1, 2),
        "bias": form.random() < 0.5,
        "channels_last": form.random() < 0.5,
    }
    padding = form.choice(("same", "valid", None, None, None))
    if padding is None and pairs:
        padding = tuple((n.randint(0, 2), n.randint(0, 2)) for _ in range(rank))
    elif padding is None:
        padding = _per_axis(form, n, rank, 0, 2)
    kind = form.choice((Conv, Conv, DepthwiseConv, ConvTranspose))
    if kind is DepthwiseConv:
        fields["depth_multiplier"] = n.randint(1, 3)
    else:
        fields.update(out_channels=groups * n.randint(1, 4), groups=groups)
    x = _map(n, rank, groups * n.randint(1, 4), fields["channels_last"])
    rounding = {} if kind is ConvTranspose else {"rounding": form.choice(("floor", "ceil"))}
    return kind(padding=padding, **fields, **rounding), (x,)


def pool(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    rank, last = form.randint(1, 3), form.random() < 0.5
    kind = form.choice((MaxPool, AvgPool))
    more = {"dilation": n.randint(1, 2)} if kind is MaxPool and form.random() < 0.5 else {}
    op = kind(
        _per_axis(form, n, rank, 2, 4),
        _per_axis(form, n, rank, 1, 3) if form.random() < 0.7 else None,
        form.choice(("same", n.randint(0, 1), n.randint(0, 1))),
        form.choice(("floor", "ceil", "ceil_clipped")),
        channels_last=last,
        **more,
    )
    return op, (_map(n, rank, n.randint(1, 9), last),)


def maps(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    rank, last = form.randint(1, 3), form.random() < 0.5
    c = 12 * n.randint(1, 3)
    op = form.choice(
        (
            GlobalAvgPool(form.random() < 0.5, channels_last=last),
            BatchNorm(scale=form.random() < 0.5, channels_last=last),
            GroupNorm(groups=4, channels_last=last),
            Pad(padding=_per_axis(form, n, rank, 0, 3), channels_last=last),
            Resize(scale=_per_axis(form, n, rank, 1, 3), channels_last=last),
            Resize(size=_per_axis(form, n, rank, 1, 9), channels_last=last),
            Flatten(),
            Reduce(-2, form.random() < 0.5),
            Permute(tuple(reversed(range(rank + 2)))),
            Concat(1),
            Stack(2),
        )
    )
    x = _map(n, rank, c, last)
    return op, (x, x) if op.arity[1] is None else (x,)


def shuffle(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    factor, last = n.randint(1, 3), form.random() < 0.5
    return PixelShuffle(factor, channels_last=last), (
        _map(n, 2, factor**2 * n.randint(1, 3), last),
    )


def steps(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    rank, last = form.randint(1, 3), form.random() < 0.5
    op = ConvLSTM(
        n.randint(1, 4),
        _per_axis(form, n, rank, 1, 3),
        _per_axis(form, n, rank, 1, 2),
        form.choice(("same", "valid", 1)),
        bias=form.random() < 0.5,
        return_sequences=form.random() < 0.5,
        channels_last=last,
    )
    batch, *rest = _map(n, rank, n.randint(1, 4), last)
    return op, ((batch, n.randint(1, 9), *rest),)


def tokens(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    x = (n.randint(1, 3), n.randint(2, 9), 2 * n.randint(2, 9))
    bias = form.random() < 0.5
    op = form.choice(
        (
            Linear(n.randint(1, 9), bias),
            Embedding(n.randint(1, 99), n.randint(1, 9)),
            LayerNorm(form.choice((-1, (1, 2))), center=bias),
            GLU(),
            RNN(n.randint(1, 9), form.randint(1, 2), bias=bias),
            GRU(n.randint(1, 9), bidirectional=form.random() < 0.5, bias_vectors=1),
            LSTM(n.randint(1, 9), form.randint(1, 2), return_sequences=bias),
            LSTM(n.randint(4, 9), bidirectional=bias, projection_size=n.randint(1, 3)),
            Slice(1, form.choice((0, 1)), form.choice((None, -1)), 1),
        )
    )
    return op, (x,)


def products(form: Dice, n: Dice) -> tuple[Op, Shapes]:
    b, t, s, d, e = (n.randint(1, 9) for _ in range(5))
    heads = n.randint(1, 4)
    return form.choice(
        (
            (MatMul(), ((b, t, d), (b, d, e))),
            (MatMul(), ((b, t, d), (d, e))),
            (Einsum("btd,bsd->bts"), ((b, t, d), (b, s, d))),
            (Einsum("ab,bc,cd->ad"), ((b, t), (t, s), (s, d))),
            (ScaledDotProductAttention(), ((b, t, d), (b, s, d), (b, s, e))),
            (MultiHeadAttention(heads), ((b, t, heads * d),)),
            (MultiHeadAttention(heads, d, e, bias=False), ((b, t, 5), (b, s, 7), (b, s, 3))),
        )
    )


def _per_axis(form: Dice, n: Dice, rank: int, low: int, high: int) -> Any:
    if form.random() < 0.5:
        return n.randint(low, high)
    return tuple(n.randint(low, high) for _ in range(rank))


def _map(n: Dice, rank: int, channels: int, last: bool) -> tuple[int, ...]:
    spatial = tuple(n.randint(6, 30) for _ in range(rank))
    return (n.randint(1, 3), *spatial, channels) if last else (n.randint(1, 3), channels, *spatial)


FAMILIES = [conv, pool, maps, shuffle, steps, tokens, products]


def variants(family: Any, seed: int, count: int) -> list[tuple[Op, Shapes]]:
    """So many configurations of one structure that fit their inputs."""
    found: list[tuple[Op, Shapes]] = []
    for i in range(20 * count):
        op, shapes = family(Dice(f"form {seed}"), Dice(f"numbers {seed} {i}"))
        if fits(op, shapes) and len(found) < count:
            found.append((op, shapes))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_formulas_give_the_numbers_of_ints(family: Any) -> None:
    seen = 0
    for seed in range(2 * PER_FAMILY):
        for op, shapes in variants(family, seed, 1):
            seen += 1
            named = changed(op, symbol)
            dims = tuple(
                tuple(symbol(f"x{i}_{j}", d) for j, d in enumerate(x)) for i, x in enumerate(shapes)
            )
            values = [d.value if isinstance(d, Formula) else d for d in numbers(named, dims)]
            assert values == numbers(op, shapes), (op, shapes)
    assert seen > PER_FAMILY


@pytest.mark.parametrize("family", FAMILIES)
def test_arrays_give_the_numbers_of_ints(family: Any) -> None:
    np = pytest.importorskip("numpy")
    seen = 0
    for seed in range(PER_FAMILY):
        group = variants(family, seed, VARIANTS)
        if len(group) < VARIANTS:
            continue
        seen += 1
        op = group[0][0]
        arrays = {
            n: _stacked(np, [getattr(o, n) for o, _ in group])
            for n, rule in op.rules.items()
            if rule.symbol
        }
        dims = tuple(
            tuple(_stacked(np, [s[i][j] for _, s in group]) for j in range(len(x)))
            for i, x in enumerate(group[0][1])
        )
        together = numbers(replace(op, **arrays), dims)
        for k, (one, shapes) in enumerate(group):
            mine = [int(d[k]) if isinstance(d, np.ndarray) else d for d in together]
            assert mine == numbers(one, shapes), (one, shapes)
    assert seen > PER_FAMILY // 2


def _stacked(np: Any, values: list[Any]) -> Any:
    if isinstance(values[0], tuple):
        return tuple(_stacked(np, list(v)) for v in zip(*values, strict=True))
    return np.array(values, np.int64) if type(values[0]) is int else values[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_symbols_filled_in_later_give_the_numbers_of_ints(family: Any) -> None:
    compared = 0
    for seed in range(2 * PER_FAMILY):
        for op, shapes in variants(family, seed, 1):
            names: dict[str, int] = {}
            dims = tuple(tuple(_letter(d, names) for d in x) for x in shapes)
            try:
                op.check(*dims)
                open_ = numbers(op, dims)
            except NetledgerError:
                continue  # a size that must be known (parts of a split)
            for value, expected in zip(open_, numbers(op, shapes), strict=True):
                compared += 1
                assert substitute(value, names) == expected, (op, shapes)
                assert substitute(simplify(value), names) == expected, (op, shapes)
    assert compared > PER_FAMILY


def _letter(size: int, names: dict[str, int]) -> Any:
    """A symbol for every size; one and the same for equal sizes, as operations want them."""
    names[f"n{size}"] = size
    return symbol(f"n{size}")


@pytest.mark.parametrize("stop", [None, -3, -1, 1, 2, 5, 40])
@pytest.mark.parametrize("start", [-30, -5, -1, 0, 1, 3])
def test_a_slice_of_an_unknown_axis(start: int, stop: int | None) -> None:
    for step in (1, 2, 3):
        op = Slice(1, start, stop, step)
        (_, length) = op.outputs((2, symbol("H")))[0]
        for h in range(1, 45):
            if fits(op, (((2, h)),)):
                assert substitute(length, {"H": h}) == op.outputs((2, h))[0][1], (op, h)


def test_a_split_knows_its_parts_when_the_size_has_a_name() -> None:
    assert len(Split(4).outputs((1, symbol("C", 10)))) == 3


def test_adaptive_pooling_in_equal_windows() -> None:
    assert AdaptiveAvgPool(3, channels_last=False).window((1, 2, 12)) == ((4, 4),)
    assert AdaptiveAvgPool(3, channels_last=False).window((1, 2, 13)) is None
    assert AdaptiveAvgPool(1, channels_last=False).window((1, 2, 13)) == "all"
