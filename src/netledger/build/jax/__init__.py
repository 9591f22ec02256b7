"""Graph → JAX: a flax ``nnx.Module`` in source code, or live.

The built model takes maps as flax has them, channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netledger.build.jax.code import Plan
from netledger.build.jax.weights import storage
from netledger.build.source.live import execute
from netledger.build.source.natural import inverse
from netledger.build.source.weights import Carrier
from netledger.graph import Graph

if TYPE_CHECKING:
    from netledger.build import Weights


def source(graph: Graph) -> str:
    """The source code of a module that runs by itself."""
    return Plan.of(graph).source()


def make(graph: Graph) -> Any:
    """A live ``flax.nnx.Module``, made by executing the source code."""
    from flax import nnx

    plan = Plan.of(graph)
    return execute(plan.source(), plan.name)[plan.name](rngs=nnx.Rngs(0))


def weights(model: Any, graph: Graph) -> Weights:
    """Copies of its weights and running statistics, in canonical layout."""
    import numpy as np

    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    found = {}
    for key in carrier.shapes:
        store = storage(graph.node(key[0]), key[1])
        array = np.array(variable(model, plan, key)[...])
        found[key] = carrier.out(key, store.out(array))
    return found


def load(model: Any, graph: Graph, weights: Weights) -> None:
    """Puts weights into the model."""
    import jax.numpy as jnp

    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    for key in carrier.shapes:
        store = storage(graph.node(key[0]), key[1])
        kept = variable(model, plan, key)
        kept[...] = jnp.asarray(store.into(carrier.into(key, weights)), dtype=kept[...].dtype)


def run(model: Any, graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """Outputs in the axis order of the graph, in evaluation mode."""
    import jax.numpy as jnp
    import numpy as np

    net = Plan.of(graph).net
    given = []
    for name, array in zip(graph.inputs, arrays, strict=True):
        axes = net.permuted(name, np.ndim(array))
        given.append(jnp.asarray(np.transpose(array, axes) if axes else array))
    model.eval()
    made = model(*given)
    model.train()
    found = []
    results = made if isinstance(made, tuple) else (made,)
    for value, result in zip(graph.outputs, results, strict=True):
        array = np.asarray(result)
        axes = net.permuted(value, array.ndim)
        found.append(np.transpose(array, inverse(axes)) if axes else array)
    return found


def variable(model: Any, plan: Plan, key: tuple[str, str]) -> Any:
    """The variable in the model that is a parameter of a node."""
    found = model
    for part in plan.place(*key):
        found = found[part] if isinstance(part, int) else getattr(found, part)
    return found
