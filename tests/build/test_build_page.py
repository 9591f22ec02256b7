"""The table of docs/build.md says what is so: what a target writes gives the same numbers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from netledger.build import write

np = pytest.importorskip("numpy")
for package in ("torch", "keras", "flax", "onnx", "onnxruntime"):
    pytest.importorskip(package)

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_targets", DOCS / "targets.py")
    assert spec and spec.loader
    module = sys.modules["docs_targets"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


targets = load()


def test_the_table_is_up_to_date() -> None:
    page = (DOCS / "build.md").read_text("utf-8")
    assert targets.filled(page) == page, "run: python docs/targets.py"


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_operation_of_a_builder_is_listed(name: str) -> None:
    table = importlib.import_module(f"netledger.build.{name}.table")
    known = {type(sample.op) for sample in targets.SAMPLES}
    writers = table.TABLE if name == "onnx" else table.WRITERS
    never = {"LocallyConnected", "Compare", "Opaque", "Inventory", "ExpandLike"}
    assert {op.__name__ for op in writers.keys() - known} <= never


def test_ruff_has_nothing_to_say(ruff: Callable[[Path], None], tmp_path: Path) -> None:
    for i, sample in enumerate(targets.SAMPLES):
        for name in ("torch", "keras", "jax"):
            if targets.builds(sample, name):
                code = str(write(targets.network(sample), name))
                (tmp_path / f"{sample.op.key}_{i}_{name}.py").write_text(code)
    ruff(tmp_path)


def feed(sample: Any) -> list[Any]:
    """Positive numbers; for a choice, which of the two."""
    rng = np.random.default_rng(1)
    found = []
    for t in targets.network(sample).inputs.values():
        noise = rng.uniform(0.1, 1.5, (2, *t.shape[1:])).astype("float32")
        found.append(noise > 0.7 if t.dtype == "bool" else noise)
    return found


HERE = [
    pytest.param(sample, id=f"{sample.op.key} {sample.words}".strip())
    for sample in targets.SAMPLES
    if sample.op.key
    in ("constant", "rnn", "gru", "lstm", "multi_head_attention", "attention", "resize")
    or sample.op.key in ("tensor", "where", "cast", "glu", "instance_norm", "batch_norm", "expand")
    or (sample.op.key, sample.words) in (("conv_transpose", "in groups"), ("gather", "one entry"))
]
"""What the tests of the single targets do not compare already."""


@pytest.mark.parametrize("sample", HERE)
def test_all_targets_that_write_it_compute_the_same(
    sample: Any, target: Any, weights: Any, close: Any
) -> None:
    graph = targets.network(sample)
    given, made = weights(graph), []
    for name in targets.TARGETS:
        if not targets.builds(sample, name):
            continue
        model = target(name).make(graph)
        target(name).load(model, graph, given)
        back = target(name).weights(model, graph)
        assert all(np.array_equal(back[key], given[key]) for key in given), name
        made.append(target(name).run(model, graph, feed(sample)))
    assert made
    for other in made[1:]:
        close([x.astype("float32") for x in made[0]], [x.astype("float32") for x in other])
