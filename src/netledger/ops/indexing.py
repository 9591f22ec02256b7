"""Operations that choose numbers by index, put them elsewhere, or repeat them."""

from __future__ import annotations

from typing import Any

from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import Shape, show_dim
from netledger.ops.base import (
    Op,
    Spatial,
    axis,
    check_axes,
    distinct_axes,
    each_axis,
    need_rank,
    operation,
    show_shape,
)
from netledger.ops.fields import choice, flag, integer, integers, per_axis
from netledger.ops.pointwise import broadcast
from netledger.ops.window import check_window, slide


@operation
class Arrange(Op):
    """The same shape; numbers move, add up or are left out along the axes: roll, flip, sort."""

    folds = True
    function: str = choice(
        "what is done",
        ("roll", "flip", "sort", "argsort", "cumsum", "cumprod", "cummax", "triu", "tril"),
        default="roll",
    )

    def window(self, *inputs: Shape) -> None:
        return None

    def dtype(self, *inputs: str) -> str:
        return "int64" if self.function == "argsort" else inputs[0]

    def describe(self, *inputs: Shape) -> str:
        return self.function


@operation
class Index(Op):
    """Entries chosen by tensors of indices, one for each indexed axis, as NumPy's ``x[i, :, j]``.

    The axes of the indices stand where the first indexed axis was; in front, if the indexed axes
    are not neighbours.
    """

    arity = (2, None)
    over: Any = integers("the axes that are indexed", default=0)

    def check(self, *inputs: Shape) -> None:
        over = distinct_axes(self.over, len(inputs[0]))
        if len(over) != len(inputs) - 1:
            raise ShapeError(f"{len(inputs) - 1} tensors of indices for {len(over)} axes")
        broadcast(*inputs[1:])

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        over = distinct_axes(self.over, len(x))
        chosen = broadcast(*inputs[1:])
        kept = [d for i, d in enumerate(x) if i not in over]
        neighbours = over[-1] - over[0] == len(over) - 1
        at = over[0] if neighbours else 0
        return ((*kept[:at], *chosen, *kept[at:]),)

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        return f"by {len(inputs) - 1} tensors of indices"


@operation
class TakeAlong(Op):
    """Numbers chosen along an axis, by an index for each: the shape of the indices. NumPy."""

    arity = (2, 2)
    axis: int = integer("along which axis", default=-1, minimum=None)

    def check(self, *inputs: Shape) -> None:
        axis(self.axis, len(inputs[0]))
        if len(inputs[0]) != len(inputs[1]):
            raise ShapeError(f"{show_shape(inputs[0])} and its indices differ in axes")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (inputs[1],)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class Update(Op):
    """The first input with some of its numbers replaced, or added to: scatter, masks, copies."""

    arity = (1, None)

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        return "some numbers replaced"


@operation
class TopK(Op):
    """The k largest numbers along an axis, or where they are."""

    key = "top_k"
    k: int = integer("how many", "k")
    axis: int = integer("along which axis", default=-1, minimum=None)
    indices: bool = flag("where they are, not what they are", default=False)

    def check(self, *inputs: Shape) -> None:
        size = inputs[0][axis(self.axis, len(inputs[0]))]
        if isinstance(size, int) and self.k > size:
            raise ShapeError(f"the {self.k} largest of {show_dim(size)} numbers")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        at = axis(self.axis, len(x))
        return ((*x[:at], self.k, *x[at + 1 :]),)

    def dtype(self, *inputs: str) -> str:
        return "int64" if self.indices else inputs[0]

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        return f"the {self.k:,} largest"


@operation
class Repeat(Op):
    """Axes repeated, each so many times, the last one last. NumPy, ``numpy.tile``.

    Fewer numbers than axes leave the first axes alone; more make new leading axes.
    """

    repeats: Any = integers("how many times each axis, the last one last", minimum=1)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x, times = inputs[0], each_axis(self.repeats, 1)
        times = (1,) * (len(x) - len(times)) + times
        new = len(times) - len(x)
        return ((*times[:new], *(d * r for d, r in zip(x, times[new:], strict=True))),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class Patches(Spatial):
    """Every window of a map as a row of its numbers (im2col): C × K² numbers, a row each."""

    kernel_size: Any = per_axis("window", "K")
    stride: Any = per_axis("step of the window", "S", default=1)
    padding: Any = per_axis("zeros around the map", "P", default=0, minimum=0)
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        spatial = self.split(inputs[0])[2]
        check_window(spatial, self.kernel_size, self.stride, self.padding, self.dilation, "floor")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        sizes = slide(spatial, self.kernel_size, self.stride, self.padding, self.dilation, "floor")
        row = channels * prod(each_axis(self.kernel_size, len(spatial)))
        count = prod(sizes)
        return ((batch, count, row) if self.channels_last else (batch, row, count),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class GridSample(Spatial):
    """Numbers of a map at given places, interpolated; the second input says where."""

    arity = (2, 2)

    def check(self, *inputs: Shape) -> None:
        x, grid = inputs
        need_rank(x, 4, 5, "a batch, channels and 2 or 3 spatial axes")
        if len(grid) != len(x) or grid[-1] != len(x) - 2 or grid[0] != x[0]:
            raise ShapeError(f"places {show_shape(grid)} do not fit a map {show_shape(x)}")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, _ = self.split(inputs[0])
        return (self.join(batch, channels, inputs[1][1:-1]),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class SlidingWindow(Op):
    """Windows along an axis, side by side on that axis; their numbers are a new last axis."""

    size: int = integer("numbers in a window", "K")
    axis: int = integer("along which axis", default=1, minimum=None)
    step: int = integer("distance between windows", "S", default=1)

    def check(self, *inputs: Shape) -> None:
        size = inputs[0][axis(self.axis, len(inputs[0]))]
        check_axes("size", self.size, 1)
        if isinstance(size, int) and self.size > size:
            raise ShapeError(f"a window of {self.size} on an axis of {size}")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        at = axis(self.axis, len(x))
        count = (x[at] - self.size) // self.step + 1
        return ((*x[:at], count, *x[at + 1 :], self.size),)

    def window(self, *inputs: Shape) -> None:
        return None
