"""What a layer of a Functional model is called on, as Keras 3 and Keras 2 write it down."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from netledger.errors import SpecError
from netledger.readers.keras.config import Entry


class Value(str):
    """The name of a value, where anything else could stand too."""

    __slots__ = ()


Place = tuple[str, int, int]
"""A value: the layer that makes it, in which of its calls, as which output."""


class Ref(NamedTuple):
    """A value that a layer is called on, and its shape where the file states it."""

    place: Place
    shape: Any = None


class Arguments(NamedTuple):
    """What a layer is called with; values are `Ref`s."""

    args: tuple[Any, ...]
    options: Mapping[str, Any]

    def refs(self) -> Iterator[Ref]:
        """Every value that the call needs."""
        yield from _refs(self.args)
        yield from _refs(self.options)


class Inbound(NamedTuple):
    """What a layer is called with; values are `Value`s."""

    inputs: tuple[str, ...]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = {}

    def renamed(self, names: Mapping[str, str]) -> Inbound:
        """The same with other values."""

        def change(found: Any) -> Any:
            if isinstance(found, Value):
                return Value(names.get(found, found))
            if isinstance(found, dict):
                return {key: change(one) for key, one in found.items()}
            return [change(one) for one in found] if isinstance(found, list) else found

        return Inbound(
            tuple(names.get(v, v) for v in self.inputs),
            tuple(change(one) for one in self.args),
            {key: change(one) for key, one in self.options.items()},
        )


def arguments(layer: Entry, names: Collection[str]) -> list[Arguments]:
    """The calls of a layer, in order.

    Args:
        layer: The layer's entry.
        names: The layers that there are.

    Raises:
        SpecError: If they are not written in a form that Keras writes.
    """
    calls = layer.get("inbound_nodes", [])
    if not isinstance(calls, list):
        raise SpecError("inbound_nodes must be a list", received=str(calls)[:120])
    return [_modern(c) if isinstance(c, dict) else _legacy(c, names) for c in calls]


def is_modern(layer: Entry) -> bool:
    """True if the calls of a layer are written as Keras 3 does."""
    calls = layer.get("inbound_nodes")
    return isinstance(calls, list) and any(isinstance(call, dict) for call in calls)


def _modern(call: Mapping[str, Any]) -> Arguments:
    args, options = call.get("args", []), call.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(options, dict):
        raise SpecError("a call must have a list of args and named kwargs")
    return Arguments(tuple(map(_tensors, args)), {k: _tensors(v) for k, v in options.items()})


def _tensors(said: Any) -> Any:
    """The same structure, with `Ref`s where it describes tensors."""
    if isinstance(said, list):
        return [_tensors(one) for one in said]
    if not isinstance(said, dict):
        return said
    if said.get("class_name") == "__keras_tensor__":
        config = said.get("config")
        config = config if isinstance(config, dict) else {}
        return Ref(place(config.get("keras_history")), config.get("shape"))
    return {key: _tensors(one) for key, one in said.items()}


def _legacy(call: Any, names: Collection[str]) -> Arguments:
    if not isinstance(call, list):
        raise SpecError("a call must be a list", received=str(call)[:120])
    items = [call] if call and isinstance(call[0], str) else call
    args: list[Any] = []
    options: dict[str, Any] = {}
    for item in items:
        if isinstance(item, list) and len(item) > 2 and item[0] == "_CONSTANT_VALUE":
            args.append(item[2])
        else:
            args.append(Ref(place(item)))
        if len(item) > 3 and isinstance(item[3], dict):
            options.update({key: _named(one, names) for key, one in item[3].items()})
    return Arguments(tuple(args), options)


def _named(said: Any, names: Collection[str]) -> Any:
    """The same for named arguments of Keras 2, where a list may be a value or just a list."""
    if isinstance(said, dict):
        return {key: _named(one, names) for key, one in said.items()}
    if not isinstance(said, list):
        return said
    if len(said) >= 3 and isinstance(said[0], str) and said[0] in names:
        return Ref(place(said))
    return [_named(one, names) for one in said]


def place(said: Any) -> Place:
    """The value that ``[layer, call, output]`` means."""
    if isinstance(said, list) and len(said) >= 3:
        layer, call, output = said[:3]
        if isinstance(layer, str) and type(call) is int and type(output) is int:
            return layer, call, output
    raise SpecError("a value must be [layer, call, output]", received=str(said)[:120])


def places(said: Any) -> Iterator[Place]:
    """The values in a nested list or mapping of them, such as ``output_layers``."""
    if isinstance(said, dict):
        for key in sorted(said):
            yield from places(said[key])
    elif isinstance(said, list) and said and isinstance(said[0], str):
        yield place(said)
    elif isinstance(said, list):
        for one in said:
            yield from places(one)
    elif said is not None:
        raise SpecError("a value must be [layer, call, output]", received=str(said)[:120])


def _refs(found: Any) -> Iterator[Ref]:
    if isinstance(found, Ref):
        yield found
    elif isinstance(found, dict):
        for key in sorted(found):
            yield from _refs(found[key])
    elif isinstance(found, list | tuple):
        for one in found:
            yield from _refs(one)


def resolve(found: Arguments, values: Mapping[Place, str]) -> Inbound:
    """The call with the names of its values put in; masks are no inputs."""
    named = {key: one for key, one in found.options.items() if "mask" not in key}
    feeds = (*_refs(found.args), *_refs(named))
    return Inbound(
        tuple(_value(ref, values) for ref in feeds),
        tuple(_resolved(one, values) for one in found.args),
        {key: _resolved(one, values) for key, one in found.options.items()},
    )


def _resolved(found: Any, values: Mapping[Place, str]) -> Any:
    if isinstance(found, Ref):
        return Value(_value(found, values))
    if isinstance(found, dict):
        return {key: _resolved(one, values) for key, one in found.items()}
    if isinstance(found, list):
        return [_resolved(one, values) for one in found]
    return found


def _value(ref: Ref, values: Mapping[Place, str]) -> str:
    try:
        return values[ref.place]
    except KeyError:
        layer, _, output = ref.place
        fact = f"takes output {output} of {layer[:200]!r}, which does not make it"
        raise SpecError(fact) from None
