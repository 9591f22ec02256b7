"""Budgets: the most that is allowed of a total."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from netledger.errors import FieldError, UnknownName
from netledger.formula import Formula
from netledger.ledger import Finding, Ledger, Row


@dataclass(frozen=True, slots=True)
class Kind:
    """A total that can have a budget.

    Attributes:
        name: What it is called in Python; ``--max-NAME`` on the command line.
        code: The code of the finding if the budget is broken.
        total: The attribute of `Totals` that it is about.
        unit: What it counts, for people.
        of: The attribute of a row that the total adds up.
    """

    name: str
    code: str
    total: str
    unit: str
    of: str


KINDS = (
    Kind("params", "NL201", "params", "parameters", "params"),
    Kind("macs", "NL202", "macs", "MACs", "macs"),
    Kind("activations", "NL203", "activations", "activations", "elements"),
    Kind("size", "NL204", "bytes", "bytes", "stored"),
)

_DECIMAL = {"": 0, "k": 1, "m": 2, "g": 3, "b": 3, "t": 4}
_AMOUNT = re.compile(r"(\d[\d,_]*(?:\.\d+)?) ?([kmgbt]?)", re.IGNORECASE | re.ASCII)
_BYTES = re.compile(r"(\d[\d,_]*(?:\.\d+)?) ?(?:([kmgt])(i?))?b?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a budget.

    Attributes:
        kind: Which total.
        limit: The most that is allowed.
        value: The total; a formula where an input's size is a symbol.
        least: True if something of it is unknown: the total is at least that.
    """

    kind: Kind
    limit: int
    value: Any
    least: bool

    @property
    def kept(self) -> bool | None:
        """Whether the budget is kept; None if that cannot be said."""
        if type(self.value) is not int:
            return None
        return False if self.value > self.limit else None if self.least else True


def parse_budget(name: str, given: Any) -> int:
    """A budget as a number: ``5M`` is 5,000,000; ``20MB`` as many bytes, ``20MiB`` 20,971,520.

    Raises:
        FieldError: If it is not a number of at least 0 with a unit that fits.
    """
    if isinstance(given, int | float) and not isinstance(given, bool) and given == given:
        if 0 <= given < float("inf"):
            return int(given)
    elif isinstance(given, str) and len(given) < 100:
        match = (_BYTES if name == "size" else _AMOUNT).fullmatch(given.strip())
        if match:
            number, unit, *binary = match.groups()
            base = 1024 if binary and binary[0] else 1000
            digits = Fraction(re.sub("[,_]", "", number))
            return int(digits * base ** _DECIMAL[(unit or "").lower()])
    units = "20MB, 20MiB or a number of bytes" if name == "size" else "5M, 1.5G or a number"
    raise FieldError(f"cannot read the budget max-{name}: {given!r}", hint=f"write {units}")


def parse_budgets(budgets: Mapping[str, Any]) -> dict[str, int]:
    """Budgets by name as numbers; None is no budget.

    Raises:
        UnknownName: If there is no such budget.
        FieldError: If a budget is not a number.
    """
    known = [kind.name for kind in KINDS]
    for name in budgets:
        if name not in known:
            raise UnknownName("budget", name, known, hint=f"there are {', '.join(known)}")
    given = {name: limit for name, limit in budgets.items() if limit is not None}
    return {name: parse_budget(name, limit) for name, limit in given.items()}


def verdicts(ledger: Ledger, limits: Mapping[str, int]) -> tuple[Verdict, ...]:
    """What became of each budget, in the order of `KINDS`."""
    totals = ledger.totals
    return tuple(
        Verdict(
            kind,
            limits[kind.name],
            getattr(totals, kind.total),
            incomplete(ledger, kind),
        )
        for kind in KINDS
        if kind.name in limits
    )


def incomplete(ledger: Ledger, kind: Kind) -> bool:
    """True if something of a total is unknown: it is then only a lower bound."""
    if kind.name != "size":
        return kind.name in ledger.totals.unknown
    stored = (p for row in ledger.ops for p in row.parameters if p.tied_to is None)
    return "params" in ledger.totals.unknown or any(p.stored_bytes is None for p in stored)


def findings(ledger: Ledger, judged: Iterable[Verdict]) -> tuple[Finding, ...]:
    """A finding for each budget that is broken, or that cannot be judged."""
    found = []
    for verdict in judged:
        unit, limit = verdict.kind.unit, f"the budget of {verdict.limit:,}"
        if verdict.kept is False:
            over = verdict.value - verdict.limit
            least = "at least " if verdict.least else ""
            message = f"{least}{verdict.value:,} {unit} are {over:,} over {limit}"
            found.append(_finding(verdict, "error", message, _largest(ledger, verdict)))
        elif verdict.kept is None and type(verdict.value) is int:
            message = f"at least {verdict.value:,} {unit}: {limit} may be broken"
            found.append(_finding(verdict, "warning", message, _why(ledger, verdict)))
        elif verdict.kept is None:
            message = f"{_symbolic(verdict.value)} {unit}: {limit} cannot be judged"
            found.append(_finding(verdict, "warning", message, "give the sizes: --input"))
    return tuple(found)


def _symbolic(value: Any) -> str:
    return value.text() if isinstance(value, Formula) else "?"


def _finding(verdict: Verdict, level: str, message: str, hint: str) -> Finding:
    return Finding(verdict.kind.code, level, "", message, hint)


def _largest(ledger: Ledger, verdict: Verdict) -> str:
    """The rows that add most to a total."""
    parts = [(amount(row, verdict.kind), row.name) for row in ledger.ops if row.op is not None]
    parts.sort(key=lambda part: -part[0])
    told = [
        f"{name} {count:,} ({100 * count // verdict.value} %)"
        for count, name in parts[:3]
        if count > 0
    ]
    return f"the largest: {', '.join(told)}" if told else ""


def amount(row: Row, kind: Kind) -> int:
    """What a row adds to a total; 0 where that is not known."""
    if kind.of == "stored":
        stored = [p.stored_bytes for p in row.parameters if p.tied_to is None]
        return sum(n for n in stored if type(n) is int)
    value = getattr(row, kind.of)
    return value if type(value) is int else 0


def _why(ledger: Ledger, verdict: Verdict) -> str:
    what = "params" if verdict.kind.name == "size" else verdict.kind.name
    for row in ledger.ops:
        if what in row.unknown:
            return f"unknown at {row.name}: {row.unknown[what]}"
    return "a parameter has a dtype of unknown width"
