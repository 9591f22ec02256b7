"""Convolutions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netledger.errors import ShapeError
from netledger.formula import ceil_div, maximum, prod
from netledger.graph import BIAS, WEIGHT, Parameter, Shape
from netledger.ops.base import Spatial, Window, check_axes, each_axis, operation, show_value
from netledger.ops.fields import choice, flag, integer, padding, per_axis
from netledger.ops.window import (
    ROUNDING_HELP,
    ROUNDINGS,
    check_window,
    pads,
    slide,
    span,
    windows,
)

PADDINGS = ("same", "valid", "causal")


class Convolution(Spatial):
    """The rules that convolutions share; `filters` and `fan_in` tell them apart."""

    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: int
    bias: bool
    rounding: str

    def filters(self, channels: Any) -> Any:
        """The number of kernels."""
        raise NotImplementedError

    def fan_in(self, channels: Any) -> Any:
        """The number of channels that one kernel sees."""
        raise NotImplementedError

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        spatial = self.split(inputs[0])[2]
        check_window(
            spatial, self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, channels, spatial = self.split(inputs[0])
        sizes = slide(
            spatial, self.kernel_size, self.stride, self.padding, self.dilation, self.rounding
        )
        return (self.join(batch, self.filters(channels), sizes),)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        _, channels, spatial = self.split(inputs[0])
        kernel = each_axis(self.kernel_size, len(spatial))
        filters = self.filters(channels)
        weight = Parameter("weight", WEIGHT, (filters, self.fan_in(channels), *kernel))
        return (weight, Parameter("bias", BIAS, (filters,))) if self.bias else (weight,)

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        _, channels, spatial = self.split(inputs[0])
        batch, filters, sizes = self.split(outputs[0])
        kernel = each_axis(self.kernel_size, len(spatial))
        return batch * prod(sizes) * prod(kernel) * self.fan_in(channels) * filters

    def window(self, *inputs: Shape) -> tuple[Window, ...]:
        return windows(len(inputs[0]) - 2, self.kernel_size, self.stride, self.dilation)

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "N", "O"),)

    def describe(self, *inputs: Shape) -> str:
        _, channels, spatial = self.split(inputs[0])
        kernel = each_axis(self.kernel_size, len(spatial))
        taps = show_value((*kernel, self.fan_in(channels)))
        parts = [
            f"{self.filters(channels):,} kernels of {taps}",
            f"stride {show_value(self.stride)}",
            f"padding {show_value(self.padding)}",
        ]
        if self.dilation != 1:
            parts.append(f"dilation {show_value(self.dilation)}")
        if self.groups != 1:
            parts.append(f"{self.groups} groups")
        return ", ".join(parts if self.bias else [*parts, "no bias"])


@operation
class Conv(Convolution):
    """A convolution over one to three axes, perhaps in groups, perhaps dilated.

    O = ⌊(I − K + 2P)/S⌋ + 1 along each axis; W = K² × (C/G) × N; B = N;
    MACs = O² × W. Dumoulin and Visin, "A guide to convolution arithmetic" (2016).
    """

    out_channels: int = integer("number of kernels", "N")
    kernel_size: Any = per_axis("window", "K")
    stride: Any = per_axis("step of the window", "S", default=1)
    padding: Any = padding("zeros around the map", default=0, choices=PADDINGS)
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)
    groups: int = integer("parts that do not see one another", "G", default=1, hide=1)
    bias: bool = flag("a bias per kernel", default=True)
    rounding: str = choice(ROUNDING_HELP, ROUNDINGS, default="floor")

    def filters(self, channels: Any) -> Any:
        return self.out_channels

    def fan_in(self, channels: Any) -> Any:
        return channels // self.groups

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        check_groups("in_channels", self.split(inputs[0])[1], self.groups)
        check_groups("out_channels", self.out_channels, self.groups)


@operation
class LocallyConnected(Conv):
    """A convolution whose every position has kernels of its own: W = K² × (C/G) × N × O²."""

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        sizes = self.split(self.outputs(*inputs)[0])[2]
        return tuple(p._replace(shape=(*p.shape, *sizes)) for p in super().parameters(*inputs))


@operation
class DepthwiseConv(Convolution):
    """A convolution in which every channel has kernels of its own: W = K² × C × M."""

    kernel_size: Any = per_axis("window", "K")
    depth_multiplier: int = integer("kernels for each channel", "M", default=1, hide=1)
    stride: Any = per_axis("step of the window", "S", default=1)
    padding: Any = padding("zeros around the map", default=0, choices=PADDINGS)
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)
    bias: bool = flag("a bias per kernel", default=True)
    rounding: str = choice(ROUNDING_HELP, ROUNDINGS, default="floor")
    groups = 1

    def filters(self, channels: Any) -> Any:
        return channels * self.depth_multiplier

    def fan_in(self, channels: Any) -> Any:
        return 1


@operation
class ConvTranspose(Spatial):
    """A transposed ("up-") convolution.

    O = (I − 1)S − 2P + K + P_out along each axis; with padding "same" I × S, with "valid" (Keras)
    I × S at least. Every input position meets every tap, so MACs = I² × W. PyTorch,
    ``torch.nn.ConvTranspose2d``.
    """

    out_channels: int = integer("number of kernels", "N")
    kernel_size: Any = per_axis("window", "K")
    stride: Any = per_axis("step between the inputs", "S", default=1)
    padding: Any = padding("rows cut off around the output", default=0)
    output_padding: Any = per_axis(
        "rows added at the far side", "P_out", default=0, minimum=0, hide=0
    )
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)
    groups: int = integer("parts that do not see one another", "G", default=1, hide=1)
    bias: bool = flag("a bias per kernel", default=True)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        _, channels, spatial = self.split(inputs[0])
        for name in ("kernel_size", "stride", "padding", "output_padding", "dilation"):
            check_axes(name, getattr(self, name), len(spatial))
        self._check_output_padding(len(spatial))
        check_groups("in_channels", channels, self.groups)
        check_groups("out_channels", self.out_channels, self.groups)

    def _check_output_padding(self, rank: int) -> None:
        per = (each_axis(v, rank) for v in (self.output_padding, self.stride, self.dilation))
        for extra, s, d in zip(*per, strict=True):
            if extra >= max(s, d):
                raise ShapeError(
                    f"output_padding {extra} is not smaller than the stride {s}",
                    hint="it only chooses among the sizes that the stride leaves open",
                )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        batch, _, spatial = self.split(inputs[0])
        rank = len(spatial)
        strides = each_axis(self.stride, rank)
        if isinstance(self.padding, str) and self.padding == "same":
            sizes = tuple(i * s for i, s in zip(spatial, strides, strict=True))
        else:
            sizes = tuple(
                (i - 1) * s - p[1] + self.reach(k, d, s) + extra
                for i, s, p, k, d, extra in zip(
                    spatial,
                    strides,
                    pads(self.padding, rank),
                    each_axis(self.kernel_size, rank),
                    each_axis(self.dilation, rank),
                    each_axis(self.output_padding, rank),
                    strict=True,
                )
            )
        return (self.join(batch, self.out_channels, sizes),)

    def reach(self, kernel: Any, dilation: Any, stride: Any) -> Any:
        """How many outputs one input makes; the last one's stride is kept with "valid"."""
        reach = span(kernel, dilation)
        return maximum(reach, stride) if isinstance(self.padding, str) else reach

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        _, channels, spatial = self.split(inputs[0])
        kernel = each_axis(self.kernel_size, len(spatial))
        weight = Parameter("weight", WEIGHT, (channels, self.out_channels // self.groups, *kernel))
        if not self.bias:
            return (weight,)
        return (weight, Parameter("bias", BIAS, (self.out_channels,)))

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        batch, channels, spatial = self.split(inputs[0])
        kernel = each_axis(self.kernel_size, len(spatial))
        taps = prod(kernel) * (self.out_channels // self.groups)
        return batch * prod(spatial) * taps * channels

    def window(self, *inputs: Shape) -> tuple[Window, ...]:
        rank = len(inputs[0]) - 2
        per = zip(
            each_axis(self.kernel_size, rank),
            each_axis(self.dilation, rank),
            each_axis(self.stride, rank),
            strict=True,
        )
        return tuple(Window(ceil_div(span(k, d), s), _inverse(s)) for k, d, s in per)

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        return (self.axis_names(x, "C", "I"),), (self.axis_names(x, "N", "O"),)

    def describe(self, *inputs: Shape) -> str:
        _, channels, spatial = self.split(inputs[0])
        taps = show_value((*each_axis(self.kernel_size, len(spatial)), channels // self.groups))
        parts = [
            f"{self.out_channels:,} transposed kernels of {taps}",
            f"stride {show_value(self.stride)}",
            f"padding {show_value(self.padding)}",
        ]
        return ", ".join(parts if self.bias else [*parts, "no bias"])


def _inverse(stride: Any) -> Fraction:
    """The distance of outputs in inputs; a derivation of the window does not need it."""
    return Fraction(1, stride) if isinstance(stride, int) else Fraction(1)


def check_groups(name: str, channels: Any, groups: Any) -> None:
    """Refuses groups that do not divide the channels."""
    if channels % groups:
        raise ShapeError(
            f"{name}={channels} is not divisible by groups={groups}",
            hint=f"groups must divide {channels}",
        )
