"""Networks as ONNX Runtime's optimisers and quantisers leave them, against what it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Ledger

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
ort = pytest.importorskip("onnxruntime")
h = onnx.helper

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

DOMAIN = "com.microsoft"


class Case(NamedTuple):
    """A node: its inputs that are fed (shapes) and stored (shapes), and what it counts."""

    kind: str
    fed: dict[str, tuple[int, ...]]
    stored: dict[str, tuple[int, ...]]
    order: str
    params: int
    macs: int
    settings: Mapping[str, Any] = MappingProxyType({})
    outputs: int = 1
    whole: tuple[str, ...] = ()
    """Which of the fed are whole numbers."""


X = {"x": (2, 5, 8)}
QKV = {"q": (2, 5, 8), "k": (2, 7, 8), "v": (2, 7, 8)}
MAP = {"x": (2, 4, 6, 6)}


def cases() -> Iterator[Case]:
    w = {"w": (8, 6)}
    yield Case("FusedMatMul", X, w, "x w", 48, 5 * 48)
    yield Case("FusedMatMul", X, {"w": (6, 8)}, "x w", 48, 5 * 48, {"transB": 1})
    yield Case("FusedMatMul", QKV, {}, "q k", 0, 5 * 7 * 8, {"transB": 1, "alpha": 0.5})
    yield Case("FusedMatMul", QKV, {}, "k v", 0, 8 * 7 * 8, {"transA": 1})
    rows_first = {"w": (6, 1, 8)}
    both = {"transBatchB": 1, "transB": 1}
    yield Case("FusedMatMul", X, rows_first, "x w", 48, 5 * 8 * 6, both)
    both = {"transBatchA": 1, "transB": 1}
    yield Case("FusedMatMul", X, rows_first, "w x", 48, 5 * 8 * 6, both)
    rows = {"x": (2, 8)}
    biased = {"w": (8, 6), "b": (6,)}
    yield Case("FusedGemm", rows, biased, "x w b", 54, 48, {"activation": "Relu"})
    kernel = {"w": (5, 4, 3, 3), "b": (5,)}
    conv = {"kernel_shape": [3, 3], "activation": "Relu"}
    yield Case("FusedConv", MAP, kernel, "x w b", 185, 16 * 180, conv)
    yield Case(
        "FusedConv", MAP, kernel, "x w b", 185, 16 * 180, {**conv, "activation": "HardSwish"}
    )
    added = {**MAP, "z": (2, 5, 4, 4)}
    yield Case("FusedConv", added, kernel, "x w b z", 185, 16 * 180, conv)
    yield Case("BiasGelu", X, {"b": (8,)}, "x b", 8, 0)
    yield Case("FastGelu", X, {"b": (8,)}, "x b", 8, 0)
    yield Case("QuickGelu", X, {}, "x", 0, 0)
    two = {**X, "y": (2, 5, 8)}
    norm = {"g": (8,), "b": (8,), "c": (8,)}
    yield Case("SkipLayerNormalization", two, norm, "x y g b c", 24, 0, {}, 4)
    yield Case("SkipLayerNormalization", two, {"g": (8,)}, "x y g", 8, 0)
    plain = {"g": (8,), "c": (8,)}
    yield Case("SkipSimplifiedLayerNormalization", two, plain, "x y g c", 16, 0, {}, 4)
    heads = {"num_heads": 2}
    own = {"w": (8, 24), "b": (24,)}
    yield Case("Attention", X, own, "x w b", 216, 5 * 8 * 24 + 2 * 25 * 8, heads)
    narrow = {"w": (8, 20), "b": (20,)}
    sizes = {**heads, "qkv_hidden_sizes": [8, 8, 4]}
    yield Case("Attention", X, narrow, "x w b", 180, 5 * 8 * 20 + 2 * 25 * (4 + 2), sizes)
    yield Case("MultiHeadAttention", QKV, {}, "q k v", 0, 2 * 35 * 8, heads)
    yield Case("MultiHeadAttention", QKV, {"b": (24,)}, "q k v b", 24, 2 * 35 * 8, heads)
    tables = {"w": (11, 8), "p": (9, 8), "s": (2, 8), "g": (8,), "b": (8,)}
    words = {"i": (2, 5), "j": (2, 5)}
    whole = ("i", "j")
    total = 8 * (11 + 9 + 2 + 2)
    yield Case("EmbedLayerNormalization", words, tables, "i j w p s g b", total, 0, whole=whole)


@pytest.mark.parametrize("case", [*cases()], ids=lambda case: f"{case.kind} {case.order}")
def test_each_operation_has_the_shapes_of_a_run(case: Case, tmp_path: Path) -> None:
    names = [f"y{i}" for i in range(case.outputs)]
    made = [name if i in (0, 3) else "" for i, name in enumerate(names)]
    if case.kind.startswith("Embed"):
        made.append("mask")
    node = h.make_node(case.kind, case.order.split(), made, "node", domain=DOMAIN, **case.settings)
    kinds = {name: 6 if name in case.whole else 1 for name in case.fed}
    inputs = [
        h.make_tensor_value_info(name, kinds[name], ["N", *shape[1:]])
        for name, shape in case.fed.items()
    ]
    stored = [
        onnx.numpy_helper.from_array(np.ones(shape, np.float32), name)
        for name, shape in case.stored.items()
    ]
    wanted = [onnx.ValueInfoProto(name=name) for name in made if name.startswith("y")]
    graph = h.make_graph([node], "made", inputs, wanted, stored)
    path = tmp_path / "net.onnx"
    opsets = [h.make_opsetid("", 17), h.make_opsetid(DOMAIN, 1)]
    model = h.make_model(graph, opset_imports=opsets, ir_version=10)
    path.write_bytes(model.SerializeToString())
    ledger = netledger.ledger(str(path))
    assert not ledger.findings
    assert (ledger.totals.params, ledger.totals.macs) == (case.params, case.macs)
    assert ledger.totals.complete
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {
        name: np.zeros(shape, np.int32 if name in case.whole else np.float32)
        for name, shape in case.fed.items()
    }
    found = session.run([value.name for value in wanted], feeds)
    types = {v: t for row in ledger.ops for v, t in zip(row.made, row.outputs, strict=True)}
    ours = [types[name].shape[1:] for name in ledger.graph.outputs]
    assert ours == [result.shape[1:] for result in found]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convolutional network, as PyTorch exports it."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
            self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=2)
            self.point, self.up = nn.Conv2d(8, 8, 1), nn.ConvTranspose2d(8, 4, 2, 2)
            self.out = nn.Linear(8, 10)

        def forward(self, x: Any) -> Any:
            y = nn.functional.max_pool2d(nn.functional.leaky_relu(self.conv(self.stem(x))), 2)
            z = torch.sigmoid(self.point(y)) + y
            return self.out(z.mean((2, 3))), self.up(z)

    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    x = torch.zeros(1, 3, 16, 16)
    torch.onnx.export(Net().eval(), (x,), path, dynamo=False, input_names=["x"], opset_version=17)
    return path


def optimised(path: Path) -> Path:
    """The file that ONNX Runtime writes of what it would run."""
    options = ort.SessionOptions()
    made = path.with_name(f"{path.stem}_optimised.onnx")
    options.optimized_model_filepath, options.log_severity_level = str(made), 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return made


def quantised(path: Path, name: str) -> Path:
    """The file that ONNX Runtime's quantiser writes."""
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Samples(quantization.CalibrationDataReader):  # type: ignore[misc,name-defined]
        left = 2

        def get_next(self) -> Any:
            self.left -= 1
            return {"x": np.zeros((1, 3, 16, 16), np.float32)} if self.left >= 0 else None

    made = path.with_name(f"{path.stem}_{name}.onnx")
    if name == "dynamic":
        quantization.quantize_dynamic(path, made)
    else:
        format = getattr(quantization.QuantFormat, name)
        quantization.quantize_static(path, made, Samples(), quant_format=format)
    return made


WRITERS: dict[str, Callable[[Path], Path]] = {
    "optimised": optimised,
    "dynamic": lambda path: quantised(path, "dynamic"),
    "dynamic, optimised": lambda path: optimised(quantised(path, "dynamic")),
    "QDQ": lambda path: quantised(path, "QDQ"),
    "QDQ, optimised": lambda path: optimised(quantised(path, "QDQ")),
    "QOperator": lambda path: quantised(path, "QOperator"),
    "QOperator, optimised": lambda path: optimised(quantised(path, "QOperator")),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_rewritten_counts_as_before(network: Path, writer: str) -> None:
    before, after = ledger_of(network), ledger_of(WRITERS[writer](network))
    assert before.totals.params == 814
    assert after.totals.complete
    assert (after.totals.params, after.totals.macs) == (before.totals.params, before.totals.macs)


def ledger_of(path: Path) -> Ledger:
    ledger = netledger.ledger(str(path))
    assert not ledger.findings
    return ledger
