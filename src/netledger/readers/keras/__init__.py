"""Keras files: ``.keras`` (a zip), ``.h5`` (HDF5), the JSON of ``model.to_json()``.

Only what a model says of itself is read, and the shapes of what it stores. Nothing in a file is
ever run: a ``Lambda`` or a layer of somebody's own becomes an operation that no rule describes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netledger.errors import NetledgerError, SpecError, UsageError
from netledger.graph import Graph, Node, Recorded
from netledger.ops import Inventory
from netledger.ops.opaque import NO_GRAPH
from netledger.readers.common import Source
from netledger.readers.keras.config import is_model
from netledger.readers.keras.hdf5 import MAGIC, read_hdf5
from netledger.readers.keras.model import read_model
from netledger.readers.keras.weights import LegacyFile, Modern, Stored, Weights, role
from netledger.untrusted import LARGEST_JSON, is_zip, open_zip, read_json

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
_MEMBERS = tuple(name.encode() for name in (CONFIG, WEIGHTS, METADATA))


def accepts(source: Source) -> bool:
    """True for a zip that begins with a member of a ``.keras``, for HDF5, for a model's JSON."""
    head = source.head
    if is_zip(head):
        return head[30:].startswith(_MEMBERS)
    return head.startswith(MAGIC) or (
        head.lstrip().startswith(b"{") and b'"class_name"' in head and b'"config"' in head
    )


def read(source: Source) -> Graph:
    """The graph of a Keras file, or where it has none the list of what it stores.

    Raises:
        SpecError: If the file is damaged or ambiguous, or is no model.
    """
    if is_zip(source.head):
        return _read_zip(source)
    if source.head.startswith(MAGIC):
        return _read_hdf5(source)
    if source.size > LARGEST_JSON:
        raise SpecError(
            f"JSON of {source.size:,} bytes; at most {LARGEST_JSON:,} are read", where=source.name
        )
    return _graph(read_json(bytes(source.view()), source.name), source, None)


def accepts_live(thing: object) -> bool:
    """True for a ``keras.Model`` or a layer, by the modules of its classes."""
    return _is_a("Model", thing) or _is_a("Layer", thing)


def _is_a(name: str, thing: object) -> bool:
    """True for what is of a class of Keras, which need not be imported for that."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] in ("keras", "tf_keras")
        for kind in type(thing).__mro__
    )


def read_live(thing: Any, inputs: Any = None) -> Graph:
    """The graph of a live model; see `netledger.readers.keras.live`."""
    if not _is_a("Model", thing):
        raise UsageError(
            f"a {type(thing).__name__} is a layer of Keras, not a model",
            hint="put it into one: keras.Sequential([keras.Input((8,)), layer])",
        )
    from netledger.readers.keras import live

    return live.read_live(thing, inputs)


def _read_zip(source: Source) -> Graph:
    archive = open_zip(source.view(), source.name)
    entry = read_json(archive.read(CONFIG, limit=LARGEST_JSON), f"{source.name}: {CONFIG}")
    weights = None
    if WEIGHTS in archive:
        member = archive.members[WEIGHTS]
        where = f"{source.name}: {WEIGHTS}"
        if member.deflated:
            raise SpecError("is compressed, so it cannot be read in place", where=where)
        weights = Modern(read_hdf5(source.view(), where, member.start, member.size))
    return _graph(entry, source, weights)


def _read_hdf5(source: Source) -> Graph:
    root = read_hdf5(source.view(), source.name)
    text = root.attributes.get("model_config")
    stored = root.group("model_weights")
    weights: Weights = LegacyFile(stored if stored.members else root)
    if isinstance(text, str):
        entry = read_json(text.encode(), f"{source.name}: model_config")
        return _graph(entry, source, weights if stored.members else None)
    if "layer_names" not in root.attributes and "layer_names0" not in root.attributes:
        weights = Modern(root)
    return _inventory(weights, source, source.path.stem)


def _graph(entry: Any, source: Source, weights: Weights | None) -> Graph:
    if not isinstance(entry, dict):
        raise SpecError("the model is not a JSON object", where=source.name)
    try:
        if is_model(entry):
            return read_model(entry, source.name, weights)
        if weights is None:
            raise SpecError(
                "the file has neither a graph of layers nor weights",
                hint="a model that is written as a class of its own keeps its graph in Python; "
                "save it with its weights, or name it as FILE.py:MODEL",
            )
        return _inventory(weights, source, str(entry.get("class_name") or "model"))
    except NetledgerError as error:
        raise error.at(where=source.name) from None


OPTIMIZER = "optimizer/"
"""Where Keras 3 keeps the state of training, beside the weights."""


def _inventory(weights: Weights, source: Source, name: str) -> Graph:
    """What is stored, by module path; such a file has no graph."""
    modules: dict[str, list[Stored]] = {}
    left_out = 0
    for one in weights.tensors():
        if one.path.startswith(OPTIMIZER):
            left_out += 1
            continue
        module, _, own = one.path.rpartition("/")
        module = ".".join(step for step in module.split("/") if step not in ("layers", "vars"))
        modules.setdefault(module or name, []).append(one._replace(path=own))
    if not modules:
        raise SpecError("the file has neither a graph of layers nor weights", where=source.name)
    return Graph(
        name[:200],
        {},
        tuple(_modules(modules)),
        title=f"{left_out} tensors of the optimizer left out; {NO_GRAPH}" if left_out else "",
        source=source.name,
        reader="keras",
    )


def _modules(modules: dict[str, list[Stored]]) -> Iterator[Node]:
    for module, stored in modules.items():
        kinds = _roles(module, stored)
        rows = [
            [one.path, kind, one.shape, one.dtype, None]
            for one, kind in zip(stored, kinds, strict=True)
        ]
        scope = module.rpartition(".")[0]
        yield Node(module, Inventory(rows), scope=scope, recorded=Recorded())


def _roles(module: str, stored: list[Stored]) -> list[str]:
    """What each tensor of a module is; Keras 3 stores no names, but keeps the order."""
    named = [role(one.path, one.shape) for one in stored]
    numbered = all(one.path.isdigit() for one in stored)
    if "batch_normalization" in module and numbered and 2 <= len(stored) <= 4:
        return [*("weight", "bias")[: len(stored) - 2], "buffer", "buffer"]
    return named
