"""Coverage-guided fuzzing of the Keras reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_keras.py -max_total_time=60
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py
from target import fuzz

LAYERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "activation": "relu"}),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "padding": "same"}),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1}),
    ("BatchNormalization", {"axis": -1}),
    ("Cropping2D", {"cropping": [[1, 1], [1, 1]]}),
    ("PReLU", {"shared_axes": [1, 2]}),
    ("Reshape", {"target_shape": [-1, 4]}),
    ("LSTM", {"units": 4, "return_sequences": True}),
    ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {"units": 4}}}),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": [None, 4], "bias_axes": "d"}),
    ("Lambda", {"output_shape": [4]}),
    ("Dense", {"units": 2}),
)


def config() -> bytes:
    """A model with some of everything."""
    start = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 9, 9, 3]}}
    layers = [
        {"class_name": k, "config": {"name": f"l{i}", **c}} for i, (k, c) in enumerate(LAYERS)
    ]
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [start, *layers]}}
    return json.dumps(model).encode()


def hdf5(legacy: bool) -> bytes:
    """Weights in one of the two layouts."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        if legacy:
            root.attrs["model_config"] = config()
            group = root.create_group("model_weights/l0")
            group.attrs["weight_names"] = ["l0/kernel:0"]
            group.create_dataset("l0/kernel:0", (3, 3, 3, 4), "float32")
        else:
            group = root.create_group("layers/conv2d/vars")
            group.attrs["name"] = "l0"
            group.create_dataset("0", (3, 3, 3, 4), "float32")
    return file.getvalue()


def archive() -> bytes:
    """A ``.keras``."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("config.json", config())
        made.writestr("model.weights.h5", hdf5(legacy=False))
    return file.getvalue()


if __name__ == "__main__":
    seeds = (config(), hdf5(legacy=True), hdf5(legacy=False), archive())
    fuzz("keras", seeds, longest=20_000, asked=True)
