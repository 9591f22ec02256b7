"""Keras files against Keras itself: every output shape and every count of parameters."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger
from netledger.graph import BATCH

os.environ.setdefault("KERAS_BACKEND", "torch")
FORMATS = ("json", "keras", "h5")
Save = Callable[[Any, str], Path]

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # Keras' own warnings, about formats and deprecations
]


@pytest.fixture(scope="module")
def keras() -> Any:
    logging.getLogger("absl").setLevel(logging.ERROR)  # it advises against .h5
    return pytest.importorskip("keras")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves a model in a format, and says where."""
    return partial(save_in, tmp_path)


def save_in(folder: Path, model: Any, format: str) -> Path:
    path = folder / f"model.{format}"
    if format == "json":
        path.write_text(model.to_json())
    else:
        model.save(path)
    return path


def layers_of(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer of a model and of the models in it, by path."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers_of(layer, f"{path}{layer.name}/")
        else:
            yield path + layer.name, layer


def agree(ledger: Ledger, model: Any) -> int:
    """Holds a ledger against what Keras says of each layer and of the whole; how many layers."""
    assert not ledger.findings, ledger.findings
    by_path: dict[str, list[Any]] = {}
    for row in ledger.ops:
        by_path.setdefault(row.source.rpartition(": ")[2], []).append(row)
    seen = 0
    for path, layer in layers_of(model):
        if type(layer).__name__ == "InputLayer":
            continue
        rows = by_path[path]
        assert sum(row.params + row.buffers for row in rows) == layer.count_params(), path
        made = [row.outputs[0].shape for row in rows if not row.name.endswith(SIDE)]
        assert same(made[-1], layer.output.shape), path
        seen += 1
    totals = ledger.totals
    assert totals.complete or any(row.unknown.get("macs") for row in ledger.ops)
    assert totals.params + totals.buffers == model.count_params()
    assert totals.trainable == sum(prod(w.shape) for w in model.trainable_weights)
    return seen


SIDE = (".count", ".vector", ".scale", "_stddev", "_mean")
"""Nodes that hold a tensor beside the layer's own."""


def same(ours: tuple[Any, ...], theirs: Any) -> bool:
    """True if the shapes are equal; Keras says None for what it has not worked out."""
    return len(ours) == len(theirs) and all(
        t is None or (isinstance(o, int) and o == t) for o, t in zip(ours, theirs, strict=True)
    )


MAP, SEQUENCE, VOLUME = (13, 11, 6), (7, 6), (9, 8, 7, 4)
Case = tuple[tuple[int | None, ...], str, dict[str, Any]]
"""An input shape, a layer, its hyperparameters."""


def cases() -> Iterator[Case]:
    for n, x in ((1, SEQUENCE), (2, MAP), (3, VOLUME)):
        yield from windows(n, x)
        for kind in ("Max", "Average"):
            yield x, f"Global{kind}Pooling{n}D", {}
            yield x, f"Global{kind}Pooling{n}D", {"keepdims": True}
            yield x, f"Adaptive{kind}Pooling{n}D", {"output_size": 2}
        yield x, f"ZeroPadding{n}D", {"padding": 2}
        yield x, f"Cropping{n}D", {"cropping": 1}
        yield x, f"UpSampling{n}D", {"size": 2}
    yield SEQUENCE, "Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}
    yield MAP, "Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3, "use_bias": False}
    yield MAP, "ZeroPadding2D", {"padding": ((1, 2), (3, 0))}
    yield SEQUENCE, "ZeroPadding1D", {"padding": (1, 3)}
    yield MAP, "UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}
    first = {"data_format": "channels_first"}
    yield (6, 13, 11), "MaxPooling2D", {"pool_size": 2, **first}
    yield (6, 13, 11), "GlobalAveragePooling2D", first
    yield (6, 13, 11), "ZeroPadding2D", first
    for x in (MAP, SEQUENCE, (6,)):
        yield x, "Dense", {"units": 9, "activation": "gelu", "use_bias": False}
        yield x, "Flatten", {}
        yield x, "PReLU", {}
    yield from normalisations()
    yield from recurrent()
    yield (5,), "Embedding", {"input_dim": 100, "output_dim": 8}
    for name in ACTIVATIONS:
        yield SEQUENCE, "Activation", {"activation": name}
        yield SEQUENCE, "Dense", {"units": 3, "activation": name}
    yield MAP, "PReLU", {"shared_axes": [1, 2]}
    yield MAP, "PReLU", {"shared_axes": [1, 2, 3]}
    yield MAP, "ReLU", {"max_value": 6.0}
    yield MAP, "ReLU", {"negative_slope": 0.1}
    for kind in ("LeakyReLU", "ELU", "Softmax", "Identity", "Masking"):
        yield MAP, kind, {}
    yield MAP, "Reshape", {"target_shape": (13, -1)}
    yield MAP, "Reshape", {"target_shape": (143, 6)}
    yield MAP, "Permute", {"dims": (3, 1, 2)}
    yield (6,), "RepeatVector", {"n": 4}
    for kind in ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D"):
        yield SEQUENCE, kind, {"rate": 0.1}
    yield SEQUENCE, "GaussianNoise", {"stddev": 0.1}
    yield (
        SEQUENCE,
        "EinsumDense",
        {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"},
    )
    yield SEQUENCE, "EinsumDense", {"equation": "abc,bd->adc", "output_shape": (5, 6)}
    yield MAP, "Rescaling", {"scale": 1 / 255, "offset": -1}
    yield MAP, "Resizing", {"height": 5, "width": 6}
    yield MAP, "CenterCrop", {"height": 5, "width": 6}
    yield (None, 6), "Conv1D", {"filters": 4, "kernel_size": 3}
    yield (None, None, 3), "Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2}


ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid"),
    *("hard_sigmoid", "hard_silu", "tanh", "softplus", "softsign", "exponential", "softmax"),
    *("log_softmax", "linear", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink"),
    *("squareplus", "threshold", "log_sigmoid", "sparse_plus", "sparse_sigmoid", "sparsemax"),
)


def windows(n: int, x: tuple[int, ...]) -> Iterator[Case]:
    for padding in ("valid", "same"):
        for stride, dilation in ((1, 1), (2, 1), (1, 2)):
            given = {
                "kernel_size": 3,
                "padding": padding,
                "strides": stride,
                "dilation_rate": dilation,
            }
            yield x, f"Conv{n}D", {"filters": 5, "activation": "relu", **given}
            if n < 3:
                yield x, f"SeparableConv{n}D", {"filters": 5, "depth_multiplier": 2, **given}
                yield x, f"DepthwiseConv{n}D", {"depth_multiplier": 2, "use_bias": False, **given}
        for stride in (1, 2, 4):
            given = {"filters": 5, "padding": padding, "strides": stride}
            yield x, f"Conv{n}DTranspose", {"kernel_size": 3, **given}
            if stride > 1:
                yield x, f"Conv{n}DTranspose", {"kernel_size": 4, "output_padding": 1, **given}
        for kind in ("Max", "Average"):
            yield x, f"{kind}Pooling{n}D", {"pool_size": 3, "strides": 2, "padding": padding}
            yield x, f"{kind}Pooling{n}D", {"pool_size": 2, "padding": padding}


def normalisations() -> Iterator[Case]:
    for given in ({}, {"center": False}, {"scale": False}):
        yield MAP, "BatchNormalization", given
        yield SEQUENCE, "LayerNormalization", given
        yield MAP, "GroupNormalization", {"groups": 2, **given}
    yield MAP, "BatchNormalization", {"axis": 1}
    yield MAP, "BatchNormalization", {"trainable": False}
    yield MAP, "BatchNormalization", {"renorm": True}
    yield SEQUENCE, "LayerNormalization", {"axis": [1, 2]}
    yield SEQUENCE, "RMSNormalization", {}
    yield MAP, "GroupNormalization", {"groups": -1}
    yield SEQUENCE, "UnitNormalization", {}
    yield MAP, "Normalization", {}
    yield MAP, "Normalization", {"mean": 0.0, "variance": 1.0}


def recurrent() -> Iterator[Case]:
    for kind in ("SimpleRNN", "LSTM", "GRU"):
        for given in ({}, {"return_sequences": True}, {"use_bias": False}):
            yield SEQUENCE, kind, {"units": 5, **given}
    yield SEQUENCE, "GRU", {"units": 5, "reset_after": False}
    yield (None, 6), "LSTM", {"units": 4, "return_sequences": True}


@pytest.mark.parametrize("format", FORMATS)
def test_every_layer_is_as_keras_says(keras: Any, save: Save, format: str) -> None:
    seen = 0
    for x, kind, given in cases():
        layer = getattr(keras.layers, kind)(**given)
        model = keras.Sequential([keras.Input(x), layer])
        ledger = netledger.ledger(save(model, format))
        try:
            seen += agree(ledger, model)
        except AssertionError as error:
            raise AssertionError(f"{kind} {given} on {x}: {error}") from error
    assert seen > 230


def wrapped(keras: Any) -> Iterator[Any]:
    """Layers around layers."""
    layers = keras.layers
    for cell in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        yield SEQUENCE, layers.Bidirectional(cell(5))
        yield SEQUENCE, layers.Bidirectional(cell(5, return_sequences=True))
        yield SEQUENCE, layers.Bidirectional(cell(5), merge_mode="sum")
    yield SEQUENCE, layers.RNN(layers.LSTMCell(4), return_sequences=True)
    frames = (4, *MAP)
    yield frames, layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu"))
    yield frames, layers.TimeDistributed(layers.Flatten())
    yield frames, layers.TimeDistributed(layers.MaxPooling2D())
    yield frames, layers.TimeDistributed(layers.BatchNormalization())
    yield (4, 5, 6), layers.TimeDistributed(layers.Dense(3))
    yield (None, 8, 8, 3), layers.TimeDistributed(layers.Conv2D(3, 3))
    yield SEQUENCE, layers.SpectralNormalization(layers.Dense(4))


@pytest.mark.parametrize("format", FORMATS)
def test_every_wrapper_is_as_keras_says(keras: Any, save: Save, format: str) -> None:
    for x, layer in wrapped(keras):
        model = keras.Sequential([keras.Input(x), layer])
        assert agree(netledger.ledger(save(model, format)), model) == 1, layer


def branched(keras: Any) -> Any:
    """Two inputs, two outputs, a nested model called twice, a shared layer, attention."""
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    vector = keras.Input((5,), name="vector")
    inner = keras.Sequential(
        [keras.Input((14, 14, 4)), layers.Conv2D(4, 1), layers.BatchNormalization()], name="inner"
    )
    x = layers.Conv2D(4, 3, activation="relu", name="stem")(image)
    x = inner(inner(x))
    shared = layers.Dense(5, name="shared")
    y = layers.Add()([shared(vector), shared(shared(vector))])
    y = layers.Concatenate()([y, layers.GlobalAveragePooling2D()(x)])
    tokens = layers.Reshape((3, 3))(y)
    attended = layers.MultiHeadAttention(2, 3)(tokens, tokens)
    cross = layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=7)(tokens, attended)
    for merge in (layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum):
        attended = merge()([attended, tokens])
    product = layers.Dot(axes=(2, 2))([attended, tokens])
    scores = layers.Attention(use_scale=True)([attended, tokens])
    added = layers.AdditiveAttention()([attended, tokens])
    states = layers.LSTM(4, return_state=True)(cross)
    out = layers.Concatenate()([layers.Flatten()(v) for v in (product, scores, added)])
    return keras.Model([image, vector], [out, *states])


@pytest.mark.parametrize("format", FORMATS)
def test_branches_nesting_and_sharing(keras: Any, save: Save, format: str) -> None:
    model = branched(keras)
    ledger = netledger.ledger(save(model, format))
    rows = {row.name: row for row in ledger.ops}
    assert rows["shared"].params == 30
    assert rows["shared#2"].params == rows["shared#3"].params == 0
    assert [row.params for name, row in rows.items() if name.startswith("inner#2.")] == [0, 0]
    assert not ledger.findings
    totals = ledger.totals
    assert totals.params + totals.buffers == model.count_params()
    types = [rows[name].outputs[0] for name in ledger.graph.outputs]
    assert all(same(t.shape, o.shape) for t, o in zip(types, model.outputs, strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_of_models_in_models(keras: Any, save: Save, format: str) -> None:
    """Keras counts the calls of a model from 0 where it is called on, from 1 for outputs."""
    layers = keras.layers
    x = keras.Input((8,))
    hidden = layers.Dense(8, name="hidden")(x)
    inner = keras.Model(x, [hidden, layers.Dense(3, name="head")(hidden)], name="inner")
    x = keras.Input((8,))
    first, head = inner(x)
    again, other = inner(first)
    middle = keras.Model(x, [again, layers.Add()([head, other])], name="middle")
    x = keras.Input((8,))
    on, out = middle(x)
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(5)], name="plain")
    model = keras.Model(x, [layers.Dense(2)(on), out, plain(out), plain(out * 2)])
    ledger = netledger.ledger(save(model, format))
    assert not ledger.findings and ledger.totals.complete
    assert ledger.totals.params == model.count_params()
    types = [ledger.row(name).outputs[0] for name in ledger.graph.outputs]
    assert all(same(t.shape, o.shape) for t, o in zip(types, model.outputs, strict=True))
    names = [name.rpartition(".")[0] for name in ledger.graph.outputs]
    assert names == ["", "middle", "plain", "plain#2"]


@pytest.mark.parametrize("call", [0, 1])
def test_which_call_of_a_model_an_output_is(keras: Any, save: Save, call: int) -> None:
    x = keras.Input((8,))
    inner = keras.Model(x, keras.layers.Dense(8, name="dense")(x), name="inner")
    x = keras.Input((8,))
    calls = [inner(x)]
    calls.append(inner(calls[0]))
    end = keras.layers.Dense(2, name="end")(calls[1])
    ledger = netledger.ledger(save(keras.Model(x, [calls[call], end]), "json"))
    assert ledger.graph.outputs == (("inner.dense", "inner#2.dense")[call], "end")


def test_operations_of_keras_saved_as_layers(keras: Any, save: Save) -> None:
    ops, x = keras.ops, keras.Input((6, 8))
    y = ops.expand_dims(ops.mean(x * 2.0 + 1, axis=-1), 1)
    y = ops.matmul(y, ops.transpose(ops.relu(x), (0, 1, 2)))
    y = ops.concatenate([y, x[:, :3, :] / 2.0], axis=1)
    y = ops.reshape(y, (-1, 32))
    y = ops.squeeze(ops.stack([y, ops.exp(y)], axis=1)[:, 0:1, :], 1)
    a, b = ops.split(y, 2, axis=-1)
    model = keras.Model(x, ops.softmax(ops.maximum(a, b)))
    for format in FORMATS:
        ledger = netledger.ledger(save(model, format))
        assert ledger.totals.complete and not ledger.findings
        last = next(r for r in ledger.ops if r.name == ledger.graph.outputs[0])
        assert last.outputs[0].shape[1:] == (16,)
        assert ledger.totals.macs == 1 * 6 * 8


SMALL = ("MobileNetV2", "ConvNeXtTiny", "DenseNet121", "MobileNetV3Small")


@pytest.mark.parametrize("name", SMALL)
def test_a_sample_of_the_applications(keras: Any, save: Save, name: str) -> None:
    model = getattr(keras.applications, name)(weights=None)
    for format in FORMATS:
        path = save(model, format)
        assert agree(netledger.ledger(path), model) > 100
        path.unlink()


@pytest.mark.parametrize(
    ("flatten", "total", "format"),
    [
        *((False, 25_678_184, format) for format in FORMATS),
        (True, 201_838_952, "json"),
        pytest.param(True, 201_838_952, "keras", marks=pytest.mark.slow),
        pytest.param(True, 201_838_952, "h5", marks=pytest.mark.slow),
    ],
)
def test_the_question_of_the_60_million(
    keras: Any, save: Save, flatten: bool, total: int, format: str
) -> None:
    """AlexNet as a question on the web has it: https://datascience.stackexchange.com."""
    layers = keras.layers
    conv = partial(layers.Conv2D, activation="relu", padding="same")
    model = keras.Sequential(
        [
            keras.Input((227, 227, 3)),
            layers.Conv2D(96, 11, strides=4, activation="relu"),
            layers.MaxPooling2D((3, 3), (2, 2)),
            conv(256, 5),
            layers.MaxPooling2D((3, 3), (2, 2)),
            *(conv(384, 3), conv(384, 3), conv(256, 3)),
            *([layers.Flatten()] if flatten else []),
            layers.Dense(4096, activation="relu"),
            layers.Dense(4096, activation="relu"),
            layers.Dense(1000, activation="softmax"),
        ]
    )
    ledger = netledger.ledger(save(model, format))
    assert ledger.totals.params == total == model.count_params()
    zoo = "alexnet-keras-flatten" if flatten else "alexnet-keras-noflatten"
    assert ledger.totals.macs == netledger.ledger(zoo).totals.macs


def test_a_model_of_its_own_class_is_an_inventory(keras: Any, tmp_path: Path) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.norm = keras.layers.Dense(4), keras.layers.BatchNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(self.hidden(x))

    model = Own()
    model(keras.ops.ones((2, 3)))
    path = tmp_path / "own.keras"
    model.save(path)
    ledger = netledger.ledger(path)
    assert ledger.totals.params == 4 * 3 + 4 + 4 + 4
    assert ledger.totals.buffers == 8
    assert not ledger.totals.complete
    weights = tmp_path / "own.weights.h5"
    model.save_weights(weights)
    assert netledger.ledger(weights).totals.params == ledger.totals.params


def test_what_is_not_known_says_so(keras: Any, tmp_path: Path) -> None:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 7), name="kernel")

        def call(self, x: Any) -> Any:
            return x @ self.kernel

    layers = keras.layers
    doubled = layers.Lambda(lambda x: 2 * x, output_shape=(7,))
    model = keras.Sequential([keras.Input((5,)), Own(name="own"), doubled, layers.Dense(2)])
    stored, bare = tmp_path / "own.keras", tmp_path / "own.json"
    model.save(stored)
    bare.write_text(model.to_json())
    rows = {row.name: row for row in netledger.ledger(stored).ops}
    assert rows["own"].params == 35 and "macs" in rows["own"].unknown
    assert rows["own"].outputs[0].shape[1:] == (7,)
    rows = {row.name: row for row in netledger.ledger(bare).ops}
    assert rows["own"].params is None and "params" in rows["own"].unknown
    assert rows[model.layers[-1].name].params == 16
    assert "never run" in rows[doubled.name].unknown["params"]


def test_weights_that_do_not_fit_the_configuration_are_found(
    keras: Any, save: Save, tmp_path: Path
) -> None:
    import zipfile

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="dense")])
    other = tmp_path / "other.keras"
    with zipfile.ZipFile(save(model, "keras")) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'"units": 4', b'"units": 3'))
    (finding,) = netledger.ledger(other).findings
    assert finding.code == "NL001"
    assert "the rule gives weight [3, 5], bias [3], the source has 0 [4, 5], 1 [4]" in (
        finding.message
    )


def test_a_frozen_layer_and_a_frozen_model(keras: Any, save: Save) -> None:
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)], name="inner")
    inner.trainable = False
    model = keras.Sequential([keras.Input((5,)), inner, keras.layers.Dense(2)])
    for format in FORMATS:
        totals = netledger.ledger(save(model, format)).totals
        assert (totals.frozen, totals.trainable) == (24, 10)


def test_nothing_heavy_is_imported(keras: Any, save: Save) -> None:
    import subprocess

    path = save(keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]), "keras")
    code = (
        "import sys, netledger; print(netledger.ledger(sys.argv[1]).totals.params, "
        "[m for m in ('keras', 'h5py', 'numpy', 'torch', 'jax') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert run.stdout.split(maxsplit=1) == ["12", "[]\n"], run.stderr


def keras_2() -> dict[str, Any]:
    """A Functional model as Keras 2.4 wrote it: nested model, shared layer, TFOpLambda."""

    def layer(kind: str, name: str, inbound: Any, **config: Any) -> dict[str, Any]:
        return {
            "class_name": kind,
            "config": {"name": name, "trainable": True, "dtype": "float32", **config},
            "name": name,
            "inbound_nodes": inbound,
        }

    inner = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 8], "name": "in"}},
        {"class_name": "Dense", "config": {"name": "a", "units": 8, "use_bias": True}},
        {"class_name": "BatchNormalization", "config": {"name": "b", "axis": [1]}},
    ]
    functional = {
        "name": "net",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"},
                "name": "x",
                "inbound_nodes": [],
            },
            layer("Dense", "first", [[["x", 0, 0, {}]]], units=8, activation="relu"),
            {
                "class_name": "Sequential",
                "config": {"name": "inner", "layers": inner},
                "name": "inner",
                "inbound_nodes": [[["first", 0, 0, {}]], [["inner", 1, 0, {}]]],
            },
            layer("Add", "add", [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]),
            layer(
                "TFOpLambda",
                "tf.math.multiply",
                [["add", 0, 0, {"y": ["inner", 2, 0, {}]}]],
                function="math.multiply",
            ),
            layer(
                "TFOpLambda",
                "tf.math.add",
                [["tf.math.multiply", 0, 0, {"y": 1.0}]],
                function="__operators__.add",
            ),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["tf.math.add", 0, 0]],
    }
    return {
        "class_name": "Functional",
        "config": functional,
        "keras_version": "2.4.0",
        "backend": "tensorflow",
    }


def test_keras_2_functional_json(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(keras_2()))
    ledger = netledger.ledger(path)
    assert ledger.totals.params == (4 * 8 + 8) + (8 * 8 + 8) + 16
    assert ledger.totals.buffers == 16
    assert ledger.totals.macs == 4 * 8 + 2 * 8 * 8
    assert ledger.totals.complete
    assert [row.name for row in ledger.ops][-3:] == ["add", "tf.math.multiply", "tf.math.add"]


@pytest.mark.parametrize("as_list", [False, True])
def test_keras_2_sequential_h5(tmp_path: Path, as_list: bool) -> None:
    """The old layout: ``model_config``, ``layer_names`` and ``weight_names`` with ``:0``."""
    h5py = pytest.importorskip("h5py")
    layers = [
        {
            "class_name": "Conv2D",
            "config": {
                "name": "block/conv",
                "filters": 4,
                "kernel_size": [3, 3],
                "padding": "same",
                "activation": "relu",
                "batch_input_shape": [None, 8, 8, 3],
            },
        },
        {"class_name": "BatchNormalization", "config": {"name": "bn", "axis": -1}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dense", "config": {"name": "top", "units": 2}},
    ]
    config = layers if as_list else {"name": "old", "layers": layers}
    stored = {
        "block/conv": {"block/conv/kernel:0": (3, 3, 3, 4), "block/conv/bias:0": (4,)},
        "bn": {f"bn/{n}:0": (4,) for n in ("gamma", "beta", "moving_mean", "moving_variance")},
        "flat": {},
        "top": {"top/kernel:0": (256, 2), "top/bias:0": (2,)},
    }
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        text = json.dumps({"class_name": "Sequential", "config": config})
        file.attrs["model_config"] = text.encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in stored]
        for name, tensors in stored.items():
            own = group.create_group(name)
            own.attrs["weight_names"] = [one.encode() for one in tensors]
            for one, sizes in tensors.items():
                own.create_dataset(one, sizes, "float32")
    ledger = netledger.ledger(path)
    assert not ledger.findings
    assert ledger.totals.params == 112 + 8 + 514
    assert ledger.totals.buffers == 8
    assert all(n.recorded and n.recorded.parameters for n in ledger.graph.nodes if n.name == "top")


@pytest.mark.slow
def test_every_application(keras: Any, tmp_path: Path, capsys: Any) -> None:
    """All of `keras.applications`; `make prove` keeps the table in docs/proofs/keras.md."""
    import gc

    names = [n for n in dir(keras.applications) if n[0].isupper()]
    table = [
        "| model | layers | parameters and buffers | read from | differs |",
        "|---|---:|---:|---|---|",
    ]
    for name in names:
        if name.startswith("NASNet") and keras.backend.backend() == "torch":
            table.append(f"| {name} | | | Keras does not build it on torch; KERAS_BACKEND=jax | |")
            continue
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None)
        formats = FORMATS if model.count_params() < 30_000_000 else FORMATS[:1]
        for format in formats:
            path = save_in(tmp_path, model, format)
            seen = agree(netledger.ledger(path), model)
            path.unlink()
        line = f"| {name} | {seen} | {model.count_params():,} | {', '.join(formats)} | 0 |"
        table.append(line)
        with capsys.disabled():
            print(line, flush=True)
        del model
        gc.collect()
    folder = Path(__file__).parents[2] / "docs" / "proofs"
    folder.mkdir(exist_ok=True)
    version, backend = keras.__version__, keras.backend.backend()
    head = (
        "# Keras' own networks\n\n"
        f"Every network of `keras.applications` (Keras {version}, backend {backend}), saved and "
        "read again by netledger: parameters, buffers and the output shape of every layer are "
        "compared with Keras' own `count_params()` and `output.shape`. Written by `make prove`.\n\n"
    )
    (folder / "keras.md").write_text(head + "\n".join(table) + "\n")


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float64", "mixed_float16"])
def test_dtypes_of_values_and_of_what_is_stored(keras: Any, save: Save, policy: str) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="float32"),
            layers.Conv2D(4, 3, dtype=policy, activation="relu"),
            layers.Flatten(dtype=policy),
            layers.Dense(5, dtype=policy),
        ]
    )
    stored = sum(prod(w.shape) * netledger.graph.DTYPE_BITS[w.dtype] // 8 for w in model.weights)
    for format in FORMATS:
        ledger = netledger.ledger(save(model, format))
        assert ledger.totals.bytes == stored
        assert not ledger.findings
        made = [row.outputs[0].dtype for row in ledger.ops]
        assert made == ["float32", *[model.layers[0].compute_dtype] * 5]


@pytest.mark.parametrize("format", ["keras", "h5"])
def test_quantised_layers_in_a_row(keras: Any, save: Save, format: str) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((7,)), layers.Embedding(9, 8)])
    model.add(layers.EinsumDense("abc,cd->abd", (7, 6)))
    model.add(layers.Dense(5))
    model.quantize("int8")
    ledger = netledger.ledger(save(model, format))
    assert [row.outputs[0].shape for row in ledger.ops[1:]] == [
        (BATCH, 7, width) for width in (8, 6, 5)
    ]
    assert ledger.totals.macs == 7 * (8 * 6 + 6 * 5)
    assert ledger.totals.complete


def test_what_quantised_layers_multiply_is_known(keras: Any, save: Save) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5), keras.layers.ReLU()])
    model.quantize("int8")
    ledger = netledger.ledger(save(model, "keras"))
    row = next(row for row in ledger.ops if row.kind == "Dense")
    assert (row.macs, row.params + row.buffers) == (8 * 5, model.count_params())
    assert row.outputs[0].shape == (BATCH, 5)
    bare = netledger.ledger(save(model, "json"))  # says nothing of what is stored
    assert [row.unknown["macs"] for row in bare.ops if row.unknown] == [
        "its parameters are quantised"
    ]
    assert bare.ops[-1].outputs[0].shape == (BATCH, 5)
