"""Maps at another size: padded, resized, rearranged."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.graph import Shape
from netledger.ops.base import Spatial, check_axes, each_axis, operation
from netledger.ops.fields import choice, integer, number, padding, per_axis
from netledger.ops.window import pads


def border(number: float) -> str:
    """The mode of a `Pad` with one number: 0, what a maximum ignores, or any other."""
    return "zeros" if number == 0 else "lowest" if number == -inf else "constant"


@operation
class Pad(Spatial):
    """A border around the map: O = I + 2P. A pair for *every* axis pads those axes instead."""

    padding: Any = padding("border on each side", default=1, choices=(), minimum=None)
    mode: str = choice(
        "the border is made of zeros, what a maximum ignores (lowest), a number, or the map",
        ("zeros", "lowest", "constant", "reflect", "edge", "wrap"),
        default="zeros",
    )
    value: float | None = number(
        "the number of a border of one", default=None, kw_only=True, silent=True
    )

    def check(self, *inputs: Shape) -> None:
        rank = len(inputs[0])
        if not self.whole(rank):
            super().check(*inputs)
            check_axes("padding", self.padding, rank - 2)
        dims = inputs[0] if self.whole(rank) else self.split(inputs[0])[2]
        for i, (before, both) in zip(dims, pads(self.padding, len(dims)), strict=True):
            if i + min(before, 0) + min(both - before, 0) < 0:
                raise ShapeError(f"cannot cut {-before} and {before - both} off an axis of {i}")

    @property
    def number(self) -> float | None:
        """The number that the border is made of; None if it is not one, or not known."""
        return {"zeros": 0.0, "lowest": -inf, "constant": self.value}.get(self.mode)

    def whole(self, rank: int) -> bool:
        """True if the padding names every axis, batch and channels included."""
        return isinstance(self.padding, tuple) and len(self.padding) == rank

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        if self.whole(len(x)):
            both = zip(x, pads(self.padding, len(x)), strict=True)
            return (tuple(i + total for i, (_, total) in both),)
        batch, channels, spatial = self.split(x)
        both = zip(spatial, pads(self.padding, len(spatial)), strict=True)
        return (self.join(batch, channels, tuple(i + total for i, (_, total) in both)),)

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        if self.whole(len(x)):
            return (), ()
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "C", "O"),)


@operation
class Resize(Spatial):
    """The map at another size: a whole-numbered scale, or the size itself."""

    scale: Any = per_axis("how many times as large", "S", default=None)
    size: Any = per_axis("the new size", "O", default=None)
    mode: str = choice(
        "how numbers in between are found",
        ("nearest", "linear", "bilinear", "bicubic", "trilinear", "area"),
        default="nearest",
    )

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if (self.scale is None) == (self.size is None):
            raise ShapeError("needs either scale or size", hint="for instance scale: 2")
        for name in ("scale", "size"):
            check_axes(name, getattr(self, name), len(inputs[0]) - 2)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        rank = len(spatial)
        if self.size is not None:
            return (self.join(batch, channels, each_axis(self.size, rank)),)
        both = zip(spatial, each_axis(self.scale, rank), strict=True)
        return (self.join(batch, channels, tuple(i * s for i, s in both)),)

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "C", "O"),)


@operation
class PixelShuffle(Spatial):
    """Moves channels into space: C/r^n channels, every axis r times as long. Shi et al. (2016)."""

    meanings: ClassVar[Mapping[str, str]] = {"N": "channels of the output"}

    factor: int = integer("how many times as long every axis becomes", "r")

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        _, channels, spatial = self.split(inputs[0])
        taken = self.factor ** len(spatial)
        if channels % taken:
            raise ShapeError(
                f"{channels} channels are not divisible by {taken}",
                hint=f"a factor of {self.factor} makes one channel of {taken}",
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        for _ in spatial:
            channels = channels // self.factor
        return (self.join(batch, channels, tuple(i * self.factor for i in spatial)),)

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "N", "O"),)
