"""The page of all conventions: its text, its JSON, its command."""

from __future__ import annotations

import json

from click.testing import CliRunner

import netledger
from netledger.cli import main
from netledger.conventions import CONVENTIONS
from netledger.render.conventions import write


def lines(*args: str) -> list[str]:
    result = CliRunner().invoke(main, ["show", *args, "--conventions"])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_totals_stand_side_by_side_with_the_cause_of_each_difference() -> None:
    shown = lines("lenet5")
    assert shown[0] == "lenet5 · per sample · 61.71 k parameters · 416.5 k MACs · 833 k FLOPs"
    at = next(i for i, line in enumerate(shown) if line.startswith("  weights "))
    assert shown[at].split()[:2] == ["weights", "61,470"]
    assert shown[at + 1].split("  ")[-2:] == [
        "−236",
        "biases are not counted (5 rows: Conv, Linear)",
    ]


def test_what_is_the_same_stands_in_one_line() -> None:
    same = [line for line in lines("lenet5") if line.startswith("  the same")]
    assert "trainable, with-buffers" in same[0]
    every = " ".join(lines("lenet5"))
    assert all(name in every for name in CONVENTIONS)


def test_it_says_that_layers_are_taken_for_modules() -> None:
    assert lines("lenet5")[-1].startswith("(tools that count modules")


def test_a_batch() -> None:
    assert "batch 8" in lines("lenet5", "--batch", "8")[0]


def test_symbols() -> None:
    shown = lines("resnet18", "--input", "HxWx3")
    assert any("macs-without-padding" in line and "≥" in line for line in shown)


def test_json() -> None:
    found = json.loads(write(netledger.ledger("resnet18"), "json"))
    assert found["schema"] == "netledger/1"
    counts = {c["name"]: c for c in found["conventions"]}
    assert set(counts) == set(CONVENTIONS)
    keras = counts["keras"]
    assert (keras["ours"], keras["total"], keras["complete"]) == (11_689_512, 11_699_112, True)
    (term,) = keras["terms"]
    assert term["delta"] == sum(term["rows"].values()) == 9_600


def test_other_formats_are_refused() -> None:
    result = CliRunner().invoke(main, ["show", "lenet5", "--conventions", "-f", "csv"])
    assert result.exit_code == 2
    assert "conventions are not written as csv" in result.output
