"""AlexNet trains: one weird trick's, with few channels, learns scikit-learn's digits by heart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import netledger
from netledger import Graph, zoo
from netledger.build.narrow import narrow
from netledger.graph import BATCH, TensorType

torch = pytest.importorskip("torch")
datasets = pytest.importorskip("sklearn.datasets")

EPOCHS = 40
"""More than twice as many as it takes; how long they take is in docs/build.md."""
SIZE = 64
BATCHES = 64


@pytest.fixture(scope="module")
def alexnet() -> Graph:
    """An eighth of the channels, ten classes, grey images of 64×64."""
    graph = zoo.load("alexnet-owt")
    name = next(iter(graph.inputs))
    grey = graph.with_inputs({name: TensorType((BATCH, SIZE, SIZE, 1))})
    return narrow(grey, 1 / 8, classes=10)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """500 images of 8×8, enlarged, and what they show."""
    images, labels = datasets.load_digits(return_X_y=True)
    maps = torch.tensor(images[:500], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    large = torch.nn.functional.interpolate(maps, size=SIZE, mode="bilinear", align_corners=False)
    return large, torch.tensor(labels[:500])


def batches(images: Any, labels: Any, seed: int) -> Iterator[tuple[Any, Any]]:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    for part in order.split(BATCHES):
        yield images[part], labels[part]


def test_in_pytorch(alexnet: Graph, digits: tuple[Any, Any]) -> None:
    images, labels = digits
    torch.manual_seed(0)
    model = netledger.build(alexnet, "torch")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    accuracy, epoch = 0.0, 0
    while accuracy <= 0.95:
        assert epoch < EPOCHS, f"{accuracy:.0%} after {epoch} epochs"
        for x, y in batches(images, labels, epoch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        epoch += 1
        model.eval()
        with torch.no_grad():
            accuracy = (model(images).argmax(1) == labels).float().mean().item()
        model.train()
    print(f"PyTorch: {accuracy:.1%} after {epoch} epochs")
    assert epoch > 1  # it did not begin there


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_keras(alexnet: Graph, digits: tuple[Any, Any]) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    images, labels = digits[0].permute(0, 2, 3, 1).numpy(), digits[1].numpy()
    model = netledger.build(alexnet, "keras")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    accuracy, epoch = 0.0, 0
    while accuracy <= 0.95:
        assert epoch < EPOCHS, f"{accuracy:.0%} after {epoch} epochs"
        model.fit(images, labels, batch_size=BATCHES, epochs=1, verbose=0)
        epoch += 1
        accuracy = model.evaluate(images, labels, batch_size=250, verbose=0)[1]
    print(f"Keras: {accuracy:.1%} after {epoch} epochs")
    assert epoch > 1
