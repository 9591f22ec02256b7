"""Coverage-guided fuzzing of the safetensors reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_safetensors.py -max_total_time=60
"""

from __future__ import annotations

import json
import struct

from target import fuzz


def packed(**tensors: tuple[str, list[int], int]) -> bytes:
    """A file with these tensors: dtype, shape, bytes."""
    header, at = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        key = name.replace("__", ".")
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


SEEDS = (
    packed(
        a__weight=("F32", [2, 2], 16), a__bias=("F16", [2], 4), a__b__running_mean=("I8", [0], 0)
    ),
    packed(
        l__qweight=("I32", [1, 4], 16), l__qzeros=("I32", [1, 1], 4), l__scales=("F16", [1, 8], 16)
    ),
    packed(l__weight=("U8", [2, 16], 32), l__weight_scale=("F8_E4M3", [2, 2], 4)),
    packed(l__up_blocks=("U8", [1, 1, 16], 16), l__up_scales=("U8", [1, 1], 1)),
)


if __name__ == "__main__":
    fuzz("safetensors", SEEDS, longest=5000, asked=True)
