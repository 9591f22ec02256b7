"""Readers: a foreign thing → a `Graph`. A reader per format; content decides which, not the name.

A reader is a module of this package with

    accepts(source) -> bool     looks at the content, imports nothing heavy
    read(source) -> Graph       never executes, imports, unpickles or evaluates anything of a file

and a table from the foreign kinds of layer to small functions. A reader of live objects has

    accepts_live(thing) -> bool          by the modules of its type, imports nothing heavy
    read_live(thing, inputs) -> Graph    leaves the user's object as it was
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from netledger import references, zoo
from netledger.builder import Network
from netledger.errors import SpecError, UnknownName, UsageError
from netledger.graph import Graph, TensorType
from netledger.readers.common import Source

READERS: tuple[str, ...] = (
    "keras",
    "safetensors",
    "model_folder",
    "gguf",
    "torch_export",
    "torch_pickle",
    "caffe",
    "cuda_convnet",
    "onnx",
    "spec",
)
"""The modules of this package that read files, in the order in which they are asked."""

LIVE_READERS: tuple[str, ...] = ("torch_module", "keras", "jax_function")
"""The modules of this package that read live objects, in the order in which they are asked."""

Inputs = Mapping[str, TensorType]

_ZOO = "'netledger zoo' lists the networks; a file is named by its path"


def read(source: Any, inputs: Any = None) -> Graph:
    """The graph of a zoo name, a file of any known format, a live model, or a graph itself.

    Args:
        source: A zoo name (``alexnet``), a path, a model object (``torch.nn.Module``,
            ``keras.Model``, a JAX function), or a text that names one: ``package.module:attribute``
            and the other forms of `netledger.references`.
        inputs: Other inputs than the source's own: a shape without the batch, ``(224, 224, 3)``
            or ``"224x224x3"``, a sequence of these, or a mapping of input names to shapes. For a
            live model also tensors, arrays and whole call arguments; see `call_arguments`.

    Raises:
        UnknownName: If there is neither a network nor a file of that name.
        NetledgerError: If it cannot be read; the message says where and why.
    """
    if not isinstance(source, Graph | str | PathLike):
        return _read_live(source, inputs)
    name = "" if isinstance(source, Graph) else str(source)
    if references.is_reference(name) and not os.path.lexists(name):
        graph = _read_live(references.resolve(name), inputs)
        return replace(graph, name=name.rpartition(":")[2], source=name, _by_name={})
    graph = source if isinstance(source, Graph) else _read(name)
    if inputs is None:
        return graph
    from netledger.readers.inputs import parse_inputs
    from netledger.readers.other_inputs import on_inputs

    return on_inputs(graph, parse_inputs(inputs, graph))


def _read_live(thing: object, inputs: Any) -> Graph:
    if isinstance(thing, Network):  # which is a function, too
        raise UsageError("a Network is still under construction", hint="pass its .graph()")
    for name in LIVE_READERS:
        module = _live_reader(f"netledger.readers.{name}")
        if module is not None and module.accepts_live(thing):
            graph: Graph = module.read_live(thing, inputs)
            return graph
    raise _no_network(thing)


def _live_reader(name: str) -> Any:
    """The reader, if it is there and reads live objects."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    return module if hasattr(module, "accepts_live") else None


def _no_network(source: object) -> UsageError:
    given = source.__name__ if isinstance(source, type) else type(source).__name__
    hint = "pass a name of the zoo, a path, a Graph, or a model of PyTorch, Keras or JAX"
    return UsageError(f"a {given} is no network", hint=hint)


def _read(name: str) -> Graph:
    if name in zoo.NETWORKS:
        return zoo.load(name)
    if not name.strip():
        raise UsageError("the name of a network or file is empty", hint=_ZOO)
    with Source.open(name) as source:
        if not source.exists:
            known = list(zoo.NETWORKS)
            raise UnknownName("network or file", name, known, hint=_ZOO)
        for module in READERS:
            reader = importlib.import_module(f"netledger.readers.{module}")
            if reader.accepts(source):
                graph: Graph = reader.read(source)
                return graph
        raise _no_model(source)


def _no_model(source: Source) -> SpecError:
    if source.is_folder:
        hint = "a folder needs model.safetensors, pytorch_model.bin or an index of shards"
        if (source.path / "config.json").is_file():
            hint = f"{hint}; 'hf:FOLDER' builds what config.json describes, with transformers"
        return SpecError("a folder without a model in it", where=source.name, hint=hint)
    if not source.size:
        return SpecError("the file is empty", where=source.name)
    for start, (fact, hint) in _NO_MODELS.items():
        if source.head.lstrip()[: len(start)].lower() == start:
            return SpecError(fact, where=source.name, hint=hint)
    return SpecError(
        "this is not a format that netledger reads",
        where=source.name,
        hint="'netledger show --help' lists the formats",
    )


_NO_MODELS = {
    b"version https://git-lfs": (
        "the file stands for one that was not downloaded (Git LFS)",
        "'git lfs pull' in its folder downloads it",
    ),
    b"<!doctype html": (
        "this is a web page, not the file that it may offer",
        "download the file itself",
    ),
}
"""What is often found in place of a model, by how it begins: what it is, and what to do."""
