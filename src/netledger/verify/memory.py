"""How much memory a run will take, how much there is, how much it took."""

from __future__ import annotations

import os

from netledger.errors import BuildError
from netledger.graph import DTYPE_BITS
from netledger.ledger import Ledger

COPIES = {"torch": (2, 2), "keras": (2, 2), "jax": (3, 2), "onnx": (3, 1)}
"""How often a framework holds the parameters and the activations.

Each parameter has a gradient, and so has each activation while the backward pass runs. JAX makes a
second copy of the parameters while it differentiates; ONNX Runtime reads a file that is there too,
serialised.
"""


def needed(ledger: Ledger, target: str) -> int:
    """Bytes that building and running a network takes, for the batch of the ledger."""
    stored, made = COPIES[target]
    activations = 0
    for row in ledger.ops:
        for t in row.outputs:
            count = 1
            for d in t.shape:
                count *= int(d)  # type: ignore[arg-type]
            activations += count * DTYPE_BITS.get(t.dtype, 32) // 8
    return stored * int(ledger.totals.bytes) + made * activations


def available() -> int | None:
    """Bytes of memory that can be had; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def check(ledger: Ledger, target: str) -> None:
    """Refuses a run that would not fit, before anything is allocated.

    Raises:
        BuildError: With what it takes and what there is.
    """
    wanted, there = needed(ledger, target), available()
    if there is not None and wanted > there:
        raise BuildError(
            f"a run in {target} takes about {gigabytes(wanted)}, and {gigabytes(there)} are "
            "available; nothing was built",
            where=ledger.graph.name,
            hint="verify it with a smaller --input, or in one framework at a time",
        )


def gigabytes(count: int) -> str:
    """Bytes for people: ``1.25 GB``."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def forget_peak() -> None:
    """Begins to measure the peak anew, where the system can."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def peak() -> int | None:
    """The most bytes that the process held since `forget_peak`."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
