"""A run in JAX."""

from __future__ import annotations

from typing import Any

from netledger.build import jax as target
from netledger.build.jax.code import STYLE, Plan
from netledger.build.source.forward import Forward, forward
from netledger.build.source.tree import Block, Leaf
from netledger.verify.run import Case, Observed
from netledger.verify.watch import Spans, Watcher, spans

COUNTS_DIFFERENTLY = (
    "XLA leaves out products with padding and counts additions and functions as well"
)


def observe(case: Case) -> Observed:
    """Builds the network, runs it forward and backward, and looks."""
    import flax
    import jax
    import jax.numpy as jnp

    plan = Plan.of(case.graph)
    found = Observed(plan.net, f"JAX {jax.__version__}, flax {flax.__version__}")
    case.watch("building", 0, 1)
    with found.timed("build"):
        model = target.make(case.graph)
    arrays = [jnp.asarray(a) for a in case.inputs(plan.net)]
    blocks, leaves, layers = members(plan, model)
    _parameters(model, layers, found)
    of = len(plan.net.graph.nodes)

    def saw(value: str, array: Any) -> None:
        found.saw(value, array)
        case.watch("forward, watched", len(found.types), of)

    model.train()
    with Watcher("__call__", blocks, leaves, saw).watching():
        jax.block_until_ready(model(*arrays))
    _counted(model, arrays, case, found)
    _backward(model, arrays, case, found)
    return found


def _parameters(model: Any, layers: dict[str, Any], found: Observed) -> None:
    from flax import nnx

    for node, layer in layers.items():
        found.parameters[node] = _size(layer, nnx.Not(_other()))
        found.buffers[node] = _size(layer, nnx.BatchStat)
    found.totals["parameters"] = _size(model, nnx.Not(_other()))
    found.totals["trainable"] = _size(model, nnx.Param)
    found.totals["buffers"] = _size(model, nnx.BatchStat)


def _other() -> Any:
    """What is stored and is no parameter: statistics, and the state of random numbers."""
    from flax import nnx

    return nnx.Any(nnx.BatchStat, nnx.RngState)


def _size(module: Any, which: Any) -> int:
    import jax
    from flax import nnx

    return sum(int(leaf.size) for leaf in jax.tree.leaves(nnx.state(module, which)))


def members(
    plan: Plan, model: Any
) -> tuple[dict[int, tuple[Block, Forward, Spans]], dict[int, Leaf], dict[str, Any]]:
    """The modules and layers of a model by `id`, and the layers by the name of their row."""
    lines = spans(plan.source(), "__call__")
    blocks: dict[int, tuple[Block, Forward, Spans]] = {}
    leaves: dict[int, Leaf] = {}
    layers: dict[str, Any] = {}

    def enter(block: Block, module: Any) -> None:
        kind = plan.kinds.kind_of.get(id(block))
        if kind is not None and kind.name in lines:
            passed = forward(kind.block, STYLE.reserved)
            blocks[id(module)] = (block, passed, lines[kind.name])
        for child in block.children:
            number = child.name.isdigit()
            inner = module.layers[int(child.name)] if number else getattr(module, child.name, None)
            if isinstance(child, Block):
                enter(child, inner)
            elif inner is not None:
                leaves[id(inner)] = child
                layers[child.node.name] = inner

    enter(plan.root, model)
    return blocks, leaves, layers


def _counted(model: Any, arrays: Any, case: Case, found: Observed) -> None:
    """What XLA says that a forward pass costs."""
    import jax
    from flax import nnx

    case.watch("XLA's own count", 0, 1)
    model.eval()
    graph, state = nnx.split(model)

    def passed(state: Any, *x: Any) -> Any:
        return nnx.merge(graph, state)(*x)

    cost = jax.jit(passed).lower(state, *arrays).cost_analysis()
    model.train()
    if cost and "flops" in cost:
        found.totals["macs"] = int(cost["flops"]) // 2 // case.batch
    found.whys["macs"] = COUNTS_DIFFERENTLY


def _backward(model: Any, arrays: Any, case: Case, found: Observed) -> None:
    import jax
    import jax.numpy as jnp
    from flax import nnx

    case.watch("forward", 0, 1)
    with found.timed("forward"):
        jax.block_until_ready(model(*arrays))

    def loss(model: Any) -> Any:
        made = model(*arrays)
        results = made if isinstance(made, tuple) else (made,)
        return sum(r.mean() for r in results if jnp.issubdtype(r.dtype, jnp.floating))

    case.watch("forward and backward, compiled", 0, 1)
    with found.timed("forward and backward, compiling included"):
        grads = jax.block_until_ready(nnx.jit(nnx.grad(loss))(model))
    found.totals["gradients"] = sum(int(g.size) for g in jax.tree.leaves(grads))
    found.notes.append("JAX does not tell what it keeps for the backward pass")
