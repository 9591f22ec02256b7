"""Networks with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netledger import Graph
from netledger.builder import Network
from netledger.check import check
from netledger.ops import Op


@pytest.fixture(scope="session")
def chain() -> Callable[..., Graph]:
    """``chain((32, 32, 3), Conv(8, 3), …)``: layers one after the other."""

    def build(shape: tuple[int, ...], *ops: Op, dtype: str = "float32") -> Graph:
        net = Network("chain", shape, dtype=dtype)
        net.chain(*ops)
        return net.graph()

    return build


@pytest.fixture(scope="session")
def found() -> Callable[..., list[str]]:
    """``found(graph, "NL102")``: the findings of that rule, as ``row level message``."""

    def tell(graph: Graph, code: str) -> list[str]:
        return [f"{f.row} {f.level} {f.message}" for f in check(graph, select=[code])]

    return tell
