"""Ways to count: what `netledger.conventions` knows, each as a cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netledger.conventions import CONVENTIONS, Convention, Count
from netledger.conventions.roles import heads
from netledger.graph import BUFFER
from netledger.ledger import Row, Stored
from netledger.reconcile.claim import BYTES, FLOPS, MACS, NOUNS, PARAMS
from netledger.reconcile.hypotheses.base import Hypothesis
from netledger.reconcile.proposal import Proposal
from netledger.reconcile.sorts import NORM, sort_of
from netledger.reconcile.subject import Subject
from netledger.reconcile.words import listed, signed, sum_up

KNOWN = {
    "trainable": ("frozen", 3.0),
    "weights": ("bias", 4.0),
    "no-embeddings": ("convention", 4.0),
    "no-position-embeddings": ("convention", 6.0),
    "no-head": ("head", 3.0),
    "no-aux-heads": ("aux-head", 2.0),
    "macs-with-biases": ("convention", 5.0),
    "flops-with-biases": ("convention", 5.0),
    "macs-with-elementwise": ("convention", 6.5),
    "flops-with-elementwise": ("convention", 6.5),
    "macs-without-padding": ("convention", 7.0),
    "flops-without-padding": ("convention", 7.0),
    "macs-of-convolutions": ("convention", 5.0),
    "macs-without-head": ("head", 5.0),
    "macs-without-aux-heads": ("aux-head", 2.0),
    "connections": ("convention", 5.0),
    "float16": ("quantized-storage", 2.5),
    "float32": ("quantized-storage", 2.5),
    "int8": ("quantized-storage", 3.0),
    "int4": ("quantized-storage", 3.5),
}
"""The kind of cause that a convention is, and how surprising, in bits."""
MOST_TRAINED = 4
"""More of the last parts of a network are hardly trained alone."""
FILE_BYTES = (100, 200, 300, 400, 500, 1000, 1500, 2000)
"""What a file takes for a tensor's name, shape and place; PyTorch's about 300."""
HDF5_BYTES = 1000
"""Keras' files of groups in groups take that and more."""
TOOL_COST = 4.5
"""For the count of a tool: there are many."""


class Conventions(Hypothesis):
    """The same network, counted otherwise."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Every convention for the quantity."""
        for found in s.once("conventions", _counted):
            kind, cost = _kind(found.convention)
            yield _proposal(s, found.convention, found, kind, cost)


def _counted(s: Subject) -> list[Count]:
    """The conventions that count otherwise than we; after an edit they are among those before."""
    if s.origin is not None:
        before = s.origin.once("conventions", _counted)
        chosen = [found.convention for found in before if s.near(found.delta / s.origin.count)]
    else:
        chosen = [c for c in CONVENTIONS.values() if c.tool or c.name in KNOWN]
    counts = [
        c.count(s.ledger) for c in chosen if c.quantity == s.quantity and _kind(c)[1] <= s.most
    ]
    return [found for found in counts if type(found.delta) is int and found.delta]


def _kind(convention: Convention) -> tuple[str, float]:
    return KNOWN.get(convention.name, ("convention", TOOL_COST))


def _proposal(s: Subject, convention: Convention, found: Count, kind: str, cost: float) -> Proposal:
    rows = tuple(dict.fromkeys(row for term in found.terms for row, _ in term.rows))
    text, arithmetic = convention.text, sum_up(term.delta for term in found.terms)
    if convention.tool:
        text = f"as {convention.tool} counts: {listed(t.cause for t in found.terms)}"
        arithmetic = "; ".join(f"{t.cause}: {signed(t.delta)}" for t in found.terms[:4])
    elif len(found.terms) == 1:
        text = found.terms[0].cause
        arithmetic = sum_up(delta for _, delta in found.terms[0].rows)
    touches = frozenset(f"{name}/" for name in rows) if rows else frozenset({"/"})
    if convention.name == "weights":
        touches = frozenset(f"{r.name}/{p.name}" for r in s.rows for p in r.parameters
                            if p.role == "bias")  # fmt: skip
    return Proposal(kind, rows, found.delta, text, arithmetic, cost, touches)


class Buffers(Hypothesis):
    """Running statistics and other buffers count as parameters."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """All buffers; the running statistics; each other sort of buffer."""
        if s.quantity not in (PARAMS, BYTES):
            return
        found = [(row, p) for row in s.rows for p in row.parameters if _is_buffer(p)]
        running = [(r, p) for r, p in found if sort_of(r) == NORM and len(p.shape) == 1]
        others: dict[str, list[tuple[Row, Stored]]] = {}
        for row, p in found:
            if (row, p) not in running[:1] and p.name not in ("running_mean", "running_var"):
                others.setdefault(p.name, []).append((row, p))
        yield from _buffers(s, running, "running statistics of normalisations", 2.0)
        if len(running) < len(found):
            yield from _buffers(s, found, "all buffers", 2.5)
        if _images(s) and s.quantity == PARAMS:
            text = "Keras' normalisation of the input: means, variances of 3 channels, a count"
            yield Proposal("buffers", (), 7, text, "3 + 3 + 1 = 7", 5.0, frozenset({"input"}))
        for name, some in others.items():
            if len(some) < len(found):
                yield from _buffers(s, some, f"the buffers {name.rpartition('.')[2]}", 5.0)


def _images(s: Subject) -> bool:
    shapes = [t.shape for t in s.graph.inputs.values()]
    return len(shapes) == 1 and len(shapes[0]) == 4 and 3 in (shapes[0][1], shapes[0][3])


def _is_buffer(p: Stored) -> bool:
    return p.role == BUFFER and p.tied_to is None


def _buffers(
    s: Subject, found: list[tuple[Row, Stored]], what: str, cost: float
) -> Iterator[Proposal]:
    sign, verb = (1, "counted as parameters") if s.quantity == PARAMS else (-1, "not stored")
    deltas: dict[str, int] = {}
    for row, p in found:
        count = p.count if s.quantity == PARAMS else p.stored_bytes or 0
        deltas[row.name] = deltas.get(row.name, 0) + sign * count
    if deltas:
        yield Proposal(
            "buffers",
            tuple(deltas),
            sum(deltas.values()),
            f"{what} {verb} ({len(deltas):,} layers)",
            sum_up(deltas.values()),
            cost,
            frozenset(f"{row.name}/{p.name}" for row, p in found),
        )


class Packed(Hypothesis):
    """Quantised weights: several to a stored number, and the stored numbers counted."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Two, four or eight weights to a number, in the layers that such tools quantise."""
        if s.quantity != PARAMS:
            return
        ends = _ends(s)
        rows = [r for r in s.rows if r.name not in ends and sort_of(r) in ("linear", "conv")]
        matrices = {
            "the linear layers but the last": [r for r in rows if sort_of(r) == "linear"],
            "all linear layers": [r for r in s.rows if sort_of(r) == "linear"],
        }
        before = None
        for where, chosen in matrices.items():
            if not chosen or chosen == before:
                continue
            before = chosen
            for pack, how, cost in (
                (2, "two 4-bit weights to a byte", 4.0),
                (8, "eight 4-bit weights to an int32", 5.0),
                (4, "four 8-bit weights to an int32", 6.0),
                (0, "packed where no parameter is seen", 7.0),
            ):
                yield from _packed(s, chosen, pack, f"{where}: {how}", cost)


def _ends(s: Subject) -> frozenset[str]:
    last = [r.name for r in s.rows if sort_of(r) == "linear"][-1:]
    return heads(s.ledger) or frozenset(last)


def _packed(s: Subject, rows: list[Row], pack: int, text: str, cost: float) -> Iterator[Proposal]:
    deltas: dict[str, int] = {}
    touches = set()
    for row in rows:
        for p in row.parameters:
            gone = p.tied_to is None and (p.role == "weight" or pack == 0) and p.role != BUFFER
            if gone:
                left = -(-p.count // pack) if pack else 0
                deltas[row.name] = deltas.get(row.name, 0) + left - p.count
                touches.add(f"{row.name}/{p.name}")
    if deltas:
        whole = -sum(deltas.values())
        yield Proposal(
            "quantized-storage",
            tuple(deltas),
            -whole,
            f"the stored numbers are counted, not the weights in them; {text}",
            f"{len(deltas):,} layers: {signed(-whole)}",
            cost,
            frozenset(touches),
        )


class Trained(Hypothesis):
    """Only the classifier is trained, or the last few parts; the rest is frozen."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """All but the last layer is not counted; all but the last parts."""
        ends = _ends(s) if s.quantity == PARAMS else ()
        if not ends:
            return
        yield _trained(s, [row for row in s.rows if row.name in ends], sorted(ends), 6.0)
        tops = list(dict.fromkeys(row.name.partition(".")[0] for row in s.rows))
        for i in range(max(len(tops) - MOST_TRAINED, 1), len(tops)):
            rows = [row for row in s.rows if row.name.partition(".")[0] in tops[i:]]
            yield _trained(s, rows, tops[i:], 6.5 + (len(tops) - i) / 2)


def _trained(s: Subject, rows: list[Row], names: list[str], cost: float) -> Proposal:
    kept = sum(row.params or 0 for row in rows)
    trained = {row.name for row in rows}
    frozen = tuple(row.name for row in s.rows if row.name not in trained)
    are = "is" if len(names) == 1 else "are"
    return Proposal(
        "frozen",
        frozen,
        kept - s.count,
        f"only {listed(names)} {are} trained and counted, the rest is frozen",
        f"{kept:,} − {s.count:,} = {signed(kept - s.count)}",
        cost,
        frozenset(f"{name}/" for name in frozen),
    )


class OtherQuantity(Hypothesis):
    """The number is of something else than it was taken for."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """MACs, FLOPs and so on for a number of parameters."""
        if s.quantity != PARAMS:
            return
        totals = s.ledger.totals
        for what, count in (
            (MACS, totals.macs),
            (FLOPS, 2 * totals.macs),
            (BYTES, totals.bytes),
            ("neurons", totals.neurons),
            ("activations", totals.activations),
        ):
            if type(count) is int and count > 0:
                yield Proposal(
                    "unit",
                    (),
                    count - s.count,
                    f"{NOUNS[what]}, not {NOUNS[PARAMS]}",
                    f"{count:,} − {s.count:,} = {signed(count - s.count)}",
                    {MACS: 4.0, BYTES: 5.0}.get(what, 6.0),
                    frozenset({"/"}),
                )


class Container(Hypothesis):
    """The size of a file: it says what its tensors are called, and where they are."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Some hundred bytes for each tensor."""
        tensors = self._tensors(s)
        for each in FILE_BYTES if tensors else ():
            text = f"about {each:,} bytes for each of {tensors:,} tensors"
            cost = 1.5 if each < HDF5_BYTES else 2.5
            text = f"the file's own bookkeeping, {text}"
            yield self._of(each * tensors, text, f"{tensors:,} × {each:,}", cost)

    def solve(self, s: Subject, delta: int) -> Iterable[Proposal]:
        """As many as are missing."""
        tensors = self._tensors(s)
        if tensors and FILE_BYTES[0] <= 2 * delta / tensors <= 2 * FILE_BYTES[-1]:
            each = f"{delta / tensors:.0f} for each of {tensors:,} tensors"
            yield self._of(delta, f"the file's own bookkeeping: {each}", f"{delta:,}", 3.0)

    @staticmethod
    def _tensors(s: Subject) -> int:
        if s.quantity != BYTES:
            return 0
        return sum(p.tied_to is None for row in s.rows for p in row.parameters)

    @staticmethod
    def _of(delta: int, text: str, arithmetic: str, cost: float) -> Proposal:
        how = f"{arithmetic} = {signed(delta)}" if "×" in arithmetic else signed(delta)
        return Proposal("convention", (), delta, text, how, cost, frozenset({"file"}))


class Unused(Hypothesis):
    """Layers that no output needs are left out, or shared layers count once for each use."""

    of_tensors = False

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """All layers that lead to no output."""
        if s.quantity != PARAMS or not s.graph.outputs:
            return
        needed: set[str] = set()
        makers = {value: row for row in s.ledger.ops for value in row.made}
        todo = [*s.graph.outputs]
        while todo:
            row = makers.get(todo.pop())
            if row is not None and row.name not in needed:
                needed.add(row.name)
                todo += row.inputs
        if not any(name in s.by_name and s.by_name[name].parameters for name in needed):
            return  # a file without a graph
        idle = [row for row in s.rows if row.name not in needed and row.params]
        if idle:
            deltas = [-(row.params or 0) for row in idle]
            yield Proposal(
                "unused",
                tuple(row.name for row in idle),
                sum(deltas),
                f"layers that no output needs are not counted: {listed(r.name for r in idle)}",
                sum_up(deltas),
                3.0,
                frozenset(f"{row.name}/{p.name}" for row in idle for p in row.parameters),
            )


__all__ = ["Buffers", "Container", "Conventions", "OtherQuantity", "Packed", "Trained", "Unused"]
