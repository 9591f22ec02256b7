"""What the tests of whole collections share: models without numbers, and the independent counts."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Ledger, references
from netledger.ops import Opaque


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
        ours = {frozenset(names) for names in self.ledger.graph.homes.values() if len(names) > 1}
        said += [f"tied: {sorted(group)}" for group in ours ^ self.tied]
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


def shared(model: Any) -> set[frozenset[str]]:
    """Groups of names of one and the same parameter or buffer."""
    names: dict[int, set[str]] = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            names.setdefault(id(tensor), set()).add(name)
    return {frozenset(group) for group in names.values() if len(group) > 1}


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
        buffers = {
            id(b): b.numel()
            for name, b in model.named_buffers()
            if not name.endswith("num_batches_tracked")
        }
        rules = {torch.ops.aten._grouped_mm: experts}
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=rules) as counter:
            model(**arguments)
        ledger = netledger.ledger(model, dict(arguments))
        flops = counter.get_total_flops()
        tied = shared(model)
        counts = sum(parameters.values()), sum(buffers.values()), flops // 2
        return Compared(ledger, *counts, tied)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield compared
