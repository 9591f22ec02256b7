"""Edits: small values that say how one network becomes another.

>>> from netledger import zoo
>>> from netledger.infer import infer
>>> grouped = apply(zoo.load("alexnet"), *(SetField(f"Conv-{n}", "groups", 2) for n in (2, 4, 5)))
>>> infer(grouped).totals.params
60965224
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from netledger.edits.draft import Draft, derived
from netledger.edits.kinds import FIELD_KINDS, has_weights, kind_of
from netledger.errors import UnknownName
from netledger.graph import Graph, Node, Recorded, TensorType
from netledger.ops.base import Op, show_shape, show_value


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a network."""

    kind: ClassVar[str]

    def describe(self) -> str:
        """One line for people."""
        raise NotImplementedError

    def change(self, draft: Draft) -> None:
        """Makes the change."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SetField(Edit):
    """A hyperparameter of a layer gets another value."""

    row: str
    field: str
    value: Any

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What a change like this is called."""
        return FIELD_KINDS.get(self.field, "operation")

    def describe(self) -> str:
        return f"{self.row}: {self.field.replace('_', ' ')} {show_value(self.value)}"

    def change(self, draft: Draft) -> None:
        node = draft.node(self.row)
        if self.field not in node.op.rules:
            raise UnknownName(f"field of {node.op.kind}", self.field, node.op.rules)
        op = node.op.with_field(self.field, self.value)
        draft.put(replace(node, op=op))


@dataclass(frozen=True, slots=True)
class SetOp(Edit):
    """A layer does something else."""

    row: str
    op: Op
    recorded: Recorded | None = None

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What a change like this is called."""
        return kind_of(self.op)

    def describe(self) -> str:
        return f"{self.row}: {self.op.kind}"

    def change(self, draft: Draft) -> None:
        draft.put(replace(draft.node(self.row), op=self.op, recorded=self.recorded))


@dataclass(frozen=True, slots=True)
class SetInput(Edit):
    """An input has another type; one that does not exist yet is added."""

    kind = "input-size"
    name: str
    type: TensorType

    def describe(self) -> str:
        return f"{self.name}: {show_shape(self.type.shape)}"

    def change(self, draft: Draft) -> None:
        draft.inputs[self.name] = self.type


@dataclass(frozen=True, slots=True)
class Insert(Edit):
    """A new layer.

    Attributes:
        name: What it is called.
        op: What it does.
        inputs: The values that it takes.
        feeds: Where its (first) output goes: pairs of a row and the number of that row's input.
            None: to whatever took its first input.
        outputs: Names of the values it makes; by default one, its own name.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    feeds: tuple[tuple[str, int], ...] | None = None
    outputs: tuple[str, ...] = ()
    scope: str = ""
    trainable: bool = True
    recorded: Recorded | None = None

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What a change like this is called."""
        return kind_of(self.op)

    def describe(self) -> str:
        after = f" after {self.inputs[0]}" if self.inputs else ""
        return f"{self.name} ({self.op.kind}) inserted{after}"

    def change(self, draft: Draft) -> None:
        feeds = self.feeds
        if feeds is None:
            feeds = tuple(draft.takers(self.inputs[0])) if self.inputs else ()
        node = Node(
            self.name,
            self.op,
            self.inputs,
            self.outputs,
            self.scope,
            trainable=self.trainable,
            recorded=self.recorded,
        )
        draft.add(node)
        if self.feeds is None and self.inputs:
            draft.outputs = [self.name if v == self.inputs[0] else v for v in draft.outputs]
        for row, index in feeds:
            draft.feed(row, index, node.outputs[0])


@dataclass(frozen=True, slots=True)
class Remove(Edit):
    """A layer goes; what took its output takes its first input."""

    row: str
    was: Op | None = None

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What a change like this is called."""
        return "depth" if self.was is None else kind_of(self.was)

    def describe(self) -> str:
        return f"{self.row} removed"

    def change(self, draft: Draft) -> None:
        draft.remove(self.row)


@dataclass(frozen=True, slots=True)
class Rewire(Edit):
    """A layer takes other values."""

    kind = "wiring"
    row: str
    inputs: tuple[str, ...]

    def describe(self) -> str:
        return f"{self.row} takes {', '.join(self.inputs)}"

    def change(self, draft: Draft) -> None:
        draft.put(replace(draft.node(self.row), inputs=self.inputs))


@dataclass(frozen=True, slots=True)
class SetTrainable(Edit):
    """The parameters of a layer are trained, or frozen."""

    kind = "frozen"
    row: str
    trainable: bool

    def describe(self) -> str:
        return f"{self.row}: {'trained' if self.trainable else 'frozen'}"

    def change(self, draft: Draft) -> None:
        draft.put(replace(draft.node(self.row), trainable=self.trainable))


@dataclass(frozen=True, slots=True)
class Tie(Edit):
    """Parameters, as ``(row, parameter)``, become one and the same storage."""

    kind = "tied-embedding"
    members: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return " is ".join(".".join(member) for member in self.members)

    def change(self, draft: Draft) -> None:
        draft.ties.append(self.members)


@dataclass(frozen=True, slots=True)
class Untie(Edit):
    """Parameters that were one and the same storage become storages of their own."""

    kind = "tied-embedding"
    members: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return f"{' and '.join('.'.join(member) for member in self.members)} are not shared"

    def change(self, draft: Draft) -> None:
        gone = set(self.members)
        kept = [tuple(m for m in group if m not in gone) for group in draft.ties]
        draft.ties = [group for group in kept if len(group) > 1]


def apply(graph: Graph, *edits: Edit) -> Graph:
    """The network after `edits`, one after the other; all of its sizes are those that rules give.

    Raises:
        NetledgerError: If an edit names what does not exist, or the result is no network.
    """
    draft = Draft(derived(graph) if edits else graph)
    for edit in edits:
        edit.change(draft)
    return draft.graph()


__all__ = [
    "FIELD_KINDS",
    "Draft",
    "Edit",
    "Insert",
    "Remove",
    "Rewire",
    "SetField",
    "SetInput",
    "SetOp",
    "SetTrainable",
    "Tie",
    "Untie",
    "apply",
    "has_weights",
    "kind_of",
]
