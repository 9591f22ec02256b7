"""Networks built and run in real frameworks: books that balance, and books that do not."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import netledger
from netledger import Graph, NetledgerError, ops, zoo
from netledger.builder import Network
from netledger.cli import main
from netledger.formula import symbol
from netledger.graph import BATCH, TensorType
from netledger.infer import infer
from netledger.render.verification import write
from netledger.verify import memory
from netledger.verify.books import Account, Verification

os.environ.setdefault("KERAS_BACKEND", "torch")

pytestmark = [
    # Keras on PyTorch: its own calls of NumPy and of PyTorch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
NEEDS = {"torch": "torch", "keras": "keras", "jax": "flax", "onnx": "onnxruntime"}


def verified(graph: Any, *targets: str, **wishes: Any) -> Verification:
    for name in targets:
        if importlib.util.find_spec(NEEDS[name]) is None:
            pytest.skip(f"{NEEDS[name]} is not installed")
    return netledger.verify(graph, targets, **wishes)


def block() -> Graph:
    """A little of everything: modules, branches, a sum, a join, two outputs."""
    net = Network("block", (12, 12, 3), title="A block")
    net(ops.Conv(8, 3, padding=1), name="stem")
    start = net(ops.BatchNorm(), name="norm")
    with net.scope("branch"):
        net(ops.Conv(8, 3, padding=1, groups=2, bias=False), name="conv")
        end = net(ops.Activation("relu"))
    both = net(ops.Add(), start, end)
    net(ops.Concat(), both, start, name="join")
    net(ops.MaxPool(3, stride=2, rounding="ceil_clipped"), name="pool")
    net(ops.Flatten())
    head = net(ops.Linear(5), name="head")
    return net.graph(head, net(ops.Softmax(), name="shares"))


@pytest.mark.parametrize("target", NEEDS)
def test_the_books_balance_row_by_row(target: str) -> None:
    graph = block()
    found = verified(graph, target)
    assert found.balances
    (run,) = found.runs
    assert [entry.row for entry in run.rows] == [node.name for node in graph.nodes]
    for entry in run.rows:
        outputs = [a for a in entry.accounts if a.what == "output"]
        assert outputs and all(a.observed == a.predicted and not a.why for a in outputs)
    assert run.batch == 2  # one sample has no statistics
    stem = run.rows[0].accounts
    last = target in ("keras", "jax")
    shape = (2, 12, 12, 8) if last else (2, 8, 12, 12)
    assert stem[0].observed == TensorType(shape) and stem[1] == Account("parameters", 224, 224)
    assert run.rows[1].accounts[2] == Account("buffers", 16, 16)
    totals = {a.what: a for a in run.totals}
    assert totals["parameters"].observed == infer(graph).totals.params
    assert totals["buffers"].observed == 16
    if target != "onnx":
        assert totals["trainable"].observed == totals["gradients"].observed
        assert totals["gradients"].observed == infer(graph).totals.trainable
    if target in ("torch", "keras"):
        assert totals["macs"] == Account("macs", infer(graph).totals.macs, infer(graph).totals.macs)
        assert run.saved_bytes and run.saved_bytes > 0
    else:
        assert totals["macs"].why
    assert run.seconds["build"] > 0 and run.seconds["forward"] > 0
    assert run.peak_bytes is None or run.peak_bytes > 1 << 20


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "googlenet"])
def test_networks_of_the_zoo_in_pytorch(name: str) -> None:
    found = verified(name, "torch")
    assert found.balances
    totals = {a.what: a.observed for a in found.runs[0].totals}
    ledger = infer(zoo.load(name)).totals
    assert totals["parameters"] == ledger.params and totals["macs"] == ledger.macs


def test_several_frameworks_one_after_the_other() -> None:
    found = verified("lenet5", "torch", "onnx")
    assert [run.target for run in found.runs] == ["torch", "onnx"]
    assert len(found.rows) == 2 * len(zoo.load("lenet5").nodes)
    assert repr(found) == "<Verification lenet5: balances in torch, onnx>"
    totals = {a.what: a for a in found.runs[1].totals}
    assert totals["gradients"] == Account(
        "gradients", 61706, None, "ONNX Runtime runs forward only"
    )
    assert found.runs[1].notes == ("forward only: ONNX Runtime does not differentiate",)


def test_another_input_and_batch() -> None:
    graph = netledger.read("lenet5", "40x40x1")
    found = verified(graph, "torch", batch=3)
    assert found.balances
    assert found.runs[0].rows[0].accounts[0].observed == TensorType((3, 6, 36, 36))


@pytest.fixture
def tampered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A builder that makes other layers than the books say."""
    torch = pytest.importorskip("torch")
    builder = importlib.import_module("netledger.build.torch")
    make = builder.make

    def other(graph: Graph) -> Any:
        model = make(graph)
        model.c1 = torch.nn.Conv2d(1, 6, 5, bias=False)
        model.output = torch.nn.Linear(84, 11)
        return model

    monkeypatch.setattr(builder, "make", other)
    yield


def test_a_model_that_is_another_does_not_balance(tampered: None) -> None:
    found = netledger.verify("lenet5", ["torch"])
    assert not found.balances
    wrong = [entry for entry in found.rows if not entry.balances]
    assert [entry.row for entry in wrong] == ["C1", "Output"]
    assert wrong[0].accounts[1] == Account("parameters", 156, 150)
    assert wrong[1].accounts[0] == Account("output", TensorType((1, 10)), TensorType((1, 11)))
    totals = {a.what: a for a in found.runs[0].totals}
    assert totals["parameters"] == Account("parameters", 61706, 61785)
    assert totals["macs"] == Account("macs", 416520, 416604)
    assert not totals["gradients"].balances


def test_the_command_says_no(tampered: None) -> None:
    done = CliRunner().invoke(main, ["verify", "lenet5"])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0].endswith("1 sample: the ledger does not balance")
    (row,) = [line for line in lines if line.startswith("≠  C1")]
    assert row.split()[-2:] == ["156", "150"]


def test_a_layer_that_nothing_reaches_has_no_gradient() -> None:
    """Predicted is that everything learned learns."""
    net = Network("net", (4,))
    net(ops.Linear(3), name="unused")
    net(ops.Linear(2), "input", name="used")
    found = verified(net.graph(), "torch")
    totals = {a.what: a for a in found.runs[0].totals}
    assert not found.balances and totals["parameters"].balances
    assert totals["gradients"] == Account("gradients", 25, 10)


def test_what_does_not_fit_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    builder = importlib.import_module("netledger.build.torch")
    monkeypatch.setattr(memory, "available", lambda: 300_000_000)
    monkeypatch.setattr(builder, "make", lambda graph: pytest.fail("something was built"))
    with pytest.raises(NetledgerError) as caught:
        netledger.verify("alexnet")
    assert str(caught.value) == (
        "BuildError: alexnet: a run in torch takes about 0.51 GB, and 0.30 GB are available; "
        "nothing was built\n"
        "  hint    verify it with a smaller --input, or in one framework at a time"
    )


def test_what_a_run_needs() -> None:
    """Parameters and their gradients, activations and theirs: float32."""
    ledger = infer(zoo.load("lenet5"), batch=3)
    made = 32 * 32 + sum(row.elements for row in infer(zoo.load("lenet5")).ops[1:])
    assert memory.needed(ledger, "torch") == 4 * (2 * 61706 + 2 * 3 * made)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_measured() -> None:
    """In a process of its own: one that has run long has free memory that it takes again."""
    code = """
from netledger.verify import memory

memory.forget_peak()
before = memory.peak()
held = bytearray(200 << 20)
print(before, memory.peak(), memory.available(), len(held))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    before, after, available, _ = map(int, run.stdout.split())
    assert before > 0 and after - before > 190 << 20
    assert available > 1 << 20


def test_a_missing_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "netledger.verify.onnx", raising=False)
    pytest.importorskip("onnx")
    done = CliRunner().invoke(main, ["verify", "lenet5", "--in", "onnx"])
    assert done.exit_code == 2
    assert done.output == (
        "MissingPackage: a run in onnx needs the package 'onnxruntime', which is not installed\n"
        "  hint    pip install 'netledger[onnx]'\n"
    )


BAD = {
    ("--in", "torhc"): ("UnknownName: unknown target 'torhc'\n  hint    did you mean 'torch'?\n"),
    ("--in", ","): ("UsageError: no framework is named\n  hint    torch, keras, jax, onnx\n"),
    ("--input", "HxWx1"): (
        "BuildError: the input 'Input' has sizes without a number: H, W\n"
        "  input   Input: float32[N, H, W, 1]\n"
        "  hint    a model is built for one size: give it, for instance --input 224x224x3\n"
    ),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, ["verify", "lenet5", *words])
    assert (done.exit_code, done.output) == (2, BAD[words])


def test_bad_calls() -> None:
    with pytest.raises(NetledgerError, match="batch must be at least 1; got 0"):
        netledger.verify("lenet5", batch=0)
    graph = Graph("net", {"x": TensorType((BATCH, symbol("T")))}, (), ("x",))
    with pytest.raises(NetledgerError, match="sizes without a number: T"):
        netledger.verify(graph)


def test_json_and_markdown() -> None:
    found = verified("lenet5", "torch")
    data = json.loads(write(found, "json"))
    assert data["schema"] == "netledger-verify/1" and data["balances"] is True
    (run,) = data["runs"]
    assert run["rows"][0] == {
        "name": "C1",
        "op": "Conv",
        "balances": True,
        "accounts": [
            {
                "what": "output",
                "predicted": {"shape": [1, 6, 28, 28], "dtype": "float32"},
                "observed": {"shape": [1, 6, 28, 28], "dtype": "float32"},
                "balances": True,
                "why": "",
            },
            {
                "what": "parameters",
                "predicted": 156,
                "observed": 156,
                "balances": True,
                "why": "",
            },
        ],
    }
    text = write(found, "markdown")
    assert "| = | C1 | Conv | float32\\[1, 6, 28, 28\\] |" in text
    assert "| = | MACs per sample | 416,520 | 416,520 |  |" in text


def test_names_are_inert() -> None:
    net = Network("a\x1b[2J", (3,), title="<b>")
    net(ops.Linear(2), name="x\x1b]0;owned\x07|<script>")
    found = verified(net.graph(), "torch")
    for format in ("text", "markdown", "json"):
        made = write(found, format)
        assert "\x1b" not in made and "\x07" not in made
    assert "<script>" not in write(found, "markdown")


def test_it_tells_how_far_it_is() -> None:
    seen: list[tuple[str, int, int]] = []
    verified("lenet5", "torch", watch=lambda *told: seen.append(told))
    assert seen[0] == ("torch: building", 0, 1)
    assert ("torch: forward, watched", 12, 12) in seen
    assert seen[-1] == ("torch: backward", 0, 1)


def test_a_tracer_that_was_there_is_there_again() -> None:
    def tracer(frame: Any, event: str, arg: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        verified("lenet5", "torch")
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_formats_come_from_the_ending(tmp_path: Any) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "lenet5.json"
    done = CliRunner().invoke(main, ["verify", "lenet5", "-o", str(path)])
    assert (done.exit_code, done.output) == (0, "")
    assert json.loads(path.read_text())["model"] == "lenet5"
