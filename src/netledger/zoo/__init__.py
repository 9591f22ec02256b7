"""Well-known networks, written with the public builder."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from netledger.graph import Graph


class Entry(NamedTuple):
    """A network of the zoo.

    Attributes:
        year: Of the publication.
        story: One line: which paper, which variant, why its count differs from its neighbours'.
        module: The module of this package that builds it.
        function: The function of that module; it returns a `Graph`.
        arguments: What the function is called with.
    """

    year: int
    story: str
    module: str
    function: str
    arguments: tuple[object, ...] = ()


NETWORKS: Mapping[str, Entry] = {
    "alexnet": Entry(
        2012,
        "one tower, no groups, 227×227: the network of blogs and answers",
        "alexnet",
        "alexnet",
    ),
}


def load(name: str) -> Graph:
    """The graph of a network of the zoo, by name."""
    entry = NETWORKS[name]
    module = importlib.import_module(f"netledger.zoo.{entry.module}")
    graph: Graph = getattr(module, entry.function)(*entry.arguments)
    return replace(graph, name=name, source="zoo", reader="zoo", _by_name={})
