"""Equations → nodes: a walk with a table of rules, and what the rules ask of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from netledger.errors import NetledgerError
from netledger.graph import (
    BUFFER,
    WEIGHT,
    Node,
    Parameter,
    Recorded,
    Shape,
    TensorType,
    without_unused,
)
from netledger.ops import (
    Cast,
    Constant,
    Expand,
    Identity,
    Op,
    Opaque,
    Permute,
    Reshape,
    Slice,
    Tensor,
)
from netledger.readers.jax_function.trace import Body, Equation, Variable
from netledger.readers.jax_function.values import Leaf, Value

KNOWN = "no multiply-accumulates, nothing stored"
_IDLE = (Constant, Expand, Reshape, Cast, Identity, Permute, Slice)
"""Left out where nothing takes what they make."""
_LEAVES = ("kernel", "weight", "embedding", "scale", "bias", "w", "b", "value")
"""Names of tensors that a layer is not called after, but the module that has them."""


class Builder:
    """The nodes of a graph while they are made.

    Attributes:
        leaves: What the model stores, by path.
        nodes: The nodes.
        uses: For each leaf the node and parameter that it is, at each use.
        users: How many equations take each variable; a result counts as one.
        plain: True for a plain function: what it captures is stored, and scopes are the user's.
    """

    def __init__(self, leaves: dict[str, Leaf], taken: Sequence[str], plain: bool = True) -> None:
        self.leaves, self.plain = leaves, plain
        self.nodes: list[Node] = []
        self.uses: dict[str, list[tuple[str, str]]] = {}
        self.users: Counter[int] = Counter()
        self.values: dict[int, Value] = {}
        self.taken = set(taken)
        self.source: dict[str, tuple[str, Op]] = {}
        """For a value that was only moved: the value it was, and how."""
        self.types: dict[str, tuple[Shape, str]] = {}
        self.products: dict[str, tuple[int, tuple[int, ...]]] = {}
        """For what a layer without a bias makes: its node, and the axes that are its features."""
        self.sums: dict[str, tuple[int, Any]] = {}
        """For a sum over windows or axes: its node, and how many numbers each sum has."""
        self._alone: dict[str, str] = {}
        self._captures: dict[int, str] = {}
        self._kept: list[Any] = []

    def walk(self, body: Body, inputs: Sequence[Value]) -> list[Value]:
        """Adds what a body does; returns the values it returns."""
        from netledger.readers.jax_function.regions import region

        self._kept.append(body)  # variables are known by identity
        for variable, value in zip(body.inputs, inputs, strict=True):
            self.values[id(variable)] = value
        for variable, array in body.constants:
            self.values[id(variable)] = self._captured(variable, array)
        for equation in body.equations:
            for variable in equation.inputs:
                self.users[id(variable)] += 1
        for variable in body.outputs:
            self.users[id(variable)] += 1
        at = 0
        while at < len(body.equations):
            taken = region(self, body, at)
            if not taken:
                self.add(body.equations[at])
            at += taken or 1
        return [self.value(variable) for variable in body.outputs]

    def _captured(self, variable: Variable, array: Any) -> Value:
        """An array that a function captures: a parameter, if it can be learned."""
        import jax
        import jax.numpy as jnp

        value = Value(variable.shape, variable.dtype)
        learned = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jnp.inexact)
        if not (self.plain and learned and array.ndim):
            return value
        path = self._captures.get(id(array))
        if path is None:
            count = len(self._captures)
            path = self._captures[id(array)] = f"captured_{count}" if count else "captured"
            self.leaves[path] = Leaf(path, WEIGHT, tuple(array.shape), str(array.dtype))
        return value._replace(stored=path, axes=tuple(range(array.ndim)))

    def value(self, variable: Variable) -> Value:
        """What a variable is."""
        if variable.literal:
            return Value((), variable.dtype, scalar=True)
        return self.values[id(variable)]

    def add(self, equation: Equation) -> None:
        """Adds what an equation becomes, or what is unknown."""
        from netledger.readers.jax_function.table import RULES

        empty = equation.outputs and all(0 in v.shape for v in equation.outputs)
        if empty or all(self.value(v).constant for v in equation.inputs):
            for variable in equation.outputs:  # numbers that no input and no parameter changes
                self.values[id(variable)] = Value(variable.shape, variable.dtype)
            return
        rule = RULES.get(equation.name)
        why = "no rule describes it"
        if rule is not None:
            before = len(self.nodes)
            try:
                for variable, value in zip(equation.outputs, rule(self, equation), strict=True):
                    self.values[id(variable)] = value
                return
            except NetledgerError as error:
                why = error.fact
                self._undo(before)
        self.opaque(equation, why, None)

    def _undo(self, before: int) -> None:
        """Takes back what a rule added before it failed; stored tensors may stay."""
        stay = (Tensor, *_IDLE)
        gone = {node.name for node in self.nodes[before:] if not isinstance(node.op, stay)}
        self.nodes[before:] = [node for node in self.nodes[before:] if node.name not in gone]
        for path, uses in list(self.uses.items()):
            self.uses[path] = [use for use in uses if use[0] not in gone]
            if not self.uses[path]:
                del self.uses[path]

    def opaque(self, equation: Equation, why: str, macs: int | None) -> None:
        """Adds something that no rule describes; with a count if that is known all the same."""
        feeds = [self.value(v) for v in equation.inputs]
        names = tuple(self.name(v) for v in feeds if not v.constant)
        title = self.title(equation)
        many = len(equation.outputs) > 1
        outputs = tuple(f"{title}.{i}" for i in range(len(equation.outputs))) if many else (title,)
        shapes = tuple(v.shape for v in equation.outputs)
        first = equation.outputs[0].dtype if equation.outputs else ""
        op = Opaque(equation.name, shapes, why, first)
        recorded = Recorded((), () if macs is not None else None, macs)
        if not equation.outputs:
            return
        self.nodes.append(self._node(title, op, names, outputs, equation, recorded))
        for variable, output in zip(equation.outputs, outputs, strict=True):
            self.values[id(variable)] = self.made(output, variable.shape, variable.dtype)

    def known(self, equation: Equation) -> list[Value]:
        """What has no rule of its own, but surely stores and accumulates nothing."""
        self.opaque(equation, KNOWN, 0)
        return [self.values[id(v)] for v in equation.outputs]

    def made(self, name: str, shape: Shape, dtype: str) -> Value:
        """A computed value."""
        self.types[name] = (shape, dtype)
        return Value(shape, dtype, name)

    def emit(
        self,
        op: Op,
        inputs: Sequence[Value],
        equation: Equation,
        *,
        stated: Shape | None = None,
        weights: Sequence[tuple[Leaf, str, Shape]] = (),
        title: str = "",
        untold: str = "",
    ) -> Value:
        """Adds a node, after a trial of its rules.

        Args:
            op: What it does.
            inputs: What it takes.
            equation: Where it comes from.
            stated: The shape that the trace says it makes.
            weights: The leaves that its parameters are: leaf, name and shape of the parameter.
            title: What to call it, if not after the equation.
            untold: What the trace says of the function that `op` does not.
        """
        shapes = tuple(v.shape for v in inputs)
        op.check(*shapes)
        (shape, *_) = op.outputs(*shapes)
        dtype = op.dtype(*(v.dtype for v in inputs))
        feeds = tuple(self.name(v) for v in inputs)
        name = self.unique(title) if title else self.title(equation, weights)
        said = None if stated is None else TensorType(stated, dtype)
        parameters = [
            Parameter(key, WEIGHT if leaf.role == WEIGHT else BUFFER, size, leaf.dtype)
            for leaf, key, size in weights
        ]
        own = {p.name: p.role for p in op.parameters(*shapes)} if weights else {}
        recorded = Recorded(
            (said,), tuple(p._replace(role=own.get(p.name, p.role)) for p in parameters)
        )
        node = self._node(name, op, feeds, (name,), equation, recorded)
        stores = {leaf.dtype for leaf, _, _ in weights} - {dtype}
        stored = stores.pop() if len(stores) == 1 else ""
        self.nodes.append(replace(node, dtype=stored, untold=untold))
        for leaf, key, _ in weights:
            self.uses.setdefault(leaf.path, []).append((name, key))
        return self.made(name, stated if stated is not None else shape, dtype)

    def moved(self, op: Op, x: Value, equation: Equation, shape: Shape) -> Value:
        """Adds an operation that only moves numbers, unless it undoes the one before."""
        if isinstance(op, Reshape) or type(op).__name__ == "Flatten":
            source = x.name
            while source in self.source and not isinstance(self.source[source][1], Permute):
                source = self.source[source][0]
                if self.types[source][0] == shape:
                    return Value(*self.types[source], source)
        if isinstance(op, Permute):
            order = op.order if isinstance(op.order, tuple) else (op.order,)
            if order == tuple(range(len(order))):
                return x
            before = self.source.get(x.name)
            if before is not None and isinstance(before[1], Permute):
                first = before[1].order
                joined = tuple(first[i] for i in order)
                source = before[0]
                if joined == tuple(range(len(joined))):
                    return Value(*self.types[source], source)
                x, op = Value(*self.types[source], source), Permute(joined)
        made = self.emit(op, [x], equation, stated=shape)
        self.source[made.name] = (x.name, op)
        return made

    def _node(
        self,
        name: str,
        op: Op,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        equation: Equation | None,
        recorded: Recorded | None,
    ) -> Node:
        path = self.path(equation) if equation is not None else ""
        below = bool(path) and (name == path or name.startswith(f"{path}."))
        scope = path if below and name != path else name.rpartition(".")[0]
        target = f"lax.{equation.name}" if equation is not None else ""
        return Node(name, op, inputs, outputs, scope, recorded=recorded, target=target)

    def path(self, equation: Equation) -> str:
        """The module that an equation belongs to, or else the user's own scope."""
        if equation.modules:
            return equation.modules[-1].path
        return equation.scope.replace("/", ".") if self.plain else ""

    def title(self, equation: Equation, weights: Sequence[tuple[Leaf, str, Shape]] = ()) -> str:
        """A name: after the weights, else the primitive below the module."""
        if weights:
            module, _, leaf = weights[0][0].path.rpartition(".")
            own = "" if leaf.lower() in _LEAVES and module else leaf
            return self.unique(".".join(filter(None, (module, own))))
        path = self.path(equation)
        return self.unique(f"{path}.{equation.name}" if path else equation.name)

    def unique(self, base: str) -> str:
        """A name that nothing has yet."""
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def name(self, value: Value) -> str:
        """The name of a value; what is stored or constant becomes a node where it is first used."""
        if value.name:
            return value.name
        if not value.stored:
            title = self.unique("constant")
            op: Op = Constant(value.shape, to=value.dtype)
            self.nodes.append(self._node(title, op, (), (title,), None, None))
            return title
        name = self.alone(value.stored)
        for op in value.chain:
            title = self.unique(f"{name}.view")
            self.nodes.append(self._node(title, op, (name,), (title,), None, None))
            name = title
        return name

    def alone(self, path: str) -> str:
        """A stored tensor as a node of its own."""
        if path not in self._alone:
            leaf = self.leaves[path]
            role = BUFFER if leaf.role == BUFFER else WEIGHT
            title = self.unique(path)
            op = Tensor(leaf.shape, role=role, to=leaf.dtype)
            self.nodes.append(self._node(title, op, (), (title,), None, None))
            self.uses.setdefault(path, []).append((title, "weight"))
            self._alone[path] = title
        return self._alone[path]

    def finish(self, outputs: Sequence[Value]) -> tuple[str, ...]:
        """Adds stored tensors that nothing uses; returns the names of the outputs."""
        made = tuple(dict.fromkeys(self.name(value) for value in outputs))
        for path in self.leaves:
            if path not in self.uses:
                self.alone(path)
        self.nodes = without_unused(self.nodes, made, _IDLE)
        return made
