"""Layers and functions of Keras that merge tensors or move numbers."""

from __future__ import annotations

from netledger.build.source.expression import Call, Items, Raw, arg, call, key
from netledger.build.source.functions import chained, folded, inline, looks_up, slices
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer, batch_free
from netledger.ops.base import distinct_axes, each_axis


def reshape(site: Site) -> Written | None:
    """``layers.Reshape`` where the batch stays; else `keras.ops.reshape`."""
    if site.made[0] != site.shape[0] or not all(isinstance(d, int) for d in site.made[1:]):
        shape = batch_free(site.made)
        if shape is None:
            return None
        return Written(inline=lambda x: call("ops.reshape", Raw(x[0]), shape))
    return Written(Call("layers.Reshape", (arg("target_shape", site.made[1:]),)))


def flatten(site: Site) -> Written | None:
    """``layers.Flatten``."""
    op = site.op
    if op.start_dim % site.rank == 1 and op.end_dim % site.rank == site.rank - 1:
        return Written(Call("layers.Flatten"))
    return reshape(site)


def permute(site: Site) -> Written:
    """``layers.Permute`` where the batch stays where it is; else `keras.ops.transpose`."""
    order = each_axis(site.op.order, 1)
    if order[0] == 0:
        return Written(Call("layers.Permute", (arg("dims", order[1:]),)))
    return Written(inline=lambda x: call("ops.transpose", Raw(x[0]), order))


def merge(name: str, sign: str = "") -> Writer:
    """``layers.Add`` and its like, for tensors of a batch; else the sign itself."""

    def write(site: Site) -> Written | None:
        shapes = [t.shape for t in site.row.input_types]
        if getattr(site.op, "constant", None) is not None:
            return chained(sign)(site) if sign else folded(f"ops.{name.lower()}")(site)
        if len({(len(shape), shape[:1]) for shape in shapes}) == 1:
            return Written(Call(f"layers.{name}"))
        return chained(sign)(site) if sign else None  # such layers would stretch another axis

    return write


def concat(site: Site) -> Written:
    """``layers.Concatenate``."""
    axis = site.op.axis % site.rank
    last = -1 if axis == site.rank - 1 else axis
    return Written(Call("layers.Concatenate", (key("axis", last, -1),)))


def expand(site: Site) -> Written | None:
    """`keras.ops.broadcast_to`; to the batch of another tensor, a sum with zeros of it."""
    if len(site.node.inputs) < 2:
        known = all(isinstance(d, int) for d in site.made)
        return inline("ops.broadcast_to", site.made) if known else None
    like = site.row.input_types[1].shape
    if len(like) != len(site.made) or site.shape[1:] != site.made[1:] or site.shape[0] != 1:
        return None
    one = ", :1" * (len(like) - 1)
    return Written(inline=lambda x: Raw(f"{x[0]} + ops.zeros_like({x[1]}[:{one}])"))


def looked_up(site: Site) -> Written | None:
    """`keras.ops.take`: rows of a table."""
    return inline("ops.take", axis=0) if looks_up(site) else None


def constant(site: Site) -> Written | None:
    """`keras.ops.full`."""
    op = site.op
    if not all(isinstance(d, int) for d in op.shape):
        return None
    return Written(inline=lambda x: call("ops.full", op.shape, op.value, op.to))


def split(site: Site) -> Written | None:
    """`keras.ops.split`, at the positions where parts begin."""
    axis = site.op.axis % site.rank
    parts = site.op.parts(site.shape[axis])
    if len(parts) != len(site.node.outputs) or len(parts) < 2:
        return None
    starts = Items(slices(site))
    return Written(inline=lambda x: call("ops.split", Raw(x[0]), starts, axis=axis))


def reduce(site: Site) -> Written | None:
    """`keras.ops.mean`, ``sum``, ``max``, ``min``, ``prod``."""
    op = site.op
    if op.function not in ("mean", "sum", "max", "min", "prod"):
        return None
    over = distinct_axes(op.over, site.rank)
    ends = (key("axis", over[0] if len(over) == 1 else over), key("keepdims", op.keepdims, False))
    return Written(inline=lambda x: Call(f"ops.{op.function}", (arg("x", Raw(x[0])), *ends)))


def cast(site: Site) -> Written:
    """`keras.ops.cast`."""
    to = site.op.to
    return Written(inline=lambda x: call("ops.cast", Raw(x[0]), to))


def glu(site: Site) -> Written:
    """`keras.ops.glu`."""
    axis = site.op.axis
    return Written(inline=lambda x: call("ops.glu", Raw(x[0]), axis=axis))
