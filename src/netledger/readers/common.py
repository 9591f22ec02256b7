"""What readers share: a file that is not trusted, opened once and looked at with bounds."""

from __future__ import annotations

import io
import mmap
import os
import re
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from netledger.errors import SpecError
from netledger.formula import symbol
from netledger.graph import BATCH, Shape

HEAD = 4096
"""How many of the first bytes `accepts` may look at."""


class Source:
    """A file or folder that the user named.

    Attributes:
        path: Where it is.
        name: As the user wrote it, for messages.
        size: Its size in bytes; 0 for a folder.
        head: Its first bytes; empty for a folder.
    """

    def __init__(self, name: str, path: Path, size: int, head: bytes) -> None:
        self.name, self.path, self.size, self.head = name, path, size, head
        self._map: mmap.mmap | None = None

    @classmethod
    def open(cls, name: str) -> Self:
        """Looks at the file; nothing but its first bytes is read.

        Raises:
            SpecError: If it is not readable, or neither a file nor a folder.
        """
        path = Path(name)
        try:
            if path.is_dir() or not os.path.lexists(path):
                return cls(name, path, 0, b"")
            if not path.is_file():
                raise SpecError("neither a file nor a folder", where=name)
            with path.open("rb") as file:
                return cls(name, path, os.fstat(file.fileno()).st_size, file.read(HEAD))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SpecError(f"cannot be read: {reason}", where=name) from None

    @property
    def exists(self) -> bool:
        """True if there is such a file or folder."""
        return self.path.exists()

    @property
    def is_folder(self) -> bool:
        """True for a folder."""
        return self.path.is_dir()

    def text(self, limit: int) -> str:
        """The whole file as UTF-8 text.

        Raises:
            SpecError: If it is longer than `limit` bytes, or not UTF-8.
        """
        if self.size > limit:
            raise SpecError(
                f"the file has {self.size:,} bytes; at most {limit:,} are read", where=self.name
            )
        try:
            return self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError(f"not UTF-8 text (byte {error.start:,})", where=self.name) from None

    def view(self) -> mmap.mmap | bytes:
        """The file's bytes, mapped and not read: the size of the weights does not matter."""
        if self._map is None and self.size:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map if self._map is not None else b""

    def stream(self) -> io.BufferedReader:
        """The file, to be read in pieces and closed by the caller."""
        return self.path.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None


def unknown_shape(name: str, rank: int) -> Shape:
    """A shape of which nothing but the number of axes is known: a symbol for each size.

    >>> [str(d) for d in unknown_shape("", 4)], [str(d) for d in unknown_shape("roi", 3)]
    (['N', 'C', 'H', 'W'], ['N', 'roi_C', 'roi_T'])
    """
    letters = {1: "C", 2: "CT", 3: "CHW", 4: "CDHW"}.get(rank - 1, "")
    axes = letters or [f"D{i}" for i in range(1, rank)]
    clean = re.sub(r"\W|^\d", "_", name)
    if clean != name or len(name) > 40:  # two names must not become one
        clean = f"{clean[:40]}_{zlib.crc32(name.encode('utf-8', 'replace')):x}"
    prefix = f"{clean}_" if name else ""
    return (BATCH, *(symbol(prefix + letter) for letter in axes))[:rank]
