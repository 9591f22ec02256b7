"""Hostile Keras files: each ends in its own error; mutants end in a ledger or an error.

Everything is made here, by h5py and zipfile or byte by byte.
"""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netledger.readers.keras.hdf5 import Group, read_hdf5
from netledger.untrusted import is_zip, open_zip

h5py = pytest.importorskip("h5py")
numpy = pytest.importorskip("numpy")
MIB = 2**20
Inspect = Callable[..., tuple[str, Any]]


def layer(kind: str, name: str, *feeds: str, **config: Any) -> dict[str, Any]:
    """A layer of Keras 3, called on the first output of each of `feeds`."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": [f, 0, 0]}} for f in feeds
    ]
    return {
        "module": "keras.layers",
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": [{"args": tensors, "kwargs": {}}] if feeds else [],
    }


def start(shape: Any = (None, 8, 8, 3), name: str = "in") -> dict[str, Any]:
    return layer("InputLayer", name, batch_shape=shape)


def functional(*layers: Any, output: str = "out", name: str = "net") -> dict[str, Any]:
    config = {
        "name": name,
        "layers": list(layers),
        "input_layers": [["in", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def one(kind: str, shape: Any = (None, 8, 8, 3), **config: Any) -> dict[str, Any]:
    return functional(start(shape), layer(kind, "out", "in", **config))


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


CONV = {"filters": 4, "kernel_size": [3, 3]}
GOOD = functional(
    start(),
    layer("Conv2D", "conv", "in", activation="relu", **CONV),
    layer("BatchNormalization", "bn", "conv"),
    layer("Flatten", "flat", "bn"),
    layer("Dense", "out", "flat", units=5),
)


def operation(kind: str, name: str, *args: Any, **config: Any) -> dict[str, Any]:
    """An operation of `keras.ops`; text stands for the value of that layer."""
    made = layer(kind, name, "x", **config)
    tensors = [
        layer("x", "x", a)["inbound_nodes"][0]["args"][0] if isinstance(a, str) else a for a in args
    ]
    return {
        **made,
        "module": "keras.src.ops.numpy",
        "inbound_nodes": [{"args": tensors, "kwargs": {}}],
    }


def inner(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "inner", **config}}


SLICE = {"class_name": "__slice__", "config": {"start": None, "stop": 3, "step": None}}
RICH = functional(
    start((None, 6, 8)),
    layer("LSTM", "lstm", "in", units=8, return_sequences=True),
    layer(
        "Bidirectional",
        "both",
        "lstm",
        merge_mode="concat",
        layer=inner("GRU", units=4, reset_after=True, return_sequences=True),
    ),
    layer(
        "Bidirectional",
        "summed",
        "both",
        merge_mode="sum",
        layer=inner("LSTM", units=8, return_sequences=True, return_state=True),
    ),
    layer("RNN", "rnn", "summed", cell=inner("LSTMCell", units=8), return_sequences=True),
    layer("MultiHeadAttention", "heads", "rnn", "both", num_heads=2, key_dim=3),
    layer("Attention", "scores", "heads", "rnn", use_scale=True),
    layer("TimeDistributed", "steps", "scores", layer=inner("Dense", units=8)),
    layer(
        "EinsumDense",
        "einsum",
        "steps",
        equation="abc,cd->abd",
        output_shape=[None, 8],
        bias_axes="d",
    ),
    layer("SpectralNormalization", "spectral", "einsum", layer=inner("Dense", units=8)),
    layer("LayerNormalization", "norm", "spectral", axis=[-1]),
    layer("Normalization", "samples", "norm", axis=-1),
    layer("PReLU", "slopes", "samples", shared_axes=[1]),
    layer("SeparableConv1D", "apart", "slopes", filters=8, kernel_size=3, padding="same"),
    layer(
        "Conv1DTranspose",
        "up",
        "apart",
        filters=8,
        kernel_size=[4],
        strides=2,
        output_padding=1,
        padding="same",
    ),
    layer("Cropping1D", "cut", "up", cropping=[1, 1]),
    layer("ZeroPadding1D", "pad", "cut", padding=1),
    layer("Dot", "dot", "pad", "pad", axes=[2, 2]),
    operation("GetItem", "part", "dot", [SLICE, SLICE, None, 0]),
    operation("ExpandDims", "wide", "part", axis=1),
    operation("Squeeze", "narrow", "wide", axis=1),
    operation("Reshape", "flat", "narrow", newshape=[-1, 3]),
    operation("Split", "halves", "flat", indices_or_sections=3, axis=-1),
    operation("Concatenate", "joined", "halves", axis=-1),
    operation("Transpose", "turned", "part", axes=[0, 2, 1]),
    operation("Mean", "mean", "turned", axis=[1, 2], keepdims=False),
    layer("RepeatVector", "again", "joined", n=3),
    layer("Lambda", "code", "again", output_shape=[3, 1]),
    layer("Flatten", "row", "code"),
    layer("Dense", "out", "row", units=2, activation="softmax"),
)
STORED = {
    "conv2d": ("conv", [(3, 3, 3, 4), (4,)]),
    "batch_normalization": ("bn", [(4,)] * 4),
    "dense": ("out", [(144, 5), (5,)]),
}


def doubling(depth: int) -> dict[str, Any]:
    """A model that calls a model twice, which calls a model twice …"""
    model = one("ReLU")
    for i in range(depth):
        inner = {**model, "name": "m"}
        last = layer("ReLU", "out", "m")
        last["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["m", 1, 0]
        inner["inbound_nodes"] = [
            *layer("x", "m", "in")["inbound_nodes"],
            *layer("x", "m", "m")["inbound_nodes"],
        ]
        model = functional(start(), inner, last, name=f"m{i}")
    return model


def shared_on_two_sizes() -> dict[str, Any]:
    twice = layer("Dense", "out", "in", units=7)
    twice["inbound_nodes"] += layer("x", "out", "out")["inbound_nodes"]
    return functional(start((None, 5)), twice)


def wrong_call(inbound: Any) -> dict[str, Any]:
    bad = layer("ReLU", "out", "in")
    bad["inbound_nodes"] = inbound
    return functional(start(), bad)


HEAD = b'{"class_name": "Sequential", "config": {"name": "n", "layers": '
JSON: dict[str, bytes] = {
    "json_nested_65_deep": HEAD + b"[" * 63 + b"]" * 63 + b"}}",
    "json_nested_a_million_deep": HEAD + b"[" * MIB,
    "json_nan": HEAD + b"[NaN]}}",
    "json_infinity_by_exponent": HEAD + b"[1e999]}}",
    "json_key_twice": HEAD + b'[], "layers": []}}',
    "json_integer_of_5000_digits": HEAD + b"[" + b"9" * 5000 + b"]}}",
    "json_not_utf8": HEAD + b'["\xff"]}}',
    "json_surrogates_as_bytes": HEAD + b'["\xed\xa0\x80"]}}',
    "json_cut_off": text(GOOD)[:-20],
    "json_two_values": text(GOOD) + b"{}",
    "json_quotes_without_end": HEAD + b'["' + b'\\"' * MIB,
    "json_five_million_empty_lists": HEAD + b"[" + b"[]," * (5 * MIB) + b"[]]}}",
    "json_65_mib": HEAD + b"[]}}" + b" " * (65 * MIB),
    "layers_in_a_circle": text(
        functional(start(), layer("Add", "a", "in", "b"), layer("ReLU", "b", "a"), output="b")
    ),
    "layer_fed_by_nothing": text(functional(start(), layer("ReLU", "out", "ghost"))),
    "output_that_is_not_made": text(
        {**GOOD, "config": {**GOOD["config"], "output_layers": [["out", 0, 7]]}}
    ),
    "input_that_is_no_layer": text(
        {**GOOD, "config": {**GOOD["config"], "input_layers": [["ghost", 0, 0]]}}
    ),
    "two_layers_of_one_name": text(
        functional(start(), layer("ReLU", "out", "in"), layer("ReLU", "out", "in"))
    ),
    "models_that_double_14_times": text(doubling(14)),
    "ten_thousand_layers": text(
        {
            "class_name": "Sequential",
            "config": {
                "name": "n",
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "config": {"name": "in", "batch_shape": [None, 4]},
                    },
                    *({"class_name": "ReLU", "config": {"name": f"r{i}"}} for i in range(10_001)),
                ],
            },
        }
    ),
    "shared_layer_on_two_sizes": text(shared_on_two_sizes()),
    "negative_size": text(one("ReLU", [None, -8, 8, 3])),
    "size_zero": text(one("ReLU", [None, 0, 8, 3])),
    "size_true": text(one("ReLU", [None, True, 8, 3])),
    "size_beyond_int64": text(one("ReLU", [None, 2**63, 8, 3])),
    "size_as_text": text(one("ReLU", [None, "8", 8, 3])),
    "rank_1000": text(one("ReLU", [None] * 1000)),
    "kernel_of_a_thousand_axes": text(one("Conv2D", filters=4, kernel_size=[3] * 1000)),
    "kernel_as_float": text(one("Conv2D", filters=4, kernel_size=3.0)),
    "kernel_missing": text(one("Conv2D", filters=4)),
    "units_as_text": text(one("Dense", units="4; import os")),
    "padding_unknown": text(one("Conv2D", padding="__import__('os')", **CONV)),
    "groups_do_not_divide": text(one("Conv2D", groups=2, **CONV)),
    "window_too_large": text(one("MaxPooling2D", pool_size=9)),
    "repeat_by_2_to_the_64": text(one("RepeatVector", [None, 4], n=2**64)),
    "call_that_is_text": text(wrong_call(["in"])),
    "calls_that_are_a_number": text(wrong_call(3)),
    "history_that_is_text": text(
        wrong_call(
            [
                {
                    "args": [{"class_name": "__keras_tensor__", "config": {"keras_history": "in"}}],
                    "kwargs": {},
                }
            ]
        )
    ),
    "class_name_that_is_a_list": text(
        functional(start(), {**layer("ReLU", "out", "in"), "class_name": []})
    ),
    "config_that_is_text": text(
        functional(start(), {**layer("ReLU", "out", "in"), "config": "os.system"})
    ),
    "layer_that_is_a_number": text(functional(start(), 3)),
    "no_input_shape": text(
        {
            "class_name": "Sequential",
            "config": {
                "name": "n",
                "layers": [{"class_name": "Dense", "config": {"name": "d", "units": 3}}],
            },
        }
    ),
    "no_layers_and_no_weights": b'{"class_name": "Own", "config": {"units": 3}}',
    "wrapped_layer_missing": text(one("TimeDistributed", layer=None)),
    "einsum_of_code": text(one("EinsumDense", equation="__import__('os')", output_shape=[4])),
    "merge_of_sizes_that_differ": text(
        functional(
            start(),
            layer("Flatten", "f", "in"),
            layer("Dense", "d", "f", units=3),
            layer("Add", "out", "f", "d"),
        )
    ),
}


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
    **{name: (f"{name}.json", data) for name, data in JSON.items()},
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


ATTACKS = {
    "lambda": layer(
        "Lambda",
        "out",
        "in",
        function={
            "class_name": "__lambda__",
            "config": {"code": "4wEAAAAAAAAAAAAAAAIAAAADAAAA8w=="},
        },
    ),
    "module": {**layer("system", "out", "in", command="touch MARK"), "module": "os"},
    "registered": {**layer("Dense", "out", "in", units=3), "registered_name": "Own>Dense"},
    "function": layer(
        "Dense",
        "out",
        "in",
        units=3,
        activation={
            "module": "builtins",
            "class_name": "function",
            "config": "eval",
            "registered_name": "function",
        },
    ),
    "tensorflow": layer("TFOpLambda", "out", "in", function="io.write_file"),
    "getfile": {
        **layer("get_file", "out", "in", origin="file:///etc/passwd"),
        "module": "keras.utils",
    },
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_could_be_run_is_not_run(name: str, tmp_path: Path, inspect_file: Inspect) -> None:
    """CVE-2025-1550, -8747, -9905, -9906 and their like: such a layer is unknown, no more."""
    path = tmp_path / "attack.json"
    path.write_bytes(text(functional(start(), ATTACKS[name])))
    verdict, ledger = inspect_file(path)
    assert verdict == "ledger"
    assert not ledger.totals.complete
    assert list(tmp_path.iterdir()) == [path]


GOOD_FILES = {
    "good.json": text(GOOD),
    "good.h5": hdf5(legacy),
    "weights.h5": hdf5(weights),
    "good.keras": GOOD_ZIP,
}
NASTY = (
    None,
    True,
    -1,
    0,
    1,
    3.5,
    2**31,
    2**63,
    2**64,
    "",
    "x" * 300,
    "same",
    [],
    {},
    [[]],
    "\u202e",
)


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Files with one to three things changed, where the structure is."""
    choose = random.Random(seed)
    for i in range(count):
        kind = choose.choice(("json", "h5", "weights.h5", "keras"))
        if kind == "json":
            yield f"{i}.json", text(changed(choose, json.loads(text(choose.choice((GOOD, RICH))))))
        elif kind == "keras":
            yield f"{i}.keras", changed_zip(choose)
        else:
            data = GOOD_FILES["good.h5" if kind == "h5" else "weights.h5"]
            yield f"{i}.{kind}", changed_bytes(choose, data, words=True)


def changed(choose: random.Random, value: Any) -> Any:
    """The same JSON, with a few values replaced, dropped, moved or doubled."""
    for _ in range(choose.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        todo = [value]
        while todo:
            one = todo.pop()
            inner = one.items() if isinstance(one, dict) else enumerate(one)
            for key, child in list(inner):
                places.append((one, key))
                if isinstance(child, dict | list):
                    todo.append(child)
        holder, key = choose.choice(places)
        other, other_key = choose.choice(places)
        action = choose.randrange(4)
        if action == 0:
            holder[key] = choose.choice(NASTY)
        elif action == 1:
            holder[key] = json.loads(json.dumps(other[other_key]))
        elif action == 2:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        else:
            holder[choose.choice(("name", "units", "axis", "strides"))] = holder.pop(key)
        if not value.get("class_name"):
            value["class_name"] = "Functional"
    return value


def changed_bytes(choose: random.Random, data: bytes, words: bool) -> bytes:
    """The same bytes, with a few numbers replaced."""
    for _ in range(choose.randint(1, 3)):
        size = choose.choice((1, 2, 4, 8) if words else (1, 2, 4))
        at = choose.randrange(12, len(data) - size) // size * size
        new = choose.choice((0, 1, 2**63, 2**64 - 1, len(data), at, choose.randrange(len(data))))
        old = data[at : at + size]
        value = (
            bytes([old[0] ^ (1 << choose.randrange(8))])
            if size == 1
            else (new % 256**size).to_bytes(size, "little")
        )
        data = data[:at] + value + data[at + size :]
    return data


def changed_zip(choose: random.Random) -> bytes:
    """The same archive, with a part of it or the archive itself changed."""
    part = choose.randrange(4)
    if part == 0:
        return archive(PARTS[0], (CONFIG, text(changed(choose, json.loads(text(GOOD))))), PARTS[2])
    if part == 1:
        return archive(*PARTS[:2], (WEIGHTS, changed_bytes(choose, PARTS[2][1], words=True)))
    if part == 2:
        parts = dict(choose.choice(PARTS) for _ in range(3))
        return archive(*parts.items())
    head = GOOD_ZIP.index(b"PK\1\2")
    return GOOD_ZIP[:head] + changed_bytes(choose, GOOD_ZIP[head:], words=False)


ORACLE = """
import h5py, io, json, sys, zipfile
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    if data[:2] == b"PK":
        data = zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5")
    found = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(lambda name, o: found.update({name: o.shape})
                        if isinstance(o, h5py.Dataset) else None)
    print(json.dumps([path, found]), flush=True)
"""


def h5py_says(paths: list[Path]) -> dict[str, dict[str, list[int]]]:
    """The shapes of all datasets, by h5py in a process of its own, which may crash."""
    said: dict[str, dict[str, list[int]]] = {}
    left = [str(path) for path in paths]
    while left:
        run = subprocess.run([sys.executable, "-c", ORACLE, *left], capture_output=True, text=True)
        for line in run.stdout.splitlines():
            path, found = json.loads(line)
            said[path] = found
            left.remove(path)
        left = left[1:]  # the one that h5py refused, or that ended it
    return said


def test_a_thousand_mutants(tmp_path: Path, inspect_file: Inspect) -> None:
    """Each is a ledger or an error; what is accepted, h5py reads just so."""
    accepted: dict[str, list[Path]] = {"json": [], "h5": [], "keras": []}
    for name, data in mutants(seed=2012, count=1000):
        path = tmp_path / name
        path.write_bytes(data)
        verdict, _ = inspect_file(path)
        if verdict == "ledger":
            accepted[name.rpartition(".")[2]].append(path)
        else:
            path.unlink()
    assert all(len(paths) > 20 for paths in accepted.values()), accepted
    stored = accepted["h5"] + [
        p for p in accepted["keras"] if b"model.weights.h5" in p.read_bytes()
    ]
    said = h5py_says(stored)
    # The others it refuses, for parts of the format from which no shape follows.
    assert len(said) > 0.8 * len(stored)
    for path in stored:
        if str(path) in said:
            assert ours(path) == {k: tuple(v) for k, v in said[str(path)].items()}, path


def ours(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all datasets, as the reader sees them."""
    data, at, size = path.read_bytes(), 0, None
    if is_zip(data):
        member = open_zip(data, path.name).members[WEIGHTS]
        at, size = member.start, member.size
    return dict(datasets(read_hdf5(data, path.name, at, size), ""))


def datasets(group: Group, path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, member in group.members.items():
        if isinstance(member, Group):
            yield from datasets(member, f"{path}{name}/")
        else:
            yield path + name, member.shape
