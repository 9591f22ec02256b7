"""What an operation is: hyperparameters, and rules over plain numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from netledger.errors import FieldError, ShapeError, UnknownName, UsageError
from netledger.formula import prod
from netledger.graph import Parameter, Shape, show_dim
from netledger.ops.fields import (
    REQUIRED,
    Rule,
    choice,
    dims,
    flag,
    integer,
    integers,
    number,
    padding,
    per_axis,
    shapes,
    text,
)

T = TypeVar("T")

AxisNames = tuple[str, ...]
"""The symbol of each axis of a tensor in derivations; empty where an axis has none."""

ALL = "all"
"""The window of an operation whose every output sees the whole input."""


class Window(NamedTuple):
    """What one output sees along one axis: `span` inputs, moving `stride` at a time."""

    span: Any
    stride: Any | Fraction


@dataclass_transform(
    frozen_default=True,
    kw_only_default=False,
    field_specifiers=(
        choice,
        dims,
        flag,
        integer,
        integers,
        number,
        padding,
        per_axis,
        shapes,
        text,
    ),
)
def operation(op_class: type[T]) -> type[T]:
    """Makes a class of hyperparameters and rules an operation.

    A dataclass for its fields only: `Op` has the methods that a dataclass would generate. Fifty
    generated classes would take longer to import than all the rest of a command.
    """
    made = dataclass(init=False, repr=False, eq=False, match_args=False)(op_class)
    own = sorted(dataclasses.fields(made), key=lambda f: bool(f.kw_only))  # type: ignore[arg-type]
    made.rules = {f.name: f.metadata["rule"] for f in own}  # type: ignore[attr-defined]
    made.positional = tuple(f.name for f in own if not f.kw_only)  # type: ignore[attr-defined]
    return made


@operation
class Op:
    """An operation. A subclass is a frozen dataclass of hyperparameters with rules.

    Rules are plain arithmetic on what is passed in: ints give numbers, `Formula`s derivations,
    arrays a million variants. They contain no branch on a number; what may go wrong is said by
    `check`, which runs first, on ints.

    Shapes include the batch, on the first axis unless an operation says otherwise.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """How many inputs it takes, at least and at most (None: any number)."""
    folds: ClassVar[bool] = False
    """True if the layer view folds it into the row before: a parameterless pointwise operation."""
    silent: ClassVar[bool] = False
    """True if it makes no value: a list of tensors without a graph."""
    meanings: ClassVar[Mapping[str, str]] = {}
    """What symbols of its `axes` stand for, where they are its own; ``Cᵢ`` serves C₁, C₂ …"""
    rules: ClassVar[Mapping[str, Rule]]
    """What each hyperparameter may be, by name, in order."""
    positional: ClassVar[tuple[str, ...]]
    """The hyperparameters that may be given by position."""
    key: ClassVar[str] = ""
    """Its name in specs and on the command line; by default the class's, in snake case."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "key" not in cls.__dict__:
            cls.key = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, *args: Any, **values: Any) -> None:
        known = self.rules
        if len(args) > len(self.positional):
            raise UsageError(f"{self.key} takes no more than {len(self.positional)} values")
        given = dict(zip(self.positional, args, strict=False), **values)
        for name in given:
            if name not in known:
                hint = f"{self.key} has {', '.join(known) or 'no hyperparameters'}"
                raise UnknownName(f"key of {self.key}", name, known, hint=hint)
        stored = self.__dict__
        for name, rule in known.items():
            if name in given:
                stored[name] = rule.accept(name, given[name])
            elif rule.default is REQUIRED:
                raise FieldError(f"{self.key} needs {name}: {rule.describe()} ({rule.help})")
            else:
                stored[name] = rule.default

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self.kind} is immutable; dataclasses.replace makes a changed copy")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.given().items())})"

    def with_field(self, name: str, value: Any) -> Self:
        """As `dataclasses.replace` with one field, but faster: a search makes very many of them."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__[name] = self.rules[name].accept(name, value)
        return made

    def given(self) -> dict[str, Any]:
        """The hyperparameters that differ from their defaults, in order."""
        return {k: v for k, v in self.__dict__.items() if not _same(v, self.rules[k].default)}

    @property
    def kind(self) -> str:
        """What it is called in ledgers: ``Conv``, ``ReLU``, and so on."""
        return type(self).__name__

    def check(self, *inputs: Shape) -> None:
        """Says what does not fit, before any rule runs.

        Raises:
            ShapeError: With the local fact and a hint; the place is added by the caller.
        """

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of each output. By default one, like the first input."""
        return (inputs[0],)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        """Every stored tensor. By default none."""
        return ()

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        """Multiply-accumulates for inputs and outputs of these shapes, biases not counted."""
        return 0

    def dtype(self, *inputs: str) -> str:
        """The dtype of the outputs. By default that of the first input."""
        return inputs[0]

    def window(self, *inputs: Shape) -> tuple[Window, ...] | str | None:
        """What one output sees of the input's spatial axes.

        A `Window` per spatial axis; () if it sees just its own position; ``"all"`` for all of the
        input; None if positions have no meaning after it.
        """
        return ()

    def axes(self, *inputs: Shape) -> tuple[tuple[AxisNames, ...], tuple[AxisNames, ...]]:
        """The symbols of the axes of inputs and outputs in derivations. By default none."""
        return (), ()

    def unknown(self) -> Mapping[str, str]:
        """Which counts (``params``, ``macs``, ``activations``) no rule gives, and why."""
        return {}

    def describe(self, *inputs: Shape) -> str:
        """One line for people: ``96 kernels of 11×11×3, stride 4, padding 0``."""
        return ", ".join(self.said())

    def said(self) -> list[str]:
        """The hyperparameters given, but for the silent ones, in words."""
        given = {k: v for k, v in self.given().items() if not self.rules[k].silent}
        return [f"{k.replace('_', ' ')} {show_value(v)}" for k, v in given.items()]


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(a == b))


@operation
class Spatial(Op):
    """An operation on maps: batch, channels and one to three spatial axes."""

    channels_last: bool = flag(
        "channels on the last axis, not the second", default=True, kw_only=True, silent=True
    )

    def split(self, x: Shape) -> tuple[Any, Any, Shape]:
        """Batch, channels and the spatial dimensions of `x`."""
        if self.channels_last:
            return x[0], x[-1], x[1:-1]
        return x[0], x[1], x[2:]

    def join(self, batch: Any, channels: Any, spatial: Any) -> Shape:
        """The shape of a map."""
        if self.channels_last:
            return (batch, *spatial, channels)
        return (batch, channels, *spatial)

    def axis_names(self, x: Shape, channels: str, spatial: str) -> AxisNames:
        """The symbols of a map's axes; the batch has none, for counts are per sample."""
        return self.join("", channels, (spatial,) * (len(x) - 2))  # type: ignore[return-value]

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 3, 5, "a batch, channels and 1 to 3 spatial axes")


def need_rank(x: Shape, least: int, most: int | None, meaning: str) -> None:
    """Refuses a tensor with too few or too many axes."""
    if len(x) < least or (most is not None and len(x) > most):
        wanted = str(least) if least == most else f"{least} to {most}" if most else f"{least}+"
        raise ShapeError(
            f"needs a tensor of {wanted} axes ({meaning}); got {show_shape(x)}",
            hint="the batch counts as an axis: an input of 227x227x3 has four",
        )


def axis(number: int, rank: int) -> int:
    """An axis counted from the front, whichever way it was given.

    Raises:
        ShapeError: If there is no such axis.
    """
    if not -rank <= number < rank:
        raise ShapeError(
            f"axis {number} does not exist in a tensor of {rank} axes",
            hint=f"axes run from {-rank} to {rank - 1}",
        )
    return number % rank


def distinct_axes(numbers: Any, rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in order.

    Raises:
        ShapeError: If there is no such axis, or one is named twice.
    """
    found = tuple(sorted(axis(number, rank) for number in each_axis(numbers, 1)))
    if len(set(found)) < len(found):
        raise ShapeError(f"({', '.join(map(str, numbers))}) names an axis twice")
    return found


def each_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """A value per axis: a single one serves for all."""
    return value if isinstance(value, tuple) else (value,) * rank


def check_axes(name: str, value: Any, rank: int) -> None:
    """Refuses a list whose length is not the number of spatial axes."""
    if isinstance(value, tuple) and len(value) != rank:
        axes = "axis" if rank == 1 else "axes"
        raise ShapeError(
            f"{name} has {len(value)} values for an input with {rank} spatial {axes}",
            hint="give one number for all axes, or one for each",
        )


def size(parameter: Parameter) -> Any:
    """How many numbers a parameter has; the innermost axis first, as formulas are written."""
    return prod(reversed(parameter.shape))


def subscript(number: int) -> str:
    """A number as an index: ``₁₂``."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def show_shape(shape: Shape) -> str:
    """A shape as people write it: ``[N, 55, 55, 96]``."""
    return f"[{', '.join(map(show_dim, shape))}]"


def show_value(value: Any) -> str:
    """A hyperparameter as people write it: ``3×3``, ``same``."""
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return ", ".join(f"({', '.join(map(show_value, pair))})" for pair in value)
        return "×".join(map(show_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
