"""Poolings."""

from __future__ import annotations

from typing import Any

from netledger.errors import ShapeError
from netledger.graph import Shape
from netledger.ops.base import ALL, Spatial, Window, check_axes, each_axis, operation, show_value
from netledger.ops.fields import choice, flag, padding, per_axis
from netledger.ops.window import ROUNDING_HELP, ROUNDINGS, check_window, pads, slide, span, windows


@operation
class Pool(Spatial):
    """A window that slides over the map: O = (I − P_s)/S + 1; channels stay."""

    kernel_size: Any = per_axis("window", "P_s")
    stride: Any = per_axis("step of the window; by default its size", "S", default=None)
    padding: Any = padding("border around the map", default=0, hide=0)
    rounding: str = choice(ROUNDING_HELP, ROUNDINGS, default="floor")

    @property
    def step(self) -> Any:
        """The stride, which is the window's own size where none is given."""
        return self.kernel_size if self.stride is None else self.stride

    @property
    def spacing(self) -> Any:
        """The distance between the window's taps."""
        return 1

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        spatial = self.split(inputs[0])[2]
        check_window(
            spatial, self.kernel_size, self.step, self.padding, self.spacing, self.rounding
        )
        self._check_padding(len(spatial))

    def _check_padding(self, rank: int) -> None:
        windows = each_axis(self.kernel_size, rank), each_axis(self.spacing, rank)
        for k, d, (before, both) in zip(*windows, pads(self.padding, rank), strict=True):
            if max(before, both - before) >= span(k, d):
                raise ShapeError(
                    f"with padding {show_value(self.padding)}, a window of {span(k, d)} "
                    "would see nothing but padding",
                    hint="padding must be smaller than the window",
                )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        sizes = slide(
            spatial, self.kernel_size, self.step, self.padding, self.spacing, self.rounding
        )
        return (self.join(batch, channels, sizes),)

    def window(self, *inputs: Shape) -> tuple[Window, ...]:
        return windows(len(inputs[0]) - 2, self.kernel_size, self.step, self.spacing)

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "C", "O"),)

    def describe(self, *inputs: Shape) -> str:
        rank = len(inputs[0]) - 2
        text = f"{self.word} over {show_value(each_axis(self.kernel_size, rank))}"
        text += f", stride {show_value(self.step)}"
        if self.padding:
            text += f", padding {show_value(self.padding)}"
        return text if self.rounding == "floor" else f"{text}, rounded up ({self.rounding})"

    @property
    def word(self) -> str:
        """What it takes of its window."""
        return "average" if self.kind.startswith("Avg") else "maximum"


@operation
class MaxPool(Pool):
    """Maximum pooling."""

    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)

    @property
    def spacing(self) -> Any:
        return self.dilation


@operation
class AvgPool(Pool):
    """Average pooling."""

    count_padding: bool = flag(
        "a border given in numbers counts as zeros; one of 'same' never does",
        default=True,
        kw_only=True,
        silent=True,
    )

    @property
    def counts(self) -> bool:
        """True if its border is a part of the average."""
        return bool(self.count_padding and self.padding != "same")


@operation
class AdaptivePool(Spatial):
    """A pooling whose windows are chosen so that the output has the size asked for."""

    output_size: Any = per_axis("size of the output", "O")

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        check_axes("output_size", self.output_size, len(inputs[0]) - 2)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        return (self.join(batch, channels, each_axis(self.output_size, len(spatial))),)

    def window(self, *inputs: Shape) -> str | tuple[Window, ...] | None:
        spatial = self.split(inputs[0])[2]
        sizes = each_axis(self.output_size, len(spatial))
        if all(o == 1 for o in sizes):
            return ALL
        even = all(isinstance(i, int) and i % o == 0 for i, o in zip(spatial, sizes, strict=True))
        if not even:
            return None  # windows of different sizes
        steps = [i // o for i, o in zip(spatial, sizes, strict=True)]
        return tuple(Window(step, step) for step in steps)

    def describe(self, *inputs: Shape) -> str:
        sizes = each_axis(self.output_size, len(inputs[0]) - 2)
        word = "average" if "Avg" in self.kind else "maximum"
        return f"{word} in windows that give {show_value(sizes)}"


@operation
class AdaptiveMaxPool(AdaptivePool):
    """Maximum pooling to a given size."""


@operation
class AdaptiveAvgPool(AdaptivePool):
    """Average pooling to a given size."""


@operation
class GlobalPool(Spatial):
    """A pooling over the whole map: one number for each channel."""

    keepdims: bool = flag("keep the spatial axes, with size 1", default=False)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        if not self.keepdims:
            return ((batch, channels),)
        return (self.join(batch, channels, (1,) * len(spatial)),)

    def window(self, *inputs: Shape) -> str:
        return ALL

    def describe(self, *inputs: Shape) -> str:
        word = "average" if "Avg" in self.kind else "maximum"
        return f"{word} over the whole map"


@operation
class GlobalMaxPool(GlobalPool):
    """Maximum over the whole map."""


@operation
class GlobalAvgPool(GlobalPool):
    """Average over the whole map."""
