"""``min`` and ``max`` of formulas: decided where one is never larger, and always worth the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netledger.formula import ceil_div, maximum, minimum, substitute, symbol
from netledger.formula.simplify import add_up, simplify

H = symbol("H")
whole = st.integers(-9, 9)
step = st.tuples(st.integers(1, 3), whole, st.integers(1, 4), whole)
sizes = st.lists(step, max_size=3)


def grow(steps: list[tuple[int, int, int, int]]) -> Any:
    """Nested rounded divisions of H, as layers that follow one another make them."""
    size: Any = H
    for factor, before, divisor, after in steps:
        size = (size * factor + before) // divisor + after
    return size


@given(sizes, sizes, whole, st.integers(1, 3), st.integers(-50, 300))
def test_simplifying_keeps_the_value(
    first: Any, second: Any, more: int, divisor: int, height: int
) -> None:
    a = grow(first)
    for b in (grow(second), a + more, ceil_div(a + more, divisor)):
        for chosen in (minimum(a, b), maximum(a, b)):
            assert substitute(simplify(chosen), {"H": height}) == substitute(chosen, {"H": height})


def test_what_is_never_larger_is_decided() -> None:
    a, b = (H + 1) // 4, (H + 3) // 4
    assert str(simplify(minimum(a, b))) == "⌊(H + 1)/4⌋"
    assert str(simplify(minimum(b, a))) == "⌊(H + 1)/4⌋"
    assert str(simplify(maximum(a, b))) == "⌊(H + 3)/4⌋"
    assert simplify(minimum(a, a + 1) - a) == 0
    assert str(simplify(maximum(H, H - 2))) == "H"


def test_what_depends_on_the_symbol_stays() -> None:
    assert str(simplify(minimum(H // 2, H // 3))).startswith("min")
    assert str(simplify(maximum(H, 7))).startswith("max")


def test_a_clipped_pooling_has_a_plain_size() -> None:
    clipped = minimum(ceil_div(H - 3, 2) + 1, ceil_div(H, 2))  # kernel 3, stride 2, no padding
    assert str(simplify(clipped)) == "⌊H/2⌋"


@given(st.lists(st.tuples(sizes, whole, sizes), min_size=1, max_size=5), st.integers(-50, 300))
def test_adding_up_keeps_the_value(parts: Any, height: int) -> None:
    terms = [grow(one) * number - grow(two) for one, number, two in parts]
    total = substitute(add_up(terms), {"H": height})
    assert total == sum(substitute(term, {"H": height}) for term in terms)


def test_like_products_are_put_together_however_many() -> None:
    width = symbol("W")
    assert str(add_up([H * width, width * H] * 5_000)) == str(10_000 * (H * width))
    assert add_up([H - 2, 3 - H]) == 1


def test_a_sum_does_not_begin_with_a_minus() -> None:
    assert str(add_up([5 - H, 2 * symbol("W")])) == str(2 * symbol("W") - H + 5)
