"""The header of a GGUF file: key/values, then the tensors' names, shapes, types and places.

Strict: nothing twice, no overlap, no gap but the alignment's. Every count is bounded before it is
believed. ggml, docs/gguf.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from netledger.errors import SpecError, quoted
from netledger.formula import ceil_div
from netledger.inventory import MOST_TENSORS
from netledger.ops.fields import LARGEST
from netledger.readers.gguf.types import TYPES
from netledger.untrusted import Bytes

MAGIC = b"GGUF"
VERSIONS = (2, 3)
LONGEST_TEXT = 10 * 2**20
LONGEST_NAME = 65_535
DEEPEST_ARRAY = 4
MOST_AXES = 8
MOST_PAIRS = 65_536
MOST_TEXTS = 4_000_000
"""Texts in all arrays together; the largest vocabularies have some 300,000."""
MOST_METADATA = 256 * 2**20
KEPT_ITEMS = 256
"""Longer arrays are skipped: only their lengths are kept."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
"""How a value of a type is packed; BOOL, TEXT and ARRAY have rules of their own."""
_BOOL, _TEXT, _ARRAY = 7, 8, 9


_layout = lru_cache(maxsize=64)(struct.Struct)
"""How numbers are packed; asked for again and again."""


class Info(NamedTuple):
    """A tensor: its name, dimensions (the innermost first), type, and bytes in the file."""

    name: str
    dims: tuple[int, ...]
    type: int
    nbytes: int


class LongArray(NamedTuple):
    """An array that was skipped: how many items it has."""

    length: int


class Header:
    """A GGUF header that has been checked.

    Attributes:
        version: Of the format.
        big_endian: True if the most significant byte comes first.
        values: The key/values.
        tensors: What the file holds, in its order.
    """

    def __init__(self, data: Bytes) -> None:
        self._data, self._at = data, 4
        self._texts = 0
        self.version, self.big_endian = _version(data)
        self._order = ">" if self.big_endian else "<"
        self._at = 8
        tensors, pairs = self._number("Q"), self._number("Q")
        for count, most, what in (
            (tensors, MOST_TENSORS, "tensors"),
            (pairs, MOST_PAIRS, "key/values"),
        ):
            if count > most:
                raise SpecError(f"{count:,} {what}; at most {most:,} are read")
        self.values: dict[str, Any] = {}
        for _ in range(pairs):
            self._pair()
        self.tensors: list[Info] = []
        self._places: list[tuple[int, int, str]] = []
        names: set[str] = set()
        for _ in range(tensors):
            self._info(names)
        self._check_places()

    def _number(self, code: str) -> Any:
        return self._numbers(code)[0]

    def _numbers(self, code: str) -> tuple[Any, ...]:
        layout = _layout(self._order + code)
        return layout.unpack(self._take(layout.size))

    def _take(self, size: int) -> bytes:
        begin, end = self._at, self._at + size
        if end > len(self._data) or end > MOST_METADATA:
            if end > len(self._data):
                raise SpecError(f"the header is cut off at byte {len(self._data):,}")
            raise SpecError(f"the header is longer than {MOST_METADATA:,} bytes")
        self._at = end
        return self._data[begin:end]

    def _text(self, most: int, what: str) -> str:
        length = self._number("Q")
        if length > most:
            raise SpecError(f"{what} of {length:,} bytes; at most {most:,} are read")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise SpecError(f"{what} that is not UTF-8") from None

    def _pair(self) -> None:
        key = self._text(LONGEST_NAME, "a key")
        if key in self.values:
            raise SpecError(f"the key {quoted(key)} stands twice")
        try:
            self.values[key] = self._value(self._number("I"), 0)
        except SpecError as error:
            raise SpecError(f"{quoted(key)}: {error.fact}", hint=error.hint) from None

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _BOOL:
            value = self._number("B")
            if value > 1:
                raise SpecError(f"a truth value of {value}")
            return bool(value)
        if kind == _TEXT:
            return self._text(LONGEST_TEXT, "a text")
        if kind == _ARRAY:
            return self._array(depth + 1)
        raise SpecError(f"a value of the unknown type {kind}")

    def _array(self, depth: int) -> Any:
        if depth > DEEPEST_ARRAY:
            raise SpecError(f"arrays nested deeper than {DEEPEST_ARRAY}")
        kind, length = self._number("I"), self._number("Q")
        if kind in _SCALARS or kind == _BOOL:
            code = _SCALARS.get(kind, "B")
            size = struct.calcsize(code)
            if length > KEPT_ITEMS:
                self._skip(length * size)
                return LongArray(length)
            return list(struct.unpack(f"{self._order}{length}{code}", self._take(length * size)))
        if kind not in (_TEXT, _ARRAY):
            raise SpecError(f"an array of the unknown type {kind}")
        self._texts += length
        if self._texts > MOST_TEXTS or length * 8 > len(self._data) - self._at:
            raise SpecError(f"an array of {length:,} items is more than the file can hold")
        if kind == _TEXT and length > KEPT_ITEMS:
            self._skip_texts(length)
            return LongArray(length)
        items = [self._value(kind, depth) for _ in range(length)]
        return items if length <= KEPT_ITEMS else LongArray(length)

    def _skip(self, size: int) -> None:
        if self._at + size > len(self._data):
            raise SpecError(f"the header is cut off at byte {len(self._data):,}")
        self._at += size

    def _skip_texts(self, count: int) -> None:
        """Steps over many texts; what they say is not needed."""
        data, at, read = self._data, self._at, struct.Struct(self._order + "Q").unpack_from
        end = min(len(data), MOST_METADATA) - 8
        for _ in range(count):
            if at > end:
                raise SpecError(f"the header is cut off at byte {len(data):,}")
            (length,) = read(data, at)
            if length > LONGEST_TEXT:
                raise SpecError(f"a text of {length:,} bytes; at most {LONGEST_TEXT:,} are read")
            at += 8 + length
        self._at = at
        self._skip(0)

    def _info(self, names: set[str]) -> None:
        name = self._text(LONGEST_NAME, "a tensor's name")
        if name in names:
            raise SpecError(f"two tensors are called {quoted(name)}")
        names.add(name)
        rank = self._number("I")
        if rank > MOST_AXES:
            raise SpecError(f"{quoted(name)} has {rank:,} axes; at most {MOST_AXES} are read")
        *sizes, kind, offset = self._numbers(f"{rank}QIQ")
        dims = tuple(sizes)
        if kind not in TYPES:
            raise SpecError(f"{quoted(name)} has the unknown type {kind}")
        type_name, block, size = TYPES[kind]
        count = 1
        for d in dims:
            count *= d
            if count > LARGEST:
                raise SpecError(f"{quoted(name)} has more than 2^63 - 1 numbers")
        row = dims[0] if dims else 1
        if row % block:
            raise SpecError(
                f"{quoted(name)} has rows of {row:,}; {type_name} packs blocks of {block}"
            )
        nbytes = count // block * size
        self.tensors.append(Info(name, dims, kind, nbytes))
        self._places.append((offset, nbytes, name))

    def _check_places(self) -> None:
        """Tensors must follow one another, each at the next multiple of the alignment."""
        alignment = self.values.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise SpecError("general.alignment is not a power of two")
        align: Callable[[int], int] = lambda at: ceil_div(at, alignment) * alignment  # noqa: E731
        room = len(self._data) - align(self._at)
        at, before = 0, ""
        for offset, nbytes, name in sorted(self._places):
            if offset % alignment:
                raise SpecError(f"{quoted(name)} begins at {offset:,}, no multiple of {alignment}")
            if offset < at:
                raise SpecError(f"{quoted(name)} overlaps {quoted(before)}")
            if offset > align(at):
                raise SpecError(f"{offset - at:,} bytes before {quoted(name)} belong to no tensor")
            at, before = offset + nbytes, name
        if self.tensors and at > room:
            raise SpecError(
                f"the file is cut off: {quoted(before)} ends at byte {at:,} of {max(room, 0):,}",
                hint="download it again",
            )
        if room > align(at):
            raise SpecError(f"{room - at:,} bytes at the end belong to no tensor")


def _version(data: Bytes) -> tuple[int, bool]:
    """The version, and whether the most significant byte comes first."""
    if len(data) < 24:
        raise SpecError(f"the header is cut off at byte {len(data):,}")
    raw = data[4:8]
    little = int.from_bytes(raw, "little")
    big = little & 0xFFFF == 0
    version = int.from_bytes(raw, "big") if big else little
    if version not in VERSIONS or (big and version < 3):
        raise SpecError(
            f"version {version} of GGUF is not read",
            hint="versions 2 and 3 are; older files can be converted by llama.cpp",
        )
    return version, big
