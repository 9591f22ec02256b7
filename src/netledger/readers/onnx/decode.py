"""Bytes → the messages of `model`, by their tables of fields.

Unknown fields are skipped, as protobuf does. A field that may stand once but stands twice is
refused: readers differ in which of the two they believe.
"""

from __future__ import annotations

from typing import Any, TypeVar

from netledger.readers.onnx.model import (
    FLOAT,
    INT,
    NO_NUMBERS,
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


def decode(kind: type[M], wire: Wire, start: int, end: int, depth: int = 0) -> M:
    """The message of class `kind` between two places in the file.

    Raises:
        SpecError: If it is not one; the message says at which byte.
    """
    if depth > MAX_DEPTH:
        raise wire.fail(f"messages are nested deeper than {MAX_DEPTH}", start)
    message = kind()
    table, seen = kind.FIELDS, set[int]()
    for number, how, a, b in wire.fields(start, end):
        entry = table.get(number)
        if entry is None:
            continue
        name, what, many = entry
        if what is RAW:
            numbers = getattr(message, name)
            if numbers is NO_NUMBERS:
                setattr(message, name, numbers := Raw())
            numbers.add(how, a, b)
            continue
        if how != _WIRE.get(what, LENGTH):
            raise wire.fail(f"{_called(kind)}.{name} is {WIRE_TYPES[how]}, not of its type", start)
        value = wire.text(a, b) if what is TEXT else _value(what, wire, a, b, depth)
        if many:
            items = getattr(message, name)
            items.append(value)
            if what is Node and len(items) > MAX_NODES:
                raise wire.too_many_nodes()
            continue
        if number in seen:
            raise wire.fail(f"{_called(kind)}.{name} stands twice", start)
        seen.add(number)
        setattr(message, name, value)
    return message


def _called(kind: type[Message]) -> str:
    return kind.__name__.lower()


def _value(what: Any, wire: Wire, a: int, b: int, depth: int) -> Any:
    if what is INT:
        return signed(a)
    if what is SPAN:
        return a, b
    if what is FLOAT:
        return shortest(wire.view[a:b])
    if what not in REPEATED or b - a > SHORT:
        return decode(what, wire, a, b, depth + 1)
    key = (what, wire.view[a:b])
    if key not in wire.decoded:
        wire.decoded[key] = decode(what, wire, a, b, depth + 1)
    return wire.decoded[key]
