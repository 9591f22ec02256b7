"""The containers that Keras keeps a model in: HDF5, and a zip archive with HDF5 in it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from .keras_configs import GOOD, STORED, text

h5py = pytest.importorskip("h5py")


def hdf5(fill: Callable[[Any], None], **options: Any) -> bytes:
    """An HDF5 file as bytes."""
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as root:
        fill(root)
    return file.getvalue()


def weights(root: Any) -> None:
    """What a ``.keras`` stores for the good model; the data are never written."""
    for key, (name, shapes) in STORED.items():
        group = root.create_group(f"layers/{key}/vars")
        group.attrs["name"] = name
        for i, shape in enumerate(shapes):
            group.create_dataset(str(i), shape, "float32")


def legacy(root: Any) -> None:
    """The good model as an older ``.h5``."""
    names = {
        "conv": ("kernel", "bias"),
        "bn": ("gamma", "beta", "moving_mean", "moving_variance"),
        "out": ("kernel", "bias"),
    }
    root.attrs["model_config"] = json.dumps(GOOD)
    group = root.create_group("model_weights")
    group.attrs["layer_names"] = ["conv", "bn", "out"]
    for name, shapes in STORED.values():
        paths = [f"{name}/{own}" for own in names[name]]
        group.create_group(name).attrs["weight_names"] = paths
        for path, shape in zip(paths, shapes, strict=True):
            group[name].create_dataset(path, shape, "float32")


def archive(*members: tuple[str, bytes], packed: bool = False, **options: Any) -> bytes:
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in members:
            made.writestr(name, data)
        made.comment = options.get("comment", b"")
    return file.getvalue()


META, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
PARTS = ((META, b"{}"), (CONFIG, text(GOOD)), (WEIGHTS, hdf5(weights)))
GOOD_ZIP = archive(*PARTS)
GOOD_FILES = {
    "good.json": text(GOOD),
    "good.h5": hdf5(legacy),
    "weights.h5": hdf5(weights),
    "good.keras": GOOD_ZIP,
}
