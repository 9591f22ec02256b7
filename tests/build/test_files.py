"""Files that others wrote, built in PyTorch: the same numbers as where they came from.

We read the file; its weights are read by the framework, layer by layer.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph, zoo
from netledger.infer import infer

torch = pytest.importorskip("torch")


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
            tensor.normal_(float(tensor.ndim == 1 and "bias" not in key), spread).abs_()
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


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    [
        "googlenet",
        pytest.param("alexnet", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.slow),
    ],
)
def test_an_onnx_file_in_pytorch(
    name: str, torchvision: Any, tmp_path: Path, target: Any, close: Any
) -> None:
    x, expected = onnx_file(torchvision.models, name, tmp_path / "net.onnx")
    graph = netledger.read(tmp_path / "net.onnx")
    keys = [(row.name, p) for row in infer(graph).ops for p in row.parameters]
    arrays = list(stored(tmp_path / "net.onnx"))
    weights = {(row, p.name): array for (row, p), array in zip(keys, arrays, strict=True)}
    assert all(weights[row, p.name].shape == tuple(p.shape) for row, p in keys)
    builder = target("torch")
    model = builder.make(graph)
    builder.load(model, graph, weights)
    close([expected], builder.run(model, graph, [x]))


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


@pytest.mark.parametrize(
    "name",
    ["googlenet-caffe", "resnet50", pytest.param("alexnet-caffe", marks=pytest.mark.slow)],
)
def test_a_caffe_file_in_pytorch(
    name: str, caffe: Any, tmp_path: Path, target: Any, weights: Any, images: Any, close: Any
) -> None:
    """Caffe cannot run here: its file is held against the zoo, both layouts."""
    graph = zoo.load(name)
    words = caffe.say(graph, "Caffe")
    assert isinstance(words, Graph)
    caffe.FORMATS["Caffe"].write(words, tmp_path / "net.prototxt")
    read = netledger.read(tmp_path / "net.prototxt")
    builder, given, x = target("torch"), weights(graph), images(graph)
    other = carried(graph, given, read)
    for key, array in other.items():  # Caffe flattens channels first
        if key[0].startswith(("FC-1", "fc6")) and key[1] == "weight":
            maps = array.reshape(len(array), 6, 6, -1).transpose(0, 3, 1, 2)
            other[key] = maps.reshape(array.shape)
    made = []
    for net, w, maps in ((graph, given, x), (read, other, [x[0].transpose(0, 3, 1, 2)])):
        model = builder.make(net)
        builder.load(model, net, w)
        made.append([a.reshape(len(a), -1) for a in builder.run(model, net, maps)])
    close(made[0], made[1])
