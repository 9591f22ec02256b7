"""Functions in functions: calls that are written out, loops, branches."""

from __future__ import annotations

from typing import Any

from netledger.errors import ShapeError
from netledger.graph import BATCH, Graph, TensorType, show_dim
from netledger.infer import infer
from netledger.ops import Constant, Expand, Gather
from netledger.readers.jax_function.build import Builder
from netledger.readers.jax_function.moves import reshaping
from netledger.readers.jax_function.recurrent import cell_loop
from netledger.readers.jax_function.trace import Equation, Pairing
from netledger.readers.jax_function.values import Value

INLINED = (
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_lin"),
    *(
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "custom_call_jaxpr",
        "run_state",
    ),
)
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _closed(jaxpr: Any) -> Any:
    """A jaxpr with what it captures."""
    if hasattr(jaxpr, "consts"):
        return jaxpr
    from jax.extend.core import ClosedJaxpr

    return ClosedJaxpr(jaxpr, ())


def inline(build: Builder, equation: Equation) -> list[Value]:
    """A call: what it calls is written out."""
    first, second = equation.raw
    key = next((k for k in _BODIES if k in first.params), None)
    if key is None:
        raise ShapeError("a call that does not say what it calls")
    pairing = Pairing(equation.modules, equation.scope)
    body = pairing.read(_closed(first.params[key]), _closed(second.params[key]))
    name = equation.params.get("name")
    function = equation.function or (name if isinstance(name, str) else "")
    if function:
        body = body._replace(
            equations=tuple(e._replace(function=e.function or function) for e in body.equations)
        )
    return build.walk(body, [build.value(v) for v in equation.inputs])


def scan(build: Builder, equation: Equation) -> list[Value]:
    """A loop of known length: its body once, on all steps side by side.

    Every tensor of the body gets an axis of steps in front, so that every count is that of all
    steps. What one step hands to the next is such a tensor too: the state at every step.
    """
    import jax
    from jax.extend.core import jaxpr_as_fun

    bodies = []
    for raw in equation.raw:
        p = raw.params
        consts, carried = p["num_consts"], p["num_carry"]
        body = p["jaxpr"]
        avals = body.in_avals
        steps = [None if i < consts else 0 for i in range(len(avals))]
        types = [
            jax.ShapeDtypeStruct(a.shape if at is None else (p["length"], *a.shape), a.dtype)
            for a, at in zip(avals, steps, strict=True)
        ]
        whole = jax.vmap(jaxpr_as_fun(body), in_axes=tuple(steps), axis_size=p["length"])
        bodies.append(jax.make_jaxpr(whole)(*types))
    length = equation.params["length"]
    if carried and not isinstance(length, int):
        raise ShapeError("a loop whose length depends on the batch")
    recurrent = cell_loop(build, equation) if carried else None
    if recurrent is not None:
        return recurrent
    inputs = []
    for i, variable in enumerate(equation.inputs):
        value = build.value(variable)
        inputs.append(
            _repeated(build, equation, value, length) if consts <= i < consts + carried else value
        )
    body = Pairing(equation.modules, equation.scope).read(*bodies)
    made = build.walk(body, inputs)
    states = [
        _last(build, equation, value, length, v.shape)
        for value, v in zip(made[:carried], equation.outputs, strict=False)
    ]
    return [*states, *made[carried:]]


def _repeated(build: Builder, equation: Equation, x: Value, length: int) -> Value:
    """The state that the first step begins with, in the place of those of all steps."""
    shape = (length, *x.shape)
    if x.constant:
        path = build.path(equation)
        title = f"{path}.state" if path else "state"
        op = Constant(shape, to=x.dtype)
        return build.emit(op, [], equation, stated=shape, title=title)
    if x.stored:
        wide = (1, *x.shape)
        chain = (*x.chain, reshaping(x.shape, wide), Expand(shape))
        return x._replace(shape=shape, axes=None, chain=chain)
    wide = (1, *x.shape)
    x = build.moved(reshaping(x.shape, wide), x, equation, wide)
    return build.moved(Expand(shape), x, equation, shape)


def _last(build: Builder, equation: Equation, x: Value, length: int, shape: Any) -> Value:
    """The state after the last step."""
    if x.constant:
        return x._replace(shape=shape)
    return build.emit(Gather(0), [x], equation, stated=shape)


def cond(build: Builder, equation: Equation) -> list[Value]:
    """One of several branches: their counts are known only where they are all the same."""
    pairs = zip(*(raw.params["branches"] for raw in equation.raw), strict=True)
    counts = [_count(equation, *pair) for pair in pairs]
    if None not in counts and len(set(counts)) == 1:
        macs = counts[0]
        build.opaque(
            equation, f"one of {len(counts)} branches runs, each with these products", macs
        )
    else:
        known = [c for c in counts if c is not None]
        span = f", of {min(known):,} to {max(known):,} multiply-accumulates" if known else ""
        build.opaque(equation, f"one of {len(counts)} branches runs{span}", None)
    return [build.values[id(v)] for v in equation.outputs]


def _count(equation: Equation, first: Any, second: Any) -> int | None:
    """The multiply-accumulates of a body, each sample by itself; None if they are not known."""
    body = Pairing(equation.modules).read(_closed(first), _closed(second))
    inner = Builder({}, ())
    names = [f"x{i}" for i in range(len(body.inputs))]
    values = [inner.made(n, v.shape, v.dtype) for n, v in zip(names, body.inputs, strict=True)]
    outputs = inner.finish(inner.walk(body, values))
    types = {n: TensorType(v.shape, v.dtype) for n, v in zip(names, body.inputs, strict=True)}
    totals = infer(Graph("branch", types, tuple(inner.nodes), outputs)).totals
    return totals.macs if "macs" not in totals.unknown and isinstance(totals.macs, int) else None


def devices(build: Builder, equation: Equation) -> list[Value]:
    """``shard_map``, which ``pmap`` is too: every device runs the body on its part."""
    first, second = (raw.params for raw in equation.raw)
    each, many = _count(equation, first["jaxpr"], second["jaxpr"]), first["mesh"].size
    if many != second["mesh"].size:  # as many devices as samples
        many = BATCH
    said = "each on its part" if each is not None else "and no rule describes all of what one does"
    why = f"{show_dim(many)} devices run it, {said}"
    build.opaque(equation, why, None if each is None else many * each)
    return [build.values[id(v)] for v in equation.outputs]


def loop(build: Builder, equation: Equation) -> list[Value]:
    """A loop whose number of steps depends on the data."""
    build.opaque(equation, "the number of steps of this loop depends on the data", None)
    return [build.values[id(v)] for v in equation.outputs]
