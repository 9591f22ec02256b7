"""What a search makes: proposals of one cause each, explanations of one or more, the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netledger.edits import Edit
from netledger.reconcile.claim import Claim

KINDS = (
    *("groups", "flatten", "pooling", "bias", "norm-affine", "buffers", "aux-head", "classes"),
    *("head", "tied-embedding", "vocabulary", "input-size", "padding", "rounding-mode", "width"),
    *("depth", "kernel", "stride", "sparse-connection", "quantized-storage", "frozen", "unused"),
    *("convention", "unit", "rounding"),
)
"""The kinds of causes."""


class Cell(NamedTuple):
    """What becomes of one stored tensor: `delta` more numbers in it.

    Attributes:
        row: The layer.
        name: The tensor's name within it.
        role: ``weight``, ``bias`` or ``buffer``.
        delta: How many numbers more; negative for fewer.
    """

    row: str
    name: str
    role: str
    delta: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """One cause that may explain a difference.

    Attributes:
        kind: One of `KINDS`.
        rows: The layers that it concerns.
        delta: What it adds to the count.
        text: The cause in words.
        arithmetic: How the delta comes about.
        cost: How surprising it is, in bits: the smaller, the more plausible beforehand.
        touches: What it counts otherwise; two causes that touch the same cannot simply be added.
        edits: The change of the network, where it is one.
        note: A remark, about no number of the explanation.
        cells: What becomes of stored tensors, where that is all that it changes …
        times: … so many times.
    """

    kind: str
    rows: tuple[str, ...]
    delta: int
    text: str
    arithmetic: str
    cost: float
    touches: frozenset[str] = frozenset()
    edits: tuple[Edit, ...] = ()
    note: str = ""
    cells: tuple[Cell, ...] = ()
    times: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The cause as JSON-ready data."""
        return {
            "kind": self.kind,
            "rows": list(self.rows),
            "delta": self.delta,
            "text": self.text,
            "arithmetic": self.arithmetic,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Causes that together lead from the count to the claim; their deltas add up to the result.

    Attributes:
        causes: In the order in which they are applied.
        result: The count that they lead to.
        exact: Whether that is the claimed number to the last digit.
        notes: Remarks: what one of the causes alone would give.
    """

    causes: tuple[Proposal, ...]
    result: int
    exact: bool
    notes: tuple[str, ...] = ()

    @property
    def cost(self) -> float:
        """How surprising it is, in bits."""
        return sum(cause.cost for cause in self.causes)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its causes, in order."""
        return tuple(cause.kind for cause in self.causes)


@dataclass(frozen=True)
class Reconciliation:
    """Why a network's count is not a claim.

    Attributes:
        model: What the network is called.
        claim: What is claimed.
        count: The network's own count of that quantity.
        explanations: The most plausible first; empty if none was found.
        complete: False if the count is only a lower bound, for something in the network is unknown.
        tried: How many combinations of causes were weighed.
        derived: How many edited networks were derived anew for it.
        cut: True if the time ran out before all were.
    """

    model: str
    claim: Claim
    count: int
    explanations: tuple[Explanation, ...]
    complete: bool = True
    tried: int = 0
    derived: int = 0
    cut: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def difference(self) -> int:
        """The claim as written minus the count; 0 if the claim can stand for the count."""
        return 0 if self.claim.holds(self.count) else int(self.claim.value) - self.count

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready data."""
        return {
            "schema": "netledger/1",
            "model": self.model,
            "count": self.count,
            "quantity": self.claim.quantity,
            "complete": self.complete,
            "claim": self.claim.to_dict(),
            "explanations": [
                {
                    "rank": rank,
                    "result": e.result,
                    "exact": e.exact,
                    "edits": [cause.to_dict() for cause in e.causes],
                    "notes": list(e.notes),
                }
                for rank, e in enumerate(self.explanations, start=1)
            ],
            "notes": list(self.notes),
        }
