"""The shapes in an HDF5 file: groups, datasets, attributes; never the data of a dataset.

Of the format (HDF5 File Format Specification 3.0) it reads what h5py writes by default, which is
what Keras' files consist of: superblock 0 or 1, object headers of version 1, groups as symbol
tables or as link messages. Anything that could lead out of the file (external storage, external,
soft and user-defined links, virtual datasets) is refused, and so is whatever is reached twice. The
HDF5 library itself is not used: it is written in C and follows what it is told.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netledger.errors import SpecError
from netledger.untrusted import Bytes

MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_OBJECTS = 100_000
MOST_METADATA = 64 * 2**20
DEEPEST = 64
_NOWHERE = 2**64 - 1

_DATASPACE, _LINK_INFO, _DATATYPE, _EXTERNAL, _LINK = 0x1, 0x2, 0x3, 0x7, 0x6
_LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOLS, _ATTRIBUTE_INFO = 0x8, 0xC, 0x10, 0x11, 0x15
_SHARED = 0x2  # a flag: the message stands elsewhere


@dataclass(slots=True)
class Dataset:
    """A stored array: what it is, not what is in it."""

    shape: tuple[int, ...]
    dtype: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class Group:
    """A folder of groups and datasets, by name."""

    attributes: dict[str, Any]
    members: dict[str, Group | Dataset] = field(default_factory=dict)

    def group(self, name: str) -> Group:
        """The group called `name`; an empty one if there is none."""
        found = self.members.get(name)
        return found if isinstance(found, Group) else Group({})


class _Message(NamedTuple):
    kind: int
    flags: int
    body: bytes


class _Type(NamedTuple):
    kind: int
    size: int
    dtype: str


def read_hdf5(data: Bytes, where: str, start: int = 0, size: int | None = None) -> Group:
    """The tree of groups and datasets of an HDF5 file.

    Args:
        data: The file, or a file that holds it in one piece.
        where: What it is called in messages.
        start: Where it begins in `data`.
        size: How many bytes it has; by default all the rest.

    Raises:
        SpecError: If it is damaged, ambiguous, uses a part of the format that Keras does not, or
            refers to another file.
    """
    try:
        return _Reader(data, start, len(data) - start if size is None else size).root()
    except SpecError as error:
        raise error.at(where=where) from None
    except (struct.error, IndexError):
        raise SpecError("the HDF5 file is cut off or damaged", where=where) from None


class _Reader:
    """Walks through one file; every byte that it looks at is counted."""

    def __init__(self, data: Bytes, start: int, size: int) -> None:
        self.data, self.start, self.size = data, start, size
        self.spent = 0
        self.seen: set[int] = set()
        self.heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def take(self, at: int, count: int) -> bytes:
        """`count` bytes at an address."""
        if at + count > self.size:
            raise SpecError(f"the HDF5 file refers to byte {at + count:,}; it has {self.size:,}")
        self.spent += count
        if self.spent > MOST_METADATA:
            raise SpecError(f"the HDF5 file has more than {MOST_METADATA:,} bytes of metadata")
        return self.data[self.start + at : self.start + at + count]

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        """Numbers at an address."""
        return struct.unpack(layout, self.take(at, struct.calcsize(layout)))

    def once(self, at: int) -> None:
        """Refuses an address that has been looked at before: a cycle, or one thing twice."""
        if at in self.seen:
            raise SpecError(f"something in the HDF5 file (byte {at:,}) is reached twice")
        self.seen.add(at)
        if len(self.seen) > MOST_OBJECTS:
            raise SpecError(f"the HDF5 file has more than {MOST_OBJECTS:,} parts")

    def root(self) -> Group:
        magic, version, sizes = self.take(0, 8), self.take(8, 1)[0], self.take(13, 2)
        if magic != MAGIC:
            raise SpecError("not an HDF5 file")
        if version > 1:
            raise SpecError(
                f"HDF5 superblock version {version} is not read; versions 0 and 1 are",
                hint="save it again with h5py's default options",
            )
        if sizes != b"\x08\x08":
            raise SpecError("an HDF5 file whose addresses do not have 8 bytes is not read")
        at = 24 + 4 * version
        base, _, end, _ = self.unpack("<4Q", at)
        if base != 0:
            raise SpecError("an HDF5 file with a user block is not read")
        if end > self.size:
            raise SpecError(f"the HDF5 file is cut off: {self.size:,} of {end:,} bytes are there")
        found = self.object(self.unpack("<2Q", at + 32)[1], 0)
        if not isinstance(found, Group):
            raise SpecError("the HDF5 file has no root group")
        return found

    def object(self, at: int, depth: int) -> Group | Dataset:
        if depth > DEEPEST:
            raise SpecError(f"HDF5 groups nested deeper than {DEEPEST}")
        self.once(at)
        messages = self.messages(at)
        kinds = {m.kind for m in messages}
        if _EXTERNAL in kinds:
            raise SpecError("the HDF5 file stores data in another file, which is never opened")
        attributes = dict(self.attribute(m) for m in messages if m.kind == _ATTRIBUTE)
        if len(attributes) < sum(m.kind == _ATTRIBUTE for m in messages):
            raise SpecError("an object in the HDF5 file has two attributes of one name")
        if _DATASPACE in kinds and _DATATYPE in kinds:
            return self.dataset(messages, attributes)
        group = Group(attributes)
        for name, address in self.links(messages):
            if name in group.members:
                raise SpecError(f"a group in the HDF5 file has two members called {name[:200]!r}")
            group.members[name] = self.object(address, depth + 1)
        return group

    def messages(self, at: int) -> list[_Message]:
        """The messages of an object's header."""
        if self.take(at, 4) == b"OHDR":
            raise SpecError(
                "HDF5 object headers of version 2 are not read",
                hint="save it again with h5py's default options",
            )
        version, _, count, _, length = self.unpack("<BBHLL", at)
        if version != 1:
            raise SpecError("an object header in the HDF5 file is damaged")
        blocks = [(at + 16, length)]
        found: list[_Message] = []
        while blocks:
            at, length = blocks.pop(0)
            self.once(at)
            block, inner = self.take(at, length), 0
            while inner + 8 <= length and len(found) < count:
                kind, size, flags = struct.unpack_from("<HHB", block, inner)
                body = block[inner + 8 : inner + 8 + size]
                if len(body) < size:
                    raise SpecError("an object header in the HDF5 file is damaged")
                if kind == _CONTINUATION:
                    blocks.append(struct.unpack_from("<2Q", body))
                found.append(_Message(kind, flags, body))
                inner += 8 + size
        if len(found) != count:
            raise SpecError("an object header in the HDF5 file is damaged")
        return found

    def dataset(self, messages: list[_Message], attributes: dict[str, Any]) -> Dataset:
        by_kind = {}
        for message in messages:
            if message.kind in (_DATASPACE, _DATATYPE, _LAYOUT):
                if message.kind in by_kind or message.flags & _SHARED:
                    raise SpecError("a dataset in the HDF5 file does not say plainly what it is")
                by_kind[message.kind] = message.body
        layout = by_kind.get(_LAYOUT, b"\0\0")
        if layout[0] not in (3, 4) or layout[1] > 2:  # 0, 1, 2: compact, contiguous, chunked
            raise SpecError("a dataset in the HDF5 file is virtual or stored in an unknown way")
        shape = _dims(by_kind[_DATASPACE])
        return Dataset(shape, _datatype(by_kind[_DATATYPE]).dtype, attributes)

    def links(self, messages: list[_Message]) -> list[tuple[str, int]]:
        """Names and addresses of a group's members."""
        found = []
        for kind, _, body in messages:
            if kind == _SYMBOLS:
                tree, heap = struct.unpack_from("<2Q", body)
                found += self.table(tree, heap)
            elif kind == _LINK:
                found.append(_link(body))
            elif kind == _LINK_INFO:
                at = 2 + (8 if body[1] & 1 else 0)
                if struct.unpack_from("<Q", body, at)[0] != _NOWHERE:
                    raise SpecError("a group in the HDF5 file keeps its links in a way not read")
        return found

    def table(self, tree: int, heap: int) -> list[tuple[str, int]]:
        """The members in a symbol table: a B-tree of nodes, names in a heap."""
        magic, _, length, _, names = self.unpack("<4s4s3Q", heap)
        if magic != b"HEAP":
            raise SpecError("a group in the HDF5 file has no names")
        text = self.take(names, length)
        found, nodes = [], [(tree, -1)]
        while nodes:
            at, level = nodes.pop(0)
            self.once(at)
            if level == 0:
                found += self.leaf(at, text)
                continue
            magic, kind, own, used = self.unpack("<4sBBH", at)
            if magic != b"TREE" or kind != 0 or (level > 0 and own != level - 1):
                raise SpecError("a group in the HDF5 file is damaged")
            children = self.unpack(f"<{2 * used}Q", at + 24)[1::2]
            nodes += [(child, own) for child in children]
        return found

    def leaf(self, at: int, names: bytes) -> list[tuple[str, int]]:
        magic, version, _, count = self.unpack("<4sBBH", at)
        if magic != b"SNOD" or version != 1:
            raise SpecError("a group in the HDF5 file is damaged")
        found = []
        for i in range(count):
            offset, address, cache = self.unpack("<2QL", at + 8 + 40 * i)
            if cache == 2:
                raise SpecError("the HDF5 file has a soft link; only hard links are followed")
            end = names.find(b"\0", offset)
            if end < 0:
                raise SpecError("a name in the HDF5 file is cut off")
            found.append((_text(names[offset:end]), address))
        return found

    def attribute(self, message: _Message) -> tuple[str, Any]:
        """Name and value of an attribute; None for a value that is neither text nor texts."""
        body = message.body
        version, flags, *sizes = struct.unpack_from("<BB3H", body)
        if version not in (1, 2, 3) or (version > 1 and flags) or message.flags & _SHARED:
            raise SpecError("an attribute in the HDF5 file is stored in a way not read")
        at, parts = 9 if version == 3 else 8, []
        for size in sizes:
            parts.append(body[at : at + size])
            at += -(-size // 8) * 8 if version == 1 else size
        name = _text(parts[0].split(b"\0")[0])
        kind = _datatype(parts[1])
        shape = _dims(parts[2])
        if kind.kind not in (3, 9) or len(shape) > 1:
            return name, None
        count = shape[0] if shape else 1
        items = [body[at + i * kind.size :][: kind.size] for i in range(min(count, len(body)))]
        if len(items) != count or any(len(item) != kind.size for item in items):
            raise SpecError(f"the attribute {name[:200]!r} in the HDF5 file is cut off")
        raw = items if kind.kind == 3 else [self.far(item) for item in items]
        texts = [_text(one.rstrip(b"\0")) for one in raw]
        return name, texts if shape else texts[0]

    def far(self, item: bytes) -> bytes:
        """A text of variable length, which stands in a heap that all objects share."""
        length, heap, index = struct.unpack("<LQL", item)
        if length == 0:
            return b""
        if heap not in self.heaps:
            self.heaps[heap] = self.heap(heap)
        at, size = self.heaps[heap].get(index, (0, 0))
        if length > size:
            raise SpecError("a text in the HDF5 file is not where it says")
        return self.take(at, length)

    def heap(self, at: int) -> dict[int, tuple[int, int]]:
        magic, _, total = self.unpack("<4s4sQ", at)
        if magic != b"GCOL":
            raise SpecError("a text in the HDF5 file is not where it says")
        found: dict[int, tuple[int, int]] = {}
        end, at = at + total, at + 16
        while at + 16 <= end:
            index, _, _, size = self.unpack("<HHLQ", at)
            if index == 0:  # the rest is free
                break
            if index in found or at + 16 + size > end:
                raise SpecError("a text in the HDF5 file is not where it says")
            found[index] = (at + 16, size)
            at += 16 + -(-size // 8) * 8
        return found


def _dims(body: bytes) -> tuple[int, ...]:
    version, rank, _, kind = struct.unpack_from("<4B", body)
    if version not in (1, 2) or rank > 32:
        raise SpecError("a shape in the HDF5 file is damaged")
    if version == 2 and kind == 2:
        raise SpecError("a dataset in the HDF5 file has no shape")
    dims = struct.unpack_from(f"<{rank}Q", body, 8 if version == 1 else 4)
    if any(d >= 2**63 for d in dims):
        raise SpecError(f"a shape in the HDF5 file is impossible: {list(dims)}")
    return dims


def _datatype(body: bytes) -> _Type:
    head, bits, size = body[0], body[1], struct.unpack_from("<L", body, 4)[0]
    kind = head & 15
    if kind == 0:
        name = f"{'int' if bits & 8 else 'uint'}{8 * size}"
    elif kind == 1:
        name = "bfloat16" if size == 2 and body[13] == 8 else f"float{8 * size}"
    elif kind == 8:  # an enumeration: h5py's truth values
        name = "bool" if size == 1 else ""
    else:
        name = ""
    if kind == 9 and bits & 15 != 1:  # of variable length, but no text
        kind = -1
    return _Type(kind, 16 if kind == 9 else size, name)


def _link(body: bytes) -> tuple[str, int]:
    version, flags = body[0], body[1]
    at, kind = 2, 0
    if flags & 8:
        kind, at = body[at], at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(body[at : at + width], "little")
    at += width
    name = _text(body[at : at + length])
    if version != 1 or kind != 0:
        what = {1: "a soft link", 64: "a link into another file"}.get(kind, "an unknown link")
        raise SpecError(f"the HDF5 file has {what}; only hard links are followed")
    return name, struct.unpack_from("<Q", body, at + length)[0]


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SpecError("a text in the HDF5 file is not UTF-8") from None
