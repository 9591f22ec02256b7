"""What tools with hooks have in common: a rule for each class of module, nothing for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netledger.conventions.convention import Charge
from netledger.conventions.peers.modules import Called, Network
from netledger.conventions.sizes import Sized
from netledger.graph import BIAS
from netledger.ledger import add_up
from netledger.ops import (
    Einsum,
    MatMul,
    MultiHeadAttention,
    ScaledDotProductAttention,
)
from netledger.ops.recurrent import Recurrent


@dataclass(frozen=True)
class Hook:
    """What a tool counts for a call of a module.

    Attributes:
        macs: What it counts for the multiply-accumulates.
        cause: Why that is not our number, where it is not.
        extras: What else it counts, each with its cause.
    """

    macs: Any = 0
    cause: str = ""
    extras: tuple[tuple[str, Any], ...] = ()


Rule = Callable[[Called], Hook]

NOTHING = Hook()
BIASES = "each bias added counts as one"
TRANSPOSED = "a transposed convolution is counted at each position of its output, not of its input"


def charges(
    network: Network, hook: Callable[[Called], Hook | None], missing: Callable[[Sized], str]
) -> Iterator[Charge]:
    """The differences of a tool that counts calls of modules.

    Args:
        network: The network.
        hook: What the tool counts for a call; None for a class that it does not know.
        missing: Why the multiply-accumulates of an operation in no known module are not counted.
    """
    for call in network.calls:
        found = hook(call) if call.rows else None
        if found is None:
            yield from (Charge(r.row.name, missing(r), -r.macs) for r in call.rows)
            continue
        name, own = call.main.row.name, add_up(r.macs for r in call.rows)
        cause = found.cause or missing(call.main)
        yield Charge(name, cause, add_up((found.macs, -own)))
        yield from (Charge(name, why, amount) for why, amount in found.extras)
    yield from (Charge(r.row.name, missing(r), -r.macs) for r in network.loose)


def not_counted(row: Sized) -> str:
    """Why a tool with hooks does not count an operation, in words."""
    if isinstance(row.op, ScaledDotProductAttention | MultiHeadAttention):
        return "attention products are not counted"
    if isinstance(row.op, MatMul | Einsum):
        return "products of two computed tensors are not counted"
    if isinstance(row.op, Recurrent):
        return "recurrent layers are not counted"
    return "layers that are not called as modules of a known class are not counted"


def biases(row: Sized) -> Any:
    """Numbers that get a bias: all that the row makes, if it has one."""
    return row.made if row.has(BIAS) else 0


def macs_and_biases(call: Called) -> Hook:
    """Our multiply-accumulates, and one for each bias that is added."""
    return Hook(call.main.macs, extras=((BIASES, biases(call.main)),))


def per_number(cause: str, factor: int, of: Callable[[Sized], Any]) -> Rule:
    """So many for each number of a tensor."""
    return lambda call: Hook(extras=((cause, of(call.main) * factor),))


def taken(row: Sized) -> Any:
    """Numbers in the input."""
    return row.taken


def made(row: Sized) -> Any:
    """Numbers in the output."""
    return row.made


def ranked(words: Iterable[str], rule: Rule) -> dict[str, Rule]:
    """The same rule for the classes of one, two and three spatial axes."""
    return {f"{word}{rank}d": rule for word in words for rank in (1, 2, 3)}
