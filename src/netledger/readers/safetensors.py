"""safetensors: a tensor inventory out of the header; the weights are never read."""

from __future__ import annotations

from netledger.graph import Graph
from netledger.inventory import inventory, natural, safetensors
from netledger.inventory.packed import unpack
from netledger.readers.common import Source


def accepts(source: Source) -> bool:
    """True for a length in 8 bytes, and a JSON object."""
    return safetensors.is_safetensors(source.head)


def read(source: Source) -> Graph:
    """The tensors of the file, by module.

    Raises:
        SpecError: If the header is not that of a sound safetensors file.
    """
    header = safetensors.Header(source.view(), source.name)
    tensors = unpack(natural(header.tensors), {}, header.payload)
    about = f"safetensors, {len(tensors):,} tensors"
    return inventory(
        tensors, source.path.stem, about=about, source=source.name, reader="safetensors"
    )
