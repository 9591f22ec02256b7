"""Every number of a row, derived: the rule, the numbers put in, the result.

The rules themselves are asked again, with named quantities instead of numbers; what they return
prints itself. So a derivation cannot disagree with the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from netledger.explain.meanings import explain_symbols
from netledger.explain.naming import letters, name_axes, named_op, numbered
from netledger.formula import Formula, formula, prod, substitute, symbol, unrounded
from netledger.formula.printing import LATEX, MATHML, TEXT, Style
from netledger.formula.simplify import simplify
from netledger.graph import BIAS, BUFFER, WEIGHT, Parameter, Shape
from netledger.ledger import Ledger, Row, Stored
from netledger.ops import Flatten, Linear
from netledger.ops.base import Op, Spatial, size

SEVERAL = 4
"""Up to so many tensors a sum is written in one line."""


@dataclass(frozen=True)
class Derivation:
    """How one number comes about.

    Attributes:
        quantity: What it is: ``size``, ``weights``, ``MACs`` …
        symbol: What it is called in formulas: ``O``, ``W`` …
        formula: The rule, traced.
        note: What the formula does not say by itself (a rounding).
    """

    quantity: str
    symbol: str
    formula: Formula
    note: str = ""

    @property
    def value(self) -> int | Formula:
        """The result: an int, or a formula in the symbols that have no value."""
        return simplify(self.formula)

    def steps(self, style: Style = TEXT) -> list[str]:
        """Symbol, rule, rule with numbers, result; what would repeat is left out."""
        f, value = self.formula, formula(self.value)
        steps = [style.symbol(self.symbol), style.show(f), style.show(f, True), style.show(value)]
        return [step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1]]

    def text(self) -> str:
        """``O = (I − K + 2P)/S + 1 = (227 − 11 + 2×0)/4 + 1 = 55``."""
        return " = ".join(self.steps())

    def latex(self) -> str:
        """The same as LaTeX mathematics."""
        return " = ".join(self.steps(LATEX))

    def mathml(self) -> str:
        """The same as MathML: the content of a ``<math>`` element."""
        return "<mo>=</mo>".join(f"<mrow>{step}</mrow>" for step in self.steps(MATHML))


@dataclass(frozen=True)
class Sum:
    """A total of the network, added up row by row.

    Attributes:
        quantity: ``params`` or ``MACs``.
        terms: For each row that counts: its name, how its number comes about, the number.
        value: The sum; None over an unknown.
        known: The sum of what is known.
    """

    quantity: str
    terms: tuple[tuple[str, str, Any], ...]
    value: Any
    known: Any


@dataclass(frozen=True)
class Explanation:
    """A row, explained.

    Attributes:
        row: The row.
        title: What the layer is, in words.
        derivations: Every number of the row.
        meanings: What each symbol stands for.
    """

    row: Row
    title: str
    derivations: tuple[Derivation, ...]
    meanings: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{self.row.name}: {self.title}"]
        width = max((len(d.quantity) for d in self.derivations), default=0)
        for d in self.derivations:
            note = f"   ({d.note})" if d.note else ""
            lines.append(f"  {d.quantity:<{width}}  {d.text()}{note}")
        return "\n".join(lines)


def explain(ledger: Ledger, name: str | None = None) -> tuple[Explanation, ...]:
    """Derives every number of one row, or of all rows of the layer view.

    Raises:
        UnknownName: If there is no such row.
    """
    if name is not None:
        return (_Explainer(ledger).explain(ledger.row(name)),)
    explainer = _Explainer(ledger)
    return tuple(explainer.explain(row) for row in ledger.rows)


def add_up(ledger: Ledger) -> tuple[Sum, ...]:
    """The network's parameters and MACs, as a sum of one calculation for each row."""
    explainer, totals = _Explainer(ledger), ledger.totals
    params: list[tuple[str, str, Any]] = []
    macs: list[tuple[str, str, Any]] = []
    for row in ledger.ops:
        if row.op is None or not (_counts(row.params) or _counts(row.macs)):
            continue
        found = {d.quantity: d for d in explainer.explain(row).derivations}
        if _counts(row.params):
            parts = [found[q] for q in ("weights", "biases") if q in found]
            how = " + ".join(d.formula.text(numbers=True).replace(" × ", "×") for d in parts)
            params.append((row.name, how, row.params))
        if _counts(row.macs):
            how = found["MACs"].formula.text(numbers=True).replace(" × ", "×")
            macs.append((row.name, how, row.macs))
    sums = (("params", params, totals.params), ("MACs", macs, totals.macs))
    return tuple(
        Sum(quantity, tuple(terms), None if quantity.lower() in totals.unknown else total, total)
        for quantity, terms, total in sums
    )


class _Explainer:
    def __init__(self, ledger: Ledger) -> None:
        self.by_value = {value: row for row in ledger.ops for value in row.made}

    def explain(self, row: Row) -> Explanation:
        op = row.op
        if op is None:
            return Explanation(row, "input", (), {})
        found = [*self._shapes(row, op), *_reach(row, op, self._before(row))]
        meanings = explain_symbols(op, (d.formula for d in found))
        shapes = [t.shape for t in row.input_types]
        return Explanation(row, op.describe(*shapes), tuple(found), meanings)

    def _shapes(self, row: Row, op: Op) -> Iterable[Derivation]:
        named = named_op(op)
        in_names, out_names = op.axes(*(t.shape for t in row.input_types))
        inputs = self._inputs(row, op, in_names)
        made = named.outputs(*inputs)[0] if row.outputs else ()
        names = out_names[0] if out_names else ("",) * len(made)
        yield from _sizes(made, names)
        outputs = name_axes([names], [tuple(map(simplify, made))]) if made else ()
        shared = {p.name: p for p in row.parameters if p.tied_to is not None}
        parameters = tuple(p for p in named.parameters(*inputs) if p.name not in shared)
        yield from _stored(parameters, "weights", "W", WEIGHT)
        yield from _stored(parameters, "biases", "B", BIAS)
        if (parameters or shared) and row.params is not None:
            yield from _params(row, [p for p in shared.values() if p.role != BUFFER])
        yield from _stored(parameters, "buffers", "Buffers", BUFFER)
        if _counts(row.macs):
            all_outputs = (*outputs, *named.outputs(*inputs)[1:])
            yield Derivation("MACs", "MACs", formula(named.macs(inputs, all_outputs)))
        if made:
            if not any(names):
                outputs = name_axes([("", *numbered(len(made) - 1))], [tuple(map(simplify, made))])
            yield Derivation("elements", "A", formula(prod(outputs[0])))

    def _inputs(self, row: Row, op: Op, names: Any) -> tuple[Shape, ...]:
        shapes = [tuple(map(_sample, t.shape)) for t in row.input_types]
        inputs = name_axes(names, shapes)
        joined = self._flattened(row) if isinstance(op, Linear) else None
        return ((*inputs[0][:-1], joined), *inputs[1:]) if joined is not None else inputs

    def _flattened(self, row: Row) -> Any:
        """The features of a layer that is fed by a flattened map, as O² × N."""
        flat = self._source(row, lambda r: isinstance(r.op, Flatten))
        if flat is None or len(flat.input_types[0].shape) < 3:
            return None
        spatial = self._source(flat, lambda r: isinstance(r.op, Spatial))
        if spatial is None or not isinstance(spatial.op, Spatial):
            return None
        shape = tuple(map(_sample, flat.input_types[0].shape))
        names = spatial.op.axis_names(shape, "N", "O")
        (mapped,) = name_axes([names], [shape])
        assert flat.op is not None
        return flat.op.outputs(mapped)[0][-1]

    def _source(self, row: Row, wanted: Any) -> Row | None:
        """The row that feeds `row` and is wanted, seen through what changes no shape."""
        while row.inputs:
            feeder = self.by_value[row.inputs[0]]
            if wanted(feeder):
                return feeder
            if feeder.op is None or not feeder.op.folds or isinstance(feeder.op, Flatten):
                return None
            row = feeder
        return None

    def _before(self, row: Row) -> Row | None:
        return self.by_value[row.inputs[0]] if len(row.inputs) == 1 else None


def _sample(d: Any) -> Any:
    """A dimension for one sample."""
    return substitute(d, {"N": 1})


def _counts(value: Any) -> bool:
    """True for a count that is known and not 0."""
    return value is not None and bool(value != 0)


def _sizes(made: Shape, names: tuple[str, ...]) -> Iterable[Derivation]:
    computed: dict[str, list[Formula]] = {}
    for name, d in zip(names, made, strict=True):
        if name and isinstance(d, Formula) and d.args:
            computed.setdefault(name, []).append(d)
    for name, dims in computed.items():
        yield from _one_or_each("size", name, dims)


def _one_or_each(quantity: str, name: str, formulas: list[Formula]) -> Iterable[Derivation]:
    """One derivation where all axes have the same, else one for each axis."""
    if len({f.text() + f.text(numbers=True) for f in formulas}) == 1:
        formulas, called = formulas[:1], [name]
    else:
        called = [f"{name}_{letter}" for letter in letters(len(formulas))]
    for f, one in zip(formulas, called, strict=True):
        yield Derivation(quantity, one, f, _rounding(f))


def _rounding(f: Formula) -> str:
    """What was rounded away, where one rounded division is all that stands between."""
    exact = unrounded(f) if _rounds_once(f) else None
    if exact is None or f.value is None or exact == f.value:
        return ""
    way = "down" if exact > f.value else "up"
    return f"{float(exact):.6g}, rounded {way}"


def _rounds_once(f: Formula) -> bool:
    """True for one division, plus or minus whole numbers: only there the rest says something."""
    while f.head in ("+", "-"):
        a, b = f.args
        if _divides(a) and _divides(b):
            return False
        f = a if _divides(a) else b
    return f.head in ("//", "ceil") and not any(_divides(arg) for arg in f.args)


def _divides(f: Formula) -> bool:
    """True if a division (an exact one, C/G, included) is anywhere in it."""
    return f.head in ("//", "ceil") or any(_divides(arg) for arg in f.args)


def _stored(
    parameters: tuple[Parameter, ...], quantity: str, letter: str, role: str
) -> Iterable[Derivation]:
    mine = [p for p in parameters if p.role == role]
    if not mine:
        return
    sizes = [formula(size(p)) for p in mine]
    if len(mine) > SEVERAL:
        for p, f in zip(mine, sizes, strict=True):
            yield Derivation(p.name, f"{letter}_{p.name}", f)
        sizes = [symbol(f"{letter}_{p.name}", f.value) for p, f in zip(mine, sizes, strict=True)]
    yield Derivation(quantity, letter, _total(sizes))


def _total(terms: list[Formula]) -> Formula:
    total = formula(0)
    for term in terms:
        total = total + term
    return total


def _params(row: Row, shared: list[Stored]) -> Iterable[Derivation]:
    """Weights + biases; what is shared is not among them, and a note says where it counts."""
    terms = [(n, v) for n, v in (("W", row.weights), ("B", row.biases)) if _counts(v)]
    note = ", ".join(f"{p.name} is {str(p.tied_to).replace('/', '.')}" for p in shared)
    if terms or note:
        total = _total([symbol(n, v) if isinstance(v, int) else v for n, v in terms])
        yield Derivation("params", "P", total, f"shared: {note}" if note else "")


def _reach(row: Row, op: Op, before: Row | None) -> Iterable[Derivation]:
    window = named_op(op).window(*(t.shape for t in row.input_types))
    if before is None or not isinstance(window, tuple) or not window:
        return
    if not isinstance(before.receptive_field, tuple) or not isinstance(row.receptive_field, tuple):
        return
    seen, steps = before.receptive_field, before.steps
    found = [
        symbol("R₋₁", far) + (w.span - 1) * symbol("J", step)
        for w, far, step in zip(window, seen, steps, strict=True)
        if isinstance(far, int) and isinstance(step, int)
    ]
    if found:
        yield from _one_or_each("field", "R", found)
