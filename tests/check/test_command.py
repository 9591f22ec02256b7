"""`netledger check` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from netledger.cli import main
from netledger.render.findings import FORMATS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings of its own, so that those of this project do not matter."""
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["check", *words], prog_name="netledger")


def test_a_finding_with_its_hint() -> None:
    result = run("alexnet-keras-noflatten")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "alexnet-keras-noflatten: FC-1: NL101 warning dense layer on a 13×13 map: "
    )
    assert "\n  hint: put a Flatten" in result.stdout
    assert result.stdout.endswith("checked 1 network by 27 rules: 1 warning\n")


def test_a_broken_budget_is_exit_code_1() -> None:
    result = run("resnet50", "--max-params", "5M")
    assert result.exit_code == 1
    assert "25,557,032 parameters are 20,557,032 over the budget of 5,000,000" in result.stdout


def test_a_kept_budget_is_exit_code_0() -> None:
    result = run("resnet50", "--max-params", "30M", "--max-macs", "4.1G", "--max-size", "103MB")
    assert result.exit_code == 0
    assert "4,089,184,256 MACs, within the budget of 4,100,000,000" in result.stdout


def test_a_size_given_for_the_input() -> None:
    assert "54.25" in run("alexnet", "--input", "224x224x3").stdout
    assert "54.25" not in run("alexnet").stdout


def test_a_network_that_cannot_be_read_does_not_stop_the_others() -> None:
    result = run("alexnetx", "resnet50", "lenet5", "--max-params", "1M")
    assert result.exit_code == 2
    assert "unknown network or file 'alexnetx'" in result.stderr
    assert "resnet50: NL201 error" in result.stdout and "checked 2 networks" in result.stdout


def test_a_layer_that_does_not_fit_is_bad_input(folder: Path) -> None:
    spec = "name: x\ninput: [4, 4, 3]\nlayers:\n  - conv: {out_channels: 8, kernel_size: 7}\n"
    (folder / "x.yaml").write_text(spec, encoding="utf-8")
    result = run("x.yaml")
    assert result.exit_code == 2 and "a window of 7 does not fit a map of 4" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("lenet5 --select NL9", "unknown rule 'NL9'"),
        ("lenet5 --max-params five", "cannot read the budget max-params"),
        ("lenet5 --format xml", "Invalid value"),
        ("", "Missing argument"),
    ],
)
def test_wrong_words(words: str, message: str) -> None:
    result = run(*words.split())
    assert result.exit_code == 2 and message in result.stderr
    assert result.stderr.count(message) == 1


def test_settings_and_what_comes_before_them(folder: Path) -> None:
    text = '[tool.netledger.check]\nignore = ["NL131"]\nmax-params = "1k"\n'
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    result = run("lenet5")
    assert result.exit_code == 1 and "NL131" not in result.stdout
    assert run("lenet5", "--max-params", "1M").exit_code == 0
    assert "NL131" in run("lenet5", "--ignore", "NL132").stdout


def test_a_wrong_setting_is_told() -> None:
    Path("pyproject.toml").write_text("[tool.netledger.check]\nmax-parms = 5\n", encoding="utf-8")
    result = run("lenet5")
    assert result.exit_code == 2 and "did you mean 'max-params'" in result.stderr


def test_the_hook_of_pre_commit_is_a_command_that_takes_files() -> None:
    text = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    (hook,) = yaml.safe_load(text)
    assert {"id", "name", "entry", "language", "files"} <= set(hook)
    program, command, *rest = hook["entry"].split()
    assert (program, rest) == ("netledger", []) and command in main.commands
    assert re.search(hook["files"], "models/net.onnx")
    assert not re.search(hook["files"], "README.md")


@pytest.mark.parametrize("format", FORMATS)
def test_formats_go_to_files(folder: Path, format: str) -> None:
    result = run("alexnet", "--format", format, "-o", "out")
    assert result.exit_code == 0 and result.stdout == ""
    text = (folder / "out").read_text(encoding="utf-8")
    assert "NL131" in text
    if format in ("json", "sarif"):
        assert json.loads(text)
