"""Bytes → the messages of `model`, by their tables of fields.

Unknown fields are skipped, as protobuf does. A field that may stand once but stands twice is
refused: readers differ in which of the two they believe.
"""

from __future__ import annotations

from typing import Any, TypeVar

from netledger.readers.onnx.model import (
    FLOAT,
    INT,
    RAW,
    SPAN,
    TEXT,
    Attribute,
    Kind,
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

_Known = tuple[str, Any, bool, int]
"""What a tag says: which attribute, its kind, whether it may stand many times, its wire type."""


def decode(kind: type[M], wire: Wire, start: int, end: int, depth: int = 0) -> M:
    """The message of class `kind` between two places in the file.

    Raises:
        SpecError: If it is not one; the message says at which byte.
    """
    if depth > MAX_DEPTH:
        raise wire.fail(f"messages are nested deeper than {MAX_DEPTH}", start)
    message = kind()
    tags = _TAGS.get(kind) or _tags(kind)
    found, view, at, last = message.__dict__, wire.view, start, end - 1
    left = wire.fields_left  # counted here: a local number takes less time
    while at < end:
        if not left:
            raise wire.too_many_fields(at)
        left -= 1
        began = at
        known = tags[view[at]]
        if known is not None and at < last:  # nearly always
            name, what, many, how = known
            a = view[at + 1]
            at += 2
            if a > 0x7F:
                a, at = wire.varint(began + 1, end)
            if how == LENGTH:
                b = at + a
                if b > end:
                    wire.field(began, end)  # which says what is wrong
                a, at = at, b
            else:
                b = 0
        else:
            number, how, a, b, at = wire.field(at, end)
            if number not in kind.FIELDS:
                continue
            name, what, many = _of_its_type(kind, number, how, wire, start)
        if what is TEXT:
            value: Any = wire.text(a, b)
        elif what is RAW:
            if name not in found:
                found[name] = Raw()
            found[name].add(how, a, b)
            continue
        elif what is INT:
            value = signed(a)
        else:
            wire.fields_left = left
            value = _value(what, wire, a, b, depth)
            left = wire.fields_left
        if not many:
            if name in found:
                raise wire.fail(f"{_called(kind)}.{name} stands twice", start)
            found[name] = value
        elif name not in found:
            found[name] = [value]
        elif what is Node and len(found[name]) >= MAX_NODES:
            raise wire.too_many_nodes()
        else:
            found[name].append(value)
    wire.fields_left = left
    return message


_TAGS: dict[type[Message], list[_Known | None]] = {}
"""What each first byte of a field says, by the class of the message."""


def _tags(kind: type[Message]) -> list[_Known | None]:
    table: list[_Known | None] = [None] * 256  # a tag of several bytes is looked at in full
    for number, (name, what, many) in kind.FIELDS.items():
        for how in (VARINT, LENGTH) if what is RAW else (_WIRE.get(what, LENGTH),):
            if number < 16 and how != FIXED32:
                table[number << 3 | how] = (name, what, many, how)
    return _TAGS.setdefault(kind, table)


def _of_its_type(kind: type[Message], number: int, how: int, wire: Wire, start: int) -> Kind:
    name, what, many = kind.FIELDS[number]
    if what is not RAW and how != _WIRE.get(what, LENGTH):
        fact = f"{_called(kind)}.{name} is {WIRE_TYPES[how]}, not of its type"
        raise wire.fail(fact, start)
    return name, what, many


def _called(kind: type[Message]) -> str:
    return kind.__name__.lower()


def _value(what: Any, wire: Wire, a: int, b: int, depth: int) -> Any:
    if what is SPAN:
        return a, b
    if what is FLOAT:
        return shortest(wire.view[a:b])
    if what not in REPEATED or b - a > SHORT:
        return decode(what, wire, a, b, depth + 1)
    key = (what, wire.view[a:b])
    known = wire.decoded.get(key)
    if known is None:
        known = wire.decoded[key] = decode(what, wire, a, b, depth + 1)
    return known
