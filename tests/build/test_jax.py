"""Networks in JAX: flax nnx modules, live and as code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph, NetledgerError, ops, zoo
from netledger.build import write
from netledger.build.narrow import narrow
from netledger.builder import Network
from netledger.infer import infer
from netledger.ops.base import Op

pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")

Outputs = Callable[..., list[Any]]
Close = Callable[..., None]


def layer(op: Op, shape: tuple[int, ...], last: bool = True) -> Graph:
    net = Network("net", shape, channels_last=last)
    net(op, name="layer")
    return net.graph()


ALIKE = {
    "conv in groups": (ops.Conv(8, 3, stride=2, padding=1, groups=2), (9, 11, 4)),
    "conv same, odd one behind": (ops.Conv(6, 4, stride=3, padding="same"), (11, 11, 3)),
    "conv rounded up, uneven": (ops.Conv(6, 5, stride=4, rounding="ceil"), (24, 24, 3)),
    "conv dilated": (ops.Conv(6, 3, dilation=2, bias=False), (9, 9, 3)),
    "conv of a row": (ops.Conv(6, 3), (12, 3)),
    "depthwise": (ops.DepthwiseConv(3, depth_multiplier=2), (6, 6, 3)),
    "transposed": (ops.ConvTranspose(5, 3, stride=2, padding=1, output_padding=1), (4, 5, 3)),
    "max pool": (ops.MaxPool(3, stride=2, padding=1, rounding="ceil_clipped"), (8, 8, 3)),
    "average with its padding": (ops.AvgPool(3, stride=1, padding=1), (6, 6, 3)),
    "average rounded up": (ops.AvgPool(3, stride=2, rounding="ceil_clipped"), (8, 8, 3)),
    "average same": (ops.AvgPool(3, stride=1, padding="same"), (6, 6, 3)),
    "uneven windows": (ops.AdaptiveAvgPool((4, 3)), (14, 7, 2)),
    "even maxima": (ops.AdaptiveMaxPool(2), (6, 4, 2)),
    "global": (ops.GlobalAvgPool(), (5, 4, 3)),
    "batch norm": (ops.BatchNorm(epsilon=1e-3), (4, 4, 3)),
    "group norm": (ops.GroupNorm(groups=2), (4, 4, 6)),
    "layer norm": (ops.LayerNorm(), (4, 6)),
    "rms norm": (ops.RMSNorm(), (4, 6)),
    "response norm": (ops.LocalResponseNorm(5, alpha=0.5, k=2.0), (3, 3, 9)),
    "attention": (ops.MultiHeadAttention(2), (5, 8)),
    "gelu": (ops.Activation("gelu"), (9,)),
    "log softmax": (ops.Softmax(log=True), (9,)),
    "part": (ops.Slice(1, 1, -1, 2), (8, 3)),
    "resize": (ops.Resize(scale=2), (3, 4, 2)),
    "resize to a size": (ops.Resize(size=(7, 9), mode="bilinear"), (3, 4, 2)),
    "resize a row": (ops.Resize(scale=2, mode="linear"), (4, 2)),
    "transposed in groups": (
        ops.ConvTranspose(6, 3, stride=2, groups=2, padding=1, output_padding=1),
        (4, 5, 4),
    ),
    "LSTM with one bias": (ops.LSTM(6, bias_vectors=1), (5, 3)),
    "LSTM, last step": (ops.LSTM(6, bias_vectors=1, return_sequences=False), (5, 3)),
    "LSTM, two layers, both ways": (ops.LSTM(6, num_layers=2, bidirectional=True), (5, 3)),
    "GRU both ways, last step": (
        ops.GRU(6, bidirectional=True, return_sequences=False),
        (5, 3),
    ),
    "RNN without biases": (ops.RNN(6, bias=False), (5, 3)),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_a_layer_computes_what_it_does_in_onnx(kind: str, outputs: Outputs, close: Close) -> None:
    graph = layer(*ALIKE[kind])
    close(outputs(graph, "onnx", 2), outputs(graph, "jax", 2))


def test_channels_first_is_the_same_function(outputs: Outputs, close: Close) -> None:
    net = Network("net", (3, 6, 5), channels_last=False)
    net.chain(ops.Conv(4, 3), ops.Activation("relu"), ops.Flatten(), ops.Linear(7))
    close(outputs(net.graph(), "onnx", 2), outputs(net.graph(), "jax", 2))


def uneven() -> Graph:
    """A pooling whose windows are not alike."""
    net = Network("uneven", (7, 5, 2))
    net.chain(ops.Conv(4, 3, padding=1), ops.AdaptiveAvgPool((3, 2)), ops.Flatten(), ops.Linear(5))
    return net.graph()


@pytest.mark.filterwarnings("ignore:`flax.nnx.State`:DeprecationWarning")
@pytest.mark.parametrize("name", ["lenet5", "alexnet-2012", "uneven windows"])
def test_the_round_trip_is_empty(name: str) -> None:
    """Of what flax has no layer for, too."""
    graph = uneven() if name == "uneven windows" else narrow(zoo.load(name), 0.125)
    (image,) = graph.inputs.values()
    found = netledger.diff(graph, netledger.read(netledger.build(graph, "jax"), [image.shape[1:]]))
    assert found.empty, [cause.text for cause in found.causes]


def test_a_live_module_is_trainable() -> None:
    import jax.numpy as jnp

    model = netledger.build("lenet5", "jax")
    assert isinstance(model, nnx.Module)
    grads = nnx.grad(lambda m: m(jnp.ones((1, 32, 32, 1))).sum())(model)
    assert sum(g.size for g in __import__("jax").tree.leaves(grads)) == 61_706


def test_frozen_and_shared_numbers(target: Any, weights: Any) -> None:
    import jax

    net = Network("net", (6,))
    net(ops.Linear(6), name="a", trainable=False)
    net(ops.Linear(6), name="b")
    net(ops.Linear(6), name="c")
    net.tie(("b", "weight"), ("c", "weight"))
    graph = net.graph()
    model = target("jax").make(graph)
    sizes = [leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]
    assert sum(sizes) == infer(graph).totals.trainable == 36 + 6 + 6
    given = weights(graph)
    given["c", "weight"] = given["b", "weight"]
    target("jax").load(model, graph, given)
    back = target("jax").weights(model, graph)
    assert all((back[key] == given[key]).all() for key in given)


def test_initial_numbers_are_those_of_the_paper(target: Any) -> None:
    graph = narrow(zoo.load("alexnet-2012"), 0.125, 10)
    code = str(write("alexnet-2012", "jax"))
    assert code.count("kernel_init=nnx.initializers.normal(0.01)") == 8
    assert code.count("bias_init=nnx.initializers.ones") == 5
    assert graph.nodes[0].name == "Conv-1"


CODE = ("lenet5", "alexnet-2012", "resnet18", "googlenet-aux")


@pytest.mark.parametrize("name", CODE)
def test_code(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"build/{name}.jax.txt", str(write(name, "jax")))


def test_ruff_has_nothing_to_say(ruff: Callable[[Path], None], tmp_path: Path) -> None:
    for name in zoo.NETWORKS:
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(str(write(name, "jax")))
    ruff(tmp_path)


def test_the_code_runs_by_itself(tmp_path: Path) -> None:
    """In a clean process, where nothing of ours is needed."""
    path = tmp_path / "lenet5.py"
    path.write_text(str(write("lenet5", "jax")))
    watched = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); "
    watched += "print([m for m in sys.modules if m.startswith('netledger')])"
    run = subprocess.run(
        [sys.executable, "-I", "-c", watched, str(path)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "61,706" in run.stdout and "output: (1, 10)" in run.stdout
    assert run.stdout.rstrip().endswith("[]")


REFUSED = {
    "projected": (
        ops.LSTM(8, projection_size=4),
        (5, 3),
        "BuildError: layer (LSTM): JAX cannot express this LSTM (state of 8)\n"
        "  input   input: float32[N, 5, 3]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "dilated maximum": (
        ops.MaxPool(2, dilation=2),
        (8, 8, 2),
        "BuildError: layer (MaxPool): JAX cannot express this MaxPool "
        "(maximum over 2×2, stride 2)\n"
        "  input   input: float32[N, 8, 8, 2]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "clip": (
        ops.Activation("clip"),
        (4,),
        "BuildError: layer (Clip): cannot be built in JAX: its bounds are not kept in the books\n"
        "  hint    only a network of which every layer is fully known can be built",
    ),
    "sine": (
        ops.Activation("sin"),
        (4,),
        "BuildError: layer (Sin): JAX cannot express this Sin (of each number by itself)\n"
        "  input   input: float32[N, 4]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_jax_cannot_express(kind: str) -> None:
    op, shape, message = REFUSED[kind]
    with pytest.raises(NetledgerError) as caught:
        write(layer(op, shape), "jax")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "name", ["a\x1b[2Jb", '"""\nimport os\n"""', "rngs", "jnp", "a\ud800b", "__call__", "x" * 5000]
)
def test_names_are_only_names(name: str) -> None:
    import ast

    def net(word: str) -> str:
        made = Network(word, {word: (6, 6, 2)}, title=word)
        with made.scope(word):
            made(ops.Conv(3, 3), name=f"{word}1")
            made(ops.BatchNorm(), name=word)
        made.chain(ops.Flatten(), ops.Linear(4))
        return str(write(made.graph(), "jax"))

    code = net(name)
    assert all(c.isprintable() or c == "\n" for c in code)

    def kinds(text: str) -> list[str]:
        return sorted(type(node).__name__ for node in ast.walk(ast.parse(text)))

    assert kinds(code) == kinds(net("calm"))
