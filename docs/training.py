"""Trains a narrow AlexNet in PyTorch and in Keras and draws the loss: docs/images/training.svg.

``KERAS_BACKEND=torch python docs/training.py`` takes a minute or two. Both start from the same
weights, carried over, and see the same batches in the same order; dropout differs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from sklearn.datasets import load_digits

from netledger import Graph, zoo
from netledger.build import target
from netledger.build.narrow import narrow
from netledger.graph import BATCH, TensorType

EPOCHS, IMAGES, BATCHES, SIZE = 16, 300, 50, 64
COLORS = {"PyTorch": "#cf222e", "Keras": "#0969da"}
FILE = Path(__file__).parent / "images" / "training.svg"


def network() -> Graph:
    """AlexNet of the weird trick: an eighth of the channels, grey images, ten classes."""
    graph = zoo.load("alexnet-owt")
    grey = {name: TensorType((BATCH, SIZE, SIZE, 1)) for name in graph.inputs}
    return narrow(graph.with_inputs(grey), 1 / 8, classes=10)


def digits() -> tuple[Any, Any]:
    """Images of 8×8 enlarged, channels first, and what they show."""
    images, labels = load_digits(return_X_y=True)
    maps = torch.tensor(images[:IMAGES], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    large = torch.nn.functional.interpolate(maps, size=SIZE, mode="bilinear", align_corners=False)
    return large.numpy(), labels[:IMAGES].astype("int64")


def batches(epoch: int) -> list[Any]:
    """The images of each batch of an epoch."""
    return np.split(np.random.default_rng(epoch).permutation(IMAGES), IMAGES // BATCHES)


def train() -> dict[str, list[float]]:
    """The mean loss of every epoch, by framework."""
    graph, (images, labels) = network(), digits()
    torch.manual_seed(0)
    first, second = target("torch").make(graph), target("keras").make(graph)
    target("keras").load(second, graph, target("torch").weights(first, graph))
    adam = torch.optim.Adam(first.parameters(), lr=1e-3)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    second.compile(keras.optimizers.Adam(1e-3), entropy)
    losses: dict[str, list[float]] = {"PyTorch": [], "Keras": []}
    for epoch in range(EPOCHS):
        seen: dict[str, list[float]] = {"PyTorch": [], "Keras": []}
        for part in batches(epoch):
            x, y = torch.from_numpy(images[part]), torch.from_numpy(labels[part])
            adam.zero_grad()
            loss = torch.nn.functional.cross_entropy(first(x), y)
            loss.backward()
            adam.step()
            seen["PyTorch"].append(loss.item())
            last = images[part].transpose(0, 2, 3, 1)
            second.reset_metrics()
            seen["Keras"].append(float(second.train_on_batch(last, labels[part])))
        for name, values in seen.items():
            losses[name].append(sum(values) / len(values))
        print(
            epoch + 1, {name: round(values[-1], 4) for name, values in losses.items()}, flush=True
        )
    return losses


def draw(losses: dict[str, list[float]]) -> str:
    """The curves, the loss on a logarithmic scale."""
    width, height, left, low = 640, 300, 56, 40
    values = [v for line in losses.values() for v in line]
    bottom, top = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(epoch: float) -> float:
        return left + (width - left - 20) * (epoch - 1) / (EPOCHS - 1)

    def y(loss: float) -> float:
        return 16 + (height - low - 16) * (top - math.log10(loss)) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="12"><title>Loss of a narrow AlexNet on 300 digits, '
        "PyTorch and Keras</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for power in range(bottom, top + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{left} {at:.1f}H{width - 20}" stroke="#d0d7de"/>')
        parts.append(
            f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for epoch in (1, *range(5, EPOCHS + 1, 5)):
        parts.append(
            f'<text x="{x(epoch):.1f}" y="{height - 22}" text-anchor="middle">{epoch}</text>'
        )
    parts.append(f'<text x="{width / 2}" y="{height - 5}" text-anchor="middle">epoch</text>')
    for i, (name, line) in enumerate(losses.items()):
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in enumerate(line, start=1))
        color = COLORS[name]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        at = 34 + 18 * i
        parts.append(f'<text x="{width - 90}" y="{at}" fill="{color}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(train()), encoding="utf-8")
