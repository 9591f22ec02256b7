"""The wire level of protobuf: numbered fields with bounds. Payloads are skipped, never touched.

A message is a row of fields: a tag (number and wire type), then a number or a length and that many
bytes. https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import Any

from netledger.errors import SpecError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
WIRE_TYPES = {VARINT: "a number", FIXED64: "8 bytes", LENGTH: "a length", FIXED32: "4 bytes"}

MAX_FIELDS = 1_000_000
MAX_TEXT = 1 << 16
MAX_TEXTS = 64 << 20
MAX_DEPTH = 100
MAX_NODES = 20_000
MAX_NUMBERS = 500_000


class Wire:
    """The bytes of a file, and how much of it may still be looked at.

    Args:
        view: The file, mapped.
        where: Its name, for messages.
    """

    def __init__(self, view: mmap | bytes, where: str) -> None:
        self.view, self.where = view, where
        self.fields_left, self.text_left = MAX_FIELDS, MAX_TEXTS
        self.depth = 0
        """In how many messages the one that is being read stands."""
        self.numbers_left = MAX_NUMBERS
        """How many numbers of constants may still be followed; beyond that they are not known."""
        self.decoded: dict[tuple[Any, bytes], Any] = {}
        """Short messages that were decoded already, by what they are and their bytes."""

    def fail(self, fact: str, at: int, hint: str = "") -> SpecError:
        """An error with its place in the file."""
        return SpecError(f"{fact} (byte {at:,})", where=self.where, hint=hint)

    def too_many_fields(self, at: int) -> SpecError:
        """The error of a file that has more fields than are looked at."""
        return self.fail(f"more than {MAX_FIELDS:,} fields", at)

    def too_many_nodes(self) -> SpecError:
        """The error of a network that is too long, or becomes so once functions are written out."""
        fact = f"more than {MAX_NODES:,} nodes, functions written out"
        return SpecError(fact, where=self.where)

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of 1 to 10 bytes, 7 bits each, and where it ends."""
        view, start, result = self.view, at, 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self.fail("the file ends, or its message does, inside a number", start)
            byte = view[at]
            at += 1
            if byte < 0x80:
                result |= byte << shift
                if result >> 64:
                    break
                return result, at
            result |= (byte & 0x7F) << shift
        raise self.fail("a number has more than 64 bits", start)

    def field(self, at: int, end: int) -> tuple[int, int, int, int, int]:
        """A field of a message that ends at `end`: number, wire type, bytes; and where it ends.

        Its bytes are given as where they begin and end; for a number, its value and 0.
        """
        began = at
        tag, at = self.varint(at, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise self.fail(f"{number:,} is not a field number", began)
        if kind == VARINT:
            value, at = self.varint(at, end)
            return number, kind, value, 0, at
        if kind == LENGTH:
            size, at = self.varint(at, end)
        elif kind in WIRE_TYPES:
            size = 8 if kind == FIXED64 else 4
        else:
            raise self.fail(
                f"field {number} has the wire type {kind}, which ONNX does not use", began
            )
        if size > end - at:
            raise self.fail(
                f"field {number} has {size:,} bytes where {end - at:,} are left",
                began,
                hint="the file is cut off, or it is not an ONNX file",
            )
        return number, kind, at, at + size, at + size

    def text(self, start: int, end: int) -> str:
        """A string, as it stands in the file."""
        size = end - start
        left = self.text_left = self.text_left - size
        if size > MAX_TEXT:
            raise self.fail(f"a name of {size:,} bytes; at most {MAX_TEXT:,} are read", start)
        if left < 0:
            raise self.fail(f"more than {MAX_TEXTS:,} bytes of names", start)
        try:
            return self.view[start:end].decode()
        except UnicodeDecodeError:
            raise self.fail("a name is not UTF-8 text", start) from None

    def floats(self, start: int, end: int, letter: str = "f") -> list[float]:
        """Packed little-endian numbers, by their `struct` letter."""
        count = (end - start) // struct.calcsize(letter)
        return list(struct.unpack_from(f"<{count}{letter}", self.view[start:end]))


def signed(value: int) -> int:
    """A varint as the int64 that it encodes."""
    return value - (1 << 64) if value >> 63 else value


def shortest(bits: bytes | memoryview) -> float:
    """A float32 as the shortest decimal that is stored so: 0.0001, not 9.999999747378752e-05."""
    exact: float = struct.unpack("<f", bits)[0]
    if exact != exact:
        return exact
    near = (float(f"{exact:.{digits}g}") for digits in range(6, 10))
    return next((x for x in near if struct.pack("<f", x) == bits), exact)
