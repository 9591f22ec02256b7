"""What feeds what in a spec, and which parameters are one storage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netledger.errors import GraphError, NetledgerError, did_you_mean
from netledger.graph import Graph, Node
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.readers.spec.layer import Layer
from netledger.readers.spec.values import Reference, Values, show
from netledger.schema import needs_inputs
from netledger.strict_yaml import Value

Layers = Mapping[str, Layer]
Stored = tuple[str, str]
"""A layer and one of its parameters."""


def link(
    values: Values, layers: Layers, inputs: Iterable[str], returned: list[Reference] | None
) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """The nodes, each with the values that feed it, and the network's outputs.

    Raises:
        GraphError: If a value is not made, or only later, or twice.
    """
    named = _name_values(layers, returned or [])
    made = dict.fromkeys(inputs)
    last = next(iter(made), None)
    nodes: list[Node] = []
    for layer in layers.values():
        values.where = layer.where
        here = Value(None, layer.line)
        if layer.feeds is not None:
            feeds = tuple(_made(values, ref, "takes", made, layers, named) for ref in layer.feeds)
        elif layer.op.arity[0] == 0:
            feeds = ()
        elif last is None:
            raise values.fault("nothing feeds it", here, "the network has no inputs")
        elif needs_inputs(type(layer.op)):
            fact = f"{layer.op.key} takes several values, and none is named"
            raise values.fault(fact, here, f"for instance {layer.op.key}: {{inputs: [{last}, …]}}")
        else:
            feeds = (last,)
        own = named[layer.name]
        for value in own:
            if value in made:
                raise values.fault(f"makes a second value called {value!r}", here)
            made[value] = None
        last = own[0] if own else last
        nodes.append(_node(values, layer, feeds, own))
    values.where = ""
    if returned is None:
        return tuple(nodes), () if last is None else (last,)
    return tuple(nodes), tuple(
        _made(values, ref, "returns", made, layers, named) for ref in returned
    )


def _node(values: Values, layer: Layer, feeds: tuple[str, ...], own: tuple[str, ...]) -> Node:
    return Node(
        layer.name,
        layer.op,
        feeds,
        own,
        scope=layer.scope,
        source=values.at(layer.line),
        trainable=layer.trainable,
        recorded=layer.recorded,
    )


def _name_values(layers: Layers, returned: list[Reference]) -> dict[str, tuple[str, ...]]:
    """The names of each layer's outputs: as many as it says, or else as are asked for."""
    most: dict[str, int] = {}
    asked = [ref for layer in layers.values() for ref in layer.feeds or []]
    for name, _ in [*asked, *returned]:
        head, _, tail = name.rpartition(":")
        if name not in layers and re.fullmatch("[1-9][0-9]{0,3}", tail):
            most[head] = max(most.get(head, 0), int(tail))
    return {name: output_names(layer, most.get(name, 0)) for name, layer in layers.items()}


def output_names(layer: Layer, most: int) -> tuple[str, ...]:
    """The names of a layer's outputs: ``split``, ``split:1``, ``split:2``."""
    if isinstance(layer.outputs, tuple) or layer.op.silent:
        return layer.outputs if isinstance(layer.outputs, tuple) else ()
    count = 1 + most if layer.count is None else layer.count
    return (layer.name, *(f"{layer.name}:{i}" for i in range(1, count)))[:count]


def _made(
    values: Values,
    reference: Reference,
    verb: str,
    made: Mapping[str, None],
    layers: Layers,
    named: Mapping[str, tuple[str, ...]],
) -> str:
    """The name of a value, if it has been made by now."""
    name, line = reference
    if name in made:
        return name
    fact, hint = f"{verb} {name!r}, which no layer makes", did_you_mean(name, made)
    head = name if name in layers else name.rpartition(":")[0]
    if head in layers and values.where == layers[head].where:
        fact, hint = f"{verb} {name!r}, which is its own output", "networks have no loops"
    elif any(name in own for own in named.values()):
        fact, hint = f"{verb} {name!r}, which is made only later", "list it after that layer"
    elif named.get(head):
        hint = f"{head!r} makes {', '.join(map(repr, named[head][:8]))}"
    raise GraphError(fact, where=values.where, source=values.at(line), hint=hint)


# Ties


def tied(values: Values, graph: Graph, layers: Layers) -> Graph:
    """The graph with the ties that its layers name.

    Raises:
        NetledgerError: If a layer or parameter does not exist, or sizes differ.
    """
    tying = [layer for layer in layers.values() if layer.tie is not None]
    if not tying:
        return graph
    stored = _stored(graph)
    target: dict[Stored, Stored] = {}
    for layer in tying:
        values.where = layer.where
        for own, other, line in _pairs(values, layer, layers, stored):
            _compare(values, (layer.name, own), other, stored, line)
            target[layer.name, own] = other
    groups: dict[Stored, list[Stored]] = {}
    for one in target:
        groups.setdefault(_root(values, one, target, layers), []).append(one)
    values.where = ""
    return replace(graph, ties=tuple((root, *rest) for root, rest in groups.items()), _by_name={})


def _stored(graph: Graph) -> dict[str, dict[str, object]]:
    """How many numbers each parameter has; layers after one that does not fit are left out."""
    ledger: Ledger | None
    try:
        ledger = infer(graph)
    except NetledgerError as error:  # raised again when the network's ledger is asked for
        ledger = error.partial
    rows = ledger.ops if ledger else ()
    return {row.name: {p.name: p.count for p in row.parameters} for row in rows}


def _pairs(
    values: Values, layer: Layer, layers: Layers, stored: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, Stored, int]]:
    """Own parameters, each with the one that it is tied to."""
    tie = layer.tie
    assert tie is not None
    if isinstance(tie.data, str):
        _layer(values, tie.data, layers, tie.line)
        if layer.name not in stored or tie.data not in stored:
            return
        own, others = stored[layer.name], stored[tie.data]
        if not any(name in others for name in own):
            fact = f"shares no parameter's name with {tie.data!r}"
            has = f"this layer has {_names(own)}; {tie.data!r} has {_names(others)}"
            raise values.fault(fact, tie, has)
        yield from ((name, (tie.data, name), tie.line) for name in own if name in others)
    elif isinstance(tie.data, dict):
        for name, value in tie.data.items():
            other, parameter = _stored_name(values, value)
            _layer(values, other, layers, value.line)
            yield name, (other, parameter), value.line
    else:
        fact = f"tie must be a layer, or a mapping of parameters; got {show(tie)}"
        raise values.fault(fact, tie, "for instance tie: {weight: embed/weight}")


def _stored_name(values: Values, value: Value) -> Stored:
    """A layer and a parameter: ``embed/weight``, or a list of the two."""
    if isinstance(value.data, str):
        layer, _, parameter = value.data.rpartition("/")
        if layer and parameter:
            return layer, parameter
    elif isinstance(value.data, list) and len(value.data) == 2:
        layer, parameter = (values.text(part, "a name in tie") for part in value.data)
        return layer, parameter
    raise values.fault(
        f"a tied parameter is named layer/parameter; got {show(value)}",
        value,
        "for instance embed/weight",
    )


def _layer(values: Values, name: str, layers: Layers, line: int) -> None:
    if name not in layers:
        raise values.unknown("layer", name, layers, line, "name a layer of this file")


def _compare(
    values: Values,
    one: Stored,
    other: Stored,
    stored: Mapping[str, Mapping[str, object]],
    line: int,
) -> None:
    """Refuses parameters that do not exist, or that cannot be one storage."""
    for layer, parameter in (one, other):
        if layer in stored and parameter not in stored[layer]:
            has = f"{layer!r} has {_names(stored[layer])}"
            raise values.unknown(f"parameter of {layer}", parameter, stored[layer], line, has)
    if one[0] in stored and other[0] in stored:
        own, theirs = stored[one[0]][one[1]], stored[other[0]][other[1]]
        if own != theirs:
            fact = f"{one[1]} has {_count(own)} numbers, {'/'.join(other)} has {_count(theirs)}"
            hint = "parameters that are tied are one storage, of one size"
            raise values.fault(fact, Value(None, line), hint)


def _root(values: Values, one: Stored, target: Mapping[Stored, Stored], layers: Layers) -> Stored:
    """Where a chain of ties ends."""
    at = one
    for _ in range(len(target) + 1):
        if at not in target:
            return at
        at = target[at]
    layer = layers[one[0]]
    values.where = layer.where
    line = layer.tie.line if layer.tie else layer.line
    raise values.fault(f"{one[1]} is tied to itself", Value(None, line), "one of them must be free")


def _names(parameters: Mapping[str, object]) -> str:
    return ", ".join(map(repr, parameters)) or "no parameters"


def _count(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else str(count)
