"""Values of a spec, each of the kind that is wanted there, or else an error that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netledger.errors import FieldError, SpecError, UnknownName, did_you_mean
from netledger.formula import Dim, symbols
from netledger.formula.parsing import parse_dim, parse_dims
from netledger.graph import BATCH, DTYPE_BITS, TensorType
from netledger.ops.fields import LARGEST
from netledger.schema import INPUT_KEYS
from netledger.strict_yaml import Value

_TYPE = re.compile(r"\s*([A-Za-z]\w*)\[(.*)\]\s*", re.ASCII | re.DOTALL)

Reference = tuple[str, int]
"""The name of a value, and the line where it is asked for."""


class Values:
    """Reads values of one file.

    Attributes:
        file: What the file is called.
        where: The layer that is read, for messages.
        symbols: The symbols that sizes have used so far.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.where = ""
        self.symbols = {"N"}

    def at(self, line: int) -> str:
        """A place in the file."""
        return f"{self.file}:{line}"

    def fault(self, fact: str, value: Value, hint: str = "") -> SpecError:
        """The error that says what is wrong with a value, and where."""
        return SpecError(fact, where=self.where, source=self.at(value.line), hint=hint)

    def unknown(
        self, kind: str, name: str, known: Iterable[str], line: int, hint: str
    ) -> UnknownName:
        """The error about a name that does not exist."""
        error = UnknownName(kind, name, known, hint=hint)
        return error.at(where=self.where, source=self.at(line))

    def mapping(self, value: Value, what: str, known: Iterable[str]) -> dict[str, Value]:
        """A mapping that has none but the known keys."""
        if not isinstance(value.data, dict):
            raise self.fault(f"{what} must be a mapping; got {show(value)}", value)
        for key, entry in value.data.items():
            if key not in known:
                hint = f"{what} has {', '.join(known)}"
                raise self.unknown("key", key, known, entry.line, hint)
        found: dict[str, Value] = value.data
        return found

    def items(self, value: Value, what: str) -> list[Value]:
        """A list."""
        if not isinstance(value.data, list):
            raise self.fault(f"{what} must be a list; got {show(value)}", value)
        return value.data

    def text(self, value: Value, what: str) -> str:
        """Text that is not empty."""
        if not isinstance(value.data, str):
            plain = not isinstance(value.data, list | dict | type(None))
            hint = f'with quotes it is text: "{value.data}"' if plain else ""
            raise self.fault(f"{what} must be text; got {show(value)}", value, hint)
        if not value.data:
            raise self.fault(f"{what} must not be empty", value)
        return value.data

    def word(self, value: Value, what: str, words: tuple[str, ...]) -> str:
        """One of a few words."""
        if value.data not in words:
            wanted = " or ".join(map(repr, words))
            hint = did_you_mean(value.data, words) if isinstance(value.data, str) else ""
            raise self.fault(f"{what} must be {wanted}; got {show(value)}", value, hint)
        return str(value.data)

    def flag(self, value: Value, what: str) -> bool:
        """True or false."""
        if not isinstance(value.data, bool):
            hint = "write true or false" if isinstance(value.data, str) else ""
            raise self.fault(f"{what} must be true or false; got {show(value)}", value, hint)
        return value.data

    def integer(self, value: Value, what: str, least: int, most: int = LARGEST) -> int:
        """A whole number."""
        if type(value.data) is not int or not least <= value.data <= most:
            fact = f"{what} must be an integer of at least {least}; got {show(value)}"
            raise self.fault(fact, value)
        return value.data

    def dim(self, value: Value, what: str, least: int = 1) -> Dim:
        """A size: an integer, or a formula in symbols."""
        if isinstance(value.data, str):
            return self.sized(self.formula(value.data, value.line), what, least, value)
        if type(value.data) is not int:
            raise self.no_size(what, least, value)
        return self.sized(value.data, what, least, value)

    def sized(self, size: Dim, what: str, least: int, value: Value) -> Dim:
        """`size`, if it is one; its symbols are known from here on."""
        self.symbols |= symbols(size)
        if isinstance(size, int) and not least <= size <= LARGEST:
            raise self.no_size(what, least, value)
        return size

    def no_size(self, what: str, least: int, value: Value) -> SpecError:
        """The error about something that is no size."""
        fact = f"{what}: a size must be an integer of at least {least}, or a symbol; got "
        hint = "the batch is left out" if value.data in (None, -1, "None") else ""
        return self.fault(fact + show(value), value, hint)

    def formula(self, text: str, line: int) -> Dim:
        """A formula in symbols."""
        try:
            return parse_dim(text)
        except FieldError as error:
            raise error.at(where=self.where, source=self.at(line)) from None

    def type_text(self, value: Value, what: str, least: int, *, strict: bool = True) -> TensorType:
        """A type as one text: ``int64[128]``."""
        match = _TYPE.fullmatch(value.data)
        if match is None:
            sizes = re.split("[x×, ]+", value.data.strip("()[] "))
            example = f"[{', '.join(sizes)}]" if len(sizes) > 1 else "[227, 227, 3] or int64[128]"
            raise self.fault(f"{what}: {show(value)} is no shape", value, f"write {example}")
        dtype, sizes_text = match.groups()
        if strict and dtype not in DTYPE_BITS:
            hint = "for instance float32, int64, bool"
            raise self.unknown("dtype", dtype, DTYPE_BITS, value.line, hint)
        try:
            dims = parse_dims(sizes_text)
        except FieldError as error:
            raise error.at(where=self.where, source=self.at(value.line)) from None
        return TensorType(tuple(self.sized(d, what, least, value) for d in dims), dtype)

    def references(self, value: Value, what: str) -> list[Reference]:
        """Names of values."""
        names = value.data if isinstance(value.data, list) else [value]
        return [(self.text(name, f"a name in {what}"), name.line) for name in names]

    def input_type(self, value: Value, what: str) -> TensorType:
        """The type of an input; the batch is put before it unless it says that it is complete."""
        batch, dtype = True, "float32"
        if isinstance(value.data, dict):
            keys = self.mapping(value, what, INPUT_KEYS)
            if "shape" not in keys:
                raise self.fault(f"{what} has no shape", value)
            batch = self.flag(keys["batch"], f"{what}: batch") if "batch" in keys else True
            dtype = self.text(keys["dtype"], f"{what}: dtype") if "dtype" in keys else dtype
            value = keys["shape"]
        least = 1 if batch else 0
        if isinstance(value.data, str):
            shape, dtype = self.type_text(value, what, least)
        elif isinstance(value.data, list):
            shape = tuple(self.dim(d, what, least) for d in value.data)
        else:
            fact = f"{what} must be a list of sizes; got {show(value)}"
            raise self.fault(fact, value, "for instance [227, 227, 3], without the batch")
        if batch and any("N" in symbols(d) for d in shape):
            hint = "leave the batch out, or use another letter"
            raise self.fault(f"{what}: N is the batch, which is not part of it", value, hint)
        return TensorType((BATCH, *shape) if batch else shape, dtype)


def show(value: Value) -> str:
    """A value in a message: not all of it, if it is long."""
    if value.data is None or isinstance(value.data, bool):
        return {None: "nothing", True: "true", False: "false"}[value.data]
    text = repr(value.plain())
    return text if len(text) <= 80 else text[:79] + "…"
