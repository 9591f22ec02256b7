"""The JSON Schema agrees with the reader on what a spec is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from netledger import NetledgerError
from netledger.ops import OPERATIONS, by_key
from netledger.ops.base import Op
from netledger.readers.spec import parse
from netledger.render.yaml import write
from netledger.schema import LAYER_KEYS, json_schema, needs_inputs, required_fields
from netledger.strict_yaml import parse as parse_yaml
from netledger.zoo import NETWORKS, load

ROOT = Path(__file__).parents[1]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def validate(text: str) -> list[str]:
    """What the schema has against a spec."""
    data = parse_yaml(text, "net.yaml").plain()
    return [error.message for error in VALIDATOR.iter_errors(data)]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_are_valid(path: Path) -> None:
    assert validate(path.read_text("utf-8")) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_zoo_are_valid(name: str) -> None:
    assert validate(write(load(name))) == []


def test_every_word_is_described() -> None:
    for word, (op_class, implied) in by_key().items():
        described = SCHEMA["$defs"][word]
        assert len(described["description"]) > 5
        fields = set(op_class.rules) - set(implied)
        assert set(described["properties"]) == fields | set(LAYER_KEYS)
        assert described["additionalProperties"] is False
        for field in fields:
            assert described["properties"][field]["description"] == op_class.rules[field].help


def test_words_that_may_stand_alone() -> None:
    alone, _ = SCHEMA["$defs"]["layer"]["anyOf"]
    assert "relu" in alone["enum"]
    assert "conv" not in alone["enum"]


def simplest(op_class: type[Op]) -> dict[str, Any]:
    """The least that may stand under an operation's word."""
    least = {"integer": 3, "integers": 1, "per_axis": 3, "padding": 1, "text": "x"}
    least |= {"dims": [3], "shapes": [[3]], "tensors": [], "flag": True, "number": 1}
    fields = {
        name: least.get(op_class.rules[name].kind, (op_class.rules[name].choices or ("",))[0])
        for name in required_fields(op_class)
    }
    return {**fields, "inputs": "input"} if needs_inputs(op_class) else fields


def both(word: str, keys: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the schema takes a layer, and whether the reader does."""
    spec = {"input": [8, 8, 4], "layers": [{word: keys}]}
    try:
        parse(json.dumps(spec))
        read = True
    except NetledgerError:
        read = False
    return VALIDATOR.is_valid(spec), read


@pytest.mark.parametrize("op_class", OPERATIONS, ids=lambda c: c.key)
def test_schema_and_reader_agree(op_class: type[Op]) -> None:
    word, keys = op_class.key, simplest(op_class)
    assert both(word, keys) == (True, True)
    assert both(word, {**keys, "no_such_key": 1}) == (False, False)
    assert both(word, {**keys, "trainable": "no"}) == (False, False)
    assert both(word, {**keys, "name": 3}) == (False, False)
    for name in keys:
        assert both(word, {k: v for k, v in keys.items() if k != name}) == (False, False)
    odd = (-(2**70), 2**70, 1.5, True, [], [1, 2], [[1, 2], [3, 4]], {"a": 1}, [None], [-7], None)
    for name, rule in op_class.rules.items():
        for value in (*odd, *rule.choices, 0, 1, -1, 7):
            schema, reader = both(word, {**keys, name: value})
            assert schema == reader, f"{name}: {value!r}"


BROKEN = {
    "{input: [8]}",
    "{layers: [relu]}",
    "{input: [8], inputs: {a: [8]}, layers: [relu]}",
    "{input: [8], layers: relu}",
    "{input: [8], layers: [rleu]}",
    "{input: [8], layers: [conv]}",
    "{input: [8], layers: [linear: 10]}",
    "{input: [8], layers: [{relu: {}, tanh: {}}]}",
    "{input: [8], layers: [linear: {out_features: 0}]}",
    "{input: [8], layers: [linear: {out_features: 3, bias: no}]}",
    "{input: [8], layers: [relu: {function: gelu}]}",
    "{input: 8, layers: [relu]}",
    "{input: [8.5], layers: [relu]}",
    "{input: [8], layout: hwc, layers: [relu]}",
    "{input: [8], layers: [relu: {inputs: 3}]}",
    "{input: [8], layers: [relu: {outputs: 0}]}",
    "{input: [8], layers: [relu: {recorded: {params: 3}}]}",
    "{input: [8], name: '', layers: [relu]}",
    "{input: [8], author: me, layers: [relu]}",
}


@pytest.mark.parametrize("text", sorted(BROKEN))
def test_broken_specs_are_refused_by_both(text: str) -> None:
    assert validate(text)
    with pytest.raises(NetledgerError):
        parse(text)


def test_the_schema_never_refuses_what_the_reader_takes() -> None:
    cases = re.split(
        r"^##### .*\n", (ROOT / "tests/readers/spec_errors.txt").read_text("utf-8"), flags=re.M
    )
    taken = 0
    for text in cases[1::2]:
        try:
            parse(text)
        except NetledgerError:
            continue
        assert validate(text) == []
        taken += 1
    assert taken > 5  # the errors of inference: their specs are well formed
