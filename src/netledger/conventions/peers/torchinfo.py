"""torchinfo 1.8: ``summary(model, …)``.

Every module without modules inside is counted at each call, by the names of its parameters: at the
positions of a convolution's output, once per sample elsewhere. Tensors and products that are in no
such module have no multiply-adds. Shared parameters count in every module that keeps them.
torchinfo/layer_info.py, model_statistics.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netledger.conventions.convention import MACS, PARAMS, Charge, Convention
from netledger.conventions.peers.hooks import BIASES, TRANSPOSED, Hook, charges, not_counted
from netledger.conventions.peers.modules import Called, Kept, Network, with_parents
from netledger.formula import prod
from netledger.ledger import Ledger, add_up
from netledger.ops import BatchNorm, ConvTranspose, Embedding, Linear
from netledger.ops.norm import ChannelNorm, LayerNorm
from netledger.ops.recurrent import Recurrent

TOOL = "torchinfo 1.8"
NAMED = ("weight", "bias")
ONCE = "a matrix counts once for each entry of the first axis, however many positions follow"
SCALES = "scales and offsets of normalisations count once per sample"
TABLES = "the whole table of an embedding counts"
STORED = "parameters of other modules count once per sample"


def mult_adds(ledger: Ledger) -> Iterable[Charge]:
    """What ``total_mult_adds`` differs by."""
    network = Network(ledger)
    owned: dict[str, list[Kept]] = {}
    for kept in network.kept:
        owned.setdefault(kept.owner, []).append(kept)

    def hook(call: Called) -> Hook | None:
        return _hook(call, _once(owned.get(call.path, ()))) if call.leaf else None

    return charges(network, hook, not_counted)


def _once(kept: Iterable[Kept]) -> list[Kept]:
    """Each tensor of a module once, though several calls use it."""
    return list({k.storage: k for k in kept}.values())


def _hook(call: Called, kept: list[Kept]) -> Hook | None:
    out = call.rows[-1].result if call.rows[-1].row.outputs else ()
    if not kept or not out:
        return None
    op = call.main.op
    if isinstance(op, Recurrent):
        out = call.main.result
    weights = add_up(_at(call, k, out) * k.count for k in kept if "weight" in k.name)
    added = add_up(_at(call, k, out) * k.count for k in kept if "bias" in k.name)
    if isinstance(op, ChannelNorm | LayerNorm | BatchNorm):
        return Hook(extras=((SCALES, add_up((weights, added))),))
    if isinstance(op, Embedding):
        return Hook(extras=((TABLES, weights),))
    cause = STORED
    if isinstance(op, ConvTranspose):
        cause = TRANSPOSED
    elif isinstance(op, Linear):
        cause = ONCE
    return Hook(weights, cause, ((BIASES, added),))


def _at(call: Called, kept: Kept, out: Any) -> Any:
    """At how many positions a parameter counts."""
    if kept.name not in NAMED:
        return prod(out[:2])
    return out[0] * prod(out[2:]) if "Conv" in call.title else out[0]


def params(ledger: Ledger) -> Iterator[Charge]:
    """What ``total_params`` differs by.

    A module's own parameters are what it has in all less what the modules inside have; where
    they share a tensor that would be negative, and torchinfo takes 0.
    """
    network = Network(ledger)
    ran = _ran(network)
    inside: dict[str, list[Kept]] = {}
    for kept in network.kept:
        path = kept.owner
        inside.setdefault(path, []).append(kept)
        while path:
            path = path.rpartition(".")[0]
            inside.setdefault(path, []).append(kept)
    for path in sorted(ran):
        yield from _clipped(path, ran, inside)


def _ran(network: Network) -> dict[str, list[str]]:
    """For each module that runs, or has one inside that does, those directly inside that do."""
    paths = {""}
    for call in network.calls:
        paths.update(path for path in with_parents(call.path) if path in network.paths)
    found: dict[str, list[str]] = {path: [] for path in paths}
    for path in paths - {""}:
        above = next(p for p in with_parents(path.rpartition(".")[0]) if p in paths)
        found[above].append(path)
    return found


def _clipped(
    path: str, ran: dict[str, list[str]], inside: dict[str, list[Kept]]
) -> Iterator[Charge]:
    children = [_counts(inside.get(child, ())) for child in ran[path]]
    own = _counts(inside.get(path, ()))
    left = add_up((*own.values(), *(-n for child in children for n in child.values())))
    if not ran[path] or not isinstance(left, int) or left >= 0:
        return
    rows = {k.storage: k.row for k in inside.get(path, ())}
    cause = "shared parameters count in every module that keeps them"
    for storage, count in own.items():
        times = sum(storage in child for child in children)
        if times > 1:
            yield Charge(rows[storage], cause, (times - 1) * count)
        elif times == 0:
            hidden = "parameters outside of layers are taken for the shared ones"
            yield Charge(rows[storage], hidden, -count)


def _counts(kept: Iterable[Kept]) -> dict[str, Any]:
    return {k.storage: k.count for k in kept}


CONVENTIONS = (
    Convention(
        "torchinfo-params", PARAMS, "total params: shared ones in every layer", params, TOOL
    ),
    Convention(
        "torchinfo",
        MACS,
        "total mult-adds: parameters of layers × positions of convolutions",
        mult_adds,
        TOOL,
    ),
)
