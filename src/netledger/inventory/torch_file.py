"""A file of torch.save → its tensors, by the names that the model gives them.

Both forms are read: the zip archive, and the older row of pickles with the storages behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from netledger.errors import SpecError, quoted
from netledger.graph import BUFFER
from netledger.inventory import StoredTensor, check_count
from netledger.inventory.pickle_machine import MOST_BYTES, Made
from netledger.inventory.pickles import walk
from netledger.inventory.torch_tensors import CALLS, Storage, View, storage
from netledger.untrusted import Bytes, is_zip, open_zip

MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_HEAD = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
VERSION = 1001
DEEPEST = 64

_MODELS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network")
"""What the section of a checkpoint is called that holds the model."""
_NOT_THE_MODEL = re.compile(r"optim|sched|scaler|rng|ema($|_)|amp$|(^|_)averag|callbacks|loops")
"""Sections that hold no parameters of their own: optimizer state, moving averages …"""


@dataclass
class Checkpoint:
    """What a file of torch.save holds.

    Attributes:
        tensors: The model's tensors.
        notes: What was left out, and why; for people.
    """

    tensors: list[StoredTensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Found = tuple[str, Any, bool | None]
"""A tensor's path, what was made of it, and whether it is learned."""


def is_torch_zip(head: bytes, tail: bytes) -> bool:
    """True if a zip archive that begins and ends like this has a ``data.pkl`` in it."""
    return is_zip(head) and (b"data.pkl" in head[30:600] or b"/data.pkl" in tail)


def is_pickle(head: bytes) -> bool:
    """True if a file that begins like this is a pickle of protocol 2 or newer."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def read_checkpoint(data: Bytes, where: str) -> Checkpoint:
    """The tensors of a file of torch.save.

    Raises:
        SpecError: If it is no sound one.
    """
    try:
        root = _zipped(data, where) if is_zip(data[:4]) else _legacy(data)
        return _collect(root)
    except SpecError as error:
        raise error.at(where=where) from None


def _zipped(data: Bytes, where: str) -> Any:
    archive = open_zip(data, where)
    pickles = [name for name in archive if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise SpecError(f"the archive has {len(pickles)} members called data.pkl; one is needed")
    folder = pickles[0].removesuffix("data.pkl")

    def stored(pid: Any) -> Storage:
        found = storage(pid)
        member = archive.members.get(f"{folder}data/{found.key}")
        if member is None:
            raise SpecError(f"the storage {quoted(found.key)} is missing")
        if member.size != found.nbytes:
            raise SpecError(
                f"the storage {quoted(found.key)} has {member.size:,} bytes, "
                f"the pickle says {found.nbytes:,}"
            )
        return found

    pickle = archive.read(pickles[0], limit=MOST_BYTES)
    root, end = walk(pickle, 0, CALLS, stored)
    if end != len(pickle):
        raise SpecError(f"{len(pickle) - end:,} bytes behind the end of data.pkl")
    return root


def _legacy(data: Bytes) -> Any:
    """A magic number, a version, the writer's system, the object, the keys of its storages."""
    magic, at = walk(data, 0, {}, _none)
    if magic != MAGIC or type(magic) is not int:
        raise SpecError(
            "a pickle, but not one that torch.save wrote",
            hint="load it where you trust it, and save the tensors as safetensors",
        )
    version, at = walk(data, at, {}, _none)
    system, at = walk(data, at, {}, _none)
    if version != VERSION or not isinstance(system, dict):
        raise SpecError("not a file of torch.save: its version is not known")
    found: dict[str, Storage] = {}

    def stored(pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # a class, with its source: only its name is of interest
        one = storage(pid)
        if one.begin == 0:
            known = found.setdefault(one.key, one)
            if known != one:
                raise SpecError(f"the storage {quoted(one.key)} has two sizes")
        return one

    root, at = walk(data, at, CALLS, stored)
    keys, at = walk(data, at, {}, _none)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise SpecError("not a file of torch.save: the list of storages is none")
    if sorted(keys) != sorted(found):
        raise SpecError("the list of storages is not what the tensors use")
    order = "little" if system.get("little_endian", True) else "big"
    for key in keys:
        one = found[key]
        count = int.from_bytes(data[at : at + 8], "big" if order == "big" else "little")
        width = one.nbytes // count if count else 1
        if at + 8 > len(data) or count * width != one.nbytes:
            raise SpecError(f"the storage {quoted(key)} is not as long as the pickle says")
        at += 8 + one.nbytes
    if at > len(data):
        raise SpecError(
            f"the file is cut off: its storages end at byte {at:,} of {len(data):,}",
            hint="download it again",
        )
    if at < len(data):
        raise SpecError(f"{len(data) - at:,} bytes at the end belong to no storage")
    return root


def _none(pid: Any) -> Any:
    raise SpecError("not a file of torch.save: a storage where none can be")


def _collect(root: Any) -> Checkpoint:
    """The model's tensors, wherever they are in what was saved."""
    made = Checkpoint()
    sections: dict[str, list[Found]] = {}
    parts = root if isinstance(root, dict) else {}
    for found in _tensors(root):
        path, value, learned = found
        first, _, rest = path.partition(".")
        if isinstance(parts.get(first), (dict, list, Made)):
            sections.setdefault(first, []).append((rest, value, learned))
        else:
            sections.setdefault("", []).append(found)
    left = [s for s in sections if s and _NOT_THE_MODEL.search(s.lower())]
    if len(left) < len(sections):
        for name in left:
            count = len(sections.pop(name))
            plural = "s" * (count != 1)
            made.notes.append(f"{count:,} tensor{plural} in {quoted(name, 40)} left out")
    bare = len(sections) == 1 and next(iter(sections)) in _MODELS
    seen: set[str] = set()
    for section, members in sections.items():
        for path, value, learned in members:
            name = path if bare or not section else f"{section}.{path}"
            if name in seen:
                raise SpecError(f"two tensors are called {quoted(name)}")
            seen.add(name)
            made.tensors.append(_stored(name, value, learned))
    check_count(len(made.tensors))
    _untangle(made.tensors)
    return made


def _stored(name: str, value: Any, learned: bool | None) -> StoredTensor:
    if isinstance(value, View):
        role = BUFFER if learned is False else ""
        return StoredTensor(name, value.shape, value.dtype, value.nbytes, role, value.place)
    reason = f"an object of {quoted(value.name, 80)}, which is not looked into"
    return StoredTensor(name, (0,), "unknown", None, unknown=reason)


def _tensors(root: Any) -> Iterator[Found]:
    """Every tensor with its path, in the order of the file; each container once."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int, bool | None]] = [("", root, 0, None)]
    while waiting:
        path, value, depth, learned = waiting.pop()
        if isinstance(value, View):
            known = learned if value.learned is None or learned is False else value.learned
            yield path or "tensor", value, known
            continue
        if not isinstance(value, (dict, list, tuple, Made)) or id(value) in seen:
            continue
        if depth > DEEPEST:
            raise SpecError(f"values nested deeper than {DEEPEST}")
        seen.add(id(value))
        parts = _parts(value)
        if parts is None:
            if _holds_tensors(value):
                yield path or "object", value, None
            continue
        for key, inner, kept in reversed(parts):
            name = f"{path}.{key}" if path else str(key)
            waiting.append((name, inner, depth + 1, learned if kept is None else kept))


def _parts(value: Any) -> list[tuple[Any, Any, bool | None]] | None:
    """What is in a container: name, value, and whether it is learned; None for an unknown one."""
    if isinstance(value, Made):
        state = value.state
        if not isinstance(state, dict):
            return None
        if value.name.startswith("__torch__"):  # TorchScript keeps them as attributes
            return [(k, v, None) for k, v in state.items()]
        if not isinstance(state.get("_parameters"), dict):
            return None
        parts: list[tuple[Any, Any, bool | None]] = []
        for section, kept in (("_parameters", True), ("_buffers", False), ("_modules", None)):
            held = state.get(section)
            if isinstance(held, dict):
                parts += [(k, v, kept) for k, v in held.items()]
        return parts
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [(_name(k), v, None) for k, v in items]


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key) if isinstance(key, int | float) else "?"


def _holds_tensors(made: Any) -> bool:
    """True if an unknown object was given a tensor, or filled with one."""
    seen: set[int] = set()
    waiting: list[Any] = [made]
    while waiting:
        value = waiting.pop()
        if isinstance(value, View | Storage):
            return True
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Made):
            waiting += [value.args, value.state, value.items]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return False


def _untangle(tensors: list[StoredTensor]) -> None:
    """Labels tensors that share a part of their storage, so that no number counts twice."""
    places: dict[str, list[tuple[int, int, int]]] = {}
    for i, tensor in enumerate(tensors):
        if isinstance(tensor.storage, tuple):
            key, begin, end = tensor.storage
            places.setdefault(key, []).append((begin, -end, i))
    for spans in places.values():
        reach, owner = 0, 0
        for begin, end, i in sorted(spans):
            if begin < reach and tensors[owner].storage != tensors[i].storage:
                reason = f"it shares a part of its storage with {quoted(tensors[owner].name, 80)}"
                tensors[i] = tensors[i]._replace(unknown=reason, storage=None, nbytes=0)
            if -end > reach:
                reach, owner = -end, i
