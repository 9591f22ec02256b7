"""Leads one network to the other, one group of changes at a time, and measures each step.

What a step changes is the difference of two ledgers, so the steps add up exactly. Where a step
alone gives no network (a layer does not fit until a later change), it is taken together with the
next; what the changed rows differ by is then theirs, the rest is the first one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from netledger.diff.align import Part, Side
from netledger.diff.changes import Change, Group
from netledger.diff.counts import Counts, count_rows, total
from netledger.diff.layout import translate
from netledger.edits import Draft, Edit, Insert, Remove, Rewire, SetOp, Tie, Untie
from netledger.edits.draft import counts_only, derived
from netledger.errors import NetledgerError
from netledger.infer import infer
from netledger.ledger import Ledger, Row
from netledger.ops.base import Spatial
from netledger.ops.pointwise import Broadcast


@dataclass(frozen=True)
class Step:
    """A group of changes, applied.

    Attributes:
        group: The group.
        edits: What was edited, in order.
        deltas: What each row's counts changed by; rows of which nothing changed are left out.
        before: The rows before.
        after: The rows afterwards.
        joint: Whether it was taken together with others.
    """

    group: Group
    edits: tuple[Edit, ...]
    deltas: dict[str, Counts]
    before: dict[str, Row]
    after: dict[str, Row]
    joint: bool = False

    @property
    def delta(self) -> Counts:
        """What the totals changed by."""
        return total(self.deltas.values())


class Walk:
    """The way from the first network to the second."""

    def __init__(
        self,
        a: Side,
        b: Side,
        pairs: Iterable[tuple[Part | None, Part | None]],
        inputs: dict[str, str],
    ) -> None:
        self.a, self.b = a, b
        self.draft = Draft(derived(a.ledger.graph))
        self.values = dict(inputs)
        """What the values of the second network are called on the way, as far as they are made."""
        self.layout = next(iter(a.maps.values()), None)
        self.names: dict[str, str] = {}
        taken = {*self.draft.nodes, *self.draft.inputs}
        taken |= {v for node in self.draft.nodes.values() for v in node.outputs}
        for pa, pb in pairs:
            if pb is not None:
                self._call(pa, pb, taken)
        self.takers: dict[str, list[tuple[Part, int]]] = {}
        for part in b.by_name.values():
            for index, value in enumerate(part.node.inputs):
                self.takers.setdefault(value, []).append((part, index))

    def _call(self, pa: Part | None, pb: Part, taken: set[str]) -> None:
        if pa is not None:
            self.names[pb.node.name] = pa.node.name
            self.values.update(zip(pb.node.outputs, pa.node.outputs, strict=False))
            return
        name, number = pb.node.name, 2
        while name in taken:
            name, number = f"{pb.node.name}_{number}", number + 1
        taken.add(name)
        self.names[pb.node.name] = name

    def steps(self, groups: Iterable[Group]) -> Iterator[Step]:
        """Applies the groups in order."""
        last = infer(self.draft.graph())
        waiting: list[tuple[Group, list[Edit]]] = []
        for group in [*groups, Group("tied-embedding"), Group("wiring")]:
            edits = list(self._apply(group))
            if not edits:
                continue
            waiting.append((group, edits))
            now = self._measure()
            if now is not None:
                yield from _measured(waiting, last, now)
                last, waiting = now, []
        if waiting:  # cannot be said in the first network's terms: the second one itself
            yield from _measured(waiting, last, self._renamed())

    def _measure(self) -> Ledger | None:
        try:
            return infer(self.draft.graph())
        except NetledgerError:
            return None

    def _renamed(self) -> Ledger:
        ledger = infer(derived(self.b.ledger.graph))
        rows = [row._replace(name=self.names.get(row.name, row.name)) for row in ledger.ops]
        return replace(ledger, ops=tuple(rows))

    def _apply(self, group: Group) -> Iterator[Edit]:
        if group.kind == "tied-embedding":
            found: Iterator[Edit] = self._ties()
        elif group.kind == "wiring":
            found = self._wiring()
        else:
            found = self._edits(group)
        for edit in found:
            edit.change(self.draft)
            yield edit

    def _edits(self, group: Group) -> Iterator[Edit]:
        yield from group.edits
        for change in group.changes:
            if change.b is None and change.a is not None:
                yield Remove(change.a.node.name, change.a.node.op)
        for change in group.changes:
            if change.stays:
                for edit in change.edits:
                    kept = isinstance(edit, SetOp) and edit.recorded is not None
                    yield _without_sizes(edit) if kept else edit
        for change in sorted(group.changes, key=self._place):
            if change.a is None and change.b is not None:
                yield self._insert(change.b)

    def _place(self, change: Change) -> int:
        """Where a layer stands in the second network."""
        if not hasattr(self, "_order"):
            self._order = {name: i for i, name in enumerate(self.b.by_name)}
        return self._order[change.b.node.name] if change.b is not None else -1

    def _insert(self, part: Part) -> Insert:
        node, name = part.node, self.names[part.node.name]
        single = len(node.outputs) == 1
        outputs = (name,) if single else tuple(f"{name}:{i}" for i in range(len(node.outputs)))
        feeds = tuple(self._feeds(part))
        inputs = [v for v in map(self._resolve, node.inputs) if v is not None]
        if feeds and len(node.inputs) == 1:  # behind what the first network has there
            row, index = feeds[0]
            inputs = [self.draft.node(row).inputs[index]]
        self.values.update(zip(node.outputs, outputs, strict=True))
        if node.inputs and inputs:
            served = {value for value in self.b.ledger.graph.outputs if value in node.outputs}
            if served and single:
                self.draft.outputs.append(name)
        rank = len(part.row.input_types[0].shape) if part.row.input_types else 0
        was = self.b.maps.get(node.inputs[0]) if node.inputs else None
        if isinstance(node.op, Spatial):
            was = node.op.channels_last
        op = translate(node.op, rank, was, self.layout)
        recorded = node.recorded if node.op.unknown() else None
        return Insert(
            name,
            op,
            tuple(inputs),
            feeds if single else (),
            outputs,
            node.scope,
            node.trainable,
            counts_only(recorded) if recorded else None,
        )

    def _resolve(self, value: str) -> str | None:
        """What stands for a value of the second network now, its maker inserted or not yet."""
        while value not in self.values:
            maker = self.b.maker.get(value)
            if maker is None or not maker.node.inputs:
                return None
            value = maker.node.inputs[0]
        return self.values[value]

    def _feeds(self, part: Part) -> Iterator[tuple[str, int]]:
        """Which rows take the first output, through what is not inserted yet."""
        waiting = list(self.takers.get(part.node.outputs[0], ())) if part.node.outputs else []
        seen = set()
        while waiting:
            taker, index = waiting.pop()
            row = self.names[taker.node.name]
            if row in self.draft.nodes:
                if index < len(self.draft.nodes[row].inputs):
                    yield row, index
            elif index == 0 and row not in seen:
                seen.add(row)
                for value in taker.node.outputs:
                    waiting += self.takers.get(value, ())

    def _ties(self) -> Iterator[Edit]:
        new = {
            tuple((self.names.get(row, row), p) for row, p in group)
            for group in self.b.ledger.graph.ties
        }
        old = {tuple(group) for group in self.draft.ties}
        for tie in self.draft.ties[:]:
            if not any(set(tie) == set(other) for other in new):
                yield Untie(tie)
        for tie in sorted(new):
            if not any(set(tie) == set(other) for other in old):
                yield Tie(tie)

    def _wiring(self) -> Iterator[Edit]:
        for part in self.b.by_name.values():
            row = self.draft.nodes.get(self.names[part.node.name])
            wanted = tuple(v for v in map(self._resolve, part.node.inputs) if v is not None)
            if row is None or row.inputs == wanted:
                continue
            if isinstance(row.op, Broadcast) and sorted(row.inputs) == sorted(wanted):
                continue
            yield Rewire(row.name, wanted)


def _without_sizes(edit: Edit) -> Edit:
    assert isinstance(edit, SetOp) and edit.recorded is not None
    keep = counts_only(edit.recorded) if edit.op.unknown() else None
    return replace(edit, recorded=keep)


def _measured(waiting: list[tuple[Group, list[Edit]]], last: Ledger, now: Ledger) -> Iterator[Step]:
    """The steps of one measurement; their deltas add up to the difference of the ledgers."""
    old, new = count_rows(last), count_rows(now)
    zero = Counts()
    deltas = {n: new.get(n, zero).minus(old.get(n, zero)) for n in {**old, **new}}
    deltas = {name: delta for name, delta in deltas.items() if not delta.nothing}
    before = {row.name: row for row in last.ops}
    after = {row.name: row for row in now.ops}
    joint = len(waiting) > 1
    shares: list[dict[str, Counts]] = [{} for _ in waiting]
    owner: dict[str, int] = {}
    for at, (_, edits) in enumerate(waiting):
        for edit in edits:
            owner.setdefault(row_of(edit), at)
    for name, delta in deltas.items():
        shares[owner.get(name, 0)][name] = delta
    for (group, edits), share in zip(waiting, shares, strict=True):
        yield Step(group, tuple(edits), share, before, after, joint)


def row_of(edit: Edit) -> str:
    """The row that an edit is about."""
    if isinstance(edit, Tie | Untie):
        return edit.members[-1][0]
    return str(getattr(edit, "row", None) or getattr(edit, "name", ""))
