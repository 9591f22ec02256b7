"""Modules of flax.

linen  variables of an abstract ``init``; collections other than ``params`` are buffers
nnx    ``nnx.split``: ``Param``s are learned, statistics and caches are buffers, the state of
random numbers is neither
"""

from __future__ import annotations

from typing import Any

from netledger.graph import BUFFER, WEIGHT
from netledger.readers.jax_function.programs import (
    Program,
    abstract,
    argument_names,
    call_with,
    flatten_arguments,
    given_arguments,
    leaf_of,
    path_of,
    tensors_of,
)
from netledger.readers.jax_function.tokens import Calls, called_in_scopes
from netledger.readers.jax_function.values import Leaf


def linen(module: Any, inputs: Any) -> Program:
    """A module of flax.linen."""
    import jax
    from flax import linen as nn

    what = type(module).__name__
    given = given_arguments(inputs, what)
    args, kwargs = call_with(module.__call__, given, what, module)
    found, together = flatten_arguments(args, kwargs, argument_names(module.__call__))
    tensors, complete = tensors_of(found)
    keys = {name: jax.random.key(0) for name in ("params", "dropout")}

    def init(values: list[Any]) -> Any:
        positional, named = together(complete(values))
        return module.init(keys, *positional, **named)

    variables = jax.eval_shape(init, [abstract(t, 2) for _, t in tensors])
    keyed, tree = jax.tree_util.tree_flatten_with_path(variables)
    stored: list[tuple[Leaf | None, Any]] = []
    for path, aval in keyed:
        collection, own = path_of(path[:1]), path_of(path[1:])
        role = WEIGHT if collection == "params" else BUFFER
        stored.append((leaf_of(own.removesuffix(".value"), role, aval), aval))
    calls = Calls()

    def intercept(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__" or not context.module.path:
            return next_call(*args, **kwargs)
        groups = getattr(context.module, "num_groups", None)
        with calls.scope(context.module, ".".join(context.module.path), f"last:{groups or ''}"):
            return next_call(*args, **kwargs)

    def call(leaves: list[Any], values: list[Any]) -> Any:
        calls.restart()
        positional, named = together(complete(values))
        whole = jax.tree_util.tree_unflatten(tree, leaves)
        with nn.intercept_methods(intercept):
            return module.apply(whole, *positional, **named, rngs={"dropout": keys["dropout"]})

    return Program(what, call, stored, tensors)


def nnx(module: Any, inputs: Any) -> Program:
    """A module of flax.nnx; it may be abstract (``nnx.eval_shape``)."""
    import jax
    from flax import nnx as lib

    what = type(module).__name__
    given = given_arguments(inputs, what)
    args, kwargs = call_with(module.__call__, given, what)
    found, together = flatten_arguments(args, kwargs, argument_names(module.__call__))
    tensors, complete = tensors_of(found)
    graph, state = lib.split(module)
    flat = list(state.flat_state())
    leaves, tree = jax.tree_util.tree_flatten(state)
    stored: list[tuple[Leaf | None, Any]] = []
    for (path, variable), aval in zip(flat, leaves, strict=True):
        if isinstance(variable, lib.RngState):
            stored.append((None, aval))
        else:
            role = WEIGHT if isinstance(variable, lib.Param) else BUFFER
            stored.append((leaf_of(path_of(path), role, aval), aval))
    classes = {type(m) for _, m in lib.iter_modules(module)}
    calls = Calls()
    known: dict[int, tuple[str, Any]] = {}

    def call(values_stored: list[Any], values: list[Any]) -> Any:
        calls.restart()
        whole = lib.merge(graph, jax.tree_util.tree_unflatten(tree, values_stored))
        whole.eval()
        known.clear()
        known.update({id(m): (path_of(p), m) for p, m in lib.iter_modules(whole) if p})
        positional, named = together(complete(values))
        with called_in_scopes(lambda: known, classes, calls, "last"):
            return whole(*positional, **named)

    return Program(what, call, stored, tensors)
