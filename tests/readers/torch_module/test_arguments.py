"""Tensors in any nest of arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

import netledger

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@dataclass(frozen=True)
class Record:
    x: Any
    times: int = 2


class Named(NamedTuple):
    x: Any
    times: int = 2


class Fields(nn.Module):
    """Takes an object with fields."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, batch: Any) -> Any:
        for _ in range(batch.times):
            x = self.layer(batch.x)
        return x


@pytest.mark.parametrize("kind", [Record, Named])
@pytest.mark.parametrize("how", ["alone", "by place", "by name"])
def test_tensors_in_fields(kind: Any, how: str) -> None:
    given = kind(torch.zeros(5, 8))
    inputs = {"alone": given, "by place": (given,), "by name": {"batch": given}}[how]
    ledger = netledger.ledger(Fields(), inputs)
    assert list(map(str, ledger.graph.inputs.values())) == ["float32[N, 8]"]
    assert list(ledger.graph.inputs) == ["batch.x"]
    assert ledger.totals.macs == 2 * 32
    assert given.x.shape == (5, 8) and not given.x.is_meta
