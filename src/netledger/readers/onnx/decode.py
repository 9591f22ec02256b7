"""Bytes → the messages of `model`, by their tables of fields.

Unknown fields are skipped, as protobuf does. A field that may stand once but stands twice is
refused: readers differ in which of the two they believe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from netledger.readers.onnx.model import (
    FLOAT,
    INT,
    RAW,
    SPAN,
    TEXT,
    Attribute,
    Message,
    Node,
    Raw,
    Type,
)
from netledger.readers.onnx.wire import (
    FIXED32,
    LENGTH,
    MAX_DEPTH,
    MAX_NODES,
    VARINT,
    WIRE_TYPES,
    Wire,
    shortest,
    signed,
)

REPEATED, SHORT = (Attribute, Type), 64
"""What stands in a file over and over (``strides = [1, 1]``), and is decoded once if so short."""

M = TypeVar("M", bound=Message)

_WIRE = {INT: VARINT, FLOAT: FIXED32}
"""How numbers are stored; all else has a length."""

_Read = Callable[[Wire, int, int], Any]
"""What makes a value of the bytes of a field, or of its number."""

_Field = tuple[str, _Read, Any, int]
"""What a tag says: which attribute, what reads it, the class of its rows if it may stand many
times, its wire type."""


class Nodes(list[Any]):
    """A row of nodes, whose length is limited."""


def decode(kind: type[M], wire: Wire, start: int, end: int) -> M:
    """The message of class `kind` between two places in the file.

    Raises:
        SpecError: If it is not one; the message says at which byte.
    """
    if wire.depth > MAX_DEPTH:
        raise wire.fail(f"messages are nested deeper than {MAX_DEPTH}", start)
    wire.depth += 1
    message = kind()
    tags = _TAGS.get(kind) or _tags(kind)
    found, view, at, last = message.__dict__, wire.view, start, end - 1
    while at < end:
        left = wire.fields_left
        if not left:
            raise wire.too_many_fields(at)
        wire.fields_left = left - 1
        began, field = at, tags[view[at]]
        if field is not None and at < last:  # nearly always; a function here would take its time
            name, read, many, how = field
            a, b, at = view[at + 1], 0, at + 2
            if a > 0x7F:
                a, at = wire.varint(began + 1, end)
            if how == LENGTH:
                a, b = at, at + a
                at = b
                if at > end:
                    wire.field(began, end)  # which says what is wrong
        else:
            field, a, b, at = _looked_up(kind, wire, start, at, end)
            if field is None:
                continue
            name, read, many, how = field
        value = read(wire, a, b)
        if name not in found:
            found[name] = value if many is None else many((value,))
        elif many is None:
            raise wire.fail(f"{_called(kind)}.{name} stands twice", start)
        elif many is Nodes and len(found[name]) >= MAX_NODES:
            raise wire.too_many_nodes()
        else:
            found[name].append(value)
    wire.depth -= 1
    return message


def _looked_up(
    kind: type[Message], wire: Wire, start: int, at: int, end: int
) -> tuple[_Field | None, int, int, int]:
    """Any field: what its tag says (None: nothing that is known), its bytes, where it ends."""
    number, how, a, b, at = wire.field(at, end)
    field = _FIELDS[kind].get(number << 3 | how)
    if field is None and number in kind.FIELDS:
        fact = f"{_called(kind)}.{kind.FIELDS[number][0]} is {WIRE_TYPES[how]}, not of its type"
        raise wire.fail(fact, start)
    return field, a, b, at


_TAGS: dict[type[Message], list[_Field | None]] = {}
_FIELDS: dict[type[Message], dict[int, _Field]] = {}
"""What `_tags` and `_fields` found."""


def _tags(kind: type[Message]) -> list[_Field | None]:
    """What the first byte of a field says, if it is its whole tag and a varint comes next."""
    fields = _FIELDS[kind] = _fields(kind)
    short = [fields.get(tag) if tag < 0x80 else None for tag in range(256)]
    tags = [field if field and field[3] in (VARINT, LENGTH) else None for field in short]
    return _TAGS.setdefault(kind, tags)


def _fields(kind: type[Message]) -> dict[int, _Field]:
    """What each tag says: the number of a field, and its wire type in the last three bits."""
    return {
        number << 3 | how: _field(name, what, many, how)
        for number, (name, what, many) in kind.FIELDS.items()
        for how in (WIRE_TYPES if what is RAW else (_WIRE.get(what, LENGTH),))
    }


def _field(name: str, what: Any, many: bool, how: int) -> _Field:
    if what is RAW:
        return name, lambda wire, a, b: (how, a, b), Raw, how
    rows = Nodes if what is Node else list
    return name, _READ.get(what) or _message(what), rows if many else None, how


def _message(kind: type[Message]) -> _Read:
    short = SHORT if kind in REPEATED else -1

    def read(wire: Wire, start: int, end: int) -> Any:
        if end - start > short:
            return decode(kind, wire, start, end)
        key = (kind, wire.view[start:end])
        known = wire.decoded.get(key)
        if known is None:
            known = wire.decoded[key] = decode(kind, wire, start, end)
        return known

    return read


_READ: dict[Any, _Read] = {
    INT: lambda wire, value, _: signed(value),
    FLOAT: lambda wire, start, end: shortest(wire.view[start:end]),
    TEXT: Wire.text,
    SPAN: lambda wire, start, end: (start, end),
}


def _called(kind: type[Message]) -> str:
    return kind.__name__.lower()
