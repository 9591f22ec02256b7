"""Files that others wrote, built in PyTorch: the same numbers as where they came from.

We read the file; its weights are read by the framework, layer by layer.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Graph, zoo
from netledger.build import target
from netledger.infer import infer

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "files-in-pytorch.md"


def onnx_file(models: Any, name: str, path: Path) -> Any:
    """torchvision's network as an ONNX file; what ONNX Runtime makes of an image."""
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    module = getattr(models, name)(weights=None, **extra).eval()
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point():  # no two alike, or the exporter would store them once
            spread = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.1
            around = float(tensor.ndim == 1 and not key.endswith(("bias", "running_mean")))
            tensor.normal_(around, spread).abs_()
            if tensor.ndim > 1:
                tensor.mul_(torch.randn(tensor.shape).sign())
    x = torch.randn(1, 3, 224, 224)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), str(path), dynamo=False)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: x.numpy()}
    return x.numpy(), session.run(None, feeds)[0]


def stored(path: Path) -> Iterator[Any]:
    """The weights of an ONNX file in the order of its nodes, read by onnx."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(path))
    known = {i.name: i for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "BatchNormalization"):
            assert not any(a.name == "transB" and a.i != 1 for a in node.attribute)
            for name in node.input[1:]:
                yield onnx.numpy_helper.to_array(known[name])


class Compared(NamedTuple):
    """What a network of a file gives in PyTorch, and what it has to give."""

    graph: Graph
    expected: Any
    made: Any


def in_pytorch(graph: Graph, weights: Any, x: Any) -> Any:
    """The first output of the network, built, with weights of its source."""
    builder = target("torch")
    model = builder.make(graph)
    builder.load(model, graph, weights)
    (made, *_), (dark, *_) = (builder.run(model, graph, [np.asarray(i)]) for i in (x, 0 * x))
    assert np.abs(made - dark).max() > 0.01 * np.abs(made).max(), "it does not depend on the image"
    return made


def from_onnx(name: str, path: Path, request: pytest.FixtureRequest) -> Compared:
    """Exported by PyTorch, run by ONNX Runtime."""
    models = request.getfixturevalue("torchvision").models
    x, expected = onnx_file(models, name, path / "net.onnx")
    graph = netledger.read(path / "net.onnx")
    keys = [(row.name, p) for row in infer(graph).ops for p in row.parameters]
    arrays = list(stored(path / "net.onnx"))
    weights = {(row, p.name): array for (row, p), array in zip(keys, arrays, strict=True)}
    assert all(weights[row, p.name].shape == tuple(p.shape) for row, p in keys)
    return Compared(graph, expected, in_pytorch(graph, weights, x))


def by_position(graph: Graph, stored: list[Any]) -> dict[tuple[str, str], Any]:
    """Weights that a framework lists layer by layer, as those of the network's layers."""
    names = [(row.name, p) for row in infer(graph).ops for p in row.parameters]
    assert len(names) == len(stored)
    found = {}
    for (name, p), array in zip(names, stored, strict=True):
        kernel = array.ndim >= 2
        moved = array.transpose(-1, -2, *range(array.ndim - 2)) if kernel else array
        assert moved.shape == tuple(p.shape), (name, p)
        found[name, p.name] = moved
    return found


def keras_model(name: str) -> Any:
    """A network of Keras' own; AlexNet, which is not among them, as a listing would have it."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    if name == "resnet50":
        return keras.applications.ResNet50(weights=None)
    if name == "alexnet":
        kernels = ((96, 11, 4, "valid"), (256, 5, 1, "same"), (384, 3, 1, "same"))
        listed = [keras.Input((227, 227, 3))]
        for i, (filters, size, strides, padding) in enumerate(
            (*kernels, kernels[2], (256, 3, 1, "same"))
        ):
            listed.append(layers.Conv2D(filters, size, strides, padding, activation="relu"))
            if i in (0, 1, 4):
                listed.append(layers.MaxPooling2D(3, 2))
        listed += [layers.Flatten(), layers.Dense(512, "relu"), layers.Dropout(0.5)]
        return keras.Sequential([*listed, layers.Dense(1000, "softmax")])
    x = inputs = keras.Input((224, 224, 3))

    def conv(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    x = layers.MaxPooling2D(3, 2, padding="same")(conv(x, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(conv(conv(x, 64, 1), 192, 3))
    for one, a, b, c, d, pool in ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)):
        pooled = layers.MaxPooling2D(3, 1, padding="same")(x)
        branches = [conv(x, one, 1), conv(conv(x, a, 1), b, 3), conv(conv(x, c, 1), d, 5)]
        x = layers.Concatenate()([*branches, conv(pooled, pool, 1)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(1000)(layers.Dropout(0.4)(x)))


def from_keras(name: str, path: Path, request: pytest.FixtureRequest) -> Compared:
    """Saved and run by Keras."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    model = keras_model(name)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            width = layer.gamma.shape
            layer.set_weights([rng.uniform(0.5, 1.5, width) for _ in range(4)])
    model.save(path / "net.keras")
    graph = netledger.read(path / "net.keras")
    owners = {layer.name: layer for layer in model.layers}
    arrays = [
        w.value.detach().numpy()
        for row in infer(graph).ops
        if row.parameters
        for w in owners[row.name].weights
    ]
    (x,) = request.getfixturevalue("images")(graph)
    expected = model(x, training=False).detach().numpy()
    return Compared(graph, expected, in_pytorch(graph, by_position(graph, arrays), x))


@pytest.fixture(scope="session")
def caffe() -> Any:
    """What writes prototxt files, of the tests of formats."""
    name, folder = "build_writers", Path(__file__).parents[1] / "crossformat" / "writers"
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def carried(graph: Graph, given: dict[tuple[str, str], Any], other: Graph) -> dict[Any, Any]:
    """Weights for a network in which normalisations and their scales are layers of their own."""
    found: dict[Any, Any] = {}
    rows = iter([row for row in infer(other).ops if row.parameters])
    for row in infer(graph).ops:
        if not row.parameters:
            continue
        names = [p.name for p in row.parameters]
        parts = [names] if row.kind != "BatchNorm" else [names[2:], names[:2]]
        for part in parts:
            theirs = next(rows)
            assert [p.name for p in theirs.parameters] == part
            found.update({(theirs.name, n): given[row.name, n] for n in part})
    assert next(rows, None) is None
    return found


def from_caffe(name: str, path: Path, request: pytest.FixtureRequest) -> Compared:
    """Caffe cannot run here: its file is held against the zoo's network, both layouts."""
    caffe = request.getfixturevalue("caffe")
    graph = zoo.load({"googlenet": "googlenet-caffe", "alexnet": "alexnet-caffe"}.get(name, name))
    words = caffe.say(graph, "Caffe")
    assert isinstance(words, Graph)
    caffe.FORMATS["Caffe"].write(words, path / "net.prototxt")
    read = netledger.read(path / "net.prototxt")
    given = request.getfixturevalue("weights")(graph)
    (x,) = request.getfixturevalue("images")(graph)
    other = carried(graph, given, read)
    for key, array in other.items():  # Caffe flattens channels first
        if key[0].startswith(("FC-1", "fc6")) and key[1] == "weight":
            maps = array.reshape(len(array), 6, 6, -1).transpose(0, 3, 1, 2)
            other[key] = maps.reshape(array.shape)
    made = [
        in_pytorch(graph, given, x),
        in_pytorch(read, other, x.transpose(0, 3, 1, 2)),
    ]
    expected, ours = (a.reshape(len(a), -1) for a in made)
    return Compared(read, expected, ours)


FORMATS: dict[str, tuple[Callable[..., Compared], str]] = {
    "Keras": (from_keras, "Keras"),
    "ONNX": (from_onnx, "ONNX Runtime"),
    "Caffe": (from_caffe, "the network of the zoo, built in PyTorch"),
}
"""How a file is made and compared, and with what."""
NETWORKS = ("alexnet", "resnet50", "googlenet")
FAST = (("Keras", "alexnet"), ("Keras", "googlenet"), ("ONNX", "googlenet"), ("Caffe", "googlenet"))


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("kind", "name"), FAST)
def test_a_file_in_pytorch(
    kind: str, name: str, tmp_path: Path, close: Any, request: pytest.FixtureRequest
) -> None:
    made = FORMATS[kind][0](name, tmp_path, request)
    close([made.expected], [made.made])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_file_in_pytorch(
    tmp_path: Path, close: Any, capsys: Any, request: pytest.FixtureRequest
) -> None:
    """All formats and networks; the table is kept in docs/proofs/files-in-pytorch.md."""
    lines = [
        "# Files of others, built in PyTorch",
        "",
        "Written by `make prove`. netledger reads the file and builds the network in PyTorch with "
        "the file's own weights, which its framework reads (of Caffe, whose prototxt has none, "
        "random ones). The same image gives the same outputs as the original does. The error is "
        "the largest difference of any output, relative to the largest output, in float32.",
        "",
        "| file | network | parameters | compared with | error |",
        "|---|---|---:|---|---:|",
    ]
    for kind, (compare, original) in FORMATS.items():
        for name in NETWORKS:
            path = tmp_path / f"{kind}-{name}"
            path.mkdir()
            found = compare(name, path, request)
            close([found.expected], [found.made])
            error = np.abs(found.expected - found.made).max() / np.abs(found.expected).max()
            count = infer(found.graph).totals.params
            lines.append(f"| {kind} | {name} | {count:,} | {original} | {error:.1e} |")
            with capsys.disabled():
                print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")
