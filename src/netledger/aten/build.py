"""Calls of ATen operators → the nodes of a graph, by the table of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netledger.aten.call import Call, Layer, Value
from netledger.aten.moves import turns
from netledger.aten.table import translate
from netledger.aten.whole import fold
from netledger.errors import NetledgerError
from netledger.formula import Formula
from netledger.graph import (
    BATCH,
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
    Tensor,
    Update,
)
from netledger.ops.opaque import NO_SIZE

_UNKNOWN = TensorType((NO_SIZE,))
"""What is known of a tensor of which the source says nothing."""
_IDLE = (Constant, Expand, Reshape, Cast, Identity, Update)
"""Left out where nothing takes what they make: the zeros that a recurrent layer begins with, a
tensor that is changed through its last view."""
_OWN: Mapping[str, str] = {}
_NONE: Mapping[int, tuple[str, Op]] = {}
_NOTHING = "no multiply-accumulates, nothing stored"


class Stored(NamedTuple):
    """A parameter, buffer or constant of the source.

    Attributes:
        name: Its name in the model.
        role: ``weight``, ``bias`` or ``buffer``.
        type: Its type.
        trainable: False for a buffer or a frozen parameter.
        nbytes: Bytes that it takes, if that is not size × dtype.
        homes: Its names in the model, where it has several.
    """

    name: str
    role: str
    type: TensorType
    trainable: bool
    nbytes: int | None = None
    homes: tuple[str, ...] = ()


class Invocation(NamedTuple):
    """A call in its place.

    Attributes:
        name: What the source calls it.
        call: The operator and its arguments.
        names: What the source calls the tensors that it makes.
        path: The module around it.
        within: The call of that module, by its place in `Graph.calls`.
    """

    name: str
    call: Call
    names: Sequence[str]
    path: str = ""
    within: int = -1


class Trial(NamedTuple):
    """An operation, and what its rules give for what a call takes."""

    op: Op
    results: tuple[Shape, ...]
    dtype: str


class Builder:
    """The nodes of a graph while they are made.

    Args:
        inputs: The types of the network's inputs.
        stored: What the source keeps, by the names that its calls use.
        calls_in: How many calls each module makes itself.
        places: Where stored tensors are kept, by their names in the model. Those at one place are
            one and the same; one without a place is itself.

    Attributes:
        nodes: The nodes.
        values: Every tensor so far, by the name that the source gives it; see `value`.
        uses: For each stored tensor the node and parameter that it is, at each use.
    """

    def __init__(
        self,
        inputs: Mapping[str, TensorType],
        stored: Mapping[str, Stored],
        calls_in: Mapping[str, int],
        places: Mapping[str, str] = _OWN,
    ) -> None:
        self.stored = stored
        self._place = {
            name: places.get(kept.name) or f"= {kept.name}" for name, kept in stored.items()
        }
        self.nodes: list[Node] = []
        self.uses: dict[str, list[tuple[str, str]]] = {}
        self.values = {name: Value(name, t) for name, t in inputs.items()}
        for name, kept in stored.items():
            self.values[name] = Value(name, kept.type, stored=name)
        self._taken = dict.fromkeys(inputs, 1)
        self._alone: dict[str, str] = {}
        """For each stored tensor the value that it is where it is used by itself."""
        self._extra: dict[str, tuple[str, TensorType | None]] = {}
        """Outputs that the operation here does not make, the value that it does make, the type."""
        self._calls_in = calls_in
        self._tried: dict[tuple[Op, tuple[Shape, ...]], tuple[Shape, ...]] = {}

    def __contains__(self, name: str) -> bool:
        """True for a tensor that is made or stored."""
        return name in self.values or name in self._extra

    def value(self, name: str) -> Value:
        """The tensor that the source calls `name`."""
        if name not in self.values:
            self.values[name] = self._rest(name, *self._extra[name])
        return self.values[name]

    def add(self, made: Invocation) -> None:
        """Adds what a call becomes."""
        call, why = made.call, "no rule describes it"
        if self._passes(made):
            return
        layer = translate(call)
        if layer is not None:
            try:
                untold = call.untold(layer)
                self._emit(made, layer._replace(untold=untold) if untold else layer)
                return
            except NetledgerError as error:
                why = error.fact
        self._emit(made, _opaque(call, len(made.names), why))

    def finish(
        self,
        outputs: Sequence[str],
        whole: Mapping[int, tuple[str, Op]] = _NONE,
        unused: bool = True,
    ) -> tuple[str, ...]:
        """Adds stored tensors that nothing uses. Returns the names of the outputs.

        Args:
            outputs: The values that the network returns.
            whole: The calls of modules that are one operation; see `netledger.aten.whole`.
            unused: False if the source stopped midway, so that more may yet be used.
        """
        results = tuple(dict.fromkeys(self._name(self.value(name)) for name in outputs))
        if whole:
            self.nodes, renamed = fold(self.nodes, whole, results)
            results = tuple(renamed.get(name, name) for name in results)
        used = {self._place[name] for name in self.uses}  # a second name of one is no other
        for name, kept in self.stored.items() if unused else ():
            place = self._place[name]
            if place not in used and not kept.name.endswith("num_batches_tracked"):
                self._name(self.values[name], note="never used")
                used.add(place)
        self.nodes = without_unused(self.nodes, results, _IDLE)
        return results

    def ties(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The uses of one and the same stored tensor, the first one first."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, uses in self.uses.items():
            groups.setdefault(self._place[name], []).extend(uses)
        several = [group for group in groups.values() if len(group) > 1]
        if not several:
            return ()
        order = {node.name: i for i, node in enumerate(self.nodes)}
        return tuple(
            tuple(sorted(dict.fromkeys(group), key=lambda use: order.get(use[0], 0)))
            for group in several
        )

    def homes(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The names of each stored tensor in the model, by the node and parameter that it is."""
        names: dict[str, list[str]] = {}
        for name, kept in self.stored.items():
            names.setdefault(self._place[name], []).extend(kept.homes or (kept.name,))
        homes = {place: tuple(dict.fromkeys(found)) for place, found in names.items()}
        return {use: homes[self._place[name]] for name, uses in self.uses.items() for use in uses}

    def _passes(self, made: Invocation) -> bool:
        """Remembers a stored tensor that is only cast, or turned over for a product."""
        call = made.call
        x = call.args.get("self")
        if not isinstance(x, Value) or not x.stored or len(made.names) != 1:
            return False
        known = call.results[0]
        if call.target in _HANDED_ON and known is not None and known.shape == x.shape:
            self.values[made.names[0]] = x._replace(name=made.names[0])
            return True
        if len(x.shape) != 2 or not turns(call):
            return False
        turned = TensorType(x.shape[::-1], x.type.dtype)
        self.values[made.names[0]] = Value(made.names[0], turned, x.stored, not x.flipped)
        return True

    def _emit(self, made: Invocation, layer: Layer) -> None:
        """Adds the nodes of a layer, after a trial of their rules."""
        shapes: tuple[Shape, ...] = tuple([v.type.shape for v in layer.inputs])
        dtypes = tuple([v.type.dtype for v in layer.inputs])
        trials: list[Trial] = []
        for i, op in enumerate(layer.ops):
            trial = Trial(op, self._try(op, shapes), op.dtype(*dtypes))
            trials.append(trial)
            if i + 1 < len(layer.ops) and not layer.each:
                more = layer.more[i] if i < len(layer.more) else ()
                shapes = (*trial.results[:1], *[v.type.shape for v in more])
                dtypes = (trial.dtype, *[v.type.dtype for v in more])
        inputs = self._names(layer.inputs)
        if layer.each:
            for name, known, trial in zip(made.names, made.call.results, trials, strict=True):
                title = self._title(made, name, layer)
                self._node(made, title, trial, inputs, [name], (known,), layer)
            return
        last = len(trials) - 1
        at = 0 if layer.more else last  # has the weights: others may add to its result
        for i, trial in enumerate(trials):
            own = made.name if i == last else f"{made.name}_{i}"
            title = self._title(made, own, layer if i == at else None)
            said = made.call.results if i == last else (None,)
            names = made.names if i == last else [title]
            part = layer if i == at else layer._replace(weights=())
            self._node(made, title, trial, inputs, names, said, part)
            if i < last:
                more = layer.more[i] if i < len(layer.more) else ()
                inputs = (title, *self._names(more))

    def _try(self, op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """What the rules give; networks repeat themselves, so the same is asked once."""
        if isinstance(op, Opaque):
            return op.outputs(*shapes)
        if any([type(d) is Formula and d is not BATCH for shape in shapes for d in shape]):
            op.check(*shapes)  # to compare formulas would take longer
            return op.outputs(*shapes)
        known = self._tried.get((op, shapes))
        if known is None:
            op.check(*shapes)
            known = self._tried[op, shapes] = op.outputs(*shapes)
        return known

    def _node(
        self,
        made: Invocation,
        title: str,
        trial: Trial,
        inputs: tuple[str, ...],
        names: Sequence[str],
        stated: tuple[TensorType | None, ...],
        layer: Layer,
    ) -> None:
        op, results, dtype = trial
        count = min(len(names), len(results))
        values = (title,) if count == 1 else tuple([f"{title}.{i}" for i in range(count)])
        below = bool(made.path) and title.startswith(f"{made.path}.")
        self.nodes.append(
            Node(
                title,
                op,
                inputs,
                values,
                made.path if below else title.rpartition(".")[0],
                trainable=self._learned(layer),
                recorded=self._recorded(title, op, layer, stated[:count]),
                call=made.within,
                target=f"aten.{made.call.target}",
                untold=layer.untold,
            )
        )
        for i, name in enumerate(names):
            if i < count:
                self.values[name] = Value(values[i], stated[i] or TensorType(results[i], dtype))
            else:
                self._extra[name] = values[0], made.call.results[i]

    def _learned(self, layer: Layer) -> bool:
        """True unless all of its parameters are frozen; which of them are is recorded."""
        kept = [self.stored[v.stored] for v in layer.weights]
        learned = [s.trainable for s in kept if s.role != BUFFER]
        return any(learned) or not learned

    def _recorded(
        self, title: str, op: Op, layer: Layer, stated: tuple[TensorType | None, ...]
    ) -> Recorded:
        """What the source says of a node."""
        if not layer.weights:
            none = () if not isinstance(op, Opaque) or layer.known else None
            return Recorded(stated, none, 0 if layer.known else None)
        derived = op.parameters(*[v.type.shape for v in layer.inputs])
        same = len(derived) == len(layer.weights)
        parameters = []
        for i, value in enumerate(layer.weights):
            kept = self.stored[value.stored]
            buffer = kept.role == BUFFER
            name = derived[i].name if same else kept.name.rpartition(".")[2]
            role = derived[i].role if same and (derived[i].role == BUFFER) == buffer else kept.role
            shape, dtype = value.type.shape, kept.type.dtype
            parameters.append(Parameter(name, role, shape, dtype, kept.trainable, kept.nbytes))
            self.uses.setdefault(value.stored, []).append((title, name))
        return Recorded(stated, tuple(parameters))

    def _names(self, values: Sequence[Value]) -> tuple[str, ...]:
        return tuple([self._name(v) if v.stored else v.name for v in values])

    def _name(self, value: Value, note: str = "") -> str:
        """The value's name; a stored tensor becomes a node of its own at its first use."""
        if not value.stored:
            return value.name
        kept = self.stored[value.stored]
        if value.stored not in self._alone:
            title = self._unique(kept.name)
            # What is used by itself is a weight, whatever its name: only layers have biases.
            role = kept.role if note or kept.role == BUFFER else WEIGHT
            op = Tensor(kept.type.shape, role=role, to=kept.type.dtype, note=note)
            scope = kept.name.rpartition(".")[0]
            learned = kept.trainable or role == BUFFER
            self.nodes.append(Node(title, op, (), (), scope, trainable=learned))
            self.uses.setdefault(value.stored, []).append((title, "weight"))
            self._alone[value.stored] = title
        name = self._alone[value.stored]
        if value.flipped:
            title = self._unique(f"{name}.t")
            self.nodes.append(Node(title, Permute((1, 0)), (name,)))
            name = title
        return name

    def _rest(self, name: str, source: str, stated: TensorType | None) -> Value:
        """An output that the operation here does not make: indices, saved statistics."""
        known = stated or _UNKNOWN
        title = self._unique(name)
        recorded = Recorded((known,), parameters=(), macs=0)
        op = Opaque("rest", (known.shape,), _NOTHING, to=known.dtype)
        self.nodes.append(Node(title, op, (source,), recorded=recorded))
        return Value(title, known)

    def _title(self, made: Invocation, name: str, layer: Layer | None) -> str:
        """The path of the module that keeps the weights, or that makes only this call.

        Else the value's own name below the module's path.
        """
        path = made.path
        if layer is not None and layer.weights:
            kept = self.stored[layer.weights[0].stored]
            home = next((h for h in kept.homes if h.rpartition(".")[0] == path), kept.name)
            module, _, leaf = home.rpartition(".")
            own = leaf.removesuffix("_weight") if leaf.endswith("_weight") else ""
            return self._unique(".".join(filter(None, (module, own))) or leaf)
        alone = path and self._calls_in[path] == 1 and name == made.name
        name = name.partition(" ")[0]
        return self._unique(path if alone else f"{path}.{name}" if path else name)

    def _unique(self, base: str) -> str:
        count = self._taken[base] = self._taken.get(base, 0) + 1
        if count == 1:
            return base
        name = f"{base}_{count}"
        if name in self._taken:
            return self._unique(base)
        self._taken[name] = 1
        return name


_HANDED_ON = ("to", "_to_copy", "type_as", "detach", "alias", "contiguous", "clone", "positive")


def _opaque(call: Call, count: int, why: str) -> Layer:
    shapes = tuple((t or _UNKNOWN).shape for t in (*call.results, *[None] * count))
    first = next((t.dtype for t in call.results if t), "")
    op = Opaque(call.target, shapes[:count], why, to=first)
    return Layer((op,), tuple(call.values()))
