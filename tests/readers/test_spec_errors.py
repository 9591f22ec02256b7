"""Every kind of bad spec, each with its message word for word (in spec_errors.txt)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import netledger
from netledger import NetledgerError
from netledger.infer import infer
from netledger.readers.spec import parse
from netledger.strict_yaml import MOST_VALUES


def read_cases() -> dict[str, tuple[str, str]]:
    text = (Path(__file__).parent / "spec_errors.txt").read_text("utf-8")
    parts = re.split(r"^##### (.*)\n", text, flags=re.MULTILINE)[1:]
    names, specs, messages = parts[0::4], parts[1::4], parts[3::4]
    return {n: (s, m.strip()) for n, s, m in zip(names, specs, messages, strict=True)}


CASES = read_cases()


def message(text: str) -> str:
    with pytest.raises(NetledgerError) as caught:
        infer(parse(text, "net.yaml"))
    return str(caught.value)


def test_there_are_many_kinds() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    spec, expected = CASES[name]
    assert message(spec) == expected


@pytest.mark.parametrize("name", CASES)
def test_the_place_is_always_named(name: str) -> None:
    source = re.search(r"^  source  net.yaml(:\d+)?$", CASES[name][1], re.MULTILINE)
    assert source is not None
    whole_file = ("empty", "only a comment", "escape beyond Unicode")
    assert (source[1] is None) == (name in whole_file)


def test_control_character() -> None:
    assert message("input: [8]\nname: a\x1b[2Jb\nlayers: [relu]\n") == (
        "SpecError: a control character (U+001B) is not allowed\n"
        "  source  net.yaml:2\n"
        '  hint    inside double quotes it can be written as "\\u001b"'
    )


def test_too_many_values() -> None:
    text = "input: [8]\nlayers:\n" + "  - relu\n" * (MOST_VALUES + 1)
    assert "more than 50,000 values" in message(text)


def test_a_long_value_is_cut_off() -> None:
    assert len(message(CASES["long value"][0])) < 250


def test_the_ledger_up_to_the_failing_layer() -> None:
    with pytest.raises(NetledgerError) as caught:
        infer(parse(CASES["kernel larger than the map"][0], "net.yaml"))
    partial = caught.value.partial
    assert partial is not None
    assert partial.failed == "pool"
    assert [row.name for row in partial.ops] == ["input", "stem"]
    assert partial.totals.params == 4 * (27 + 1)


def test_a_tie_does_not_hide_the_layer_that_does_not_fit() -> None:
    text = """
input: [8, 8, 3]
layers:
  - conv: {name: a, out_channels: 3, kernel_size: 3}
  - max_pool: {name: pool, kernel_size: 9}
  - conv: {name: b, out_channels: 3, kernel_size: 3, tie: a}
"""
    with pytest.raises(NetledgerError, match="a window of 9") as caught:
        infer(parse(text, "net.yaml"))
    assert caught.value.source == "net.yaml:5"


HOSTILE = {
    "nested brackets": "[" * 500_000,
    "nested braces": "x: " + "{a: " * 200_000,
    "many anchors": "&a " * 300_000,
    "billion laughs": "a: &a [x, x]\nb: &b [*a, *a]\nlayers: [*b, *b]\n",
    "layers without end": "input: [8]\nlayers: [" + "relu, " * 170_000,
    "keys without end": "input: [8]\n" + "".join(f"k{i}: 1\n" for i in range(80_000)),
    "dashes": "- " * 500_000,
    "question marks": "? " * 500_000,
    "one long word": "x" * 1_000_000,
    "one long comment": "#" * 1_000_000,
    "one long quotation": '"' + "\\\n" * 500_000,
    "colons": ":" * 1_000_000,
    "tags": "!<" * 500_000,
    "too large": "#" * 1_100_000,
    "not UTF-8": b"input: [8]\nname: \xff\nlayers: [relu]\n",
    "UTF-16": "input: [8]\nlayers: [relu]\n".encode("utf-16"),
    "zero bytes": b"layers: \0",
    "deep formula": f"input: ['{'(' * 400}H{')' * 400}']\nlayers: [relu]\n",
    "long formula": f"input: ['{'+'.join(['H'] * 5000)}']\nlayers: [relu]\n",
    "formula that multiplies out": "input: ["
    + ", ".join(["'" + "*".join(f"(a{i} + b{i} + c{i})" for i in range(25)) + "'"] * 8)
    + "]\nlayers:\n  - flatten\n  - linear: {out_features: 3}\n  - add: {inputs: [input, input]}\n",
    "a tower of powers": "input: ['9**8**8']\nlayers: [relu]\n",
    "huge sizes": "input: [9223372036854775807, 9223372036854775807]\nlayers:\n"
    + "  - linear: {out_features: 9223372036854775807}\n" * 50,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_ledger_or_an_error(name, inspect_file, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "net.yaml"
    data = HOSTILE[name]
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    kind, result = inspect_file(path)
    assert kind == ("ledger" if name == "huge sizes" else "error"), result


def test_sizes_are_exact_beyond_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(HOSTILE["huge sizes"])  # type: ignore[arg-type]
    largest = 2**63 - 1
    totals = netledger.ledger(path).totals
    assert totals.params == 50 * (largest**2 + largest)
