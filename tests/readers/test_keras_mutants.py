"""A thousand mutants of Keras files: each ends in a ledger or an error, as h5py reads it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from netledger.readers.keras.hdf5 import Group, read_hdf5
from netledger.untrusted import is_zip, open_zip

from .keras_configs import GOOD, RICH, text
from .keras_containers import CONFIG, GOOD_FILES, GOOD_ZIP, PARTS, WEIGHTS, archive

Inspect = Callable[..., tuple[str, Any]]

NASTY = (
    None,
    True,
    -1,
    0,
    1,
    3.5,
    2**31,
    2**63,
    2**64,
    "",
    "x" * 300,
    "same",
    [],
    {},
    [[]],
    "\u202e",
)


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Files with one to three things changed, where the structure is."""
    choose = random.Random(seed)
    for i in range(count):
        kind = choose.choice(("json", "h5", "weights.h5", "keras"))
        if kind == "json":
            yield f"{i}.json", text(changed(choose, json.loads(text(choose.choice((GOOD, RICH))))))
        elif kind == "keras":
            yield f"{i}.keras", changed_zip(choose)
        else:
            data = GOOD_FILES["good.h5" if kind == "h5" else "weights.h5"]
            yield f"{i}.{kind}", changed_bytes(choose, data, words=True)


def changed(choose: random.Random, value: Any) -> Any:
    """The same JSON, with a few values replaced, dropped, moved or doubled."""
    for _ in range(choose.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        todo = [value]
        while todo:
            one = todo.pop()
            inner = one.items() if isinstance(one, dict) else enumerate(one)
            for key, child in list(inner):
                places.append((one, key))
                if isinstance(child, dict | list):
                    todo.append(child)
        holder, key = choose.choice(places)
        other, other_key = choose.choice(places)
        action = choose.randrange(4)
        if action == 0:
            holder[key] = choose.choice(NASTY)
        elif action == 1:
            holder[key] = json.loads(json.dumps(other[other_key]))
        elif action == 2:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        else:
            holder[choose.choice(("name", "units", "axis", "strides"))] = holder.pop(key)
        if not value.get("class_name"):
            value["class_name"] = "Functional"
    return value


def changed_bytes(choose: random.Random, data: bytes, words: bool) -> bytes:
    """The same bytes, with a few numbers replaced."""
    for _ in range(choose.randint(1, 3)):
        size = choose.choice((1, 2, 4, 8) if words else (1, 2, 4))
        at = choose.randrange(12, len(data) - size) // size * size
        new = choose.choice((0, 1, 2**63, 2**64 - 1, len(data), at, choose.randrange(len(data))))
        old = data[at : at + size]
        value = (
            bytes([old[0] ^ (1 << choose.randrange(8))])
            if size == 1
            else (new % 256**size).to_bytes(size, "little")
        )
        data = data[:at] + value + data[at + size :]
    return data


def changed_zip(choose: random.Random) -> bytes:
    """The same archive, with a part of it or the archive itself changed."""
    part = choose.randrange(4)
    if part == 0:
        return archive(PARTS[0], (CONFIG, text(changed(choose, json.loads(text(GOOD))))), PARTS[2])
    if part == 1:
        return archive(*PARTS[:2], (WEIGHTS, changed_bytes(choose, PARTS[2][1], words=True)))
    if part == 2:
        parts = dict(choose.choice(PARTS) for _ in range(3))
        return archive(*parts.items())
    head = GOOD_ZIP.index(b"PK\1\2")
    return GOOD_ZIP[:head] + changed_bytes(choose, GOOD_ZIP[head:], words=False)


ORACLE = """
import h5py, io, json, sys, zipfile
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    if data[:2] == b"PK":
        data = zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5")
    found = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(lambda name, o: found.update({name: o.shape})
                        if isinstance(o, h5py.Dataset) else None)
    print(json.dumps([path, found]), flush=True)
"""


def h5py_says(paths: list[Path]) -> dict[str, dict[str, list[int]]]:
    """The shapes of all datasets, by h5py in a process of its own, which may crash."""
    said: dict[str, dict[str, list[int]]] = {}
    left = [str(path) for path in paths]
    while left:
        run = subprocess.run([sys.executable, "-c", ORACLE, *left], capture_output=True, text=True)
        for line in run.stdout.splitlines():
            path, found = json.loads(line)
            said[path] = found
            left.remove(path)
        left = left[1:]  # the one that h5py refused, or that ended it
    return said


def test_a_thousand_mutants(tmp_path: Path, inspect_file: Inspect) -> None:
    """Each is a ledger or an error; what is accepted, h5py reads just so."""
    accepted: dict[str, list[Path]] = {"json": [], "h5": [], "keras": []}
    for name, data in mutants(seed=2012, count=1000):
        path = tmp_path / name
        path.write_bytes(data)
        verdict, _ = inspect_file(path)
        if verdict == "ledger":
            accepted[name.rpartition(".")[2]].append(path)
        else:
            path.unlink()
    assert all(len(paths) > 20 for paths in accepted.values()), accepted
    stored = accepted["h5"] + [
        p for p in accepted["keras"] if b"model.weights.h5" in p.read_bytes()
    ]
    said = h5py_says(stored)
    # The others it refuses, for parts of the format from which no shape follows.
    assert len(said) > 0.8 * len(stored)
    for path in stored:
        if str(path) in said:
            assert ours(path) == {k: tuple(v) for k, v in said[str(path)].items()}, path


def ours(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all datasets, as the reader sees them."""
    data, at, size = path.read_bytes(), 0, None
    if is_zip(data):
        member = open_zip(data, path.name).members[WEIGHTS]
        at, size = member.start, member.size
    return dict(datasets(read_hdf5(data, path.name, at, size), ""))


def datasets(group: Group, path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, member in group.members.items():
        if isinstance(member, Group):
            yield from datasets(member, f"{path}{name}/")
        else:
            yield path + name, member.shape
