"""Operations that move numbers and compute none: reshape, join, cut, pad, resize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.formula import Formula, maximum, minimum, prod
from netledger.graph import Shape, show_dim
from netledger.ops.base import (
    ALL,
    AxisNames,
    Op,
    axis,
    distinct_axes,
    each_axis,
    need_rank,
    operation,
    show_shape,
    show_value,
    subscript,
)
from netledger.ops.fields import (
    choice,
    dims,
    flag,
    integer,
    integers,
)


@operation
class Flatten(Op):
    """Joins neighbouring axes into one; by default all but the batch."""

    folds = True
    meanings: ClassVar[Mapping[str, str]] = {"F": "numbers in a row"}
    start_dim: int = integer("first axis to join", default=1, minimum=None)
    end_dim: int = integer("last axis to join", default=-1, minimum=None)

    def check(self, *inputs: Shape) -> None:
        rank = len(inputs[0])
        if axis(self.start_dim, rank) > axis(self.end_dim, rank):
            raise ShapeError(f"start_dim {self.start_dim} comes after end_dim {self.end_dim}")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        first, last = axis(self.start_dim, len(x)), axis(self.end_dim, len(x))
        return ((*x[:first], prod(x[first : last + 1]), *x[last + 1 :]),)

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        x = inputs[0]
        first, last = axis(self.start_dim, len(x)), axis(self.end_dim, len(x))
        names = ["" if i == 0 else f"D{subscript(i)}" for i in range(len(x))]
        return (tuple(names),), ((*names[:first], "F", *names[last + 1 :]),)

    def describe(self, *inputs: Shape) -> str:
        return f"{'×'.join(map(show_dim, inputs[0][1:]))} numbers in a row"


@operation
class Reshape(Op):
    """The same numbers in another shape."""

    folds = True
    shape: Any = dims("the new shape, without the batch; -1 for what is left")
    keep_batch: bool = flag("the batch stays as it is and is not part of shape", default=True)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], int(self.keep_batch), None, "a batch")
        body = inputs[0][1:] if self.keep_batch else inputs[0]
        holes = sum(type(d) is int and d == -1 for d in self.shape)
        total = prod(body)
        given = prod(d for d in self.shape if type(d) is not int or d != -1)
        if holes > 1:
            raise ShapeError("shape has more than one -1", hint="only one size can be left open")
        if any(type(d) is int and d == 0 for d in self.shape):
            raise ShapeError("shape has a 0", hint="write the size itself, or -1 for what is left")
        if total % given if holes else total != given:
            raise ShapeError(
                f"cannot reshape {show_shape(body)} ({show_dim(total)} numbers) "
                f"to {show_shape(self.shape)}",
                hint="the number of numbers must stay the same",
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        body = x[1:] if self.keep_batch else x
        given = prod(d for d in self.shape if type(d) is not int or d != -1)
        new = tuple(prod(body) // given if type(d) is int and d == -1 else d for d in self.shape)
        return ((x[0], *new) if self.keep_batch else new,)

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        return f"to {show_value(self.shape)}"


@operation
class Permute(Op):
    """The axes in another order, the batch included."""

    folds = True
    order: Any = integers("for each axis of the result, the axis that it was", minimum=0)

    def check(self, *inputs: Shape) -> None:
        order = each_axis(self.order, 1)
        if sorted(order) != list(range(len(inputs[0]))):
            raise ShapeError(
                f"order {show_value(order)} does not name each axis of "
                f"{show_shape(inputs[0])} once",
                hint=f"it must be a permutation of 0 … {len(inputs[0]) - 1}",
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (tuple(inputs[0][i] for i in each_axis(self.order, 1)),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class Expand(Op):
    """Repeats axes of size 1 (or new leading axes) up to a shape; -1 keeps a size."""

    folds = True
    shape: Any = dims("the new shape, batch included; -1 keeps a size")

    def check(self, *inputs: Shape) -> None:
        x, extra = inputs[0], len(self.shape) - len(inputs[0])
        fits = extra >= 0 and all(
            d in (1, new) or new == -1 for d, new in zip(x, self.shape[extra:], strict=True)
        )
        if not fits:
            raise ShapeError(f"cannot expand {show_shape(x)} to {show_shape(self.shape)}")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        extra = len(self.shape) - len(x)
        kept = (d if new == -1 else new for d, new in zip(x, self.shape[extra:], strict=True))
        return ((*self.shape[:extra], *kept),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class Concat(Op):
    """Tensors one behind the other along an axis."""

    arity = (1, None)
    meanings: ClassVar[Mapping[str, str]] = {
        "C": "size of the joined axis in the output",
        "Cᵢ": "its size in input {}",
    }
    axis: int = integer("along which axis", default=-1, minimum=None)

    def check(self, *inputs: Shape) -> None:
        rank = len(inputs[0])
        at = axis(self.axis, rank)
        for x in inputs[1:]:
            if len(x) != rank or any(
                a != b for i, (a, b) in enumerate(zip(x, inputs[0], strict=True)) if i != at
            ):
                raise ShapeError(
                    f"{' and '.join(map(show_shape, inputs))} differ outside axis {self.axis}",
                    hint="only the joined axis may differ",
                )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        first = inputs[0]
        at = axis(self.axis, len(first))
        total = first[at]
        for x in inputs[1:]:
            total = total + x[at]
        return ((*first[:at], total, *first[at + 1 :]),)

    def axes(self, *inputs: Shape) -> Any:
        at = axis(self.axis, len(inputs[0]))
        rest = ["" if i in (0, at) else f"D{subscript(i)}" for i in range(len(inputs[0]))]

        def names(joined: str) -> AxisNames:
            return (*rest[:at], joined, *rest[at + 1 :])

        parts = [names(f"C{subscript(i)}") for i in range(1, len(inputs) + 1)]
        return tuple(parts), (names("C"),)

    def describe(self, *inputs: Shape) -> str:
        at = axis(self.axis, len(inputs[0]))
        return " + ".join(show_dim(x[at]) for x in inputs) + f" along axis {self.axis}"


@operation
class Stack(Op):
    """Tensors of one shape, side by side along a new axis."""

    arity = (1, None)
    axis: int = integer("where the new axis goes", default=1, minimum=None)

    def check(self, *inputs: Shape) -> None:
        axis(self.axis, len(inputs[0]) + 1)
        if any(x != inputs[0] for x in inputs):
            raise ShapeError(f"shapes {' and '.join(map(show_shape, inputs))} differ")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        at = axis(self.axis, len(inputs[0]) + 1)
        return ((*inputs[0][:at], len(inputs), *inputs[0][at:]),)

    def window(self, *inputs: Shape) -> None:
        return None


@operation
class Slice(Op):
    """A part of an axis, as Python's ``x[start:stop:step]``."""

    folds = True
    axis: int = integer("along which axis", default=1, minimum=None)
    start: int = integer("first position", default=0, minimum=None)
    stop: int | None = integer(
        "position after the last; by default the end", default=None, minimum=None
    )
    step: int = integer("distance between positions", default=1)

    def check(self, *inputs: Shape) -> None:
        size = inputs[0][axis(self.axis, len(inputs[0]))]
        if isinstance(size, int) and not range(
            *slice(self.start, self.stop, self.step).indices(size)
        ):
            raise ShapeError(
                f"nothing of an axis of {size} is left between {self.start} and {self.stop}"
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        at = axis(self.axis, len(x))
        return ((*x[:at], self.length(x[at]), *x[at + 1 :]),)

    def length(self, size: Any) -> Any:
        """How many positions are taken; a symbolic size is large enough that some are."""
        if isinstance(size, int):
            return len(range(*slice(self.start, self.stop, self.step).indices(size)))
        stop = size if self.stop is None else self.stop + (size if self.stop < 0 else 0)
        start = self.start + (size if self.start < 0 else 0)
        if self.stop is not None and self.stop > 1:
            stop = minimum(stop, size)
        if self.start < -1:
            start = maximum(start, 0)
        return (stop - start + self.step - 1) // self.step


@operation
class Gather(Op):
    """Entries of an axis, chosen by index: by those of a second input, or by given ones."""

    arity = (1, 2)
    axis: int = integer("along which axis", default=0, minimum=None)
    shape: Any = dims("the shape of given indices; empty: a single one", default=())
    index: Any = integers("the given indices, in a row", default=None, silent=True)

    def check(self, *inputs: Shape) -> None:
        axis(self.axis, len(inputs[0]))

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        at = axis(self.axis, len(x))
        chosen = inputs[1] if len(inputs) > 1 else self.shape
        return ((*x[:at], *chosen, *x[at + 1 :]),)

    def window(self, *inputs: Shape) -> None:
        return None


MOST_PARTS = 100_000
"""Every part is a value by itself, so there is a limit."""


@operation
class Split(Op):
    """An axis cut into parts, each an output of its own."""

    sizes: Any = integers("sizes of the parts; a single number: size of each part", minimum=0)
    axis: int = integer("along which axis", default=-1, minimum=None)

    def parts(self, size: Any) -> tuple[Any, ...]:
        """The size of each part."""
        if isinstance(self.sizes, tuple):
            return self.sizes
        whole, rest = divmod(size.value if isinstance(size, Formula) else size, self.sizes)
        return (*(self.sizes,) * whole, *((rest,) if rest else ()))

    def check(self, *inputs: Shape) -> None:
        size = inputs[0][axis(self.axis, len(inputs[0]))]
        if self.sizes == 0:
            raise ShapeError("an axis has no parts of 0", hint="only a list of sizes may hold 0")
        if not isinstance(size, int) and not isinstance(self.sizes, tuple):
            raise ShapeError(
                f"cannot say how many parts of {self.sizes} an axis of {show_dim(size)} has",
                hint="list the sizes",
            )
        if isinstance(size, int) and type(self.sizes) is int and size // self.sizes > MOST_PARTS:
            raise ShapeError(f"an axis of {size:,} has too many parts of {self.sizes}")
        if isinstance(self.sizes, tuple) and sum(self.sizes) != size:
            raise ShapeError(
                f"parts of {' + '.join(map(str, self.sizes))} do not add up to {show_dim(size)}"
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        at = axis(self.axis, len(x))
        return tuple((*x[:at], part, *x[at + 1 :]) for part in self.parts(x[at]))


REDUCTIONS = (
    *("mean", "sum", "max", "min", "prod", "norm", "var", "std", "logsumexp"),
    *("argmax", "argmin", "any", "all"),
)


@operation
class Reduce(Op):
    """One number (mean, sum …) over some axes."""

    over: Any = integers("the axes", default=-1)
    keepdims: bool = flag("keep the axes, with size 1", default=False)
    function: str = choice("which number", REDUCTIONS, default="mean")

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 1, None, "axes to reduce")
        distinct_axes(self.over, len(inputs[0]))

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        x = inputs[0]
        gone = distinct_axes(self.over, len(x))
        if self.keepdims:
            return (tuple(1 if i in gone else d for i, d in enumerate(x)),)
        return (tuple(d for i, d in enumerate(x) if i not in gone),)

    def dtype(self, *inputs: str) -> str:
        if self.function in ("argmax", "argmin"):
            return "int64"
        return "bool" if self.function in ("any", "all") else inputs[0]

    def window(self, *inputs: Shape) -> str | None:
        rank = len(inputs[0])
        return ALL if len(each_axis(self.over, 1)) >= rank - 2 > 0 else None

    def describe(self, *inputs: Shape) -> str:
        return f"{self.function} over axis {show_value(self.over)}"
