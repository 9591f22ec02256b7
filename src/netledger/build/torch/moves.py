"""Functions of PyTorch that move numbers or take them together."""

from __future__ import annotations

from netledger.build.source import functions
from netledger.build.source.expression import Call, Items, Raw, arg, call, key
from netledger.build.source.functions import attends, inline
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer, batch_free
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


def reshape(site: Site) -> Written | None:
    """``Tensor.reshape``; the batch stays open."""
    shape = batch_free(site.made)
    if shape is None:
        return None
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``Tensor.permute``."""
    order = each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.permute", *order))


def expand(site: Site) -> Written | None:
    """``Tensor.expand``."""
    first, *rest = site.op.shape
    if not all(isinstance(d, int) for d in rest):
        return None
    if len(site.node.inputs) == 2:  # the batch of another tensor
        return Written(inline=lambda x: call(f"{x[0]}.expand", Raw(f"{x[1]}.shape[0]"), *rest))
    if not isinstance(first, int) and site.shape[0] is not first:
        return None
    size = first if isinstance(first, int) else -1
    return Written(inline=lambda x: call(f"{x[0]}.expand", size, *rest))


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
    """``F.scaled_dot_product_attention``."""
    op = site.op
    if not attends(site):
        return None
    named = {"is_causal": op.causal or None, "scale": op.scale}
    said = {name: value for name, value in named.items() if value is not None}
    return inline("F.scaled_dot_product_attention", **said)


def take_along(site: Site) -> Written:
    """``torch.gather``."""
    return Written(
        inline=lambda x: call("torch.gather", Raw(x[0]), site.op.axis % site.rank, Raw(x[1]))
    )


def bounded(function: str, bound: str) -> Writer:
    """``torch.maximum``, ``torch.minimum``; of one tensor and a number ``torch.clamp``."""

    def write(site: Site) -> Written | None:
        number = site.op.constant
        if number is None:
            return functions.folded(function)(site)
        return inline("torch.clamp", **{bound: number})

    return write


def constant(site: Site) -> Written | None:
    """``torch.full``."""
    op = site.op
    if op.to not in DTYPES or not all(isinstance(d, int) for d in op.shape):
        return None
    dtype = key("dtype", Raw(f"torch.{op.to}"), Raw("torch.float32"))
    made = Call("torch.full", (arg("size", op.shape), arg("fill_value", op.value), dtype))
    return Written(inline=lambda x: made)
