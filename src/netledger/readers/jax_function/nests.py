"""Models whose arrays lie in a nest: modules of Equinox, and functions.

Equinox     the arrays in the module; those of whole numbers, and states, are buffers
a function  what is bound by ``functools.partial``, and arguments that are nests of arrays
"""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping
from typing import Any

from netledger.graph import BUFFER, WEIGHT, TensorType
from netledger.readers.jax_function.programs import (
    Program,
    argument_names,
    call_with,
    flatten_arguments,
    given_arguments,
    is_tensor,
    leaf_of,
    path_of,
    required,
    tensors_of,
)
from netledger.readers.jax_function.tokens import Calls, called_in_scopes
from netledger.readers.jax_function.values import Leaf

_STORES = ("params", "variables", "weights", "model", "state", "theta", "parameters")
"""Arguments of a function that are what it stores."""


def equinox(module: Any, inputs: Any) -> Program:
    """A module of Equinox; it takes one sample, so that shapes are mapped over the batch."""
    import equinox as eqx
    import jax

    what = type(module).__name__
    given = given_arguments(inputs, what)
    module = eqx.nn.inference_mode(module)
    args, kwargs = call_with(module.__call__, given, what)
    names = argument_names(module.__call__)
    found, together = flatten_arguments(args, kwargs, names)
    tensors, complete = tensors_of(found)
    state = eqx.nn.State(module) if "state" in names and "state" not in kwargs else None
    arrays = (jax.Array, jax.ShapeDtypeStruct)
    dynamic, static = eqx.partition(
        (module, state), lambda v: isinstance(v, arrays) or eqx.is_array(v)
    )
    places = jax.tree_util.tree_leaves(module, is_leaf=lambda v: isinstance(v, eqx.nn.StateIndex))
    kept = [p.init for p in places if isinstance(p, eqx.nn.StateIndex)]
    stored, tree = arrays_of(dynamic, 1, {id(v) for v in jax.tree_util.tree_leaves(kept)})
    calls = Calls()
    known: dict[int, tuple[str, Any]] = {}
    classes = {type(m) for _, m in _eqx_modules(module, "", eqx.Module)}
    takes_key = "key" in names and "key" not in kwargs
    mapped = all(isinstance(t, TensorType) for _, t in tensors)

    def call(leaves: list[Any], values: list[Any]) -> Any:
        calls.restart()
        whole, kept = eqx.combine(jax.tree_util.tree_unflatten(tree, leaves), static)
        known.clear()
        known.update({id(m): (p, m) for p, m in _eqx_modules(whole, "", eqx.Module) if p})
        extra: dict[str, Any] = {} if kept is None else {"state": kept}
        if takes_key:
            extra["key"] = jax.random.key(0)

        def one(values: list[Any]) -> Any:
            positional, named = together(complete(values))
            made = whole(*positional, **named, **extra)
            return made[0] if kept is not None and isinstance(made, tuple) else made

        with called_in_scopes(lambda: known, classes, calls, "first"):
            return jax.vmap(one, axis_name="batch")(values) if mapped else one(values)

    return Program(what, call, stored, tensors, single=not mapped)


def arrays_of(
    nest: Any, strip: int = 0, states: Container[int] = ()
) -> tuple[list[tuple[Leaf | None, Any]], Any]:
    """Every array of a nest, those that are one and the same under one path.

    Args:
        nest: The nest.
        strip: How many steps of its paths are no part of a name.
        states: The identities of arrays that are not learned.
    """
    import jax
    import jax.numpy as jnp

    keyed, tree = jax.tree_util.tree_flatten_with_path(nest)
    stored: list[tuple[Leaf | None, Any]] = []
    seen: dict[int, Leaf] = {}
    for path, value in keyed:
        aval = jax.ShapeDtypeStruct(value.shape, value.dtype)
        floating = jnp.issubdtype(value.dtype, jnp.inexact)
        if not floating and not value.shape:  # a counter
            stored.append((None, aval))
            continue
        learned = floating and id(value) not in states
        own = path_of(path[strip:]) or "value"
        leaf = seen.setdefault(id(value), leaf_of(own, WEIGHT if learned else BUFFER, value))
        stored.append((leaf, aval))
    return stored, tree


def _eqx_modules(found: Any, path: str, base: type) -> list[tuple[str, Any]]:
    """Every module in a module, by path."""
    own = [(path, found)] if isinstance(found, base) else []
    if isinstance(found, base):
        inner = [(k, getattr(found, k, None)) for k in getattr(found, "__dataclass_fields__", ())]
    elif isinstance(found, Mapping):
        inner = [(str(k), v) for k, v in found.items()]
    elif isinstance(found, list | tuple):
        inner = [(str(i), v) for i, v in enumerate(found)]
    else:
        inner = []
    for key, value in inner:
        own += _eqx_modules(value, f"{path}.{key}" if path else key, base)
    return own


def function(thing: Any, inputs: Any) -> Program:
    """Any other function: arguments that are nests of arrays are what it stores."""
    import jax

    bound: tuple[Any, ...] = ()
    bound_names: dict[str, Any] = {}
    inner = thing
    if isinstance(thing, functools.partial):
        inner, bound, bound_names = thing.func, thing.args, dict(thing.keywords)
    what = getattr(inner, "__name__", type(inner).__name__)
    given = given_arguments(inputs, what)
    names = [n for n in argument_names(inner)][len(bound) :]
    args, kwargs = call_with(thing, given, what)
    needed = required(thing)[len(args) :]
    kwargs |= {n: jax.random.key(0) for n in needed if n in ("key", "rng") and n not in kwargs}
    stores: dict[int | str, Any] = {}
    every: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for key, value in every:
        name = key if isinstance(key, str) else names[key] if key < len(names) else ""
        nest = not is_tensor(value) and any(
            hasattr(leaf, "shape") for leaf in jax.tree_util.tree_leaves(value)
        )
        first = key == 0 and len(args) + len(kwargs) > 1 and not bound
        if nest and (name in _STORES or first):
            stores[key] = value
    stored, tree = arrays_of((bound, bound_names, list(stores.values())))
    stored = [(_shorter(leaf, bound, stores), aval) for leaf, aval in stored]
    plain_args = tuple(None if i in stores else v for i, v in enumerate(args))
    plain_kwargs = {k: None if k in stores else v for k, v in kwargs.items()}
    found, together = flatten_arguments(plain_args, plain_kwargs, names)
    tensors, complete = tensors_of(found)

    def call(leaves: list[Any], values: list[Any]) -> Any:
        first, named_first, nests = jax.tree_util.tree_unflatten(tree, leaves)
        positional, named = together(complete(values))
        by_key = dict(zip(stores, nests, strict=True))
        positional = tuple(by_key.get(i, v) for i, v in enumerate(positional))
        named = {k: by_key.get(k, v) for k, v in named.items()}
        return inner(*first, *positional, **named_first, **named)

    return Program(what, call, stored, tensors, captures=True)


def _shorter(leaf: Leaf | None, bound: Any, stores: Any) -> Leaf | None:
    """A leaf without the places of its nest: ``0.0.layer.kernel`` → ``layer.kernel``."""
    if leaf is None:
        return None
    steps = leaf.path.split(".")
    named = steps[0] == "1"
    several = len(bound) + len(stores) > 1 and not named
    kept = steps[1:] if named or several else steps[2:]
    collection = kept[0] if len(kept) > 1 and kept[0] in ("params", "batch_stats") else ""
    kept = kept[1:] if collection else kept  # variables of flax.linen
    role = BUFFER if collection == "batch_stats" else leaf.role
    return leaf._replace(path=".".join(kept) or leaf.path, role=role)
