"""Findings as text, JSON, SARIF and annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger.builder import Network
from netledger.check.report import Report, examine
from netledger.check.rules import RULES
from netledger.ops import BatchNorm, Conv, Linear, Softmax
from netledger.render.findings import FORMATS, write

SPEC = """
name: tiny
input: [16, 16, 3]
layers:
  - conv: {name: stem, out_channels: 8, kernel_size: 3}
  - batch_norm
  - flatten
  - linear: {name: head, out_features: 1}
  - softmax
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def reports(*models: str, **wishes: Any) -> list[tuple[str, Report]]:
    return [(model, examine(model, **wishes)) for model in models]


def many() -> list[tuple[str, Report]]:
    net = Network("many", (32, 32, 3))
    for _ in range(8):
        net.chain(Conv(8, 1), BatchNorm())
    return [("many", examine(net.graph()))]


def test_text(golden: Callable[[str, str], None]) -> None:
    shown = reports("alexnet-keras-noflatten", "lenet5", "resnet18", budgets={"params": "12M"})
    golden("render/findings.txt", write(shown) + "\n")


def test_a_sound_network_is_told_in_one_line() -> None:
    assert write(reports("resnet50")) == "checked 1 network by 27 rules: nothing found"
    assert write([]) == "nothing was checked"


def test_many_alike_are_counted_unless_all_are_asked_for() -> None:
    text = write(many())
    assert text.count("NL111 warning") == 5
    assert "many: NL111 3 more (--all lists them)" in text
    assert text.endswith("checked 1 network by 27 rules: 8 warnings")
    assert write(many(), every=True).count("NL111 warning") == 8


def test_json_has_everything(tiny: Path) -> None:
    data = json.loads(write(reports(str(tiny), "lenet5", budgets={"params": 100}), "json"))
    assert data["schema"] == "netledger-check/1" and data["ok"] is False
    first, second = data["models"]
    assert [f["code"] for f in first["findings"]] == ["NL111", "NL131", "NL115", "NL201"]
    assert first["findings"][0]["source"] == f"{tiny}:5"
    assert first["budgets"] == [
        {"name": "params", "limit": 100, "value": 1809, "at_least": False, "kept": False}
    ]
    assert second["budgets"][0]["value"] == 61706
    assert data["counts"] == {"error": 3, "warning": 1, "info": 2}


LEVELS = {"none", "note", "warning", "error"}


def check_sarif(data: Any) -> None:
    """What the schema of SARIF 2.1.0 requires of the parts that we write."""
    assert data["version"] == "2.1.0" and data["$schema"].endswith("sarif-schema-2.1.0.json")
    assert set(data) == {"$schema", "version", "runs"} and len(data["runs"]) == 1
    (run,) = data["runs"]
    assert set(run) == {"tool", "columnKind", "results"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    driver = run["tool"]["driver"]
    assert isinstance(driver["name"], str) and isinstance(driver["version"], str)
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] and rule["name"]
        assert rule["defaultConfiguration"]["level"] in LEVELS
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in LEVELS and result["message"]["text"]
        for location in result["locations"]:
            assert all(name["name"] for name in location["logicalLocations"])
            check_place(location.get("physicalLocation"))


def check_place(place: Any) -> None:
    if place is not None:
        uri = place["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", uri)
        assert place.get("region", {"startLine": 1})["startLine"] >= 1


def test_sarif_is_well_formed(tiny: Path) -> None:
    found = reports(str(tiny), "alexnet-naive", budgets={"size": "1MB"})
    data = json.loads(write(found, "sarif"))
    check_sarif(data)
    run = data["runs"][0]
    assert len(run["results"]) == sum(len(report.findings) for _, report in found)
    assert {rule.code for rule in RULES} < {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("tiny%20net.yaml")
    assert place["region"]["startLine"] == 5
    zoo = [r for r in run["results"] if "alexnet" in str(r["locations"])]
    assert zoo and all("physicalLocation" not in r["locations"][0] for r in zoo)


def test_sarif_without_findings_is_well_formed() -> None:
    data = json.loads(write(reports("resnet50"), "sarif"))
    check_sarif(data)
    assert data["runs"][0]["results"] == []


def test_annotations_of_github(tiny: Path) -> None:
    lines = write(reports(str(tiny)), "github").splitlines()
    assert lines[0].startswith(f"::warning file={tiny},line=5,title=NL111 stem::{tiny}: stem: ")
    assert "%0Ahint: leave the bias out" in lines[0]
    assert [line.split()[0] for line in lines] == ["::warning", "::notice", "::error", "checked"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name", ["a\n::error::b", "x\x1b[2J", "100%0A::error::c", "a,b:c::d", "\u202edcba", "n" * 9999]
)
def test_names_are_inert(format: str, name: str) -> None:
    net = Network(name, (64,))
    net(Linear(1), name=f"dense {name}")
    net(Softmax(), name=name)
    text = write([(name, examine(net.graph()))], format)
    assert "\x1b" not in text and "\u202e" not in text
    assert len(text) < 100_000
    if format in ("text", "github"):
        commands = [line for line in text.splitlines() if line.startswith("::")]
        assert len(commands) == (1 if format == "github" else 0)
        assert format == "text" or "%0A::" not in text
    else:
        assert json.loads(text)


def test_levels_are_those_of_the_ledger() -> None:
    ledger = netledger.ledger("lenet5")
    assert examine(ledger).counts() == {"error": 0, "warning": 0, "info": 1}
