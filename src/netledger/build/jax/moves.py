"""Functions of each number, and what moves numbers, in the words of JAX."""

from __future__ import annotations

from typing import Any

from netledger.build.source.expression import Call, Items, Raw, call
from netledger.build.source.functions import attends, inline, slices
from netledger.build.source.kinds import Written
from netledger.build.source.plan import LINEAR, Site, batch_free, whole_steps
from netledger.ops.base import distinct_axes, each_axis
from netledger.ops.window import pads

FUNCTIONS = {
    "relu": "nnx.relu",
    "relu6": "nnx.relu6",
    "leaky_relu": "nnx.leaky_relu",
    "elu": "nnx.elu",
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
    if site.op.function == "gelu":
        return inline("nnx.gelu", approximate=False)
    function = FUNCTIONS.get(site.op.function)
    return inline(function) if function else None  # the bounds of a clip are not kept


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


def flatten(site: Site) -> Written:
    """A reshape; the batch stays open."""
    first, last = site.op.start_dim % site.rank, site.op.end_dim % site.rank
    if (first, last) == (1, site.rank - 1):
        return Written(inline=lambda x: Raw(f"{x[0]}.reshape({x[0]}.shape[0], -1)"))
    return reshape(site)


def reshape(site: Site) -> Written:
    """``reshape``; the batch stays open."""
    shape = batch_free(site.made)
    return Written(inline=lambda x: call(f"{x[0]}.reshape", *shape))


def permute(site: Site) -> Written:
    """``transpose``."""
    order = each_axis(site.op.order, 1)
    return Written(inline=lambda x: call(f"{x[0]}.transpose", *order))


def expand(site: Site) -> Written | None:
    """``jnp.broadcast_to``, if no size follows from another tensor."""
    first, *rest = site.made
    if isinstance(first, int):
        return inline("jnp.broadcast_to", site.made)
    if site.shape[0] is not first:
        return None

    def write(x: tuple[str, ...]) -> Any:
        shape = Items((Raw(f"{x[0]}.shape[0]"), *rest), "()")
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
    return inline(f"jnp.{op.function}", axis=axes, **keep)


def border(site: Site) -> Written | None:
    """``jnp.pad``."""
    op = site.op
    whole = op.whole(site.rank)
    found = pads(op.padding, site.rank if whole else site.rank - 2)
    widths = tuple((before, both - before) for before, both in found)
    widths = widths if whole else ((0, 0), *widths, (0, 0))
    mode = getattr(op, "mode", "zeros")
    if mode == "constant" or any(w < 0 for pair in widths for w in pair):
        return None
    value = float("-inf") if mode == "lowest" else 0.0
    if mode in ("reflect", "edge", "wrap"):
        return inline("jnp.pad", widths, mode=mode)
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


def attention(site: Site) -> Written | None:
    """Softmax of the scores, times the values; without a mask."""
    if not attends(site):
        return None
    size = site.shape[-1]

    def write(x: tuple[str, ...]) -> Any:
        query, keys, values = x
        return Raw(f"nnx.softmax({query} @ {keys}.swapaxes(-1, -2) / {size}**0.5) @ {values}")

    return Written(inline=write)
