"""Graph → Ledger in one pass; and the double-entry check.

Every output, parameter, MAC and receptive field is derived by rule. Where the source recorded the
same thing, the two are compared; a difference is a finding, never a silent choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netledger.errors import NetledgerError
from netledger.formula import Dim, Formula, prod, substitute
from netledger.formula.simplify import simplify
from netledger.graph import BUFFER, Graph, Node, Parameter, TensorType
from netledger.ledger import Finding, Ledger, Row, Stored, sums
from netledger.ops.base import Op, Window, size
from netledger.reach import Reach, bounded, far, of_input, steps, through, widest
from netledger.rules import NOTHING, Counted, Derived, Kept, Rules


def infer(graph: Graph, *, batch: int | None = None, check: bool = True) -> Ledger:
    """Derives the ledger of a network.

    Args:
        graph: The network.
        batch: Counts are for this batch; by default per sample, and the batch prints as ``N``.
        check: Whether operations check their inputs first; only fields that hold arrays skip it.

    Raises:
        NetledgerError: If a layer does not fit its input. The error says where, and carries the
            ledger up to there as `partial`.
    """
    return write(Book(graph, Rules(batch, check)))


def write(book: Book) -> Ledger:
    """Enters every row of the book's network, in order."""
    for node in book.graph.nodes:
        try:
            book.enter(node)
        except NetledgerError as error:
            received = ", ".join(f"{v}: {book.types[v]}" for v in node.inputs)
            error.at(where=f"{node.name} ({node.op.kind})", received=received, source=node.source)
            error.partial = book.close(failed=node.name)
            raise
    return book.close()


class Book:
    """What is known so far while the ledger is written."""

    def __init__(self, graph: Graph, rules: Rules) -> None:
        self.graph, self.batch, self.rules = graph, rules.batch, rules
        self.rows: list[Row] = []
        self.findings: list[Finding] = []
        self.types: dict[str, TensorType] = {}
        self.reach: dict[str, Reach] = {}
        self.listed: dict[tuple[int, str, bool], tuple[Any, ...]] = {}
        """What modules store, its sums and what is not known, by the object that lists it: modules
        that are alike share one."""
        self.owner = {member: "/".join(group[0]) for group in graph.ties for member in group[1:]}
        for name, declared in graph.inputs.items():
            self._open(name, declared)

    def _open(self, name: str, declared: TensorType) -> None:
        shape = declared.shape
        if self.batch is not None:
            shape = tuple(substitute(d, self.rules.per) for d in shape)
        t = TensorType(shape, declared.dtype)
        self.types[name] = t
        spatial = max(len(shape) - 2, 0)
        self.reach[name] = of_input(spatial)
        self.rows.append(
            Row(
                name=name,
                kind="Input",
                outputs=(t,),
                elements=prod(self.rules.count(shape)),
                receptive_field=(1,) * spatial if spatial else None,
                steps=(1,) * spatial,
                made=(name,),
            )
        )

    def enter(self, node: Node) -> None:
        """Derives one row."""
        op = node.op
        if op.silent:
            self._list(node)
            return
        if self.batch is not None:
            op = at_sizes(op, self.rules.per)
        types = tuple([self.types[v] for v in node.inputs])
        derived = self.rules.derive(op, tuple([t.shape for t in types]), node)
        dtype = op.dtype(*[t.dtype for t in types])
        outputs = tuple([TensorType(s, dtype) for s in derived.outputs[: len(node.outputs)]])
        unknown = dict(op.unknown())
        parameters, kept = self._stored(node, derived, dtype, unknown)
        macs, elements = derived.macs, derived.elements
        if unknown:
            macs = self._recorded_macs(node, unknown)
            if "activations" in unknown:
                elements = None
            kept = kept.unknown() if "params" in unknown else kept
        seen = self._reach(node, derived.window)
        self._hand_on(node, outputs, seen)
        self.rows.append(
            Row(
                name=node.name,
                kind=op.kind,
                scope=node.scope,
                inputs=node.inputs,
                input_types=types,
                outputs=outputs,
                parameters=parameters,
                sums=kept,
                macs=macs,
                elements=elements,
                receptive_field=far(seen),
                steps=steps(seen),
                unknown=unknown,
                op=op,
                made=node.outputs,
                source=node.source,
            )
        )

    def _list(self, node: Node) -> None:
        """A row of stored tensors, without inputs and outputs; there may be 150,000 of them."""
        key = (id(node.op), node.dtype, node.trainable)
        listed = self.listed.get(key) if node.recorded is None else None
        if listed is None:
            unknown = node.op.unknown()
            counted = tuple([(p, prod(p.shape)) for p in node.op.parameters()])
            parameters, kept = self._kept(node, counted, "float32", {})
            listed = parameters, kept.unknown() if "params" in unknown else kept, unknown
            if not self.owner and node.recorded is None:
                self.listed[key] = listed
        parameters, kept, unknown = listed
        self.rows.append(
            Row(
                name=node.name,
                kind=node.op.kind,
                scope=node.scope,
                parameters=parameters,
                sums=kept,
                macs=None,
                elements=None,
                unknown=unknown,
                op=node.op,
                source=node.source,
            )
        )

    def close(self, failed: str = "") -> Ledger:
        """The ledger as far as it goes."""
        return Ledger(self.graph, tuple(self.rows), tuple(self.findings), self.batch, failed)

    def _stored(self, node: Node, derived: Derived, dtype: str, unknown: dict[str, str]) -> Kept:
        """What the row stores, with its sums; mostly the same as of a layer before."""
        recorded = node.recorded.parameters if node.recorded is not None else None
        if "params" in unknown or self.owner or not self.rules.check:
            return self._kept(node, derived.parameters, dtype, unknown)
        if not derived.parameters and not recorded:
            return NOTHING
        key = (derived.parameters, recorded, dtype, node.dtype, node.trainable)
        known = self.rules.kept.get(key)
        if known is None:
            told = len(self.findings)
            known = self._kept(node, derived.parameters, dtype, unknown)
            if len(self.findings) == told:  # a finding has to be told each time
                self.rules.kept[key] = known
        return known

    def _kept(self, node: Node, derived: Counted, dtype: str, unknown: dict[str, str]) -> Kept:
        parameters = self._parameters(node, derived, dtype, unknown)
        return parameters, sums(parameters)

    def _parameters(
        self, node: Node, derived: Counted, dtype: str, unknown: dict[str, str]
    ) -> tuple[Stored, ...]:
        recorded = node.recorded.parameters if node.recorded else None
        if recorded is not None:
            if "params" in unknown:
                del unknown["params"]
                derived = tuple([(p, simplify(size(p))) for p in recorded])
            else:
                self._compare_parameters(node, tuple([p for p, _ in derived]), recorded)
        if not derived:
            return ()
        computes_in = node.dtype or (dtype if "float" in dtype else "float32")
        # Where the source lists them one for one, it says how each is kept.
        one_for_one = recorded if recorded and len(recorded) == len(derived) else None
        said = one_for_one or [p for p, _ in derived]
        return tuple(
            [
                Stored(
                    p.name,
                    BUFFER if q.role == BUFFER else p.role,
                    p.shape,
                    q.dtype or p.dtype or computes_in,
                    p.trainable and node.trainable and q.trainable,
                    count,
                    self.owner.get((node.name, p.name)) if self.owner else None,
                    p.nbytes if q.nbytes is None else q.nbytes,
                )
                for (p, count), q in zip(derived, said, strict=True)
            ]
        )

    def _recorded_macs(self, node: Node, unknown: dict[str, str]) -> Any:
        recorded = node.recorded.macs if node.recorded else None
        if recorded is not None:
            unknown.pop("macs", None)
        return substitute(recorded, self.rules.per) if recorded is not None else None

    def _hand_on(self, node: Node, outputs: tuple[TensorType, ...], seen: Reach) -> None:
        """Makes the outputs known; where the source says otherwise, it is believed from here on."""
        said = node.recorded.outputs if node.recorded else ()
        for i, (value, t) in enumerate(zip(node.outputs, outputs, strict=True)):
            other = said[i] if i < len(said) else None
            if other is not None and self.batch is not None:
                other = TensorType(self.rules.count(other.shape), other.dtype)
            if other is not None and other.shape != t.shape:
                self._unbalanced(node, f"the rule gives {t}, the source says {other}")
                t = other
            self.types[value] = t
            self.reach[value] = seen

    def _compare_parameters(
        self, node: Node, derived: tuple[Parameter, ...], recorded: tuple[Parameter, ...]
    ) -> None:
        if len(derived) == len(recorded):  # kernels may be kept as a buffer: they are not learned
            pairs = zip(derived, recorded, strict=True)
            derived = tuple([p._replace(role=BUFFER) if q.role == BUFFER else p for p, q in pairs])
        ours = sorted((p.role, str(p.shape)) for p in derived)
        theirs = sorted((p.role, str(p.shape)) for p in recorded)
        if ours != theirs:
            self._unbalanced(
                node,
                f"the rule gives {_show_parameters(derived)}, "
                f"the source has {_show_parameters(recorded)}",
            )

    def _unbalanced(self, node: Node, difference: str) -> None:
        message = f"the books do not balance at {node.name}: {difference}"
        hint = (
            "one of the two is wrong: a hyperparameter was read wrongly, or the source was edited"
        )
        self.findings.append(Finding("NL001", "error", node.name, message, hint))

    def _reach(self, node: Node, window: tuple[Window, ...] | str | None) -> Reach:
        before = widest([self.reach[v] for v in node.inputs])
        rank = len(self.types[node.inputs[0]].shape) if node.inputs else 0
        if before is None and rank != 2:
            return None
        seen = through(before, window)
        return bounded(seen) if self.rules.check else seen


def at_sizes(op: Op, sizes: Mapping[str, Dim]) -> Op:
    """The operation with sizes in place of their names, where its fields hold any (a reshape)."""
    changed = {k: _at_sizes(v, sizes) for k, v in op.__dict__.items() if _has_formula(v)}
    return replace(op, **changed) if changed else op


def _at_sizes(value: Any, sizes: Mapping[str, Dim]) -> Any:
    if type(value) is tuple:
        return tuple([_at_sizes(one, sizes) for one in value])
    return substitute(value, sizes) if type(value) is Formula else value


def _has_formula(value: Any) -> bool:
    if type(value) is tuple:
        return any(map(_has_formula, value))
    return type(value) is Formula


def _show_parameters(parameters: tuple[Parameter, ...]) -> str:
    if not parameters:
        return "no parameters"
    return ", ".join(f"{p.name} {list(p.shape)}" for p in parameters)
