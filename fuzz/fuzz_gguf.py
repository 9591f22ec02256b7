"""Coverage-guided fuzzing of the GGUF reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_gguf.py -max_total_time=60
"""

from __future__ import annotations

import struct

from target import fuzz


def text(value: bytes) -> bytes:
    """A text as GGUF keeps it."""
    return struct.pack("<Q", len(value)) + value


def file() -> bytes:
    """Two tensors, and a value of every kind."""
    pairs = [
        (b"general.architecture", 8, text(b"llama")),
        (b"llama.block_count", 4, struct.pack("<I", 2)),
        (b"general.file_type", 4, struct.pack("<I", 15)),
        (b"k.bool", 7, b"\x01"),
        (b"k.float", 12, struct.pack("<d", 0.5)),
        (b"k.texts", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"b")),
        (b"k.numbers", 9, struct.pack("<IQ", 1, 3) + b"abc"),
        (b"k.nested", 9, struct.pack("<IQIQ", 9, 1, 4, 1) + struct.pack("<I", 7)),
    ]
    tensors = [(b"a.weight", (32, 2), 2, 0), (b"a.bias", (2,), 0, 64)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack("<I", kind) + value
    for name, dims, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    return head + bytes(-len(head) % 32) + bytes(72)


if __name__ == "__main__":
    fuzz("gguf", (file(),), longest=5000, asked=True)
