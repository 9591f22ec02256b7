"""Repeated modules: those of one structure are one class, what varies are its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netledger.build.source.expression import Arg, Call, Raw, flat
from netledger.build.source.gathers import joined_by
from netledger.build.source.names import Taken, class_name, identifier
from netledger.build.source.tree import Block, Leaf
from netledger.ops import Add, Concat


class Column(NamedTuple):
    """The values that an argument has in the members of a kind."""

    what: str
    values: tuple[Any, ...]


Columns = dict[Column, str]
"""What each column that varies is called as a parameter."""


@dataclass(frozen=True)
class Written:
    """How an operation is written in a framework.

    Attributes:
        module: The constructor of a layer, if there is one.
        inline: The expression for inputs of these names; a layer is called where it has none.
        targets: How the outputs are unpacked, ``{0}, ({1}, {2})``; by default by commas.
        given: What a layer is called with for inputs of these names; by default with those.
    """

    module: Call | None = None
    inline: Callable[[tuple[str, ...]], Any] | None = None
    targets: str = ""
    given: Callable[[tuple[str, ...]], tuple[Arg, ...]] | None = None

    @property
    def chains(self) -> bool:
        """True for a layer that takes one tensor and makes one, as in a list of layers."""
        return self.module is not None and not self.targets and self.given is None

    def arguments(self, inputs: tuple[str, ...]) -> tuple[Arg, ...]:
        """What the layer is called with."""
        if self.given is not None:
            return self.given(inputs)
        return tuple(Arg("", Raw(name)) for name in inputs)


@dataclass
class Kind:
    """A class of modules.

    Attributes:
        name: What it is called, in capitals.
        members: The modules of this structure.
        parameters: What varies between them.
        calls: For each child, by name, how it is made; what varies is a parameter.
    """

    name: str
    members: list[Block]
    parameters: list[Arg] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)

    @property
    def block(self) -> Block:
        """The first of its members, which has the structure of all."""
        return self.members[0]

    @property
    def single(self) -> bool:
        """True if there is one such module, whose sizes can be told."""
        return len(self.members) == 1


class Kinds:
    """The kinds of a module tree, innermost first; the last is the root's.

    Args:
        root: The tree.
        written: How each node is written.
        sequence: What makes a chain of numbered children: ``nn.Sequential``.
        last: Whether channels are last.
        taken: Names that no class may have.
        passed: What every class gets besides its own parameters, ``rngs=rngs``.
        spread: Whether a module that occurs once is written where it stands, and needs no name.
    """

    def __init__(
        self,
        root: Block,
        written: dict[str, Written],
        sequence: str,
        last: bool,
        taken: tuple[str, ...] = (),
        passed: tuple[Arg, ...] = (),
        *,
        spread: bool = False,
    ) -> None:
        self.written, self.sequence, self.last = written, sequence, last
        self.passed, self.spread = passed, spread
        self.calls: dict[int, Call] = {}
        self.kind_of: dict[int, Kind] = {}
        self.gathers: set[int] = set()
        """The modules, by their id, that take a list of tensors."""
        self.found: list[Kind] = []
        self._taken = Taken(taken)
        self._root = root
        levels: dict[int, list[Block]] = {}
        for block, height in _heights(root):
            levels.setdefault(height, []).append(block)
        for height in sorted(levels):
            self._level(levels[height])

    def call(self, child: Leaf | Block) -> Call | None:
        """How a child is made; None if it needs no making."""
        if isinstance(child, Block):
            return self.calls[id(child)]
        return self.written[child.node.name].module

    def _level(self, blocks: list[Block]) -> None:
        alike: dict[Any, list[Block]] = {}
        for block in blocks:
            if block.numbered:
                parts = (self.call(child) for child in block.children)
                self.calls[id(block)] = Call(self.sequence, tuple(Arg("", part) for part in parts))
            else:
                alike.setdefault(self._structure(block), []).append(block)
        for members in alike.values():
            self._enter(members)

    def _enter(self, members: list[Block]) -> None:
        if len({len(member.inputs) for member in members}) > 1:
            self.gathers.update(map(id, members))
        kind = Kind(self._named(members), members)
        for member in members:
            self.kind_of[id(member)] = kind
        self.found.append(kind)
        varying: dict[Column, Arg] = {}
        for column, _, arg in self._columns(members):
            if _varies(column):
                varying.setdefault(column, arg)
        required_first = sorted(varying, key=lambda column: varying[column].default is not ...)
        columns: Columns = dict.fromkeys(required_first, "")
        kind.parameters = [varying[column] for column in required_first]
        self._name_parameters(kind, columns)
        for place, child in enumerate(kind.block.children):
            made = [self.call(member.children[place]) for member in members]
            if made[0] is not None:
                kind.calls[child.name] = _unified([c for c in made if c is not None], columns)
        for i, member in enumerate(members):
            args = tuple(
                Arg(p.name, column.values[i], p.default is not ..., p.default)
                for p, column in zip(kind.parameters, columns, strict=True)
            )
            self.calls[id(member)] = Call(kind.name, (*args, *self.passed))

    def _columns(self, members: list[Block]) -> Iterator[tuple[Column, str, Arg]]:
        """For every literal of the children: its value in each member, the child, the argument."""
        for place, child in enumerate(members[0].children):
            calls = [self.call(member.children[place]) for member in members]
            slots = [list(call.slots()) for call in calls if call is not None]
            for args in zip(*slots, strict=True):
                yield _column(args), child.name, args[0]

    def _name_parameters(self, kind: Kind, columns: Columns) -> None:
        places: dict[Column, str] = {}
        for column, child, _ in self._columns(kind.members):
            places.setdefault(column, child)
        ends = {
            "in": tuple(self._width(m, m.inputs) for m in kind.members),
            "out": tuple(self._width(m, m.outputs) for m in kind.members),
        }
        bases = [p.name for p in kind.parameters]
        taken = Taken(("self", "x", "name", "rngs"))
        for i, (column, p) in enumerate(zip(columns, kind.parameters, strict=True)):
            base = p.name or "value"
            side, _, what = base.partition("_")
            own = f"{identifier(places[column], 'part')}_"
            if column.values == ends["in"] and what in ("channels", "features"):
                name = f"in_{what}"
            elif column.values == ends["out"] and what in ("channels", "features"):
                name = f"out_{what}"
            elif column.values == ends["out"] and base in ("filters", "units"):
                name = base
            elif base in ("filters", "units"):
                name = f"{own}{base}"
            elif side in ("in", "out") or base == "num_features":
                name = f"{own}{what}"
            else:
                name = base if bases.count(base) == 1 else f"{own}{base}"
            columns[column] = taken.make(name)
            kind.parameters[i] = Arg(columns[column], None, p.keyword, p.default)

    def _width(self, block: Block, values: tuple[str, ...]) -> Any:
        """The channels of a value that a block takes or gives; of a list, all of them."""
        joint = joined_by(block) if id(block) in self.gathers else None
        if joint is not None and values == block.inputs:
            values = joint.outputs
        if len(values) != 1:
            return None
        for leaf in block.leaves():
            for names, types in (
                (leaf.row.inputs, leaf.row.input_types),
                (leaf.row.made, leaf.row.outputs),
            ):
                for name, t in zip(names, types, strict=True):
                    if name == values[0]:
                        return t.shape[-1 if self.last or len(t.shape) < 3 else 1]
        return None

    def _structure(self, block: Block) -> Any:
        """What blocks must have in common to be of one class: everything but numbers.

        How many tensors a list has that is joined is such a number.
        """
        joint = None if self.spread else joined_by(block)
        local = {v: ("in", 0 if joint else i) for i, v in enumerate(block.inputs)}
        parts: list[Any] = []
        for at, child in enumerate(block.children):
            taken = child.inputs[:1] if child is joint else child.inputs
            shape = self._shape(child, len(taken))
            parts.append((child.name, shape, tuple(local[v] for v in taken)))
            local.update({v: (at, i) for i, v in enumerate(child.outputs)})  # type: ignore[misc]
        root = block is self._root
        return tuple(parts), tuple(local[v] for v in block.outputs), root

    def _shape(self, child: Leaf | Block, inputs: int) -> Any:
        call = self.call(child)
        skeleton = call.skeleton if call is not None else None
        if isinstance(child, Block):
            return skeleton, id(self.kind_of.get(id(child)))
        written = self.written[child.node.name]
        letters = tuple(f"v{i}" for i in range(inputs))
        inline = flat(written.inline(letters)) if written.inline else ""
        return skeleton, inline, written.targets

    def _named(self, members: list[Block]) -> str:
        """A name that no other class has; it tells what a variant has that the first has not."""
        name = self._name(members)
        if self.spread and len(members) == 1 and members[0] is not self._root:
            return name
        first = next((k for k in self.found if k.name == name), None)
        if first is not None:
            known = {_word(child) for child in first.block.children}
            modules_first = sorted(members[0].children, key=lambda c: isinstance(c, Leaf))
            extra = (word for c in modules_first if (word := _word(c)) not in known)
            name += class_name(next(extra, ""), "")
        return self._taken.make(name, "")

    def _name(self, members: list[Block]) -> str:
        """What a person would call a class of such modules."""
        block = members[0]
        if block is self._root:
            return class_name(block.name)
        shared = _shared([m.scope.rpartition(".")[2] for m in members])
        ops = [leaf.row.op for leaf in block.leaves()]
        kinds = [child.row.kind for child in block.children if isinstance(child, Leaf)]
        if any(isinstance(op, Add) for op in ops) and len(block.inputs) == 1 and not block.chain:
            convolutions = kinds.count("Conv")
            return "Bottleneck" if convolutions == 3 else "Residual"
        if len(kinds) == len(block.children) <= 3 and block.chain:
            return "".join(class_name(kind) for kind in kinds)
        if shared:
            return class_name(shared)
        return "Inception" if any(isinstance(op, Concat) for op in ops) else "Block"


def _heights(root: Block) -> Iterator[tuple[Block, int]]:
    """Every module of the tree, and how many levels are below it; in the order of the network."""

    def height(block: Block) -> int:
        inner = [height(c) for c in block.children if isinstance(c, Block)]
        return 1 + max(inner, default=0)

    for child in root.children:
        if isinstance(child, Block):
            yield from _heights(child)
    yield root, height(root)


def _word(child: Leaf | Block) -> str:
    """What tells a child: a module its name without a number, a layer its operation."""
    return child.name.rstrip("0123456789_") if isinstance(child, Block) else child.row.kind


def _unified(calls: list[Call], columns: Columns) -> Call:
    """The call of all members: what varies is the name of a parameter."""
    slots = zip(*(call.slots() for call in calls), strict=True)
    found = iter([_column(args) for args in slots])

    def change(arg: Arg) -> Any:
        column = next(found)
        return Raw(columns[column]) if _varies(column) else arg.value

    return calls[0].map(change)


def _column(args: tuple[Arg, ...]) -> Column:
    """The values of an argument in all members; widths of all kinds are one kind of argument."""
    name = args[0].name
    width = name.endswith(("channels", "features", "filters", "units"))
    return Column("width" if width else name, tuple(arg.value for arg in args))


def _varies(column: Column) -> bool:
    return len({(type(value), value) for value in column.values}) > 1


def _shared(names: list[str]) -> str:
    """The word that all names begin with: ``inception`` of 3a, 3b, 4a."""
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    size = next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))
    return first[:size].rstrip("0123456789_-.")
