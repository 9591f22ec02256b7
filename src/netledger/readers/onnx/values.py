"""Values of a graph while it is read: types, constants, stored tensors; and the calls on them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from netledger.errors import NetledgerError, SpecError
from netledger.formula import Formula, prod
from netledger.graph import DTYPE_BITS, WEIGHT, Parameter, Shape, TensorType
from netledger.ops.base import Op
from netledger.readers.onnx.model import DTYPES, SMALL, Attribute, Tensor
from netledger.readers.onnx.wire import Wire

FOLDED = 1024
"""How many numbers of a constant are followed through computations of shapes."""

Items = tuple[Any, ...]
"""The numbers of a small constant in row-major order: ints, floats, bools, formulas; None for a
number that is not known."""

T = TypeVar("T")


class Unknown(Exception):
    """Something that cannot be derived, and why."""


@dataclass(slots=True)
class Value:
    """A value of the file.

    Attributes:
        name: As the file calls it.
        type: Its type, None if that is not known.
        made: What our graph calls it, empty as long as no row makes it.
        stored: The initializer that it is, whichever way its axes were reordered.
        learned: True if it is a parameter unless an operation takes it as a setting.
        constant: True if no input of the network and no parameter is behind it.
        items: Its numbers if they are few and known.
        why: Why its type is not known.
    """

    name: str
    type: TensorType | None = None
    made: str = ""
    stored: str = ""
    learned: bool = False
    constant: bool = False
    items: Items | None = None
    why: str = ""
    tensor: Tensor | None = None
    """The message whose numbers have not been looked at yet."""

    @property
    def shape(self) -> Shape:
        """Its shape.

        Raises:
            Unknown: If it is not known.
        """
        if self.type is None:
            raise Unknown(self.why or f"the shape of {self.name!r} is not known")
        return self.type.shape

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Its shape, if that is all ints."""
        if self.type is None or any(isinstance(d, Formula) for d in self.type.shape):
            return None
        return self.type.shape  # type: ignore[return-value]


class Weight(NamedTuple):
    """A parameter of a layer, and the storage it is in: layers that share it tie."""

    parameter: Parameter
    key: Hashable


@dataclass(slots=True)
class Layer:
    """One row: an operation, what it takes, what it stores."""

    op: Op
    inputs: list[Value]
    weights: list[Weight] = field(default_factory=list)
    macs: Any = None
    """Its multiply-accumulates, where its operation has no rule for them."""
    untold: str = ""
    """What its operation does not say of the function."""


@dataclass(slots=True)
class Call:
    """One node: its operation, its inputs, its attributes.

    Attributes:
        kind: The operation, ``Conv``; with its domain where that is not ONNX's own.
        version: The version of the operator set that it is from.
        inputs: What it takes; None for an optional input that is left out.
        used: For each of its outputs, whether anything uses it.
        attributes: Its attributes by name.
        before: Adds a row before the node's own; with True, that row gets the node's name.
        like: What was worked out of the attributes of nodes that are like this one.
    """

    kind: str
    version: int
    inputs: list[Value | None]
    used: list[bool]
    attributes: dict[str, Attribute]
    wire: Wire
    before: Callable[[Layer, bool], list[Value]]
    like: dict[Hashable, Any] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    """The attributes that were looked at."""

    def untold(self) -> str:
        """An attribute that says something, and was not looked at."""
        for name, a in self.attributes.items():
            said = a.i or a.f or a.s or a.floats.count or a.ints.count
            usual = self.kind == "Gemm" and a.f == 1
            if said and not usual and name not in self.read and name not in NEUTRAL:
                return f"attribute {name!r}"
        return ""

    def number(self, i: int) -> Any:
        """Input `i` as one number that it is everywhere; None if it is not known to be one."""
        if not self.has(i) or not self.value(i).constant:
            return None
        numbers = set(contents(self.value(i), self.wire) or ())
        number = numbers.pop() if len(numbers) == 1 else None
        plain = isinstance(number, int | float) and not isinstance(number, bool)
        return short(number) if plain else None

    @property
    def outputs(self) -> int:
        """How many outputs it has."""
        return len(self.used)

    def has(self, i: int) -> bool:
        """True if there is an input `i`."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def value(self, i: int) -> Value:
        """Input `i`."""
        found = self.inputs[i] if i < len(self.inputs) else None
        if found is None:
            raise SpecError(f"{self.kind} needs an input {i + 1}, which the file leaves out")
        return found

    def values(self) -> list[Value]:
        """The inputs that are there."""
        return [v for v in self.inputs if v is not None]

    def shape(self, i: int) -> Shape:
        """The shape of input `i`."""
        return self.value(i).shape

    def items(self, i: int) -> Items:
        """The numbers in input `i`, which are settings."""
        value = self.value(i)
        found = value.items if value.items is not None else _decode(value, self.wire)
        if found is None or None in found:
            raise Unknown(f"{value.name!r} is computed while the network runs")
        return found

    def weight(
        self, i: int, name: str, role: str = WEIGHT, shape: Shape | None = None, part: Any = None
    ) -> Weight:
        """Input `i` as a parameter, in our axis order."""
        value = self.value(i)
        if not value.stored:
            raise Unknown(f"its {name} {value.name!r} is computed, not stored")
        t = value.type
        assert t is not None  # an initializer has a type
        own = t.shape if shape is None else shape
        return Weight(Parameter(name, role, own, t.dtype), (value.stored, part))

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        attribute = self._attribute(name)
        if attribute is None:
            return default
        if attribute.i is None:
            raise self._mistaken(name, "an integer")
        return attribute.i

    def real(self, name: str, default: float) -> float:
        """An attribute that is a float, as it is written: 1e-05, not 9.999999747378752e-06."""
        attribute = self._attribute(name)
        found = default if attribute is None else attribute.f
        if found is None:
            raise self._mistaken(name, "a number")
        return float(short(found))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute that is a list of integers."""
        attribute = self._attribute(name)
        if attribute is None:
            return None
        found = attribute.ints.integers(self.wire)
        if found is None or attribute.i is not None or attribute.s:
            raise self._mistaken(name, f"a list of at most {SMALL:,} integers")
        return found

    def text(self, name: str, default: str) -> str:
        """An attribute that is a string."""
        attribute = self._attribute(name)
        if attribute is None:
            return default
        if attribute.s is None:
            raise self._mistaken(name, "text")
        return self.wire.text(*attribute.s)

    def _attribute(self, name: str) -> Attribute | None:
        self.read.add(name)
        return self.attributes.get(name)

    def _mistaken(self, name: str, wanted: str) -> SpecError:
        return SpecError(f"the attribute {name!r} of {self.kind} must be {wanted}")


NEUTRAL = (
    "kernel_shape",
    "momentum",
    "saturate",
    "seed",
    "spatial",
    "consumed_inputs",
    "hidden_size",
)
"""Attributes that other numbers tell too, or that only matter while something is learned."""


def short(number: Any) -> Any:
    """A float as it was written before it was made one of 32 bits."""
    return float(f"{number:.7g}") if isinstance(number, float) else number


def header(tensor: Tensor, wire: Wire) -> TensorType:
    """The type of a stored tensor; its payload must be as long as that says.

    Raises:
        SpecError: If it is not, or if its data would be outside the file's folder.
    """
    try:
        return _header(tensor, wire)
    except NetledgerError as error:
        raise error.at(where=f"{wire.where}: tensor {tensor.name!r}") from None


def _header(tensor: Tensor, wire: Wire) -> TensorType:
    dims = tensor.dims.integers(wire)
    if dims is None or len(dims) > 16:
        raise SpecError("has more axes than any tensor")
    if dims and min(dims) < 0:
        raise SpecError(f"has a dimension of {next(d for d in dims if d < 0)}")
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise SpecError(f"has the data type {tensor.data_type}, which ONNX lacks")
    count = math.prod(dims)
    if count >> 63:
        raise SpecError("has more numbers than 64 bits can count")
    wanted = -(-count * DTYPE_BITS.get(dtype, 8) // 8)
    if tensor.data_location == 1 or tensor.external:
        _check_external(tensor, wire, wanted)
    elif not NUMBERS.isdisjoint(vars(tensor)):
        _check_payload(tensor, wanted, count)
    return TensorType(dims, dtype)


NUMBERS = frozenset(["raw_data", "floats", "doubles", "int32s", "int64s", "uint64s"])
"""Where a tensor may have its numbers."""


def _check_payload(tensor: Tensor, wanted: int, count: int) -> None:
    lengths = []
    if tensor.raw_data is not None:
        lengths.append((tensor.raw_data[1] - tensor.raw_data[0], wanted))
    for raw, width in ((tensor.floats, 4), (tensor.doubles, 8)):
        if raw.count and raw.count == len(raw.parts):
            found = sum(8 if kind == 1 else b - a if kind == 2 else 4 for kind, a, b in raw.parts)
            halves = 2 if "complex" in DTYPES[tensor.data_type] else 1
            lengths.append((found, count * width * halves))
    for found, needed in lengths:
        if found != needed and (found or tensor.raw_data is None):
            raise SpecError(f"holds {found:,} bytes; its shape needs {needed:,}")
    if len(NUMBERS & vars(tensor).keys()) > 1:
        raise SpecError("has its numbers in two places, which may differ")


def _check_external(tensor: Tensor, wire: Wire, wanted: int) -> None:
    """The data itself is never opened; what the header says of it must be possible."""
    found: dict[str, str] = {}
    for entry in tensor.external:
        if entry.key in found:
            raise SpecError(f"says {entry.key!r} of its external data twice")
        found[entry.key] = wire.text(*entry.value)
    location = found.get("location", "")
    if not location:
        raise SpecError("is stored in another file, which it does not name")
    if location.startswith(("/", "\\")) or ":" in location or ".." in _parts(location):
        raise SpecError(
            f"is stored in {location!r}, which is outside the folder of the file",
            hint="such a path is an attempt to read other files, or a mistake of the exporter",
        )
    for key in ("offset", "length"):
        number = found.get(key, "0")
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            raise SpecError(f"has external data with the {key} {number!r}")
    if "length" in found and int(found["length"]) != wanted:
        raise SpecError(f"has {found['length']} bytes of external data; its shape needs {wanted:,}")


def _parts(location: str) -> list[str]:
    return location.replace("\\", "/").split("/")


_LETTERS = {
    "float32": "f",
    "float64": "d",
    "float16": "e",
    "int64": "q",
    "int32": "i",
    "int16": "h",
    "int8": "b",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "bool": "?",
}


def _decode(value: Value, wire: Wire) -> Items | None:
    """Looks at the numbers of a small stored tensor, once."""
    tensor, t = value.tensor, value.type
    if tensor is None or t is None or value.sizes is None or prod(value.sizes) > FOLDED:
        return None
    found: Sequence[Any] | None = None
    letter = _LETTERS.get(t.dtype, "")
    if tensor.raw_data is not None and letter:
        begin, end = tensor.raw_data
        count = (end - begin) // struct.calcsize(f"<{letter}")
        found = struct.unpack_from(f"<{count}{letter}", wire.view[begin:end])
    elif t.dtype == "int64":
        found = tensor.int64s.integers(wire)
    elif t.dtype in ("float32", "float64"):
        wide = t.dtype == "float64"
        found = (tensor.doubles if wide else tensor.floats).floats(wire, "d" if wide else "f")
    elif t.dtype in ("int32", "int16", "int8", "uint8", "uint16", "bool"):
        found = tensor.int32s.integers(wire)
    if found is None or len(found) != prod(value.sizes):
        return None
    value.items = tuple(map(bool, found) if t.dtype == "bool" else found)
    return value.items


def contents(value: Value, wire: Wire) -> Items | None:
    """The numbers of a small constant, as far as they are known."""
    return value.items if value.items is not None else _decode(value, wire)
