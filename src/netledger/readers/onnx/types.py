"""What the file says of types: inputs, outputs, value_info; and what its symbols are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netledger.errors import GraphError, SpecError
from netledger.formula import Dim, Formula, symbol
from netledger.graph import BATCH, TensorType
from netledger.ops.opaque import NO_SIZE
from netledger.readers.onnx import model
from netledger.readers.onnx.model import DTYPES
from netledger.readers.onnx.wire import Wire

MAX_RANK = 16
LONGEST = 64
"""The most leaves that the formula of a size may have."""
MOST = 20_000
"""The most leaves that the formulas of all sizes may have; a bare symbol counts for nothing."""


class Types:
    """The types that a file states, by the name of the value."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.symbols: dict[str, Dim] = {}
        """Dimensions by their name in the file."""
        self.taken = {"N", NO_SIZE.name}
        self.stated: dict[str, model.TensorType] = {}
        self.plain: dict[int, TensorType] = {}
        """What is said with known sizes only, by the object in `stated`: many values share one."""

    def state(self, values: Sequence[model.ValueInfo]) -> None:
        """Takes note of what the file says of values.

        Raises:
            GraphError: If it says two different things of one.
        """
        for value in values:
            tensor = value.type.tensor if value.type else None
            if tensor is None:
                continue
            before = self.stated.get(value.name)
            if before is None or _says_less(before, tensor):
                self.stated[value.name] = tensor
            elif before != tensor and not _says_less(tensor, before):
                raise GraphError(
                    f"the type of {value.name!r} is stated twice, and differently",
                    where=self.wire.where,
                )

    def choose_batch(self, inputs: list[model.ValueInfo]) -> None:
        """Finds the dimension that is the batch: one called so, or the first axis of an input."""
        first: list[str] = []
        for value in inputs:
            tensor = value.type.tensor if value.type else None
            dims = tensor.shape.dims if tensor and tensor.shape else []
            first += [d.param for d in dims[:1] if d.param]
            for d in dims:
                if d.param and "batch" in d.param.lower():
                    self.symbols.setdefault(d.param, BATCH)
                    return
        if first:
            self.symbols[first[0]] = BATCH

    def input(self, value: model.ValueInfo) -> TensorType | None:
        """The type of an input of the network; sizes without a name get one."""
        tensor = value.type.tensor if value.type else None
        if tensor is None or tensor.shape is None:
            return None
        dims: list[Dim] = []
        for i, d in enumerate(self._dims(value.name, tensor.shape)):
            if d.value is None and d.param is None:
                dims.append(BATCH if i == 0 else self._named(f"{value.name}_{i}"))
            else:
                dims.append(self._dim(d))
            if dims[-1] == 0:
                raise SpecError("has a dimension of 0", where=f"input {value.name!r}")
        return TensorType(tuple(dims), DTYPES.get(tensor.elem_type, "float32"))

    def recorded(self, name: str, derived: TensorType | None = None) -> TensorType | None:
        """What the file says of a value.

        Where it says nothing comparable of an axis (a name that no input has), ours stands.
        """
        tensor = self.stated.get(name)
        if tensor is None or tensor.shape is None:
            return None
        same = self.plain.get(id(tensor))
        if same is not None:
            return same
        dims = self._dims(name, tensor.shape)
        found: list[Dim] = []
        plain = True
        for i, d in enumerate(dims):
            known = d.value is not None or d.param in self.symbols
            plain = plain and known
            if not known and derived is not None and len(derived.shape) == len(dims):
                found.append(derived.shape[i])
            elif d.value is None and d.param is None:
                found.append(self._named(f"{name}_{i}"))
            else:
                found.append(self._dim(d))
        t = TensorType(tuple(found), DTYPES.get(tensor.elem_type, "float32"))
        if plain:
            self.plain[id(tensor)] = t
        return t

    def _dims(self, name: str, shape: model.Shape) -> Sequence[model.Dimension]:
        if len(shape.dims) > MAX_RANK:
            raise SpecError(f"has {len(shape.dims)} axes", where=f"value {name!r}")
        for d in shape.dims:
            if d.value is not None and d.param is not None:
                raise SpecError("has an axis with a size and a name", where=f"value {name!r}")
            if d.value is not None and d.value < 0:
                raise SpecError(
                    f"has a dimension of {d.value}",
                    where=f"value {name!r}",
                    hint="a size that is not known has a name or nothing, not a negative number",
                )
        return shape.dims

    def _dim(self, d: model.Dimension) -> Dim:
        if d.value is not None:
            return d.value
        assert d.param is not None
        if d.param not in self.symbols:
            self.symbols[d.param] = self._named(d.param)
        return self.symbols[d.param]

    def _named(self, name: str) -> Formula:
        """A symbol; its name becomes one that can stand in a formula."""
        base = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:30] or "d"
        base = base if base[0].isalpha() else f"d{base}"
        found, count = base, 1
        while found in self.taken:
            count += 1
            found = f"{base}_{count}"
        self.taken.add(found)
        return symbol(found)


def _says_less(one: model.TensorType, other: model.TensorType) -> bool:
    """True if `one` is the same type, but leaves the shape open."""
    return one.shape is None and one.elem_type == other.elem_type


def leaves(x: Dim) -> int:
    """How many symbols and numbers a formula is made of."""
    if not isinstance(x, Formula) or not x.args:
        return 1
    return sum(map(leaves, x.args))
