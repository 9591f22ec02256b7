"""Whole collections of models: each measured, each compared with PyTorch itself."""

from __future__ import annotations

import gc
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import references
from netledger.ops import Opaque

DAY = 24 * 3600.0
PAGES = Path(__file__).parents[3] / "docs" / "proofs"
Measured = dict[str, Any]


@pytest.fixture(scope="session")
def measure() -> Callable[[str], Measured]:
    """``measure("timm:resnet50")``: the ledger's totals and PyTorch's own."""
    pytest.importorskip("torch")
    return _measure


@pytest.fixture(scope="session")
def independent_macs() -> Callable[..., int]:
    """``independent_macs(model, arguments)``: PyTorch's FLOP formulas on the meta device / 2."""
    pytest.importorskip("torch")
    return _independent_macs


@pytest.fixture
def prove(request: pytest.FixtureRequest) -> Callable[..., list[Measured]]:
    """``prove("timm", names)``: all of them measured; what was measured within a day is kept.

    ``make prove`` can so be stopped and started again.
    """
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("netledger-proofs")
    return lambda collection, names: _prove(folder / f"{collection}.jsonl", names)


def _prove(path: Path, names: Iterable[str]) -> list[Measured]:
    known: dict[str, Measured] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if time.time() - row["at"] < DAY:
                known[row["name"]] = row
    rows = []
    with path.open("a") as file:
        for name in names:
            if name not in known:
                known[name] = {**_measure(name), "at": time.time()}
                file.write(json.dumps(known[name]) + "\n")
                file.flush()
                gc.collect()
            rows.append(known[name])
    return rows


def _measure(name: str) -> Measured:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = references.resolve(name)
        try:
            ledger = netledger.ledger(model)
        except netledger.NetledgerError as error:
            return {"name": name, "error": str(error).replace("\n", " ")[:300]}
        theirs = _theirs(model, ledger)
    rows = [row for row in ledger.ops if row.op is not None]
    totals = ledger.totals
    return {
        "name": name,
        "rows": len(rows),
        "stated": sum(isinstance(row.op, Opaque) for row in rows),
        "kinds": Counter(row.kind for row in rows if isinstance(row.op, Opaque)),
        "params": totals.params,
        "trainable": totals.trainable,
        "buffers": totals.buffers,
        "ties": sum(p.tied_to is not None for row in rows for p in row.parameters),
        "macs": totals.macs if isinstance(totals.macs, int) else str(totals.macs),
        "complete": totals.complete,
        "unknown": [f"{row.name} ({row.kind})" for row in rows if row.unknown][:5],
        "findings": [f"{f.row}: {f.message}"[:200] for f in ledger.findings][:5],
        "batch": any(not isinstance(d, int) for t in ledger.graph.inputs.values() for d in t.shape),
        **theirs,
    }


def _theirs(model: Any, ledger: netledger.Ledger) -> Measured:
    """The same totals, as PyTorch has them. The model is on the meta device afterwards."""
    parameters = list(model.parameters())
    buffers = [b for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")]
    found: Measured = {
        "their_params": sum(p.numel() for p in parameters),
        "their_trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "their_buffers": sum(b.numel() for b in buffers),
    }
    try:
        found["their_macs"] = _independent_macs(model)
    except Exception as error:
        found["their_macs"] = None
        found["why_not"] = f"{type(error).__name__}: {error}"[:200]
    return found


def _independent_macs(model: Any, arguments: tuple[Any, ...] | None = None) -> int:
    """One sample, in evaluation, by the formulas of torch.utils.flop_counter."""
    import torch
    from torch.fx.experimental import _config as config
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from netledger.readers.inputs import Arguments
    from netledger.readers.torch_module.data import LARGEST
    from netledger.readers.torch_module.defaults import default_arguments
    from netledger.readers.torch_module.model import _fast_path_off
    from netledger.readers.torch_module.read import is_tensor, type_of
    from netledger.readers.torch_module.torchvision_ops import operators_of_torchvision

    class Count(TorchDispatchMode):
        flops = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = func._schema.name
            largest = LARGEST[name[13:]] if name.startswith("torchvision::") else None
            made = largest(func, *args) if largest else func(*args, **(kwargs or {}))
            formula = flop_registry.get(func._overloadpacket)
            if formula is not None:
                self.flops += formula(*args, **(kwargs or {}), out_val=made)
            return made

    def tensor(leaf: Any) -> Any:
        if is_tensor(leaf):
            t = type_of(leaf)
            shape = [d if isinstance(d, int) else 1 for d in t.shape]
            return torch.empty(shape, dtype=getattr(torch, t.dtype), device="meta")
        if isinstance(leaf, dict):
            return {k: tensor(v) for k, v in leaf.items()}
        return type(leaf)(map(tensor, leaf)) if isinstance(leaf, list | tuple) else leaf

    given = default_arguments(model) if arguments is None else Arguments(arguments)
    model.to("meta").eval()
    before = config.meta_nonzero_assume_all_nonzero
    config.meta_nonzero_assume_all_nonzero = True  # the largest that it can be, as in the ledger
    try:
        with torch.no_grad(), operators_of_torchvision(), _fast_path_off(), Count() as count:
            model(*map(tensor, given.args), **{k: tensor(v) for k, v in given.kwargs.items()})
    finally:
        config.meta_nonzero_assume_all_nonzero = before
    return count.flops // 2
