"""A model as a function of what it stores and of what it is given, and what makes one.

Which of its tensors are stored is told by the kind of model: `modules`, `nests`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from netledger.errors import UsageError
from netledger.formula import Formula, substitute
from netledger.graph import BATCH, TensorType
from netledger.readers.inputs import Arguments, call_arguments, parse_type
from netledger.readers.jax_function.values import Leaf

_FLAGS: dict[str, bool] = {
    **dict.fromkeys(("train", "training", "is_training"), False),
    **dict.fromkeys(("deterministic", "use_running_average", "inference", "eval_mode"), True),
}
"""Arguments that choose between training and inference."""


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

    def batched(self) -> list[tuple[str, Any]]:
        """The inputs, the first axis of each as the batch; unless it is called on one sample."""
        return self.inputs if self.single else [(n, _first_as_batch(t)) for n, t in self.inputs]


def _first_as_batch(given: Any) -> Any:
    shape = tuple(d if isinstance(d, Formula) else int(d) for d in given.shape)
    dtype = given.dtype if isinstance(given, TensorType) else str(given.dtype)
    return TensorType((BATCH, *shape[1:]), dtype) if shape else given


def path_of(keys: Sequence[Any]) -> str:
    """A path in a nest: ``layers.0.weight``."""
    parts = (getattr(k, "name", getattr(k, "key", getattr(k, "idx", k))) for k in keys)
    return ".".join(str(p) for p in parts)


def _is_leaf(found: Any) -> bool:
    return isinstance(found, TensorType)


def call_with(
    call: Any, given: Arguments, what: str, chosen: Any = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with inference chosen where that is a choice.

    Args:
        call: The function.
        given: What the user gives.
        what: What it is called in messages.
        chosen: A module that may have chosen already, by an attribute of the same name.
    """
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return given.args, dict(given.kwargs)
    parameters = signature.parameters
    kwargs = dict(given.kwargs)
    names = list(parameters)
    unknown = [k for k in kwargs if k not in parameters]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown and not takes_any:
        raise UsageError(
            f"{what} has no argument {unknown[0]!r}", hint=f"it takes {', '.join(names)}"
        )
    for name in names[len(given.args) :]:
        merged = parameters[name].default is None and getattr(chosen, name, None) is not None
        if name in _FLAGS and name not in kwargs and not merged:
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
            hint="give it by its name: --input NAME=SHAPE, or ledger(model, {NAME: shape})",
        )
    return given.args, kwargs


def flatten_arguments(
    args: Any, kwargs: Any, names: Sequence[str]
) -> tuple[list[tuple[str, Any]], Any]:
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


def argument_names(call: Any) -> list[str]:
    """What the arguments of a function are called."""
    try:
        return list(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return []


def required(call: Any) -> list[str]:
    """The arguments of a function without a default."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty]


def tensors_of(found: list[tuple[str, Any]]) -> tuple[list[tuple[str, Any]], Callable[..., Any]]:
    """The arguments that are tensors; and a function that puts the others back among them."""
    tensors = [(n, v) for n, v in found if is_tensor(v)]

    def complete(values: list[Any]) -> list[Any]:
        given = iter(values)
        return [next(given) if is_tensor(v) else v for _, v in found]

    return tensors, complete


def is_tensor(found: Any) -> bool:
    """True for an array, an abstract one, and the type of one; a key of random numbers is none."""
    array = hasattr(found, "shape") and hasattr(found, "dtype")
    return isinstance(found, TensorType) or (array and not str(found.dtype).startswith("key<"))


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


def given_arguments(inputs: Any, what: str) -> Arguments:
    """What the user gives a model, arrays and nests of them as they are.

    Raises:
        UsageError: If nothing is given.
    """
    if inputs is None:
        raise UsageError(
            f"{what} does not say what it is called on",
            hint="give shapes without the batch: --input 224x224x3, ledger(model, (224, 224, 3))",
        )
    nests = type(inputs) in (tuple, list) and any(
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


def leaf_of(path: str, role: str, aval: Any) -> Leaf:
    """A stored tensor, from its abstract value."""
    return Leaf(path or "value", role, tuple(int(d) for d in aval.shape), str(aval.dtype))
