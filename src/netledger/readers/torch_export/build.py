"""Exported program → graph: a node for each call, by the table of `netledger.aten`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from netledger.aten import Call, Calls, Layer, Value, translate
from netledger.errors import NetledgerError, SpecError, quoted
from netledger.graph import BUFFER, WEIGHT, Node, Parameter, Recorded, Shape, TensorType
from netledger.ops import Cast, Constant, Expand, Identity, Op, Opaque, Permute, Reshape, Tensor
from netledger.ops.opaque import NO_SIZE
from netledger.readers.torch_export.program import Invocation, Program, bounded

_UNKNOWN = TensorType((NO_SIZE,))
"""What is known of a tensor of which the program says nothing."""
_PREFIXES = ("torch.ops.aten.", "torch.ops.higher_order.", "torch.ops.")
_IDLE = (Constant, Expand, Reshape, Cast, Identity)
"""Left out where nothing takes what they make: the zeros that a recurrent layer begins with."""


class Builder:
    """The nodes of a graph while they are made.

    Attributes:
        nodes: The nodes.
        uses: For each stored tensor the node and parameter that it is, at each use.
        calls: The calls of modules.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[Node] = []
        self.uses: dict[str, list[tuple[str, str]]] = {}
        self.calls = Calls()
        self._taken = set(program.inputs)
        self._values = {name: Value(name, t) for name, t in program.inputs.items()}
        for name, stored in program.stored.items():
            self._values[name] = Value(name, stored.type, stored=name)
        self._alone: dict[str, str] = {}
        """For each stored tensor the value that it is where it is used by itself."""
        self._extra: dict[str, str] = {}
        """Outputs that the operation here does not make, and the value that it does make."""
        stacks = (call.stack[-1].path for call in program.calls if call.stack and call.name)
        self._calls_in = Counter(stacks)

    def add(self, call: Invocation) -> None:
        """Adds what a call becomes."""
        names = [name for name in call.outputs if name is not None]
        for name in names:
            if name in self._values:
                raise SpecError(f"two values are called {quoted(name)}")
        target = _base(call.target)
        args = {name: self._argument(arg) for name, arg in call.args.items()}
        if not names:
            return
        stated = tuple(self.program.type(name) for name in names)
        if self._flips(target, args, names[0]):
            return
        asked = Call(target, args, stated)
        layer = translate(asked)
        why = "no rule describes it"
        if layer is not None:
            try:
                self._emit(call, names, stated, layer)
                return
            except NetledgerError as error:
                why = error.fact
        self._emit(call, names, stated, _opaque(asked, names, why))

    def finish(self, outputs: Sequence[str], places: Mapping[str, str]) -> tuple[str, ...]:
        """Adds stored tensors that nothing uses. Returns the names of the outputs.

        Args:
            outputs: The values that the program returns.
            places: Where stored tensors are kept; a second name of one that is used is no other.
        """
        made = tuple(dict.fromkeys(self._name(self._value(name)) for name in outputs))
        used = {places.get(self.program.stored[name].name) for name in self.uses} - {None}
        for name, stored in self.program.stored.items():
            place = places.get(stored.name)
            counted = name in self.uses or place in used
            if not counted and not stored.name.endswith("num_batches_tracked"):
                self._name(self._values[name])
                used |= {place} - {None}
        needed = set(made)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if not isinstance(node.op, _IDLE) or needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        return made

    def _argument(self, arg: Any) -> Any:
        """An argument as numbers, texts and tensors."""
        if not isinstance(arg, dict) or len(arg) != 1:
            return None
        ((kind, content),) = arg.items()
        if kind == "as_tensor" and isinstance(content, dict):
            return self._value(content.get("name"))
        if kind in ("as_tensors", "as_optional_tensors") and isinstance(content, list):
            found = [t.get("as_tensor", t) if isinstance(t, dict) else {} for t in content]
            return [self._value(t["name"]) for t in found if isinstance(t, dict) and "name" in t]
        if kind == "as_optional_tensor":
            return self._argument(content)
        if kind == "as_sym_int":
            return self.program.symbolic(content)
        if kind == "as_sym_ints" and isinstance(content, list):
            return [self.program.symbolic(c) for c in content]
        if kind == "as_ints" and isinstance(content, list):
            return content if all(map(bounded, content)) else None
        if kind == "as_int":
            return content if bounded(content) else None
        plain = kind in ("as_float", "as_bool", "as_string", "as_floats")
        return content if plain else None

    def _value(self, name: Any) -> Value:
        if not isinstance(name, str) or (name not in self._values and name not in self._extra):
            raise SpecError(f"the value {quoted(str(name))} is used before it is made")
        if name not in self._values:
            self._values[name] = self._rest(name, self._extra[name])
        return self._values[name]

    def _flips(self, target: str, args: dict[str, Any], name: str) -> bool:
        """Remembers a stored matrix that is turned over, which the products then expect."""
        x = args.get("self")
        swaps = target == "t" or (target == "permute" and args.get("dims") == [1, 0])
        swaps = swaps or (target == "transpose" and {args.get("dim0"), args.get("dim1")} == {0, 1})
        if not (swaps and isinstance(x, Value) and x.stored and len(x.shape) == 2):
            return False
        turned = TensorType(x.shape[::-1], x.type.dtype)
        self._values[name] = Value(name, turned, x.stored, not x.flipped)
        return True

    def _emit(
        self,
        call: Invocation,
        names: list[str],
        stated: tuple[TensorType | None, ...],
        layer: Layer,
    ) -> None:
        """Adds the nodes of a layer, after a trial of their rules."""
        shapes: tuple[Shape, ...] = tuple(v.shape for v in layer.inputs)
        dtypes = [v.type.dtype for v in layer.inputs]
        trials: list[tuple[Op, tuple[Shape, ...], str]] = []
        for op in layer.ops:
            if not isinstance(op, Opaque):
                op.check(*shapes)
            made = op.outputs(*shapes)
            trials.append((op, made, op.dtype(*dtypes)))
            if not layer.each:
                shapes, dtypes = made[:1], [trials[-1][2]]
        inputs = tuple(self._name(v) for v in layer.inputs)
        if layer.each:
            for name, known, (op, made, dtype) in zip(names, stated, trials, strict=True):
                title = self._title(call, name, layer)
                self._node(title, op, inputs, [name], (known,), made, dtype, call, layer)
            return
        for i, (op, made, dtype) in enumerate(trials):
            last = i == len(trials) - 1
            name = call.name if last else f"{call.name}_{i}"
            title = self._title(call, name, layer if last else None)
            outputs = names if last else [title]
            said = stated if last else (None,)
            self._node(title, op, inputs, outputs, said, made, dtype, call, layer)
            inputs = (title,)

    def _node(
        self,
        title: str,
        op: Op,
        inputs: tuple[str, ...],
        names: Sequence[str],
        stated: tuple[TensorType | None, ...],
        made: tuple[Shape, ...],
        dtype: str,
        call: Invocation,
        layer: Layer,
    ) -> None:
        count = min(len(names), len(made))
        values = (title,) if count == 1 else tuple(f"{title}.{i}" for i in range(count))
        recorded, trainable = self._recorded(title, op, layer, stated[:count])
        path = call.stack[-1].path if call.stack else ""
        below = bool(path) and title.startswith(f"{path}.")
        scope = path if below else title.rpartition(".")[0]
        within, target = self.calls.within(call.stack), f"aten.{_base(call.target)}"
        self.nodes.append(
            Node(
                title,
                op,
                inputs,
                values,
                scope,
                "",
                trainable,
                recorded,
                call=within,
                target=target,
            )
        )
        for i, name in enumerate(names):
            if i < count:
                known = stated[i] or TensorType(made[i], dtype)
                self._values[name] = Value(values[i], known)
            else:
                self._extra[name] = values[0]

    def _recorded(
        self, title: str, op: Op, layer: Layer, stated: tuple[TensorType | None, ...]
    ) -> tuple[Recorded, bool]:
        """What the program says of a node; and whether its parameters are learned."""
        weights = [self.program.stored[v.stored] for v in layer.weights]
        if not weights:
            none = () if not isinstance(op, Opaque) or layer.known else None
            return Recorded(stated, none, 0 if layer.known else None), True
        derived = op.parameters(*(v.shape for v in layer.inputs))
        same = len(derived) == len(weights)
        parameters = []
        for i, (value, stored) in enumerate(zip(layer.weights, weights, strict=True)):
            leaf = stored.name.rpartition(".")[2]
            buffer = stored.role == BUFFER
            name = derived[i].name if same else leaf
            role = derived[i].role if same and (derived[i].role == BUFFER) == buffer else None
            parameters.append(Parameter(name, role or stored.role, stored.type.shape))
            self.uses.setdefault(value.stored, []).append((title, name))
        learned = [s.trainable for s in weights if s.role != BUFFER]
        return Recorded(stated, tuple(parameters)), all(learned) if learned else True

    def _name(self, value: Value) -> str:
        """The value's name; a stored tensor becomes a node of its own at its first use."""
        if not value.stored:
            return value.name
        stored = self.program.stored[value.stored]
        if value.stored not in self._alone:
            title = self._unique(stored.name)
            role = BUFFER if stored.role == BUFFER else WEIGHT
            op = Tensor(stored.type.shape, role=role, to=stored.type.dtype)
            scope = stored.name.rpartition(".")[0]
            self.nodes.append(
                Node(title, op, (), (), scope, "", stored.trainable or role == BUFFER)
            )
            self.uses.setdefault(value.stored, []).append((title, "weight"))
            self._alone[value.stored] = title
        name = self._alone[value.stored]
        if value.flipped:
            title = self._unique(f"{name}.t")
            self.nodes.append(Node(title, Permute((1, 0)), (name,)))
            name = title
        return name

    def _rest(self, name: str, source: str) -> Value:
        """An output that the operation here does not make: indices, saved statistics."""
        known = self.program.type(name) or _UNKNOWN
        title = self._unique(name)
        op = Opaque("rest", (known.shape,), "no multiply-accumulates, nothing stored")
        self.nodes.append(
            Node(title, op, (source,), recorded=Recorded((known,), parameters=(), macs=0))
        )
        return Value(title, known)

    def _title(self, call: Invocation, name: str, layer: Layer | None) -> str:
        """The path of the module that keeps the weights, or that makes only this call.

        Else the value's own name below the module's path.
        """
        if layer is not None and layer.weights:
            module, _, leaf = self.program.stored[layer.weights[0].stored].name.rpartition(".")
            own = leaf.removesuffix("_weight") if leaf.endswith("_weight") else ""
            return self._unique(".".join(filter(None, (module, own))) or leaf)
        path = call.stack[-1].path if call.stack else ""
        alone = path and self._calls_in[path] == 1 and name == call.name
        return self._unique(path if alone else f"{path}.{name}" if path else name)

    def _unique(self, base: str) -> str:
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name


def _base(target: str) -> str:
    """``torch.ops.aten.conv2d.default`` → ``conv2d``."""
    for prefix in _PREFIXES:
        if target.startswith(prefix):
            return target.removeprefix(prefix).partition(".")[0]
    return target


def _opaque(call: Call, names: list[str], why: str) -> Layer:
    shapes = tuple((t or _UNKNOWN).shape for t in (*call.results, *[None] * len(names)))
    return Layer((Opaque(call.target, shapes[: len(names)], why),), tuple(call.values()))
