"""Keras 3: ``model.count_params()``, the "Total params" of ``summary()``."""

from __future__ import annotations

from netledger.conventions.convention import PARAMS, Convention
from netledger.conventions.parameters import with_buffers

CONVENTIONS = (
    Convention(
        "keras", PARAMS, "Total params: running statistics are counted", with_buffers, "Keras 3.15"
    ),
)
