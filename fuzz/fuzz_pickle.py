"""Coverage-guided fuzzing of the walk over pickles: a ledger or a NetledgerError, nothing else.

The input is the pickle itself; the archive around it is made here.

Run: python fuzz/fuzz_pickle.py -max_total_time=60
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

from target import fuzz

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."


def text(value: str) -> bytes:
    """A text in a pickle."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(("
    + b"".join((text("storage"), b"ctorch\nFloatStorage\n", text("0"), text("cpu")))
    + b"K\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89NtR"
)
MODULE = (
    b"\x80\x02ctorch.nn\nLinear\n)\x81}("
    + b"".join((text("_parameters"), b"}", text("weight"), TENSOR, b"s"))
    + b"".join((text("_buffers"), b"}", text("_modules"), b"}ub."))
)
STATE = b"\x80\x02}(" + text("a.weight") + TENSOR + text("b") + b"h\x00u."
SEEDS = (
    b"\x80\x02}(" + text("a.weight") + TENSOR + b"u.",
    STATE,
    MODULE,
    pickle.dumps({"a": [1, 2.5, None, True, b"x", (1, 2), {3}], "b": OrderedDict(c=2**70)}),
    pickle.dumps([OrderedDict(), ValueError, "x" * 300], protocol=0),
)


def archive(pickled: bytes) -> bytes:
    """A file of torch.save around a pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("m/data.pkl", pickled)
        file.writestr("m/data/0", bytes(16))
    return out.getvalue()


if __name__ == "__main__":
    fuzz("torch_pickle", SEEDS, longest=2000, wraps=(archive, lambda data: LEGACY + data))
