"""The rules of `check`. `RULES` lists them all; adding one is a class, an entry and a section."""

from __future__ import annotations

from netledger.check.rules.base import ERROR, INFO, LEVELS, WARNING, Rule
from netledger.check.rules.maps import DenseOnMap, RepeatedPositions, ShortSighted
from netledger.check.rules.sequence import (
    BiasBeforeNorm,
    BoundedLogits,
    DropoutAtEnd,
    SoftmaxIntoLoss,
    SoftmaxOfOne,
    TwoActivations,
    TwoDense,
    TwoNorms,
    TwoSoftmaxes,
)
from netledger.check.rules.sizes import DenseHoldsMost, Doubles, MixedFloats, TowersStayApart
from netledger.check.rules.sliding import (
    BlankWindows,
    EvenSame,
    MostlyPadding,
    SkippedPositions,
    TapsOnPadding,
    WindowDoesNotTile,
)
from netledger.check.rules.use import NeverReached, OddTies, PartlyFrozen, UnusedInput

RULES: tuple[type[Rule], ...] = (
    DenseOnMap,
    WindowDoesNotTile,
    TapsOnPadding,
    SkippedPositions,
    BlankWindows,
    EvenSame,
    ShortSighted,
    MostlyPadding,
    RepeatedPositions,
    BiasBeforeNorm,
    TwoActivations,
    TwoSoftmaxes,
    BoundedLogits,
    SoftmaxOfOne,
    SoftmaxIntoLoss,
    TwoNorms,
    DropoutAtEnd,
    TwoDense,
    NeverReached,
    UnusedInput,
    PartlyFrozen,
    OddTies,
    DenseHoldsMost,
    TowersStayApart,
    Doubles,
    MixedFloats,
)
"""Every rule, in the order of the codes."""

__all__ = ["ERROR", "INFO", "LEVELS", "RULES", "WARNING", "Rule"]
