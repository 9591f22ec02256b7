"""Graph → PyTorch: an ``nn.Module`` in source code, or live.

The built model takes maps as PyTorch has them, channels first. Where the graph has them last, the
columns of a ``Linear`` behind a flattened map are reordered when weights are carried over, so the
function stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netledger import ops
from netledger.build.source.live import execute
from netledger.build.source.natural import inverse
from netledger.build.source.weights import Carrier
from netledger.build.torch.code import Plan
from netledger.graph import Graph
from netledger.ops.norm import ChannelNorm

if TYPE_CHECKING:
    from netledger.build import Weights


def source(graph: Graph) -> str:
    """The source code of a module that runs by itself."""
    return Plan.of(graph).source()


def make(graph: Graph) -> Any:
    """A live ``torch.nn.Module``, made by executing the source code."""
    import torch  # noqa: F401  (a clear error if it is missing)

    plan = Plan.of(graph)
    return execute(plan.source(), plan.name)[plan.name]()


def weights(model: Any, graph: Graph) -> Weights:
    """Copies of its weights and running statistics, in canonical layout."""
    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    return {
        key: carrier.out(key, _tensor(model, plan, key).detach().cpu().numpy().copy())
        for key in carrier.shapes
    }


def load(model: Any, graph: Graph, weights: Weights) -> None:
    """Puts weights into the model."""
    import torch

    plan = Plan.of(graph)
    carrier = Carrier(plan.net)
    with torch.no_grad():
        for key in carrier.shapes:
            array = carrier.into(key, weights)
            _tensor(model, plan, key).copy_(torch.from_numpy(array.copy()))


def run(model: Any, graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    """Outputs in the axis order of the graph, in evaluation mode, without gradients."""
    import numpy as np
    import torch

    net = Plan.of(graph).net
    given = []
    for name, array in zip(graph.inputs, arrays, strict=True):
        axes = net.permuted(name, np.ndim(array))
        moved = np.transpose(array, axes) if axes else np.asarray(array)
        given.append(torch.from_numpy(np.ascontiguousarray(moved)))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            made = model(*given)
    finally:
        model.train(training)
    found = []
    for value, tensor in zip(
        graph.outputs, made if isinstance(made, tuple) else (made,), strict=True
    ):
        array = tensor.cpu().numpy()
        axes = net.permuted(value, array.ndim)
        found.append(np.transpose(array, inverse(axes)) if axes else array)
    return found


def _tensor(model: Any, plan: Plan, key: tuple[str, str]) -> Any:
    """The tensor in the model that is a parameter of a node."""
    node, parameter = key
    op, module = plan.net.origin.node(node).op, model.get_submodule(plan.paths[node])
    if isinstance(op, ops.MultiHeadAttention):
        return _projection(module, parameter)
    if isinstance(op, ChannelNorm) and op.scale != op.center:  # its scale or offset follows it
        module = module[0 if parameter.startswith("running") else 1]
    return getattr(module, parameter)


def _projection(module: Any, parameter: str) -> Any:
    """A part of what ``nn.MultiheadAttention`` stores: the projections lie in one tensor."""
    part, _, what = parameter.partition("_")
    if part == "out":
        return getattr(module.out_proj, what)
    alone = getattr(module, f"{part[0]}_proj_weight")
    if what == "weight" and alone is not None:
        return alone
    rows = module.embed_dim
    at = ("query", "key", "value").index(part)
    return getattr(module, f"in_proj_{what}")[at * rows : (at + 1) * rows]
