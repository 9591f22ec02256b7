"""A Caffe network → a graph: phases, inputs, blobs that layers overwrite, shared parameters."""

from __future__ import annotations

from collections.abc import Sequence

from netledger.errors import GraphError, NetledgerError, SpecError, did_you_mean
from netledger.formula import Dim, Formula
from netledger.graph import BATCH, Graph, Node, Parameter, Shape, TensorType
from netledger.ops import Add, Concat, Flatten, Multiply, Op, Opaque, Reshape
from netledger.ops.base import show_shape
from netledger.ops.fields import LARGEST
from netledger.readers.caffe.layer import DATA, Layer, shape_of_data, type_of
from netledger.readers.caffe.layers import CHAINS
from netledger.readers.caffe.pyramid import pyramid
from netledger.readers.caffe.text import Message, shown
from netledger.readers.common import unknown_shape

MOST_LAYERS = 10_000
MOST_OPEN = 1_000
"""Layers that are read where sizes are not known, for every size then is a formula."""
RECURRENT = ("LSTM", "RNN")
ALIKE = ("Embed", "Dropout", "ReLU", "TanH", "Sigmoid", "Split", "Eltwise", "Concat")
"""What keeps time and batch where they are."""
NO_RULE = "no rule describes this kind of layer; its output is taken to have its input's axes"
SECOND = "a second output, which no rule describes"
LOSS = "a loss or a score: a number about the network, not of it"


class Net:
    """A network while it is read."""

    def __init__(self, message: Message, where: str) -> None:
        self.message, self.where = message, where
        self.inputs: dict[str, TensorType] = {}
        self.notes: list[str] = []
        self.nodes: list[Node] = []
        self.values: dict[str, str] = {}
        """The value that each blob holds at this point; a layer may overwrite one."""
        self.shapes: dict[str, Shape | None] = {}
        """The shape of each value; None after a layer that does not fit."""
        self.shared: dict[str, list[tuple[str, str]]] = {}
        """Nodes and parameters that are one storage, by the name that they share it under."""
        self.shared_shapes: dict[str, Shape] = {}
        self.batches: dict[str, int] = {}
        self.timed: set[str] = set()
        """Blobs of sequences: time is their first axis, the batch their second."""
        self.unknown = False

    def graph(self) -> Graph:
        """The whole network."""
        if self.message.has("layers") and self.message.has("layer"):
            raise SpecError("has both layer and layers, two generations of one", where=self.where)
        name = self.message.text("name") or "network"
        layers = self._layers()
        self.timed = sequences(layers)
        self._legacy_inputs()
        for layer in layers:
            try:
                self._enter(layer)
            except NetledgerError as error:
                raise error.at(where=f"{layer.name} ({layer.type})", source=layer.source) from None
        if not self.nodes:
            raise SpecError("has no layers in this phase", where=self.where)
        opened = any(isinstance(d, Formula) for t in self.inputs.values() for d in t.shape[1:])
        if len(self.nodes) > MOST_OPEN and (opened or self.unknown):
            raise SpecError(
                f"has {len(self.nodes):,} layers and sizes that the file does not state; "
                f"at most {MOST_OPEN:,} are read then",
                where=self.where,
            )
        used = {value for node in self.nodes for value in node.inputs}
        made = [value for node in self.nodes for value in node.outputs]
        return Graph(
            name,
            {n: t for n, t in self.inputs.items() if n in used} or self.inputs,
            tuple(self.nodes),
            tuple(value for value in made if value not in used),
            tuple(tuple(group) for group in self.shared.values() if len(group) > 1),
            title="; ".join(self.notes),
            source=self.where,
            reader="caffe",
        )

    def _layers(self) -> list[Layer]:
        """The layers of this phase, without the losses that feed nothing."""
        found = self.message.messages("layer") or self.message.messages("layers")
        if len(found) > MOST_LAYERS:
            raise SpecError(
                f"has {len(found):,} layers; at most {MOST_LAYERS:,} are read", where=self.where
            )
        state = self.message.message("state")
        layers = [self._layer(m) for m in found if self._included(m, state)]
        feeds = {blob for layer in layers if not layer.is_loss for blob in layer.bottoms}
        return [
            layer
            for layer in layers
            if not layer.is_loss or any(top in feeds for top in layer.tops)
        ]

    def _included(self, message: Message, state: Message) -> bool:
        try:
            return _included(message, state)
        except SpecError as error:
            raise error.at(where=f"{self.where}:{message.line}") from None

    def _layer(self, message: Message) -> Layer:
        source = f"{self.where}:{message.line}"
        if message.has("layer"):
            raise SpecError(
                "a layer of Caffe's first generation (before 2014)",
                where=source,
                hint="Caffe's own upgrade_net_proto_text brings it up to date",
            )
        try:
            return Layer(message, type_of(message), source)
        except SpecError as error:
            raise error.at(where=source) from None

    def _legacy_inputs(self) -> None:
        """Inputs that the network itself names."""
        names = self.message.texts("input")
        shapes = [shape.integers("dim") for shape in self.message.messages("input_shape")]
        dims = self.message.integers("input_dim")
        if dims and not shapes:
            if len(dims) != 4 * len(names):
                raise SpecError(
                    f"has {len(dims)} input_dim for {len(names)} inputs; each has four",
                    where=self.where,
                )
            shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
        if shapes and len(shapes) != len(names):
            raise SpecError(f"has {len(shapes)} shapes for {len(names)} inputs", where=self.where)
        for i, name in enumerate(names):
            self._input(name, shapes[i] if shapes else unknown_shape("", 4)[1:], self.where)

    def _input(self, name: str, dims: Sequence[Dim], source: str) -> None:
        """A new input. Its first axis is the batch, whatever its size; of a sequence the second."""
        if name in self.values:
            raise GraphError(f"two layers make {shown(name)}", source=source)
        for d in dims:
            if isinstance(d, int) and not 1 <= d <= LARGEST:
                raise SpecError(
                    f"the input {shown(name)} has an axis of size {d}",
                    hint="a size is at least 1",
                    source=source,
                )
        if not dims or len(dims) > 16:
            raise SpecError(f"the input {shown(name)} has {len(dims)} axes", source=source)
        at = int(name in self.timed and len(dims) > 1)
        batch = dims[at]
        if isinstance(batch, int):
            self.batches[name] = batch
        shape = (*dims[:at], BATCH, *dims[at + 1 :])
        self.inputs[name] = TensorType(shape)
        self.values[name], self.shapes[name] = name, shape

    def _enter(self, layer: Layer) -> None:
        if layer.type in DATA:
            for i, top in enumerate(layer.tops):
                dims, note = shape_of_data(layer, i)
                self._input(top, dims, layer.source)
                self.notes += [note] if note else []
            return
        layer.inputs = tuple(self._value(blob) for blob in layer.bottoms)
        layer.shapes = tuple(self.shapes[value] for value in layer.inputs)
        layer.batch = next(iter(self.batches.values()), None)
        layer.frozen = layer.rates_are_zero()
        for top in layer.tops:
            if top in self.values and top not in layer.bottoms:
                raise GraphError(f"two layers make {shown(top)}")
        made = self._made(layer)
        for i in range(len(made), len(layer.tops)):
            known = self.shapes[made[0]] if made else None
            shape = known or unknown_shape(f"{layer.name}_{i}", 4)
            op = Opaque(layer.type, (shape,), SECOND if made else LOSS)
            made.append(self.add(layer, op, layer.inputs, f"{layer.name}:{i}"))
        self.values.update(zip(layer.tops, made, strict=False))

    def _made(self, layer: Layer) -> list[str]:
        """Adds the layer's nodes. Returns the value of each of its tops."""
        if layer.type == "Split":
            return [layer.inputs[0]] * len(layer.tops) if layer.inputs else []
        if layer.is_loss:
            ops: list[Op] = [Opaque(layer.type, ((),), LOSS) for _ in layer.tops]
            return [
                self.add(layer, op, layer.inputs, layer.name + (f":{i}" if i else ""))
                for i, op in enumerate(ops)
            ]
        if layer.type in ("Convolution", "Deconvolution") and len(layer.inputs) > 1:
            return self._convolutions(layer)
        if layer.type in ("Scale", "Bias") and len(layer.inputs) == 2:
            return self._with_another(layer)
        levels = pyramid(layer) if layer.type == "SPP" else []
        if levels:
            return self._pyramid(layer, levels)
        chain = CHAINS[layer.type](layer) if layer.type in CHAINS else None
        if chain is None:
            rank = len(layer.shapes[0] or ()) if layer.shapes else 4
            names = [f"{layer.name}_{i}" if i else layer.name for i, _ in enumerate(layer.tops)]
            shapes = [unknown_shape(name, rank) for name in names]
            op, self.unknown = Opaque(layer.type, tuple(shapes), NO_RULE), True
            return list(self.node(layer, op, layer.inputs, layer.name).outputs)
        return self._chain(layer, chain)

    def _chain(self, layer: Layer, chain: Sequence[Op]) -> list[str]:
        """Adds operations one after the other; the one with weights gets the layer's name."""
        main = next((i for i, op in enumerate(chain) if not op.folds), 0)
        inputs = layer.inputs
        outputs: list[str] = []
        for i, op in enumerate(chain):
            name = layer.name if i == main else f"{layer.name}.{op.key}" + "_" * max(i - 1, 0)
            node = self.node(layer, op, inputs, name)
            inputs, outputs = node.outputs[:1], list(node.outputs)
        return outputs

    def _convolutions(self, layer: Layer) -> list[str]:
        """One set of kernels over several bottoms, each with a top of its own."""
        (op,) = CHAINS[layer.type](layer) or ()
        made = []
        for i, value in enumerate(layer.inputs):
            made.append(self.add(layer, op, (value,), layer.name + (f":{i}" if i else "")))
        for parameter in ("weight", "bias"):
            group = self.shared.setdefault(f"\0{layer.name}/{parameter}", [])
            group += [(value, parameter) for value in made]
        return made

    def _pyramid(self, layer: Layer, levels: Sequence[Op]) -> list[str]:
        """Poolings of one map, each flattened, side by side; a single one is left as it is."""
        if len(levels) == 1:
            return self._chain(layer, levels)
        parts = []
        for i, pool in enumerate(levels):
            name = f"{layer.name}.{2**i}"
            made = self.add(layer, pool, layer.inputs, name)
            parts.append(self.add(layer, Flatten(), (made,), f"{name}.flatten"))
        return [self.add(layer, Concat(1), tuple(parts), layer.name)]

    def _with_another(self, layer: Layer) -> list[str]:
        """A tensor times (or plus) another, whose axes meet it from a given axis on."""
        p = layer.param(layer.type.lower())
        axis, (one, other) = layer.axis(p), layer.shapes
        missing = len(one or ()) - axis - len(other or ())
        values = layer.inputs
        if other and missing > 0:
            ones = (1,) * missing
            new = (*other[1:], *ones) if axis == 0 else (*other, *ones)
            op = Reshape(new, keep_batch=axis == 0)
            values = (values[0], self.add(layer, op, values[1:], f"{layer.name}.reshape"))
        together: Op = Multiply() if layer.type == "Scale" else Add()
        return [self.add(layer, together, values, layer.name)]

    def add(self, layer: Layer, op: Op, inputs: tuple[str, ...], name: str) -> str:
        """Adds a node with one output. Returns its value."""
        return self.node(layer, op, inputs, name).outputs[0]

    def node(self, layer: Layer, op: Op, inputs: tuple[str, ...], name: str) -> Node:
        """Adds a node with an output for each top, as far as the operation makes them."""
        shapes = self._outputs(op, inputs)
        count = len(op.shapes) if isinstance(op, Opaque) else len(shapes) if shapes else 1
        count = max(1, min(count, len(layer.tops)))
        outputs = () if count == 1 else tuple(f"{name}:{i}" for i in range(count))
        node = Node(
            name,
            op,
            inputs,
            outputs,
            source=layer.source,
            trainable=not layer.frozen,
            untold=layer.untold,
        )
        self.nodes.append(node)
        for i, value in enumerate(node.outputs):
            self.shapes[value] = shapes[i] if shapes else None
        self._share(layer, node)
        return node

    def _outputs(self, op: Op, inputs: tuple[str, ...]) -> tuple[Shape, ...]:
        """The shapes that an operation makes; () if it does not fit, which `infer` then says."""
        shapes = [self.shapes[value] for value in inputs]
        known = tuple(shape for shape in shapes if shape is not None)
        least, most = op.arity
        if len(known) < len(shapes) or not least <= len(known) <= (most or len(known)):
            return ()
        try:
            op.check(*known)
            return op.outputs(*known)
        except NetledgerError:
            return ()

    def _share(self, layer: Layer, node: Node) -> None:
        """Remembers the parameters that the layer shares by name."""
        names = layer.shared_names()
        if not any(names):
            return
        known = tuple(shape for v in node.inputs if (shape := self.shapes[v]) is not None)
        if len(known) < len(node.inputs) or not self._outputs(node.op, node.inputs):
            return
        own = list(node.op.parameters(*known))
        if layer.type == "LSTM":  # Caffe: input weights, bias, recurrent weights
            own = [own[0], own[2], own[1]]
        for shared, parameter in zip(names, own, strict=False):
            if shared:
                self._tie(shared, node.name, parameter)

    def _tie(self, shared: str, node: str, parameter: Parameter) -> None:
        group = self.shared.setdefault(shared, [])
        first = self.shared_shapes.setdefault(shared, parameter.shape)
        if parameter.shape != first:
            raise GraphError(
                f"shares {shown(shared)} with {shown(group[0][0])}, where it is "
                f"{show_shape(first)}; here it is {show_shape(parameter.shape)}"
            )
        group.append((node, parameter.name))

    def _value(self, blob: str) -> str:
        if blob in self.values:
            return self.values[blob]
        raise GraphError(
            f"takes {shown(blob)}, which no layer before it makes",
            hint=did_you_mean(blob[:100], list(self.values)[-1000:]),
        )


def sequences(layers: Sequence[Layer]) -> set[str]:
    """The blobs that recurrent layers take, and those that become them number by number."""
    found: set[str] = set()
    for layer in reversed(layers):
        if layer.type in RECURRENT or (layer.type in ALIKE and not found.isdisjoint(layer.tops)):
            found.update(layer.bottoms[:2] if layer.type in RECURRENT else layer.bottoms)
    return found


def _included(layer: Message, state: Message) -> bool:
    """Caffe's rule: any include rule that is met, or no exclude rule that is met."""
    include, exclude = layer.messages("include"), layer.messages("exclude")
    if include and exclude:
        raise SpecError("a layer has both include and exclude rules")
    if include:
        return any(_met(rule, state) for rule in include)
    return not any(_met(rule, state) for rule in exclude)


def _met(rule: Message, state: Message) -> bool:
    phase, level = state.word("phase", "TEST"), state.integer("level", 0)
    stages = set(state.texts("stage"))
    return (
        rule.word("phase", phase) == phase
        and rule.integer("min_level", level) <= level <= rule.integer("max_level", level)
        and stages.issuperset(rule.texts("stage"))
        and stages.isdisjoint(rule.texts("not_stage"))
    )
