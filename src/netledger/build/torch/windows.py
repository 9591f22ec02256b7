"""Layers of PyTorch that slide a window over maps or put a border around them."""

from __future__ import annotations

from typing import Any

from netledger import ops
from netledger.build.source.borders import Pads, effective_padding
from netledger.build.source.expression import Call, arg, call, key
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer, same
from netledger.errors import BuildError
from netledger.ops.base import Op, each_axis
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool
from netledger.ops.window import pads


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows that PyTorch places: equal padding on both sides."""
    equal = all(before == after for before, after in around)
    if isinstance(op, Convolution):
        return op if equal else None
    assert isinstance(op, Pool)
    if isinstance(op, ops.AvgPool) and not op.counts and not equal:
        raise BuildError("PyTorch has no average pooling that leaves out padding on one side only")
    kernel = each_axis(op.kernel_size, len(spatial))
    small = all(2 * before <= k for (before, _), k in zip(around, kernel, strict=True))
    if equal and small:
        return op
    declared = pads(op.padding, len(spatial))
    even = all(2 * before == both for before, both in declared)
    clipped = op.rounding == "ceil_clipped" and not isinstance(op.padding, str)
    return op if clipped and even and small else None


def _padding(site: Site) -> Any:
    """The padding in numbers; it is equal on both sides."""
    around = effective_padding(site.op, site.spatial, site.made[2:])
    return same(tuple(before for before, _ in around))


def conv(site: Site) -> Written:
    """``nn.Conv1d``, ``nn.Conv2d``, ``nn.Conv3d``; depthwise ones have a group per channel."""
    op, channels = site.op, site.channels
    groups = channels if isinstance(op, ops.DepthwiseConv) else op.groups
    return Written(
        Call(
            f"nn.Conv{site.rank - 2}d",
            (
                arg("in_channels", channels),
                arg("out_channels", op.filters(channels)),
                arg("kernel_size", same(op.kernel_size)),
                key("stride", same(op.stride), 1),
                key("padding", _padding(site), 0),
                key("dilation", same(op.dilation), 1),
                key("groups", groups, 1),
                key("bias", op.bias, True),
            ),
        )
    )


def conv_transpose(site: Site) -> Written | None:
    """``nn.ConvTranspose2d``."""
    op = site.op
    declared = pads(op.padding, site.rank - 2)
    if isinstance(op.padding, str) or any(2 * before != both for before, both in declared):
        return None
    return Written(
        Call(
            f"nn.ConvTranspose{site.rank - 2}d",
            (
                arg("in_channels", site.channels),
                arg("out_channels", op.out_channels),
                arg("kernel_size", same(op.kernel_size)),
                key("stride", same(op.stride), 1),
                key("padding", same(tuple(before for before, _ in declared)), 0),
                key("output_padding", same(op.output_padding), 0),
                key("groups", op.groups, 1),
                key("bias", op.bias, True),
                key("dilation", same(op.dilation), 1),
            ),
        )
    )


BORDERS = {"zeros": "Zero", "reflect": "Reflection", "edge": "Replication", "wrap": "Circular"}
"""What paddings are called, by what the border is made of."""


def border(site: Site) -> Written | None:
    """``nn.ZeroPad2d``, ``nn.ConstantPad2d``: the last axis comes first."""
    op, rank = site.op, site.rank - 2
    if op.whole(site.rank):
        return None
    pairs = pads(op.padding, rank)
    widths = same(tuple(w for before, both in reversed(pairs) for w in (before, both - before)))
    if op.mode in BORDERS:
        return Written(Call(f"nn.{BORDERS[op.mode]}Pad{rank}d", (arg("padding", widths),)))
    number = op.number
    if number is None:
        return None
    return Written(Call(f"nn.ConstantPad{rank}d", (arg("padding", widths), arg("value", number))))


def pool(site: Site) -> Written:
    """``nn.MaxPool2d``, ``nn.AvgPool2d``."""
    op, rank = site.op, site.rank - 2
    around = effective_padding(op, site.spatial, site.made[2:])
    upward = any(before != after for before, after in around) or op.rounding == "ceil_clipped"
    declared = pads(op.padding, rank) if upward else ()
    before = tuple(b for b, _ in (declared or around))
    pairs = zip(around, declared, strict=False)
    overhangs = any(after > both - b for (b, after), (_, both) in pairs)
    args = [
        arg("kernel_size", same(op.kernel_size)),
        key("stride", same(op.step), same(op.kernel_size)),
        key("padding", same(before), 0),
        key("ceil_mode", overhangs, False),
    ]
    if isinstance(op, ops.MaxPool):
        args.append(key("dilation", same(op.dilation), 1))
        return Written(Call(f"nn.MaxPool{rank}d", tuple(args)))
    args.append(key("count_include_pad", op.counts or not any(before), True))
    return Written(Call(f"nn.AvgPool{rank}d", tuple(args)))


def adaptive(name: str) -> Writer:
    """``nn.AdaptiveAvgPool2d``."""

    def write(site: Site) -> Written:
        size = arg("output_size", same(site.op.output_size))
        return Written(Call(f"nn.{name}{site.rank - 2}d", (size,)))

    return write


def global_pool(name: str, method: str) -> Writer:
    """A pooling to 1×1, or the mean or maximum over the axes of the map."""

    def write(site: Site) -> Written:
        axes = tuple(range(2, site.rank))
        if site.op.keepdims:
            return Written(Call(f"nn.{name}{site.rank - 2}d", (arg("output_size", 1),)))
        return Written(inline=lambda x: call(f"{x[0]}.{method}", dim=axes))

    return write
