"""The difference of two networks: pairs of layers, causes, notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from netledger.diff.align import Part, Side, align
from netledger.diff.changes import SPELLING, Group, group
from netledger.diff.counts import Counts, count, total, totals
from netledger.diff.steps import Step, Walk
from netledger.diff.stored import align_stored, graphless, stored_delta
from netledger.diff.turn import turned
from netledger.diff.words import arithmetic, consequence, listed, say
from netledger.edits import Edit, apply
from netledger.edits.draft import derived
from netledger.infer import infer
from netledger.ledger import Ledger, Row

KEEP, CHANGE, INSERT, REMOVE = "keep", "change", "insert", "remove"


@dataclass(frozen=True)
class Pair:
    """A layer of the one network beside its counterpart in the other.

    Attributes:
        what: ``keep``, ``change``, ``insert`` (only in the second) or ``remove``.
        a: The row in the first network, if it is there.
        b: The row in the second.
        edits: What makes the one the other, of a layer that is in both.
    """

    what: str
    a: Row | None
    b: Row | None
    edits: tuple[Edit, ...] = ()

    @property
    def delta(self) -> Counts:
        """What the counts differ by, whether by edits of this layer or of one before it."""
        none = Counts()
        return (count(self.b) if self.b else none).minus(count(self.a) if self.a else none)


@dataclass(frozen=True)
class Cause:
    """Like changes, and what they change in the totals.

    Attributes:
        kind: ``groups``, ``flatten``, ``pooling``, ``bias`` and so on.
        text: What differs, in words: the second network as seen from the first.
        consequence: Which layers store another number for it, and why; or nothing.
        delta: What the totals change by.
        rows: For each row that counts differently, by how much.
        edits: The changes, in the order in which they were applied.
        arithmetic: The deltas of the parameters, row by row, and their sum.
        ignorable: Whether it makes no difference to what the network computes.
        joint: Whether it could be measured only together with the next or the one before.
    """

    kind: str
    text: str
    delta: Counts
    rows: dict[str, Counts]
    edits: tuple[Edit, ...]
    arithmetic: str = ""
    consequence: str = ""
    ignorable: bool = False
    joint: bool = False

    @property
    def counts(self) -> bool:
        """True if any row's weights, biases, buffers or MACs differ for it."""
        return any(delta.stored_or_done for delta in self.rows.values())


@dataclass(frozen=True)
class Difference:
    """What leads from one network to another.

    Attributes:
        a: The ledger of the first.
        b: The ledger of the second.
        pairs: Their layers, side by side.
        causes: What differs; the deltas add up to the difference of the totals.
        notes: What differs and makes no difference.
    """

    a: Ledger
    b: Ledger
    pairs: tuple[Pair, ...]
    causes: tuple[Cause, ...]
    notes: tuple[str, ...] = ()

    @property
    def delta(self) -> Counts:
        """The difference of the totals, second minus first."""
        return totals(self.b).minus(totals(self.a))

    @property
    def empty(self) -> bool:
        """True if the networks are the same, but for names, layouts and what does nothing."""
        return all(cause.ignorable for cause in self.causes)

    @property
    def counting(self) -> tuple[Cause, ...]:
        """The causes that change parameters, buffers or MACs of a row."""
        return tuple(c for c in self.causes if c.counts and not c.ignorable)

    @property
    def silent(self) -> tuple[Cause, ...]:
        """The causes that change none of these, but what the network computes."""
        return tuple(c for c in self.causes if not c.counts and not c.ignorable)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits in order: applied to the first network they give the second one's counts."""
        return tuple(edit for cause in self.causes for edit in cause.edits)


def compare(a: Ledger, b: Ledger) -> Difference:
    """Aligns two networks and attributes the whole difference of their totals to causes.

    Causes are applied to the first network one after the other, in the order of
    `netledger.diff.changes.ORDER`; each is charged with what the totals change by at its turn.
    """
    if graphless(a.graph) or graphless(b.graph):
        return _compare_stored(a, b)
    one, two = Side(a), Side(b)
    causes: list[Cause] = []
    if edits := turned(one, two, derived(a.graph)):
        one = Side(infer(apply(derived(a.graph), *edits)))
        causes.append(
            Cause(SPELLING, "nothing turns the maps", Counts(), {}, edits, ignorable=True)
        )
    pairs = align(one, two)
    inputs = _pair_inputs(a, b)
    groups = group(one, two, pairs, inputs)
    steps = Walk(one, two, pairs, inputs).steps(groups)
    causes += _joined([_cause(step) for step in steps])
    rest = totals(b).minus(totals(a)).minus(total(c.delta for c in causes))
    if not rest.nothing:
        text = "sizes that the sources record and no rule gives"
        causes.append(Cause("recorded", text, rest, {"": rest}, ()))
    changes: dict[str, list[Edit]] = {}
    for g in groups:
        for change in g.changes:
            changes.setdefault(change.part.node.name, []).extend(change.edits)
    rows = {row.name: row for row in a.ops}
    shown = tuple(_pair(pa, pb, changes, rows) for pa, pb in pairs)
    return Difference(a, b, shown, tuple(causes), tuple(_notes(one, two, pairs)))


def _compare_stored(a: Ledger, b: Ledger) -> Difference:
    """One cause for what is stored, one for what a file without a graph does not say."""
    pairs = align_stored(a, b)
    rows = {(y or x).name: stored_delta((x, y)) for x, y in pairs if x or y}  # type: ignore[union-attr]
    rows = {name: delta for name, delta in rows.items() if not delta.nothing}
    causes = []
    if rows:
        text = f"other tensors in {listed(rows)}"
        causes.append(Cause("stored", text, total(rows.values()), rows, (), arithmetic(rows)))
    rest = totals(b).minus(totals(a)).minus(total(rows.values()))
    if not rest.nothing:
        text = "a file without a graph does not say what is computed"
        causes.append(Cause("unknown", text, rest, {"": rest}, (), ignorable=True))
    shown = []
    for x, y in pairs:
        what = INSERT if x is None else REMOVE if y is None else KEEP
        changed = what == KEEP and (y or x).name in rows  # type: ignore[union-attr]
        shown.append(Pair(CHANGE if changed else what, x, y))
    return Difference(a, b, tuple(shown), tuple(causes))


def _pair_inputs(a: Ledger, b: Ledger) -> dict[str, str]:
    """For each input of the second network, what it is called on the way from the first."""
    ours, theirs = list(a.graph.inputs), list(b.graph.inputs)
    found = {name: name for name in theirs if name in ours}
    free = [name for name in ours if name not in found]
    taken = {*ours, *(v for node in a.graph.nodes for v in (node.name, *node.outputs))}
    for name in theirs:
        if name not in found:
            found[name] = free.pop(0) if free else _unused(name, taken)
    return found


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_b"
    taken.add(name)
    return name


def _pair(
    pa: Part | None, pb: Part | None, edits: dict[str, list[Edit]], rows: dict[str, Row]
) -> Pair:
    """A pair as it is shown: with the first network's row as it was before anything was changed."""
    if pa is None or pb is None:
        what = INSERT if pa is None else REMOVE
        return Pair(what, rows[pa.node.name] if pa else None, pb.row if pb else None)
    found = tuple(edits.get(pa.node.name, ()))
    return Pair(CHANGE if found else KEEP, rows[pa.node.name], pb.row, found)


def _cause(step: Step) -> Cause:
    g = step.group
    delta = step.delta
    return Cause(
        kind=g.kind,
        text=say(step),
        delta=delta,
        rows=step.deltas,
        edits=step.edits,
        arithmetic=arithmetic(step.deltas),
        consequence=consequence(step),
        ignorable=_ignorable(g, step),
        joint=step.joint,
    )


def _ignorable(g: Group, step: Step) -> bool:
    rows = [step.delta] if g.kind == SPELLING else step.deltas.values()
    if any(delta.stored_or_done for delta in rows):
        return False
    return bool(g.changes) and g.ignorable


def _joined(causes: list[Cause]) -> list[Cause]:
    """Joins neighbouring causes that undo one another's effect on every count."""
    found: list[Cause] = []
    for cause in causes:
        before = found[-1] if found else None
        if before is not None and before.counts and cause.counts and _undo(before, cause):
            both = {
                n: total(r[n] for r in (before.rows, cause.rows) if n in r)
                for n in {**before.rows, **cause.rows}
            }
            both = {name: delta for name, delta in both.items() if not delta.nothing}
            found[-1] = replace(
                before,
                text=f"{before.text}, and {cause.text}: together the same sizes",
                delta=total((before.delta, cause.delta)),
                rows=both,
                edits=before.edits + cause.edits,
                consequence="",
                arithmetic=arithmetic(both),
            )
        else:
            found.append(cause)
    return found


def _undo(x: Cause, y: Cause) -> bool:
    return not total((x.delta, y.delta)).stored_or_done


def _notes(a: Side, b: Side, pairs: list[tuple[Part | None, Part | None]]) -> list[str]:
    found: list[str] = []
    both = [(pa, pb) for pa, pb in pairs if pa is not None and pb is not None]
    renamed = sum(pa.node.name != pb.node.name for pa, pb in both)
    if renamed:
        found.append(f"{renamed:,} of {len(both):,} layers have other names")
    if _words(a.maps) and _words(b.maps) and _words(a.maps) != _words(b.maps):
        found.append(f"maps have their {_words(b.maps)}, not their {_words(a.maps)}")
    dtypes = [_dtypes(side) for side in (a, b)]
    if dtypes[0] != dtypes[1]:
        found.append(f"stored as {dtypes[1] or 'nothing'}, not {dtypes[0] or 'nothing'}")
    return found


def _words(maps: dict[str, Any]) -> str:
    kinds = set(maps.values())
    return "" if len(kinds) != 1 else "channels last" if kinds.pop() else "channels first"


def _dtypes(side: Side) -> str:
    return ", ".join(sorted({p.dtype for row in side.ledger.ops for p in row.parameters}))


__all__ = ["CHANGE", "INSERT", "KEEP", "REMOVE", "Cause", "Difference", "Pair", "compare"]
