"""The parts of a model's configuration that do not depend on the kind of layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from netledger.errors import SpecError
from netledger.formula import Dim, symbol
from netledger.graph import BATCH, DTYPE_BITS, Shape
from netledger.ops.fields import LARGEST

Entry = Mapping[str, Any]
"""A model or layer as it is written down: class_name, config, and more."""

MODELS = ("Sequential", "Functional", "Model")
_LETTERS = {2: "T", 3: "TC", 4: "HWC", 5: "DHWC"}


def text(entry: Entry, key: str) -> str:
    """A text that must be there."""
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise SpecError(f"{key} is missing or not text", received=str(entry)[:120])
    return value


def layer_config(entry: Entry) -> Entry:
    """The configuration of a layer."""
    config = entry.get("config")
    if not isinstance(config, dict):
        raise SpecError("a layer has no config", received=str(entry)[:120])
    return config


def layer_name(entry: Entry) -> str:
    """What a layer is called."""
    config = entry.get("config")
    own = config.get("name") if isinstance(config, dict) else None
    name = entry.get("name") or own or text(entry, "class_name").lower()
    if not isinstance(name, str):
        raise SpecError("the name of a layer is not text", received=str(name)[:120])
    return name


def is_model(entry: Entry) -> bool:
    """True if a layer is a model with layers of its own, all of them written down."""
    config = entry.get("config")
    if isinstance(config, list):  # Sequential, in the first Keras
        return entry.get("class_name") == "Sequential"
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return False
    return entry.get("class_name") in MODELS or "output_layers" in config


def model_config(entry: Entry) -> Entry:
    """The configuration of a model, its layers checked for being layers."""
    config = entry.get("config")
    if isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        raise SpecError("the model has no config")
    for layer in config["layers"]:
        if not isinstance(layer, dict):
            raise SpecError("the model has something that is no layer", received=str(layer)[:120])
    return config


def input_shape(said: Any) -> Shape:
    """The shape of an input; a size that is left open becomes a symbol.

    Sizes that several inputs leave open on the same axis are taken to be one and the same.
    """
    if not isinstance(said, list | tuple) or not 1 <= len(said) <= 16:
        raise SpecError(f"an input shape must be a list of sizes; got {str(said)[:80]}")
    letters = _LETTERS.get(len(said), [f"D{i}" for i in range(1, len(said))])
    return tuple(size(d, symbol(letters[i - 1]) if i else BATCH) for i, d in enumerate(said))


def size(said: Any, otherwise: Dim) -> Dim:
    """A size, or `otherwise` where it is left open."""
    if said is None:
        return otherwise
    if type(said) is not int or not 1 <= said <= LARGEST:
        raise SpecError(f"a size must be an integer of at least 1; got {str(said)[:80]}")
    return said


class Dtypes(NamedTuple):
    """In which dtypes a layer computes and stores its parameters."""

    computes: str
    stores: str
    quantised: bool = False


def dtypes_of(config: Entry) -> Dtypes:
    """The dtypes of a layer, out of its dtype or dtype policy; float32 where it says nothing."""
    said, quantised = config.get("dtype"), False
    for _ in range(3):  # {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
        if isinstance(said, dict):
            inner = said.get("config")
            inner = inner if isinstance(inner, dict) else {}
            quantised = quantised or "mode" in inner
            said = inner.get("name") or inner.get("source_name")
    if not isinstance(said, str):
        return Dtypes("float32", "float32")
    kind, _, source = said.partition("_from_")  # int8_from_mixed_bfloat16
    quantised = quantised or bool(source)
    name = source or kind
    computes = name.removeprefix("mixed_")
    if computes not in DTYPE_BITS:
        return Dtypes("float32", "float32", quantised)
    return Dtypes(computes, "float32" if name != computes else computes, quantised)
