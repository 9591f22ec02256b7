"""Modules that are one row, though PyTorch takes them apart."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import netledger
from netledger.ops import LocalResponseNorm

torch = pytest.importorskip("torch")


def model() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.LocalResponseNorm(3, alpha=2e-4, beta=0.5, k=2.0),
        torch.nn.ReLU(),
    )


WRITTEN = LocalResponseNorm(3, 2e-4, 0.5, 2.0)


def test_local_response_normalisation_is_one_row() -> None:
    ledger = netledger.ledger(model(), (3, 9, 9))
    assert [(row.name, row.kind) for row in ledger.ops[1:]] == [
        ("0", "Conv"),
        ("1", "LocalResponseNorm"),
        ("2", "ReLU"),
    ]
    assert ledger.ops[2].op == WRITTEN
    assert not ledger.findings


def test_and_of_an_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model().eval(), (torch.zeros(1, 3, 9, 9),))
        torch.export.save(program, path)
    ledger = netledger.ledger(path)
    assert [row.kind for row in ledger.ops[1:]] == ["Conv", "LocalResponseNorm", "ReLU"]
    assert ledger.ops[2].op == WRITTEN


def test_a_module_that_is_called_twice_loses_nothing() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.LocalResponseNorm(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.norm(x)) + x

    ledger = netledger.ledger(Twice(), (4, 5, 5))
    assert ledger.ops[-1].kind == "Add"
    assert ledger.ops[-1].outputs[0].shape[1:] == (4, 5, 5)
    assert ledger.totals.complete


def test_the_papers_alexnet_comes_back_as_it_was_written() -> None:
    built = netledger.ledger(netledger.build("alexnet-2012", "torch"), (3, 224, 224))
    assert netledger.diff("alexnet-2012", built).empty
