"""The header of a safetensors file: 8 bytes that say how long it is, then JSON.

Strict: the tensors must fill the rest of the file without gap or overlap, as the format demands.
"""

from __future__ import annotations

from typing import Any

from netledger.errors import SpecError, quoted
from netledger.inventory import StoredTensor, check_count, check_shape
from netledger.untrusted import LARGEST_JSON, Bytes, read_json

DTYPES = {
    "BOOL": ("bool", 8),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "U16": ("uint16", 16),
    "I16": ("int16", 16),
    "U32": ("uint32", 32),
    "I32": ("int32", 32),
    "U64": ("uint64", 64),
    "I64": ("int64", 64),
    "F4": ("float4_e2m1fn", 4),
    "F6_E2M3": ("float6_e2m3fn", 6),
    "F6_E3M2": ("float6_e3m2fn", 6),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F32": ("float32", 32),
    "F64": ("float64", 64),
    "C64": ("complex64", 64),
}
"""What a dtype is called elsewhere, and its bits."""

_KEYS = {"dtype", "shape", "data_offsets"}


class Header:
    """A safetensors header that has been checked.

    Attributes:
        tensors: What the file holds, in the order in which it lists them.
        metadata: The free text that goes with it.
    """

    def __init__(self, data: Bytes, where: str) -> None:
        self._data = data
        self._start, entries = _entries(data, where)
        try:
            self.metadata = _metadata(entries.pop("__metadata__", {}))
            check_count(len(entries))
            self._spans: dict[str, tuple[int, int]] = {}
            # What is done with is let go at once; 150,000 entries take a lot of memory.
            self.tensors = [self._tensor(name, entries.pop(name)) for name in [*entries]]
            self._check_spans(len(data) - self._start)
        except SpecError as error:
            raise error.at(where=where) from None

    def payload(self, name: str, most: int) -> bytes | None:
        """The bytes of a small tensor; None if there is none of that name, or it is larger."""
        begin, end = self._spans.get(name, (0, most + 1))
        if end - begin > most:
            return None
        return bytes(self._data[self._start + begin : self._start + end])

    def _tensor(self, name: str, entry: Any) -> StoredTensor:
        if not isinstance(entry, dict) or entry.keys() != _KEYS:
            raise SpecError(
                f"the entry of {quoted(name)} is not made of dtype, shape and data_offsets"
            )
        dtype, span = entry["dtype"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise SpecError(f"{quoted(name)} has the unknown dtype {quoted(str(dtype), 40)}")
        shape = check_shape(entry["shape"], name)
        if not isinstance(span, list) or [*map(type, span)] != [int, int]:
            raise SpecError(f"the data_offsets of {quoted(name)} are not two integers")
        begin, end = span
        known, bits = DTYPES[dtype]
        total = bits
        for d in shape:
            total *= d
        if not 0 <= begin <= end or (end - begin) * 8 != total:
            raise SpecError(
                f"{quoted(name)} occupies {end - begin:,} bytes; {dtype} of shape {list(shape)} "
                + (f"takes {total // 8:,}" if total % 8 == 0 else "does not end at a whole byte")
            )
        self._spans[name] = (begin, end)
        return StoredTensor(name, shape, known, end - begin)

    def _check_spans(self, size: int) -> None:
        """Every byte behind the header must belong to one tensor."""
        at, before = 0, ""
        for begin, end, name in sorted((*span, name) for name, span in self._spans.items()):
            if begin < at:
                raise SpecError(f"{quoted(name)} overlaps {quoted(before)}")
            if begin > at:
                raise SpecError(f"{begin - at:,} bytes before {quoted(name)} belong to no tensor")
            at, before = end, name
        if at > size:
            raise SpecError(
                f"the file is cut off: {quoted(before)} ends at byte {at:,} of {size:,}",
                hint="download it again",
            )
        if at < size:
            raise SpecError(f"{size - at:,} bytes at the end belong to no tensor")


def is_safetensors(head: bytes) -> bool:
    """True if a file that begins like this is meant to be safetensors."""
    binary = 0 in head[:8] or not head[:8].isascii()
    return binary and head[8:9] == b"{" and head[9:10] in b'"} \n\t'


def _entries(data: Bytes, where: str) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and what the header says."""
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_JSON:
        raise SpecError(
            f"the header has {length:,} bytes; at most {LARGEST_JSON:,} are read", where=where
        )
    if 8 + length > len(data):
        raise SpecError(
            f"the file is cut off: the header has {length:,} bytes, the file {len(data):,}",
            where=where,
            hint="download it again",
        )
    entries = read_json(data[8 : 8 + length], f"{where}: header")
    if not isinstance(entries, dict):
        raise SpecError("the header is no JSON object", where=where)
    return 8 + length, entries


def _metadata(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise SpecError("__metadata__ is not made of texts")
    return found
