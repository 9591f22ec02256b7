"""Graph → Keras: a ``keras.Model`` in source code, or live, whatever Keras' backend is.

The built model takes maps as Keras has them, channels last. Where the graph has them first, the
columns of a ``Dense`` behind a flattened map are reordered when weights are carried over, so the
function stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netledger.build.keras.code import Plan
from netledger.build.keras.weights import storage
from netledger.build.source.live import execute
from netledger.build.source.natural import inverse
from netledger.build.source.weights import Carrier
from netledger.graph import Graph
from netledger.keras_backend import ready
from netledger.ops.base import Op

if TYPE_CHECKING:
    from netledger.build import Weights


def source(graph: Graph) -> str:
    """The source code of a function that returns the model; it runs by itself."""
    return Plan.of(graph).source()


def make(graph: Graph) -> Any:
    """A live ``keras.Model``, made by executing the source code."""
    ready()
    import keras  # noqa: F401  (a clear error if it is missing)

    plan = Plan.of(graph)
    return execute(plan.source(), plan.name)[plan.name]()


def weights(model: Any, graph: Graph) -> Weights:
    """Copies of its weights and running statistics, in canonical layout."""
    import numpy as np

    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    found = {}
    for key, shape in carrier.shapes.items():
        stored = storage(_op(plan, key), key[1])
        kept = _numpy(_variable(model, plan, key))
        array = np.ascontiguousarray(stored.out(kept).reshape(shape))
        found[key] = carrier.out(key, array)
    return found


def load(model: Any, graph: Graph, weights: Weights) -> None:
    """Puts weights into the model."""
    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    for key in carrier.shapes:
        variable = _variable(model, plan, key)
        stored = storage(_op(plan, key), key[1])
        variable.assign(stored.into(carrier.into(key, weights), _numpy(variable)))


def run(model: Any, graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """Outputs in the axis order of the graph, as for inference."""
    import numpy as np

    net = Plan.of(graph).net
    given = []
    for name, array in zip(graph.inputs, arrays, strict=True):
        axes = net.permuted(name, np.ndim(array))
        given.append(np.ascontiguousarray(np.transpose(array, axes) if axes else array))
    made = model(given[0] if len(given) == 1 else given, training=False)
    made = made if isinstance(made, list | tuple) else [made]
    found = []
    for value, tensor in zip(graph.outputs, made, strict=True):
        array = _numpy(tensor)
        axes = net.permuted(value, array.ndim)
        found.append(np.transpose(array, inverse(axes)) if axes else array)
    return found


def _numpy(tensor: Any) -> Any:
    """Keras' tensor as an array; its PyTorch backend asks NumPy in a way that NumPy warns of."""
    import warnings

    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return keras.ops.convert_to_numpy(tensor)


def _op(plan: Plan, key: tuple[str, str]) -> Op:
    return plan.net.origin.node(key[0]).op


def _variable(model: Any, plan: Plan, key: tuple[str, str]) -> Any:
    """The variable in the model that is a parameter of a node."""
    found = model.get_layer(plan.layers[key[0]])
    for name in storage(_op(plan, key), key[1]).path.split("."):
        found = getattr(found, name)
    return found
