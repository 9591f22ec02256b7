"""What a run in a framework takes and gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from netledger.build.source.natural import Natural
from netledger.graph import Graph, Shape, TensorType

Watch = Callable[[str, int, int], None]
"""Told how far a run is: what it does, how many rows are seen, how many there are."""


def ignore(what: str, done: int, of: int) -> None:
    """Watches nothing."""


@dataclass
class Case:
    """What is to be run.

    Attributes:
        graph: The network.
        batch: How many samples at once.
        watch: Is told how far it is.
    """

    graph: Graph
    batch: int
    watch: Watch = ignore

    def inputs(self, net: Natural) -> list[Any]:
        """Arrays for the inputs, in the framework's axis order: noise, or zeros for integers."""
        import numpy as np

        generator = np.random.default_rng(0)
        found = []
        for t in net.graph.inputs.values():
            shape = sized(t.shape, self.batch)
            if "float" in t.dtype:
                found.append(generator.standard_normal(shape, np.float32).astype(t.dtype))
            else:
                found.append(np.zeros(shape, t.dtype))
        return found


def sized(shape: Shape, batch: int) -> tuple[int, ...]:
    """A shape with a number for the batch."""
    return tuple(d if isinstance(d, int) else batch for d in shape)


@dataclass
class Observed:
    """What a framework did.

    Attributes:
        net: The network in the framework's axis order.
        framework: Name and version.
        types: What was made, by the name of the value.
        parameters: Numbers in the parameters of each row.
        buffers: Numbers in its buffers.
        unseen: Rows that could not be looked at by themselves, and why.
        totals: Of the whole: ``parameters``, ``trainable``, ``buffers``, ``gradients``, ``macs``.
        whys: Why a total need not be the predicted one, or is not there.
        saved_bytes: What was kept for the backward pass.
        seconds: How long the parts took.
        notes: What was not done, and why.
    """

    net: Natural
    framework: str
    types: dict[str, TensorType] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    buffers: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    whys: dict[str, str] = field(default_factory=dict)
    saved_bytes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Measures how long something takes."""
        start = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - start

    def saw(self, value: str, array: Any) -> None:
        """Notes what a value is."""
        dtype = str(array.dtype).removeprefix("torch.")
        self.types[value] = TensorType(tuple(int(d) for d in array.shape), dtype)


__all__ = ["Case", "Observed", "Watch", "ignore", "sized"]
