"""Models that are classes of their own: their ``call`` is followed with symbolic tensors.

Keras' own layers and `keras.ops` write down what they are called on wherever they meet a symbolic
tensor, as in a Functional model. Layers of the user's own are followed into, so that what they do
is read as well. The result is the configuration of a Functional model.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

from netledger.errors import UsageError
from netledger.graph import TensorType
from netledger.readers.inputs import Arguments, parse_type
from netledger.readers.keras.config import Entry
from netledger.readers.keras.norms import BUILT

OWN = ("keras", "tf_keras")
"""Packages whose layers are in the table, so that they are not followed into."""


class Unfollowable(Exception):
    """The model cannot be followed; says why."""


class Followed(NamedTuple):
    """A model as a Functional one.

    Attributes:
        entry: The configuration.
        stores: By name, each layer that stores something; a list where it is a bare variable.
        shapes: The shape of each output.
    """

    entry: Entry
    stores: Mapping[str, Any]
    shapes: list[list[Any]]


def follow(model: Any, inputs: Arguments | None) -> Followed:
    """The configuration of a Functional model that does what `model` does.

    Args:
        model: A built model; it is left as it was.
        inputs: What it is called on, if not on what it was built for.

    Raises:
        Unfollowable: If its ``call`` cannot be run on symbolic tensors.
    """
    import keras

    with _unchanged(model):
        args, kwargs = _arguments(model, inputs, keras)
        try:
            with _followed_into(model, keras):
                made = model.call(*args, **kwargs)
            outputs = keras.tree.flatten(made)
            histories = [t._keras_history for t in outputs]
            return _Writer(model, keras).write(keras.tree.flatten((args, kwargs)), histories)
        except UsageError:
            raise
        except Exception as error:  # whatever the user's own code raises
            said = " ".join(str(error).split())[:200]
            raise Unfollowable(
                f"its call() cannot be followed with symbolic tensors ({type(error).__name__}: "
                f"{said}): parameters only"
            ) from None


def _arguments(model: Any, inputs: Any, keras: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Symbolic tensors for what the model is called on."""
    names = list(inspect.signature(model.call).parameters)
    first = names[0] if names else "inputs"

    def tensor(shape: Any, name: str, dtype: str = "float32") -> Any:
        return keras.Input(batch_shape=tuple(shape), dtype=dtype, name=name)

    def given(found: Any, name: str) -> Any:
        if isinstance(found, Mapping):
            return {key: given(one, str(key)) for key, one in found.items()}
        if isinstance(found, list | tuple) and not isinstance(found, TensorType):
            return [given(one, f"{name}_{i}") for i, one in enumerate(found)]
        if not isinstance(found, TensorType) and not hasattr(found, "shape"):
            return found
        t = parse_type(found)
        sizes = [d if isinstance(d, int) else None for d in t.shape[1:]]
        return tensor([None, *sizes], name, t.dtype)

    if inputs is not None:
        titles = [*names, *(f"input_{i}" for i in range(len(inputs.args)))]
        args = tuple(given(one, name) for one, name in zip(inputs.args, titles, strict=False))
        kwargs = {key: given(one, key) for key, one in inputs.kwargs.items()}
        return (args, kwargs) if set(kwargs) <= set(names) else ((*args, kwargs), {})
    if isinstance(getattr(model, "inputs", None), list):  # a Functional or Sequential one
        one = len(model.inputs) == 1  # a Sequential one has no structure of them
        return _symbols(model.inputs[0] if one else model.input, keras), {}
    built = model.get_build_config() or {}
    shapes = built.get("shapes_dict") or {first: built.get("input_shape")}
    if None in shapes.values():
        raise UsageError(
            f"the shape of the input of {model.name!r} is not known",
            hint="give the inputs: netledger.ledger(model, (224, 224, 3))",
        )

    def structure(found: Any, name: str) -> Any:
        if isinstance(found, Mapping):
            return {key: structure(one, str(key)) for key, one in found.items()}
        if all(d is None or isinstance(d, int) for d in found):
            return tensor([None, *found[1:]], name)
        return [structure(one, f"{name}_{i}") for i, one in enumerate(found)]

    own = {key.removesuffix("_shape"): one for key, one in shapes.items()}
    if len(own) == 1:
        return (structure(next(iter(own.values())), first),), {}
    return (), {key: structure(one, key) for key, one in own.items()}


def _symbols(inputs: Any, keras: Any) -> tuple[Any, ...]:
    """New symbolic tensors like a model's inputs."""
    made = keras.tree.map_structure(
        lambda t: keras.Input(
            batch_shape=t.shape, dtype=t.dtype, name=t._keras_history.operation.name
        ),
        inputs,
    )
    return (made,)


def has_own_code(layer: Any) -> bool:
    """True for a layer of the user's own, and for a model with one in it."""
    from keras.saving import get_registered_name

    own = type(layer).__module__.partition(".")[0] not in OWN
    own = own and get_registered_name(type(layer)) not in BUILT  # the tables know these
    return own or any(map(has_own_code, getattr(layer, "layers", ())))


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Removes what being called on symbolic tensors leaves behind: calls, losses, counters."""
    from keras.src.backend.common import global_state

    kept = [
        (nodes, len(nodes))
        for layer in model._flatten_layers()
        for nodes in (layer._inbound_nodes, layer._outbound_nodes, layer._losses)
    ]
    counters = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        for nodes, count in kept:
            del nodes[count:]
        global_state.set_global_attribute("object_name_uids", counters)


@contextmanager
def _followed_into(model: Any, keras: Any) -> Iterator[None]:
    """Layers that are not Keras' own run their ``call``, where that can be done."""
    layer_class = keras.layers.Layer
    original = layer_class.__call__

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.built and has_own_code(self):
            tensors = keras.tree.flatten((args, kwargs))
            if any(isinstance(t, keras.KerasTensor) for t in tensors):
                try:
                    return self.call(*args, **kwargs)
                except Exception:  # a layer by itself then, which no rule describes
                    return original(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    layer_class.__call__ = called
    try:
        yield
    finally:
        layer_class.__call__ = original


def module_paths(model: Any) -> dict[int, str]:
    """For each layer in a model, by identity, the attributes that lead to it."""
    found: dict[int, str] = {}

    def walk(owner: Any, path: str) -> None:
        modules = vars(owner).get("_modules") or {}  # where layers are kept on PyTorch
        for name, value in [*vars(owner).items(), *modules.items()]:
            if not name.startswith("_"):
                visit(value, f"{path}.{name}" if path else name)

    def visit(value: Any, path: str) -> None:
        if hasattr(value, "_inbound_nodes") and hasattr(value, "weights"):
            if id(value) not in found:
                found[id(value)] = path
                walk(value, path)
        elif isinstance(value, dict):
            for key, one in value.items():
                visit(one, f"{path}.{key}")
        elif isinstance(value, list | tuple):
            for i, one in enumerate(value):
                visit(one, f"{path}.{i}")

    walk(model, "")
    return found


class _Writer:
    """Writes the calls that were made down, as Keras writes a Functional model."""

    def __init__(self, model: Any, keras: Any) -> None:
        self.model, self.keras = model, keras
        self.paths = module_paths(model)
        self.names: dict[int, str] = {}
        self.taken: set[str] = set()
        self.entries: dict[str, dict[str, Any]] = {}
        self.stores: dict[str, Any] = {}
        self.kept: list[Any] = []
        self.calls: dict[int, tuple[str, int]] = {}

    def write(self, inputs: list[Any], outputs: list[Any]) -> Followed:
        """All calls between the inputs and the outputs."""
        places = []
        for history in outputs:
            node = history.operation._inbound_nodes[history.node_index]
            self._visit(node)
            places.append([*self.calls[id(node)], history.tensor_index])
        ins = []
        for tensor in inputs:
            name = tensor._keras_history.operation.name
            if name not in self.entries:  # an input that nothing takes
                self._visit(tensor._keras_history.operation._inbound_nodes[0])
            ins.append([name, 0, 0])
        config = {
            "name": self.model.name,
            "layers": list(self.entries.values()),
            "input_layers": ins,
            "output_layers": places,
        }
        shapes = [
            list(h.operation._inbound_nodes[h.node_index].outputs[h.tensor_index].shape)
            for h in outputs
        ]
        return Followed({"class_name": "Functional", "config": config}, self.stores, shapes)

    def _visit(self, last: Any) -> None:
        """Writes a call down, those that it needs first."""
        waiting = [last]
        while waiting:
            node = waiting[-1]
            needed = [n for n in node.parent_nodes if id(n) not in self.calls]
            if id(node) in self.calls:
                waiting.pop()
            elif needed:
                waiting += needed
            else:
                waiting.pop()
                self._write(node)

    def _write(self, node: Any) -> None:
        operation = node.operation
        name = self.names.get(id(operation))
        if name is None:
            name = self._name(self.paths.get(id(operation), operation.name))
            self.names[id(operation)] = name
            self.entries[name] = self._entry(operation, name)
            if hasattr(operation, "weights"):
                self.stores[name] = operation
        calls = self.entries[name]["inbound_nodes"]
        self.calls[id(node)] = (name, len(calls))
        if node.parent_nodes or node.input_tensors:
            args = self._written(node.arguments.args)
            calls.append({"args": args, "kwargs": self._written(node.arguments.kwargs)})
        self.kept.append(node)

    def _entry(self, operation: Any, name: str) -> dict[str, Any]:
        try:
            entry = self.keras.saving.serialize_keras_object(operation)
            entry = json.loads(json.dumps(entry))
        except Exception:  # a layer of the user's own
            kind = type(operation)
            entry = {"class_name": kind.__name__, "module": kind.__module__, "config": {}}
        entry["config"] = {**entry["config"], "name": name}
        return {**entry, "name": name, "inbound_nodes": []}

    def _name(self, base: str) -> str:
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def _written(self, found: Any) -> Any:
        """An argument as Keras writes it; variables and constants become layers of their own."""
        keras = self.keras
        if isinstance(found, keras.KerasTensor):
            history = found._keras_history
            node = history.operation._inbound_nodes[history.node_index]
            return _tensor(found.shape, [*self.calls[id(node)], history.tensor_index])
        if isinstance(found, keras.Variable):
            return self._variable(found)
        if isinstance(found, dict):
            return {key: self._written(one) for key, one in found.items()}
        if isinstance(found, list | tuple):
            return [self._written(one) for one in found]
        if found is None or isinstance(found, bool | int | float | str):
            return found
        if hasattr(found, "shape") and hasattr(found, "dtype"):
            return self._constant(found) if prod(found.shape) > 1 else 1.0
        if isinstance(found, slice):
            bounds = {"start": found.start, "stop": found.stop, "step": found.step}
            return {"class_name": "__slice__", "config": bounds}
        return str(found)

    def _variable(self, variable: Any) -> dict[str, Any]:
        name = self.names.get(id(variable))
        if name is None:
            name = self.names[id(variable)] = self._name(self._path(variable))
            self._add_source(name, "Variable", variable)
            self.stores[name] = [variable]
        return _tensor(variable.shape, [name, 0, 0])

    def _path(self, variable: Any) -> str:
        """The path of a variable: of the layer that keeps it, and its own name."""
        for layer in self.model._flatten_layers():
            own = [*layer._trainable_variables, *layer._non_trainable_variables]
            if any(v is variable for v in own):
                path = self.paths.get(id(layer), "")
                return f"{path}.{variable.name}" if path else str(variable.name)
        return str(variable.path).replace("/", ".")

    def _constant(self, found: Any) -> dict[str, Any]:
        name = self._name("constant")
        self._add_source(name, "Constant", found)
        return _tensor(found.shape, [name, 0, 0])

    def _add_source(self, name: str, kind: str, found: Any) -> None:
        dtype = self.keras.backend.standardize_dtype(found.dtype)
        config = {"name": name, "shape": list(found.shape), "dtype": dtype}
        calls: list[Any] = [{"args": [], "kwargs": {}}]
        self.entries[name] = {
            "class_name": kind,
            "config": config,
            "name": name,
            "inbound_nodes": calls,
        }


def _tensor(shape: Any, place: list[Any]) -> dict[str, Any]:
    config = {"shape": list(shape), "keras_history": place}
    return {"class_name": "__keras_tensor__", "config": config}
