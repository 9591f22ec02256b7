"""The commands that write pages and drawings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netledger.cli import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="netledger")


def test_report(tmp_path: Path) -> None:
    path = tmp_path / "alexnet.html"
    result = run("report", "alexnet", "--claim", "60M", "-o", str(path))
    assert (result.exit_code, result.output) == (0, "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")
    assert '"text":"60M"' in text and "60965224" in text


def test_report_to_the_terminal() -> None:
    result = run("report", "lenet5", "-o", "-")
    assert result.exit_code == 0 and result.output.startswith("<!DOCTYPE html>")


def test_report_needs_a_file() -> None:
    result = run("report", "lenet5")
    assert result.exit_code == 2 and "--output" in result.output


@pytest.mark.parametrize("ending", ["html", "svg"])
def test_the_ending_chooses_the_format(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{ending}"
    assert run("show", "lenet5", "-o", str(path)).exit_code == 0
    assert f"</{ending}>" in path.read_text(encoding="utf-8")


def test_a_difference_as_a_page(tmp_path: Path) -> None:
    path = tmp_path / "diff.html"
    result = run("diff", "alexnet", "alexnet-2012", "-o", str(path))
    assert result.exit_code == 1
    assert "<h1>alexnet → alexnet-2012</h1>" in path.read_text(encoding="utf-8")
