"""A network that is being changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netledger.errors import GraphError, UnknownName, UsageError
from netledger.graph import Graph, Node, Recorded


def derived(graph: Graph) -> Graph:
    """The network with the sizes that rules give, not those that its source recorded."""
    nodes = tuple([node if node.recorded is None else _derived(node) for node in graph.nodes])
    changed = any([node is not old for node, old in zip(nodes, graph.nodes, strict=True)])
    return replace(graph, nodes=nodes, _by_name={}) if changed else graph


def _derived(node: Node) -> Node:
    """The node itself, if its source says no more than what no rule gives."""
    assert node.recorded is not None
    kept = counts_only(node.recorded) if node.op.unknown() else None
    return node if node.recorded == kept else replace(node, recorded=kept)


def counts_only(recorded: Recorded) -> Recorded:
    """What a source says, but for the sizes of outputs."""
    return Recorded(parameters=recorded.parameters, macs=recorded.macs)


class Draft:
    """A network that is being changed."""

    def __init__(self, graph: Graph) -> None:
        self.origin = graph
        self.inputs = dict(graph.inputs)
        self.outputs = list(graph.outputs)
        self.ties = list(graph.ties)
        self.nodes = {node.name: node for node in graph.nodes}
        self._links: _Links | None = None  # most edits leave the layers where they are

    def node(self, name: str) -> Node:
        """The layer called `name`."""
        if name not in self.nodes:
            raise UnknownName("row", name, self.nodes)
        return self.nodes[name]

    def takers(self, value: str) -> Iterable[tuple[str, int]]:
        """Who takes a value, and as which of its inputs."""
        for name in list(self._linked().takers.get(value, ())):
            for index, taken in enumerate(self.nodes[name].inputs):
                if taken == value:
                    yield name, index

    def put(self, node: Node) -> None:
        """Changes a layer."""
        old = self.nodes[node.name]
        if node.inputs != old.inputs or node.outputs != old.outputs:
            self._linked().leave(old)
            self._linked().enter(node)
        self.nodes[node.name] = node

    def add(self, node: Node) -> None:
        """Adds a layer."""
        if node.name in self.nodes or node.name in self.inputs:
            raise UsageError(f"there is a row called {node.name!r} already")
        self._linked().enter(node)
        self.nodes[node.name] = node

    def feed(self, row: str, index: int, value: str) -> None:
        """Makes `value` an input of a row."""
        node = self.node(row)
        if index >= len(node.inputs):
            raise UsageError(f"{row} has no input {index}")
        taken = (*node.inputs[:index], value, *node.inputs[index + 1 :])
        self.put(replace(node, inputs=taken))

    def remove(self, row: str) -> None:
        """Takes a layer out; its first input goes where its outputs went."""
        node = self.node(row)
        for value in node.outputs:
            for taker, index in list(self.takers(value)):
                if not node.inputs:
                    self._drop(taker, value)
                    break
                self.feed(taker, index, node.inputs[0])
            if value in self.outputs:
                self.outputs = [node.inputs[0] if v == value else v for v in self.outputs]
        self._linked().leave(node)
        del self.nodes[row]
        kept = [tuple(m for m in group if m[0] != row) for group in self.ties]
        self.ties = [group for group in kept if len(group) > 1]

    def _drop(self, taker: str, value: str) -> None:
        for name in {taker, *self._linked().takers.get(value, ())}:
            node = self.nodes[name]
            self.put(replace(node, inputs=tuple(v for v in node.inputs if v != value)))

    def graph(self) -> Graph:
        """The network as it is now, its layers in an order in which they can run."""
        nodes = tuple(self.nodes.values()) if self._links is None else self._ordered(self._links)
        made = {*self.inputs, *(value for node in nodes for value in node.outputs)}
        return replace(
            self.origin,
            inputs=dict(self.inputs),
            nodes=nodes,
            outputs=tuple(v for v in self.outputs if v in made),
            ties=tuple(self.ties),
            _by_name={},
        )

    def _linked(self) -> _Links:
        if self._links is None:
            self._links = _Links(self.nodes.values())
        return self._links

    def _ordered(self, links: _Links) -> tuple[Node, ...]:
        done: dict[str, Node] = {}
        for name in self.nodes:
            waiting, open_rows = [name], set()
            while waiting:
                top = waiting[-1]
                if top in done:
                    waiting.pop()
                    continue
                makers = [links.maker[v] for v in self.nodes[top].inputs if v in links.maker]
                missing = [maker for maker in makers if maker not in done]
                if not missing:
                    done[top] = self.nodes[waiting.pop()]
                elif top in open_rows:
                    raise GraphError("feeds itself", where=top)
                else:
                    open_rows.add(top)
                    waiting += missing
        return tuple(done.values())


class _Links:
    """Who takes a value, and who makes it."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.takers: dict[str, dict[str, None]] = {}
        self.maker: dict[str, str] = {}
        for node in nodes:
            self.enter(node)

    def enter(self, node: Node) -> None:
        """Notes a layer."""
        for value in node.inputs:
            self.takers.setdefault(value, {})[node.name] = None
        for value in node.outputs:
            self.maker[value] = node.name

    def leave(self, node: Node) -> None:
        """Forgets a layer."""
        for value in node.inputs:
            self.takers.get(value, {}).pop(node.name, None)
        for value in node.outputs:
            self.maker.pop(value, None)
