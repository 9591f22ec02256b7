"""Low-rank adapters (``enable_lora``) and quantised layers of live Keras models."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from math import prod
from typing import Any

import pytest

import netledger

os.environ.setdefault("KERAS_BACKEND", "torch")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def keras() -> Any:
    logging.getLogger("absl").setLevel(logging.ERROR)
    return pytest.importorskip("keras")


Make = Callable[[Any], Any]
LAYERS: dict[str, tuple[Make, tuple[int, ...], int, int]] = {
    "Dense": (lambda k: k.Dense(4), (5, 8), 5 * 8 * 4, 8 * 2 * 4),
    "Dense without a bias": (lambda k: k.Dense(4, "relu", use_bias=False), (8,), 8 * 4, 8 * 2 * 4),
    "EinsumDense": (
        lambda k: k.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de"),
        (5, 8),
        5 * 8 * 2 * 4,
        8 * 2 * 2 * 4,
    ),
    "EinsumDense with dots": (
        lambda k: k.EinsumDense("...xy,xyz->...z", 4, bias_axes="z"),
        (5, 6, 8),
        5 * 6 * 8 * 4,
        6 * 8 * 2 * 4,
    ),
    "Conv1D": (lambda k: k.Conv1D(4, 3), (8, 3), 6 * 3 * 3 * 4, 3 * 3 * 2 * 4),
    "Conv2D in groups": (
        lambda k: k.Conv2D(6, 3, padding="same", groups=3, activation="relu"),
        (8, 8, 3),
        64 * 9 * 6,
        9 * 2 * 6,
    ),
}
"""A layer, its input, what it multiplies, and what its adapter does to make the kernel."""


def read(model: Any) -> Any:
    """The totals; parameters and what is trained of them are Keras' own."""
    ledger = netledger.ledger(model)
    totals = ledger.totals
    assert not ledger.findings
    assert totals.params + totals.buffers == model.count_params()
    assert totals.trainable == sum(prod(v.shape) for v in model.trainable_weights)
    return totals


def by_jax(keras: Any, model: Any, run_by_jax: Callable[[Any], int], macs: int) -> None:
    """Where JAX runs Keras, its own trace has as many products."""
    assert keras.backend.backend() != "jax" or run_by_jax(model) == macs


@pytest.mark.parametrize("name", LAYERS)
def test_adapters(keras: Any, name: str, run_by_jax: Callable[[Any], int]) -> None:
    make, shape, products, merged = LAYERS[name]
    layer = make(keras.layers)
    model = keras.Sequential([keras.Input(shape), layer])
    assert read(model).macs == products
    layer.enable_lora(2)
    totals = read(model)
    assert totals.complete and totals.macs == products + merged
    by_jax(keras, model, run_by_jax, totals.macs)


def test_an_adapter_of_a_table(keras: Any) -> None:
    table = keras.layers.Embedding(10, 4)
    model = keras.Sequential([keras.Input((5,), dtype="int32"), table])
    table.enable_lora(2)
    totals = read(model)
    assert (totals.params, totals.frozen, totals.macs) == (40 + 28, 40, 10 * 2 * 4)


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
def test_adapters_inside_attention(keras: Any, kind: str, run_by_jax: Callable[[Any], int]) -> None:
    """Of queries and values, as the adapters' authors have them; and of the way back."""
    shared = {"num_key_value_heads": 4} if kind == "GroupQueryAttention" else {}
    layer = getattr(keras.layers, kind)(4, 4, **shared)
    x = keras.Input((5, 16))
    model = keras.Model(x, layer(x, x))
    plain = read(model).macs
    assert plain == 4 * 5 * 16 * 16 + 2 * 4 * 5 * 5 * 4
    for inner in (layer._query_dense, layer._value_dense, layer._output_dense):
        inner.enable_lora(2)
    totals = read(model)
    assert totals.complete and totals.macs == plain + 3 * 16 * 2 * 16
    by_jax(keras, model, run_by_jax, totals.macs)


def test_a_layer_with_an_adapter_that_is_called_twice(keras: Any) -> None:
    layer, x = keras.layers.Dense(16), keras.Input((16,))
    model = keras.Model(x, layer(layer(x)))
    layer.enable_lora(2)
    assert read(model).macs == 2 * (16 * 16 + 16 * 2 * 16)


QUANTISED: dict[str, tuple[Make, tuple[int, ...], int, int]] = {
    "Dense": (lambda k: k.Dense(4), (5, 8), 5 * 8 * 4, 5 * (8 * 2 + 2 * 4)),
    "EinsumDense": (
        lambda k: k.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"),
        (5, 8),
        5 * 8 * 4,
        5 * (8 * 2 + 2 * 4),
    ),
}
"""A layer, its input, what it multiplies, and what an adapter does beside it."""


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_layers(keras: Any, name: str, mode: str) -> None:
    make, shape, products, beside = QUANTISED[name]
    layer = make(keras.layers)
    model = keras.Sequential([keras.Input(shape), layer])
    layer.quantize(mode)
    totals = read(model)
    assert totals.complete and totals.macs == products
    if mode == "int8":
        layer.enable_lora(2)
        assert read(model).macs == products + beside


def test_quantised_tables(keras: Any) -> None:
    table = keras.layers.ReversibleEmbedding(10, 4)
    x = keras.Input((5,), dtype="int32")
    model = keras.Model(x, table(table(x), reverse=True))
    table.quantize("int8")
    totals = read(model)
    assert totals.complete and totals.macs == 5 * 4 * 10
