"""CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import netledger
from netledger.builder import Network
from netledger.graph import BATCH
from netledger.infer import infer
from netledger.ops import Conv, Flatten, Opaque
from netledger.render import render


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_alexnet(golden: Callable[..., None]) -> None:
    text = render(netledger.ledger("alexnet"), "csv")
    assert text.count("\r\n") == text.count("\n") == 13
    golden("render/alexnet.csv", text.replace("\r\n", "\n") + "\n")


def test_columns_add_up_to_the_totals() -> None:
    for name, view in (("alexnet", {}), ("resnet50", {"ops": True}), ("googlenet", {"depth": 1})):
        ledger = netledger.ledger(name)
        rows = read(render(ledger, "csv", **view))  # type: ignore[arg-type]
        totals = ledger.totals
        for column, total in (
            ("weights", totals.weights),
            ("biases", totals.biases),
            ("parameters", totals.params),
            ("buffers", totals.buffers),
            ("macs", totals.macs),
        ):
            assert sum(int(row[column]) for row in rows) == total


def test_unknown_is_empty_with_a_reason() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="conv")
    with net.scope("part"):
        net(Opaque("Magic", [(BATCH, 5)], "nobody, wrote\na rule"), name="magic")
        net(Conv(4, 3), "conv", name="known")
    row = read(render(infer(net.graph()), "csv"))[2]
    assert (row["name"], row["weights"], row["biases"], row["parameters"], row["macs"]) == (
        "part.magic",
        *("", "", "", ""),
    )
    reason = "nobody, wrote\\x0aa rule"
    assert row["unknown"] == f"params: {reason}; macs: {reason}"
    module = read(render(infer(net.graph()), "csv", depth=1))[2]
    assert module["name"] == "part" and module["weights"] == ""  # a lower bound is not the number


def test_symbols_are_expressions() -> None:
    row = read(render(netledger.ledger("alexnet", "HxWx3"), "csv"))[1]
    expected = 34848 * ((230 - 11) // 4 + 1) * ((300 - 11) // 4 + 1)
    assert eval(row["macs"], {"H": 230, "W": 300}) == expected


def test_a_sheet_takes_nothing_for_a_formula() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="=1+1")
    net(Flatten(), name="@x")
    rows = read(render(infer(net.graph()), "csv", ops=True))
    assert [row["name"] for row in rows[1:]] == ["'=1+1", "'@x"]
    assert rows[2]["inputs"] == "'=1+1"
