"""The shapes that a user gives for a network's inputs: ``3x224x224``, ``HxWx3``, a mapping."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from netledger.errors import FieldError, UsageError
from netledger.formula import Dim, Formula, symbols
from netledger.formula.parsing import parse_dim
from netledger.graph import BATCH, Graph, Shape, TensorType, show_dim
from netledger.ops.fields import LARGEST

FEW = range(1, 5)
"""Numbers of channels that tell where the channels are."""

EXAMPLES = "write for instance 3x224x224, HxWx3, 4hx4wx3, or int64[128]"


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
    if isinstance(given, Whole):
        whole = given.given
        named = isinstance(whole, Mapping)
        given = (
            {name: _without_batch(shape) for name, shape in whole.items()}
            if named
            else [_without_batch(shape) for shape in ([whole] if _is_shape(whole) else whole)]
        )
    if isinstance(given, Mapping):
        return {name: parse_type(shape, graph.inputs.get(name)) for name, shape in given.items()}
    sizes = int | float | Formula
    many = type(given) in (list, tuple) and not all(isinstance(d, sizes) for d in given)
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
    elif isinstance(given, Iterable):
        shape = tuple(_dim(d, str(given)) for d in given)
    else:
        raise UsageError(f"{given!r} is not a shape", hint="write for instance (227, 227, 3)")
    shape = (BATCH, *shape)
    if declared is not None and len(declared.shape) != len(shape):
        raise _wrong_rank(declared.shape[1:], shape[1:])
    if declared is not None:
        _refuse_other_layout(declared.shape, shape)
    return TensorType(shape, dtype)


def _wrong_rank(own: Shape, given: Shape) -> UsageError:
    """The error about too few or too many sizes; where the channels are missing, it adds them."""
    needed = f"{len(own)} ax{'i' if len(own) == 1 else 'e'}s"
    fact = f"the input has {needed} without the batch ({_written(own)}); got {_written(given)}"
    hint = f"give {needed}, as {_written(own)} has"
    if len(given) > len(own):
        hint = f"{hint}; leave the batch out, --batch sets it"
    elif len(given) == len(own) - 1 and own[-1] in FEW:
        hint = f"write {_written((*given, own[-1]))}"
    elif len(given) == len(own) - 1 and own[0] in FEW:
        hint = f"write {_written((own[0], *given))}"
    return UsageError(fact, hint=hint)


def _written(shape: Shape) -> str:
    return "x".join(map(show_dim, shape))


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
    """A shape from text: ``227x227x3``, ``227×227×3``, ``227, 227, 3``, ``HxWx3``, ``4hx4wx3``.

    >>> parse_shape("224x224x3")
    (224, 224, 3)
    """
    parts = re.split(r"[x×,]", text.strip()) if text.strip() else []
    return tuple(_dim(part.strip(), text) for part in parts)


def _size(part: str, whole: str) -> Dim:
    """A number, a symbol, or a formula such as ``4*h``, for which ``4h`` does as well."""
    if re.fullmatch(r"\d{1,19}", part):
        return int(part)
    try:
        size = parse_dim(re.sub(r"(?<!\w)(\d+)(?=[A-Za-z](?!\w))", r"\1*", part))
    except FieldError:
        raise UsageError(f"{whole!r} is not a shape: {part!r} is no size", hint=EXAMPLES) from None
    if "N" in symbols(size):
        raise UsageError(
            f"{whole!r}: N is the batch, which is not part of the shape",
            hint="use another letter, or leave it out",
        )
    return size


def _dim(part: Any, whole: str) -> Dim:
    if isinstance(part, bool):
        raise UsageError(f"{whole!r} is not a shape: {part} is not a size", hint=EXAMPLES)
    if isinstance(part, str):
        part = _size(part, whole)
    if isinstance(part, Formula):
        return part
    if isinstance(part, int):
        if part < 1:
            raise UsageError(f"{whole!r}: a size must be at least 1; got {part}", hint=EXAMPLES)
        if part > LARGEST:
            raise UsageError(f"{whole!r}: a size must be at most {LARGEST:,}; got {part:,}")
        return part
    raise UsageError(f"{whole!r} is not a shape: {part!r} is no size", hint=EXAMPLES)


class Arguments(NamedTuple):
    """What a live model is called with.

    Attributes:
        args: By position.
        kwargs: By name.

    The leaves are `TensorType`s, whose first axis is `BATCH` where the user left it out; and
    whatever else the user gave: tensors, arrays, numbers, None.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


class Whole(NamedTuple):
    """Call arguments whose shapes are whole, batch included: what JSON on the command line gives.

    Attributes:
        given: A list, a mapping, or a nest of them.
    """

    given: Any


class ByName(dict[str, Any]):
    """Shapes by the names of inputs, without the batch: what NAME=SHAPE gives."""


def from_command_line(texts: tuple[str, ...]) -> Any:
    """What ``--input`` gives: a shape, shapes by name, or whole call arguments as JSON.

    Raises:
        UsageError: If it is none of these.
    """
    if not texts:
        return None
    if texts[0].lstrip()[:1] in ("{", "["):
        if len(texts) > 1:
            raise UsageError("one --input as JSON gives all arguments", hint="give it alone")
        try:
            return Whole(json.loads(texts[0]))
        except (ValueError, RecursionError) as error:
            hint = """write for instance '{"tokens": "int64[1,128]", "mask": "1x128"}'"""
            raise UsageError(f"--input is no JSON: {error}", hint=hint) from None
    named = ByName(text.split("=", 1) for text in texts if "=" in text)
    if named and len(named) < len(texts):
        raise UsageError("some inputs are named and some are not", hint="write NAME=SHAPE for all")
    return named or (texts[0] if len(texts) == 1 else list(texts))


def call_arguments(given: Any) -> Arguments:
    """What a live model is called with, from what the user gave.

    A shape by itself, a flat list of shapes, and NAME=SHAPE are without the batch, as for files.
    In a mapping, or anything nested, shapes are whole: ``{"tokens": "int64[1,128]"}``; ``N`` for
    the batch is allowed there. Tensors, arrays, numbers and None stay what they are.

    >>> str(call_arguments("3x224x224").args[0])
    'float32[N, 3, 224, 224]'

    Raises:
        UsageError: If that is no shape.
    """
    if isinstance(given, Arguments):
        return given
    if isinstance(given, ByName):
        return Arguments((), {name: parse_type(text) for name, text in given.items()})
    if isinstance(given, Whole):
        given = given.given if isinstance(given.given, Mapping | list) else [given.given]
        given = given if not _is_shape(given) else [given]
        whole = True
    else:
        whole = isinstance(given, Mapping)
    if isinstance(given, Mapping):
        return Arguments((), {str(name): _leaf(value) for name, value in given.items()})
    if hasattr(given, "_fields") and not isinstance(given, TensorType):
        return Arguments((_leaf(given),))  # one argument with names for its parts
    if _is_shape(given) or not isinstance(given, list | tuple):
        return Arguments((_plain_leaf(given),))
    if not whole and all(isinstance(g, str | TensorType) or _is_shape(g) for g in given):
        return Arguments(tuple(map(_plain_leaf, given)))
    return Arguments(tuple(map(_leaf, given)))


def _is_shape(given: Any) -> bool:
    sizes = isinstance(given, list | tuple) and not isinstance(given, TensorType) and len(given) > 0
    return sizes and all(isinstance(d, int | Formula) and not isinstance(d, bool) for d in given)


def _plain_leaf(given: Any) -> Any:
    """A shape without the batch; whatever else it is stays as it is."""
    shape = isinstance(given, str) or _is_shape(given)
    return parse_type(given) if shape else given


def _leaf(given: Any) -> Any:
    """A nest of whole shapes and other things."""
    if isinstance(given, TensorType):
        return given
    if isinstance(given, str):
        return _whole(given)
    if _is_shape(given):
        return TensorType(tuple(given))
    if isinstance(given, Mapping):
        return {name: _leaf(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return rebuilt(given, [_leaf(value) for value in given])
    return given


def rebuilt(nest: Any, parts: list[Any]) -> Any:
    """A list or tuple of other parts; a tuple with names for them keeps the names."""
    if hasattr(nest, "_fields"):
        return type(nest)(*parts)
    return tuple(parts) if isinstance(nest, tuple) else parts


def _whole(text: str) -> TensorType:
    """A whole tensor type: ``int64[1,128]``, ``1x128``, ``float32[N, 3, 224, 224]``."""
    bracketed = re.fullmatch(r"\s*(\w+)\[(.*)\]\s*", text)
    dtype, sizes = bracketed.groups() if bracketed else ("float32", text)
    parts = [part.strip() for part in re.split(r"[x×,]", sizes)] if sizes.strip() else []
    return TensorType(tuple(BATCH if p == "N" else _dim(p, text) for p in parts), dtype)


def _without_batch(given: Any) -> Any:
    """A whole shape for a network whose batch is its own."""
    t = _leaf(given)
    if not isinstance(t, TensorType) or not t.shape:
        raise UsageError(f"{given!r} is not a shape", hint=EXAMPLES)
    return TensorType((BATCH, *t.shape[1:]), t.dtype)
