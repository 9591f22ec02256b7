"""Canonical forms of formulas whose symbols have no value: ``H``, ``W``, batch ``N``.

A formula becomes a polynomial over atoms; an atom is a symbol or a rounded division that does not
come out even. Two identities keep sizes readable through any number of layers:

    ⌊(⌊a/b⌋ + c)/d⌋ = ⌊(a + b·c)/(b·d)⌋          (whole c; b, d > 0)
    ⌈a/b⌉ = ⌊(a + b − 1)/b⌋

so that AlexNet's second layer is ``⌊(H − 19)/8⌋ + 1``: its receptive field and its stride.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from netledger.errors import ShapeError
from netledger.formula import SYMBOL, Dim, Formula, formula, maximum, minimum, prod

MOST_TERMS = 2000
"""How long a formula may become; sizes of real networks have a handful of terms."""

Monomial = tuple[str, ...]
"""The sorted names of a product's atoms; () is the constant term."""


@dataclass(frozen=True)
class _Poly:
    """A sum of whole multiples of products of atoms."""

    terms: dict[Monomial, int]
    atoms: dict[str, Formula]

    def plus(self, other: _Poly, factor: int = 1) -> _Poly:
        terms = dict(self.terms)
        for key, value in other.terms.items():
            terms[key] = terms.get(key, 0) + factor * value
        return _poly(terms, self.atoms | other.atoms)

    def times(self, other: _Poly) -> _Poly:
        if len(self.terms) * len(other.terms) > MOST_TERMS:
            raise ShapeError(
                f"a size in symbols has more than {MOST_TERMS:,} terms when it is multiplied out",
                hint="give numbers for the symbols",
            )
        terms: dict[Monomial, int] = {}
        for k1, v1 in self.terms.items():
            for k2, v2 in other.terms.items():
                key = tuple(sorted(k1 + k2))
                terms[key] = terms.get(key, 0) + v1 * v2
        return _poly(terms, self.atoms | other.atoms)

    @property
    def constant(self) -> int | None:
        """The value, if this is a plain number."""
        return self.terms.get((), 0) if not self.terms.keys() - {()} else None


def _poly(terms: dict[Monomial, int], atoms: dict[str, Formula]) -> _Poly:
    return _Poly({k: v for k, v in terms.items() if v}, atoms)


def _constant(value: int) -> _Poly:
    return _poly({(): value}, {})


def _atom(f: Formula) -> _Poly:
    name = f.python()
    return _Poly({(name,): 1}, {name: f})


def canonical(f: Formula) -> frozenset[tuple[Monomial, int]]:
    """A form that is equal for formulas that are equal polynomials."""
    return frozenset(_read(f).terms.items())


def simplify(x: Dim) -> Dim:
    """`x` in its shortest readable form; products stay products.

    >>> from netledger.formula import symbol
    >>> h = symbol("H")
    >>> conv1 = (h - 11) // 4 + 1
    >>> str(simplify((conv1 - 3) // 2 + 1))
    '⌊(H − 19)/8⌋ + 1'
    """
    if not isinstance(x, Formula):
        return x
    if x.value is not None:
        return x.value
    if x.head == SYMBOL:
        return x
    if x.head == "*":
        number, rest = _split(x)
        product: Dim = number * prod(rest) if number else 0
        return product
    return _write(_read(x))


def add_up(formulas: Iterable[Formula]) -> Dim:
    """The sum; products of the same unknown factors are put together.

    So the total of a network is short and flat, however many layers it has.

    >>> from netledger.formula import symbol
    >>> h, w = symbol("H"), symbol("W")
    >>> str(add_up([3 * h * w, h + 5, 4 * h * w, h - 2]))
    '7H×W + 2H + 3'
    """
    counts: dict[str, int] = {}
    products: dict[str, Dim] = {}
    waiting = [(f, 1) for f in reversed(list(formulas))]
    while waiting:
        f, sign = waiting.pop()
        if f.value is None and f.head in ("+", "-"):
            left, right = f.args
            waiting += [(right, sign if f.head == "+" else -sign), (left, sign)]
            continue
        number, rest = _split(f) if f.head == "*" else (1, [f])
        if f.value is not None:
            number, rest = f.value, []
        key = "×".join(sorted(map(str, rest)))
        products.setdefault(key, prod(rest))
        counts[key] = counts.get(key, 0) + sign * number
    constant = counts.pop("", 0)
    counts = {key: count for key, count in counts.items() if count}
    total: Dim = 0
    for key, count in sorted(counts.items(), key=lambda item: item[1] < 0):
        term = abs(count) * products[key]
        total = total + term if count > 0 else total - term
    return total + constant


def _split(f: Formula) -> tuple[int, list[Formula]]:
    """A product as one number and its simplified unknown factors."""
    number = 1
    rest: list[Formula] = []
    waiting = [f]
    while waiting:
        factor = waiting.pop()
        if factor.head == "*" and factor.value is None:
            waiting += reversed(factor.args)
            continue
        part = simplify(factor)
        if isinstance(part, int):
            number *= part
        elif part.head == "*":
            n, more = _split(part)
            number, rest = number * n, rest + more
        else:
            rest.append(part)
    return number, rest


def _read(f: Formula) -> _Poly:
    if f.value is not None:
        return _constant(f.value)
    if f.head == SYMBOL:
        return _atom(f)
    a, b = (_read(arg) for arg in f.args)
    if f.head == "+":
        return a.plus(b)
    if f.head == "-":
        return a.plus(b, -1)
    if f.head == "*":
        return a.times(b)
    if f.head == "//":
        return _floor_div(a, b)
    if f.head == "ceil":
        if (b.constant or 0) > 0:
            return _floor_div(a.plus(b).plus(_constant(-1)), b)
        return _constant(0).plus(_floor_div(_constant(0).plus(a, -1), b), -1)
    if f.head in ("min", "max"):
        if _at_most(a, b):
            return a if f.head == "min" else b
        if _at_most(b, a):
            return b if f.head == "min" else a
    left, right = formula(_write(a)), formula(_write(b))
    if f.head == "%":
        return _known_or_atom(left % right)
    return _known_or_atom(minimum(left, right) if f.head == "min" else maximum(left, right))


def _known_or_atom(f: Formula) -> _Poly:
    return _atom(f) if f.value is None else _constant(f.value)


def _at_most(a: _Poly, b: _Poly) -> bool:
    """True if ``a <= b`` whatever the symbols are; False where that does not show.

    ⌊x/d⌋ ≤ ⌊y/e⌋ if y·d − x·e is a number, and not a negative one. So pooling windows that are
    kept only if they begin inside the map need no "min" in the end.
    """
    (x, d), (y, e) = _unnest(a, 1), _unnest(b, 1)
    difference = y.times(_constant(d)).plus(x, -e).constant
    return difference is not None and difference >= 0


def _floor_div(a: _Poly, b: _Poly) -> _Poly:
    exact = _divide(a, b)
    if exact is not None:
        return exact
    d = b.constant
    if d is None or d <= 0:
        return _known_or_atom(formula(_write(a)) // formula(_write(b)))
    whole = _poly({k: v // d for k, v in a.terms.items() if k and v % d == 0}, a.atoms)
    rest = _poly({k: v for k, v in a.terms.items() if not k or v % d}, a.atoms)
    inner, d = _unnest(rest, d)
    # Common factors cancel: ⌊(4a + 3)/8⌋ = ⌊(a + ⌊3/4⌋)/2⌋.
    common = gcd(d, *(v for k, v in inner.terms.items() if k))
    inner = _poly({k: v // common for k, v in inner.terms.items()}, inner.atoms)
    d //= common
    constant = inner.terms.get((), 0)
    outside, inside = divmod(constant, d)
    inner = _poly({**inner.terms, (): inside}, inner.atoms)
    if inner.constant is not None or d == 1:
        return whole.plus(inner if d == 1 else _constant(0)).plus(_constant(outside))
    return whole.plus(_atom(_write_sum(inner) // d)).plus(_constant(outside))


def _unnest(p: _Poly, d: int) -> tuple[_Poly, int]:
    """``(⌊q/e⌋ + r) / d`` as ``(q + e·r) / (e·d)``, while there is such an atom."""
    for key, value in p.terms.items():
        if value == 1 and len(key) == 1:
            atom = p.atoms[key[0]]
            e = atom.args[1].value if atom.head == "//" else None
            if e is not None and e > 0:
                rest = _poly({k: v for k, v in p.terms.items() if k != key}, p.atoms)
                return _unnest(_read(atom.args[0]).plus(rest, e), d * e)
    return p, d


def _divide(a: _Poly, b: _Poly) -> _Poly | None:
    """``a / b`` where it comes out even, by long division; else None."""
    if not b.terms:
        return None
    lead = max(b.terms, key=_order)
    quotient = _constant(0)
    for _ in range(64):
        if not a.terms:
            return quotient
        top = max(a.terms, key=_order)
        key = _without(top, lead)
        if key is None or a.terms[top] % b.terms[lead]:
            return None
        step = _poly({key: a.terms[top] // b.terms[lead]}, a.atoms)
        quotient = quotient.plus(step)
        a = a.plus(step.times(b), -1)
    return None


def _order(key: Monomial) -> tuple[int, Monomial]:
    return len(key), key


def _without(key: Monomial, part: Monomial) -> Monomial | None:
    left = list(key)
    for name in part:
        if name not in left:
            return None
        left.remove(name)
    return tuple(left)


def _write(p: _Poly) -> Dim:
    if p.constant is not None:
        return p.constant
    return _write_sum(_familiar(p))


def _familiar(p: _Poly) -> _Poly:
    """Writes ``⌊(H − 3)/8⌋ − 1`` as ``⌊(H − 19)/8⌋ + 1``, as size formulas are written."""
    k = p.terms.get((), 0)
    rounded = [key for key in p.terms if len(key) == 1 and p.atoms[key[0]].head == "//"]
    if len(rounded) != 1 or p.terms[rounded[0]] != 1 or k == 0:
        return p
    atom = p.atoms[rounded[0][0]]
    d = atom.args[1].value
    if not d:
        return p
    inner = _read(atom.args[0]).plus(_constant(d * (k - 1)))
    moved = _write_sum(inner) // d
    terms = {key: v for key, v in p.terms.items() if key != rounded[0]}
    return _poly({**terms, (moved.python(),): 1, (): 1}, {**p.atoms, moved.python(): moved})


def _write_sum(p: _Poly) -> Formula:
    result: Formula | None = None
    for key in sorted(p.terms, key=lambda k: (-len(k), k)):
        value = p.terms[key]
        term = formula(abs(value))
        for name in key:
            term = term * p.atoms[name]
        if result is None:
            result = term if value > 0 else formula(-1) * term
        else:
            result = result + term if value > 0 else result - term
    return result if result is not None else formula(0)
