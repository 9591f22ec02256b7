"""Live JAX models: any function of arrays, and the modules of flax (linen, nnx) and Equinox.

The function is traced on abstract arrays: nothing is computed, nothing is allocated. Every
primitive becomes an operation by a table; what is stored is told from what is given by the kind of
model (`modules`, `nests`).
"""

from __future__ import annotations

import sys
from typing import Any

from netledger.errors import NetledgerError, UsageError
from netledger.graph import Graph, Shape, TensorType

_LIBRARIES = ("flax", "equinox")


def accepts_live(thing: object) -> bool:
    """True for a module of flax or Equinox; for any function, where JAX is in use."""
    roots = {kind.__module__.partition(".")[0] for kind in type(thing).__mro__}
    if roots.intersection(_LIBRARIES):
        return callable(thing)
    return "jax" in sys.modules and callable(thing) and not isinstance(thing, type)


def read_live(thing: Any, inputs: Any = None) -> Graph:
    """The graph of a model or function on abstract inputs.

    Raises:
        NetledgerError: If the inputs do not fit, or the model's own code fails.
    """
    what = getattr(thing, "__name__", type(thing).__name__)
    try:
        return _graph(_program(thing, inputs))
    except NetledgerError:
        raise
    except Exception as error:  # whatever the user's own code raises
        said = " ".join(str(error).split())[:400]
        raise UsageError(
            f"calling {what} on abstract arrays failed: {type(error).__name__}: {said}",
            hint="check the shapes of the inputs; they are given without the batch",
        ) from None


def _program(thing: Any, inputs: Any) -> Any:
    """The model as a function, by its kind."""
    from netledger.readers.jax_function import modules, nests

    kinds = {"linen": modules.linen, "nnx": modules.nnx, "equinox": nests.equinox}
    for kind in type(thing).__mro__:
        for package in kind.__module__.split(".")[:2]:
            if kind.__name__ == "Module" and package in kinds:
                return kinds[package](thing, inputs)
    return nests.function(thing, inputs)


def _graph(found: Any) -> Graph:
    from netledger.readers.jax_function.build import Builder
    from netledger.readers.jax_function.values import Leaf, Value

    body, types = _traced(found)
    leaves: dict[str, Leaf] = {}
    values = []
    for (leaf, _), variable in zip(found.stored, body.inputs, strict=False):
        if leaf is None:
            values.append(Value(variable.shape, variable.dtype))
            continue
        leaves.setdefault(leaf.path, leaf)
        axes = tuple(range(len(leaf.shape)))
        values.append(Value(variable.shape, variable.dtype, stored=leaf.path, axes=axes))
    names = list(types)
    build = Builder(leaves, names, plain=found.captures)
    for name, variable in zip(names, body.inputs[len(values) :], strict=True):
        values.append(build.made(name, variable.shape, variable.dtype))
    outputs = build.finish(build.walk(body, values))
    ties = tuple(tuple(uses) for uses in build.uses.values() if len(uses) > 1)
    return Graph(found.name, types, tuple(build.nodes), outputs, ties, reader="jax_function")


def _traced(found: Any) -> tuple[Any, dict[str, TensorType]]:
    """The body of a program, and the types of its inputs; with the batch as N where that works."""
    import jax

    from netledger.readers.jax_function.programs import abstract
    from netledger.readers.jax_function.trace import SIZES, Pairing, dtype_of

    stored = [aval for _, aval in found.stored]

    def trace(inputs: Any, batch: int) -> Any:
        return jax.make_jaxpr(found.call)(stored, [abstract(t, batch) for _, t in inputs])

    def both(inputs: Any) -> Any:
        return Pairing().read(trace(inputs, SIZES[0]), trace(inputs, SIZES[1]))

    try:
        body = both(found.batched())
    except Exception:  # it has no batch, or one that cannot be changed
        alone = trace(found.inputs, 1)
        body = Pairing().read(alone, alone)
    types: dict[str, TensorType] = {}
    for (name, _), variable in zip(found.inputs, body.inputs[len(stored) :], strict=True):
        shape: Shape = variable.shape
        types[name] = TensorType(shape, dtype_of(variable))
    return body, types


__all__ = ["accepts_live", "read_live"]
