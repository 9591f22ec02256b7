"""Low-rank adapters (``enable_lora``): what a layer learns beside numbers that are frozen.

Keras adds the product of the adapter's two matrices to the layer's own kernel or table, each time
that the layer is called. Hu et al. (2021).
"""

from __future__ import annotations

from netledger.ops import Add, MatMul, Tensor
from netledger.readers.keras.call import SCALE, Call


def has_adapter(call: Call) -> bool:
    """True if something is stored of one."""
    return any("/lora_" in one.path for one in call.stored or ())


def adapted(call: Call, word: str = "kernel") -> str | None:
    """What a layer multiplies by instead of its kernel; None if it has no adapter.

    Args:
        call: The layer.
        word: What its variable is called.
    """
    names = (word, f"lora_{word}_a", f"lora_{word}_b")
    if not call.stored or not has_adapter(call):
        return None
    call.sort(*names)
    call.stored[0] = call.stored[0]._replace(trainable=False)
    shapes = [one.shape for one in call.stored[:3]]
    own, down, up = (
        call.add(Tensor(list(shape)), part=name, slots=(SCALE,))
        for name, shape in zip(names, shapes, strict=True)
    )
    return call.add(Add(), own, call.add(MatMul(), down, up, part="lora"), part="adapted")
