"""Work during which Python does not look for cycles: there are none, and looking takes half."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage() -> Iterator[None]:
    """Pauses the search for cycles, for what makes many objects that all are kept."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # what was made is old now: not the next thing to look at
                gc.freeze()
                gc.unfreeze()
            gc.enable()
