"""fvcore 0.1.5: ``FlopCountAnalysis(model, inputs).total()``, in evaluation mode.

Operators of the trace are counted, whoever calls them: convolutions and matrix products as we
count them, normalisations with 1 to 5 for each number, some poolings and resizings. Attention as
one operator, recurrent layers and convolutions with ``padding="same"`` are not.
fvcore/nn/jit_handles.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from netledger.conventions.convention import MACS, Charge, Convention
from netledger.conventions.peers.hooks import not_counted
from netledger.conventions.sizes import Sized, sized
from netledger.formula import Formula, prod
from netledger.graph import WEIGHT
from netledger.ledger import Ledger, add_up
from netledger.ops import (
    AdaptiveAvgPool,
    BatchNorm,
    Conv,
    Einsum,
    GlobalAvgPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    MatMul,
    MultiHeadAttention,
    Resize,
    RMSNorm,
    ScaledDotProductAttention,
)
from netledger.ops.base import Op
from netledger.ops.recurrent import Recurrent

Rule = Callable[[Sized, str], Iterable[tuple[str, Any]]]
Parts = Iterator[tuple[str, Any]]


def flops(ledger: Ledger) -> Iterable[Charge]:
    """What ``FlopCountAnalysis.total`` differs by."""
    for row in sized(ledger):
        rule = next((r for kinds, r in RULES if isinstance(row.op, kinds)), None)
        if rule is not None:
            target = ledger.graph.node(row.row.name).target
            yield from (Charge(row.row.name, cause, delta) for cause, delta in rule(row, target))


def _not_counted(row: Sized, target: str) -> Parts:
    yield not_counted(row), -row.macs


def _attention(row: Sized, target: str) -> Parts:
    if isinstance(row.op, MultiHeadAttention):
        query, key, _ = row.op.three(row.inputs)
        d, d_v, _ = row.op.widths(query)
        tokens = row.op.tokens(query) * row.op.tokens(key)
        batch = query[0] if row.op.batch_first else query[1]
        yield not_counted(row), -(batch * row.op.num_heads * tokens * (d + d_v))


def _convolution(row: Sized, target: str) -> Parts:
    if target and isinstance(row.op, Conv) and isinstance(row.op.padding, str):
        yield "convolutions with padding in words are not counted", -row.macs


def _product(row: Sized, target: str) -> Parts:
    if target == "aten.baddbmm":
        yield "baddbmm is not counted", -row.macs
        return
    a, b = row.inputs
    cause = "a product is counted for the first tensor, though the second has more matrices"
    yield cause, add_up((prod(a) * b[-1], -row.macs))


def _einsum(row: Sized, target: str) -> Parts:
    if target not in ("", "aten.einsum") or not isinstance(row.op, Einsum):
        return
    terms, _ = row.op.terms(len(row.inputs))
    if len(terms) == 1:
        theirs: Any = 0
    elif _batched(row.op.equation, terms) or _symbolic(row):
        return
    elif len(terms) == 2:
        theirs = _four_digits(row, terms)
    else:
        theirs = None
    cause = "einsum is counted to four digits, and without a sum too"
    yield cause, None if theirs is None else theirs - row.macs


def _batched(equation: str, terms: list[str]) -> bool:
    """True for the two forms of a batched product that are counted exactly."""
    order: dict[str, str] = {}
    for c in equation.replace(" ", ""):
        if c.isalpha():
            order.setdefault(c, chr(97 + len(order)))
    plain = "".join(order.get(c, c) for c in equation.replace(" ", ""))
    return plain in ("abc,abd->acd", "abc,adc->adb")


def _symbolic(row: Sized) -> bool:
    return any(isinstance(d, Formula) for shape in row.inputs for d in shape)


def _four_digits(row: Sized, terms: list[str]) -> int:
    """NumPy's ``einsum_path`` prints its count as ``1.234e+06``; half of that is taken."""
    assert isinstance(row.op, Einsum)
    size = prod(row.op.sizes(terms, row.inputs).values())
    out = row.op.terms(len(terms))[1]
    summed = set("".join(terms)) - set(out)
    count = size * (2 if summed else 1)
    return int(Fraction(f"{count:.3e}") / 2)


def _running_norm(row: Sized, target: str) -> Parts:
    affine = row.has(WEIGHT)
    yield f"batch normalisation: {2 if affine else 1} for each number", row.made * (1 + affine)


def _norm(row: Sized, target: str) -> Parts:
    each = 5 if row.has(WEIGHT) else 4
    yield f"normalisations over a sample: {each} for each number", row.made * each


def _pool(row: Sized, target: str) -> Parts:
    if len(row.inputs[0]) == 4:
        yield "adaptive average pooling: one for each number of the input", row.taken


def _resize(row: Sized, target: str) -> Parts:
    assert isinstance(row.op, Resize)
    each = {"nearest": 1, "bilinear": 4}.get(row.op.mode, 0)
    if len(row.inputs[0]) == 4 and each:
        yield f"{row.op.mode} resizing: {each} for each number made", row.made * each


RULES: tuple[tuple[type[Op] | tuple[type[Op], ...], Rule], ...] = (
    ((ScaledDotProductAttention, Recurrent), _not_counted),
    (MultiHeadAttention, _attention),
    (Conv, _convolution),
    (MatMul, _product),
    (Einsum, _einsum),
    (BatchNorm, _running_norm),
    (RMSNorm, lambda row, target: ()),
    ((GroupNorm, InstanceNorm, LayerNorm), _norm),
    ((AdaptiveAvgPool, GlobalAvgPool), _pool),
    (Resize, _resize),
)

CONVENTIONS = (
    Convention(
        "fvcore",
        MACS,
        "FlopCountAnalysis: MACs but for attention, normalisations with 1 to 5 for each number",
        flops,
        "fvcore 0.1.5",
    ),
)
