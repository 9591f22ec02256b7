"""The messages of onnx.proto that a ledger needs: names, types, attributes, tensor headers.

A message class lists its fields by number; `decode` fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from netledger.readers.onnx.wire import (
    LENGTH,
    VARINT,
    Wire,
    signed,
)

INT, FLOAT, TEXT, SPAN, RAW = "int", "float", "text", "span", "raw"
"""Kinds of fields: a number, a string, where bytes are, numbers that are decoded when needed."""

SMALL = 4096
"""How many numbers of a tensor or attribute are ever looked at."""

Kind = tuple[str, Any, bool]
"""A field: its attribute, its kind or message class, whether it may stand many times."""

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
}
"""TensorProto.DataType, as NumPy names it."""


class Raw:
    """Repeated numbers, packed or one by one; only the first `SMALL` are kept in view."""

    __slots__ = ("count", "known", "parts")

    def __init__(self, parts: Sequence[tuple[int, int, int]] = ()) -> None:
        self.parts = list(parts)
        self.count = len(self.parts)
        self.known: tuple[int, ...] | None = None
        """The integers, once they have been asked for."""

    def append(self, part: tuple[int, int, int]) -> None:
        """Notes one more number, or one more packed row: its wire type, and its bytes."""
        self.count += 1
        if self.count <= SMALL:
            self.parts.append(part)

    @property
    def nbytes(self) -> int:
        """The bytes of all packed rows."""
        return sum([end - start for kind, start, end in self.parts if kind == LENGTH])

    def integers(self, wire: Wire) -> tuple[int, ...] | None:
        """The numbers, or None if there are too many."""
        if self.known is None:
            self.known = self._integers(wire)
        return self.known

    def _integers(self, wire: Wire) -> tuple[int, ...] | None:
        if self.count > SMALL or self.nbytes > 10 * SMALL:
            return None
        found: list[int] = []
        for kind, start, end in self.parts:
            if kind == VARINT:
                found.append(signed(start))
                continue
            at = start
            while kind == LENGTH and at < end:
                value, at = wire.varint(at, end)
                found.append(signed(value))
        return tuple(found) if len(found) <= SMALL else None

    def floats(self, wire: Wire, letter: str) -> list[float] | None:
        """The floats, or None if there are too many."""
        if self.count > SMALL or self.nbytes > 8 * SMALL:
            return None
        found: list[float] = []
        for kind, start, end in self.parts:
            if kind != VARINT:
                found += wire.floats(start, end, letter)
        return found


NO_NUMBERS = Raw()
"""What a field has that is not in the file: one for all, for most are not."""


class Message:
    """A table of fields; what the file does not say of one is as its class says."""

    FIELDS: ClassVar[Mapping[int, Kind]] = {}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [name for name, _, _ in self.FIELDS.values()]
        return all(getattr(self, name) == getattr(other, name) for name in names)


class Entry(Message):
    """StringStringEntryProto: a key and where its value is."""

    key: str = ""
    value: tuple[int, int] = (0, 0)
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("key", TEXT, False), 2: ("value", SPAN, False)}


class Tensor(Message):
    """TensorProto: its header, and where its numbers are."""

    name: str = ""
    dims: Raw = NO_NUMBERS
    data_type: int = 0
    raw_data: tuple[int, int] | None = None
    floats: Raw = NO_NUMBERS
    int32s: Raw = NO_NUMBERS
    strings: Sequence[tuple[int, int]] = ()
    int64s: Raw = NO_NUMBERS
    doubles: Raw = NO_NUMBERS
    uint64s: Raw = NO_NUMBERS
    external: Sequence[Entry] = ()
    data_location: int = 0
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("dims", RAW, True),
        2: ("data_type", INT, False),
        4: ("floats", RAW, True),
        5: ("int32s", RAW, True),
        6: ("strings", SPAN, True),
        7: ("int64s", RAW, True),
        8: ("name", TEXT, False),
        9: ("raw_data", SPAN, False),
        10: ("doubles", RAW, True),
        11: ("uint64s", RAW, True),
        13: ("external", Entry, True),
        14: ("data_location", INT, False),
    }


class SparseTensor(Message):
    """SparseTensorProto: the numbers that are not 0, and the shape of the whole."""

    values: Tensor = Tensor()
    dims: Raw = NO_NUMBERS
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("values", Tensor, False),
        3: ("dims", RAW, True),
    }


class Dimension(Message):
    """TensorShapeProto.Dimension: a number, a name, or neither."""

    value: int | None = None
    param: str | None = None
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("value", INT, False), 2: ("param", TEXT, False)}


class Shape(Message):
    """TensorShapeProto."""

    dims: Sequence[Dimension] = ()
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("dims", Dimension, True)}


class TensorType(Message):
    """TypeProto.Tensor."""

    elem_type: int = 0
    shape: Shape | None = None
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("elem_type", INT, False),
        2: ("shape", Shape, False),
    }


class Type(Message):
    """TypeProto; a type other than a tensor's stays None."""

    tensor: TensorType | None = None
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("tensor", TensorType, False)}


class ValueInfo(Message):
    """ValueInfoProto: a value and its type."""

    name: str = ""
    type: Type | None = None
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("name", TEXT, False), 2: ("type", Type, False)}


class Attribute(Message):
    """AttributeProto."""

    name: str = ""
    f: float | None = None
    i: int | None = None
    s: tuple[int, int] | None = None
    t: Tensor | None = None
    g: Graph | None = None
    floats: Raw = NO_NUMBERS
    ints: Raw = NO_NUMBERS
    graphs: Sequence[Graph] = ()
    refers: str = ""
    FIELDS: ClassVar[Mapping[int, Kind]] = {}


class Node(Message):
    """NodeProto."""

    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    name: str = ""
    op_type: str = ""
    attributes: Sequence[Attribute] = ()
    domain: str = ""
    metadata: Sequence[Entry] = ()
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("inputs", TEXT, True),
        2: ("outputs", TEXT, True),
        3: ("name", TEXT, False),
        4: ("op_type", TEXT, False),
        5: ("attributes", Attribute, True),
        7: ("domain", TEXT, False),
        9: ("metadata", Entry, True),
    }


class Graph(Message):
    """GraphProto."""

    nodes: Sequence[Node] = ()
    name: str = ""
    initializers: Sequence[Tensor] = ()
    inputs: Sequence[ValueInfo] = ()
    outputs: Sequence[ValueInfo] = ()
    values: Sequence[ValueInfo] = ()
    sparse: Sequence[SparseTensor] = ()
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("nodes", Node, True),
        2: ("name", TEXT, False),
        5: ("initializers", Tensor, True),
        11: ("inputs", ValueInfo, True),
        12: ("outputs", ValueInfo, True),
        13: ("values", ValueInfo, True),
        15: ("sparse", SparseTensor, True),
    }


Attribute.FIELDS = {
    1: ("name", TEXT, False),
    2: ("f", FLOAT, False),
    3: ("i", INT, False),
    4: ("s", SPAN, False),
    5: ("t", Tensor, False),
    6: ("g", Graph, False),
    7: ("floats", RAW, True),
    8: ("ints", RAW, True),
    11: ("graphs", Graph, True),
    21: ("refers", TEXT, False),
}


class OpSet(Message):
    """OperatorSetIdProto: a domain and its version."""

    domain: str = ""
    version: int = 0
    FIELDS: ClassVar[Mapping[int, Kind]] = {1: ("domain", TEXT, False), 2: ("version", INT, False)}


class Function(Message):
    """FunctionProto: nodes between names; it is inlined where it is called."""

    name: str = ""
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    nodes: Sequence[Node] = ()
    opsets: Sequence[OpSet] = ()
    domain: str = ""
    defaults: Sequence[Attribute] = ()
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("name", TEXT, False),
        4: ("inputs", TEXT, True),
        5: ("outputs", TEXT, True),
        7: ("nodes", Node, True),
        9: ("opsets", OpSet, True),
        10: ("domain", TEXT, False),
        11: ("defaults", Attribute, True),
    }


class Model(Message):
    """ModelProto."""

    ir_version: int = 0
    graph: Graph | None = None
    opsets: Sequence[OpSet] = ()
    functions: Sequence[Function] = ()
    FIELDS: ClassVar[Mapping[int, Kind]] = {
        1: ("ir_version", INT, False),
        7: ("graph", Graph, False),
        8: ("opsets", OpSet, True),
        25: ("functions", Function, True),
    }
