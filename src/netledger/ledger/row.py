"""A row of a ledger: one layer, with what it stores and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from netledger.formula import Formula, ceil_div, formula
from netledger.formula.simplify import add_up as add_up_formulas
from netledger.formula.simplify import simplify
from netledger.graph import BIAS, BUFFER, DTYPE_BITS, WEIGHT, Shape, TensorType

if TYPE_CHECKING:
    from netledger.ops.base import Op


class Stored(NamedTuple):
    """A parameter of a row, with its size and, if it is shared, where it is counted."""

    name: str
    role: str
    shape: Shape
    dtype: str
    trainable: bool
    count: Any
    tied_to: str | None = None
    nbytes: int | None = None

    @property
    def stored_bytes(self) -> Any:
        """Bytes that it takes where it is stored; None for a dtype of unknown width."""
        if self.nbytes is not None:
            return self.nbytes
        bits = DTYPE_BITS.get(self.dtype)
        if bits is None:
            return None
        taken = ceil_div(self.count * bits, 8)
        return taken if type(taken) is int else simplify(taken)


class Sums(NamedTuple):
    """What a layer stores, added up; what is tied to another layer's counts there.

    Attributes:
        weights: Numbers with the role weight; None where not known.
        biases: The same for biases.
        buffers: The same for buffers.
        trainable: Weights and biases that are trained.
        frozen: Weights and biases that are not.
        bytes: What all of it takes where it is stored, but for dtypes of unknown width.
    """

    weights: Any = 0
    biases: Any = 0
    buffers: Any = 0
    trainable: Any = 0
    frozen: Any = 0
    bytes: Any = 0

    @property
    def params(self) -> Any:
        """Weights + biases."""
        weights, biases = self.weights, self.biases
        if type(weights) is type(biases) is int:
            return weights + biases
        known = weights is not None and biases is not None
        return add_up((weights, biases)) if known else None

    def unknown(self) -> Sums:
        """The same where nobody knows how many parameters there are."""
        return Sums(None, None, self.buffers, 0, 0, self.bytes)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the reader of a ledger should know.

    Attributes:
        code: Stable, e.g. ``NL001``.
        level: ``error``, ``warning`` or ``info``.
        row: The row that it is about.
        message: What was found.
        hint: What to do about it.
    """

    code: str
    level: str
    row: str
    message: str
    hint: str = ""


_SAME: Mapping[str, str] = {}


class Row(NamedTuple):
    """One layer.

    Counts are exact ints, formulas where a dimension is a symbol, or None where unknown (the
    reason is in `unknown`).

    Attributes:
        name: The layer's name, unique in the ledger.
        kind: The operation: ``Conv``, ``ReLU``, ``Input``; ``Module`` for a folded subtree.
        scope: The module path that it belongs to.
        inputs: Names of the values it takes.
        input_types: Their types.
        outputs: The types of its outputs.
        parameters: What it stores.
        sums: What it stores, added up.
        macs: Multiply-accumulates.
        elements: Numbers in its outputs.
        receptive_field: How much of the input one output sees, along each spatial axis; ``"all"``;
            None where positions have no meaning.
        steps: How far apart neighbouring positions are in the input, along each spatial axis.
        unknown: What could not be derived (``params``, ``macs``), and why.
        op: The operation itself; None for inputs and modules.
        made: Names of the values that it makes.
        source: Where the user wrote it.
        folded: Rows that this view folds into this one.
    """

    name: str
    kind: str
    scope: str = ""
    inputs: tuple[str, ...] = ()
    input_types: tuple[TensorType, ...] = ()
    outputs: tuple[TensorType, ...] = ()
    parameters: tuple[Stored, ...] = ()
    sums: Sums = Sums()
    macs: Any = 0
    elements: Any = 0
    receptive_field: tuple[Any, ...] | str | None = None
    steps: tuple[Any, ...] = ()
    unknown: Mapping[str, str] = _SAME
    op: Op | None = None
    made: tuple[str, ...] = ()
    source: str = ""
    folded: tuple[Row, ...] = ()

    @property
    def weights(self) -> Any:
        """Stored numbers with the role weight; shared ones only where they are counted."""
        return self.sums.weights

    @property
    def biases(self) -> Any:
        """The same for biases."""
        return self.sums.biases

    @property
    def buffers(self) -> Any:
        """The same for buffers."""
        return self.sums.buffers

    @property
    def params(self) -> Any:
        """Weights + biases."""
        return self.sums.params

    @property
    def neurons(self) -> Any:
        """Output elements of a layer that has weights; None where not known."""
        return self.elements if any([p.role == WEIGHT for p in self.parameters]) else 0

    def to_dict(
        self, feeders: Mapping[str, str] = _SAME, stored: dict[int, Any] | None = None
    ) -> dict[str, Any]:
        """The row as JSON-ready data.

        Args:
            feeders: For values of rows that are folded, the row that they are shown in.
            stored: What rows before store, by the object that lists it: those that are alike
                share it, for there may be 150,000.
        """
        known, listed = {} if stored is None else stored, id(self.parameters)
        if listed not in known:
            known[listed] = [_stored_to_dict(p) for p in self.parameters]
        weights, biases, buffers, params, macs, elements = plain_each(
            (self.weights, self.biases, self.buffers, self.params, self.macs, self.elements)
        )
        reach = self.receptive_field
        return {
            "name": self.name,
            "op": self.kind,
            "scope": self.scope,
            "inputs": [feeders.get(name, name) for name in self.inputs],
            "outputs": [type_to_dict(t) for t in self.outputs],
            "parameters": known[listed],
            "weights": weights,
            "biases": biases,
            "buffers": buffers,
            "params": params,
            "macs": macs,
            "elements": elements,
            "receptive_field": plain_each(reach) if isinstance(reach, tuple) else reach,
            "unknown": [_reason(k, v) for k, v in self.unknown.items()],
            "folded": [row.name for row in self.folded],
        }

    def to_record(self) -> dict[str, Any]:
        """The row as a flat dict, for data frames."""
        reach = self.receptive_field
        shapes = [t.shape for t in self.input_types]
        return {
            "name": self.name,
            "op": self.kind,
            "scope": self.scope,
            "description": self.op.describe(*shapes) if self.op is not None else "",
            "inputs": ", ".join(self.inputs),
            "output": str(self.outputs[0]) if self.outputs else None,
            **{count: plain(getattr(self, count)) for count in _COUNTS},
            "receptive_field": "×".join(map(str, reach)) if isinstance(reach, tuple) else reach,
        }


@lru_cache(maxsize=64)
def _reason(what: str, why: str) -> dict[str, str]:
    """One for all rows that it holds for."""
    return {"what": what, "why": why}


_COUNTS = ("weights", "biases", "params", "buffers", "macs", "elements")


def plain(value: Any) -> Any:
    """A count as JSON has it: an int, None, or a formula as a Python expression."""
    return value.python() if isinstance(value, Formula) else value


def plain_each(values: tuple[Any, ...]) -> list[Any]:
    """Counts as JSON has them; nearly always they are such already."""
    return [*map(plain, values)] if Formula in map(type, values) else [*values]


def type_to_dict(t: TensorType) -> dict[str, Any]:
    """A tensor type as JSON-ready data."""
    return {"shape": plain_each(t.shape), "dtype": t.dtype}


def _stored_to_dict(p: Stored) -> dict[str, Any]:
    return {
        "name": p.name,
        "role": p.role,
        "shape": plain_each(p.shape),
        "dtype": p.dtype,
        "count": plain(p.count),
        "bytes": plain(p.stored_bytes),
        "trainable": p.trainable,
        "tied_to": p.tied_to,
    }


def add_up(values: Iterable[Any]) -> Any:
    """The sum of what is known."""
    given = list(values)
    if set(map(type, given)) <= {int}:  # nearly always, and much faster
        return sum(given)
    known = [value for value in given if value is not None]
    fixed = sum([value for value in known if not isinstance(value, Formula)])
    unfixed = [value for value in known if isinstance(value, Formula)]
    return add_up_formulas([*unfixed, formula(fixed)]) if unfixed else fixed


def sums(parameters: Iterable[Stored]) -> Sums:
    """The sums over some parameters."""
    counts: dict[str, Any] = {WEIGHT: 0, BIAS: 0, BUFFER: 0}
    trainable: Any = 0
    frozen: Any = 0
    taken: Any = 0
    for p in parameters:
        if p.tied_to is not None:
            continue
        counts[p.role] = counts[p.role] + p.count
        nbytes = p.stored_bytes
        taken = taken if nbytes is None else taken + nbytes
        if p.role == BUFFER:
            continue
        if p.trainable:
            trainable = trainable + p.count
        else:
            frozen = frozen + p.count
    return Sums(counts[WEIGHT], counts[BIAS], counts[BUFFER], trainable, frozen, taken)
