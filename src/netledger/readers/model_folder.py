"""A folder with a ``config.json``, and lists of shards: ``model.safetensors.index.json``.

Only files in the folder itself are opened, and each must hold exactly what the list says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netledger.errors import SpecError, quoted
from netledger.graph import Graph
from netledger.inventory import MOST_TENSORS, StoredTensor, inventory, natural
from netledger.inventory.packed import Payload, unpack
from netledger.inventory.safetensors import Header, is_safetensors
from netledger.inventory.torch_file import read_checkpoint
from netledger.readers.common import Source
from netledger.untrusted import read_json

MOST_SHARDS = 2_000
LARGEST_CONFIG = 2**20
LARGEST_INDEX = 64 * 2**20

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE = (
    *("model.safetensors", "pytorch_model.bin"),
    *("adapter_model.safetensors", "adapter_model.bin"),  # LoRA and its like, as PEFT saves them
)
HYPERPARAMETERS = (
    *("num_hidden_layers", "n_layer", "num_layers", "hidden_size", "n_embd", "d_model"),
    *("intermediate_size", "num_attention_heads", "n_head", "num_key_value_heads", "vocab_size"),
)
"""Keys of ``config.json``, in the order in which the title shows them."""


def accepts(source: Source) -> bool:
    """True for a folder with a model in it, and for the list of a model's shards."""
    if source.is_folder:
        return any((source.path / name).is_file() for name in (*_INDEXES, *_SINGLE))
    return source.head.lstrip()[:1] == b"{" and b'"weight_map"' in source.head


def read(source: Source) -> Graph:
    """The tensors of all shards, by module.

    Raises:
        SpecError: If a shard is missing, outside the folder, or not what the list says.
    """
    if not source.is_folder:
        return _listed(source, source.path.parent, source.path.parent.name)
    name = source.path.resolve().name
    for index in _INDEXES:
        if (source.path / index).is_file():
            with _inside(source.path, index) as listed:
                return _listed(listed, source.path, name, source.name)
    single = next(n for n in _SINGLE if (source.path / n).is_file())
    with _inside(source.path, single) as file:
        tensors, payload = _shard(file)
        return _graph(source.name, source.path, name, tensors, payload, 1)


def _listed(source: Source, folder: Path, name: str, shown: str = "") -> Graph:
    data = read_json(source.text(LARGEST_INDEX).encode(), source.name, limit=LARGEST_INDEX)
    places = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(places, dict) or not all(isinstance(v, str) for v in places.values()):
        raise SpecError("weight_map does not say which file each tensor is in", where=source.name)
    if len(places) > MOST_TENSORS:
        raise SpecError(
            f"{len(places):,} tensors; at most {MOST_TENSORS:,} are read", where=source.name
        )
    wanted: dict[str, set[str]] = {}
    for tensor, file in places.items():
        wanted.setdefault(file, set()).add(tensor)
    if len(wanted) > MOST_SHARDS:
        raise SpecError(
            f"{len(wanted):,} shards; at most {MOST_SHARDS:,} are read", where=source.name
        )
    tensors: list[StoredTensor] = []
    small: dict[str, bytes] = {}
    for file, names in wanted.items():
        with _inside(folder, file, source.name) as shard:
            found, payload = _shard(shard)
            _agree(names, {t.name for t in found}, file, source.name)
            for t in found:
                if t.leaf == "weight_shape" or ".quant_state." in t.name:
                    small[t.name] = payload(t.name, 4096) or b""
        tensors += [_in_file(t, file) for t in found]
    return _graph(
        shown or source.name, folder, name, tensors, lambda n, most: small.get(n), len(wanted)
    )


def _in_file(tensor: StoredTensor, file: str) -> StoredTensor:
    """A storage is a file's own: equal places in two files are not the same place."""
    if tensor.storage is None:
        return tensor
    return tensor._replace(storage=(file, tensor.storage))


def _agree(listed: set[str], found: set[str], file: str, where: str) -> None:
    missing, surplus = sorted(listed - found), sorted(found - listed)
    if missing:
        raise SpecError(f"{quoted(missing[0])} is not in {quoted(file)}", where=where)
    if surplus:
        raise SpecError(f"{quoted(surplus[0])} in {quoted(file)} is not listed", where=where)


def _inside(folder: Path, file: str, where: str = "") -> Source:
    """A file of the folder itself, opened.

    A link may lead out of it only to where the cache of the Hugging Face Hub keeps its files:
    ``blobs``, beside the folder's parent.
    """
    plain = file not in ("", ".", "..") and not set("/\\\0:") & set(file)
    if not plain or len(file) > 255:
        raise SpecError(f"{quoted(file)} is no name of a file in the same folder", where=where)
    path = folder / file
    try:
        real = path.resolve(strict=True)
        home = folder.resolve()
    except (OSError, RuntimeError):
        raise SpecError(f"the shard {quoted(file)} is missing", where=where) from None
    if real.parent not in (home, home.parent.parent / "blobs"):
        raise SpecError(f"the shard {quoted(file)} leads out of the folder", where=where)
    return Source.open(str(path))


def _shard(file: Source) -> tuple[list[StoredTensor], Payload]:
    if is_safetensors(file.head):
        header = Header(file.view(), file.name)
        return header.tensors, header.payload
    return read_checkpoint(file.view(), file.name).tensors, lambda name, most: None


def _graph(
    source: str,
    folder: Path,
    name: str,
    tensors: list[StoredTensor],
    payload: Payload,
    shards: int,
) -> Graph:
    config = _config(folder)
    unpacked = unpack(natural(tensors), config, payload)
    files = f"{shards:,} shards" if shards > 1 else "1 file"
    about = ", ".join([*_stated(config), f"{len(unpacked):,} tensors in {files}"])
    return inventory(unpacked, name or "model", about=about, source=source, reader="model_folder")


def _config(folder: Path) -> Mapping[str, Any]:
    if not (folder / "config.json").is_file():
        return {}
    with _inside(folder, "config.json") as file:
        found = read_json(file.text(LARGEST_CONFIG).encode(), file.name, limit=LARGEST_CONFIG)
    return found if isinstance(found, dict) else {}


def _stated(config: Mapping[str, Any]) -> list[str]:
    """What a configuration says: the architecture and its sizes."""
    names = config.get("architectures")
    first = names[0] if isinstance(names, list) and names else config.get("model_type")
    parts = [first[:60]] if isinstance(first, str) else []
    inner = config.get("text_config")
    for section in (config, inner if isinstance(inner, dict) else {}):
        sizes = [
            f"{key} {section[key]}"
            for key in HYPERPARAMETERS
            if isinstance(section.get(key), int) and not isinstance(section[key], bool)
        ]
        if sizes:
            return parts + [size[:60] for size in sizes]
    return parts
