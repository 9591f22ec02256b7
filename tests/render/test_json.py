"""JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import netledger
from netledger.builder import Network
from netledger.infer import infer
from netledger.ops import Conv, ConvTranspose, Linear
from netledger.render import render


def test_alexnet(golden: Callable[..., None]) -> None:
    golden("render/alexnet.json", render(netledger.ledger("alexnet"), "json") + "\n")


@pytest.mark.parametrize("view", [{}, {"ops": True}, {"depth": 1}])
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "googlenet-aux"])
def test_is_the_ledger_itself(name: str, view: dict[str, object]) -> None:
    ledger = netledger.ledger(name)
    text = render(ledger, "json", **view)  # type: ignore[arg-type]
    assert json.loads(text) == ledger.to_dict(**view)  # type: ignore[arg-type]
    assert text.isascii()


def test_integers_are_exact_at_any_size() -> None:
    net = Network("n", (2**40,))
    net(Linear(2**62), name="fc")
    ledger = infer(net.graph())
    data = json.loads(render(ledger, "json"))
    assert data["totals"]["params"] == 2**102 + 2**62
    assert f" {2**102 + 2**62}," in render(ledger, "json")


def test_receptive_fields_between_positions() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3, padding=1), name="conv")
    net(ConvTranspose(4, 3, stride=3), name="up")
    net(Conv(4, 3, padding=1), name="fine")
    assert json.loads(render(infer(net.graph()), "json"))["rows"][3]["receptive_field"]
