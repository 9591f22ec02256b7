"""Conventions for parameters and bytes: which stored numbers count, and as how many bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netledger.conventions.convention import BYTES, PARAMS, Charge, Convention, unchanged
from netledger.conventions.roles import aux_heads, embeddings, heads, position_embeddings
from netledger.formula import ceil_div
from netledger.graph import BIAS, BUFFER
from netledger.ledger import Ledger, Row, Stored, add_up


def stored(ledger: Ledger) -> Iterator[tuple[Row, Stored]]:
    """Every stored tensor, shared ones once, with its row; those of unknown rows are left out."""
    for row in ledger.ops:
        for p in row.parameters:
            if p.tied_to is None and "params" not in row.unknown:
                yield row, p


def _without(
    cause: str, leaves_out: Callable[[Row, Stored], bool]
) -> Callable[[Ledger], Iterable[Charge]]:
    """A rule that does not count some of the parameters."""

    def rule(ledger: Ledger) -> Iterable[Charge]:
        for row, p in stored(ledger):
            if p.role != BUFFER and leaves_out(row, p):
                yield Charge(row.name, cause, -p.count)

    return rule


def _without_rows(
    cause: str, chosen: Callable[[Ledger], frozenset[str]]
) -> Callable[[Ledger], Iterable[Charge]]:
    """A rule that does not count the parameters of some rows."""

    def rule(ledger: Ledger) -> Iterable[Charge]:
        names = chosen(ledger)
        return _without(cause, lambda row, p: row.name in names)(ledger)

    return rule


def with_buffers(ledger: Ledger) -> Iterable[Charge]:
    """Running statistics and other buffers count as parameters."""
    for row, p in stored(ledger):
        if p.role == BUFFER:
            yield Charge(row.name, "buffers (running statistics) are counted", p.count)


def _bytes(count: Any, bits: int) -> Any:
    return count * (bits // 8) if bits >= 8 else ceil_div(count * bits, 8)


def _as_bytes(bits: int, dtype: str) -> Callable[[Ledger], Iterable[Charge]]:
    """A rule that stores every number in so many bits."""

    def rule(ledger: Ledger) -> Iterable[Charge]:
        for row, p in stored(ledger):
            now: Any = 0 if p.stored_bytes is None else p.stored_bytes
            cause = f"{p.dtype} stored as {dtype}"
            yield Charge(row.name, cause, add_up((_bytes(p.count, bits), -now)))

    return rule


def _of(name: str, text: str, rule: Callable[[Ledger], Iterable[Charge]]) -> Convention:
    return Convention(name, PARAMS, text, rule)


PARAMETERS: tuple[Convention, ...] = (
    _of("params", "weights + biases, trainable or frozen; what is shared counts once", unchanged),
    _of(
        "trainable",
        "only parameters that are trained",
        _without("frozen parameters are not counted", lambda row, p: not p.trainable),
    ),
    _of("with-buffers", "parameters and buffers (running statistics)", with_buffers),
    _of(
        "weights",
        "weights only, no biases",
        _without("biases are not counted", lambda row, p: p.role == BIAS),
    ),
    _of(
        "no-embeddings",
        "parameters without the tables of embeddings, those of positions included",
        _without_rows("embeddings are not counted", embeddings),
    ),
    _of(
        "no-position-embeddings",
        "parameters without learned embeddings of positions",
        _without_rows("position embeddings are not counted", position_embeddings),
    ),
    _of(
        "no-head",
        "parameters without the last layer of each output, the classifier",
        _without_rows("the classifier is not counted", heads),
    ),
    _of(
        "no-aux-heads",
        "parameters without auxiliary classifiers, which serve training only",
        _without_rows("auxiliary heads are not counted", aux_heads),
    ),
)

SIZES: tuple[Convention, ...] = (
    Convention("bytes", BYTES, "parameters and buffers as they are stored", unchanged),
    *(
        Convention(dtype, BYTES, f"parameters and buffers, each number in {bits} bits", rule)
        for dtype, bits in (("float32", 32), ("float16", 16), ("int8", 8), ("int4", 4))
        for rule in (_as_bytes(bits, dtype),)
    ),
)
