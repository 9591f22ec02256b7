"""Dimensions as text: the grammar, its bounds, and that writing and reading are inverse."""

from __future__ import annotations

import random

import pytest

from netledger import NetledgerError
from netledger.formula import Dim, Formula, ceil_div, maximum, minimum, substitute, symbol
from netledger.formula.parsing import parse_dim, parse_dims, write_dim

H, W = symbol("H"), symbol("W")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("224", 224),
        (" 7 ", 7),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("7 - 2 - 1", 4),
        ("20 // 3 // 2", 3),
        ("2 * 3 % 4", 2),
        ("2**3 * 2", 16),
        ("-3 + 5", 2),
        ("--3", 3),
        ("-2 * -3", 6),
        ("-7 // 2", -4),
        ("-(-(7)//2)", 4),
        ("ceil_div(7, 2)", 4),
        ("min(3, 2) + max(1, 5)", 7),
    ],
)
def test_numbers(text: str, value: int) -> None:
    assert parse_dim(text) == value
    assert type(parse_dim(text)) is int


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("H", H),
        ("64*N", 64 * symbol("N")),
        ("(H - 11)//4 + 1", (H - 11) // 4 + 1),
        ("ceil_div(H, 2)", ceil_div(H, 2)),
        ("min(H, 3) % max(W, 2)", minimum(H, 3) % maximum(W, 2)),
        ("H**2", H * H),
        ("`batch size` * 2", symbol("batch size") * 2),
        ("`a``b`", symbol("a`b")),
        ("min", symbol("min")),
    ],
)
def test_symbols(text: str, expected: Formula) -> None:
    found = parse_dim(text)
    assert isinstance(found, Formula)
    assert found.python() == expected.python()


def test_lists() -> None:
    assert parse_dims("") == ()
    assert parse_dims("3, min(4, 5), 2*2") == (3, 4, 4)
    with pytest.raises(NetledgerError, match="something is missing"):
        parse_dims("3, ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "something is missing at its end"),
        ("H +", "something is missing at its end"),
        ("(H", "expected ')' at its end"),
        ("H)", "expected its end, got ')'"),
        ("H W", "expected its end, got 'W'"),
        ("H/2", "cannot read '/'; // divides and rounds down"),
        ("2.5", "cannot read '.'"),
        ("H; W", "cannot read ';'"),
        ("`H", "cannot read '`'"),
        ("a.b", "cannot read '.'"),
        ("[H]", "cannot read '['"),
        ("__import__('os')", 'cannot read "\'"'),
        ("exit(1, 2)", "'exit' is no function; there are ceil_div, min, max"),
        ("min(1)", "expected ',', got ')'"),
        ("min(1, 2, 3)", "expected ')', got ','"),
        ("* 2", "at *"),
        ("2**H", "a power must be a number from 1 to 8"),
        ("2**9", "a power must be a number from 1 to 8"),
        ("2**-1", "a power must be a number from 1 to 8"),
        ("9" * 20, "a number has more than 19 digits"),
        ("H//0", "it divides by 0"),
        ("5 % (2 - 2)", "it divides by 0"),
        ("ceil_div(H, 0)", "it divides by 0"),
        ("(" * 40 + "H" + ")" * 40, "brackets are nested deeper than 32"),
        ("+".join(["H"] * 102), "it has more than 100 operators"),
        ("-" * 200 + "H", "it has more than 100 operators"),
        ("H" * 1001, "it has 1,001 characters; at most 1,000 are read"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NetledgerError) as caught:
        parse_dim(text)
    shown = text if len(text) <= 80 else text[:79] + "…"
    assert caught.value.fact == f"{shown!r} is not a size: {reason}"
    assert caught.value.hint


def random_dim(rng: random.Random, depth: int) -> Dim:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([H, W, symbol("s 1"), rng.randint(1, 9)])
    a, b = random_dim(rng, depth - 1), random_dim(rng, depth - 1)
    rule = rng.choice(["+", "-", "*", "//", "%", "ceil", "min", "max"])
    if rule in ("//", "%", "ceil"):
        b = rng.randint(1, 9)
    return {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "//": lambda: a // b,
        "%": lambda: a % b,
        "ceil": lambda: ceil_div(a, b),
        "min": lambda: minimum(a, b),
        "max": lambda: maximum(a, b),
    }[rule]()


@pytest.mark.parametrize("seed", range(400))
def test_reading_undoes_writing(seed: int) -> None:
    rng = random.Random(seed)
    dim = random_dim(rng, 5)
    text = str(write_dim(dim))
    again = parse_dim(text)
    assert str(write_dim(again)) == text
    values = {"H": rng.randint(1, 300), "W": rng.randint(1, 300), "s 1": rng.randint(1, 9)}
    assert substitute(again, values) == substitute(dim, values)
    if isinstance(dim, Formula) and isinstance(again, Formula):
        assert again.python() == dim.python()


@pytest.mark.parametrize("seed", range(100))
def test_python_reads_it_alike(seed: int) -> None:
    """The grammar agrees with Python on what it shares with it."""
    rng = random.Random(seed)
    parts = [str(rng.randint(1, 9))]
    for _ in range(rng.randint(1, 8)):
        parts += [rng.choice(["+", "-", "*", "//", "%"]), rng.choice(["", "-"])]
        parts.append(str(rng.randint(1, 9)))
    text = " ".join(parts)
    assert parse_dim(text) == eval(text)
