"""Texts that name a live model, and what is said where they name none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import netledger
from netledger import NetledgerError, references
from netledger.cli import main
from netledger.readers.inputs import Whole, call_arguments, from_command_line

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.table, self.layer = nn.Embedding(9, width), nn.Linear(width, 3)

    def forward(self, tokens, mask=None):
        x = self.layer(self.table(tokens))
        return x if mask is None else x * mask[:, :, None]

def build_model():
    return Net(8)

def needs(width):
    return Net(width)

class Parts:
    model = Net()

NUMBER = 5

def broken():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    pytest.importorskip("torch")
    path = tmp_path / "my_net.py"
    path.write_text(NETWORK)
    return str(path)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("torchvision.models:resnet50", True),
        ("my_net.py:build_model", True),
        ("my/folder/my_net.py:Parts.model", True),
        ("timm:resnet50", True),
        ("hf:./folder", True),
        ("alexnet", False),
        ("C:\\models\\net.onnx", False),
        ("net.onnx", False),
    ],
)
def test_what_a_reference_is(text: str, yes: bool) -> None:
    assert references.is_reference(text) is yes


@pytest.mark.parametrize(
    ("attribute", "params"), [("build_model", 72 + 27), ("Net", 36 + 15), ("Parts.model", 36 + 15)]
)
def test_models_of_a_file(file: str, attribute: str, params: int) -> None:
    ledger = netledger.ledger(f"{file}:{attribute}", "int64[5]")
    assert ledger.totals.params == params
    assert ledger.graph.name == attribute and ledger.graph.source == f"{file}:{attribute}"


def test_json_gives_whole_arguments(file: str) -> None:
    given = '{"tokens": "int64[1,128]", "mask": "1x128"}'
    result = CliRunner().invoke(main, ["show", f"{file}:build_model", "--input", given])
    assert result.exit_code == 0, result.output
    assert "99 parameters" in result.output and "[N, 128, 3]" in result.output


@pytest.mark.parametrize(
    ("reference", "fact", "hint"),
    [
        ("no_such_module:net", "there is no module 'no_such_module'", "a module is looked for"),
        ("no_such_file.py:net", "there is no file 'no_such_file.py'", "write package.module"),
        ("json:nothing", "unknown attribute of json 'nothing'", "it has "),
        ("json:JSONDecoder", "a JSONDecoder is no network", "pass a name of the zoo"),
        ("hf:no/such/folder", "there is no config.json at 'no/such/folder'", "hf: takes a folder"),
        ("FILE:nothing", "unknown attribute of FILE 'nothing'", "it has "),
        ("FILE:NUMBER", "a int is no network", "pass a name of the zoo"),
        ("FILE:broken", "calling broken() failed: RuntimeError: no weights here", ""),
        ("FILE:Net", "nothing says what Net is called with", "give --input 3x224x224"),
    ],
)
def test_messages(file: str, reference: str, fact: str, hint: str) -> None:
    result = CliRunner().invoke(main, ["show", reference.replace("FILE", file)])
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(reference.replace("FILE", file))
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert caught.value.fact == fact.replace("FILE", file)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("reference", "package", "command"),
    [
        ("timm:resnet18", "timm", "pip install timm"),
        ("keras:MobileNet", "keras", "pip install 'netledger[keras]'"),
        ("transformers:BertModel", "transformers", "pip install 'netledger[hf]'"),
    ],
)
def test_a_missing_package(
    reference: str, package: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(reference)
    assert caught.value.fact == f"this model needs the package {package!r}, which is not installed"
    assert caught.value.hint == command


def test_an_error_in_the_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("x = 1\nimport no_such_package_anywhere\n")
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(f"{path}:net")
    assert caught.value.source == f"{path}:2"
    assert caught.value.hint == "pip install no_such_package_anywhere"


def test_a_class_that_needs_arguments(tmp_path: Path) -> None:
    path = tmp_path / "needy.py"
    path.write_text("class Net:\n    def __init__(self, width, depth=1): ...\n")
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(f"{path}:Net")
    assert caught.value.fact == f"{path}:Net is a class that needs width"


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        ("3x8x8", ["float32[N, 3, 8, 8]"], {}),
        ((3, 8, 8), ["float32[N, 3, 8, 8]"], {}),
        (["int64[5]", "4"], ["int64[N, 5]", "float32[N, 4]"], {}),
        ({"x": "int64[1,5]", "k": 3, "none": None}, [], {"x": "int64[1, 5]", "k": 3, "none": None}),
        (
            {"x": "N x 5", "deep": ["2x3", {"a": [4, 5]}]},
            [],
            {"x": "float32[N, 5]", "deep": ["float32[2, 3]", {"a": "float32[4, 5]"}]},
        ),
        (Whole(["1x5", 2]), ["float32[1, 5]", 2], {}),
        (Whole([1, 5]), ["float32[1, 5]"], {}),
        (from_command_line(("x=5", "y=int64[3]")), [], {"x": "float32[N, 5]", "y": "int64[N, 3]"}),
    ],
)
def test_call_arguments(given: object, args: list[object], kwargs: dict[str, object]) -> None:
    found = call_arguments(given)

    def shown(nest: object) -> object:
        if type(nest) is list:
            return [shown(part) for part in nest]
        if isinstance(nest, dict):
            return {name: shown(part) for name, part in nest.items()}
        return nest if nest is None or isinstance(nest, int) else str(nest)

    assert [shown(arg) for arg in found.args] == args
    assert shown(dict(found.kwargs)) == kwargs
