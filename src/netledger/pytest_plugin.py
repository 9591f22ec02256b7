"""A plugin of pytest: budgets, findings and snapshots of networks as assertions.

    def test_model(netledger_totals, netledger_check, netledger_snapshot):
        assert netledger_totals("model.onnx").params < 5e6
        netledger_check("model.onnx", max_macs="300M", ignore=["NL131"])
        netledger_snapshot("model.onnx")

Snapshots lie in ``__netledger__`` beside the test; ``pytest --netledger-update`` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netledger.check.budgets import Kind
    from netledger.ledger import Ledger

FOLDER = "__netledger__"
MOST_LINES = 20
_TOTALS = {"params": "params", "macs": "macs", "activations": "activations", "bytes": "size"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--netledger-update``."""
    parser.getgroup("netledger").addoption(
        "--netledger-update",
        action="store_true",
        help="write the snapshots of networks anew; read the diff",
    )


class Total(int):
    """A total that knows its ledger, so that a failed comparison can say where it comes from."""

    ledger: Ledger
    kind: Kind

    @classmethod
    def of(cls, ledger: Ledger, name: str) -> Total:
        """The total called `name`; it must be known and a number."""
        from netledger.check.budgets import KINDS, incomplete
        from netledger.errors import UsageError

        value, whose = getattr(ledger.totals, name), f"{name} of {ledger.graph.name}"
        kind = next(kind for kind in KINDS if kind.name == _TOTALS[name])
        if type(value) is not int:
            raise UsageError(f"{whose} depends on sizes that are not given")
        if incomplete(ledger, kind):
            raise UsageError(f"{whose} is only known to be at least {value:,}")
        total = cls(value)
        total.ledger, total.kind = ledger, kind
        return total


class Totals:
    """The totals of a network: ``params``, ``macs``, ``activations``, ``bytes`` and the others."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __getattr__(self, name: str) -> Any:
        if name in _TOTALS:
            return Total.of(self.ledger, name)
        return getattr(self.ledger.totals, name)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Says of a failed comparison of a total which layers it comes from."""
    total, other = (left, right) if isinstance(left, Total) else (right, left)
    if not isinstance(total, Total) or not isinstance(other, int | float):
        return None
    from netledger.check.budgets import amount

    kind, name = total.kind, total.ledger.graph.name
    difference = int(total) - int(other)
    side = "more" if difference > 0 else "fewer"
    rows = sorted(
        (r for r in total.ledger.ops if r.op is not None), key=lambda row: -amount(row, kind)
    )
    shares = [
        f"  {row.name}: {amount(row, kind):,} ({100 * amount(row, kind) // total} %)"
        for row in rows[:5]
        if amount(row, kind)
    ]
    shown = [f"{part:,}" if isinstance(part, int) else f"{part:,.0f}" for part in (left, right)]
    return [
        f"{shown[0]} {op} {shown[1]}",
        f"{name} has {abs(difference):,} {kind.unit} {side} than {int(other):,}; the largest:",
        *shares,
    ]


@pytest.fixture
def netledger_totals() -> Callable[..., Totals]:
    """``netledger_totals(model, inputs=None).params``: totals that explain a failed assertion."""
    return lambda model, inputs=None: Totals(_ledger(model, inputs))


@pytest.fixture
def netledger_check() -> Callable[..., None]:
    """``netledger_check(model, max_params="5M", select=(), ignore=())``: fails on an error.

    With ``level="warning"`` or ``"info"`` it fails on those findings too.
    """
    return _check


def _check(
    model: Any,
    inputs: Any = None,
    *,
    select: Any = (),
    ignore: Any = (),
    level: str = "error",
    **budgets: Any,
) -> None:
    from netledger.check.report import examine
    from netledger.check.rules import LEVELS
    from netledger.errors import UnknownName
    from netledger.render.findings import write

    if level not in LEVELS:
        raise UnknownName("level", level, LEVELS)
    limits = {name.removeprefix("max_"): limit for name, limit in budgets.items()}
    ledger = _ledger(model, inputs)
    report = examine(ledger, select=select, ignore=ignore, budgets=limits)
    refused = LEVELS[: LEVELS.index(level) + 1]
    if any(finding.level in refused for finding in report.findings):
        pytest.fail(write([(ledger.graph.name, report)], every=True), pytrace=False)


@pytest.fixture
def netledger_snapshot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``netledger_snapshot(model, inputs=None, name="")``: fails if a ledger is not as it was."""

    def compare(model: Any, inputs: Any = None, *, name: str = "") -> None:
        stem = re.sub(r"[^\w.-]+", "-", name or request.node.name).strip("-")
        path = Path(request.path).parent / FOLDER / f"{stem}.txt"
        now = snapshot(_ledger(model, inputs))
        if request.config.getoption("--netledger-update"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(now, encoding="utf-8")
        elif not path.is_file():
            pytest.fail(f"{path} is missing: pytest --netledger-update writes it", pytrace=False)
        elif (then := path.read_text(encoding="utf-8")) != now:
            pytest.fail(difference(stem, then, now), pytrace=False)

    return compare


def snapshot(ledger: Ledger) -> str:
    """A ledger as lines that are easy to compare: the totals, then a line for each operation."""
    totals = ledger.totals.to_dict()
    head = [f"{name} {_shown(value)}" for name, value in totals.items()]
    rows = [
        f"{row.name}: {row.kind} {' '.join(map(str, row.outputs))} "
        f"params {_shown(row.params)} macs {_shown(row.macs)}"
        for row in ledger.ops
    ]
    from netledger.render.common import LONGEST_TEXT, inert

    return "\n".join(inert(line, LONGEST_TEXT) for line in [*head, *rows]) + "\n"


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value)


def difference(name: str, then: str, now: str) -> str:
    """What changed between two snapshots, a line removed and a line added at a time."""
    import difflib

    lines = difflib.unified_diff(then.splitlines(), now.splitlines(), lineterm="", n=0)
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    more = [f"… and {len(changed) - MOST_LINES} more lines"] if len(changed) > MOST_LINES else []
    return "\n".join(
        [
            f"the network is not as in the snapshot {name}:",
            *[f"  {line}" for line in changed[:MOST_LINES]],
            *more,
            "if that is meant: pytest --netledger-update writes it anew",
        ]
    )


def _ledger(model: Any, inputs: Any) -> Ledger:
    from netledger.infer import infer
    from netledger.ledger import Ledger as KnownLedger
    from netledger.readers import read

    return model if isinstance(model, KnownLedger) else infer(read(model, inputs))
