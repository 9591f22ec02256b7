"""Normalisations."""

from __future__ import annotations

from typing import Any, ClassVar

from netledger.graph import BIAS, BUFFER, WEIGHT, Parameter, Shape
from netledger.ops.base import Op, Spatial, distinct_axes, need_rank, operation, show_value
from netledger.ops.conv import check_groups
from netledger.ops.fields import flag, integer, integers, number


def affine(shape: Shape, scale: bool, center: bool) -> tuple[Parameter, ...]:
    """A learned scale and a learned offset, each if there is one."""
    weight = (Parameter("weight", WEIGHT, shape),) if scale else ()
    return (*weight, Parameter("bias", BIAS, shape)) if center else weight


@operation
class ChannelNorm(Spatial):
    """A normalisation with a scale and an offset for each channel: P = 2C."""

    scale: bool = flag("a learned scale per channel", default=True, kw_only=True)
    center: bool = flag("a learned offset per channel", default=True, kw_only=True)
    epsilon: float = number("added to the variance", default=1e-5, kw_only=True, silent=True)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 2, 5, "a batch, channels and perhaps spatial axes")

    def channels(self, x: Shape) -> Any:
        """The number of channels; features count as channels."""
        return x[-1] if self.channels_last or len(x) == 2 else x[1]

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return affine((self.channels(inputs[0]),), self.scale, self.center)

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        names = self.axis_names(x, "C", "O") if len(x) > 2 else ("", "C")
        return (names,), (names,)

    def describe(self, *inputs: Shape) -> str:
        return ", ".join(["each channel to mean 0 and variance 1", *self.said()])


@operation
class RunningNorm(ChannelNorm):
    """A normalisation that may keep running statistics, which are buffers."""

    running_stats: bool = flag(
        "running mean and variance, kept as buffers", default=True, kw_only=True
    )
    momentum: float = number(
        "share of the running statistics that stays at every step",
        default=0.9,
        kw_only=True,
        silent=True,
    )

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        learned = super().parameters(*inputs)
        if not self.running_stats:
            return learned
        shape = (self.channels(inputs[0]),)
        return (
            *learned,
            Parameter("running_mean", BUFFER, shape, trainable=False),
            Parameter("running_var", BUFFER, shape, trainable=False),
        )


@operation
class BatchNorm(RunningNorm):
    """Batch normalisation. Ioffe and Szegedy (2015)."""


@operation
class InstanceNorm(RunningNorm):
    """Normalisation of each channel of each sample; by default nothing is learned."""

    scale: bool = flag("a learned scale per channel", default=False, kw_only=True)
    center: bool = flag("a learned offset per channel", default=False, kw_only=True)
    running_stats: bool = flag(
        "running mean and variance, kept as buffers", default=False, kw_only=True
    )


@operation
class GroupNorm(ChannelNorm):
    """Normalisation over groups of channels. Wu and He (2018)."""

    groups: int = integer("groups of channels", default=32)

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        check_groups("channels", self.channels(inputs[0]), self.groups)


@operation
class LayerNorm(Op):
    """Normalisation over the last axes of each sample. Ba, Kiros and Hinton (2016)."""

    over: Any = integers("the axes that are normalised", default=-1)
    scale: bool = flag("a learned scale per number", default=True)
    center: bool = flag("a learned offset per number", default=True)
    epsilon: float = number("added to the variance", default=1e-5, kw_only=True, silent=True)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 2, None, "a batch and features")
        distinct_axes(self.over, len(inputs[0]))

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        x = inputs[0]
        over = distinct_axes(self.over, len(x))
        return affine(tuple(x[i] for i in over), self.scale, self.center)

    def axes(self, *inputs: Shape) -> Any:
        names = ("", *("T",) * (len(inputs[0]) - 2), "D")
        return (names,), (names,)

    def describe(self, *inputs: Shape) -> str:
        return ", ".join(["each sample's features", *self.said()])


@operation
class RMSNorm(LayerNorm):
    """Layer normalisation without the mean: a scale only. Zhang and Sennrich (2019)."""

    key = "rms_norm"
    center: bool = flag("a learned offset per number", default=False)


@operation
class Scale(LayerNorm):
    """A learned factor and offset for each number of some axes; nothing is normalised. Caffe."""

    over: Any = integers("the axes whose every position has a factor of its own", default=1)
    epsilon: ClassVar[float] = 0.0  # type: ignore[misc]  # no hyperparameter: nothing is divided

    def describe(self, *inputs: Shape) -> str:
        parts = [word for word, on in (("factor", self.scale), ("offset", self.center)) if on]
        return f"a learned {' and '.join(parts)} along axis {show_value(self.over)}"


@operation
class LocalResponseNorm(Spatial):
    """Normalisation over neighbouring channels; nothing is learned. AlexNet, section 3.3."""

    size: int = integer("how many neighbouring channels", default=5)
    alpha: float = number("weight of the neighbours", default=1e-4)
    beta: float = number("exponent", default=0.75)
    k: float = number("offset", default=1.0)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 3, 5, "a batch, channels and 1 to 3 spatial axes")

    def describe(self, *inputs: Shape) -> str:
        return f"over {self.size} neighbouring channels"
