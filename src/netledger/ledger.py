"""The books: a row for each layer, totals, findings.

Definitions, which every output repeats:

params       weights + biases, trainable or frozen; what is shared counts once
buffers      running statistics and other stored tensors that are not learned, counted apart
macs         multiply-accumulates of convolutions, matrix products and attention products; biases,
             normalisations and activations are not counted
neurons      output elements of the layers that have weights
activations  output elements of every operation (the input is none)
bytes        what the parameters and buffers take where they are stored

All counts are per sample unless a batch is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from netledger.errors import UnknownName
from netledger.formula import Formula, ceil_div, formula
from netledger.formula.simplify import add_up as add_up_formulas
from netledger.formula.simplify import simplify
from netledger.graph import BIAS, BUFFER, DTYPE_BITS, WEIGHT, Graph, Shape, TensorType

if TYPE_CHECKING:
    from netledger.ops.base import Op

SCHEMA = "netledger/1"


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
        return None if bits is None else simplify(ceil_div(self.count * bits, 8))


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


@dataclass(frozen=True, slots=True)
class Row:
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
        weights: Stored numbers with the role weight; shared ones only where they are counted.
        biases: The same for biases.
        buffers: The same for buffers.
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
    weights: Any = 0
    biases: Any = 0
    buffers: Any = 0
    macs: Any = 0
    elements: Any = 0
    receptive_field: tuple[Any, ...] | str | None = None
    steps: tuple[Any, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    op: Op | None = None
    made: tuple[str, ...] = ()
    source: str = ""
    folded: tuple[Row, ...] = ()

    @property
    def params(self) -> Any:
        """Weights + biases."""
        known = self.weights is not None and self.biases is not None
        return add_up((self.weights, self.biases)) if known else None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready data."""
        reach = self.receptive_field
        return {
            "name": self.name,
            "op": self.kind,
            "scope": self.scope,
            "inputs": list(self.inputs),
            "outputs": [type_to_dict(t) for t in self.outputs],
            "parameters": [_stored_to_dict(p) for p in self.parameters],
            "weights": plain(self.weights),
            "biases": plain(self.biases),
            "buffers": plain(self.buffers),
            "params": plain(self.params),
            "macs": plain(self.macs),
            "elements": plain(self.elements),
            "receptive_field": [plain(r) for r in reach] if isinstance(reach, tuple) else reach,
            "unknown": [{"what": k, "why": v} for k, v in self.unknown.items()],
            "folded": [row.name for row in self.folded],
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all rows; they never depend on the view. `complete` is False over an unknown."""

    weights: Any
    biases: Any
    params: Any
    trainable: Any
    frozen: Any
    buffers: Any
    macs: Any
    neurons: Any
    activations: Any
    bytes: Any
    complete: bool
    unknown: frozenset[str] = frozenset()
    """The quantities (``params``, ``macs``) that are only lower bounds."""

    def to_dict(self) -> dict[str, Any]:
        """The totals as JSON-ready data."""
        names = [name for name in self.__slots__ if name not in ("unknown", "complete")]
        known = {name: plain(getattr(self, name)) for name in names}
        return {**known, "complete": self.complete}


@dataclass(frozen=True)
class Ledger:
    """The ledger of a network.

    Attributes:
        graph: The network.
        ops: A row for each input and each operation, in order: the op view.
        findings: What the books say that they should not.
        batch: The batch that the counts are for; None: per sample.
        failed: The layer at which the ledger had to stop, if it did.
    """

    graph: Graph
    ops: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    batch: int | None = None
    failed: str = ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The layer view: parameterless pointwise operations folded into the row before."""
        return self.view()

    def view(self, *, ops: bool = False, depth: int | None = None) -> tuple[Row, ...]:
        """The rows of a view.

        Args:
            ops: A row for every operation, instead of folding the pointwise ones.
            depth: Fold what lies deeper in the module tree than this.
        """
        rows = self.ops if ops else fold_pointwise(self.ops)
        return rows if depth is None else fold_modules(rows, depth)

    def row(self, name: str) -> Row:
        """The row called `name`, also if the layer view folds it away.

        Raises:
            UnknownName: If there is none; names that differ in case only are accepted.
        """
        for row in self.ops:
            if row.name == name:
                return row
        close = [row for row in self.ops if row.name.lower() == name.lower()]
        if len(close) == 1:
            return close[0]
        names = [row.name for row in self.ops]
        hint = "the rows are: " + ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        raise UnknownName("row", name, names, hint=hint)

    @property
    def totals(self) -> Totals:
        """The sums."""
        rows = self.ops
        stored = [p for row in rows for p in row.parameters if p.tied_to is None]
        counted = [p for row in rows if "params" not in row.unknown for p in row.parameters]
        learned = [p for p in counted if p.tied_to is None and p.role != BUFFER]
        weights = add_up(row.weights for row in rows)
        biases = add_up(row.biases for row in rows)
        unknown = frozenset(what for row in rows for what in row.unknown)
        return Totals(
            weights=weights,
            biases=biases,
            params=add_up((weights, biases)),
            trainable=add_up(p.count for p in learned if p.trainable),
            frozen=add_up(p.count for p in learned if not p.trainable),
            buffers=add_up(row.buffers for row in rows),
            macs=add_up(row.macs for row in rows),
            neurons=add_up(
                row.elements for row in rows if any(p.role == WEIGHT for p in row.parameters)
            ),
            activations=add_up(row.elements for row in rows if row.op is not None),
            bytes=add_up(p.stored_bytes for p in stored),
            complete=not unknown,
            unknown=unknown,
        )

    def to_dict(self, *, ops: bool = False, depth: int | None = None) -> dict[str, Any]:
        """The ledger as JSON-ready data, in the contract's form."""
        graph = self.graph
        return {
            "schema": SCHEMA,
            "model": {"name": graph.name, "source": graph.source, "reader": graph.reader},
            "inputs": [{"name": name, **type_to_dict(t)} for name, t in graph.inputs.items()],
            "batch": self.batch,
            "rows": [row.to_dict() for row in self.view(ops=ops, depth=depth)],
            "totals": self.totals.to_dict(),
            "findings": [
                {"code": f.code, "level": f.level, "row": f.row, "message": f.message}
                for f in self.findings
            ],
        }

    def records(self, *, ops: bool = False) -> list[dict[str, Any]]:
        """A flat dict for each row, for ``pandas.DataFrame`` or ``polars.DataFrame``."""
        return [
            {
                "name": row.name,
                "op": row.kind,
                "output": str(row.outputs[0]) if row.outputs else None,
                "weights": plain(row.weights),
                "biases": plain(row.biases),
                "params": plain(row.params),
                "buffers": plain(row.buffers),
                "macs": plain(row.macs),
                "elements": plain(row.elements),
            }
            for row in self.view(ops=ops)
        ]

    def __repr__(self) -> str:
        t = self.totals
        least = "≥ " if "params" in t.unknown else ""
        return f"<Ledger {self.graph.name}: {len(self.ops)} operations, {least}{t.params} params>"


def plain(value: Any) -> Any:
    """A count as JSON has it: an int, None, or a formula as a Python expression."""
    return value.python() if isinstance(value, Formula) else value


def type_to_dict(t: TensorType) -> dict[str, Any]:
    """A tensor type as JSON-ready data."""
    return {"shape": [plain(d) for d in t.shape], "dtype": t.dtype}


def _stored_to_dict(p: Stored) -> dict[str, Any]:
    return {
        "name": p.name,
        "role": p.role,
        "shape": [plain(d) for d in p.shape],
        "dtype": p.dtype,
        "count": plain(p.count),
        "bytes": plain(p.stored_bytes),
        "trainable": p.trainable,
        "tied_to": p.tied_to,
    }


def add_up(values: Iterable[Any]) -> Any:
    """The sum of what is known."""
    total: Any = 0
    unfixed: list[Formula] = []
    for value in values:
        if isinstance(value, Formula):
            unfixed.append(value)
        elif value is not None:
            total = total + value
    return add_up_formulas([*unfixed, formula(total)]) if unfixed else total


def sums(parameters: Iterable[Stored]) -> tuple[Any, Any, Any]:
    """Weights, biases and buffers; what is tied to another counts there."""
    counts: dict[str, Any] = {WEIGHT: 0, BIAS: 0, BUFFER: 0}
    for p in parameters:
        if p.tied_to is None:
            counts[p.role] = counts[p.role] + p.count
    return counts[WEIGHT], counts[BIAS], counts[BUFFER]


def fold_pointwise(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Folds parameterless pointwise rows into the row that feeds them, as papers print networks."""
    kept: dict[str, list[Row]] = {}
    heads: dict[str, str] = {}
    made_by: dict[str, str] = {}
    for row in rows:
        source = made_by.get(row.inputs[0]) if row.inputs else None
        if row.op is not None and row.op.folds and source is not None and not row.parameters:
            head = heads[source]
            kept[head].append(row)
        else:
            head = row.name
            kept[head] = []
        heads[row.name] = head
        for value in row.made:
            made_by[value] = row.name
    by_name = {row.name: row for row in rows}
    return tuple(
        replace(by_name[name], folded=tuple(folded)) if folded else by_name[name]
        for name, folded in kept.items()
    )


def fold_modules(rows: tuple[Row, ...], depth: int) -> tuple[Row, ...]:
    """Folds every subtree of the module tree that lies deeper than `depth` into one row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        path = row.scope.split(".") if row.scope else []
        deep = len(path) > depth - 1 and depth > 0
        groups.setdefault(".".join(path[:depth]) if deep and path else row.name, []).append(row)
    return tuple(
        members[0] if len(members) == 1 and members[0].name == name else _module(name, members)
        for name, members in groups.items()
    )


def _module(name: str, members: list[Row]) -> Row:
    last = members[-1]
    unknown: dict[str, str] = {}
    for row in members:
        unknown.update(row.unknown)
    return Row(
        name=name,
        kind="Module",
        scope=name.rpartition(".")[0],
        inputs=members[0].inputs,
        input_types=members[0].input_types,
        outputs=last.outputs,
        parameters=tuple(
            p._replace(name=f"{row.name}.{p.name}") for row in members for p in row.parameters
        ),
        weights=add_up(row.weights for row in members),
        biases=add_up(row.biases for row in members),
        buffers=add_up(row.buffers for row in members),
        macs=add_up(row.macs for row in members),
        elements=last.elements,
        receptive_field=last.receptive_field,
        unknown=unknown,
        folded=tuple(members),
    )
