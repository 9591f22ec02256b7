"""PyTorch 2.13: ``torch.utils.flop_counter.FlopCounterMode``, on the meta device.

Two for each multiply-accumulate of a convolution, matrix product or attention, wherever it is
called. A product with a single vector (``mv``, ``dot``) is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from netledger.conventions.convention import FLOPS, Charge, Convention
from netledger.conventions.sizes import sized
from netledger.ledger import Ledger
from netledger.ops import Einsum


def flops(ledger: Ledger) -> Iterator[Charge]:
    """What ``get_total_flops`` differs by."""
    for row in sized(ledger):
        target = ledger.graph.node(row.row.name).target
        if target in ("aten.matmul", "aten.mv", "aten.dot") and isinstance(row.op, Einsum):
            cause = "products with a single vector are not counted"
            if len(row.inputs[1]) == 1:
                yield Charge(row.row.name, cause, -2 * row.macs)


CONVENTIONS = (
    Convention(
        "torch",
        FLOPS,
        "FlopCounterMode on the meta device: 2 for each MAC",
        flops,
        "torch 2.13",
    ),
)
