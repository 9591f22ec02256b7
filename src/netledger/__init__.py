"""The books of a neural network, kept in double entry.

>>> import netledger
>>> netledger.ledger("alexnet").totals.params
62378344
"""

from __future__ import annotations

from typing import Any

from netledger.build import build
from netledger.check import check
from netledger.diff import diff
from netledger.errors import NetledgerError, UsageError
from netledger.garbage import no_garbage
from netledger.graph import Graph
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.readers import read
from netledger.reconcile import reconcile
from netledger.verify import verify

__version__ = "0.1.0"

__all__ = [
    "Graph",
    "Ledger",
    "NetledgerError",
    "__version__",
    "build",
    "check",
    "diff",
    "ledger",
    "read",
    "reconcile",
    "verify",
]


def ledger(source: Any, inputs: Any = None, *, batch: int | None = None) -> Ledger:
    """The ledger of a network.

    Args:
        source: A zoo name, a path, a graph, a live model (PyTorch, Keras, JAX), or a text that
            names one, such as ``torchvision.models:resnet50``; see `read`.
        inputs: Other inputs than the source's own; see `read`.
        batch: Counts are for this batch; by default per sample.

    Raises:
        NetledgerError: If the source cannot be read or a layer does not fit; says where and why.
    """
    if batch is not None and batch < 1:
        raise UsageError(f"batch must be at least 1; got {batch}")
    with no_garbage():
        return infer(read(source, inputs), batch=batch)
