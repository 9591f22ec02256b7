"""Readers: a foreign thing → a `Graph`. A reader per format; content decides which, not the name.

A reader is a module of this package with

    accepts(source) -> bool     looks at the content, imports nothing heavy
    read(source) -> Graph       never executes, imports, unpickles or evaluates anything of a file

and a table from the foreign kinds of layer to small functions.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

from netledger import zoo
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

Inputs = Mapping[str, TensorType]

_ZOO = "'netledger zoo' lists the networks; a file is named by its path"


def read(source: str | PathLike[str] | Graph, inputs: Any = None) -> Graph:
    """The graph of a zoo name, a file of any known format, or a graph itself.

    Args:
        source: A zoo name (``alexnet``) or a path.
        inputs: Other inputs than the source's own: a shape without the batch, ``(224, 224, 3)``
            or ``"224x224x3"``, or a mapping of input names to shapes.

    Raises:
        UnknownName: If there is neither a network nor a file of that name.
        NetledgerError: If the file cannot be read; the message says where and why.
    """
    graph = source if isinstance(source, Graph) else _read(_path(source))
    if inputs is None:
        return graph
    from netledger.readers.inputs import parse_inputs

    return graph.with_inputs(parse_inputs(inputs, graph))


def _path(source: object) -> str:
    if isinstance(source, str | PathLike):
        return str(source)
    from netledger.builder import Network

    if isinstance(source, Network):
        raise UsageError("a Network is still under construction", hint="pass its .graph()")
    given = source.__name__ if isinstance(source, type) else type(source).__name__
    raise UsageError(f"a {given} is no network", hint="pass a name of the zoo, a path, or a Graph")


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
        if source.is_folder:
            raise SpecError(
                "a folder without a model in it",
                where=name,
                hint="a folder needs model.safetensors, pytorch_model.bin or an index of shards",
            )
    raise SpecError(
        "this is not a format that netledger reads",
        where=name,
        hint="'netledger show --help' lists the formats",
    )
