"""Activation functions: as layers, and as the field that many layers have."""

from __future__ import annotations

from math import inf
from typing import Any

from netledger.ops import GLU, Activation, Identity, PReLU, Softmax, Tensor
from netledger.ops.base import Op
from netledger.readers.keras.call import SCALE, Call

_NAMES = {
    **dict.fromkeys(("swish", "silu"), "silu"),
    **dict.fromkeys(("exp", "exponential"), "exp"),
    **dict.fromkeys(("hard_swish", "hard_silu"), "hard_swish"),
    **{
        name: name
        for name in (
            *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "mish"),
            *("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign"),
        )
    },
}
_OTHERS = {
    *("hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus", "threshold"),
    *("log_sigmoid", "sparse_plus", "sparse_sigmoid", "sparsemax"),
}
"""Functions of Keras for which we have no name of our own; they store nothing."""
_UNKNOWN = "no rule describes this activation function"


def activation_op(name: str) -> Op | None:
    """The operation of a function of `keras.activations`, if there is one."""
    if name == "leaky_relu":
        return Activation(name, alpha=0.2)
    if name in _NAMES:
        return Activation(_NAMES[name])
    found = {"softmax": Softmax(), "log_softmax": Softmax(log=True), "glu": GLU()}
    return Identity() if name == "linear" else found.get(name)


def activated(call: Call, value: str, key: str = "activation") -> str:
    """The layer's own activation, as a node of its own; none where it is linear."""
    said, settings = call.config.get(key, "linear"), ""
    if isinstance(said, dict):  # a function or a layer, written out
        settings = _settings(said)
        said = _named(said)
    said = said if said is None or isinstance(said, str) else str(said)[:80]
    if said in ("linear", None):
        return value
    op = activation_op(said)
    if op is not None:
        return call.add(op, value, part=said, untold=settings)
    fed = call.on(value)
    fed.kind = said[:80]
    return _other(fed, said, "activation")


def _other(call: Call, said: str, part: str = "") -> str:
    """A function that no rule describes; Keras' own change no shape and store nothing."""
    own = said in _OTHERS
    return call.opaque(_UNKNOWN, part=part, made=call.shape if own else None, bare=own)[0]


def _settings(said: dict[str, Any]) -> str:
    """What a layer that is written out as an activation says besides its name."""
    config = said.get("config")
    usual = (None, False, 0, 0.0, "linear")
    own = config if isinstance(config, dict) else {}
    given = [k for k, v in own.items() if k not in _COMMON and v not in usual]
    return f"{given[0]}={str(own[given[0]])[:40]}" if given else ""


_COMMON = ("name", "trainable", "dtype")


def _named(said: dict[str, Any]) -> Any:
    """The name of a function that is written out: ``{"class_name": "ReLU", "config": …}``."""
    config, kind = said.get("config"), said.get("class_name")
    if kind == "function":
        return config
    known = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax"}
    return known.get(str(kind), kind)


def activation(call: Call) -> str:
    """``Activation``: any function, by name."""
    said = call.config.get("activation", "linear")
    settings = _settings(said) if isinstance(said, dict) else ""
    said = str(_named(said) if isinstance(said, dict) else said)[:80]
    op = activation_op(said)
    if op is not None:
        return call.add(op, untold=settings)
    call.kind = said
    return _other(call, said)


def relu(call: Call) -> str:
    """``ReLU`` with its variants: a slope below 0, a largest value."""
    config = call.config
    slope, most = config.number("negative_slope", 0.0), config.number("max_value", inf)
    untold = f"threshold={config.get('threshold')}" if config.get("threshold") else ""
    if slope:
        untold = f"max_value={most}" if most != inf else untold
        return call.add(Activation("leaky_relu", alpha=slope), untold=untold)
    if most not in (6, inf):
        untold = f"max_value={most}"
    return call.add(Activation("relu6" if most == 6 else "relu"), untold=untold)


def leaky_relu(call: Call) -> str:
    """``LeakyReLU``, whose slope Keras 2 called alpha."""
    slope = call.config.number("negative_slope", call.config.number("alpha", 0.3))
    return call.add(Activation("leaky_relu", alpha=slope))


def elu(call: Call) -> str:
    """``ELU``."""
    scale = call.config.number("alpha", 1.0)
    return call.add(Activation("elu", alpha=None if scale == 1 else scale))


def softmax(call: Call) -> str:
    """``Softmax`` over one axis (several count no differently)."""
    axes = call.config.integers("axis", -1)
    return call.add(Softmax(axes[-1]), untold="" if len(axes) == 1 else f"axis={axes}")


def prelu(call: Call) -> str:
    """``PReLU``: a slope for each number of a sample, shared along some axes."""
    shape = call.shape
    shared = call.config.integers("shared_axes")
    own = [i for i in range(1, len(shape)) if i not in shared]
    if len(own) < 2:
        return call.add(PReLU(own[0] if own else None), slots=(_SLOPES,))
    call.add(
        Tensor([shape[i] if i in own else 1 for i in range(1, len(shape))]),
        part="alpha",
        slots=(SCALE,),
    )
    return call.add(Activation("leaky_relu"), untold="map of slopes")


_SLOPES = SCALE._replace(shapes=lambda s: (tuple(d for d in s if d != 1) or (1,),))


ACTIVATIONS = {
    "Activation": activation,
    "ReLU": relu,
    "Softmax": softmax,
    "PReLU": prelu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "ThresholdedReLU": lambda call: call.add(Activation("relu"), untold="threshold"),
}
