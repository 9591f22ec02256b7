"""Rules about what follows what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netledger.check.network import PASSING, Network, plural, whole
from netledger.check.rules.base import ERROR, Rule
from netledger.ledger import Finding, Row
from netledger.ops import (
    Activation,
    BatchNorm,
    ConvTranspose,
    Dropout,
    Flatten,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    Opaque,
    PReLU,
    Reshape,
    Scale,
    Softmax,
)
from netledger.ops.conv import Convolution

SHAPING = (*PASSING, Flatten, Reshape)
ARITHMETIC = frozenset({"exp", "log", "sqrt", "abs", "negate", "erf", "clip"})
"""Functions that are parts of other things rather than activations of a layer."""
NOT_NEGATIVE = frozenset({"relu", "relu6", "sigmoid", "hard_sigmoid", "softplus"})
LOSSES = frozenset(
    {
        "SoftmaxCrossEntropyLoss",  # ONNX
        "SoftmaxWithLoss",  # Caffe
        "cross_entropy_loss",  # PyTorch
        "CrossEntropyLoss",
    }
)
"""What sources call a loss that takes the softmax itself."""


class BiasBeforeNorm(Rule):
    """A bias before a normalisation that subtracts the mean of each channel does nothing."""

    code, name = "NL111", "bias before normalisation"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Convolution, ConvTranspose, Linear):
            norm = net.only_user(row)
            if not whole(row.biases) or not row.biases or norm is None:
                continue
            if isinstance(norm.op, BatchNorm | InstanceNorm) and _same_channels(row, norm):
                message = (
                    f"{plural(row.biases, 'bias')} wasted: {norm.name} subtracts the mean of each "
                    "channel, and the bias with it"
                )
                yield self.finding(row, message, "leave the bias out (bias: false)")


def _same_channels(row: Row, norm: Row) -> bool:
    """True if the normalisation's channels are those of the biases."""
    last = getattr(row.op, "channels_last", True)
    rank = len(row.outputs[0].shape)
    return rank == 2 or last == getattr(norm.op, "channels_last", True)


class TwoActivations(Rule):
    """An activation of an activation: the second is a mistake, or does nothing."""

    code, name = "NL112", "two activations in a row"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Activation, PReLU):
            before = net.feeder(row)
            first, second = _function(before), _function(row)
            if before is None or not first or not second:
                continue
            if (first, second) == ("softplus", "tanh"):
                continue  # the parts of a Mish
            same = second in ("relu", "leaky_relu", "prelu") and first in NOT_NEGATIVE
            effect = "it changes nothing" if same else "one of the two is probably not meant"
            message = f"{row.kind} directly after {before.kind} ({before.name}): {effect}"
            yield self.finding(row, message, f"remove {row.name}, or put a layer between the two")


def _function(row: Row | None) -> str:
    if row is not None and isinstance(row.op, Activation) and row.op.function not in ARITHMETIC:
        return row.op.function
    return "prelu" if row is not None and isinstance(row.op, PReLU) else ""


class TwoSoftmaxes(Rule):
    """A softmax of a softmax: shares of shares, nearly all alike."""

    code, name = "NL113", "two softmaxes in a row"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Softmax):
            before = net.feeder(row, SHAPING)
            if before is not None and isinstance(before.op, Softmax):
                message = (
                    f"softmax of the softmax {before.name}: its inputs all lie between 0 and 1, so "
                    "its outputs are nearly equal and it learns badly"
                )
                yield self.finding(row, message, f"remove {before.name}")


class BoundedLogits(Rule):
    """A softmax of numbers that an activation has cut off: ReLU leaves no negative logits."""

    code, name = "NL114", "activation before a softmax"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Softmax):
            before = net.feeder(row, SHAPING)
            if before is None or not isinstance(before.op, Activation):
                continue
            layer = net.feeder(before, SHAPING)
            dense = layer is not None and isinstance(layer.op, Linear)
            if dense and before.op.function in NOT_NEGATIVE:
                message = (
                    f"softmax of {before.kind} ({before.name}): no logit can be below 0, so no "
                    "class can be ruled out"
                )
                yield self.finding(row, message, f"remove {before.name}")


class SoftmaxOfOne(Rule):
    """A softmax over a single number, which is always 1."""

    code, name, level = "NL115", "softmax over one number", ERROR

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Softmax):
            assert isinstance(row.op, Softmax)
            if row.outputs[0].shape[row.op.axis] == 1 and net.returned(row):
                value = 0 if row.op.log else 1
                message = f"softmax over an axis of size 1: the output is always {value}"
                hint = "use a sigmoid for one output, or two outputs for two classes"
                yield self.finding(row, message, hint)


class SoftmaxIntoLoss(Rule):
    """A softmax fed to a logarithm, or to a loss that takes the softmax itself."""

    code, name = "NL116", "softmax into a loss"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Activation, Opaque):
            before = net.feeder(row, SHAPING)
            if before is None or not isinstance(before.op, Softmax) or before.op.log:
                continue
            if isinstance(row.op, Opaque):
                if not LOSSES.isdisjoint(re.split("[.:]+", row.op.what)):
                    message = f"{row.kind} takes the softmax itself: here it is taken twice"
                    yield self.finding(row, message, f"remove {before.name}: hand the logits over")
            elif row.kind == "Log":
                message = f"the logarithm of the softmax {before.name}: small shares become −∞"
                yield self.finding(row, message, "use a log-softmax, which is exact")


class TwoNorms(Rule):
    """A normalisation of what has just been normalised."""

    code, name = "NL117", "two normalisations in a row"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(*NORMS):
            before = net.feeder(row)
            if before is None or not _is_norm(before) or not _is_norm(row):
                continue
            if net.only_user(before) is not None:
                message = f"{row.kind} directly after {before.kind} ({before.name})"
                yield self.finding(row, message, f"one of {before.name} and {row.name} is enough")


NORMS = (BatchNorm, InstanceNorm, GroupNorm, LayerNorm)


def _is_norm(row: Row) -> bool:
    """True for what subtracts a mean or divides by a size; a `Scale` does neither."""
    return isinstance(row.op, NORMS) and not isinstance(row.op, Scale)


class DropoutAtEnd(Rule):
    """Dropout on the outputs of the last layer: in training, answers are set to 0 at random."""

    code, name = "NL118", "dropout after the last layer"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Dropout):
            before = net.feeder(row, (*SHAPING, Activation, Softmax))
            if before is None or not isinstance(before.op, Convolution | Linear):
                continue
            after = net.after(row)
            ends = net.returned(row) or any(map(net.returned, after))
            if ends and all(isinstance(r.op, (*SHAPING, Activation, Softmax)) for r in after):
                message = f"dropout on the outputs of the last layer, {before.name}"
                yield self.finding(row, message, f"move it before {before.name}, or remove it")


class TwoDense(Rule):
    """Two dense layers with nothing between: together they are a single matrix.

    Not where the middle is narrower than both ends: that is a factorisation, and saves parameters.
    """

    code, name = "NL119", "two dense layers without an activation"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Linear):
            before = net.feeder(row)
            if before is None or not isinstance(before.op, Linear):
                continue
            if not _direct(net, before, row):
                continue
            widths = before.input_types[0].shape[-1], row.outputs[0].shape[-1]
            middle = before.outputs[0].shape[-1]
            if all(map(whole, (*widths, middle))) and middle >= min(widths):
                message = (
                    f"dense layer directly after the dense layer {before.name}: together they can "
                    f"do no more than one of {widths[0]:,} → {widths[1]:,}"
                )
                yield self.finding(row, message, "put an activation between the two")


def _direct(net: Network, first: Row, last: Row) -> bool:
    """True if `last` is all that uses `first`, over dropouts and identities at most."""
    row = net.only_user(first)
    while row is not None and isinstance(row.op, PASSING):
        row = net.only_user(row)
    return row is last
