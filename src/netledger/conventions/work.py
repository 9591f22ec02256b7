"""Conventions for what is computed: MACs, FLOPs, connections, activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netledger.conventions.convention import ACTIVATIONS, FLOPS, MACS, Charge, Convention, unchanged
from netledger.conventions.roles import aux_heads, heads
from netledger.conventions.sizes import Sized, sized
from netledger.conventions.taps import on_the_map
from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT
from netledger.ledger import Ledger, add_up
from netledger.ops import (
    GLU,
    Activation,
    AvgPool,
    Linear,
    MultiHeadAttention,
    PReLU,
    Scale,
    Softmax,
)
from netledger.ops.base import Op, each_axis
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.norm import ChannelNorm, LayerNorm, LocalResponseNorm
from netledger.ops.pointwise import Broadcast
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool
from netledger.ops.recurrent import Recurrent

Rule = Callable[[Ledger], Iterable[Charge]]

CONVOLUTIONS = (Convolution, ConvTranspose)

PER_ELEMENT: tuple[tuple[tuple[type[Op], ...], str], ...] = (
    ((ChannelNorm, LayerNorm, LocalResponseNorm), "normalisations: one for each number made"),
    ((Activation, PReLU, GLU), "activation functions: one for each number made"),
    ((Softmax,), "softmax: one for each number made"),
    ((Pool, AdaptivePool, GlobalPool), "poolings: one for each number made"),
    ((Broadcast,), "sums and products of tensors: one for each number made"),
)
"""What is no multiply-accumulate and counts as one operation for each number that it makes."""


def added_biases(row: Sized) -> Any:
    """How often a bias is added in a layer that multiplies: once for each of its outputs."""
    if not row.has(BIAS):
        return 0
    if isinstance(row.op, (Linear, *CONVOLUTIONS)):
        return row.made
    biases = add_up(p.count for p in row.row.parameters if p.role == BIAS)
    if isinstance(row.op, Recurrent):
        first, second, _ = row.inputs[0]
        return first * second * biases
    if isinstance(row.op, MultiHeadAttention):
        return _attention_biases(row, row.op)
    return 0


def _attention_biases(row: Sized, op: MultiHeadAttention) -> Any:
    three = dict(zip(("query", "key", "value"), op.three(row.inputs), strict=True))
    total: Any = 0
    for p in row.row.parameters:
        if p.role == BIAS:
            x = three.get(p.name.removesuffix("_bias"), row.inputs[0])
            total = total + x[0] * x[1] * p.count
    return total


def _biases(factor: int = 1) -> Rule:
    def rule(ledger: Ledger) -> Iterable[Charge]:
        for row in sized(ledger):
            yield Charge(row.row.name, "biases are added", added_biases(row) * factor)

    return rule


def _elementwise(ledger: Ledger) -> Iterable[Charge]:
    for row in sized(ledger):
        for kinds, cause in PER_ELEMENT:
            if isinstance(row.op, kinds):
                yield Charge(row.row.name, cause, row.made)


def _computed_taps(ledger: Ledger) -> Iterable[Charge]:
    for row in sized(ledger):
        if isinstance(row.op, CONVOLUTIONS):
            computed = on_the_map(row.op, row.inputs[0], row.outputs[0])
            delta = None if computed is None else computed - row.macs
            yield Charge(row.row.name, "taps on the padding are not computed", delta)


def _connections(ledger: Ledger) -> Iterable[Charge]:
    """LeNet's count: a bias is a connection, and so is each tap of a subsampling layer."""
    yield from _biases()(ledger)
    for row in sized(ledger):
        if isinstance(row.op, AvgPool):
            kernel = each_axis(row.op.kernel_size, len(row.inputs[0]) - 2)
            yield Charge(row.row.name, "taps of subsampling layers", row.made * prod(kernel))
        elif isinstance(row.op, Scale) and row.has(BIAS):
            yield Charge(row.row.name, "biases are added", row.made)


def _doubled(rule: Rule) -> Rule:
    def twice(ledger: Ledger) -> Iterable[Charge]:
        for row, cause, delta in rule(ledger):
            yield Charge(row, cause, None if delta is None else 2 * delta)

    return twice


def _without(cause: str, chosen: Callable[[Ledger], frozenset[str]]) -> Rule:
    def rule(ledger: Ledger) -> Iterable[Charge]:
        names = chosen(ledger)
        for row in sized(ledger):
            if row.row.name in names:
                yield Charge(row.row.name, cause, -row.macs)

    return rule


def _only_convolutions(ledger: Ledger) -> Iterable[Charge]:
    for row in sized(ledger):
        if not isinstance(row.op, CONVOLUTIONS):
            yield Charge(row.row.name, "only convolutions are counted", -row.macs)


def _only(what: str, chosen: Callable[[Sized], bool]) -> Rule:
    def rule(ledger: Ledger) -> Iterable[Charge]:
        for row in sized(ledger):
            if row.row.elements is not None and not chosen(row):
                yield Charge(row.row.name, f"only outputs of {what} are counted", -row.row.elements)

    return rule


WORK: tuple[Convention, ...] = (
    Convention(
        "macs",
        MACS,
        "multiply-accumulates of convolutions, matrix products, attention",
        unchanged,
    ),
    Convention("flops", FLOPS, "2 for each MAC: a multiplication and an addition", unchanged),
    Convention("macs-with-biases", MACS, "MACs, and one for each bias that is added", _biases()),
    Convention(
        "flops-with-biases", FLOPS, "2 for each MAC and 1 for each bias that is added", _biases()
    ),
    Convention(
        "macs-with-elementwise",
        MACS,
        "MACs, and one for each number that any other arithmetic makes",
        _elementwise,
    ),
    Convention(
        "flops-with-elementwise",
        FLOPS,
        "2 for each MAC and 1 for each number that any other arithmetic makes",
        _elementwise,
    ),
    Convention(
        "macs-without-padding", MACS, "MACs without the taps that fall on padding", _computed_taps
    ),
    Convention(
        "flops-without-padding",
        FLOPS,
        "2 for each MAC, without the taps that fall on padding, as XLA counts convolutions",
        _doubled(_computed_taps),
    ),
    Convention("macs-of-convolutions", MACS, "MACs of convolutions only", _only_convolutions),
    Convention(
        "macs-without-head",
        MACS,
        "MACs without the last layer of each output, the classifier",
        _without("the classifier is not counted", heads),
    ),
    Convention(
        "macs-without-aux-heads",
        MACS,
        "MACs without auxiliary classifiers, which serve training only",
        _without("auxiliary heads are not counted", aux_heads),
    ),
    Convention(
        "connections",
        MACS,
        "MACs, biases and taps of subsampling layers, as the LeNet paper counts connections",
        _connections,
    ),
    Convention("activations", ACTIVATIONS, "numbers in the outputs of all operations", unchanged),
    Convention(
        "neurons",
        ACTIVATIONS,
        "numbers in the outputs of the layers that have weights",
        _only("layers with weights", lambda row: row.has(WEIGHT)),
    ),
    Convention(
        "activations-of-convolutions",
        ACTIVATIONS,
        "numbers in the outputs of convolutions",
        _only("convolutions", lambda row: isinstance(row.op, CONVOLUTIONS)),
    ),
)
