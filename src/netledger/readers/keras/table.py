"""What a kind of layer becomes: the tables put together, layers that wrap others, all the rest."""

from __future__ import annotations

from typing import Any

from netledger.ops import Constant, Reshape, Tensor
from netledger.readers.keras.activations import ACTIVATIONS
from netledger.readers.keras.call import SCALE, STATISTIC, Call, LayerRule
from netledger.readers.keras.config import Entry, is_model
from netledger.readers.keras.layers import LAYERS
from netledger.readers.keras.norms import BUILT
from netledger.readers.keras.operations import OPERATIONS, tensorflow
from netledger.readers.keras.sequences import SEQUENCES

_UNKNOWN = "no rule describes this kind of layer"
_NEVER = "it is a Python function, which is never run"


def find_layer(layer: Entry) -> LayerRule:
    """The rule for a layer; for one that is not Keras' own, the rule for what is unknown."""
    module, kind = layer.get("module"), str(layer.get("class_name"))
    registered = layer.get("registered_name")
    if registered in BUILT:
        return BUILT[registered]
    package = registered.partition(">")[0] if isinstance(registered, str) else ""
    own = module is None or str(module).split(".")[0] in ("keras", "tf_keras", "tensorflow")
    if not own or (">" in str(registered) and not package.startswith(("keras", "Keras"))):
        return _unknown
    config = layer.get("config")
    bare = module is None and isinstance(config, dict) and "trainable" not in config
    if ".ops" in str(module) or (bare and kind in OPERATIONS):  # .h5 does not name the module
        return OPERATIONS.get(kind, _unknown)
    return _TABLE.get(kind.partition(">")[2] or kind, _unknown)


def _unknown(call: Call) -> list[str]:
    return call.opaque(_UNKNOWN)


def lambda_layer(call: Call) -> list[str]:
    """``Lambda``: never run; its outputs are what the file says they are."""
    said = call.config.get("output_shape")
    if not call.stated and isinstance(said, list):
        call.stated = ([None, *said],)
    return call.opaque(_NEVER)


def spectral(call: Call) -> Any:
    """``SpectralNormalization``: the layer it wraps, and a vector kept beside its kernel."""
    inner, entry = call.wrapped("layer")
    rule = find_layer(entry)
    if rule not in (LAYERS["Dense"], LAYERS["Conv2D"]):
        return _unknown(call)
    call.sort("layer", str(inner.config.get("name")))
    made = rule(inner)
    if call.stored is not None:  # some files hold the kernel twice
        del call.stored[:-1]
    width = inner.config.integer("units" if rule is LAYERS["Dense"] else "filters")
    call.add(Tensor([1, width], "buffer"), part="vector", slots=(STATISTIC,))
    return made


def time_distributed(call: Call) -> Any:
    """``TimeDistributed``: the layer it wraps, on samples × steps instead of samples."""
    inner, entry = call.wrapped("layer")
    if is_model(entry):
        return call.opaque("no rule describes a model that is called at every step")
    rule = find_layer(entry)
    shape = call.shape
    if rule in (_unknown, lambda_layer) or len(shape) < 3:
        return _unknown(call)
    if entry.get("class_name") == "Dense":  # works on the last axis, whatever is before it
        return rule(inner)
    joined = (shape[0] * shape[1], *shape[2:])
    value = call.add(Reshape(joined, keep_batch=False), part="steps")
    fed = inner.on(value)
    made = rule(fed)
    value = made if isinstance(made, str) else made[0]
    after = call.reading.shapes[value]
    return call.add(Reshape((*shape[:2], *after[1:]), keep_batch=False), value, part="joined")


def variable(call: Call) -> str:
    """A variable that an operation takes by itself; Keras has no such layer, live models do."""
    shape, dtype = list(call.config.integers("shape")), call.config.text("dtype", "float32")
    return call.add(Tensor(shape, to=dtype), slots=(SCALE,))


def constant(call: Call) -> str:
    """An array that an operation takes by itself."""
    shape, dtype = list(call.config.integers("shape")), call.config.text("dtype", "float32")
    return call.add(Constant(shape, to=dtype))


_TABLE: dict[str, LayerRule] = {
    **LAYERS,
    **ACTIVATIONS,
    **SEQUENCES,
    "TimeDistributed": time_distributed,
    "SpectralNormalization": spectral,
    "TFOpLambda": tensorflow,
    "SlicingOpLambda": tensorflow,
    "Lambda": lambda_layer,
    "Variable": variable,
    "Constant": constant,
}
