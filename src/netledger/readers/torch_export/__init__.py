"""torch.export's ``.pt2``: the full graph from its JSON; torch is not needed and not asked."""

from __future__ import annotations

from typing import Any

from netledger.errors import SpecError
from netledger.graph import Graph
from netledger.readers.common import Source
from netledger.readers.torch_export.build import Translation
from netledger.readers.torch_export.program import Program
from netledger.untrusted import Archive, is_zip, open_zip, read_json

LARGEST_PROGRAM = 64 * 2**20
TAIL = 1 << 20
_GRAPH, _WEIGHTS = "/models/model.json", "/data/weights/model_weights_config.json"


def accepts(source: Source) -> bool:
    """True for an archive with a model in JSON, as torch.export.save writes it."""
    return is_zip(source.head) and b"/models/" in source.view()[-TAIL:]


def read(source: Source) -> Graph:
    """The graph of the program.

    Raises:
        SpecError: If it is no sound archive of torch.export.
    """
    archive = open_zip(source.view(), source.name)
    name = _member(archive, _GRAPH, source.name)
    where = f"{source.name}: {name}"
    root = read_json(archive.read(name, limit=LARGEST_PROGRAM), where, limit=LARGEST_PROGRAM)
    places = _places(archive, source.name)
    try:
        program = Program(root)
        made = Translation(program, places)
    except SpecError as error:
        raise error.at(where=where) from None
    return Graph(
        source.path.stem,
        program.inputs,
        tuple(made.nodes),
        made.outputs,
        made.ties,
        title=_title(root),
        source=source.name,
        reader="torch_export",
        calls=tuple(made.calls.found),
        homes=made.homes,
    )


def _member(archive: Archive, ending: str, where: str) -> str:
    found = [name for name in archive if name.count("/") == 2 and name.endswith(ending)]
    if len(found) != 1:
        others = [name for name in archive if "/models/" in name]
        raise SpecError(
            f"the archive has {len(others)} models; one called model.json is read", where=where
        )
    return found[0]


def _places(archive: Archive, where: str) -> dict[str, str]:
    """Where each stored tensor is kept; tensors at one place, seen alike, are one and the same."""
    names = [name for name in archive if name.endswith(_WEIGHTS)]
    if len(names) != 1:
        return {}
    found = read_json(archive.read(names[0], limit=LARGEST_PROGRAM), f"{where}: {names[0]}")
    config = found.get("config") if isinstance(found, dict) else None
    places: dict[str, str] = {}
    for name, entry in config.items() if isinstance(config, dict) else ():
        meta = entry.get("tensor_meta") if isinstance(entry, dict) else None
        device = meta.get("device") if isinstance(meta, dict) else None
        kept = isinstance(device, dict) and device.get("type") != "meta"  # those have no place
        if kept and isinstance(meta, dict) and isinstance(entry.get("path_name"), str):
            view = [meta.get(key) for key in ("sizes", "strides", "storage_offset")]
            places[name] = f"{entry['path_name']} {view}"
    return places


def _title(root: Any) -> str:
    version = root.get("torch_version")
    known = isinstance(version, str) and version.isprintable() and len(version) < 40
    return f"torch.export, written by PyTorch {version}" if known else "torch.export"
