"""From the nodes of a file to a `Graph`: names, constants, functions, branches, rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from netledger.errors import GraphError, NetledgerError, ShapeError, SpecError
from netledger.formula import Formula, prod
from netledger.formula.simplify import simplify
from netledger.graph import BIAS, WEIGHT, Node, Parameter, Recorded, TensorType
from netledger.infer import check_arity, check_sizes
from netledger.ops import Constant, Linear, Op, Opaque, Tensor
from netledger.ops.opaque import NO_SIZE
from netledger.readers.onnx import control, model
from netledger.readers.onnx.shapes import fold
from netledger.readers.onnx.table import RELAYOUTS, RULES
from netledger.readers.onnx.types import Types, leaves
from netledger.readers.onnx.values import Call, Layer, Unknown, Value, Weight, header
from netledger.readers.onnx.wire import Wire

MAX_STEPS = 50_000
MAX_CALLS = 32

QUANTISED = frozenset(["int8", "uint8", "int4", "uint4", "int2", "uint2"])
COMPUTED = re.compile(r"val_\d+")
"""How PyTorch's exporter calls the initializers that it computed itself."""

Env = dict[str, Value]


class Scope:
    """The values that a graph, a branch or a function sees, and how often each is used.

    Attributes:
        values: By name; those of an enclosing graph are seen through `outer`.
        uses: How often each name is used here, branches included.
        path: Where a function was called, for unique names.
        attributes: The attributes of the call, which a function's nodes may refer to.
    """

    def __init__(
        self,
        nodes: list[model.Node],
        outputs: list[str],
        outer: Scope | None = None,
        *,
        wire: Wire | None = None,
    ) -> None:
        self.values: Env = {}
        self.wire = outer.wire if outer else wire
        self.outer = outer
        self.uses = Counter(outputs)
        for node in nodes:
            self.uses.update(node.inputs)
            for attribute in node.attributes:
                for graph in (attribute.g, *attribute.graphs):
                    if graph is not None:
                        self.uses.update(control.names(graph))
        self.path = outer.path if outer else ""
        self.attributes: dict[str, model.Attribute] = outer.attributes if outer else {}
        self.opsets: dict[str, int] = outer.opsets if outer else {}

    def find(self, name: str) -> Value | None:
        """The value called `name`."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None

    def bind(self, name: str, value: Value, where: str) -> None:
        """Makes `value` known as `name`.

        Raises:
            GraphError: If there is another value of that name.
        """
        if name in self.values:
            raise GraphError(f"the value {name!r} is made twice", where=where)
        self.values[name] = value


class Translator:
    """Walks through the nodes once, in the order of the file."""

    def __init__(self, wire: Wire, functions: dict[tuple[str, str], model.Function]) -> None:
        self.wire, self.functions = wire, functions
        self.types = Types(wire)
        self.inputs: dict[str, TensorType] = {}
        self.nodes: list[Node] = []
        self.at: dict[str, int] = {}
        """Which node makes a value of our graph."""
        self.makers: dict[str, Scope] = {}
        """In which scope that was."""
        self.names: set[str] = set()
        self.storage: dict[Hashable, list[tuple[str, str]]] = {}
        """Which parameters are in each storage."""
        self.booked: set[str] = set()
        self.initializers: dict[str, Value] = {}
        self.tensors: dict[tuple[str, Any], str] = {}
        self.steps = 0
        self.calls = 0

    # --- what is there before any node ---

    def store(self, scope: Scope, tensor: model.Tensor, prefix: str = "") -> None:
        """Makes an initializer known."""
        value = self.stored(tensor.name, tensor, prefix)
        value.learned = is_float(value) and not COMPUTED.fullmatch(tensor.name)
        value.constant = not value.learned
        if value.learned:
            self.initializers[value.stored] = value
        scope.bind(tensor.name, value, self.wire.where)

    def stored(self, name: str, tensor: model.Tensor, prefix: str = "") -> Value:
        """A stored tensor as a value; its numbers are looked at only when needed."""
        t = header(tensor, self.wire)
        return Value(name, t, stored=prefix + name, constant=True, tensor=tensor)

    def unique(self, name: str) -> str:
        """`name`, with a number behind it if it is taken."""
        found, count = name, 1
        while found in self.names:
            count += 1
            found = f"{name}_{count}"
        self.names.add(found)
        return found

    # --- nodes ---

    def run(self, nodes: list[model.Node], scope: Scope) -> None:
        """All nodes of a graph or function."""
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise SpecError(
                    f"more than {MAX_STEPS:,} nodes, functions written out", where=self.wire.where
                )
            self.step(node, scope)

    def step(self, node: model.Node, scope: Scope) -> None:
        """One node."""
        inputs = [self.input(name, node, scope) for name in node.inputs]
        domain = "" if node.domain == "ai.onnx" else node.domain
        function = self.functions.get((domain, node.op_type))
        if function is not None:
            return self.inline(function, node, inputs, scope)
        place = Place(self, node, scope)
        call = Call(
            f"{domain}.{node.op_type}" if domain else node.op_type,
            scope.opsets.get(domain, 1),
            inputs,
            [bool(name) and scope.uses[name] > 0 for name in node.outputs],
            self.attributes(node, scope),
            self.wire,
            place.emit,
        )
        try:
            outputs = self.outputs(call, place)
        except NetledgerError as error:
            received = ", ".join(f"{v.name}: {v.type}" for v in inputs if v is not None)
            raise error.at(where=f"{place.name} ({call.kind})", received=received) from None
        for value in call.values():
            if value.learned and call.kind not in RELAYOUTS:
                self.booked.add(value.stored)  # a weight, or else a setting
        place.bind(outputs)
        return None

    def input(self, name: str, node: model.Node, scope: Scope) -> Value | None:
        """The value that a node takes."""
        if not name:
            return None
        found = scope.find(name)
        if found is None:
            raise GraphError(
                f"takes {name!r}, which nothing before it makes",
                where=f"{node.name or node.op_type} ({node.op_type})",
                source=self.wire.where,
                hint="the nodes of a file must be in an order in which they can run: no cycles",
            )
        return found

    def attributes(self, node: model.Node, scope: Scope) -> dict[str, model.Attribute]:
        """A node's attributes by name; within a function some are those of the call."""
        found: dict[str, model.Attribute] = {}
        for attribute in node.attributes:
            if attribute.name in found:
                raise SpecError(
                    f"has the attribute {attribute.name!r} twice", where=node.name or node.op_type
                )
            own: model.Attribute | None = attribute
            if attribute.refers:
                own = scope.attributes.get(attribute.refers)
            if own is not None:
                found[attribute.name] = own
        return found

    def outputs(self, call: Call, place: Place) -> list[Value]:
        """What a node makes."""
        special = control.SPECIAL.get(call.kind)
        if special is not None:
            return special(self, call, place)
        values = call.values()
        if all(v.constant for v in values):
            known = fold(call)
            if known is not None:
                return [self.number(place, i, k) for i, k in enumerate(known)]
        if values and values[0].stored and call.kind in RELAYOUTS:
            kept = [self.relayout(call, place)]
            if kept[0] is not None:
                return [kept[0]]
        place.dry = all(v.constant for v in values)
        if call.kind == "Add" and not place.dry:
            fused = self.fuse(call, place)
            if fused is not None:
                return [fused]
        return self.rows(call, place)

    def number(self, place: Place, i: int, known: Any) -> Value:
        """A constant that was computed."""
        name = place.output(i)
        some = next((x for x in known.items if x is not None), 0)
        dtype = "bool" if isinstance(some, bool) else "int64"
        t = TensorType(known.shape, "float32" if isinstance(some, float) else dtype)
        return Value(name, t, constant=True, items=known.items)

    def relayout(self, call: Call, place: Place) -> Value | None:
        """A stored tensor in another shape: still the same storage, and no row."""
        x = call.value(0)
        place.dry = True
        try:
            shape = self.rows(call, place)[0].type
        finally:
            place.dry = False
        if shape is None or x.type is None or prod(shape.shape) != prod(x.type.shape):
            return None
        learned = x.learned or call.kind == "DequantizeLinear"
        t = TensorType(shape.shape, x.type.dtype)
        if call.kind == "DequantizeLinear":
            self.initializers.setdefault(x.stored, x)
        return replace(
            x, name=place.output(0), type=t, made="", learned=learned, constant=not learned
        )

    def rows(self, call: Call, place: Place) -> list[Value]:
        """The outputs by rule; what no rule gives is opaque, with the reason."""
        rule = RULES.get(call.kind)
        try:
            if rule is None:
                raise Unknown("no rule describes it")
            made = rule(call)
            if isinstance(made, list):
                outputs = made
            else:
                outputs = place.emit(made, False, last=True)
            missing = [i for i, used in enumerate(call.used) if used and i >= len(outputs)]
            if missing:
                raise Unknown(f"its output {missing[0] + 1} is used, which no rule describes")
            return outputs
        except Unknown as reason:
            return self.opaque(call, place, str(reason))

    def opaque(self, call: Call, place: Place, why: str) -> list[Value]:
        """A row whose counts are unknown; what it stores is known all the same."""
        place.undo()
        recorded = [self.types.recorded(name) for name in call_outputs(place.node)]
        if place.dry:
            return [
                Value(place.output(i), t, constant=True, why=why) for i, t in enumerate(recorded)
            ]
        kept, weights = [], []
        for value in call.values():
            quantised = value.type is not None and value.type.dtype in QUANTISED
            if value.stored and (value.learned or (quantised and prod(value.shape) > 1)):
                weights.append(own_weight(value))
            elif value.made:
                kept.append(value)
        shapes = tuple((NO_SIZE,) if t is None else t.shape for t in recorded)
        made = place.emit(Layer(Opaque(call.kind, shapes, why), kept, weights), True, last=True)
        for value, t in zip(made, recorded, strict=True):
            value.type, value.why = t, "" if t else f"{place.name} is opaque: {why}"
        return made

    def fuse(self, call: Call, place: Place) -> Value | None:
        """A stored row of numbers added to what a dense layer alone makes: its bias."""
        if len(call.values()) != 2:
            return None
        for x, b in (call.inputs, call.inputs[::-1]):
            assert x is not None and b is not None
            i = self.at.get(x.made, -1)
            here = self.makers.get(x.made) is place.scope
            if i < 0 or not here or not b.stored or b.type is None or len(b.shape) != 1:
                continue
            node = self.nodes[i]
            plain = isinstance(node.op, Linear) and not node.op.bias and len(node.outputs) == 1
            if plain and place.scope.uses[x.name] == 1 and b.shape[0] == node.op.out_features:
                weight = Weight(Parameter("bias", BIAS, b.shape, b.type.dtype), (b.stored, None))
                said = node.recorded.parameters if node.recorded else ()
                self.nodes[i] = replace(
                    node,
                    op=Linear(node.op.out_features),
                    recorded=Recorded((), (*(said or ()), weight.parameter)),
                )
                self.book(node.name, [weight])
                return replace(x, name=place.output(0))
        return None

    def book(self, name: str, weights: list[Weight]) -> None:
        """Notes which storage the parameters of a node are in."""
        for parameter, key in weights:
            self.storage.setdefault(key, []).append((name, parameter.name))
            if isinstance(key, tuple):
                self.booked.add(key[0])

    # --- functions ---

    def inline(
        self,
        function: model.Function,
        node: model.Node,
        inputs: list[Value | None],
        outer: Scope,
    ) -> None:
        """Writes a function out where it is called."""
        if self.calls >= MAX_CALLS:
            raise SpecError(
                f"functions call one another more than {MAX_CALLS} deep",
                where=f"{node.name or node.op_type} ({node.op_type})",
                hint="a function must not call itself",
            )
        scope = Scope(function.nodes, function.outputs, wire=self.wire)
        scope.path = f"{outer.path}{node.name or node.op_type}/"
        scope.opsets = {**outer.opsets, **{o.domain: o.version for o in function.opsets}}
        scope.attributes = {
            **{a.name: a for a in function.defaults},
            **self.attributes(node, outer),
        }
        for name, value in zip(function.inputs, inputs, strict=False):
            if value is not None:
                scope.bind(name, value, node.name)
        self.calls += 1
        self.run(function.nodes, scope)
        self.calls -= 1
        for name, inner in zip(node.outputs, function.outputs, strict=False):
            found = scope.find(inner)
            if found is None:
                raise GraphError(
                    f"its output {inner!r} is not made by any of its nodes", where=function.name
                )
            if name:
                outer.bind(name, replace(found, name=name), node.name)

    # --- rows without a node of their own ---

    def materialise(self, value: Value) -> str:
        """The name of a value in our graph; what is stored or constant becomes a row."""
        if value.made:
            return value.made
        if value.learned:
            key = (value.stored, value.shape)
            if key not in self.tensors:
                self.tensors[key] = self.tensor(value)
            value.made = self.tensors[key]
            return value.made
        name = self.unique(value.name or "constant")
        if value.type is None:
            op: Op = Opaque("Constant", ((NO_SIZE,),), value.why)
            self.add(Node(name, op, recorded=Recorded((), (), 0)))
        else:
            self.add(Node(name, Constant(value.shape, to=value.type.dtype)))
        value.made = name
        return name

    def tensor(self, value: Value) -> str:
        """A row for a parameter that is used by itself."""
        assert value.type is not None
        name = self.unique(value.stored)
        op = Tensor(value.type.shape, to=value.type.dtype)
        parameter = Parameter("weight", WEIGHT, value.type.shape, value.type.dtype)
        self.add(Node(name, op, scope=parent(name), recorded=Recorded((), (parameter,))))
        self.book(name, [Weight(parameter, (value.stored, None))])
        return name

    def add(self, node: Node) -> None:
        """Adds a row."""
        for output in node.outputs:
            self.at[output] = len(self.nodes)
        self.nodes.append(node)

    def rest(self) -> None:
        """Rows for parameters that are stored and that nothing uses."""
        for key, value in self.initializers.items():
            if key not in self.booked:
                self.tensor(value)

    def ties(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The parameters that are one and the same storage."""
        groups = (tuple(dict.fromkeys(group)) for group in self.storage.values())
        return tuple(group for group in groups if len(group) > 1)


class Place:
    """Where a node stands: it makes the rows of one node.

    Attributes:
        name: What its row is called: the node's name, or its first output's.
        dry: True while only types are wanted, for constants.
    """

    def __init__(self, translator: Translator, node: model.Node, scope: Scope) -> None:
        self.book, self.node, self.scope = translator, node, scope
        self.name = scope.path + (node.name or next(filter(None, node.outputs), node.op_type))
        self.module = scope_of(node, scope.path, translator.wire)
        self.dry = False
        self.named = False
        self.start = len(translator.nodes)

    def output(self, i: int) -> str:
        """The file's name of output `i`."""
        return self.node.outputs[i] if i < len(self.node.outputs) else ""

    def undo(self) -> None:
        """Takes back the rows made so far for this node."""
        book = self.book
        for node in book.nodes[self.start :]:
            if not isinstance(node.op, Tensor | Constant):
                book.names.discard(node.name)
                for group in book.storage.values():
                    group[:] = [pair for pair in group if pair[0] != node.name]
        book.nodes[self.start :] = [
            n for n in book.nodes[self.start :] if isinstance(n.op, Tensor | Constant)
        ]
        for i, node in enumerate(book.nodes[self.start :], self.start):
            for output in node.outputs:
                book.at[output] = i
        self.named = False

    def emit(self, layer: Layer, main: bool, last: bool = False) -> list[Value]:
        """Adds a row and gives what it makes; while dry, only types."""
        types = derive(layer)
        if self.dry:
            return [Value(self.output(i), t, constant=True) for i, t in enumerate(types)]
        book, op = self.book, layer.op
        inputs = tuple([book.materialise(v) for v in layer.inputs])
        own = (main or last) and not self.named
        self.named = self.named or own
        name = book.unique(self.name if own else f"{self.name}/{op.key}")
        parameters = tuple([w.parameter for w in layer.weights])
        recorded = Recorded((), parameters, layer.macs) if parameters or layer.macs == 0 else None
        if isinstance(op, Opaque) and recorded is None:
            recorded = Recorded((), ())
        used = len(types)
        if last:
            used = max(len(self.node.outputs), 1) if len(types) > 1 else 1
        types = types[:used]
        outputs = (name,)
        if len(types) > 1:
            outputs = tuple(
                [book.unique(self.output(i) or f"{name}:{i}") for i in range(len(types))]
            )
        book.add(Node(name, op, inputs, outputs, scope=self.module, recorded=recorded))
        book.makers[outputs[0]] = self.scope
        book.book(name, layer.weights)
        return [
            Value(self.output(i) if last else out, t, made=out)
            for i, (out, t) in enumerate(zip(outputs, types, strict=True))
        ]

    def bind(self, values: list[Value]) -> None:
        """Makes the outputs known, each with what the file records of it."""
        for i, name in enumerate(self.node.outputs):
            if not name:
                continue
            if i >= len(values):
                self.scope.bind(name, Value(name, why=f"{self.name} does not make it"), self.name)
                continue
            value = values[i]
            value.name = name
            self.record(value)
            self.scope.bind(name, value, self.name)

    def record(self, value: Value) -> None:
        """Attaches the file's own type of a value to the row that makes it."""
        i = self.book.at.get(value.made, -1)
        said = self.book.types.recorded(value.name, value.type)
        if i < 0 or said is None or value.type is None:
            return
        node = self.book.nodes[i]
        before = node.recorded or Recorded()
        outputs = list(before.outputs) or [None] * len(node.outputs)
        outputs[node.outputs.index(value.made)] = said
        self.book.nodes[i] = replace(node, recorded=replace(before, outputs=tuple(outputs)))
        if said.shape != value.type.shape:
            value.type = said  # as the ledger goes on


def derive(layer: Layer) -> list[TensorType]:
    """The types that a row makes.

    Raises:
        ShapeError: If it does not fit its inputs, whose sizes are all known.
        Unknown: If it does not seem to, but some sizes are symbols.
    """
    op, shapes = layer.op, tuple([v.shape for v in layer.inputs])
    try:
        check_arity(op, len(shapes))
        op.check(*shapes)
        made = [tuple(map(simplify, shape)) for shape in op.outputs(*shapes)]
        if not isinstance(op, Opaque):
            check_sizes(tuple(made))
    except ShapeError as error:
        if any(isinstance(d, Formula) for shape in shapes for d in shape):
            raise Unknown(f"with symbolic sizes: {error.fact}") from None
        raise
    for shape in made:
        if sum(map(leaves, shape)) > 64:
            raise Unknown("the formulas of its sizes are too long")
    dtype = op.dtype(*[v.type.dtype for v in layer.inputs if v.type is not None])
    return [TensorType(shape, dtype) for shape in made]


def own_weight(value: Value) -> Weight:
    """A stored tensor as the parameter of a row that no rule describes."""
    assert value.type is not None
    role = BIAS if value.name.rpartition(".")[2].startswith("bias") else WEIGHT
    return Weight(
        Parameter(value.name, role, value.type.shape, value.type.dtype), (value.stored, None)
    )


def is_float(value: Value) -> bool:
    """True for floats of any width."""
    return value.type is not None and "float" in value.type.dtype


def call_outputs(node: model.Node) -> list[str]:
    """The names of a node's outputs, up to the last that has one."""
    names = list(node.outputs)
    while names and not names[-1]:
        names.pop()
    return names or [""]


def parent(name: str) -> str:
    """The module path of a parameter: ``encoder.pos_embedding`` is of ``encoder``."""
    return name.rpartition(".")[0]


def scope_of(node: model.Node, path: str, wire: Wire) -> str:
    """The module path that PyTorch's exporters write: in the name, ``/layer1/layer1.0/Conv``,
    or as metadata, a list in quotes that ends with the operation.
    """
    if path:
        return path.strip("/").replace("/", ".")
    for entry in node.metadata:
        if entry.key == "pkg.torch.onnx.name_scopes":
            quoted = re.findall(r"'([^']*)'", wire.text(*entry.value))
            return quoted[-2] if len(quoted) > 1 else ""
    if not node.name.startswith("/"):
        return ""
    found: list[str] = []
    for part in node.name.strip("/").split("/")[:-1]:
        if found and part.startswith(found[-1] + "."):
            found.pop()
        found.append(part)
    return ".".join(found)
