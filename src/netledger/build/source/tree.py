"""The module tree of a graph: nodes by scope, every module called once, in an order that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from netledger.build.source.names import Taken, identifier
from netledger.graph import Graph, Node
from netledger.ledger import Ledger, Row


@dataclass
class Leaf:
    """A node, as a child of a module.

    Attributes:
        name: What it is called within its module; an identifier, or a number.
        key: What it is called there in the graph.
        row: Its row in the ledger of the framework's axis order.
        node: The node.
    """

    name: str
    row: Row
    node: Node
    key: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it takes."""
        return self.node.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """The values that it makes."""
        return self.node.outputs


@dataclass
class Block:
    """A module: its children in order, what it takes from outside and what it gives back.

    `numbered` children are called 0, 1, 2 … and feed one another.
    """

    name: str
    children: list[Leaf | Block] = field(default_factory=list)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scope: str = ""
    numbered: bool = False
    key: str = ""

    @property
    def chain(self) -> bool:
        """True if every child feeds the next, and only that."""
        value = self.inputs
        for child in self.children:
            if len(value) != 1 or child.inputs != value:
                return False
            value = child.outputs
        return len(value) == 1 and value == self.outputs and not self._seen_inside()

    def _seen_inside(self) -> bool:
        return any(v in self.outputs for child in self.children[:-1] for v in child.outputs)

    def leaves(self) -> Iterator[Leaf]:
        """Every node in it."""
        for child in self.children:
            if isinstance(child, Block):
                yield from child.leaves()
            else:
                yield child

    def paths(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """For each node its name and its path of attributes."""
        for child in self.children:
            path = f"{prefix}{child.name}"
            if isinstance(child, Block):
                yield from child.paths(f"{path}.")
            else:
                yield child.node.name, path


def tree(
    graph: Graph,
    ledger: Ledger,
    modular: Callable[[Leaf | Block], bool],
    reserved: Iterable[str] = (),
) -> Block:
    """The module tree of a graph.

    Args:
        graph: The network, in the framework's axis order.
        ledger: Its ledger.
        modular: Says of a child whether it can be called like a module.
        reserved: Names that no child may have.
    """
    rows = {row.name: row for row in ledger.ops}
    takers: dict[str, list[str]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            takers.setdefault(value, []).append(node.name)
    return _Grower(graph, rows, takers, modular, frozenset(reserved)).grow()


Groups = dict[str, list[Node]]

DEEPEST = 20
"""How many levels of modules are kept."""


class _Grower:
    def __init__(
        self,
        graph: Graph,
        rows: dict[str, Row],
        takers: dict[str, list[str]],
        modular: Callable[[Leaf | Block], bool],
        reserved: frozenset[str],
    ) -> None:
        self.graph, self.rows, self.takers = graph, rows, takers
        self.modular, self.reserved = modular, reserved

    def grow(self) -> Block:
        """The root."""
        root = self._block("", "", list(self.graph.nodes))
        root.inputs, root.outputs = tuple(self.graph.inputs), self.graph.outputs
        return root

    def _block(self, name: str, scope: str, nodes: list[Node]) -> Block:
        order = self._ordered(nodes, scope, dissolved=set())
        block = Block(name, scope=scope)
        taken = Taken(self.reserved)
        for key, members in order:
            # What the module does itself may have the module's own name.
            local = taken.make(identifier(members[0].op.key if key == scope else key))
            path = f"{scope}.{key}" if scope else key
            if len(members) == 1:
                node = members[0]
                block.children.append(Leaf(local, self.rows[node.name], node, key))
            else:
                inner = self._block(local, path, members)
                inner.key = key
                block.children.append(inner)
        self._wire(block, nodes)
        self._number(block, [key for key, _ in order])
        return block

    def _number(self, block: Block, keys: list[str]) -> None:
        """Children that are called 0, 1, 2 … and make a chain keep their numbers."""
        if not block.scope or not block.chain or len(keys) < 2:
            return
        if keys == [str(i) for i in range(len(keys))] and all(map(self.modular, block.children)):
            block.numbered = True
            for i, child in enumerate(block.children):
                child.name = str(i)

    def _wire(self, block: Block, nodes: list[Node]) -> None:
        made = {v for node in nodes for v in node.outputs}
        names = {node.name for node in nodes}
        taken = [v for node in nodes for v in node.inputs if v not in made]
        block.inputs = tuple(dict.fromkeys(taken))
        block.outputs = tuple(
            v
            for node in nodes
            for v in node.outputs
            if v in self.graph.outputs or any(t not in names for t in self.takers.get(v, ()))
        )

    def _ordered(
        self, nodes: list[Node], scope: str, dissolved: set[str]
    ) -> list[tuple[str, list[Node]]]:
        """The children of a module, in an order that runs; what does not stay whole is dissolved.

        A child is known by its place below `scope`, and holds one node or more.
        """
        groups: Groups = {}
        for node in nodes:
            groups.setdefault(self._key(node, scope, dissolved), []).append(node)
        maker = {v: key for key, members in groups.items() for n in members for v in n.outputs}
        needs = {
            key: {maker[v] for n in members for v in n.inputs if v in maker} - {key}
            for key, members in groups.items()
        }
        done: dict[str, None] = {}
        while len(done) < len(groups):
            ready = next((k for k in groups if k not in done and needs[k] <= done.keys()), None)
            if ready is None:
                stuck = {k for k in groups if k not in done and len(groups[k]) > 1}
                return self._ordered(nodes, scope, dissolved | stuck)
            done[ready] = None
        return [(key, groups[key]) for key in done]

    def _key(self, node: Node, scope: str, dissolved: set[str]) -> str:
        """The child below `scope` that a node belongs to: a module, or itself."""
        below = _below(_tidy(node.scope), scope)
        own = _below(_tidy(node.name), scope) or node.name
        if not below:
            return own
        first = below.split(".")[0]
        return own if first in dissolved else first


def _tidy(path: str) -> str:
    """A path without empty parts, and not too deep: what lies deeper is one part."""
    parts = [part for part in path.split(".") if part]
    deeper = ["_".join(parts[DEEPEST:])] if parts[DEEPEST:] else []
    return ".".join([*parts[:DEEPEST], *deeper])


def _below(path: str, scope: str) -> str:
    """The part of a path below a module."""
    if not scope:
        return path
    return path[len(scope) + 1 :] if path.startswith(f"{scope}.") else ""
