"""The statements of a forward pass: which variable holds which value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from netledger.build.source.gathers import growing
from netledger.build.source.names import Taken, identifier
from netledger.build.source.tree import Block, Leaf


@dataclass(frozen=True)
class Step:
    """A child, by its place, is called: its inputs and outputs as variables."""

    child: Leaf | Block
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    place: int


@dataclass(frozen=True)
class Growing:
    """Children that are called in a row on a list, which grows by what each of them makes."""

    children: tuple[Leaf | Block, ...]
    inputs: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Forward:
    """A forward pass: its arguments, its steps, what it returns.

    Attributes:
        arguments: Their names; that of a list begins with ``*``.
        grown: The first steps, where they make a list grow.
        steps: The other steps, in order.
        returned: The names of what it returns.
    """

    arguments: tuple[str, ...]
    steps: tuple[Step, ...]
    returned: tuple[str, ...]
    grown: Growing | None = None


def forward(block: Block, reserved: tuple[str, ...] = (), gathers: Collection[int] = ()) -> Forward:
    """The forward pass of a module; `gathers` are those that take a list.

    A value takes over the variable of an input that nothing needs any more, so a chain is one
    variable throughout; what is needed later has a name of its own.
    """
    last: dict[str, int] = {}
    for at, child in enumerate(block.children):
        last.update(dict.fromkeys(child.inputs, at))
    last.update(dict.fromkeys(block.outputs, len(block.children)))
    single = len(block.inputs) == 1
    names = Taken(("self", *reserved))
    held = {v: names.make("x") if single else names.make(identifier(v, "x")) for v in block.inputs}
    arguments = tuple(held[v] for v in block.inputs)
    lists: dict[tuple[str, ...], str] = {}
    if id(block) in gathers:
        arguments = (f"*{Taken(('self', *reserved)).make('features')}",)
        lists[block.inputs] = arguments[0]
    begun = growing(block, gathers)
    grown = None
    if begun:
        row = tuple(block.children[:begun])
        grown = Growing(row, tuple(held[v] for v in row[0].inputs), names.make("features"))
        lists[(*row[-1].inputs, *row[-1].outputs)] = f"*{grown.name}"
    steps: list[Step] = []
    for at, child in enumerate(block.children):
        if at < begun:
            continue
        if not child.inputs and last.keys().isdisjoint(child.outputs):
            continue  # stored, and never used
        spare: list[str] = []
        inputs: tuple[str, ...] = (lists.get(child.inputs, ""),)
        if not inputs[0]:
            inputs = tuple(held[v] for v in child.inputs)
            dead = [v for v in dict.fromkeys(child.inputs) if last[v] == at]
            spare = [held.pop(v) for v in dead]
        outputs = tuple(_named(block, child, v, at, last, spare, names) for v in child.outputs)
        held.update(zip(child.outputs, outputs, strict=True))
        steps.append(Step(child, inputs, outputs, at))
    return Forward(arguments, tuple(steps), tuple(held[v] for v in block.outputs), grown)


def _named(
    block: Block,
    child: Leaf | Block,
    value: str,
    at: int,
    last: dict[str, int],
    spare: list[str],
    names: Taken,
) -> str:
    if value not in last:
        return "_"
    if spare:
        return spare.pop(0)
    waits = last[value] > at + 1
    own = child.name if not child.name.isdigit() else f"{block.name}_{child.name}"
    return names.make(own if waits else "y")
