"""Fourier transforms and layers with a state: shapes as ONNX's own evaluator makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
pytest.importorskip("onnx.reference")
h = onnx.helper


def network(
    path: Path,
    kind: str,
    version: int,
    fed: dict[str, tuple[int, ...]],
    stored: dict[str, Any],
    order: str,
    outputs: int = 1,
    **settings: Any,
) -> tuple[Ledger, list[tuple[int, ...]]]:
    """The ledger of one node, and the shapes that it really makes."""
    made = [f"y{i}" for i in range(outputs)]
    node = h.make_node(kind, ["" if n == "-" else n for n in order.split()], made, **settings)
    tensors = [
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()
    ]
    graph = h.make_graph(
        [node],
        "net",
        [h.make_tensor_value_info(name, 1, shape) for name, shape in fed.items()],
        [h.make_tensor_value_info(name, 1, None) for name in made],
        tensors,
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", version)])
    path.write_bytes(model.SerializeToString())
    rng = np.random.default_rng(0)
    values = {n: rng.random(shape, np.float32) for n, shape in fed.items()}
    found = onnx.reference.ReferenceEvaluator(model).run(None, values)
    return netledger.ledger(path), [y.shape for y in found]


def shapes(ledger: Ledger) -> list[tuple[Any, ...]]:
    types = {value: t for row in ledger.ops for value, t in zip(row.made, row.outputs, strict=True)}
    return [types[value].shape for value in ledger.graph.outputs]


REAL, COMPLEX = {"x": (3, 20, 1)}, {"x": (3, 11, 2)}
N, AXIS = np.int64(16), np.int64(1)


@pytest.mark.parametrize(
    ("version", "fed", "stored", "order", "settings"),
    [
        (20, REAL, {"axis": AXIS}, "x - axis", {}),
        (20, REAL, {}, "x", {"onesided": 1}),
        (20, REAL, {"n": N, "axis": AXIS}, "x n axis", {"onesided": 1}),
        (20, COMPLEX, {}, "x", {"inverse": 1}),
        (17, REAL, {"n": N}, "x n", {"axis": 1}),
        (17, {"x": (3, 4, 20, 1)}, {}, "x", {"axis": 2, "onesided": 1}),
    ],
)
def test_fourier_transforms(
    tmp_path: Path, version: int, fed: Any, stored: Any, order: str, settings: Any
) -> None:
    ledger, made = network(tmp_path / "n.onnx", "DFT", version, fed, stored, order, **settings)
    assert shapes(ledger) == made
    assert ledger.totals.macs == 0 and ledger.totals.complete


def test_the_inverse_of_half_a_transform_is_real(tmp_path: Path) -> None:
    node = h.make_node("DFT", ["x"], ["y"], onesided=1, inverse=1)
    x = h.make_tensor_value_info("x", 1, (3, 11, 2))
    graph = h.make_graph([node], "net", [x], [h.make_tensor_value_info("y", 1, None)])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 20)])
    (tmp_path / "n.onnx").write_bytes(model.SerializeToString())
    assert shapes(netledger.ledger(tmp_path / "n.onnx")) == [(3, 20, 1)]


@pytest.mark.parametrize(
    ("stored", "order", "settings"),
    [
        ({"step": np.int64(8), "window": np.ones(16, np.float32)}, "x step window", {}),
        ({"step": np.int64(8), "n": np.int64(16)}, "x step - n", {"onesided": 0}),
    ],
)
def test_transforms_of_frames(tmp_path: Path, stored: Any, order: str, settings: Any) -> None:
    fed = {"x": (2, 100, 1)}
    ledger, made = network(tmp_path / "n.onnx", "STFT", 17, fed, stored, order, **settings)
    assert shapes(ledger) == made == [(2, 11, 9 if settings == {} else 16, 2)]
    assert ledger.totals.macs == 0 and ledger.totals.complete


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_a_causal_convolution_with_a_state(tmp_path: Path, carried: bool, activation: str) -> None:
    fed = {"x": (2, 6, 10), **({"past": (2, 6, 3)} if carried else {})}
    stored = {"w": np.ones((6, 1, 4), np.float32), "b": np.ones(6, np.float32)}
    ledger, made = network(
        tmp_path / "n.onnx",
        "CausalConvWithState",
        27,
        fed,
        stored,
        "x w b past" if carried else "x w b",
        2 if carried else 1,
        activation=activation,
    )
    assert shapes(ledger) == made == [(2, 6, 10), (2, 6, 3)][: len(made)]
    assert ledger.totals.params == 6 * 4 + 6
    assert ledger.totals.macs == 2 * 6 * 10 * 4
    assert ledger.totals.complete


@pytest.mark.parametrize(
    ("rule", "more", "products"),
    [("linear", 0, 4 + 2), ("gated", 1, 4 + 2), ("delta", 1, 4 + 2 * 2), ("gated_delta", 2, 8)],
)
def test_linear_attention(tmp_path: Path, rule: str, more: int, products: int) -> None:
    """Four heads of queries share two of keys and values, with states of 3 × 5."""
    fed = {"q": (2, 7, 12), "k": (2, 7, 6), "v": (2, 7, 10)}
    gates = {"gated": " - g", "delta": " - - e", "gated_delta": " - g e"}
    fed |= {"g": (2, 7, 2)} if "gated" in rule else {}
    fed |= {"e": (2, 7, 2)} if "delta" in rule else {}
    ledger, made = network(
        tmp_path / "n.onnx",
        "LinearAttention",
        27,
        fed,
        {},
        "q k v" + gates.get(rule, ""),
        2,
        q_num_heads=4,
        kv_num_heads=2,
        update_rule=rule,
    )
    assert shapes(ledger) == made == [(2, 7, 20), (2, 2, 3, 5)]
    assert ledger.totals.macs == 2 * 7 * products * 3 * 5
    assert ledger.totals.params == 0 and ledger.totals.complete
