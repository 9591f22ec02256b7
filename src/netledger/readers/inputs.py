"""The shapes that a user gives for a network's inputs: ``3x224x224``, ``HxWx3``, a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from netledger.errors import UsageError
from netledger.formula import Dim, symbol
from netledger.graph import BATCH, Graph, Shape, TensorType, show_dim
from netledger.ops.fields import LARGEST

FEW = range(1, 5)
"""Numbers of channels that tell where the channels are."""

EXAMPLES = "write for instance 3x224x224, HxWx3, or int64[128]"


def parse_inputs(given: Any, graph: Graph) -> dict[str, TensorType]:
    """The types of a graph's inputs, from what the user gave.

    Args:
        given: A shape without the batch (text, or a sequence of ints), something with a ``shape``
            (a tensor or an array: with the batch), a sequence of these, or a mapping by name.
        graph: The network whose inputs they are.

    Raises:
        UsageError: If that is no shape, or does not match the network's inputs.
    """
    names = list(graph.inputs)
    if isinstance(given, Mapping):
        return {name: parse_type(shape, graph.inputs.get(name)) for name, shape in given.items()}
    many = isinstance(given, list | tuple) and not all(isinstance(d, int) for d in given)
    shapes = list(given) if many else [given]
    if len(shapes) != len(names):
        raise UsageError(
            f"{graph.name} has {len(names)} input{'s' if len(names) > 1 else ''} "
            f"({', '.join(names)}); {len(shapes)} given",
            hint="name them: NAME=SHAPE",
        )
    return {n: parse_type(s, graph.inputs[n]) for n, s in zip(names, shapes, strict=True)}


def parse_type(given: Any, declared: TensorType | None = None) -> TensorType:
    """A tensor type from text (``int64[1,128]``, ``3x224x224``), a shape, or an array."""
    dtype = declared.dtype if declared else "float32"
    if isinstance(given, TensorType):
        return given
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        return TensorType(tuple(map(int, given.shape)), str(given.dtype).rpartition(".")[2])
    if isinstance(given, str):
        bracketed = re.fullmatch(r"\s*(\w+)\[(.*)\]\s*", given)
        if bracketed:
            dtype, given = bracketed.groups()
        shape = parse_shape(given)
    else:
        shape = tuple(_dim(d, str(given)) for d in given)
    shape = (BATCH, *shape)
    if declared is not None and len(declared.shape) != len(shape):
        own = "x".join(map(show_dim, declared.shape[1:]))
        got = "x".join(map(show_dim, shape[1:]))
        raise UsageError(
            f"the input has {len(declared.shape) - 1} axes without the batch ({own}); got {got}",
            hint="leave the batch out; --batch sets it",
        )
    if declared is not None:
        _refuse_other_layout(declared.shape, shape)
    return TensorType(shape, dtype)


def _refuse_other_layout(own: Shape, given: Shape) -> None:
    """Refuses 3x224x224 for a network that takes 227x227x3, and the other way round."""
    if len(own) < 4 or not all(isinstance(d, int) for d in (*own[1:], *given[1:])):
        return
    first, *_, last = body = given[1:]
    if first == own[-1] in FEW and last not in FEW:
        right = (*body[1:], first)
    elif last == own[1] in FEW and first not in FEW:
        right = (last, *body[:-1])
    else:
        return
    written, wanted = ("x".join(map(str, shape)) for shape in (body, right))
    raise UsageError(
        f"{written} is not in the network's axis order ({'x'.join(map(str, own[1:]))})",
        hint=f"write {wanted}",
    )


def parse_shape(text: str) -> tuple[Dim, ...]:
    """A shape from text: ``227x227x3``, ``227×227×3``, ``227, 227, 3``, ``HxWx3``.

    >>> parse_shape("224x224x3")
    (224, 224, 3)
    """
    parts = re.split(r"[x×,]", text.strip()) if text.strip() else []
    return tuple(_dim(part.strip(), text) for part in parts)


def _dim(part: Any, whole: str) -> Dim:
    if isinstance(part, bool):
        raise UsageError(f"{whole!r} is not a shape: {part} is not a size", hint=EXAMPLES)
    if isinstance(part, str):
        if re.fullmatch(r"[A-Za-z_]\w{0,30}", part):
            if part == "N":
                raise UsageError(
                    f"{whole!r}: N is the batch, which is not part of the shape",
                    hint="use another letter, or leave it out",
                )
            return symbol(part)
        if not re.fullmatch(r"\d{1,19}", part):
            raise UsageError(f"{whole!r} is not a shape: {part!r} is no size", hint=EXAMPLES)
        part = int(part)
    if isinstance(part, int):
        if part < 1:
            raise UsageError(f"{whole!r}: a size must be at least 1; got {part}", hint=EXAMPLES)
        if part > LARGEST:
            raise UsageError(f"{whole!r}: a size must be at most {LARGEST:,}; got {part:,}")
        return part
    raise UsageError(f"{whole!r} is not a shape: {part!r} is no size", hint=EXAMPLES)
