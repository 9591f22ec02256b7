"""Keras layers that become several operations, and what is stored beside them, against Keras."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger.readers.keras.table import _TABLE

os.environ.setdefault("KERAS_BACKEND", "torch")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def maps(layers: Any) -> Iterator[tuple[Any, Any, int]]:
    """Convolutional LSTMs: an input, a layer, its multiply-accumulates."""
    x = (5, 12, 10, 3)
    same = layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)
    yield x, same, 5 * 12 * 10 * 9 * (3 + 4) * 16
    strided = layers.ConvLSTM2D(4, (3, 2), strides=2, use_bias=False, return_state=True)
    yield x, strided, 5 * 5 * 5 * 6 * (3 + 4) * 16
    yield (5, 12, 3), layers.ConvLSTM1D(4, 3, dilation_rate=2), 5 * 8 * 3 * (3 + 4) * 16
    yield (5, 6, 7, 8, 3), layers.ConvLSTM3D(2, 3), 5 * 4 * 5 * 6 * 27 * (3 + 2) * 8
    first = layers.ConvLSTM2D(4, 3, data_format="channels_first")
    yield (5, 3, 12, 10), first, 5 * 10 * 8 * 9 * (3 + 4) * 16


def stacks(layers: Any) -> Iterator[tuple[Any, Any, int]]:
    """Cells on one another."""
    cells = [layers.LSTMCell(5), layers.GRUCell(6), layers.LSTMCell(7), layers.SimpleRNNCell(3)]
    each = (16 + 5) * 20, (5 + 6) * 18, (6 + 7) * 28, (7 + 3) * 3
    yield (7, 16), layers.RNN(cells), 7 * sum(each)
    two = [layers.GRUCell(4), layers.GRUCell(4)]
    yield (7, 16), layers.RNN(two, return_sequences=True), 7 * (20 * 12 + 8 * 12)


def attentions(layers: Any) -> Iterator[tuple[Any, Any, int]]:
    """Attention with fewer heads of keys and values, over its own tokens."""
    own = 7 * 16 * (32 + 16 + 16) + 4 * 2 * 49 * 8 + 7 * 32 * 16
    for bias in (True, False):
        made = layers.GroupQueryAttention(8, 4, 2, use_bias=bias)
        yield (7, 16), lambda x, made=made: made(x, x), own


def embeddings(layers: Any) -> Iterator[tuple[Any, Any, int]]:
    """A table that leads there and back; a layer without a rule that is called twice."""
    if hasattr(layers, "ReversibleEmbedding"):  # Keras 3.11 and later
        for tied in (True, False):
            table = layers.ReversibleEmbedding(100, 16, tie_weights=tied)
            yield "words", lambda x, t=table: t(t(x), reverse=True), 7 * 16 * 100


@pytest.mark.parametrize("format", ["json", "keras", "h5"])
@pytest.mark.parametrize("models", [maps, stacks, attentions, embeddings])
def test_layers_of_several_parts(
    keras: Any, tmp_path: Path, models: Callable[..., Any], format: str
) -> None:
    for x, layer, macs in models(keras.layers):
        words = x == "words"
        value = keras.Input((7,), dtype="int32") if words else keras.Input(x)
        made = layer(value)
        model = keras.Model(value, made)
        path = tmp_path / f"model.{format}"
        if format == "json":
            path.write_text(model.to_json())
        else:
            model.save(path)
        ledger = netledger.ledger(path)
        assert not ledger.findings
        assert ledger.totals.complete
        assert ledger.totals.params == model.count_params()
        assert ledger.totals.macs == macs
        types = dict(pair for row in ledger.ops for pair in zip(row.made, row.outputs, strict=True))
        shapes = [types[name].shape[1:] for name in ledger.graph.outputs]
        assert shapes == [tuple(output.shape)[1:] for output in model.outputs]


@pytest.mark.parametrize("format", ["keras", "h5"])
def test_a_layer_without_a_rule_counts_once(keras: Any, tmp_path: Path, format: str) -> None:
    value = keras.Input((7, 6))
    attention = keras.layers.MultiHeadAttention(2, 3, use_gate=True)
    model = keras.Model(value, attention(attention(value, value), value))
    model.save(tmp_path / f"model.{format}")
    ledger = netledger.ledger(tmp_path / f"model.{format}")
    assert ledger.totals.params == model.count_params()
    assert ledger.totals.unknown == {"macs"}


BARE = {
    *("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup"),
    *("StringLookup", "TextVectorization", "MelSpectrogram", "STFTSpectrogram", "Pipeline"),
    *("AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "MixUp"),
    *("MaxNumBoundingBoxes", "RandAugment", "RandomElasticTransform"),
}
"""Layers that prepare data: they learn nothing."""
CELLS = {"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
"""Parts of ``RNN``, which are read there."""
FOREIGN = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper", "Layer", "Wrapper"}
"""What wraps another framework's code, and classes to derive one's own from."""


def test_every_layer_of_keras_has_a_rule_or_a_reason(keras: Any) -> None:
    kinds = {
        kind.__name__
        for kind in vars(keras.layers).values()
        if inspect.isclass(kind) and issubclass(kind, keras.layers.Layer)
    }
    assert kinds - {*_TABLE} <= BARE | CELLS | FOREIGN


def test_the_state_of_training_is_left_out(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "net.weights.h5")
    ledger = netledger.ledger(tmp_path / "net.weights.h5")
    assert ledger.totals.params == model.count_params() == 15
    stored = len(model.optimizer.variables)
    assert ledger.graph.title == (
        f"{stored} tensors of the optimizer left out; no graph in this file: parameters only"
    )


def test_an_adapter_is_derived_where_the_file_keeps_it(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
    model.layers[0].enable_lora(2)
    model.save(tmp_path / "net.h5")
    ledger = netledger.ledger(tmp_path / "net.h5")
    assert not ledger.findings
    assert ledger.totals.params == model.count_params() == 8 * 16 + 16 + 16 * 4 + 4 + 2 * (8 + 16)
    trainable = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert ledger.totals.trainable == trainable
    assert ledger.totals.macs == 8 * 16 + 8 * 2 * 16 + 16 * 4
    model.save(tmp_path / "net.keras")  # Keras adds the adapter to the kernel there
    assert netledger.ledger(tmp_path / "net.keras").totals.params == 8 * 16 + 16 + 16 * 4 + 4
