"""How a network of the zoo is initialised, where its paper says so."""

from __future__ import annotations

from netledger import zoo
from netledger.graph import Graph
from netledger.zoo import Published


def published(graph: Graph) -> Published | None:
    """The published initialisation of a network of the zoo, if it still has all of its layers."""
    entry = zoo.NETWORKS.get(graph.name) if graph.reader == "zoo" else None
    if entry is None or entry.initialisation is None:
        return None
    names = {node.name for node in graph.nodes}
    return entry.initialisation if names.issuperset(entry.initialisation.ones) else None


__all__ = ["Published", "published"]
