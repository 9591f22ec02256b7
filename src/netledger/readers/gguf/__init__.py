"""GGUF: a tensor inventory, with the hyperparameters that the header states."""

from __future__ import annotations

from typing import Any

from netledger.errors import SpecError
from netledger.graph import BUFFER, DTYPE_BITS, Graph
from netledger.inventory import StoredTensor, inventory
from netledger.readers.common import Source
from netledger.readers.gguf.header import MAGIC, Header, Info, LongArray
from netledger.readers.gguf.types import MIXTURES, TYPES

HYPERPARAMETERS = (
    *("block_count", "embedding_length", "feed_forward_length"),
    *("attention.head_count", "attention.head_count_kv", "expert_count", "expert_used_count"),
    *("context_length", "vocab_size"),
)
"""Keys below the architecture's name, in the order in which the title shows them."""

_CONSTANTS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Tensors that are computed when a file is converted: not learned."""


def accepts(source: Source) -> bool:
    """True for the letters GGUF."""
    return source.head.startswith(MAGIC)


def read(source: Source) -> Graph:
    """The tensors of the file, by module, in its order.

    Raises:
        SpecError: If the header is not that of a sound GGUF file.
    """
    try:
        header = Header(source.view())
    except SpecError as error:
        raise error.at(where=source.name) from None
    tensors = [_stored(info) for info in header.tensors]
    return inventory(
        tensors, source.path.stem, about=about(header), source=source.name, reader="gguf"
    )


def _stored(info: Info) -> StoredTensor:
    name = TYPES[info.type][0]
    packed = "" if name in DTYPE_BITS else name
    constant = info.name in _CONSTANTS
    return StoredTensor(
        info.name,
        info.dims[::-1],
        name.lower(),
        info.nbytes if packed else None,
        role=BUFFER if constant else "",
        kind=packed,
    )


def about(header: Header) -> str:
    """One line of what the header says: ``GGUF 3: llama, Q4_K_M, block_count 32, …``."""
    values = header.values
    architecture = values.get("general.architecture")
    kind = values.get("general.file_type")
    parts = [short(architecture)] if isinstance(architecture, str) else []
    if type(kind) is int and kind in MIXTURES:
        parts.append(MIXTURES[kind])
    for key in HYPERPARAMETERS:
        value = values.get(f"{architecture}.{key}")
        if value is not None:
            parts.append(f"{key} {short(value)}")
    tokens = values.get("tokenizer.ggml.tokens")
    if tokens is not None and f"{architecture}.vocab_size" not in values:
        parts.append(f"{length(tokens):,} tokens")
    order = ", big-endian" if header.big_endian else ""
    return f"GGUF {header.version}{order}: {', '.join(parts) or 'nothing stated'}"


def short(value: Any) -> str:
    """A value in a few characters."""
    if isinstance(value, list):
        shown = ", ".join(dict.fromkeys(map(short, value)))
        return shown if len(shown) <= 40 else f"{shown[:40]}…"
    if isinstance(value, LongArray):
        return f"({value.length:,} values)"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def length(value: Any) -> int:
    """How many items an array has."""
    return value.length if isinstance(value, LongArray) else len(value) if value else 0
