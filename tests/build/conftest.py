"""Weights and images for networks that are built, and the targets that build them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from netledger import Graph
from netledger.infer import infer
from netledger.references import beside_torchvision

os.environ.setdefault("KERAS_BACKEND", "torch")

NEEDS = {
    "torch": ("torch",),
    "keras": ("keras", "torch"),
    "jax": ("jax", "flax"),
    "onnx": ("onnx",),
}


@pytest.fixture(scope="session")
def target() -> Callable[[str], Any]:
    """The builder of a target; skips where its framework is not installed."""

    def get(name: str) -> Any:
        for package in (*NEEDS[name], "numpy"):
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"{package} is not installed")
        # `netledger.build` itself is the function of that name.
        return importlib.import_module("netledger.build").target(name)

    return get


@pytest.fixture(scope="session")
def weights() -> Callable[[Graph], Any]:
    """Canonical weights of a network at random, such that no layer fades out or explodes."""

    def make(graph: Graph, seed: int = 0) -> Any:
        import numpy as np

        rng = np.random.default_rng(seed)
        found = {}
        for row in infer(graph).ops:
            for p in row.parameters:
                shape = tuple(p.shape)
                if p.name == "running_var" or (p.role == "weight" and len(shape) == 1):
                    array = rng.uniform(0.5, 1.5, shape).astype("float32")
                elif p.role == "weight":
                    array = rng.standard_normal(shape, dtype="float32")
                    array *= np.float32((2 / np.prod(shape[1:])) ** 0.5)
                else:
                    array = rng.normal(0, 0.1, shape).astype("float32")
                found[row.name, p.name] = array
        return found

    return make


@pytest.fixture(scope="session")
def images() -> Callable[..., list[Any]]:
    """Inputs of a network at random, in its own axis order."""

    def make(graph: Graph, batch: int = 1, seed: int = 1) -> list[Any]:
        import numpy as np

        rng = np.random.default_rng(seed)
        return [
            rng.standard_normal((batch, *t.shape[1:]), dtype="float32")  # type: ignore[arg-type]
            for t in graph.inputs.values()
        ]

    return make


@pytest.fixture(scope="session")
def outputs(
    target: Callable[[str], Any], weights: Callable[..., Any], images: Callable[..., Any]
) -> Callable[..., list[Any]]:
    """What a network gives in a target, for the weights and images above."""

    def run(graph: Graph, name: str, batch: int = 1) -> list[Any]:
        builder = target(name)
        model = builder.make(graph)
        builder.load(model, graph, weights(graph))
        return list(builder.run(model, graph, images(graph, batch)))

    return run


@pytest.fixture(scope="session")
def close() -> Callable[..., None]:
    """Outputs are the same up to a relative error, and say something."""

    def compare(a: list[Any], b: list[Any], tolerance: float = 1e-4) -> None:
        import numpy as np

        assert [x.shape for x in a] == [x.shape for x in b]
        for x, y in zip(a, b, strict=True):
            assert np.isfinite(x).all() and np.ptp(x) > 0
            assert np.abs(x - y).max() <= tolerance * np.abs(x).max()

    return compare


@pytest.fixture(scope="session")
def ruff() -> Callable[[Path], None]:
    """Checks that the code in a folder is formatted, and that no rule of ruff speaks against it."""
    program = Path(sys.executable).with_name("ruff")
    if not program.exists():
        pytest.skip("ruff is not installed")

    def check(folder: Path) -> None:
        for command in (("check",), ("format", "--check")):
            run = subprocess.run(
                [str(program), *command, "--isolated", "--no-cache", "."],
                cwd=folder, capture_output=True, text=True,
            )  # fmt: skip
            assert run.returncode == 0, run.stdout + run.stderr

    return check


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """torchvision, also a build for CUDA, whose operators do not load beside another PyTorch."""
    pytest.importorskip("torch")
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return beside_torchvision("torchvision")
