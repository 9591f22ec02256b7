"""Functions of each number, and what moves numbers, in the words of JAX."""

from __future__ import annotations

from typing import Any

from netledger.build.source.expression import Call, Items, Raw, call
from netledger.build.source.functions import inline, slices
from netledger.build.source.kinds import Written
from netledger.build.source.plan import LINEAR, Site, batch_free, whole_steps
from netledger.ops.base import distinct_axes, each_axis
from netledger.ops.window import pads

FUNCTIONS = {
    "relu": "nnx.relu",
    "relu6": "nnx.relu6",
    "leaky_relu": "nnx.leaky_relu",
    "elu": "nnx.elu",
    "gelu": "nnx.gelu",
    "selu": "nnx.selu",
    "celu": "nnx.celu",
    "silu": "nnx.silu",
    "mish": "jax.nn.mish",
    "sigmoid": "nnx.sigmoid",
    "hard_sigmoid": "nnx.hard_sigmoid",
    "hard_swish": "nnx.hard_swish",
    "tanh": "nnx.tanh",
    "softplus": "nnx.softplus",
    "softsign": "nnx.soft_sign",
    "exp": "jnp.exp",
    "log": "jnp.log",
    "sqrt": "jnp.sqrt",
    "abs": "jnp.abs",
    "negate": "jnp.negative",
    "erf": "jax.lax.erf",
}


def activation(site: Site) -> Written | None:
    """A function of each number."""
    op = site.op
    if op.function == "clip":
        return inline("jnp.clip", **_said(min=op.low, max=op.high))
    settings = {
        "gelu": {"approximate": op.approximate},
        "leaky_relu": _said(negative_slope=op.alpha),
        "elu": _said(alpha=op.alpha),
        "celu": _said(alpha=op.alpha),
    }
    function = FUNCTIONS.get(op.function)
    return inline(function, **settings.get(op.function, {})) if function else None


def _said(**settings: Any) -> dict[str, Any]:
    """Those that are not left to the framework, whose defaults are ours."""
    return {name: value for name, value in settings.items() if value is not None}


def softmax(site: Site) -> Written:
    """``nnx.softmax``, ``nnx.log_softmax``."""
    axis = site.op.axis if site.op.axis < 0 else site.op.axis - site.rank
    word = "log_softmax" if site.op.log else "softmax"
    return inline(f"nnx.{word}", **({} if axis == -1 else {"axis": axis}))


def glu(site: Site) -> Written:
    """``nnx.glu``."""
    return inline("nnx.glu", axis=site.op.axis)


def split(site: Site) -> Written:
    """``jnp.split``, which takes the places of the cuts."""
    axis = site.op.axis % site.rank
    many = len(site.node.outputs) > 1
    return Written(
        inline=lambda x: call("jnp.split", Raw(x[0]), Items(slices(site)), axis=axis),
        targets="" if many else "({0},)",
    )


def flatten(site: Site) -> Written | None:
    """A reshape; the batch stays open."""
    first, last = site.op.start_dim % site.rank, site.op.end_dim % site.rank
    if (first, last) == (1, site.rank - 1):
        return Written(inline=lambda x: Raw(f"{x[0]}.reshape({x[0]}.shape[0], -1)"))
    return reshape(site)


def reshape(site: Site) -> Written | None:
    """``reshape``; the batch stays open."""
    shape = batch_free(site.made)
    if shape is None:
        return None
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``transpose``."""
    order = each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.transpose", *order))


def expand(site: Site) -> Written | None:
    """``jnp.broadcast_to``, if no size follows from another tensor."""
    first, *rest = site.made
    if not all(isinstance(d, int) for d in rest):
        return None
    if isinstance(first, int):
        return inline("jnp.broadcast_to", site.made)
    if len(site.node.inputs) < 2 and site.shape[0] is not first:
        return None

    def write(x: tuple[str, ...]) -> Any:
        shape = Items((Raw(f"{x[-1]}.shape[0]"), *rest), "()")
        return call("jnp.broadcast_to", Raw(x[0]), shape)

    return Written(inline=write)


def reduce(site: Site) -> Written | None:
    """``jnp.mean`` and so on."""
    op = site.op
    over = distinct_axes(op.over, site.rank)
    axes = over[0] if len(over) == 1 else over
    keep = {"keepdims": True} if op.keepdims else {}
    if op.function == "norm":
        return inline("jnp.linalg.norm", axis=axes, **keep) if len(over) <= 1 else None
    if op.function == "logsumexp":
        return inline("nnx.logsumexp", axis=axes, **keep)
    return inline(f"jnp.{op.function}", axis=axes, **keep)


def border(site: Site) -> Written | None:
    """``jnp.pad``."""
    op = site.op
    whole = op.whole(site.rank)
    found = pads(op.padding, site.rank if whole else site.rank - 2)
    widths = tuple((before, both - before) for before, both in found)
    widths = widths if whole else ((0, 0), *widths, (0, 0))
    if any(w < 0 for pair in widths for w in pair):
        return None
    if op.mode in ("reflect", "edge", "wrap"):
        return inline("jnp.pad", widths, mode=op.mode)
    value = op.number
    if value is None:
        return None
    return inline("jnp.pad", widths, **({"constant_values": value} if value else {}))


def resize(site: Site) -> Written | None:
    """``jnp.repeat`` for whole steps to nearest neighbours; ``jax.image.resize`` between them."""
    if site.op.mode in LINEAR:
        return Written(inline=lambda x: _between(x[0], site.made[1:]))
    steps = whole_steps(site)
    if steps is None:
        return None

    def write(x: tuple[str, ...]) -> Any:
        value: Any = Raw(x[0])
        for axis, times in enumerate(steps, start=1):
            value = call("jnp.repeat", value, times, axis=axis)
        return value

    return Written(inline=write)


def _between(x: str, made: tuple[Any, ...]) -> Call:
    """Numbers between their neighbours, for a batch of any size."""
    shape = Items((Raw(f"{x}.shape[0]"), *made), "()")
    return call("jax.image.resize", Raw(x), shape, "linear", antialias=False)


DTYPES = ("float32", "float16", "bfloat16", "int32", "int16", "int8", "uint8", "bool")


def cast(site: Site) -> Written | None:
    """``astype``."""
    to = site.op.to
    if to not in DTYPES:
        return None
    return Written(
        inline=lambda x: call(f"{x[0]}.astype", Raw(f"jnp.{to}_" if to == "bool" else f"jnp.{to}"))
    )


def constant(site: Site) -> Written | None:
    """``jnp.full``."""
    op = site.op
    if op.to not in DTYPES or not all(isinstance(d, int) for d in op.shape):
        return None
    return Written(inline=lambda x: call("jnp.full", op.shape, op.value, Raw(f"jnp.{op.to}")))
