"""Sequential and Functional models, nested and shared: the walk through a configuration."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from netledger.errors import GraphError, NetledgerError, SpecError
from netledger.graph import Graph
from netledger.readers.keras.call import Call, Config
from netledger.readers.keras.config import (
    Entry,
    dtypes_of,
    is_model,
    layer_config,
    layer_name,
    model_config,
    text,
)
from netledger.readers.keras.inbound import (
    Arguments,
    Inbound,
    Place,
    Value,
    arguments,
    is_modern,
    places,
    resolve,
)
from netledger.readers.keras.quantised import quantised
from netledger.readers.keras.reading import Reading, Unfit
from netledger.readers.keras.table import find_layer
from netledger.readers.keras.weights import Weights

MOST_OUTPUTS = 8
"""Of how many outputs of a layer the recorded shapes are looked up."""


class Frame(NamedTuple):
    """Where a model is called.

    Attributes:
        reading: The whole that is being read.
        inputs: The values that it is called on; None for the network itself.
        scope: The module path of its layers.
        path: What identifies the model, however often it is called.
        weights: What is stored of it, if known.
        trainable: False if all of it is frozen.
    """

    reading: Reading
    inputs: tuple[str, ...] | None
    scope: str
    path: str
    weights: Weights | None
    trainable: bool


def read_model(
    entry: Entry, source: str, weights: Weights | None, stated: Sequence[Any] = ()
) -> Graph:
    """The graph of a model.

    Args:
        entry: The model's configuration.
        source: The file, for messages.
        weights: What is stored of it, if that is known.
        stated: The shapes of its outputs, where the source says them.
    """
    reading = Reading(source)
    outputs: list[str] = []
    with suppress(Unfit):  # then the graph ends with the layer that does not fit
        outputs = _Model(entry, Frame(reading, None, "", "", weights, True)).walk(stated)
    return reading.graph(str(model_config(entry).get("name") or "model"), outputs)


class _Model:
    """A model that is being walked through."""

    def __init__(self, entry: Entry, frame: Frame) -> None:
        self.entry, self.frame, self.reading = entry, frame, frame.reading
        self.config = model_config(entry)
        self.layers: list[Entry] = self.config["layers"]
        self.names = [layer_name(layer) for layer in self.layers]
        self.index = {name: i for i, name in enumerate(self.names)}
        if len(self.index) < len(self.names):
            twice = next(n for i, n in enumerate(self.names) if self.index[n] != i)
            raise SpecError(f"two layers are called {twice[:200]!r}")
        kinds = [text(layer, "class_name") for layer in self.layers]
        named = list(zip(self.names, kinds, strict=True))
        self.stored = frame.weights.layers(named) if frame.weights else {}
        self.trainable = frame.trainable and self.config.get("trainable") is not False
        self.calls: dict[str, int] = {}

    def walk(self, stated: Sequence[Any]) -> list[str]:
        """Adds all of its layers; returns the values that it makes, whose shapes may be stated."""
        functional = "output_layers" in self.config
        return self.functional(stated) if functional else self.sequential(stated)

    def sequential(self, stated: Sequence[Any]) -> list[str]:
        """One layer after the other."""
        layers = self.layers
        first = layers[0] if layers else {}
        own = first.get("config")
        own = own if isinstance(own, dict) else {}
        is_input = first.get("class_name") == "InputLayer"
        if self.frame.inputs is not None:
            values = list(self.frame.inputs)
        else:
            name = self.names[0] if is_input else self._free("input")
            values = [self.reading.open(name, self._input_shape(own), dtypes_of(own).computes)]
        layers = layers[1:] if is_input else layers
        for i, layer in enumerate(layers):
            inbound = Inbound(tuple(values), tuple(map(Value, values)))
            if i + 1 == len(layers):
                values = self.call(layer, inbound, tuple(stated))
                continue
            after = layers[i + 1].get("build_config")
            said = after.get("input_shape") if isinstance(after, dict) else None
            flat = isinstance(said, list) and not any(isinstance(d, list) for d in said)
            values = self.call(layer, inbound, (said,) if flat else ())
        return values

    def _input_shape(self, first: Entry) -> Any:
        build = self.entry.get("build_config")
        for said in (
            first.get("batch_shape"),
            first.get("batch_input_shape"),
            self.config.get("build_input_shape"),
            build.get("input_shape") if isinstance(build, dict) else None,
        ):
            if said is not None:
                return said
        raise SpecError(
            "the model does not say the shape of its input",
            hint="save it after it was built or called once",
        )

    def _free(self, name: str) -> str:
        return name if name not in self.index else self._free(f"{name}_")

    def functional(self, outputs_stated: Sequence[Any]) -> list[str]:
        """Layers that name what they are called on."""
        outputs = self._outputs()
        calls = self._calls(outputs)
        values = self._inputs()
        stated = {
            ref.place: ref.shape
            for call in calls.values()
            for ref in call.refs()
            if ref.shape is not None
        }
        stated.update(zip(outputs, outputs_stated, strict=False))
        for name, number in _in_order(calls, values):
            said = tuple(stated.get((name, number, i)) for i in range(MOST_OUTPUTS))
            said = said if any(said) else ()
            inbound = resolve(calls[name, number], values)
            made = self.call(self.layers[self.index[name]], inbound, said)
            values.update({(name, number, i): value for i, value in enumerate(made)})
        for name, _, i in outputs:
            if (name, _, i) not in values:
                raise GraphError(f"the output {i} of {name[:200]!r} is not made by any layer")
        return [values[place] for place in outputs]

    def _outputs(self) -> list[Place]:
        """The values that the model returns.

        Keras 3 counts the calls of a nested Functional model from 1 here, and from 0 elsewhere.
        """
        found = list(places(self.config["output_layers"]))
        from_0 = {name for name, number, _ in found if number == 0}
        from_1 = {
            name
            for name, layer in zip(self.names, self.layers, strict=True)
            if name not in from_0
            and is_model(layer)
            and "output_layers" in model_config(layer)
            and is_modern(layer)
        }
        return [(name, number - (name in from_1), output) for name, number, output in found]

    def _inputs(self) -> dict[Place, str]:
        """The values of the input layers."""
        found = list(places(self.config.get("input_layers")))
        given = self.frame.inputs
        if given is not None and len(given) != len(found):
            raise SpecError(f"the model takes {len(found)} inputs; it is called on {len(given)}")
        values = {}
        for i, place in enumerate(found):
            name = place[0]
            if name not in self.index:
                raise SpecError(f"there is no input layer {name[:200]!r}")
            config = layer_config(self.layers[self.index[name]])
            if given is not None:
                values[place] = given[i]
            else:
                said = config.get("batch_shape") or config.get("batch_input_shape")
                values[place] = self.reading.open(name, said, dtypes_of(config).computes)
        return values

    def _calls(self, outputs: list[Place]) -> dict[tuple[str, int], Arguments]:
        """Every call of every layer, by the numbers by which others refer to them.

        Keras 2 counts the calls of a nested model from 1, for it counts its creation too.
        """
        names = set(self.names)
        by_layer = {
            name: (arguments(layer, names), is_model(layer))
            for name, layer in zip(self.names, self.layers, strict=True)
        }
        used = {ref.place[:2] for calls, _ in by_layer.values() for c in calls for ref in c.refs()}
        used.update(place[:2] for place in outputs)
        return {
            (name, number): call
            for name, (calls, nested) in by_layer.items()
            for number, call in enumerate(
                calls, start=nested and (name, 0) not in used and (name, len(calls)) in used
            )
        }

    def call(self, layer: Entry, inbound: Inbound, stated: tuple[Any, ...]) -> list[str]:
        """Calls one of its layers; returns the values that it makes."""
        frame, kind = self.frame, text(layer, "class_name")
        name = layer_name(layer)
        count = self.calls[name] = self.calls.get(name, 0) + 1
        node = f"{frame.scope}.{name}" if frame.scope else name
        node += f"#{count}" if count > 1 else ""
        path = f"{frame.path}/{name}"
        source = f"{self.reading.source}: {path[1:]}"
        weights = self.stored.get(name)
        try:
            if is_model(layer):
                inner = Frame(self.reading, inbound.inputs, node, path, weights, self.trainable)
                made = _Model(layer, inner).walk(stated)
            else:
                config = layer_config(layer)
                call = Call(
                    self.reading,
                    kind,
                    Config(config),
                    inbound,
                    name=node,
                    path=path,
                    scope=frame.scope,
                    source=source[:300],
                    trainable=self.trainable and config.get("trainable") is not False,
                    stored=weights.tensors() if weights else None,
                    stated=stated,
                )
                made = call.run(quantised if call.dtypes.quantised else find_layer(layer))
            for value, said in zip(made, stated, strict=False):
                self.reading.state(value, said)
        except NetledgerError as error:
            raise error.at(where=f"{node} ({kind})"[:300], source=source[:300]) from None
        return made


def _in_order(
    calls: Mapping[tuple[str, int], Arguments], values: Mapping[Place, str]
) -> Iterator[tuple[str, int]]:
    """The calls in an order in which every value is made before it is used."""
    keys = list(calls)
    numbers = {key: i for i, key in enumerate(keys)}
    waits: list[set[int]] = []
    feeds: dict[int, list[int]] = {}
    for i, key in enumerate(keys):
        needed = {ref.place[:2] for ref in calls[key].refs() if ref.place not in values}
        for maker in needed:
            if maker not in numbers:
                fact = f"takes the output of {maker[0][:200]!r}, which is never made"
                raise GraphError(fact, where=key[0][:200])
            feeds.setdefault(numbers[maker], []).append(i)
        waits.append({numbers[maker] for maker in needed})
    ready = [i for i, wait in enumerate(waits) if not wait]
    done = 0
    while ready:
        i = heapq.heappop(ready)
        done += 1
        yield keys[i]
        for user in feeds.get(i, ()):
            waits[user].discard(i)
            if not waits[user]:
                heapq.heappush(ready, user)
    if done < len(keys):
        stuck = next(key[0] for key, wait in zip(keys, waits, strict=True) if wait)
        raise GraphError("the layers feed one another in a circle", where=stuck[:200])
