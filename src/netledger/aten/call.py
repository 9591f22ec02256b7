"""A call of an ATen operator, and what it becomes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from netledger.errors import ShapeError
from netledger.formula import Formula
from netledger.graph import Shape, TensorType
from netledger.ops import Op


class Value(NamedTuple):
    """A tensor in the arguments of a call.

    Attributes:
        name: What it is called in the graph.
        type: Its shape and dtype.
        stored: The parameter or buffer that it is; empty if it is computed.
        flipped: True for a stored matrix that is used transposed.
    """

    name: str
    type: TensorType
    stored: str = ""
    flipped: bool = False

    @property
    def shape(self) -> Shape:
        """Its dimensions."""
        return self.type.shape


class Arguments(dict[str, Any]):
    """The arguments of a call by name; it remembers which of them were looked at."""

    __slots__ = ("seen",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        dict.__init__(self, given)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return dict.__getitem__(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """The argument of that name."""
        self.seen.add(name)
        return _get(self, name, default)


_get = dict[str, Any].get


_WHOLE = (int, Formula)
"""What a whole number is, or a size with a symbol."""
NEUTRAL = {
    **dict.fromkeys(("alpha", "beta", "scale", "input_scale"), 1),
    **dict.fromkeys(("p", "ord"), 2),
    "threshold": 20,
    "approximate": "none",
}
"""Values of arguments that change nothing, where they are not the false, the zero, the empty."""
ELSEWHERE = (
    *("training", "train", "momentum", "cudnn_enabled", "cudnn_enable", "padding_idx", "sparse"),
    *(
        "scale_grad_by_freq",
        "implicit",
        "copy",
        "non_blocking",
        "inplace",
        "dtype",
        "half_to_float",
    ),
    *("benchmark", "deterministic", "allow_tf32", "use_input_stats", "dropout"),
)
"""Arguments that do not change the function while nothing is learned, or that the dtype says."""


class Call(NamedTuple):
    """A call of an operator.

    Attributes:
        target: The operator without its overload: ``conv2d``.
        args: Its arguments by the names of the operator's schema; those with the schema's default
            may be missing. Tensors are `Value`s.
        results: What the source says of each output, None where it says nothing.
    """

    target: str
    args: Mapping[str, Any]
    results: tuple[TensorType | None, ...]

    def untold(self, layer: Layer) -> str:
        """What the arguments say that the rule did not look at: ``is_causal=True``."""
        if layer.untold or not isinstance(self.args, Arguments):
            return layer.untold
        taken = {v.name for v in sum(layer.more, layer.inputs + layer.weights)}
        found = []
        for name, value in self.args.items():
            if isinstance(value, Value):
                if value.name not in taken:
                    found.append(f"{name}={value.name}")
            elif self._matters(name, value):
                found.append(f"{name}={value}")
        return ", ".join(found)

    def _matters(self, name: str, value: Any) -> bool:
        if name in self.args.seen or name in ELSEWHERE:  # type: ignore[attr-defined]
            return False
        if isinstance(value, list) and any(isinstance(v, Value) for v in value):
            return False
        return bool(value) and value != NEUTRAL.get(name)

    def settle(self, *names: str) -> None:
        """Says of arguments that what the source records of the results tells them too."""
        for name in names:
            self.args.get(name)

    def value(self, *names: str) -> Value:
        """The tensor of that name; the first that there is.

        Raises:
            ShapeError: If there is none.
        """
        for name in names:
            found = self.args.get(name)
            if isinstance(found, Value):
                return found
        raise ShapeError(f"{self.target} has no tensor {names[0]!r}")

    def optional(self, name: str) -> Value | None:
        """The tensor of that name, or None."""
        found = self.args.get(name)
        return found if isinstance(found, Value) else None

    def values(self) -> list[Value]:
        """All tensors, those in lists too."""
        found: list[Value] = []
        for arg in self.args.values():
            if isinstance(arg, Value):
                found.append(arg)
            elif isinstance(arg, list):
                found += [v for v in arg if isinstance(v, Value)]
        return found

    def integer(self, name: str, default: Any = None) -> Any:
        """A whole number (or a size with a symbol).

        Raises:
            ShapeError: If it is missing, or anything else.
        """
        found = self.args.get(name)
        found = default if found is None else found
        if not _whole(found):
            raise ShapeError(f"{self.target} has no whole number {name!r}")
        return found

    def integers(self, name: str, default: Any = None) -> tuple[Any, ...]:
        """Whole numbers; a single one counts as a list of it.

        Raises:
            ShapeError: If they are missing, or anything else.
        """
        found = self.args.get(name)
        found = default if found is None or found == [] else found
        found = (found,) if isinstance(found, _WHOLE) else found
        if not isinstance(found, (list, tuple)) or not all([_whole(v) for v in found]):
            raise ShapeError(f"{self.target} has no whole numbers {name!r}")
        return tuple(found)

    def per_axis(self, name: str, default: Any = None) -> Any:
        """Whole numbers; one for all axes where they are equal."""
        if type(default) is int and self.args.get(name) is None:
            return default
        return alike(self.integers(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        found = self.args.get(name, default)
        return found if isinstance(found, bool) else default

    def number(self, name: str, default: float) -> float:
        """A number."""
        found = self.args.get(name, default)
        plain = isinstance(found, (int, float)) and not isinstance(found, bool)
        return found if plain else default


def _whole(value: Any) -> bool:
    return type(value) is int or (isinstance(value, _WHOLE) and not isinstance(value, bool))


def alike(values: tuple[Any, ...]) -> Any:
    """One value where all are equal."""
    return values[0] if len(values) == 1 or len(set(values)) == 1 else values


class Layer(NamedTuple):
    """What a call becomes.

    Attributes:
        ops: Operations; each takes what the one before made, the first takes the inputs.
        inputs: Computed tensors.
        weights: The stored tensors that the last operation's own parameters are, in its order.
        each: True if every output is made by an operation of its own, all from the inputs.
        known: True if an operation without rules surely stores and accumulates nothing.
        more: For each operation but the first, the tensors that it takes besides.
        untold: What the operations do not say of the function, if that is known to be something.
    """

    ops: tuple[Op, ...]
    inputs: tuple[Value, ...]
    weights: tuple[Value, ...] = ()
    each: bool = False
    known: bool = False
    more: tuple[tuple[Value, ...], ...] = ()
    untold: str = ""


def layer(op: Op, *inputs: Value) -> Layer:
    """One operation on computed tensors."""
    return Layer((op,), inputs)
