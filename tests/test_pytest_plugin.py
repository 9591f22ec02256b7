"""The pytest plugin, in sessions of pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def session(tmp_path: Path):  # type: ignore[no-untyped-def]
    """``session(test_code, *options)``: the output of pytest on it, and its exit code."""

    def run(code: str, *options: str) -> tuple[int, str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_it.py").write_text(code, encoding="utf-8")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": PLUGIN}
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=env)
        return done.returncode, done.stdout + done.stderr

    return run


PLUGIN = "netledger.pytest_plugin"

TOTALS = """
import pytest
import netledger

def test_kept(netledger_totals):
    totals = netledger_totals("resnet50")
    assert totals.params < 30e6 and totals.params == 25_557_032
    assert totals.bytes == 4 * (25_557_032 + totals.buffers)
    assert netledger_totals(netledger.ledger("lenet5")).macs < 1e6

def test_broken(netledger_totals):
    assert netledger_totals("resnet50").params < 5e6

def test_turned_round(netledger_totals):
    assert 5_000_000 > netledger_totals("alexnet", "227x227x3").macs

def test_symbols(netledger_totals):
    with pytest.raises(netledger.NetledgerError, match="depends on sizes"):
        netledger_totals("lenet5", "HxWx1").macs

def test_other_comparisons_are_left_alone():
    assert 1 < 0
"""


def test_a_failed_comparison_names_the_layers(session) -> None:  # type: ignore[no-untyped-def]
    code, text = session(TOTALS)
    assert code == 1 and "3 failed, 2 passed" in text
    assert "25,557,032 < 5,000,000" in text
    assert "resnet50 has 20,557,032 parameters more than 5,000,000; the largest:" in text
    assert "layer4.0.conv2: 2,359,296 (9 %)" in text
    assert "5,000,000 > 1,135,256,096" in text and "Conv-2: 447,897,600 (39 %)" in text


CHECK = """
import netledger
import pytest

def test_sound(netledger_check):
    netledger_check("resnet50", max_params="30M")

def test_budget(netledger_check):
    netledger_check("resnet50", max_params="5M")

def test_level(netledger_check):
    netledger_check("alexnet-keras-noflatten")  # a warning is no error
    netledger_check("alexnet-keras-noflatten", ignore="NL101", level="warning")

def test_flatten(netledger_check):
    netledger_check("alexnet-keras-noflatten", level="warning")

def test_wrong(netledger_check):
    for wrong in ({"level": "fatal"}, {"max_parms": 5}, {"select": "NL9"}):
        with pytest.raises(netledger.NetledgerError, match="unknown"):
            netledger_check("lenet5", **wrong)
"""


def test_findings_fail_a_test(session) -> None:  # type: ignore[no-untyped-def]
    code, text = session(CHECK)
    assert code == 1 and "2 failed, 3 passed" in text
    assert "NL201 error 25,557,032 parameters are 20,557,032 over the budget" in text
    assert "FC-1: NL101 warning dense layer on a 13×13 map" in text


SNAPSHOT = """
def test_net(netledger_snapshot):
    netledger_snapshot("SOURCE")
"""


def test_a_snapshot_is_written_only_when_asked(session, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, text = session(SNAPSHOT.replace("SOURCE", "alexnet"))
    assert code == 1 and "is missing: pytest --netledger-update writes it" in text
    code, _ = session(SNAPSHOT.replace("SOURCE", "alexnet"), "--netledger-update")
    assert code == 0 and (tmp_path / "__netledger__" / "test_net.txt").is_file()
    assert session(SNAPSHOT.replace("SOURCE", "alexnet"))[0] == 0
    code, text = session(SNAPSHOT.replace("SOURCE", "alexnet-keras-flatten"))
    assert code == 1 and "the network is not as in the snapshot test_net" in text
    assert "-FC-1: Linear float32[N, 4096] params 37,752,832 macs 37,748,736" in text
    assert "+FC-1: Linear float32[N, 4096] params 177,213,440 macs 177,209,344" in text
    assert "-Conv-1" not in text


def test_a_long_difference_is_cut() -> None:
    from netledger.pytest_plugin import difference

    text = difference("x", "\n".join(map(str, range(100))), "")
    assert "… and 80 more lines" in text and len(text.splitlines()) == 23
