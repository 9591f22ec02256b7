"""Values while a graph is made: computed ones, and views of stored ones."""

from __future__ import annotations

from typing import NamedTuple

from netledger.graph import Shape
from netledger.ops import Op


class Leaf(NamedTuple):
    """A stored tensor of the model.

    Attributes:
        path: Its path: ``layers.0.kernel``.
        role: ``weight`` for what is learned, ``buffer`` for what is not.
        shape: Its dimensions.
        dtype: Its dtype.
    """

    path: str
    role: str
    shape: tuple[int, ...]
    dtype: str


class Value(NamedTuple):
    """What a variable of the trace is.

    Attributes:
        shape: Its dimensions.
        dtype: Its dtype.
        name: The value of the graph, if it is computed.
        stored: The leaf that it is a view of, if it is stored.
        axes: For a view, the axis of the leaf that each of its axes is, None for one of size 1 or
            one that is repeated; None as a whole if axes were joined or cut.
        chain: The operations that make the view of the leaf.
        scalar: True for a number without axes that is written into the program.
    """

    shape: Shape
    dtype: str
    name: str = ""
    stored: str = ""
    axes: tuple[int | None, ...] | None = None
    chain: tuple[Op, ...] = ()
    scalar: bool = False

    @property
    def constant(self) -> bool:
        """True for numbers that are neither computed from an input nor stored."""
        return not self.name and not self.stored
