"""The table of layers: normalisations."""

from __future__ import annotations

from typing import Any

from netledger.ops import (
    BatchNorm,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
    Scale,
    Tensor,
)
from netledger.ops.base import axis
from netledger.readers.keras.call import SCALE, STATISTIC, VECTOR, Call, LayerRule, Slots


def _other(call: Call, what: str) -> list[str]:
    return call.opaque(f"no rule describes {what}", made=call.shape)


def channel_axis(call: Call, default: int = -1) -> bool | None:
    """True if the axis of a normalisation is the last, False if the second, None otherwise."""
    found = call.config.integers("axis", default)
    rank = len(call.shape)
    if len(found) != 1:
        return None
    at = axis(found[0], rank)
    return True if at == rank - 1 else False if at == 1 else None


def affine(call: Call) -> tuple[dict[str, Any], Slots]:
    """Whether there is a scale and an offset, and how they are stored."""
    scale, center = call.config.flag("scale", True), call.config.flag("center", True)
    return {"scale": scale, "center": center}, (SCALE,) * scale + (VECTOR,) * center


def batch_norm(call: Call) -> list[str]:
    """``BatchNormalization``, ``SyncBatchNormalization``."""
    last = channel_axis(call)
    if last is None:
        return _other(call, "a batch normalisation over this axis")
    fields, slots = affine(call)
    op = BatchNorm(
        channels_last=last,
        epsilon=call.config.number("epsilon", 1e-3),
        momentum=call.config.number("momentum", 0.99),
        **fields,
    )
    value = call.add(op, slots=(*slots, STATISTIC, STATISTIC))
    if call.config.flag("renorm", False):  # Ioffe (2017)
        width = call.shape[-1 if last else 1]
        for part in ("moving_stddev", "renorm_mean", "renorm_stddev"):
            call.add(Tensor([width], "buffer"), part=part, slots=(STATISTIC,))
    return [value]


def layer_norm(call: Call) -> str:
    """``LayerNormalization``."""
    over = list(call.config.integers("axis", -1))
    epsilon = call.config.number("epsilon", 1e-3)
    if call.config.get("rms_scaling"):
        return call.add(RMSNorm(over, epsilon=epsilon), slots=(SCALE,))
    fields, slots = affine(call)
    return call.add(LayerNorm(over, epsilon=epsilon, **fields), slots=slots)


def rms_norm(call: Call) -> str:
    """``RMSNormalization``."""
    epsilon = call.config.number("epsilon", 1e-6)
    return call.add(
        RMSNorm(list(call.config.integers("axis", -1)), epsilon=epsilon), slots=(SCALE,)
    )


def group_norm(call: Call) -> list[str]:
    """``GroupNormalization``; −1 groups are as many as channels."""
    last = channel_axis(call)
    if last is None:
        return _other(call, "a group normalisation over this axis")
    fields, slots = affine(call)
    groups = call.config.integer("groups", 32)
    if groups == -1:
        found = call.shape[-1 if last else 1]
        groups = found if isinstance(found, int) else 1
    epsilon = call.config.number("epsilon", 1e-3)
    op = GroupNorm(groups=groups, channels_last=last, epsilon=epsilon, **fields)
    return [call.add(op, slots=slots)]


def unit_norm(call: Call) -> str:
    """``UnitNormalization``: nothing is learned."""
    op = LayerNorm(list(call.config.integers("axis", -1)), scale=False, center=False)
    return call.add(op, untold="length, which is no variance")


def normalization(call: Call) -> list[str]:
    """``Normalization``: a mean and a variance, and how many samples they were taken from."""
    last = channel_axis(call)
    stored = call.config.get("mean") is None
    if last is None:
        return _other(call, "a normalisation over these axes")
    op = BatchNorm(scale=False, center=False, running_stats=stored, epsilon=0.0, channels_last=last)
    untold = "" if stored else "mean"
    if call.config.get("invert"):
        untold = "invert=True"
    value = call.add(op, slots=(STATISTIC, STATISTIC) if stored else (), untold=untold)
    if stored:
        call.add(Tensor([], "buffer", "int32"), part="count", slots=(STATISTIC,))
    return [value]


def local_response_norm(call: Call) -> str:
    """``LocalResponseNormalization``, a class that our builder writes: Keras has none."""
    op = LocalResponseNorm(
        call.config.integer("size", 5),
        alpha=call.config.number("alpha", 1e-4),
        beta=call.config.number("beta", 0.75),
        k=call.config.number("k", 1.0),
    )
    return call.add(op)


def scale(call: Call) -> str:
    """``Scale``, another one: a factor and an offset for each number of the last axis."""
    factor, offset = call.config.flag("factor", True), call.config.flag("offset", True)
    slots = (SCALE,) * factor + (VECTOR,) * offset
    return call.add(Scale(-1, scale=factor, center=offset), slots=slots)


BUILT: dict[str, LayerRule] = {
    "netledger>LocalResponseNormalization": local_response_norm,
    "netledger>Scale": scale,
}
"""Layers that our own builder defines in the code that it writes, as Keras registers them."""

NORMS: dict[str, LayerRule] = {
    "BatchNormalization": batch_norm,
    "BatchNormalizationV1": batch_norm,
    "BatchNormalizationV2": batch_norm,
    "SyncBatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "UnitNormalization": unit_norm,
    "Normalization": normalization,
}
