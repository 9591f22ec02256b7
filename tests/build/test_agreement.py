"""One function: a network built in four frameworks gives the same numbers in all of them.

The weights of the PyTorch model are carried to the others, layouts converted; the same input then
gives the same outputs, to a relative error below 1e-4 in float32.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph, zoo
from netledger.build import target
from netledger.diff import diff
from netledger.infer import infer

os.environ.setdefault("KERAS_BACKEND", "torch")

np = pytest.importorskip("numpy")
pytestmark = [
    pytest.mark.oracle,
    # Keras on PyTorch: its own calls of NumPy and of PyTorch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

PACKAGES = {"torch": "torch", "keras": "keras", "jax": "flax", "onnx": "onnxruntime"}
WITHIN = 1e-4
SAMPLE = [
    ("lenet5", ("keras", "jax", "onnx")),
    ("alexnet-2012", ("keras", "jax", "onnx")),
    ("alexnet-slim-v2", ("keras", "onnx")),
    ("alexnet-keras-noflatten", ("keras", "onnx")),
    ("resnet18", ("keras", "onnx")),
    ("googlenet-aux", ("keras", "onnx")),
]


def need(*targets: str) -> None:
    for name in targets:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            pytest.skip(f"{PACKAGES[name]} is not installed")


def noise(graph: Graph) -> dict[tuple[str, str], Any]:
    """Weights that let a signal through, and biases and statistics that are all different."""
    generator = np.random.default_rng(1)
    found = {}
    for row in infer(graph).ops:
        for p in row.parameters:
            made = generator.standard_normal(p.shape, np.float32)
            if len(p.shape) > 1:
                made *= np.float32((2 / np.prod(p.shape[1:])) ** 0.5)
            else:
                made *= np.float32(0.1)
                made += np.float32(p.name in ("weight", "running_var"))
            found[row.name, p.name] = made
    return found


def image(graph: Graph) -> list[Any]:
    generator = np.random.default_rng(2)
    return [generator.standard_normal((1, *t.shape[1:]), np.float32) for t in graph.inputs.values()]


def built(graph: Graph, name: str, weights: Any) -> Any:
    if name == "onnx":
        return target("onnx").make(graph, weights)  # type: ignore[call-arg]
    model = target(name).make(graph)
    target(name).load(model, graph, weights)
    return model


def error(made: list[Any], wanted: list[Any]) -> float:
    """The largest difference of an output, relative to its largest number."""
    assert [a.shape for a in made] == [b.shape for b in wanted]
    for b in wanted:
        assert np.ptp(b) > 1e-3 * np.abs(b).max(), "an output without a signal proves nothing"
    return max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(made, wanted, strict=True)
    )


@pytest.mark.parametrize(("network", "targets"), SAMPLE)
def test_all_frameworks_give_the_same(network: str, targets: tuple[str, ...]) -> None:
    need("torch", *targets)
    graph = zoo.load(network)
    model = built(graph, "torch", noise(graph))
    weights = target("torch").weights(model, graph)
    wanted = target("torch").run(model, graph, image(graph))
    for name in targets:
        other = built(graph, name, weights)
        assert error(target(name).run(other, graph, image(graph)), wanted) < WITHIN, name
        carried = target(name).weights(other, graph)
        assert carried.keys() == weights.keys()
        assert all(np.array_equal(carried[key], weights[key]) for key in weights), name


def test_weights_in_another_order_are_another_function() -> None:
    """The comparison would see a dense layer behind a flattened map whose columns are mixed up."""
    need("torch", "onnx")
    graph = zoo.load("lenet5").with_fields("C5", kernel_size=3)
    weights = noise(graph)
    wanted = target("torch").run(built(graph, "torch", weights), graph, image(graph))
    made = target("onnx").run(built(graph, "onnx", weights), graph, image(graph))
    assert error(made, wanted) < WITHIN
    mixed = weights["F6", "weight"].reshape(84, 3, 3, 120).transpose(0, 3, 1, 2)
    weights["F6", "weight"] = np.ascontiguousarray(mixed.reshape(84, -1))
    made = target("onnx").run(built(graph, "onnx", weights), graph, image(graph))
    assert error(made, wanted) > 0.1


PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "build.md"


@pytest.mark.slow
@pytest.mark.parametrize("network", zoo.NETWORKS)
def test_every_network_in_every_framework(network: str, capsys: Any, tmp_path: Path) -> None:
    """All of the zoo; the table is kept in docs/proofs/build.md, each network with its rows."""
    need(*PACKAGES)
    start, rows = time.perf_counter(), []
    for name, cells in columns(zoo.load(network), tmp_path / "net.onnx"):
        rows.append(f"| {network} | {name} | {' | '.join(cells)} |")
        with capsys.disabled():
            print(f"{rows[-1]} {time.perf_counter() - start:.0f} s", flush=True)
        gc.collect()
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    known: dict[str, list[str]] = {}
    for line in lines[len([*report(0)]) :]:
        known.setdefault(line.split(" | ")[0].strip("| "), []).append(line)
    known[network] = rows
    table = [line for name in zoo.NETWORKS for line in known.get(name, ())]
    PAGE.write_text("\n".join([*report(len(known)), *table]) + "\n")


def columns(graph: Graph, path: Path) -> Iterator[tuple[str, list[str]]]:
    """For each framework: whether the books balance, the error, the way back."""
    ledger = infer(graph)
    model = built(graph, "torch", noise(graph))
    weights = target("torch").weights(model, graph)
    wanted = target("torch").run(model, graph, image(graph))
    for name in PACKAGES:
        model = model if name == "torch" else built(graph, name, weights)
        worst = error(target(name).run(model, graph, image(graph)), wanted)
        assert worst < WITHIN, (graph.name, name, worst)
        back = diff(ledger, infer(read_back(model, graph, name, path)))
        assert back.empty, (graph.name, name, [cause.text for cause in back.causes])
        model = None
        gc.collect()
        books = netledger.verify(graph, [name])
        assert books.balances, (graph.name, name)
        rows = f"{len(books.rows)} rows balance"
        yield name, [rows, "–" if name == "torch" else f"{worst:.1e}", "empty"]


def read_back(model: Any, graph: Graph, name: str, path: Path) -> Graph:
    """What netledger reads in the built model; of ONNX in the file."""
    if name == "onnx":
        path.write_bytes(model.SerializeToString())
        return netledger.read(path)
    (shape,) = [t.shape[1:] for t in graph.inputs.values()]
    shape = (shape[-1], *shape[:-1]) if name == "torch" else shape
    return netledger.read(model, None if name == "keras" else [shape])


def report(networks: int) -> Iterator[str]:
    yield "# Built and run"
    yield ""
    yield (
        f"{networks} of the {len(zoo.NETWORKS)} networks of the zoo, built in four frameworks and "
        "run. Written by `make prove`, each network by itself."
    )
    yield ""
    yield (
        "- **books**: `netledger verify` builds it, runs it forward and (but for ONNX) backward; "
        "in every row the shape, the dtype and the parameters are those predicted, and so are the "
        "totals: parameters, trainable ones, buffers, gradients, and in PyTorch and Keras the "
        "MACs of PyTorch's own counter."
    )
    yield (
        "- **error**: the weights of the PyTorch model, carried over, on the same input: the "
        "largest difference of any output, relative to the largest output, in float32."
    )
    yield (
        "- **read back**: what `netledger diff` finds between the network and the built model, "
        "read again (the live model; of ONNX the file)."
    )
    yield ""
    yield "| network | framework | books | error | read back |"
    yield "|---|---|---|---:|---|"
