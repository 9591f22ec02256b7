"""What tests of whole collections share: models measured, and compared with PyTorch itself."""

from __future__ import annotations

import gc
import importlib
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Ledger, references
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
        "macs": totals.macs if isinstance(totals.macs, int) else str(totals.macs),
        "complete": totals.complete,
        "unknown": [f"{row.name} ({row.kind})" for row in rows if row.unknown][:5],
        "findings": [f"{f.row}: {f.message}"[:200] for f in ledger.findings][:5],
        "batch": any(not isinstance(d, int) for t in ledger.graph.inputs.values() for d in t.shape),
        **theirs,
    }


def _theirs(model: Any, ledger: Ledger) -> Measured:
    """The same totals, as PyTorch has them. The model is on the meta device afterwards."""
    parameters = list(model.parameters())
    buffers = [b for name, b in model.named_buffers() if not _counter(name)]
    tied = _tied(model)
    found: Measured = {
        "their_params": sum(p.numel() for p in parameters),
        "their_trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "their_buffers": sum(b.numel() for b in buffers),
        "tied": len(tied),
        "ties": _ties_apart(ledger, tied),
    }
    try:
        found["their_macs"] = _independent_macs(model)
    except Exception as error:
        found["their_macs"] = None
        found["why_not"] = f"{type(error).__name__}: {error}"[:200]
    return found


def _counter(name: str) -> bool:
    """True for the counters of batches of batch normalisation, which a ledger leaves out."""
    return name.endswith("num_batches_tracked")


def _tied(model: Any) -> set[frozenset[str]]:
    """Groups of names of one and the same parameter or buffer."""
    names: dict[int, set[str]] = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            if not _counter(name):
                names.setdefault(id(tensor), set()).add(name)
    return {frozenset(group) for group in names.values() if len(group) > 1}


def _ties_apart(ledger: Ledger, theirs: set[frozenset[str]]) -> list[list[str]]:
    """Groups that only one side has."""
    ours = {frozenset(names) for names in ledger.graph.homes.values() if len(names) > 1}
    return sorted(sorted(group) for group in ours ^ theirs)


def _independent_macs(model: Any, arguments: tuple[Any, ...] | None = None) -> int:
    """One sample, in evaluation, by the formulas of torch.utils.flop_counter."""
    import torch
    from torch.fx.experimental import _config as config
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from netledger.readers.inputs import Arguments
    from netledger.readers.torch_module.arguments import is_tensor, type_of
    from netledger.readers.torch_module.data import LARGEST
    from netledger.readers.torch_module.defaults import default_arguments
    from netledger.readers.torch_module.model import _fast_path_off
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


class Compared(NamedTuple):
    """A model's ledger beside the framework's own counts.

    Attributes:
        ledger: Ours.
        parameters: Those of `Module.parameters`, shared ones once.
        buffers: Those of `Module.buffers`, batch counters left out.
        tied: Groups of names of one and the same parameter or buffer.
        macs: Half of what PyTorch's FlopCounterMode counts on the meta device; it has no rule for
            the products of chosen experts, which are counted here by hand.
    """

    ledger: Ledger
    parameters: int
    buffers: int
    macs: int
    tied: set[frozenset[str]]

    @property
    def opaque(self) -> list[Any]:
        """Rows that no rule describes."""
        return [row for row in self.ledger.ops if isinstance(row.op, Opaque)]

    @property
    def derived(self) -> float:
        """The share of rows that a rule describes."""
        rows = [row for row in self.ledger.ops if row.op is not None]
        return 1 - len(self.opaque) / len(rows)

    @property
    def differences(self) -> list[str]:
        """What is not equal, or not known."""
        totals = self.ledger.totals
        pairs = {
            "parameters": (totals.params, self.parameters),
            "buffers": (totals.buffers, self.buffers),
            "MACs": (totals.macs, self.macs),
        }
        said = [f"{what} {a:,} ≠ {b:,}" for what, (a, b) in pairs.items() if a != b]
        said += [f"tied: {group}" for group in _ties_apart(self.ledger, self.tied)]
        said += [f"{row.name}: {row.op.what} unknown" for row in self.opaque if row.unknown]
        return said + [f.message for f in self.ledger.findings]


@pytest.fixture(scope="session")
def transformers() -> Any:
    """The package, also beside a torchvision whose compiled operators do not load."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        references.beside_torchvision("torchvision")
        package = importlib.import_module("transformers")
        importlib.import_module("transformers.models.auto.modeling_auto")
    package.logging.set_verbosity_error()
    return package


def experts(rows: Any, matrices: Any, *others: Any, out_shape: Any = None, **settings: Any) -> int:
    """FLOPs of rows (M, K) that each meet one of the matrices (E, K, N)."""
    return int(2 * rows[0] * rows[1] * matrices[2])


@pytest.fixture
def compare() -> Iterator[Callable[[Any, Mapping[str, Any]], Compared]]:
    """``compare(model, arguments)``: the ledger, and what PyTorch itself counts."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    def compared(model: Any, arguments: Mapping[str, Any]) -> Compared:
        parameters = {id(p): p.numel() for p in model.parameters()}
        buffers = {id(b): b.numel() for name, b in model.named_buffers() if not _counter(name)}
        rules = {torch.ops.aten._grouped_mm: experts}
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=rules) as counter:
            model(**arguments)
        ledger = netledger.ledger(model, dict(arguments))
        flops = counter.get_total_flops()
        tied = _tied(model)
        counts = sum(parameters.values()), sum(buffers.values()), flops // 2
        return Compared(ledger, *counts, tied)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield compared
