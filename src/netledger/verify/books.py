"""What a verification finds: two columns, predicted and observed, that must balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from netledger.graph import TensorType
from netledger.ledger import type_to_dict

SCHEMA = "netledger-verify/1"


class Account(NamedTuple):
    """One quantity, twice.

    Attributes:
        what: Which quantity: ``output``, ``parameters`` …
        predicted: What the rules say.
        observed: What the framework did; None where it has no such thing to look at.
        why: Why the observed figure need not be the predicted one, or why there is none.
    """

    what: str
    predicted: Any
    observed: Any
    why: str = ""

    @property
    def balances(self) -> bool:
        """True if both are the same, or need not be."""
        return bool(self.why) or bool(self.predicted == self.observed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "what": self.what,
            "predicted": _plain(self.predicted),
            "observed": _plain(self.observed),
            "balances": self.balances,
            "why": self.why,
        }


@dataclass(frozen=True)
class Entry:
    """The accounts of one row in one framework.

    Attributes:
        target: The framework.
        row: The name of the row.
        kind: Its operation.
        accounts: ``output`` (one or more), ``parameters``, ``buffers``.
    """

    target: str
    row: str
    kind: str
    accounts: tuple[Account, ...]

    @property
    def balances(self) -> bool:
        """True if all accounts do."""
        return all(account.balances for account in self.accounts)


@dataclass(frozen=True)
class Run:
    """One framework: what was built there and run.

    Attributes:
        target: Which one: ``torch``.
        framework: Its name and version.
        batch: How many samples were run at once; counts are per sample.
        rows: The accounts of every row.
        totals: The accounts of the whole: parameters, gradients, MACs …
        seconds: How long building, the forward and the backward pass took.
        peak_bytes: The most memory that the process held meanwhile, if the system tells.
        saved_bytes: What the framework kept for the backward pass, if it tells.
        notes: What was not done, and why.
    """

    target: str
    framework: str
    batch: int
    rows: tuple[Entry, ...]
    totals: tuple[Account, ...]
    seconds: dict[str, float]
    peak_bytes: int | None = None
    saved_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def balances(self) -> bool:
        """True if every account does, of every row and of the whole."""
        return all(e.balances for e in self.rows) and all(a.balances for a in self.totals)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "target": self.target,
            "framework": self.framework,
            "batch": self.batch,
            "balances": self.balances,
            "rows": [
                {
                    "name": entry.row,
                    "op": entry.kind,
                    "balances": entry.balances,
                    "accounts": [a.to_dict() for a in entry.accounts],
                }
                for entry in self.rows
            ],
            "totals": [account.to_dict() for account in self.totals],
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
            "peak_bytes": self.peak_bytes,
            "saved_bytes": self.saved_bytes,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Verification:
    """A network, built and run in real frameworks, against its ledger.

    Attributes:
        name: What the network is called.
        runs: One for each framework.
    """

    name: str
    runs: tuple[Run, ...]

    @property
    def balances(self) -> bool:
        """True if the books of every run do."""
        return all(run.balances for run in self.runs)

    @property
    def rows(self) -> tuple[Entry, ...]:
        """The rows of all runs."""
        return tuple(entry for run in self.runs for entry in run.rows)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "schema": SCHEMA,
            "model": self.name,
            "balances": self.balances,
            "runs": [run.to_dict() for run in self.runs],
        }

    def __repr__(self) -> str:
        word = "balances" if self.balances else "does not balance"
        return f"<Verification {self.name}: {word} in {', '.join(run.target for run in self.runs)}>"


def _plain(value: Any) -> Any:
    return type_to_dict(value) if isinstance(value, TensorType) else value
