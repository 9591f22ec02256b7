"""From the nodes of a file to a `Graph`: names, constants, functions, branches, rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from netledger.errors import GraphError, NetledgerError, SpecError
from netledger.formula import prod
from netledger.graph import BIAS, Parameter, TensorType
from netledger.ops import Linear, Opaque
from netledger.ops.opaque import NO_SIZE
from netledger.readers.onnx import control, model, own
from netledger.readers.onnx.book import Book, own_weight
from netledger.readers.onnx.place import Place, call_outputs
from netledger.readers.onnx.scope import Scope
from netledger.readers.onnx.shapes import fold
from netledger.readers.onnx.table import RELAYOUTS, RULES
from netledger.readers.onnx.values import Call, Layer, Unknown, Value, Weight
from netledger.readers.onnx.wire import MAX_NODES, Wire

MAX_CALLS = 32

QUANTISED = frozenset(["int8", "uint8", "int4", "uint4", "int2", "uint2"])


class Translator(Book):
    """Walks through the nodes once, in the order of the file."""

    def __init__(self, wire: Wire, functions: dict[tuple[str, str], model.Function]) -> None:
        super().__init__(wire)
        self.functions = functions
        self.steps = 0
        self.calls = 0
        self.like: dict[Hashable, dict[Hashable, Any]] = {}
        """What follows from attributes; the same ones are the same objects, decoded once."""

    def apart(self) -> Translator:
        """Another graph, for a body: of the same file and symbols, within the same bounds."""
        inner = Translator(self.wire, self.functions)
        inner.types.symbols, inner.types.taken = self.types.symbols, self.types.taken
        inner.steps, inner.leaves, inner.calls = self.steps, self.leaves, self.calls
        return inner

    def guest(self, value: Value, name: str) -> Value:
        """A value of the graph around this one; what was made there is an input here."""
        if value.stored or (value.constant and not value.made):
            return replace(value, made="")  # a row of its own there, if it needs one
        made = self.unique(name)
        self.inputs[made] = value.type or TensorType((NO_SIZE,))
        return Value(name, value.type, made=made, why=value.why)

    def run(self, nodes: Sequence[model.Node], scope: Scope) -> None:
        """All nodes of a graph or function."""
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_NODES:
                raise self.wire.too_many_nodes()
            self.step(node, scope)

    def step(self, node: model.Node, scope: Scope) -> None:
        """One node."""
        inputs = [self.input(name, node, scope) for name in node.inputs]
        domain = "" if node.domain == "ai.onnx" else node.domain
        function = self.functions.get((domain, node.op_type)) if self.functions else None
        known = own.kind(function) if function is not None else ""
        if function is not None and not known:
            return self.inline(function, node, inputs, scope)
        place, attributes = Place(self, node, scope), self.attributes(node, scope)
        call = Call(
            known or (f"{domain}.{node.op_type}" if domain else node.op_type),
            scope.opsets.get(domain, 1),
            inputs,
            [bool(name) and scope.uses[name] > 0 for name in node.outputs],
            attributes,
            self.wire,
            place.emit,
            self.like.setdefault((node.op_type, domain, *map(id, attributes.values())), {}),
        )
        try:
            outputs = self.outputs(call, place)
        except NetledgerError as error:
            received = ", ".join(f"{v.name}: {v.type}" for v in inputs if v is not None)
            raise error.at(where=f"{place.name} ({call.kind})", received=received) from None
        for i, value in enumerate(call.inputs):
            if value is not None and value.learned and (i or call.kind not in RELAYOUTS):
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
        place.dry = all([v.constant for v in values])
        if place.dry:
            known = fold(call)
            if known is not None:
                return [self.number(place, i, k) for i, k in enumerate(known)]
        if values and values[0].stored and call.kind in RELAYOUTS:
            kept = [self.relayout(call, place)]
            if kept[0] is not None:
                return [kept[0]]
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
        before, place.dry = place.dry, True
        try:
            shape = self.rows(call, place)[0].type
        finally:
            place.dry = before
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
            if isinstance(made, Layer):
                made.untold = made.untold or call.untold()
            outputs = made if isinstance(made, list) else place.emit(made, False, last=True)
            missing = [i for i, used in enumerate(call.used) if used and i >= len(outputs)]
            if missing:
                raise Unknown(f"its output {missing[0] + 1} is used, which no rule describes")
            return outputs
        except Unknown as reason:
            return self.opaque(call, place, str(reason))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return self.opaque(call, place, "its settings are not those of such an operation")

    def opaque(
        self,
        call: Call,
        place: Place,
        why: str,
        made: Sequence[TensorType | None] = (),
        macs: Any = None,
    ) -> list[Value]:
        """A row that no rule describes; what it stores is known all the same.

        Args:
            call: The node.
            place: Where it stands.
            why: Why nothing more is known.
            made: The types of its outputs, where the file does not say them.
            macs: Its multiply-accumulates, if they are known all the same.
        """
        place.undo()
        named = call_outputs(place.node)
        recorded = [
            self.types.recorded(name) or derived
            for name, derived in zip_longest(named, made[: len(named)])
        ]
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
        dtype = next((t.dtype for t in recorded if t is not None), "")
        shapes = tuple((NO_SIZE,) if t is None else t.shape for t in recorded)
        values = place.emit(
            Layer(Opaque(call.kind, shapes, why, to=dtype), kept, weights, macs), True, last=True
        )
        for value, t in zip(values, recorded, strict=True):
            value.type, value.why = t, "" if t else f"{place.name} is opaque: {why}"
        return values

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
            alone = place.scope.uses[x.name] == 1
            if not alone or not isinstance(node.op, Linear) or node.op.bias:
                continue
            if b.shape[0] == node.op.out_features:
                weight = Weight(Parameter("bias", BIAS, b.shape, b.type.dtype), (b.stored, None))
                self.nodes[i] = replace(
                    node,
                    op=Linear(node.op.out_features),
                    parameters=(*(node.parameters or ()), weight.parameter),
                    macs=None,
                )
                self.enter(node.name, [weight])
                return replace(x, name=place.output(0))
        return None

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
        scope = Scope(function.nodes, function.outputs)
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
