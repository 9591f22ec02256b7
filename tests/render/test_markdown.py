"""Markdown."""

from __future__ import annotations

from collections.abc import Callable

import netledger
from netledger.builder import Network
from netledger.graph import BATCH
from netledger.infer import infer
from netledger.ops import Conv, Embedding, Linear, Opaque
from netledger.render import render


def test_alexnet(golden: Callable[..., None]) -> None:
    golden("render/alexnet.md", render(netledger.ledger("alexnet"), "markdown") + "\n")


def test_columns_line_up() -> None:
    text = render(netledger.ledger("resnet18"), "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert len(table) == len(netledger.ledger("resnet18").rows) + 3


def test_views_and_layout() -> None:
    ledger = netledger.ledger("alexnet")
    assert "| relu " in render(ledger, "markdown", ops=True)
    assert "| [N, 55, 55, 96] " not in render(ledger, "markdown", layout="source")
    assert "\\[N, 55, 55, 96\\]" in render(ledger, "markdown", layout="source")


def test_marks() -> None:
    net = Network("lm", (16,), dtype="int64")
    net(Embedding(100, 8), name="embed")
    net(Opaque("Magic", [(BATCH, 16, 8)]), name="magic")
    net(Linear(100, bias=False), name="head")
    net.tie(("embed", "weight"), ("head", "weight"))
    text = render(infer(net.graph()), "markdown")
    assert "**≥ 800**" in text
    assert "\n\\= shared, counted only once: head.weight is embed.weight  \n" in text
    assert text.endswith("? parameters and MACs unknown: no rule describes it (magic)")


def test_partial() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="one")
    net(Conv(4, 9), name="two")
    try:
        infer(net.graph())
    except netledger.NetledgerError as error:
        assert error.partial is not None
        text = render(error.partial, "markdown")
    assert text.endswith("… stopped at two") and "| two" not in text
