"""What the model is: a function of what it stores and of what it is given.

flax.linen   variables of an abstract ``init``; collections other than ``params`` are buffers
flax.nnx     ``nnx.split``; ``Param``s are learned, statistics and caches are buffers, the
state of random numbers is neither
equinox      the arrays in the module; those of whole numbers are buffers
a function   what is bound by ``functools.partial`` or captured, and arguments that are nests
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from netledger.errors import UsageError
from netledger.formula import Formula, substitute
from netledger.graph import BATCH, BUFFER, WEIGHT, TensorType
from netledger.readers.inputs import Arguments, call_arguments, parse_type
from netledger.readers.jax_function.tokens import Calls, called_in_scopes
from netledger.readers.jax_function.values import Leaf

_FLAGS: dict[str, bool] = {
    **dict.fromkeys(("train", "training", "is_training"), False),
    **dict.fromkeys(("deterministic", "use_running_average", "inference", "eval_mode"), True),
}
"""Arguments that choose between training and inference."""
_STORES = ("params", "variables", "weights", "model", "state", "theta", "parameters")
"""Arguments of a function that are what it stores."""


class Program(NamedTuple):
    """A model as a function.

    Attributes:
        name: What it is called.
        call: Takes what is stored and the arguments, both as flat lists; returns what it makes.
        stored: Each stored tensor, with its abstract value; those of one path are one.
        inputs: Each argument that is a tensor: its name and type; None for one that is no input.
        captures: True for a plain function, whose captured arrays are parameters.
        single: True if it is called on one sample, without a batch.
    """

    name: str
    call: Callable[[list[Any], list[Any]], Any]
    stored: list[tuple[Leaf | None, Any]]
    inputs: list[tuple[str, Any]]
    captures: bool = False
    single: bool = False

    def batched(self) -> list[tuple[str, Any]] | None:
        """The inputs with the first axis of every array as the batch; None if that is no change."""
        if self.single or all(isinstance(t, TensorType) for _, t in self.inputs):
            return None
        return [(name, _first_as_batch(t)) for name, t in self.inputs]


def _first_as_batch(given: Any) -> Any:
    if isinstance(given, TensorType) or not given.shape:
        return given
    return TensorType((BATCH, *map(int, given.shape[1:])), str(given.dtype))


def program(thing: Any, inputs: Any) -> Program:
    """The function that a model is.

    Raises:
        UsageError: If the inputs do not fit it.
    """
    for kind in type(thing).__mro__:
        packages = kind.__module__.split(".")
        for package, make in (("linen", linen), ("nnx", nnx), ("equinox", equinox)):
            if kind.__name__ == "Module" and package in packages[:2]:
                return make(thing, inputs)
    return function(thing, inputs)


def path_of(keys: Sequence[Any]) -> str:
    """A path in a nest: ``layers.0.weight``."""
    parts = (getattr(k, "name", getattr(k, "key", getattr(k, "idx", k))) for k in keys)
    return ".".join(str(p) for p in parts)


def _is_leaf(found: Any) -> bool:
    return isinstance(found, TensorType)


def _arguments(call: Any, given: Arguments, what: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with inference chosen where that is a choice."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return given.args, dict(given.kwargs)
    parameters = signature.parameters
    kwargs = dict(given.kwargs)
    names = [n for n in parameters if n != "self"]
    unknown = [k for k in kwargs if k not in parameters]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown and not takes_any:
        raise UsageError(
            f"{what} has no argument {unknown[0]!r}", hint=f"it takes {', '.join(names)}"
        )
    for name in names[len(given.args) :]:
        if name in _FLAGS and name not in kwargs:
            kwargs[name] = _FLAGS[name]
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        n
        for n in names[len(given.args) :]
        if n not in (*kwargs, "key", "rng", "state")
        and parameters[n].default is inspect.Parameter.empty
        and parameters[n].kind not in free
    ]
    if missing:
        raise UsageError(
            f"{what} needs the argument {missing[0]!r}",
            hint="give shapes: netledger.ledger(model, (224, 224, 3)), or name them in a mapping",
        )
    return given.args, kwargs


def _flatten(args: Any, kwargs: Any, names: Sequence[str]) -> tuple[list[tuple[str, Any]], Any]:
    """Every tensor in the arguments by name, and how to put arguments together again."""
    import jax

    keyed, tree = jax.tree_util.tree_flatten_with_path((args, kwargs), is_leaf=_is_leaf)
    found: list[tuple[str, Any]] = []
    for keys, leaf in keyed:
        (side, first, *rest) = keys
        name = first.key if side.idx else names[first.idx] if first.idx < len(names) else ""
        name = name or f"input_{first.idx}"
        found.append((".".join(filter(None, (name, path_of(rest)))), leaf))

    def together(leaves: list[Any]) -> Any:
        return jax.tree_util.tree_unflatten(tree, leaves)

    return found, together


def _names(call: Any) -> list[str]:
    try:
        return [n for n in inspect.signature(call).parameters if n != "self"]
    except (TypeError, ValueError):
        return []


def _tensors(found: list[tuple[str, Any]]) -> tuple[list[tuple[str, Any]], Callable[..., Any]]:
    """The arguments that are tensors; and a function that puts the others back among them."""
    tensors = [(n, v) for n, v in found if _is_tensor(v)]

    def complete(values: list[Any]) -> list[Any]:
        given = iter(values)
        return [next(given) if _is_tensor(v) else v for _, v in found]

    return tensors, complete


def _is_tensor(found: Any) -> bool:
    return isinstance(found, TensorType) or (hasattr(found, "shape") and hasattr(found, "dtype"))


def abstract(given: Any, batch: int) -> Any:
    """An abstract value of a tensor, at a batch size."""
    import jax
    import jax.numpy as jnp

    if not isinstance(given, TensorType):
        shape = tuple(int(d) for d in given.shape)
        return jax.ShapeDtypeStruct(shape, given.dtype)
    sizes = [substitute(d, {"N": batch}) if isinstance(d, Formula) else d for d in given.shape]
    if not all(isinstance(d, int) for d in sizes):
        raise UsageError(
            f"JAX needs every size but the batch as a number; got {given}", hint="give numbers"
        )
    return jax.ShapeDtypeStruct(tuple(sizes), jnp.dtype(given.dtype))


def _given(inputs: Any, what: str) -> Arguments:
    if inputs is None:
        raise UsageError(
            f"{what} does not say what it is called on",
            hint="give shapes without the batch: netledger.ledger(model, (224, 224, 3))",
        )
    nests = isinstance(inputs, tuple | list) and any(
        not isinstance(i, str | int | Formula | TensorType | list) and not _shape(i) for i in inputs
    )
    if nests:  # arguments, some of which are arrays or nests of them
        return Arguments(tuple(_argument(i) for i in inputs))
    return call_arguments(inputs)


def _shape(found: Any) -> bool:
    return (
        isinstance(found, tuple)
        and not hasattr(found, "_fields")
        and all(isinstance(d, int | Formula) for d in found)
    )


def _argument(found: Any) -> Any:
    if isinstance(found, TensorType):
        return found
    return parse_type(found) if isinstance(found, str) or _shape(found) else found


def linen(module: Any, inputs: Any) -> Program:
    """A module of flax.linen."""
    import jax
    from flax import linen as nn

    what = type(module).__name__
    given = _given(inputs, what)
    args, kwargs = _arguments(type(module).__call__, given, what)
    found, together = _flatten(args, kwargs, _names(type(module).__call__))
    tensors, complete = _tensors(found)
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
        stored.append((_leaf(own.removesuffix(".value"), role, aval), aval))
    calls = Calls()

    def intercept(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__" or not context.module.path:
            return next_call(*args, **kwargs)
        groups = getattr(context.module, "num_groups", None)
        with calls.scope(context.module, ".".join(context.module.path), f"last:{groups or ''}"):
            return next_call(*args, **kwargs)

    def call(leaves: list[Any], values: list[Any]) -> Any:
        calls.__init__()  # type: ignore[misc]
        positional, named = together(complete(values))
        whole = jax.tree_util.tree_unflatten(tree, leaves)
        with nn.intercept_methods(intercept):
            return module.apply(whole, *positional, **named, rngs={"dropout": keys["dropout"]})

    return Program(what, call, stored, tensors)


def _leaf(path: str, role: str, aval: Any) -> Leaf:
    return Leaf(path or "value", role, tuple(int(d) for d in aval.shape), str(aval.dtype))


def nnx(module: Any, inputs: Any) -> Program:
    """A module of flax.nnx; it may be abstract (``nnx.eval_shape``)."""
    import jax
    from flax import nnx as lib

    what = type(module).__name__
    given = _given(inputs, what)
    args, kwargs = _arguments(type(module).__call__, given, what)
    found, together = _flatten(args, kwargs, _names(type(module).__call__))
    tensors, complete = _tensors(found)
    graph, state = lib.split(module)
    flat = list(state.flat_state())
    leaves, tree = jax.tree_util.tree_flatten(state)
    stored: list[tuple[Leaf | None, Any]] = []
    for (path, variable), aval in zip(flat, leaves, strict=True):
        if isinstance(variable, lib.RngState):
            stored.append((None, aval))
        else:
            role = WEIGHT if isinstance(variable, lib.Param) else BUFFER
            stored.append((_leaf(path_of(path), role, aval), aval))
    classes = {type(m) for _, m in lib.iter_modules(module)}
    calls = Calls()
    known: dict[int, tuple[str, Any]] = {}

    def call(values_stored: list[Any], values: list[Any]) -> Any:
        calls.__init__()  # type: ignore[misc]
        whole = lib.merge(graph, jax.tree_util.tree_unflatten(tree, values_stored))
        whole.eval()
        known.clear()
        known.update({id(m): (path_of(p), m) for p, m in lib.iter_modules(whole) if p})
        positional, named = together(complete(values))
        with called_in_scopes(lambda: known, classes, calls, "last"):
            return whole(*positional, **named)

    return Program(what, call, stored, tensors)


def equinox(module: Any, inputs: Any) -> Program:
    """A module of Equinox; it takes one sample, so that shapes are mapped over the batch."""
    import equinox as eqx
    import jax

    what = type(module).__name__
    given = _given(inputs, what)
    module = eqx.nn.inference_mode(module)
    args, kwargs = _arguments(type(module).__call__, given, what)
    names = _names(type(module).__call__)
    found, together = _flatten(args, kwargs, names)
    tensors, complete = _tensors(found)
    state = eqx.nn.State(module) if "state" in names and "state" not in kwargs else None
    arrays = (jax.Array, jax.ShapeDtypeStruct)
    dynamic, static = eqx.partition(
        (module, state), lambda v: isinstance(v, arrays) or eqx.is_array(v)
    )
    places = jax.tree_util.tree_leaves(module, is_leaf=lambda v: isinstance(v, eqx.nn.StateIndex))
    kept = [p.init for p in places if isinstance(p, eqx.nn.StateIndex)]
    stored, tree = _arrays(dynamic, 1, {id(v) for v in jax.tree_util.tree_leaves(kept)})
    calls = Calls()
    known: dict[int, tuple[str, Any]] = {}
    classes = {type(m) for _, m in _eqx_modules(module, "", eqx.Module)}
    takes_key = "key" in names and "key" not in kwargs
    mapped = all(isinstance(t, TensorType) for _, t in tensors)

    def call(leaves: list[Any], values: list[Any]) -> Any:
        calls.__init__()  # type: ignore[misc]
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


def _arrays(
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
        leaf = seen.setdefault(id(value), _leaf(own, WEIGHT if learned else BUFFER, value))
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
    given = _given(inputs, what)
    names = [n for n in _names(inner)][len(bound) :]
    args, kwargs = _arguments(thing, given, what)
    stores: dict[int | str, Any] = {}
    every: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for key, value in every:
        name = key if isinstance(key, str) else names[key] if key < len(names) else ""
        nest = not _is_tensor(value) and any(
            hasattr(leaf, "shape") for leaf in jax.tree_util.tree_leaves(value)
        )
        first = key == 0 and len(args) + len(kwargs) > 1 and not bound
        if nest and (name in _STORES or first):
            stores[key] = value
    stored, tree = _arrays((bound, bound_names, list(stores.values())))
    stored = [(_shorter(leaf, bound, stores), aval) for leaf, aval in stored]
    plain_args = tuple(None if i in stores else v for i, v in enumerate(args))
    plain_kwargs = {k: None if k in stores else v for k, v in kwargs.items()}
    found, together = _flatten(plain_args, plain_kwargs, names)
    tensors, complete = _tensors(found)

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
    return leaf._replace(path=".".join(kept) or leaf.path)


__all__ = ["Program", "abstract", "path_of", "program"]
