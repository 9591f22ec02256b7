"""Coverage-guided fuzzing of the ONNX reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_onnx.py -max_total_time=60
"""

from __future__ import annotations

from target import fuzz


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(field << 3) + varint(value)


def piece(field: int, *content: bytes | str) -> bytes:
    """A field that is a string or a message."""
    data = b"".join(c.encode() if isinstance(c, str) else c for c in content)
    return varint(field << 3 | 2) + varint(len(data)) + data


def node(kind: str, takes: str, makes: str, *more: bytes) -> bytes:
    """A node."""
    ins = b"".join(piece(1, v) for v in takes.split())
    return piece(1, ins, b"".join(piece(2, v) for v in makes.split()), piece(4, kind), *more)


def attribute(name: str, *content: bytes) -> bytes:
    """An attribute of a node."""
    return piece(5, piece(1, name), *content)


def tensor(name: str, kind: int, payload: bytes, *sizes: int) -> bytes:
    """An initializer."""
    dims = b"".join(number(1, d) for d in sizes)
    return piece(
        5, dims, number(2, kind), piece(8, name), *([piece(9, payload)] if payload else [])
    )


def info(field: int, name: str, *sizes: int | str) -> bytes:
    """An input, an output or a recorded type."""
    inner = (piece(2, d) if isinstance(d, str) else number(1, d) for d in sizes)
    dims = b"".join(piece(1, d) for d in inner)
    return piece(field, piece(1, name), piece(2, piece(1, number(1, 1), piece(2, dims))))


def model(*content: bytes, more: bytes = b"") -> bytes:
    """A file."""
    return number(1, 10) + piece(8, number(2, 20)) + piece(7, *content) + more


BRANCH = node("Relu", "h", "t") + piece(12, piece(1, "t"))
SEEDS = (
    model(
        node("Conv", "x w b", "c", attribute("pads", *(number(8, 1),) * 4)),
        node("BatchNormalization", "c b b b b", "n"),
        node("MaxPool", "n", "p", attribute("kernel_shape", number(8, 2), number(8, 2))),
        node("Shape", "p", "s"),
        node("Slice", "s zero one", "batch"),
        node("Concat", "batch open", "target", attribute("axis", number(3, 0))),
        node("Reshape", "p target", "f"),
        node("MatMul", "f k", "m"),
        node("Add", "m h", "y"),
        tensor("w", 1, b"", 4, 2, 3, 3),
        tensor("b", 1, bytes(16), 4),
        tensor("k", 1, b"", 64, 5),
        tensor("h", 1, b"", 5),
        tensor("zero", 7, bytes(8), 1),
        tensor("one", 7, b"\x01" + bytes(7), 1),
        tensor("open", 7, b"\xff" * 8, 1),
        info(11, "x", "batch", 2, 8, 8),
        info(12, "y", "batch", 5),
        info(13, "c", "batch", 4, 8, 8),
    ),
    model(
        node("F", "x", "a", piece(7, "f")),
        node("LSTM", "a w r", "l h c", attribute("hidden_size", number(3, 3))),
        node("If", "q", "z", attribute("then_branch", piece(6, BRANCH))),
        node("Split", "h", "u v", attribute("axis", number(3, 2))),
        tensor("w", 1, b"", 1, 12, 6),
        tensor("r", 1, b"", 1, 12, 3),
        tensor("q", 9, b"\x01", 1),
        info(11, "x", 7, "batch", 6),
        piece(12, piece(1, "u")),
        more=piece(25, piece(1, "F"), piece(4, "p"), piece(5, "o"), piece(10, "f"),
                   piece(7, piece(1, "p"), piece(2, "o"), piece(4, "Tanh"))),
    ),
)  # fmt: skip


if __name__ == "__main__":
    fuzz("onnx", SEEDS)
