"""What the symbols of a derivation stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netledger.formula import Formula
from netledger.ops.base import Op

MEANINGS = {
    "I": "size of the input",
    "O": "size of the output",
    "C": "channels of the input",
    "N": "number of kernels",
    "F₋₁": "neurons of the layer before",
    "T": "positions (tokens, steps)",
    "E": "features",
    "D": "features",
    "Dᵢ": "size of axis {}",
    "A": "numbers in the output",
    "W": "weights",
    "B": "biases",
    "R₋₁": "receptive field before the layer",
    "J": "distance of neighbouring positions, in input pixels",
}
"""What the symbols of axes and of intermediate results stand for, unless an operation says else.

``Dᵢ`` serves ``D₁``, ``D₂`` and so on; the number is put in.
"""

_NUMBERS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def explain_symbols(op: Op, formulas: Iterable[Formula]) -> dict[str, str]:
    """The meaning of each symbol in `formulas`, in the order in which they appear."""
    fields = {rule.symbol: rule.help for rule in op.rules.values() if rule.symbol}
    known = {**MEANINGS, **fields, **op.meanings}
    found = {name: _meaning(name, known) for name in used(formulas)}
    return {name: meaning for name, meaning in found.items() if meaning}


def used(formulas: Iterable[Formula]) -> list[str]:
    """The names of the symbols that have a value, in the order in which they appear."""
    names: dict[str, None] = {}
    for f in formulas:
        stack = [f]
        while stack:
            top = stack.pop()
            if top.name and top.value is not None:
                names[top.name] = None
            stack += reversed(top.args)
    return list(names)


def _meaning(name: str, known: dict[str, str]) -> str:
    if name in known:
        return known[name]
    letters = name.rstrip("₀₁₂₃₄₅₆₇₈₉")
    number = name[len(letters) :].translate(_NUMBERS)
    if number and f"{letters}ᵢ" in known:
        return known[f"{letters}ᵢ"].format(number)
    # What holds for P holds for one axis and side of it: P_h1, P₂. P_s is another symbol.
    return known.get(re.sub(r"_[a-hw]?[12]?$", "", letters), "")
