"""The page about the spec says what is so."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

from netledger import NetledgerError
from netledger.infer import infer
from netledger.readers.spec import parse
from netledger.render.yaml import write
from netledger.schema import TOP_KEYS, json_schema
from netledger.strict_yaml import parse as parse_yaml

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "spec.md").read_text("utf-8")
SPECS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_up_to_date(generate: ModuleType) -> None:
    assert generate.filled(PAGE) == PAGE, "run: python docs/generate.py"


def test_rows_have_three_cells(generate: ModuleType) -> None:
    for row in generate.operations().partition("\n\n")[0].splitlines():
        assert row.count("|") == 4, row


def test_all_keys_of_the_file_are_listed() -> None:
    table = PAGE.partition("## The whole file")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(TOP_KEYS)


@pytest.mark.parametrize("number", range(len(SPECS)))
def test_examples(number: int) -> None:
    text = SPECS[number]
    graph = parse(text, "net.yaml")
    ledger = infer(graph)
    assert ledger.totals.complete
    assert not ledger.findings
    again = infer(parse(write(graph), "net.yaml"))
    assert again.to_dict(ops=True) == ledger.to_dict(ops=True)
    data = parse_yaml(text, "net.yaml").plain()
    jsonschema.validate(data, json_schema(), jsonschema.Draft202012Validator)


def test_there_are_examples() -> None:
    assert len(SPECS) >= 8


def test_the_message() -> None:
    shown = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    text = "\n\n\ninput: [8, 8, 3]\nlayers:\n  - conv: {kernal_size: 3}\n"
    with pytest.raises(NetledgerError) as caught:
        parse(text, "net.yaml")
    assert shown == [str(caught.value)]
