"""Differences in words, tables, Markdown and JSON, and the command that prints them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import netledger
from netledger.builder import Network
from netledger.cli import main
from netledger.ops import Linear
from netledger.render.difference import FORMATS, write

GOLDEN = [
    ("alexnet", "alexnet-2012"),
    ("alexnet-keras-noflatten", "alexnet"),
    ("resnet50", "resnet50-v1"),
    ("alexnet-slim-v2", "alexnet"),
    ("googlenet", "googlenet-caffe"),
]


@pytest.mark.parametrize(("a", "b"), GOLDEN)
def test_text(golden: Callable[..., None], a: str, b: str) -> None:
    text = write(netledger.diff(a, b))
    assert max(map(len, text.splitlines())) <= 110
    golden(f"render/diff-{a}-{b}.txt", text + "\n")


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_every_layer_side_by_side(golden: Callable[..., None], format: str) -> None:
    found = netledger.diff("alexnet-keras-noflatten", "alexnet")
    suffix = {"table": "table.txt", "markdown": "md"}[format]
    golden(f"render/diff-alexnet.{suffix}", write(found, format) + "\n")


def test_json() -> None:
    found = json.loads(write(netledger.diff("alexnet", "alexnet-2012"), "json"))
    assert found["equal"] is False
    assert found["a"]["totals"]["params"] == 62_378_344
    for name in ("params", "macs", "activations", "neurons"):
        delta = found["b"]["totals"][name] - found["a"]["totals"][name]
        assert found["delta"][name] == delta
        assert sum(cause["delta"][name] for cause in found["causes"]) == delta
    (cause,) = [cause for cause in found["causes"] if cause["kind"] == "groups"]
    assert list(cause["rows"]) == ["Conv-2", "Conv-4", "Conv-5"]
    assert [edit["text"] for edit in cause["edits"]] == [
        "Conv-2: groups 2",
        "Conv-4: groups 2",
        "Conv-5: groups 2",
    ]
    assert {row["what"] for row in found["rows"]} == {"keep", "change", "insert"}


@pytest.mark.parametrize("format", FORMATS)
def test_names_out_of_a_file_are_inert(format: str) -> None:
    def net(name: str, features: int) -> netledger.Graph:
        made = Network("n\x1b[2J" + name, (8,))
        made(Linear(features), name="fc\x1b[31m|<b>")
        made(Linear(3), name="end")
        return made.graph()

    text = write(netledger.diff(net("a", 4), net("b", 5)), format)
    assert "\x1b" not in text
    assert "<b>" not in text or format != "markdown"


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["diff", *args])
    return result.exit_code, result.output


def test_exit_codes() -> None:
    code, text = run("vgg16", "vgg16")
    assert (code, text.strip()) == (
        0,
        "vgg16 and vgg16 are the same network: 138,357,544 parameters, 15,470,264,320 MACs",
    )
    assert run("alexnet", "alexnet-2012")[0] == 1
    code, text = run("alexnet", "alexnot")
    assert code == 2
    assert "alexnot" in text


def test_what_the_seeds_ask() -> None:
    text = run("alexnet", "alexnet-2012")[1]
    assert "Conv-2, Conv-4, Conv-5 in 2 groups" in text
    assert "−307,200 −663,552 −442,368 = −1,413,120" in text
    text = run("alexnet-keras-noflatten", "alexnet")[1]
    assert "MaxPool-3 added" in text
    assert "Flatten added" in text
    assert "stride" in run("resnet50", "resnet50-v1")[1]


def test_options(tmp_path: Path) -> None:
    target = tmp_path / "diff.json"
    args = ("--input", "64x64x3", "--format", "json", "-o", str(target))
    assert run("resnet18", "resnet34", *args) == (1, "")
    found = json.loads(target.read_text(encoding="utf-8"))
    assert found["b"]["totals"]["macs"] == netledger.ledger("resnet34", (64, 64, 3)).totals.macs
