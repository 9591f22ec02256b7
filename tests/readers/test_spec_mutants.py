"""Mutants of good specs end in a ledger or in an error of ours, never in anything else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netledger import NetledgerError
from netledger.infer import infer
from netledger.ops import by_key
from netledger.readers.spec import parse
from netledger.render.yaml import write
from netledger.schema import LAYER_KEYS
from netledger.strict_yaml import parse as parse_yaml

ROOT = Path(__file__).parents[2]
GOOD = [path.read_text("utf-8") for path in sorted((ROOT / "examples").glob("*.yaml"))]
GOOD += (ROOT / "docs" / "spec.md").read_text("utf-8").split("```yaml\n")[1:]
GOOD = [text.partition("```")[0] for text in GOOD]
WORDS = [
    *by_key(),
    *LAYER_KEYS,
    *("0", "-1", "1", "9223372036854775807", "1.5", "null", "true", "[]", "{}", "[[1, 2], [3]]"),
    *("N", "H", "k", "H//2", "same", "split:1", "input", "''", "x: y", "&a", "*a", "!!int", "\t"),
    *("[-1, -1]", "[0]", "[N, H]", "{a: b}", ", ", ": ", "- ", "\n", "  ", "'", '"', "#", "?", "|"),
]


def mutant(rng: random.Random) -> str:
    text = rng.choice(GOOD)
    for _ in range(rng.randint(1, 4)):
        tokens = text.replace("{", " { ").replace("}", " } ").replace(",", " , ").split(" ")
        at = rng.randrange(len(tokens))
        match rng.randrange(5):
            case 0:
                tokens[at] = rng.choice(WORDS)
            case 1:
                tokens.insert(at, rng.choice(WORDS))
            case 2:
                del tokens[at]
            case 3:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case _:
                lines = " ".join(tokens).split("\n")
                lines.insert(rng.randrange(len(lines)), rng.choice(lines))
                tokens = "\n".join(lines).split(" ")
        text = " ".join(tokens)
    return text


VALUES: list[Any] = [
    *(0, -1, 1, 2, 3, 2**63 - 1, 2**63, 1.5, float("nan"), None, True, [], {}, "", "x", "N", "H"),
    *("H//2", "same", "split:1", "input", [1, 2], [[0, 1], [1, 0]], [-1, -1], [0], ["N", "H"]),
    *({"a": "b"}, {"weight": "a/weight"}, ["a", "weight"], "int64[3]", {"shape": [3]}, *by_key()),
]


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every list or mapping in a tree, with each of its indices or keys."""
    if not isinstance(data, dict | list):
        return []
    keys = list(data) if isinstance(data, dict) else range(len(data))
    return [(data, key) for key in keys] + [place for key in keys for place in places(data[key])]


def changed(rng: random.Random) -> str:
    """A spec whose tree, not whose text, was changed: it is always YAML."""
    tree = parse_yaml(rng.choice(GOOD), "net.yaml").plain()
    for _ in range(rng.randint(1, 3)):
        if not places(tree):
            break
        holder, key = rng.choice(places(tree))
        other, from_key = rng.choice(places(tree))
        match rng.randrange(5):
            case 0 | 1:
                holder[key] = copy.deepcopy(rng.choice(VALUES))
            case 2:
                holder[key] = copy.deepcopy(other[from_key])
            case 3:
                del holder[key]
            case _ if isinstance(holder, dict):
                known = [*LAYER_KEYS, *by_key()[rng.choice([*by_key()])][0].rules]
                holder[rng.choice(known)] = copy.deepcopy(rng.choice(VALUES))
            case _:
                holder.insert(key, copy.deepcopy(other[from_key]))
    return json.dumps(tree).replace("NaN", ".nan")


@pytest.mark.parametrize("make", [mutant, changed])
@pytest.mark.parametrize("seed", range(40))
def test_mutants(seed: int, make: Callable[[random.Random], str]) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        text = make(rng)
        try:
            graph = parse(text, "net.yaml")
            ledger = infer(graph)
        except NetledgerError as error:
            assert error.source.startswith("net.yaml"), (text, str(error))
            continue
        again = infer(parse(write(graph), "net.yaml"))
        assert again.to_dict(ops=True)["rows"] == ledger.to_dict(ops=True)["rows"], text
