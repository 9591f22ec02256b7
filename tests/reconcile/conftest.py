"""Published claims, and the networks that they are about."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Ledger
from netledger.reconcile.proposal import Reconciliation

os.environ.setdefault("KERAS_BACKEND", "torch")

HERE = Path(__file__).parent


class Published(NamedTuple):
    """A claim, the network that it is about, and why they differ.

    `cause` is ``equal``, or kinds: ``bias+buffers`` together, ``rounding|head`` either.
    """

    model: str
    claim: str
    cause: str
    citation: str

    def rank(self, answer: Reconciliation) -> int | None:
        """The rank at which the cause is found; None if it is not."""
        wanted = [sorted(w.split("+")) if w != "equal" else [] for w in self.cause.split("|")]
        for rank, e in enumerate(answer.explanations, start=1):
            if sorted(e.kinds) in wanted:
                return rank
        return None


def read_claims(name: str = "claims.csv") -> list[Published]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return [Published(**row) for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def claims() -> list[Published]:
    """Every published claim."""
    return read_claims()


@pytest.fixture(scope="session")
def variants() -> list[Published]:
    """What libraries count for models that are built otherwise than by default."""
    return read_claims("variants.csv")


@pytest.fixture(scope="session")
def many() -> list[Published]:
    """Claims of many sorts, written down before the search was tried on them."""
    return read_claims("many.csv")


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ledger]:
    """``network(model)``: the ledger of what a claim is about; the last one is kept.

    ``network(model, shape)`` is that of the same on another input.
    """
    folder = tmp_path_factory.mktemp("configs")
    kept: dict[str, Ledger] = {}

    def get(model: str, shape: Any = None) -> Ledger:
        if shape is not None:
            return netledger.ledger(thing(model, folder), shape)
        if model not in kept:
            kept.clear()
            kept[model] = netledger.ledger(thing(model, folder))
        return kept[model]

    return get


def thing(model: str, folder: Path) -> Any:
    """What `netledger.ledger` reads: a name, a model, or a graph."""
    module, _, name = model.partition(":")
    if module == "networks.py":
        spec = importlib.util.spec_from_file_location("claims_networks", HERE / "networks.py")
        assert spec is not None and spec.loader is not None
        networks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(networks)
        return networks.named(name)()
    if module == "hf":
        config = json.loads((HERE / "configs.json").read_text())[name]
        path = folder / f"{name}.json"
        path.write_text(json.dumps(config))
        return f"hf:{path}"
    return model
