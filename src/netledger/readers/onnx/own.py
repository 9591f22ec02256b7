"""Functions that `netledger build` defines in a file, read as the one layer that they are.

A file may call any function so; it is taken at its word only if its body stores nothing and
multiplies nothing, so that no count depends on it. Else it is written out, as any other function.
"""

from __future__ import annotations

from netledger.ops import AdaptiveAvgPool, AdaptiveMaxPool
from netledger.ops.pool import AdaptivePool
from netledger.readers.onnx.model import Function
from netledger.readers.onnx.values import Call, Layer, Unknown

DOMAIN = "netledger"
POOLS: dict[str, type[AdaptivePool]] = {
    "AdaptiveAveragePool": AdaptiveAvgPool,
    "AdaptiveMaxPool": AdaptiveMaxPool,
}
HARMLESS = frozenset(["Constant", "Slice", "ReduceMean", "ReduceMax", "Concat"])


def kind(function: Function) -> str:
    """What the function is, if it is one of ours; or nothing."""
    word = function.name.partition("_")[0]
    ours = function.domain == DOMAIN and word in POOLS
    if not ours or any(n.domain or n.op_type not in HARMLESS for n in function.nodes):
        return ""
    return f"{DOMAIN}.{word}"


def pool(call: Call) -> Layer:
    """A pooling to a given size."""
    sizes = call.integers("output_size")
    if not sizes or len(sizes) != len(call.shape(0)) - 2:
        raise Unknown("it does not say the size of its output")
    op = POOLS[call.kind.partition(".")[2]](sizes, channels_last=False)
    return Layer(op, [call.value(0)])
