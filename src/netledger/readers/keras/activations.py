"""Activation functions: as layers, and as the field that many layers have."""

from __future__ import annotations

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
    if name in _NAMES:
        return Activation(_NAMES[name])
    found = {"softmax": Softmax(), "log_softmax": Softmax(log=True), "glu": GLU()}
    return Identity() if name == "linear" else found.get(name)


def activated(call: Call, value: str, key: str = "activation") -> str:
    """The layer's own activation, as a node of its own; none where it is linear."""
    said = call.config.get(key, "linear")
    if isinstance(said, dict):  # a function or a layer, written out
        said = _named(said)
    said = said if said is None or isinstance(said, str) else str(said)[:80]
    if said in ("linear", None):
        return value
    op = activation_op(said)
    if op is not None:
        return call.add(op, value, part=said)
    fed = call.on(value)
    fed.kind = said[:80]
    return _other(fed, said, "activation")


def _other(call: Call, said: str, part: str = "") -> str:
    """A function that no rule describes; Keras' own change no shape and store nothing."""
    own = said in _OTHERS
    return call.opaque(_UNKNOWN, part=part, made=call.shape if own else None, bare=own)[0]


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
    said = str(_named(said) if isinstance(said, dict) else said)[:80]
    op = activation_op(said)
    if op is not None:
        return call.add(op)
    call.kind = said
    return _other(call, said)


def relu(call: Call) -> str:
    """``ReLU`` with its variants: a slope below 0, a largest value."""
    if call.config.get("negative_slope"):
        return call.add(Activation("leaky_relu"))
    return call.add(Activation("relu6" if call.config.get("max_value") == 6 else "relu"))


def softmax(call: Call) -> str:
    """``Softmax`` over one axis (several count no differently)."""
    return call.add(Softmax(call.config.integers("axis", -1)[-1]))


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
    return call.add(Activation("leaky_relu"))


_SLOPES = SCALE._replace(shapes=lambda s: (tuple(d for d in s if d != 1) or (1,),))


ACTIVATIONS = {
    "Activation": activation,
    "ReLU": relu,
    "Softmax": softmax,
    "PReLU": prelu,
    "LeakyReLU": lambda call: call.add(Activation("leaky_relu")),
    "ELU": lambda call: call.add(Activation("elu")),
    "ThresholdedReLU": lambda call: call.add(Activation("relu")),
}
