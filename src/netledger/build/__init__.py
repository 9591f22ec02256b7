"""Graph → a real model in a framework: its source code, a live object, its weights, a run of it.

A target is a module of this package with the functions of `Target`: a table from our operations
to how each is written there. The source code is the single truth: the live model is made by
executing it, so code and model cannot disagree.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, Protocol

from netledger.errors import MissingPackage, UnknownName
from netledger.graph import Graph
from netledger.readers import read

TARGETS: Mapping[str, str] = {
    "torch": "PyTorch source code",
    "keras": "Keras source code",
    "jax": "JAX (flax nnx) source code",
    "onnx": "an ONNX file",
}
"""The targets, each with what is written to a file."""

Weights = dict[tuple[str, str], Any]
"""Arrays by ``(node, parameter)`` of the graph, shaped and named as its ledger states them."""


class Target(Protocol):
    """What the module of a target has. Arrays are NumPy's, weights are in canonical layout."""

    def source(self, graph: Graph) -> str | bytes:
        """What is written to a file: source code, or the bytes of a model."""

    def make(self, graph: Graph) -> Any:
        """A live model, trainable where the framework trains."""

    def weights(self, model: Any, graph: Graph) -> Weights:
        """The weights of a model that was made of `graph`."""

    def load(self, model: Any, graph: Graph, weights: Weights) -> None:
        """Puts weights into a model that was made of `graph`; every one must be there."""

    def run(self, model: Any, graph: Graph, arrays: Sequence[Any]) -> list[Any]:
        """Outputs for inputs, both in the axis order of the graph; nothing is dropped out."""


def target(name: str) -> Target:
    """The builder of a target, by its name.

    Raises:
        UnknownName: If there is no such target.
        MissingPackage: If the builder itself needs a package that is not installed.
    """
    if name not in TARGETS:
        raise UnknownName("target", name, TARGETS, hint=f"targets are {', '.join(TARGETS)}")
    with _needing(name):
        module: Any = importlib.import_module(f"netledger.build.{name}")
    made: Target = module
    return made


@contextmanager
def _needing(name: str) -> Iterator[None]:
    """Says how to install what a target needs, if it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("netledger"):
            raise
        raise MissingPackage(error.name, extra=name, purpose=f"building for {name}") from None


def build(source: str | PathLike[str] | Graph, to: str = "torch", inputs: Any = None) -> Any:
    """A live model of a network: a ``torch.nn.Module``, a ``keras.Model`` and so on.

    Args:
        source: A zoo name, a path, or a graph.
        to: ``torch``, ``keras``, ``jax`` or ``onnx``.
        inputs: Other inputs than the source's own; see `netledger.read`.

    Raises:
        NetledgerError: If the network cannot be built there; the message names the layer and why.
    """
    builder, graph = target(to), read(source, inputs)
    with _needing(to):
        return builder.make(graph)


def write(source: str | PathLike[str] | Graph, to: str, inputs: Any = None) -> str | bytes:
    """What `netledger build` writes: source code, or for ONNX the bytes of a file."""
    builder, graph = target(to), read(source, inputs)
    with _needing(to):
        return builder.source(graph)


__all__ = ["TARGETS", "Target", "Weights", "build", "target", "write"]
