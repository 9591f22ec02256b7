"""Hostile HDF5 files and archives of Keras: each ends in its own error."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .keras_configs import GOOD, RICH, one, text
from .keras_containers import (
    CONFIG,
    GOOD_FILES,
    GOOD_ZIP,
    META,
    PARTS,
    WEIGHTS,
    archive,
    h5py,
    hdf5,
    legacy,
    weights,
)

numpy = pytest.importorskip("numpy")
MIB = 2**20
Inspect = Callable[..., tuple[str, Any]]


def with_config(config: bytes) -> Callable[[Any], None]:
    def fill(root: Any) -> None:
        legacy(root)
        root.attrs["model_config"] = config

    return fill


def replaced(path: str, make: Callable[[Any, str], None]) -> Callable[[Any], None]:
    """The good weights, with something else in one place."""

    def fill(root: Any) -> None:
        weights(root)
        parent, _, name = path.rpartition("/")
        del root[path]
        make(root[parent], name)

    return fill


def put(value: Any) -> Callable[[Any, str], None]:
    return lambda group, name: group.__setitem__(name, value)


def external_storage(group: Any, name: str) -> None:
    group.create_dataset(name, (5,), "float32", external=[("/etc/passwd", 0, 20)])


def virtual(group: Any, name: str) -> None:
    layout = h5py.VirtualLayout((5,), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", (5,))
    group.create_virtual_dataset(name, layout)


def circle(root: Any) -> None:
    weights(root)
    root["layers/again"] = root["layers"]


def alias(root: Any) -> None:
    weights(root)
    root["layers/dense/vars/2"] = root["layers/dense/vars/1"]


def deep(root: Any) -> None:
    root.create_group("/".join("g" * 100))


def named_type(group: Any, name: str) -> None:
    group["type"] = numpy.dtype("float32")
    group.create_dataset(name, (5,), group["type"])


def listed_but_missing(root: Any) -> None:
    legacy(root)
    del root["model_weights/out/out/bias"]


def wide(root: Any) -> None:
    weights(root)
    root.create_dataset("layers/dense/vars/9", (2**62, 2**62), "float32", chunks=(1, 1))


LAST = "layers/dense/vars/1"
HDF5: dict[str, bytes] = {
    "hdf5_external_link": hdf5(replaced(LAST, put(h5py.ExternalLink("/etc/passwd", "/x")))),
    "hdf5_soft_link": hdf5(replaced(LAST, put(h5py.SoftLink("/layers/conv2d/vars/1")))),
    "hdf5_external_storage": hdf5(replaced(LAST, external_storage)),
    "hdf5_virtual_dataset": hdf5(replaced(LAST, virtual)),
    "hdf5_groups_in_a_circle": hdf5(circle),
    "hdf5_dataset_linked_twice": hdf5(alias),
    "hdf5_groups_100_deep": hdf5(deep),
    "hdf5_type_that_stands_elsewhere": hdf5(replaced(LAST, named_type)),
    "hdf5_latest_layout": hdf5(weights, libver="latest"),
    "hdf5_user_block": hdf5(weights, userblock_size=512),
    "hdf5_cut_off": hdf5(weights)[:-2000],
    "hdf5_only_the_signature": b"\x89HDF\r\n\x1a\n",
    "hdf5_nothing_in_it": hdf5(lambda root: None),
    "hdf5_weights_listed_but_missing": hdf5(listed_but_missing),
    "hdf5_config_is_no_json": hdf5(with_config(b"os.system('true')")),
    "hdf5_config_is_not_utf8": hdf5(with_config(b'{"class_name": "\xff"}')),
    "hdf5_config_with_a_key_twice": hdf5(with_config(b'{"class_name": 1, "class_name": 2}')),
    "hdf5_config_is_a_list": hdf5(with_config(b"[]")),
    "hdf5_addresses_of_4_bytes": hdf5(weights)[:13] + b"\4\4" + hdf5(weights)[15:],
    "hdf5_root_outside_the_file": hdf5(weights)[:64] + b"\xff" * 8 + hdf5(weights)[72:],
    "hdf5_root_is_the_superblock": hdf5(weights)[:64] + b"\0" * 8 + hdf5(weights)[72:],
}


def central(data: bytes, index: int) -> int:
    """Where an entry of the directory begins."""
    at = data.index(b"PK\1\2")
    for _ in range(index):
        at = data.index(b"PK\1\2", at + 4)
    return at


def patched(data: bytes, at: int, layout: str, *values: int) -> bytes:
    new = struct.pack(layout, *values)
    return data[:at] + new + data[at + len(new) :]


def overlapping() -> bytes:
    """The second entry points into the first member, where a header just like its own stands."""
    second = archive((CONFIG, b"{}"))
    inside = second[: second.index(b"PK\1\2")]
    made = archive((META, inside), (CONFIG, b"{}"))
    return patched(made, central(made, 1) + 42, "<L", made.index(inside))


def gap() -> bytes:
    """Bytes between two members that no entry describes."""
    at = GOOD_ZIP.index(b"PK\3\4", 4)
    made = GOOD_ZIP[:at] + b"\0" * 10 + GOOD_ZIP[at:]
    for i in (1, 2):
        place = central(made, i) + 42
        made = patched(made, place, "<L", struct.unpack_from("<L", made, place)[0] + 10)
    end = made.rindex(b"PK\5\6") + 16
    return patched(made, end, "<L", struct.unpack_from("<L", made, end)[0] + 10)


def duplicate() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        return archive(*PARTS, (CONFIG, text(one("ReLU"))))


ZIP: dict[str, bytes | Callable[[], bytes]] = {
    "zip_two_configs": duplicate,
    "zip_overlapping_members": overlapping,
    "zip_gap_between_members": gap,
    "zip_comment": archive(*PARTS, comment=b"hello"),
    "zip_bytes_behind": GOOD_ZIP + b"\0",
    "zip_cut_off": GOOD_ZIP[:-1],
    "zip_bytes_before": b"PK\3\4" + b"\0" * 26 + b"config.json" + GOOD_ZIP,
    "zip_name_differs_in_directory": GOOD_ZIP.replace(b"metadata.json", b"config.jsonXX", 1),
    "zip_size_differs_in_directory": patched(GOOD_ZIP, 22, "<L", 1),
    "zip_method_unknown": patched(
        patched(GOOD_ZIP, 8, "<H", 99), central(GOOD_ZIP, 0) + 10, "<H", 99
    ),
    "zip_encrypted": patched(GOOD_ZIP, central(GOOD_ZIP, 0) + 8, "<H", 1),
    "zip_checksum_wrong": GOOD_ZIP.replace(b'"Conv2D"', b'"Conv3D"'),
    "zip_bomb": archive((CONFIG, b" " * (50 * MIB)), packed=True),
    "zip_config_of_65_mib": archive((CONFIG, text(GOOD) + b" " * (65 * MIB))),
    "zip_10001_members": archive((CONFIG, text(GOOD)), *((f"a{i}", b"") for i in range(10_000))),
    "zip_no_config": archive((META, b"{}")),
    "zip_compressed_weights": archive(*PARTS, packed=True),
    "zip_weights_are_no_hdf5": archive(*PARTS[:2], (WEIGHTS, b"hello, world" * 10)),
    "zip_config_is_a_list": archive((CONFIG, b"[]")),
    "zip_config_is_nested_deep": archive((CONFIG, b"[" * 100_000)),
    "zip_directory_elsewhere": patched(GOOD_ZIP, len(GOOD_ZIP) - 6, "<L", 7),
    "zip_more_entries_than_there_are": patched(GOOD_ZIP, len(GOOD_ZIP) - 14, "<HH", 9, 9),
    "zip_several_disks": patched(GOOD_ZIP, len(GOOD_ZIP) - 18, "<H", 1),
}
FILES: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    **{name: (f"{name}.h5", data) for name, data in HDF5.items()},
    **{name: (f"{name}.keras", data) for name, data in ZIP.items()},
}


@pytest.mark.parametrize("name", FILES)
def test_each_hostile_file_ends_in_its_own_error(
    name: str, tmp_path: Path, refused: Callable[[str, Path], None]
) -> None:
    file, data = FILES[name]
    path = tmp_path / file
    path.write_bytes(data() if callable(data) else data)
    refused(name, path)


def test_the_good_files_are_good(tmp_path: Path, inspect_file: Inspect) -> None:
    """What is spoilt above and below is fine as long as it is not spoilt."""
    (tmp_path / "rich.json").write_bytes(text(RICH))
    verdict, ledger = inspect_file(tmp_path / "rich.json")
    assert verdict == "ledger" and len(ledger.ops) > 40
    for file, data in GOOD_FILES.items():
        (tmp_path / file).write_bytes(data)
        verdict, ledger = inspect_file(tmp_path / file)
        assert verdict == "ledger" and not ledger.findings
        assert ledger.totals.params == 112 + 8 + 725


def test_sizes_beyond_every_integer_are_exact(tmp_path: Path, inspect_file: Inspect) -> None:
    path = tmp_path / "wide.h5"
    path.write_bytes(hdf5(wide))
    assert inspect_file(path)[1].totals.params == 112 + 8 + 725 + 2**124
