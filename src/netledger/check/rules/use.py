"""Rules about layers and parameters that do not do what they are there for."""

from __future__ import annotations

from collections.abc import Iterator

from netledger.check.network import Network, joined, plural
from netledger.check.rules.base import INFO, Rule
from netledger.ledger import Finding, Row, Stored, add_up, plain


class NeverReached(Rule):
    """Layers with parameters or MACs that lead to no output of the network."""

    code, name = "NL121", "layers that lead to no output"

    def find(self, net: Network) -> Iterator[Finding]:
        for group in _dead(net):
            params = add_up(row.params for row in group)
            macs = add_up(row.macs for row in group)
            if not _is_some(params) and not _is_some(macs):
                continue  # what exporters leave of masks and sizes costs next to nothing
            others = len(group) - 1
            who = f"this layer and {plural(others, 'other')} after it" if others else "this layer"
            many = "lead" if others else "leads"
            cost = [f"{_count(params)} parameters"] * _is_some(params)
            cost += [f"{_count(macs)} MACs"] * _is_some(macs)
            message = f"{who} {many} to no output of the network: {' and '.join(cost)} for nothing"
            yield self.finding(group[0], message, "use the result, or remove the layers")


def _is_some(count: object) -> bool:
    """True for a number that is not 0, or a formula, whose sizes are not known."""
    return type(count) is not int or count != 0


def _count(value: object) -> str:
    return f"{value:,}" if type(value) is int else str(plain(value))


def _dead(net: Network) -> list[list[Row]]:
    """The rows that lead to no output: those that hang together are one group."""
    alive = {row.name for row in net.before(map(net.maker, net.outputs))}
    groups: dict[str, list[Row]] = {}
    if not net.outputs:
        return []
    for row in net.rows:
        if row.op is None or row.name in alive or not row.made:
            continue
        makers = [net.maker(value).name for value in row.inputs]
        joins = list({id(groups[n]): groups[n] for n in makers if n in groups}.values())
        group = joins[0] if joins else []
        for other in joins[1:]:
            group.extend(other)
            groups.update((member.name, group) for member in other)
        group.append(row)
        groups[row.name] = group
    order = {row.name: i for i, row in enumerate(net.rows)}
    unique = {id(group): group for group in groups.values()}.values()
    return [sorted(group, key=lambda row: order[row.name]) for group in unique]


class UnusedInput(Rule):
    """An input that no layer takes."""

    code, name = "NL122", "input that is not used"

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.rows:
            if (
                row.op is None
                and not net.users(row)
                and not net.returned(row)
                and len(net.rows) > 1
            ):
                yield self.finding(row, "no layer takes this input", "use it, or remove it")


class PartlyFrozen(Rule):
    """A layer of which some parameters are frozen and others are not."""

    code, name, level = "NL123", "partly frozen layer", INFO

    def find(self, net: Network) -> Iterator[Finding]:
        for row in net.rows:
            learned = [p for p in row.parameters if p.role != "buffer"]
            frozen = [p.name for p in learned if not p.trainable]
            free = [p.name for p in learned if p.trainable]
            if row.kind != "Module" and frozen and free:
                message = (
                    f"{joined(frozen)} {'is' if len(frozen) == 1 else 'are'} frozen, {joined(free)}"
                    f" {'is' if len(free) == 1 else 'are'} not"
                )
                yield self.finding(row, message, "freeze all of the layer or none, unless meant")


class OddTies(Rule):
    """Parameters that are said to be one and the same, but cannot well be."""

    code, name = "NL124", "odd tied weights"

    def find(self, net: Network) -> Iterator[Finding]:
        for group in net.ledger.graph.ties:
            known = [(name, part, _stored(net, name, part)) for name, part in group]
            first, rest = known[0], known[1:]
            for name, part, stored in rest:
                if first[2] is None or stored is None:
                    continue
                odd = _odd(first[2], stored)
                if odd:
                    message = f"{part} is tied to {first[0]}.{first[1]}, but {odd}"
                    hint = "tie parameters of one role and shape only, or count them apart"
                    yield self.finding(net.by_name[name], message, hint)


def _stored(net: Network, name: str, part: str) -> Stored | None:
    row = net.by_name.get(name)
    return next((p for p in row.parameters if p.name == part), None) if row is not None else None


def _odd(a: Stored, b: Stored) -> str:
    """In what two tied parameters differ that they should share; a transposed matrix is fine."""
    if a.role != b.role:
        return f"one is a {a.role}, the other a {b.role}"
    if b.shape not in (a.shape, tuple(reversed(a.shape))):
        return f"their shapes are {_shape(a)} and {_shape(b)}"
    if a.dtype != b.dtype:
        return f"one is {a.dtype}, the other {b.dtype}"
    if a.trainable != b.trainable:
        return "only one of the two is frozen"
    return ""


def _shape(p: Stored) -> str:
    return "×".join(map(str, p.shape))
