"""How a formula prints: as text, LaTeX, MathML, Python. A style is a small table of pieces."""

from __future__ import annotations

from dataclasses import dataclass

from netledger.formula import NUMBER, SYMBOL, Formula

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
"""How tightly a piece of text holds together: `SUM` loosest."""

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+")


@dataclass(frozen=True)
class Style:
    """One way to print. Pieces arrive as text that holds together tightly enough already."""

    minus: str
    times: str
    tight_times: str
    group: str = "({})"
    modulo: str = "mod"
    plus: str = "+"

    def show(self, f: Formula, numbers: bool = False) -> str:
        """`f` as written; with `numbers`, every symbol that has a value shows it."""
        return self._show(f, numbers, tight=False)[0]

    def number(self, value: int) -> str:
        """A number."""
        return f"{value:,}".replace("-", self.minus)

    def symbol(self, name: str) -> str:
        """A symbol."""
        return name

    def power(self, base: str, exponent: int) -> str:
        """``base`` to a whole power."""
        return base + str(exponent).translate(_SUPERSCRIPT)

    def quotient(self, a: str, b: str) -> tuple[str, int]:
        """A division that leaves no remainder."""
        return f"{a}/{b}", PRODUCT

    def rounded(self, a: str, b: str, up: bool) -> tuple[str, int]:
        """A division that is rounded down, or up."""
        return (f"⌈{a}/{b}⌉" if up else f"⌊{a}/{b}⌋"), ATOM

    def call(self, name: str, a: str, b: str) -> str:
        """A named function of two arguments."""
        return f"{name}({a}, {b})"

    def coefficient(self, number: str, rest: str) -> str:
        """A bare number before symbols, inside a sum: ``2P``."""
        return number + rest

    def wrap(self, piece: tuple[str, int], level: int) -> str:
        """`piece`, in brackets unless it holds together at least as tightly as `level`."""
        text, holds = piece
        return text if holds >= level else self.group.format(text)

    def _show(self, f: Formula, numbers: bool, tight: bool) -> tuple[str, int]:
        if f.head == NUMBER or (f.head == SYMBOL and numbers and f.value is not None):
            assert f.value is not None
            return self.number(f.value), ATOM if f.value >= 0 else SUM
        if f.head == SYMBOL:
            return self.symbol(f.name), ATOM
        if f.head in "+-":
            return self._sum(f, numbers), SUM
        if f.head == "*":
            return self._product(f, numbers, tight), PRODUCT
        return self._other(f, numbers)

    def _sum(self, f: Formula, numbers: bool) -> str:
        text = ""
        for sign, term in _terms(f):
            # −⌊H/2⌋ is not ⌊(−H)/2⌋: what is divided keeps together behind a leading minus.
            first_minus = not text and sign < 0 and term.head in ("//", "ceil")
            level = POWER if first_minus else PRODUCT
            piece = self.wrap(self._show(term, numbers, tight=True), level)
            if not text:
                text = piece if sign > 0 else self.minus + piece
            else:
                text += f" {self.plus if sign > 0 else self.minus} {piece}"
        return text

    def _product(self, f: Formula, numbers: bool, tight: bool) -> str:
        parts = []
        for base, exponent in _factors(f):
            piece = self._show(base, numbers, tight=True)
            if exponent == 1:
                # A quotient stands in brackets beside other factors: K² × (C/G) × N.
                parts.append(self.wrap(piece, POWER))
            else:
                parts.append(self.power(self.wrap(piece, ATOM), exponent))
        times = self.tight_times if tight else self.times
        (first, exponent), *rest = _factors(f)
        # 2P, but 2×3×P: two numbers side by side would be another number.
        leads = first.head == NUMBER and exponent == 1 and rest and rest[0][0].head != NUMBER
        if tight and not numbers and leads:
            return self.coefficient(parts[0], times.join(parts[1:]))
        return times.join(parts)

    def _other(self, f: Formula, numbers: bool) -> tuple[str, int]:
        a, b = (self._show(arg, numbers, tight=True) for arg in f.args)
        if f.head in ("min", "max"):
            return self.call(f.head, a[0], b[0]), ATOM
        if f.head == "%":
            return f"{self.wrap(a, POWER)} {self.modulo} {self.wrap(b, POWER)}", SUM
        if is_exact(f):
            return self.quotient(*self._over(a, b))
        return self.rounded(*self._over(a, b), up=f.head == "ceil")

    def _over(self, a: tuple[str, int], b: tuple[str, int]) -> tuple[str, str]:
        return self.wrap(a, PRODUCT), self.wrap(b, POWER)


class _Latex(Style):
    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", "{,}")

    def symbol(self, name: str) -> str:
        return latex_symbol(name)

    def power(self, base: str, exponent: int) -> str:
        return f"{base}^{{{exponent}}}"

    def quotient(self, a: str, b: str) -> tuple[str, int]:
        return rf"\frac{{{a}}}{{{b}}}", POWER

    def rounded(self, a: str, b: str, up: bool) -> tuple[str, int]:
        side = "ceil" if up else "floor"
        return rf"\left\l{side} \frac{{{a}}}{{{b}}} \right\r{side}", ATOM

    def call(self, name: str, a: str, b: str) -> str:
        return rf"\{name}({a}, {b})"

    def _over(self, a: tuple[str, int], b: tuple[str, int]) -> tuple[str, str]:
        return a[0], b[0]  # the fraction's line does the bracketing


class _MathML(Style):
    def number(self, value: int) -> str:
        digits = f"<mn>{abs(value):,}</mn>"
        return self.minus + digits if value < 0 else digits

    def symbol(self, name: str) -> str:
        base, index = _split_symbol(name)
        letter = f"<mi>{_xml(base)}</mi>"
        return f"<msub>{letter}<mi>{_xml(index)}</mi></msub>" if index else letter

    def power(self, base: str, exponent: int) -> str:
        return f"<msup><mrow>{base}</mrow><mn>{exponent}</mn></msup>"

    def quotient(self, a: str, b: str) -> tuple[str, int]:
        return f"<mfrac><mrow>{a}</mrow><mrow>{b}</mrow></mfrac>", POWER

    def rounded(self, a: str, b: str, up: bool) -> tuple[str, int]:
        left, right = ("⌈", "⌉") if up else ("⌊", "⌋")
        fraction = self.quotient(a, b)[0]
        return f"<mrow><mo>{left}</mo>{fraction}<mo>{right}</mo></mrow>", ATOM

    def call(self, name: str, a: str, b: str) -> str:
        within = f"<mo>(</mo>{a}<mo>,</mo>{b}<mo>)</mo>"
        return f"<mrow><mi>{name}</mi>{within}</mrow>"

    def _over(self, a: tuple[str, int], b: tuple[str, int]) -> tuple[str, str]:
        return a[0], b[0]


class _Python(Style):
    def number(self, value: int) -> str:
        return str(value)

    def power(self, base: str, exponent: int) -> str:
        return f"{base}**{exponent}"

    def quotient(self, a: str, b: str) -> tuple[str, int]:
        return f"{a}//{b}", PRODUCT

    def rounded(self, a: str, b: str, up: bool) -> tuple[str, int]:
        return (f"-(-{self.group.format(a)}//{b})" if up else f"{a}//{b}"), PRODUCT

    def coefficient(self, number: str, rest: str) -> str:
        return f"{number}*{rest}"


TEXT = Style(minus="−", times=" × ", tight_times="×")
LATEX = _Latex(
    minus="-",
    times=r" \times ",
    tight_times=r" \times ",
    group=r"\left({}\right)",
    modulo=r"\bmod",
)
MATHML = _MathML(
    minus="<mo>−</mo>",
    times="<mo>×</mo>",
    tight_times="<mo>×</mo>",
    group="<mrow><mo>(</mo>{}<mo>)</mo></mrow>",
    modulo="<mo>mod</mo>",
    plus="<mo>+</mo>",
)
PYTHON = _Python(minus="-", times="*", tight_times="*", modulo="%")


def latex_symbol(name: str) -> str:
    r"""A symbol's name as LaTeX: ``P_s`` → ``P_{s}``, ``F₋₁`` → ``F_{-1}``, a word → ``\text``."""
    base, index = _split_symbol(name)
    if len(base) > 1:
        base = rf"\text{{{base}}}"
    return f"{base}_{{{index}}}" if index else base


def _split_symbol(name: str) -> tuple[str, str]:
    """A symbol's letters and its index: ``P_s`` → ``P``, ``s``; ``F₋₁`` → ``F``, ``-1``."""
    letters = name.rstrip("₀₁₂₃₄₅₆₇₈₉₋₊")
    base, _, index = letters.partition("_")
    return base, index + name[len(letters) :].translate(_SUBSCRIPT)


def _xml(text: str) -> str:
    """Text in XML: the name of a symbol may come out of a file, and hold anything."""
    text = "".join([c if c.isprintable() else f"\\u{ord(c):04x}" for c in text])
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_exact(f: Formula) -> bool:
    """True if the division `f` is known to leave no remainder (its brackets may be left out)."""
    a, b = (arg.value for arg in f.args)
    return a is not None and b is not None and b != 0 and a % b == 0


def _terms(f: Formula, sign: int = 1) -> list[tuple[int, Formula]]:
    if f.head not in ("+", "-"):
        return [(sign, f)]
    found: list[tuple[int, Formula]] = []
    stack = [(sign, f)]
    while stack:  # sums over thousands of layers are too deep for a recursion
        sign, term = stack.pop()
        if term.head in ("+", "-"):
            left, right = term.args
            stack += [(sign if term.head == "+" else -sign, right), (sign, left)]
        elif term.head != NUMBER or term.value:
            found.append((sign, term))
    return found


def _factors(f: Formula) -> list[tuple[Formula, int]]:
    """The factors of a product with their exponents, in order: ``N×O×O`` → ``O² × N``."""
    flat: list[Formula] = []
    stack = [f]
    while stack:
        top = stack.pop()
        if top.head == "*":
            stack += reversed(top.args)
        else:
            flat.append(top)
    found: dict[str, tuple[Formula, int]] = {}
    for factor in flat:
        key = PYTHON.show(factor) if factor.args else factor.name or f"#{factor.value}"
        found[key] = (factor, found[key][1] + 1 if key in found else 1)
    return sorted(found.values(), key=_place)


def _place(factor: tuple[Formula, int]) -> int:
    """A coefficient first, then powers, then the rest."""
    base, exponent = factor
    return 0 if base.head == NUMBER and exponent == 1 else 1 if exponent > 1 else 2
