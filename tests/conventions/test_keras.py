"""Keras' "Total params", from our rows alone, against the installed Keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import conventions
from netledger.references import resolve

os.environ.setdefault("KERAS_BACKEND", "torch")

pytestmark = pytest.mark.oracle

PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "peers-keras.md"


def keras() -> Any:
    pytest.importorskip("torch")
    return pytest.importorskip("keras")


def convolutions() -> Any:
    layers = keras().layers
    return keras().Sequential(
        [
            keras().Input((16, 16, 3)),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.SeparableConv2D(8, 3),
            layers.BatchNormalization(scale=False),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def sequences() -> Any:
    layers = keras().layers
    words = keras().Input((12,), dtype="int32")
    x = layers.Embedding(100, 16)(words)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(x, x))
    return keras().Model(words, layers.Dense(3)(layers.GRU(8)(x)))


def frozen_and_shared() -> Any:
    layers = keras().layers
    inputs = keras().Input((8,))
    shared, frozen = layers.Dense(8), layers.Dense(8, trainable=False)
    return keras().Model(inputs, frozen(shared(shared(inputs))))


@pytest.mark.parametrize("make", [convolutions, sequences, frozen_and_shared])
def test_total_params(make: Callable[[], Any]) -> None:
    model = make()
    count = conventions.count(netledger.ledger(netledger.read(model)), "keras")
    assert count.total == model.count_params()
    assert all("buffers" in term.cause for term in count.terms)


@pytest.mark.slow
def test_keras_applications() -> None:
    """`make prove` keeps the table in docs/proofs/peers-keras.md."""
    lines = []
    for name in _applications():
        model = resolve(f"keras:{name}")
        count = conventions.count(netledger.ledger(netledger.read(model)), "keras")
        assert count.total == model.count_params(), name
        lines.append(f"| {name} | {model.count_params():,} | {count.ours:,} | {count.total:,} |")
    assert len(lines) >= 30
    head = (
        "# Keras' total parameters\n\n"
        f"The networks of `keras.applications` ({keras().__version__}): `count_params()`, our "
        "parameters, and our count in the convention `keras`, which counts running statistics too. "
        "The last equals the first. Keras has no NASNetMobile on PyTorch. Written by `make prove`."
        "\n\n"
        "| network | Keras | parameters | `keras` |\n|---|---:|---:|---:|\n"
    )
    PAGE.write_text(head + "\n".join([*lines, ""]), encoding="utf-8")


def _applications() -> list[str]:
    found = keras().applications
    every = [n for n in sorted(dir(found)) if n[0].isupper() and callable(getattr(found, n))]
    return [name for name in every if name != "NASNetMobile"]  # Keras has it not on PyTorch
