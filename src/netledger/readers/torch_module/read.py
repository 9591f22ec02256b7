"""A module and what it is called with → a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from netledger.aten import Stored
from netledger.errors import NetledgerError, ShapeError
from netledger.formula import Formula
from netledger.graph import BIAS, WEIGHT, Graph, TensorType
from netledger.infer import infer
from netledger.ops import LocalResponseNorm, Op
from netledger.readers.inputs import Arguments, call_arguments
from netledger.readers.torch_module.arguments import (
    argument_names,
    empty,
    is_batch,
    is_record,
    meta_call,
    replaced,
    type_of,
    types_of,
)
from netledger.readers.torch_module.batch import BatchLoop
from netledger.readers.torch_module.build import Sizes, Translation
from netledger.readers.torch_module.data import DataDependent
from netledger.readers.torch_module.defaults import default_arguments
from netledger.readers.torch_module.lazy import is_unshaped, shaped
from netledger.readers.torch_module.model import kept, kind, recording, unwrap
from netledger.readers.torch_module.trace import Trace

Modules = Mapping[str, Any]
"""A model's modules by path, itself with none."""
DISTINCTIVE = (4099, 2053, 7919)
"""Sizes of a batch that no layer has; what they divide scales with the batch."""


class Attempt(NamedTuple):
    """A forward pass.

    Attributes:
        trace: What was recorded.
        inputs: The types of the tensors that it was called with, by name.
        result: What the model returned.
        error: What it raised instead.
        sizes: How sizes are written.
    """

    trace: Trace
    inputs: Mapping[str, TensorType]
    result: Any
    error: Exception | None
    sizes: Sizes


def read(thing: Any, inputs: Any) -> Graph:
    """The graph of a module; see `read_live`."""
    model = unwrap(thing)
    given = default_arguments(model) if inputs is None else call_arguments(inputs)
    if is_unshaped(model):
        model = shaped(model, *meta_call(given))
    tensors = kept(model)
    modules = dict(model.named_modules())
    attempt = _try(modules, given, tensors, _distinctive(given, tensors))
    if attempt.error is not None and attempt.sizes.batch is not None:
        attempt = _try(modules, given, tensors, None)
    graph = _graph(modules, attempt, tensors)
    if attempt.error is not None:
        raise _failed(attempt, graph)
    return graph


def _distinctive(given: Arguments, tensors: Mapping[str, Any]) -> int | None:
    """A size for the batch that divides no size of the model, or of its inputs."""
    if not any(t.shape and is_batch(t.shape[0], given) for t in types_of(given)):
        return None
    sizes = {d for stored, _ in tensors.values() for d in stored.type.shape}
    sizes |= {d for t in types_of(given) for d in t.shape[1:] if isinstance(d, int)}
    return next((b for b in DISTINCTIVE if not any(d % b == 0 for d in sizes if d)), None)


def _try(
    modules: Modules, given: Arguments, tensors: Mapping[str, tuple[Any, Any]], batch: int | None
) -> Attempt:
    """Runs the model once."""
    model, trace, sizes = modules[""], Trace(batch), Sizes(batch)
    inputs: dict[str, TensorType] = {}
    names = argument_names(model, given)

    def tensor(leaf: Any, name: str) -> Any:
        t = type_of(leaf)
        first = (batch or (1 if isinstance(d, Formula) else d) for d in t.shape[:1])
        shape = t.shape
        if shape and is_batch(shape[0], given):
            shape = (next(first), *shape[1:])
        made = empty(shape, t.dtype)
        while name in inputs:
            name = f"{name}_"
        inputs[name] = sizes.type(made.shape, made.dtype)  # now: it may be changed in place
        return trace.enter_input(name, made)

    with recording(modules, trace):
        args = tuple([replaced(a, n, tensor) for a, n in zip(given.args, names, strict=True)])
        kwargs = {n: replaced(a, n, tensor) for n, a in given.kwargs.items()}
        for name, (_, stored) in tensors.items():
            trace.enter_stored(name, stored)
        result, error = None, None
        try:
            result = model(*args, **kwargs)
        except (Exception, BatchLoop) as raised:
            error = raised
    return Attempt(trace, inputs, result, error, sizes)


def _graph(modules: Modules, attempt: Attempt, tensors: Mapping[str, tuple[Any, Any]]) -> Graph:
    model, trace, sizes = modules[""], attempt.trace, attempt.sizes
    inputs = attempt.inputs
    stored = {name: s for name, (s, _) in tensors.items()}
    for name, (twin, dtype) in trace.packed.items():
        role = BIAS if "bias" in name.rpartition(".")[2] else WEIGHT
        stored[name] = Stored(name, role, TensorType(tuple(twin.shape), dtype), False)
    made = Translation(trace, inputs, stored, sizes)
    results = [
        trace.tensor(leaf) for leaf in _results(attempt.result) if isinstance(leaf, torch.Tensor)
    ]
    for tensor in results:
        made.value(tensor)
    names = [tensor.name for tensor in results]
    whole, ended = dict(_whole(modules, trace)), attempt.error is None
    outputs = made.builder.finish(names, whole, unused=ended)
    return Graph(
        type(model).__name__,
        inputs,
        tuple(made.builder.nodes),
        outputs,
        made.builder.ties(),
        title="a module of PyTorch",
        source=kind(model),
        reader="torch_module",
        calls=tuple(trace.calls),
        modules={name: kind(module) for name, module in modules.items()},
        homes=made.builder.homes(),
    )


def _whole(modules: Modules, trace: Trace) -> Iterator[tuple[int, tuple[str, Op]]]:
    """The calls of modules that are one operation, though PyTorch takes them apart."""
    for at, call in enumerate(trace.calls):
        module = modules.get(call.path)
        if module is not None and type(module) is torch.nn.LocalResponseNorm:
            op = LocalResponseNorm(module.size, float(module.alpha), module.beta, float(module.k))
            yield at, (call.path, op)


def _results(result: Any) -> Iterator[Any]:
    """The tensors in what a model returns: in lists, mappings, and objects with fields."""
    if isinstance(result, Mapping):
        result = list(result.values())
    elif is_record(result):
        result = [getattr(result, f.name) for f in dataclasses.fields(result)]
    if isinstance(result, list | tuple):
        for part in result:
            yield from _results(part)
    else:
        yield result


def _failed(attempt: Attempt, graph: Graph) -> NetledgerError:
    """The model's own error, where it was raised, with the ledger up to there."""
    raised = attempt.error
    text = " ".join(str(raised).split()) or "no message"
    trace = attempt.trace
    path = trace.calls[trace.at].path if trace.at >= 0 else ""
    failed = type(trace.module).__name__ if trace.module is not None else "forward"
    place = f"{path} ({failed})" if path else failed
    hint = _hint(raised, text)
    fact = f"the forward pass failed: {type(raised).__name__}: {text[:400]}"
    error = ShapeError(fact, hint=hint)
    error.at(where=place, received=", ".join(map(_shown, trace.given)))
    error.partial = replace(infer(graph), failed=place)
    return error


_WITHOUT_NUMBERS = (
    "tensors have shapes here and no numbers: read a part of the model, "
    "or export it with torch.export and read the .pt2"
)


_WITHOUT_GRADIENTS = "the pass runs without gradients: use torch.func.grad, or read the part before"
_ASKED = ("unallocated storage", "can't convert meta", "of meta")
"""What PyTorch says where numbers of a tensor are taken out of it (``.numpy()``)."""


def _hint(raised: Any, text: str) -> str:
    """What to do about an error of the model's own."""
    if isinstance(raised, DataDependent) or any(said in text for said in _ASKED):
        return _WITHOUT_NUMBERS
    return _WITHOUT_GRADIENTS if "does not require grad" in text else ""


def _shown(arg: Any) -> str:
    """An argument in an error: a tensor's type."""
    if isinstance(arg, torch.Tensor):
        return f"{str(arg.dtype)[6:]}{list(arg.shape)}"
    return type(arg).__name__
