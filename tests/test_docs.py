"""What README and docs show is what the commands print."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


console = load("console")


@pytest.mark.parametrize("page", console.pages(), ids=lambda page: page.name)
def test_examples_print_what_the_page_says(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    assert console.refresh(text) == text, "run: python docs/console.py --write"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/tour.md",
        "docs/api.md",
        "docs/check.md",
        "docs/diff.md",
        "docs/design.md",
        "docs/reconcile.md",
        "docs/conventions.md",
    ],
)
def test_python_examples_run(page: str) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
    assert blocks
    names = {"__name__": "example"}  # later blocks go on from earlier ones
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_a_wrong_example_would_be_found() -> None:
    wrong = "```console\n$ netledger show alexnet --format csv\nLayer 1\n```\n"
    assert console.refresh(wrong) != wrong
    assert "34848" in console.refresh(wrong)


def test_pictures_show_what_the_commands_print() -> None:
    pictures = load("pictures")
    for path, svg in pictures.pictures().items():
        assert words(path.read_text(encoding="utf-8")) == words(svg), "run: python docs/pictures.py"


def words(svg: str) -> list[str]:
    """The text of a picture, without how it is drawn."""
    return re.findall(r">([^<>\s][^<>]*)</text>", svg)
