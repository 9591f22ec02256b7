"""Rules about maps: what is done to them, and how much of the input they have seen."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from netledger.check.network import Network, plural, times, whole
from netledger.check.rules.base import INFO, Rule
from netledger.check.windows import windows
from netledger.ledger import Finding, Row, add_up
from netledger.ops import AdaptiveAvgPool, AdaptiveMaxPool, Linear
from netledger.ops.conv import Convolution
from netledger.ops.pool import Pool


class DenseOnMap(Rule):
    """A dense layer is applied at every position of a map: a Flatten is missing."""

    code, name = "NL101", "dense layer on a map"

    def find(self, net: Network) -> Iterator[Finding]:
        told: set[str] = set()
        for row in net.of(Linear):
            if row.name in told or not self._classifies_positions(net, row):
                continue
            more = [r for r in net.after(row) if isinstance(r.op, Linear)]
            told.update(r.name for r in more)
            yield self.finding(row, self._message(row, len(more)), self._hint(row))

    def _classifies_positions(self, net: Network, row: Row) -> bool:
        """True behind convolutions that made the map smaller, if it stays a map to the end.

        Where positions are joined later (ConvNeXt's and Swin's dense layers), or where there are
        as many as the input has (labels for each pixel), a dense layer on a map is meant.
        """
        size = _map(row)
        if not size or prod(size) == 1 or not isinstance(row.receptive_field, tuple):
            return False
        if not any(whole(step) and step > 1 for step in row.steps):
            return False
        after = net.after(row)
        return all(len(t.shape) == len(size) + 2 for r in after for t in r.outputs) and not any(
            isinstance(r.op, Convolution | Pool) for r in after
        )

    def _message(self, row: Row, more: int) -> str:
        size, features = _map(row), row.input_types[0].shape[-1]
        flat = (row.input_types[0].shape[0], prod(size) * features)
        assert row.op is not None
        flattened = add_up(prod(p.shape) for p in row.op.parameters(flat))
        others = f", and so {'is' if more == 1 else 'are'} {plural(more, 'dense layer')} after it"
        return (
            f"dense layer on a {times(size)} map: it is applied at each of the {prod(size):,} "
            f"positions{others if more else ''}; a Flatten is probably missing "
            f"({row.params:,} parameters now, {flattened:,} with Flatten)"
        )

    def _hint(self, row: Row) -> str:
        return f"put a Flatten (or a global pooling) before {row.name}"


class RepeatedPositions(Rule):
    """An adaptive pooling gives more positions than it gets: numbers are repeated."""

    code, name = "NL109", "adaptive pooling that repeats"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.of(AdaptiveAvgPool, AdaptiveMaxPool):
            size, made = _map(row), _map(row, row.outputs[0])
            known = size and made  # nothing can be said of sizes that are symbols
            if known and any(o > i for i, o in zip(size, made, strict=True)):
                message = (
                    f"makes a map of {times(made)} out of {times(size)}: its numbers are repeated"
                )
                yield self.finding(row, message, "use a larger input, or a smaller output_size")


class ShortSighted(Rule):
    """The last map is pooled to one position, but none of its positions ever saw the whole input.

    No layer then relates what lies further apart than that. Where the map is flattened into a
    dense layer instead, that layer relates everything.
    """

    code, name, level = "NL107", "receptive field smaller than the input", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        maps = [t for t in net.ledger.graph.inputs.values() if len(t.shape) > 2]
        if len(maps) != 1:
            return
        for row in net.rows:
            if row.op is None or row.receptive_field != "all" or isinstance(row.op, Linear):
                continue
            feed = net.feeder(row)
            field = feed.receptive_field if feed is not None else None
            if feed is None or not isinstance(field, tuple) or max(field, default=1) == 1:
                continue
            sizes = _spatial_like(net, maps[0].shape, len(field))
            if not sizes:
                continue
            short = all(whole(d) and whole(r) and r < d for d, r in zip(sizes, field, strict=True))
            if short and not any(_has_map(r) for r in net.after(row)):
                message = (
                    f"each position that {row.name} pools has seen {times(field)} of "
                    f"{times(sizes)} positions of the input: nothing relates what lies further "
                    "apart"
                )
                hint = "more layers, more stride or dilation, or a smaller input"
                yield self.finding(row, message, hint)


def _map(row: Row, t: Any = None) -> tuple[Any, ...]:
    """The spatial size of a row's input (or of `t`), as its operation sees it."""
    shape = (t or row.input_types[0]).shape
    if len(shape) < 4:
        return ()
    size = shape[1:-1] if getattr(row.op, "channels_last", True) else shape[2:]
    return tuple(size) if all(map(whole, size)) else ()


def _spatial_like(net: Network, shape: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """The spatial sizes of the network's input, as the first layer with windows sees them."""
    for row in net.rows:
        if windows(row) and len(row.input_types[0].shape) == len(shape):
            last = getattr(row.op, "channels_last", True)
            sizes = shape[1:-1] if last else shape[2:]
            return tuple(sizes) if len(sizes) == rank else ()
    return ()


def _has_map(row: Row) -> bool:
    """True if a row makes a map of more than one position."""
    shape = row.outputs[0].shape if row.outputs else ()
    last = getattr(row.op, "channels_last", True)
    size = shape[1:-1] if last else shape[2:]
    return len(shape) > 2 and any(d != 1 for d in size)
