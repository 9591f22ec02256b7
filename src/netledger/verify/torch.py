"""A run in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from netledger.build import torch as target
from netledger.build.source.forward import Forward, forward
from netledger.build.source.tree import Block, Leaf
from netledger.build.torch.code import STYLE, Plan
from netledger.ops import Tensor
from netledger.ops.recurrent import Recurrent
from netledger.verify.run import Case, Observed
from netledger.verify.watch import Spans, Watcher, spans


def observe(case: Case) -> Observed:
    """Builds the network, runs it forward and backward, and looks."""
    import torch

    plan = Plan.of(case.graph)
    found = Observed(plan.net, f"PyTorch {torch.__version__}")
    case.watch("building", 0, 1)
    with found.timed("build"):
        model = target.make(case.graph)
    model.train()
    arrays = [torch.from_numpy(a) for a in case.inputs(plan.net)]
    _parameters(model, plan, found)
    _forward(model, plan, arrays, case, found)
    _backward(model, arrays, case, found)
    return found


def _parameters(model: Any, plan: Plan, found: Observed) -> None:
    for node, path in plan.paths.items():
        try:
            layer = model.get_submodule(path)
        except AttributeError:
            continue  # a function, which has none
        found.parameters[node] = sum(p.numel() for p in layer.parameters())
        found.buffers[node] = sum(b.numel() for b in layer.buffers() if b.is_floating_point())
    whole = list(model.parameters())
    found.totals["parameters"] = sum(p.numel() for p in whole)
    found.totals["trainable"] = sum(p.numel() for p in whole if p.requires_grad)
    found.totals["buffers"] = sum(b.numel() for b in model.buffers() if b.is_floating_point())


def _forward(model: Any, plan: Plan, arrays: Any, case: Case, found: Observed) -> None:
    """One pass that is watched; PyTorch counts along."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    of = len(plan.net.graph.nodes)

    def saw(value: str, array: Any) -> None:
        found.saw(value, array)
        case.watch("forward, watched", len(found.types), of)

    blocks, leaves = members(plan, model)
    watcher = Watcher("forward", blocks, leaves, saw)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, watcher.watching():
        model(*arrays)
    found.totals["macs"] = counter.get_total_flops() // 2 // case.batch
    if any(isinstance(node.op, Recurrent) for node in plan.net.graph.nodes):
        found.whys["macs"] = "PyTorch's counter has no rule for recurrent layers"


def members(
    plan: Plan, model: Any
) -> tuple[dict[int, tuple[Block, Forward, Spans]], dict[int, Leaf]]:
    """The modules and layers of a model, by `id`, with what they are in the plan."""
    lines = spans(plan.source(), "forward")
    blocks: dict[int, tuple[Block, Forward, Spans]] = {}
    leaves: dict[int, Leaf] = {}

    def enter(block: Block, module: Any) -> None:
        kind = plan.kinds.kind_of.get(id(block))
        if kind is not None and kind.name in lines:
            passed = forward(kind.block, STYLE.reserved)
            blocks[id(module)] = (block, passed, lines[kind.name])
        for child in block.children:
            inner = getattr(module, child.name, None)
            if isinstance(child, Block):
                enter(child, inner)
            elif inner is not None:
                leaves[id(inner)] = child

    enter(plan.root, model)
    return blocks, leaves


def _backward(model: Any, arrays: Any, case: Case, found: Observed) -> None:
    """Both passes as in training."""
    case.watch("forward", 0, 1)
    kept = Kept(model.parameters())
    with found.timed("forward"), kept.counting():
        made = model(*arrays)
    case.watch("backward", 0, 1)
    with found.timed("backward"):
        mean(made).backward()
    found.saved_bytes = kept.bytes
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    found.totals["gradients"] = sum(g.numel() for g in grads)
    if any(isinstance(node.op, Tensor) and node.op.note for node in case.graph.nodes):
        found.whys["gradients"] = "the network stores tensors that it never uses"


def mean(made: Any) -> Any:
    """The mean of every output, added up: something to differentiate."""
    results = made if isinstance(made, tuple | list) else (made,)
    return sum(r.mean() for r in results if r.is_floating_point())


class Kept:
    """What PyTorch keeps for the backward pass: each storage once, parameters not."""

    def __init__(self, parameters: Iterable[Any]) -> None:
        self._own = {p.untyped_storage().data_ptr() for p in parameters}
        self._storages: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        """How much it is."""
        return sum(self._storages.values())

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Counts what is kept inside."""
        import torch

        def pack(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._own:
                self._storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            yield
