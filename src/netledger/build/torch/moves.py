"""Functions of PyTorch that move numbers or take them together."""

from __future__ import annotations

from netledger.build.source.expression import Call, Items, Raw, arg, call, key
from netledger.build.source.functions import attends, inline
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, batch_free
from netledger.ops.base import distinct_axes, each_axis


def flatten(site: Site) -> Written:
    """``nn.Flatten``."""
    first, last = site.op.start_dim % site.rank, site.op.end_dim % site.rank - site.rank
    module = Call("nn.Flatten", (key("start_dim", first, 1), key("end_dim", last, -1)))
    ends = (arg("start_dim", first), key("end_dim", last, -1))
    return Written(module, lambda x: Call("torch.flatten", (arg("x", Raw(x[0])), *ends)))


def split(site: Site) -> Written:
    """``torch.split``."""
    sizes, axis = site.op.sizes, site.op.axis
    targets = "{0}, = " if len(site.node.outputs) == 1 else ""
    return Written(
        inline=lambda x: call(
            "torch.split", Raw(x[0]), Items(sizes) if isinstance(sizes, tuple) else sizes, dim=axis
        ),
        targets=targets.removesuffix(" = "),
    )


def reshape(site: Site) -> Written:
    """``Tensor.reshape``; the batch stays open."""
    shape = batch_free(site.made)
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``Tensor.permute``."""
    order = each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.permute", *order))


def expand(site: Site) -> Written | None:
    """``Tensor.expand``."""
    shape = site.op.shape
    if any(not isinstance(d, int) for d in shape):
        if site.shape[0] is not shape[0]:  # the batch of another tensor
            return None
        return Written(inline=lambda x: call(f"{x[0]}.expand", *batch_free(shape)))
    return Written(inline=lambda x: call(f"{x[0]}.expand", *shape))


def reduce(site: Site) -> Written | None:
    """``Tensor.mean``, ``sum``, ``amax``, ``amin``."""
    methods = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin", "norm": "norm"}
    op = site.op
    if op.function not in methods:
        return None
    over = distinct_axes(op.over, site.rank)
    axes = over[0] if len(over) == 1 else over
    ends = (key("dim", axes), key("keepdim", op.keepdims, False))
    return Written(inline=lambda x: Call(f"{x[0]}.{methods[op.function]}", ends))


def identity(site: Site) -> Written:
    """``nn.Identity``."""
    return Written(Call("nn.Identity"), lambda x: Raw(x[0]))


DTYPES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
)


def cast(site: Site) -> Written | None:
    """``Tensor.to``."""
    if site.op.to not in DTYPES:
        return None
    return Written(inline=lambda x: call(f"{x[0]}.to", Raw(f"torch.{site.op.to}")))


def attention(site: Site) -> Written | None:
    """``F.scaled_dot_product_attention``, without a mask."""
    return inline("F.scaled_dot_product_attention") if attends(site) else None
