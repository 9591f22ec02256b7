"""Rules about where the parameters are, and in which dtype."""

from __future__ import annotations

from collections.abc import Container, Iterator
from math import prod

from netledger.check.network import PASSING, Network, joined, plural, whole
from netledger.check.rules.base import INFO, Rule
from netledger.check.windows import windows
from netledger.ledger import Finding, Row
from netledger.ops import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Identity,
    Linear,
    PReLU,
    Reshape,
)
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool

FLOATS = ("float16", "bfloat16", "float32", "float64")
CHANNELWISE = (Activation, PReLU, BatchNorm, Dropout, Identity, Pool)
"""Operations in which channels do not meet."""


class DenseHoldsMost(Rule):
    """In a convolutional network, fully connected layers hold most of the parameters.

    Only where the largest sees every position of a map: pooling before it is then a remedy.
    """

    code, name, level = "NL131", "fully connected layers hold most parameters", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        if not all(whole(row.params) for row in net.rows):
            return
        rows = [row for row in net.rows if row.params]
        dense: dict[str, Row] = {}
        for row in rows:
            if _is_dense(net, row, dense):
                dense[row.name] = row
        if not dense or not any(
            isinstance(r.op, Convolution) and r.name not in dense for r in rows
        ):
            return
        held, total = sum(row.params for row in dense.values()), sum(row.params for row in rows)
        largest = max(dense.values(), key=lambda row: int(row.params))
        if 2 * held <= total or not _sees_a_map(net, largest):
            return
        hold = "holds" if len(dense) == 1 else "hold"
        message = (
            f"{joined(list(dense))}, fully connected, {hold} {held:,} of "
            f"{total:,} parameters ({100 * held // total} %); {largest.name} alone "
            f"{largest.params:,}, fed by {_fan_in(largest):,} numbers"
        )
        hint = f"pool before {largest.name}: a global average pooling leaves one number per channel"
        yield self.finding(largest, message, hint)


def _is_dense(net: Network, row: Row, dense: Container[str]) -> bool:
    """True for a dense layer, and for a convolution that is one: its only window is all of its map.

    A 1×1 on a map of one position counts only behind such a layer: there are others, in
    squeeze-and-excitation, that stand for no dense layer of a classifier.
    """
    if isinstance(row.op, Linear):
        return len(row.input_types[0].shape) == 2
    axes = windows(row) if isinstance(row.op, Conv) and row.op.groups == 1 else ()
    if not axes or not all(a.count == 1 and a.taps == a.size for a in axes):
        return False
    before = net.feeder(row, (*PASSING, Activation))
    return any(a.taps > 1 for a in axes) or (before is not None and before.name in dense)


def _sees_a_map(net: Network, row: Row) -> bool:
    """True if a dense layer is fed by several positions of a map."""
    if isinstance(row.op, Conv):
        return any(a.taps > 1 for a in windows(row))
    before = net.feeder(row)
    return (
        before is not None
        and isinstance(before.op, Flatten | Reshape)
        and before.input_types[0].shape[1:].count(1) < len(before.input_types[0].shape) - 2
    )


def _fan_in(row: Row) -> int:
    """How many numbers feed each neuron."""
    return prod(d for d in row.parameters[0].shape[1:] if isinstance(d, int))


class TowersStayApart(Rule):
    """Grouped convolutions in a row with the same groups: what is between never mixes them."""

    code, name, level = "NL132", "groups that stay apart", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(Conv):
            before = net.feeder(row, CHANNELWISE)
            if before is None or not isinstance(before.op, Conv) or not isinstance(row.op, Conv):
                continue
            groups = row.op.groups
            channels = row.op.split(row.input_types[0].shape)[1]
            if groups == before.op.groups and groups > 1 and groups != channels:
                message = (
                    f"{groups} groups, as in {before.name}, and nothing mixes them in between: the "
                    f"{groups} towers stay apart over both layers"
                )
                yield self.finding(row, message, "mix the channels (a 1×1, a shuffle) if not meant")


class Doubles(Rule):
    """Parameters or inputs in float64: twice the bytes, and far slower on most devices."""

    code, name = "NL133", "float64"

    def find(self, net: Network) -> Iterator[Finding]:
        stored = [row for row in net.rows if any(p.dtype == "float64" for p in row.parameters)]
        inputs = [row for row in net.rows if row.op is None and row.outputs[0].dtype == "float64"]
        for rows, what in ((inputs, "input"), (stored, "layer")):
            if rows:
                has = "is" if what == "input" and len(rows) == 1 else "are"
                tell = "has parameters" if len(rows) == 1 else "have parameters"
                verb = has if what == "input" else tell
                message = f"{plural(len(rows), what)} {verb} in float64"
                yield self.finding(rows[0], message, "NumPy's default slipped in: use float32")


class MixedFloats(Rule):
    """Weight matrices in several floating-point dtypes."""

    code, name, level = "NL134", "mixed dtypes", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        first: dict[str, Row] = {}
        counts: dict[str, int] = {}
        for row in net.rows:
            for p in row.parameters:  # vectors (biases, norms) are often kept wider on purpose
                if p.dtype in FLOATS and len(p.shape) > 1 and p.nbytes is None:
                    first.setdefault(p.dtype, row)
                    counts[p.dtype] = counts.get(p.dtype, 0) + 1
        if len(counts) > 1:
            rare = min(counts, key=lambda dtype: counts[dtype])
            told = ", ".join(f"{count:,} in {dtype}" for dtype, count in counts.items())
            message = f"weight matrices in several dtypes: {told}"
            yield self.finding(first[rare], message, "convert all to one, unless meant")
