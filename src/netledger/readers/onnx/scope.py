"""The values that a graph, a branch or a function sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from netledger.errors import GraphError
from netledger.readers.onnx import model
from netledger.readers.onnx.values import Value


def names(graph: model.Graph) -> Iterator[str]:
    """The names that a subgraph takes, its own among them."""
    yield from taken(graph.nodes)
    for value in graph.outputs:
        yield value.name


def taken(nodes: Sequence[model.Node]) -> Iterator[str]:
    """The names that nodes take, those that their subgraphs take too."""
    for node in nodes:
        yield from node.inputs
        for attribute in node.attributes:
            if attribute.g is not None:
                yield from names(attribute.g)
            for graph in attribute.graphs:
                yield from names(graph)


class Scope:
    """The values that a graph, a branch or a function sees, and how often each is used.

    Attributes:
        values: By name; those of an enclosing graph are seen through `outer`.
        uses: How often each name is used here, branches included.
        path: Where a function was called, for unique names.
        attributes: The attributes of the call, which a function's nodes may refer to.
    """

    def __init__(
        self,
        nodes: Sequence[model.Node],
        outputs: Sequence[str],
        outer: Scope | None = None,
    ) -> None:
        self.values: dict[str, Value] = {}
        self.outer = outer
        self.uses = Counter(chain(outputs, taken(nodes)))
        self.path: str = outer.path if outer else ""
        self.attributes: dict[str, model.Attribute] = outer.attributes if outer else {}
        self.opsets: dict[str, int] = outer.opsets if outer else {}

    def find(self, name: str) -> Value | None:
        """The value called `name`."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None

    def bind(self, name: str, value: Value, where: str) -> None:
        """Makes `value` known as `name`.

        Raises:
            GraphError: If there is another value of that name.
        """
        if name in self.values:
            raise GraphError(f"the value {name!r} is made twice", where=where)
        self.values[name] = value
