"""Formulas as MathML: the same pieces as in text, well-formed whatever a symbol is called."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from netledger.formula import Formula, ceil_div, maximum, symbol
from netledger.formula.printing import MATHML

X, K, P, S, N = (symbol(*pair) for pair in (("I", 227), ("K", 11), ("P", 0), ("S", 4), ("N", 96)))
C = symbol("C_out", 3)


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (
            (X - K + 2 * P) // S + 1,
            "<mfrac><mrow><mi>I</mi> <mo>−</mo> <mi>K</mi> <mo>+</mo> <mn>2</mn><mi>P</mi></mrow>"
            "<mrow><mi>S</mi></mrow></mfrac> <mo>+</mo> <mn>1</mn>",
        ),
        (
            K * K * C,
            "<msup><mrow><mi>K</mi></mrow><mn>2</mn></msup><mo>×</mo>"
            "<msub><mi>C</mi><mi>out</mi></msub>",
        ),
        (
            (X - K) * N,
            "<mrow><mo>(</mo><mi>I</mi> <mo>−</mo> <mi>K</mi><mo>)</mo></mrow><mo>×</mo><mi>N</mi>",
        ),
        (
            symbol("H") // 2,
            "<mrow><mo>⌊</mo><mfrac><mrow><mi>H</mi></mrow><mrow><mn>2</mn></mrow></mfrac>"
            "<mo>⌋</mo></mrow>",
        ),
        (
            ceil_div(symbol("H"), 2),
            "<mrow><mo>⌈</mo><mfrac><mrow><mi>H</mi></mrow><mrow><mn>2</mn></mrow></mfrac>"
            "<mo>⌉</mo></mrow>",
        ),
        (symbol("F₋₁"), "<msub><mi>F</mi><mi>-1</mi></msub>"),
        (X % S, "<mi>I</mi> <mo>mod</mo> <mi>S</mi>"),
    ],
)
def test_mathml(formula: Formula, shown: str) -> None:
    assert MATHML.show(formula) == shown
    ElementTree.fromstring(f"<math>{shown}</math>")


def test_numbers_are_put_in() -> None:
    assert "<mn>227</mn> <mo>−</mo> <mn>11</mn>" in MATHML.show((X - K) // S, True)
    assert MATHML.show(symbol("x", -1234), True) == "<mo>−</mo><mn>1,234</mn>"


@pytest.mark.parametrize("name", ["<script>", "a&b", "x\x00\x1b", "a\ud800", "</mi>"])
def test_symbols_are_only_text(name: str) -> None:
    shown = MATHML.show(maximum(symbol(name), 3) * symbol(name))
    tree = ElementTree.fromstring(f"<math>{shown}</math>")
    assert {element.tag for element in tree.iter()} <= {"math", "mrow", "mi", "mo", "mn", "msup"}
