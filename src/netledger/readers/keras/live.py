"""Live Keras models: their configuration goes the way of a file's, without any file.

Nothing is computed and nothing allocated, whatever the backend: a model says its layers itself,
and its variables their shapes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from netledger.errors import UsageError
from netledger.graph import BATCH, BUFFER, WEIGHT, Graph, Node, Parameter, Recorded, TensorType
from netledger.infer import infer
from netledger.ops import Inventory, Tensor
from netledger.readers.inputs import call_arguments, parse_inputs, parse_type
from netledger.readers.keras.config import Entry, is_model
from netledger.readers.keras.model import read_model
from netledger.readers.keras.symbolic import Unfollowable, follow, has_own_code
from netledger.readers.keras.weights import Stored, Weights, role


def read_live(thing: Any, inputs: Any = None) -> Graph:
    """The graph of a model, with what its variables are as the second entry.

    Args:
        thing: The model; it is left as it was.
        inputs: Other inputs than its own, or the input of one that is not built yet.

    Raises:
        NetledgerError: If it is not built and no inputs are given, or says something impossible.
    """
    book = Book(thing)
    source = f"{type(thing).__module__}.{type(thing).__qualname__}"
    try:
        entry, held, shapes, followed = _entry(thing, inputs)
    except Unfollowable as error:
        return replace(book.inventory(thing.name, str(error)), source=source, _by_name={})
    graph = read_model(entry, source, held.named(book.names), shapes)
    graph = replace(graph, nodes=tuple(map(_placed, graph.nodes)), _by_name={})
    if inputs is not None and not followed:
        graph = _on_other_inputs(graph, inputs)
    return book.complete(graph)


class Configured(NamedTuple):
    """A model's configuration, what its layers store, the shapes of its outputs.

    `followed` says that it was made by following the model's ``call``, on the inputs given.
    """

    entry: Entry
    held: Held
    shapes: list[list[int | None]]
    followed: bool


def _entry(model: Any, inputs: Any) -> Configured:
    """What the model says of itself, or what it turns out to do."""
    try:
        entry = json.loads(model.to_json())
    except Exception:  # a layer without a configuration, or whatever a user's own code raises
        entry = {}
    known = is_model(entry) and not _used_again(model)
    if not known or (model.built and has_own_code(model)):
        try:
            return _follow(model, inputs)
        except Unfollowable:
            if not known:
                raise
    if "output_layers" not in entry["config"] and not model.built:
        entry["build_config"] = {"input_shape": _shape_to_build(model, inputs)}
    shapes = [list(t.shape) for t in model.outputs] if model.built else []
    return Configured(entry, Held.by(model), shapes, False)


def _used_again(model: Any) -> bool:
    """True if a Sequential in it has a layer twice: a configuration lists it once."""
    models = [one for one in model._flatten_layers() if type(one).__name__ == "Sequential"]
    return any(len(set(map(id, one.layers))) < len(one.layers) for one in models)


def _follow(model: Any, inputs: Any) -> Configured:
    if not model.built:
        raise _not_built(model, "call it once, or call model.build(shape) first")
    found = follow(model, None if inputs is None else call_arguments(inputs))
    layers = {
        name: Held({}, one) if isinstance(one, list) else Held.by(one)
        for name, one in found.stores.items()
    }
    return Configured(found.entry, Held(layers, model.weights), found.shapes, True)


def _shape_to_build(model: Any, inputs: Any) -> list[Any]:
    """The input of a Sequential model that is not built yet."""
    if inputs is None:
        raise _not_built(model, "give the inputs, or call model.build(shape) first")
    given = call_arguments(inputs)
    leaves = [*given.args, *given.kwargs.values()]
    if len(leaves) != 1:
        raise UsageError(f"{model.name} takes one input; {len(leaves)} given")
    return [None, *parse_type(leaves[0]).shape[1:]]


def _not_built(model: Any, hint: str) -> UsageError:
    fact = f"the model {model.name!r} is not built: the shapes of its layers are not known"
    return UsageError(fact, hint=hint)


def _on_other_inputs(graph: Graph, inputs: Any) -> Graph:
    """The graph on inputs that the user gives; what Keras said of shapes was for its own."""
    given = call_arguments(inputs).kwargs if isinstance(inputs, Mapping) else inputs
    types = {
        name: TensorType((BATCH, *t.shape[1:]), t.dtype)
        for name, t in parse_inputs(given, graph).items()
    }
    if all(graph.inputs.get(name) == t for name, t in types.items()):
        return graph
    nodes = [
        replace(n, recorded=replace(n.recorded, outputs=())) if n.recorded else n
        for n in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes), _by_name={}).with_inputs(types)


def _placed(node: Node) -> Node:
    """Layers of modules that were followed into carry their path in their name."""
    scope = node.name.rpartition(".")[0]
    return replace(node, scope=scope) if scope and not node.scope else node


class Held:
    """What a model or layer stores, as `Weights` wants it; names of variables are unique."""

    def __init__(self, layers: Mapping[str, Any], variables: Sequence[Any]) -> None:
        self.held, self.variables = layers, variables
        self.names: dict[int, str] = {}

    @classmethod
    def by(cls, thing: Any) -> Held:
        """What a live layer stores, and the layers in it."""
        own = {one.name: one for one in getattr(thing, "layers", ())}
        return cls(own, thing.weights)

    def named(self, names: dict[int, str]) -> Held:
        """The same, with the names of all variables of the outermost model."""
        self.names = names
        return self

    def layers(self, named: Sequence[tuple[str, str]]) -> Mapping[str, Weights]:
        """What is stored of each layer; nothing is said of layers that are not built."""
        found: dict[str, Weights] = {}
        for name, _ in named:
            one = self.held.get(name)
            if isinstance(one, Held):
                found[name] = one.named(self.names)
            elif one is not None and one.built:
                found[name] = Held.by(one).named(self.names)
        return found

    def tensors(self) -> tuple[Stored, ...]:
        """Every variable, in the order in which Keras made them."""
        return tuple(
            Stored(self.names[id(v)], tuple(v.shape), str(v.dtype), bool(v.trainable))
            for v in self.variables
        )


class Book:
    """Every variable of a model, under a name that no other has."""

    def __init__(self, model: Any) -> None:
        self.names: dict[int, str] = {}
        self.variables: dict[str, Any] = {}
        for variable in model.weights:
            name = base = str(variable.path)
            count = 1
            while name in self.variables:
                count += 1
                name = f"{base}#{count}"
            self.names[id(variable)] = name
            self.variables[name] = variable

    def complete(self, graph: Graph) -> Graph:
        """The graph with what layers share tied, and with what none of them showed."""
        places: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for node in graph.nodes:
            own = node.recorded.parameters if node.recorded else None
            parts: Counter[str] = Counter()  # a GRU's two biases are the parts of one variable
            for i, p in enumerate(own or ()):
                places.setdefault((p.name, parts[p.name]), []).append((node.name, i))
                parts[p.name] += 1
        graph = _tied(graph, [group for group in places.values() if len(group) > 1])
        known = {name for name, _ in places}
        rest = [self._alone(name, graph) for name in self.variables if name not in known]
        return replace(graph, nodes=(*graph.nodes, *rest), _by_name={}) if rest else graph

    def _alone(self, name: str, graph: Graph) -> Node:
        """A variable that no operation uses, as a node of its own."""
        variable = self.variables[name]
        role, shape, dtype = _role(name, variable), tuple(variable.shape), str(variable.dtype)
        op = Tensor(shape, role=BUFFER if role == BUFFER else WEIGHT, to=dtype)
        recorded = Recorded((), (Parameter(name, op.role, shape, dtype, variable.trainable),))
        title = name.replace("/", ".")
        taken = title in graph.inputs or any(node.name == title for node in graph.nodes)
        title = f"{title} (unused)" if taken else title
        return Node(title, op, (), (), title.rpartition(".")[0], recorded=recorded)

    def inventory(self, name: str, why: str) -> Graph:
        """All variables by module, where there is no graph."""
        modules: dict[str, list[Parameter]] = {}
        for path, v in self.variables.items():
            module, _, own = path.rpartition("/")
            kept = modules.setdefault(module.replace("/", ".") or name, [])
            kept.append(Parameter(own, _role(path, v), tuple(v.shape), str(v.dtype), v.trainable))
        nodes = [
            Node(
                module,
                Inventory([[p.name, p.role, list(p.shape), p.dtype, None] for p in own], why=why),
                scope=module.rpartition(".")[0],
                recorded=Recorded((), tuple(own)),
            )
            for module, own in modules.items()
        ]
        return Graph(name, {}, tuple(nodes), title=why, reader="keras")


def _role(path: str, variable: Any) -> str:
    """What a variable is; one that is not learned may be frozen, or a buffer."""
    return role(path, tuple(variable.shape))


def _tied(graph: Graph, groups: list[list[tuple[str, int]]]) -> Graph:
    """Ties the parameters that are one and the same variable."""
    known = {place for group in graph.ties for place in group}
    if not groups:
        return graph
    derived = {row.name: row.parameters for row in infer(graph).ops}
    found = []
    for group in groups:
        named = [
            (node, derived[node][i].name) for node, i in group if i < len(derived.get(node, ()))
        ]
        if len(named) > 1 and not known.issuperset(named):
            found.append(tuple(named))
    own = {place for group in found for place in group}
    kept = [group for group in graph.ties if not own.intersection(group)]
    return replace(graph, ties=(*kept, *found), _by_name={})
