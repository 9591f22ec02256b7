"""Recurrent layers against PyTorch.

On the meta device PyTorch takes them apart into matrix products, one for each step, so that its
count of operations is the sum over all of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from netledger.ops import GRU, LSTM, RNN

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_recurrent(oracle: Any, ours: Any) -> None:
    theirs = getattr(oracle.torch.nn, ours.__name__)
    for i, rng in enumerate(oracle.random(ours.__name__, 200)):
        batch, steps, features, hidden = (rng.randint(1, n) for n in (3, 4, 7, 9))
        fields: dict[str, Any] = {
            "num_layers": rng.randint(1, 3),
            "bidirectional": rng.random() < 0.5,
            "bias": rng.random() < 0.7,
            "batch_first": rng.random() < 0.5,
        }
        more: dict[str, int] = {}
        size: dict[str, int] = {}
        if ours is LSTM and hidden > 1 and rng.random() < 0.5:
            more["projection_size"] = size["proj_size"] = rng.randint(1, hidden - 1)
        lead = (batch, steps) if fields["batch_first"] else (steps, batch)
        shape = (*lead, features) if rng.random() < 0.9 else (*lead, features, 2)
        oracle.compare(
            ours(hidden, **fields, **more),
            (shape,),
            lambda i=features, h=hidden, f=fields, s=size: theirs(i, h, **f, **s),
            macs=i % 8 == 0,  # counting step by step takes long
        )
    oracle.both_sides(150, 8)


@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_only_the_last_step(oracle: Any, ours: Any) -> None:
    cell = getattr(oracle.torch.nn, ours.__name__)

    class Last(cell):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            sequence, states = super().forward(x)
            return sequence[:, -1], states

    for rng in oracle.random(f"last {ours.__name__}", 20):
        features, hidden, both = rng.randint(1, 5), rng.randint(1, 5), rng.random() < 0.5
        oracle.compare(
            ours(hidden, bidirectional=both, return_sequences=False),
            ((2, 3, features),),
            lambda f=features, h=hidden, b=both: Last(f, h, bidirectional=b, batch_first=True),
        )
    oracle.both_sides(20)
