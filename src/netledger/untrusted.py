"""Bytes from strangers: strict JSON and strict zip archives, both bounded before they are opened.

Whatever is ambiguous (a key or a member twice, entries that overlap, bytes that nothing describes)
is refused, for two programs could read it in two ways.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from typing import Any, NamedTuple, NoReturn

from netledger.errors import SpecError

MIB = 2**20
LARGEST_JSON = 64 * MIB
DEEPEST_JSON = 64
MOST_MEMORY = 400_000_000
"""What the values of one JSON text may take in memory, by estimate."""
MOST_TEXTS = 2_000_000
"""Looking for what stands between texts takes some 170 bytes of memory for each."""
MOST_MEMBERS = 10_000
LONGEST_NAME = 1_000
LARGEST_RATIO = 100
"""How many times its packed size a member of an archive may have."""

Bytes = bytes | mmap

_STRING = re.compile(rb'"[^"]*+(?:"|\Z)')
_NO_SIGNS = bytes(c for c in range(256) if c not in b'"[]{}:,')
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"[]{}")
_MEMORY_OF = {b":": 200, b"{": 64, b"[": 72, b",": 40}
"""Bytes of memory that a value takes at most, by the sign that comes with it (measured)."""


def read_json(data: bytes, where: str, *, limit: int = LARGEST_JSON) -> Any:
    """The value of a strict JSON text.

    Args:
        data: The text, in UTF-8.
        where: What it is called in messages, e.g. ``model.keras: config.json``.
        limit: The longest text allowed, in bytes.

    Raises:
        SpecError: If it is not JSON; is too long, too deep or too large in memory; has a key twice
            in one object; or a number that is not finite.
    """
    if len(data) > limit:
        raise SpecError(f"JSON of {len(data):,} bytes; at most {limit:,} are read", where=where)
    pairs = _check_extent(data, where)
    try:
        return _parsed(data.decode("utf-8"), pairs)
    except UnicodeDecodeError as error:
        raise SpecError(f"not UTF-8 text (byte {error.start:,})", where=where) from None
    except json.JSONDecodeError as error:
        fact = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise SpecError(fact, where=where) from None
    except SpecError as error:
        raise error.at(where=where) from None
    except RecursionError:
        raise SpecError(f"JSON nested deeper than {DEEPEST_JSON}", where=where) from None
    except ValueError:  # more digits than Python converts
        raise SpecError("an integer with thousands of digits", where=where) from None


def _check_extent(data: bytes, where: str) -> int:
    """Refuses JSON that is too deep or would take too much memory, before it is parsed.

    Returns how many keys are in it, each as often as it stands there.
    """
    texts = data.count(b'"') // 2
    if texts > MOST_TEXTS:
        raise SpecError(f"JSON with {texts:,} texts; at most {MOST_TEXTS:,} are read", where=where)
    bare = _bare(data)
    width = 1 if data.isascii() else 4
    memory = 2 * width * len(data) + sum(bare.count(s) * size for s, size in _MEMORY_OF.items())
    if memory > MOST_MEMORY:
        raise SpecError(
            f"JSON whose values would take about {memory // 10**6:,} MB of memory; "
            f"at most {MOST_MEMORY // 10**6} are allowed",
            where=where,
        )
    brackets = bare.translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(DEEPEST_JSON):  # each round takes the innermost brackets away
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or b"[" * (DEEPEST_JSON + 1) in brackets:
        raise SpecError(f"JSON nested deeper than {DEEPEST_JSON}", where=where)
    return bare.count(b":")


def _bare(data: bytes) -> bytes:
    """What of JSON stands between its texts: the signs of its structure, and nothing else.

    No text of JSON follows another at once, so two quotes in a row are a text without signs.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    signs = data.translate(None, _NO_SIGNS).replace(b'""', b"")
    return _STRING.sub(b"", signs)


def _parsed(text: str, pairs: int) -> Any:
    """The value of a JSON text with so many keys.

    Objects with fewer keys than the text tell of one that stands twice. Only then, or where
    anything else is wrong, each object is looked into: the first fault is the one to tell.
    """
    kept = 0

    def counted(made: dict[str, Any]) -> dict[str, Any]:
        nonlocal kept
        kept += len(made)
        return made

    with suppress(SpecError, ValueError):
        value = _loads(text, object_hook=counted)
        if kept == pairs:
            return value
        del value  # it may be large, and is made once more
    return _loads(text, object_pairs_hook=_object)


def _loads(text: str, **hook: Any) -> Any:
    return json.loads(text, parse_constant=_no_number, parse_float=_finite, **hook)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise SpecError(f"the key {key[:200]!r} stands twice in one JSON object")
        seen[key] = value
    return seen


def _no_number(text: str) -> NoReturn:
    raise SpecError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise SpecError(f"the number {text[:40]} is too large")
    return value


class Member(NamedTuple):
    """A file inside an archive.

    Attributes:
        name: Its path in the archive.
        size: Its bytes once unpacked.
        packed: Its bytes in the archive.
        start: Where those begin.
        deflated: True if it is compressed, False if it is stored as it is.
        crc: Its checksum.
    """

    name: str
    size: int
    packed: int
    start: int
    deflated: bool
    crc: int


class Archive:
    """A zip archive whose directory has been checked. No weights have been read."""

    def __init__(self, data: Bytes, where: str, members: dict[str, Member]) -> None:
        self.members = members
        self._data = data
        self._where = where

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def read(self, name: str, *, limit: int) -> bytes:
        """A whole member, unpacked, of at most `limit` bytes.

        Raises:
            SpecError: If it is missing, too large, or not what the directory says.
        """
        member = self._member(name)
        where = f"{self._where}: {name}"
        if member.size > limit:
            raise SpecError(f"has {member.size:,} bytes; at most {limit:,} are read", where=where)
        data = self._data[member.start : member.start + member.packed]
        if member.deflated:
            data = _inflate(data, member.size, where)
        if zlib.crc32(data) != member.crc:
            raise SpecError("the checksum does not match: the file is damaged", where=where)
        return data

    def _member(self, name: str) -> Member:
        try:
            return self.members[name]
        except KeyError:
            raise SpecError(f"the archive has no member {name!r}", where=self._where) from None


def _inflate(data: bytes, size: int, where: str) -> bytes:
    inflater = zlib.decompressobj(-15)
    try:
        unpacked = inflater.decompress(data, size + 1)
    except zlib.error:
        raise SpecError("cannot be unpacked: the file is damaged", where=where) from None
    if len(unpacked) != size or not inflater.eof or inflater.unused_data:
        raise SpecError("does not unpack to the size that the directory says", where=where)
    return unpacked


_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x41, 0x8, 0x800
_LARGE = 0xFFFFFFFF


def is_zip(head: bytes) -> bool:
    """True if a file that begins like this is a zip archive with something in it."""
    return head.startswith(b"PK\x03\x04")


def open_zip(data: Bytes, where: str) -> Archive:
    """Reads the directory of a zip archive, and checks it against the members themselves.

    Args:
        data: The whole file; a map of it is best, for only directory and headers are read.
        where: What it is called in messages.

    Raises:
        SpecError: If it is damaged, encrypted or ambiguous, or unpacks to far too much.
    """
    try:
        return Archive(data, where, _members(data))
    except struct.error:
        raise SpecError("the zip archive is cut off", where=where) from None
    except SpecError as error:
        raise error.at(where=where) from None


def _members(data: Bytes) -> dict[str, Member]:
    first, size, count = _directory(data)
    if count > MOST_MEMBERS:
        raise SpecError(f"the archive has {count:,} members; at most {MOST_MEMBERS:,} are read")
    members: dict[str, Member] = {}
    spans: list[tuple[int, int, int]] = []
    at = first
    for _ in range(count):
        member, span, at = _entry(data, at)
        if member.name in members:
            raise SpecError(f"the archive has two members called {member.name!r}")
        members[member.name] = member
        spans.append(span)
    if at != first + size:
        raise SpecError("the archive's directory is not as long as it says")
    _check_spans(spans, first)
    return members


def _directory(data: Bytes) -> tuple[int, int, int]:
    """Where the central directory begins, its bytes and its number of entries."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != b"PK\x05\x06":
        raise SpecError(
            "the zip archive does not end in its directory: it is cut off, "
            "or has a comment or other bytes behind it"
        )
    _, disk, _, here, count, size, first, comment = _END.unpack_from(data, end)
    locator = end - _LOCATOR64.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        end = _LOCATOR64.unpack_from(data, locator)[2]
        if end + _END64.size != locator or data[end : end + 4] != b"PK\x06\x06":
            raise SpecError("the zip64 directory is not where the archive says")
        _, _, _, _, disk, _, here, count64, size64, first64 = _END64.unpack_from(data, end)
        for short, long, most in (
            (count, count64, 0xFFFF),
            (size, size64, _LARGE),
            (first, first64, _LARGE),
        ):
            if short not in (long, most):
                raise SpecError("the archive's two directory records contradict each other")
        count, size, first = count64, size64, first64
    if comment or disk or here != count:
        raise SpecError("the zip archive is split over several files, or has a comment")
    if first + size != end:
        raise SpecError("the archive's directory is not where it says")
    return first, size, count


def _entry(data: Bytes, at: int) -> tuple[Member, tuple[int, int, int], int]:
    """A member, the bytes it occupies (at most `slack` more), and where the next entry begins."""
    head = _ENTRY.unpack_from(data, at)
    magic, _, _, flags, method, _, _, crc, packed, size, name_len, extra_len, comment_len = head[
        :13
    ]
    offset = head[-1]
    if magic != b"PK\x01\x02":
        raise SpecError("the archive's directory is damaged")
    at += _ENTRY.size
    raw = data[at : at + name_len]
    extra = data[at + name_len : at + name_len + extra_len]
    name = _name(raw, flags)
    size, packed, offset = _large(extra, (size, packed, offset), name)
    if flags & _ENCRYPTED:
        raise SpecError(f"the member {name!r} is encrypted")
    if method not in (0, 8):
        raise SpecError(f"the member {name!r} is compressed in an unknown way ({method})")
    if (method == 0 and size != packed) or size > LARGEST_RATIO * max(packed, 1):
        raise SpecError(
            f"the member {name!r} unpacks from {packed:,} to {size:,} bytes; "
            f"at most {LARGEST_RATIO} times are allowed"
        )
    start = _local(data, offset, name, raw, (flags, method, crc, packed, size))
    member = Member(name, size, packed, start, method == 8, crc)
    slack = 24 if flags & _DESCRIPTOR else 0
    return member, (offset, start + packed, slack), at + name_len + extra_len + comment_len


def _local(data: Bytes, at: int, name: str, raw: bytes, central: tuple[int, ...]) -> int:
    """Where the member's bytes begin; its own header must say what the directory says."""
    head = _LOCAL.unpack_from(data, at) if at < len(data) else (b"",) * 11
    magic, _, flags, method, _, _, crc, packed, size, name_len, extra_len = head
    if magic != b"PK\x03\x04":
        raise SpecError(f"the member {name!r} is not where the directory says")
    begin = at + _LOCAL.size
    extra = data[begin + name_len : begin + name_len + extra_len]
    size, packed, _ = _large(extra, (size, packed, 0), name)
    described = bool(flags & _DESCRIPTOR)
    own = (flags, method, crc, packed, size)
    blank = (*central[:2], 0, 0, 0)
    same = own == central or (described and own == blank)
    if data[begin : begin + name_len] != raw or not same:
        raise SpecError(f"the member {name!r} and the directory contradict each other")
    return int(begin + name_len + extra_len)


def _large(extra: bytes, values: tuple[int, int, int], name: str) -> tuple[int, int, int]:
    """Sizes and offset, from the zip64 field where they do not fit the header."""
    if _LARGE not in values:
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wanted = sum(v == _LARGE for v in values)
            large = iter(struct.unpack_from(f"<{wanted}Q", extra[: at + 4 + length], at + 4))
            size, packed, offset = (next(large) if v == _LARGE else v for v in values)
            return size, packed, offset
        at += 4 + length
    raise SpecError(f"the member {name!r} does not say how large it is")


def _name(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError:
        raise SpecError("the archive has a member whose name is not UTF-8") from None
    if not name or "\0" in name or len(name) > LONGEST_NAME:
        raise SpecError(f"the archive has a member called {name[:200]!r}")
    return name


def _check_spans(spans: list[tuple[int, int, int]], end: int) -> None:
    """Refuses members that overlap, and bytes between them that belong to none."""
    at, slack = 0, 0
    for begin, stop, more in [*sorted(spans), (end, end, 0)]:
        if begin < at:
            raise SpecError("members of the archive overlap")
        if begin > at + slack:
            raise SpecError(f"{begin - at:,} bytes of the archive belong to no member")
        at, slack = stop, more
