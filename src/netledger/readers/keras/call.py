"""One call of one layer: its configuration, its inputs, and the nodes that it becomes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from netledger.errors import FieldError
from netledger.graph import BIAS, BUFFER, WEIGHT, Node, Parameter, Recorded, Shape
from netledger.ops import Cast, Op, Opaque
from netledger.readers.common import unknown_shape
from netledger.readers.keras.config import dtypes_of, input_shape, layer_config, text
from netledger.readers.keras.inbound import Inbound, Value
from netledger.readers.keras.weights import Stored

if TYPE_CHECKING:
    from netledger.readers.keras.reading import Reading

Sizes = tuple[int, ...]


class Slot(NamedTuple):
    """A tensor that a layer stores: its role, and its shape in our axis order."""

    role: str
    shapes: Callable[[Sizes], tuple[Sizes, ...]] = lambda s: (s,)


Slots = tuple[Slot, ...]


def _swapped(s: Sizes) -> tuple[Sizes, ...]:
    return ((s[-1], s[-2], *s[:-2]),) if len(s) > 1 else (s,)


def _depthwise(s: Sizes) -> tuple[Sizes, ...]:
    return ((s[-2] * s[-1], 1, *s[:-2]),) if len(s) > 2 else (s,)


def _halves(s: Sizes) -> tuple[Sizes, ...]:
    return (((s[-1],),) * 2 if s[0] == 2 else (s,)) if len(s) == 2 else ((s[0] // 2,),) * 2


VECTOR = Slot(BIAS)
SCALE = Slot(WEIGHT)
STATISTIC = Slot(BUFFER)
KERNEL = Slot(WEIGHT, _swapped)
"""``(*window, in, out)`` → ``(out, in, *window)``, and ``(in, out)`` → ``(out, in)``."""
DEPTHWISE = Slot(WEIGHT, _depthwise)
"""``(*window, channels, multiplier)`` → ``(channels × multiplier, 1, *window)``."""
TWO_VECTORS = Slot(BIAS, lambda s: _halves(s) if s else (s,))
"""Two bias vectors, one above or behind the other."""
HEADS_IN = Slot(WEIGHT, lambda s: ((prod(s[1:]), s[0]),) if s else (s,))
"""``(features, heads, size)`` → ``(heads × size, features)``."""
HEADS_OUT = Slot(WEIGHT, lambda s: ((s[-1], prod(s[:-1])),) if s else (s,))
"""``(heads, size, features)`` → ``(features, heads × size)``."""
FLAT = Slot(BIAS, lambda s: ((prod(s),),))


class Config:
    """What a layer says about itself, read with suspicion."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def get(self, key: str, default: Any = None) -> Any:
        """A value as it stands there; null counts as missing."""
        value = self.values.get(key)
        return default if value is None else value

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise FieldError(f"{key} must be true or false; got {str(value)[:80]!r}")
        return value

    def number(self, key: str, default: float) -> float:
        """A number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FieldError(f"{key} must be a number; got {str(value)[:80]!r}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise FieldError(f"{key} must be text; got {str(value)[:80]!r}")
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer."""
        value = self.get(key, default)
        if type(value) is not int:
            raise FieldError(f"{key} must be an integer; got {str(value)[:80]!r}")
        return value

    def integers(self, key: str, default: Any = ()) -> tuple[int, ...]:
        """An integer or a list of at most 16, as a tuple."""
        value = self.get(key, default)
        several = value if isinstance(value, list | tuple) else (value,)
        if len(several) > 16 or any(type(v) is not int for v in several):
            raise FieldError(f"{key} must be integers; got {str(value)[:80]!r}")
        return tuple(several)


class Call:
    """A layer that is called on some values.

    Attributes:
        reading: The whole that is being read.
        kind: The layer's class.
        config: Its configuration.
        inbound: What it is called with.
        inputs: The values among that.
        name: The name of the node that it becomes; further nodes are called ``name.part``.
        path: What identifies the layer, however often it is called.
        scope: The module path of its nodes.
        source: Where it stands in the file.
        trainable: False if its parameters are frozen.
        stored: What the file stores of it that no node has taken yet; None if that is not known.
        stated: The shapes of its outputs that the file states, None for those that it does not.
    """

    def __init__(
        self,
        reading: Reading,
        kind: str,
        config: Config,
        inbound: Inbound,
        *,
        name: str,
        path: str,
        scope: str,
        source: str,
        trainable: bool,
        stored: tuple[Stored, ...] | None,
        stated: tuple[Any, ...],
    ) -> None:
        self.reading, self.kind, self.config = reading, kind, config
        self.inbound, self.inputs = inbound, inbound.inputs
        self.name, self.path, self.scope, self.source = name, path, scope, source
        self.trainable, self.stated = trainable, stated
        self.stored = None if stored is None else list(stored)
        self.dtypes = dtypes_of(config.values)

    def run(self, rule: LayerRule) -> list[str]:
        """Adds the layer's nodes; returns the values that they make."""
        before = len(self.reading.nodes)
        self._cast()
        made = rule(self)
        if self.stored is not None:
            self.reading.keep(before, tuple(self.stored), self.path)
        return [made] if isinstance(made, str) else list(made)

    def _cast(self) -> None:
        """Brings inputs to the dtype in which the layer computes, as Keras does with floats."""
        to, known = self.dtypes.computes, self.reading.dtypes
        wrong = [v for v in dict.fromkeys(self.inputs) if known[v] != to and "float" in known[v]]
        if not wrong or "float" not in to:
            return
        names = {v: self.add(Cast(to), v, part="cast") for v in wrong}
        self.inputs = tuple(names.get(v, v) for v in self.inputs)
        self.inbound = self.inbound.renamed(names)

    def wrapped(self, key: str) -> tuple[Call, Mapping[str, Any]]:
        """The layer that this one wraps, called in its place; and that layer's entry."""
        entry = self.config.get(key)
        if not isinstance(entry, dict):
            raise FieldError(f"{key} must be a layer; got {str(entry)[:80]!r}")
        inner = copy.copy(self)
        inner.kind, inner.config = text(entry, "class_name"), Config(layer_config(entry))
        inner.trainable = self.trainable and inner.config.get("trainable") is not False
        return inner, entry

    def on(self, *inputs: str, part: str = "") -> Call:
        """The same layer, called on other values, perhaps as a part of itself."""
        other = copy.copy(self)
        other.inputs = inputs
        other.inbound = Inbound(inputs, tuple(map(Value, inputs)))
        if part:
            other.name, other.path = f"{self.name}.{part}", f"{self.path}/{part}"
            other.scope = self.name
        return other

    def argument(self, *names: str, at: int | None = None, default: Any = None) -> Any:
        """An argument of an operation: from its configuration, by keyword, or by position."""
        for name in names:
            for where in (self.config.values, self.inbound.options):
                if where.get(name) is not None:
                    return where[name]
        args = self.inbound.args
        if at is not None and at < len(args) and args[at] is not None:
            return args[at]
        return default

    @property
    def first(self) -> str:
        """The first input."""
        if not self.inputs:
            raise FieldError("the layer is called on nothing")
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the first input."""
        return self.reading.shapes[self.first]

    @property
    def last(self) -> bool:
        """True if channels are on the last axis."""
        return self.config.text("data_format", "channels_last") != "channels_first"

    def sort(self, *words: str) -> None:
        """Puts the stored tensors into the order of the words with which their groups begin."""
        if self.stored is not None:
            order = (*words, "")
            self.stored.sort(key=lambda one: order.index(group_of(one.path, words)))

    def add(
        self,
        op: Op,
        *inputs: str,
        part: str = "",
        slots: Slots = (),
        outputs: int = 1,
        untold: str = "",
    ) -> str:
        """Adds a node; returns its (first) value.

        Args:
            op: What it does.
            inputs: The values that feed it; by default the layer's own.
            part: What it is within the layer; empty for the layer as such.
            slots: What the file is expected to store for it, in order.
            outputs: How many values it makes.
            untold: What the layer says of its function that `op` does not.
        """
        recorded = None
        if self.stored is not None and slots:
            taken = self.stored[: len(slots)]
            del self.stored[: len(slots)]
            recorded = tuple(
                Parameter(one.path, slot.role, shape, one.dtype, one.trainable)
                for slot, one in zip(slots, taken, strict=False)
                for shape in slot.shapes(one.shape)
            )
        name = self.reading.unique(f"{self.name}.{part}" if part else self.name)
        node = Node(
            name,
            op,
            () if op.arity == (0, 0) else inputs or self.inputs,
            outputs=(name, *(f"{name}:{i}" for i in range(1, outputs))),
            scope=self.name if part and slots else self.scope,
            source=self.source,
            trainable=self.trainable,
            recorded=None if recorded is None else Recorded((), recorded),
            dtype=self.dtypes.stores if self.dtypes.stores != self.dtypes.computes else "",
            untold=untold,
        )
        return self.reading.add(node, f"{self.path}|{part}")

    def opaque(
        self,
        reason: str,
        *,
        part: str = "",
        made: Shape | None = None,
        bare: bool = False,
        macs: int | None = None,
    ) -> list[str]:
        """Adds something that no rule describes; returns its values.

        Args:
            reason: Why nothing more is known.
            part: What it is within the layer.
            made: The shape of its output, where that is known without the file.
            bare: True if it certainly stores nothing.
            macs: Its multiply-accumulates, if they are known all the same.
        """
        said = [input_shape(s) for s in self.stated if isinstance(s, list)]
        if made is not None:
            said = [made]
        elif not said:
            said = [unknown_shape(f"unknown {self.name}", len(self.shape) if self.inputs else 1)]
            reason += "; the file does not say the shape of its output"
        value = self.add(Opaque(self.kind, said, reason), part=part, outputs=len(said))
        if bare:
            self.reading.keep(len(self.reading.nodes) - 1, (), self.path, macs)
        return [value, *(f"{value}:{i}" for i in range(1, len(said)))]


def group_of(path: str, words: Sequence[str]) -> str:
    """The word with which a group of stored tensors begins; empty if it is none of them."""
    for step in reversed(path.split("/")):
        fits = [word for word in words if step.lstrip("_").startswith(word)]
        if fits:
            return max(fits, key=len)
    return ""


LayerRule = Callable[[Call], str | Sequence[str]]
"""What a kind of layer does: it adds its nodes to the call, and returns the values they make."""
