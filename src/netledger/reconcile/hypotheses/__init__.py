"""The hypotheses: one class for each cause, in one tuple."""

from __future__ import annotations

from netledger.reconcile.hypotheses.base import Change, Hypothesis
from netledger.reconcile.hypotheses.blocks import Depth
from netledger.reconcile.hypotheses.counting import (
    Buffers,
    Container,
    Conventions,
    OtherQuantity,
    Packed,
    Trained,
    Unused,
)
from netledger.reconcile.hypotheses.ends import AuxHead, Channels, Classes, Head
from netledger.reconcile.hypotheses.layers import Groups, Kernels, Neighbours, Sparse
from netledger.reconcile.hypotheses.maps import (
    FlattenMaps,
    InputSize,
    Paddings,
    Poolings,
    Strides,
)
from netledger.reconcile.hypotheses.projections import Projections
from netledger.reconcile.hypotheses.stored import Bias, NormAffine
from netledger.reconcile.hypotheses.tables import Positions, Ties, Vocabulary
from netledger.reconcile.hypotheses.widths import Factor, Widths

INPUT_SIZE = InputSize()
MAPS: tuple[Hypothesis, ...] = (FlattenMaps(), Poolings(), INPUT_SIZE, Paddings(), Strides())
"""Those that change the size of maps: each may follow another edit of the network."""

HYPOTHESES: tuple[Hypothesis, ...] = (
    Conventions(),
    Buffers(),
    Bias(),
    NormAffine(),
    Classes(),
    Head(),
    AuxHead(),
    Ties(),
    Vocabulary(),
    Positions(),
    Channels(),
    Groups(),
    Kernels(),
    Depth(),
    Widths(),
    Factor(),
    Projections(),
    Sparse(),
    Neighbours(),
    Packed(),
    Trained(),
    Unused(),
    OtherQuantity(),
    Container(),
    *MAPS,
)

__all__ = ["HYPOTHESES", "INPUT_SIZE", "MAPS", "Change", "Hypothesis"]
