"""Convolutions whose kernels are computed, not stored."""

from __future__ import annotations

from typing import Any

from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import Shape
from netledger.ops.base import Spatial, operation, show_shape
from netledger.ops.conv import Conv, ConvTranspose, check_groups
from netledger.ops.fields import flag, integer, padding, per_axis


@operation
class DynamicConv(Spatial):
    """A convolution by the kernels that its second input is: normalised, generated, or mixed.

    Sizes and MACs are those of a convolution; nothing is stored. Kernels have the shape (outputs,
    inputs / groups, window), transposed ones (inputs, outputs / groups, window). Jia et al. (2016).
    """

    arity = (2, 3)
    stride: Any = per_axis("step of the window", "S", default=1)
    padding: Any = padding("zeros around the map", default=0)
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)
    groups: int = integer("parts that do not see one another", "G", default=1, hide=1)
    transposed: bool = flag("a transposed convolution", default=False)
    output_padding: Any = per_axis(
        "rows added at the far side, if transposed", "P_out", default=0, minimum=0, hide=0
    )

    def like(self, kernels: Shape) -> Conv | ConvTranspose:
        """The convolution that stores such kernels."""
        first: Any = kernels[0]
        second: Any = kernels[1]
        fields: dict[str, Any] = {
            "kernel_size": kernels[2:],
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": False,
            "channels_last": self.channels_last,
        }
        if self.transposed:
            fields["output_padding"] = self.output_padding
            return ConvTranspose(second * self.groups, **fields)
        return Conv(first, **fields)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        x, kernels = inputs[:2]
        if len(kernels) != len(x) or not all(isinstance(d, int) for d in kernels[2:]):
            raise ShapeError(f"kernels {show_shape(kernels)} do not fit a map {show_shape(x)}")
        channels = self.split(x)[1]
        fed = kernels[0] if self.transposed else kernels[1] * self.groups
        if channels != fed:
            raise ShapeError(f"kernels {show_shape(kernels)} do not fit a map {show_shape(x)}")
        check_groups("out_channels", kernels[0], self.groups)
        self.like(kernels).check(x)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return self.like(inputs[1]).outputs(inputs[0])

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        """Every position meets every number of its kernels: O² × W, transposed I² × W."""
        batch, _, places = self.split(inputs[0] if self.transposed else outputs[0])
        return batch * prod(places) * prod(inputs[1])

    def window(self, *inputs: Shape) -> Any:
        return self.like(inputs[1]).window(inputs[0])

    def describe(self, *inputs: Shape) -> str:
        return f"{self.like(inputs[1]).describe(inputs[0])}; the kernels are computed"
