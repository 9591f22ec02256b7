"""PyTorch ``.pt``, ``.pth``, ``.bin``: a tensor inventory; the pickle is walked, never loaded."""

from __future__ import annotations

from netledger.graph import Graph
from netledger.inventory import inventory
from netledger.inventory.packed import unpack
from netledger.inventory.torch_file import is_pickle, is_torch_zip, read_checkpoint
from netledger.readers.common import Source

TAIL = 65_536


def accepts(source: Source) -> bool:
    """True for an archive with a ``data.pkl``, and for a bare pickle."""
    if is_pickle(source.head):
        return True
    tail = source.view()[-TAIL:] if source.head.startswith(b"PK") else b""
    return is_torch_zip(source.head, tail)


def read(source: Source) -> Graph:
    """The tensors of the file, by module, in its order.

    Raises:
        SpecError: If it is no sound file of torch.save.
    """
    checkpoint = read_checkpoint(source.view(), source.name)
    tensors = unpack(checkpoint.tensors, {}, lambda name, most: None)
    about = "; ".join([f"PyTorch, {len(tensors):,} tensors", *checkpoint.notes])
    return inventory(
        tensors, source.path.stem, about=about, source=source.name, reader="torch_pickle"
    )
