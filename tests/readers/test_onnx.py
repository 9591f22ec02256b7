"""ONNX files made by hand: what each construct of the format becomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger
from netledger.readers.onnx.control import SPECIAL
from netledger.readers.onnx.table import RULES

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
h = onnx.helper
FLOAT, INT64, INT8, UINT8 = 1, 7, 3, 2


def floats(name: str, *shape: int) -> Any:
    return onnx.numpy_helper.from_array(np.ones(shape, np.float32), name)


def ints(name: str, *numbers: int) -> Any:
    return onnx.numpy_helper.from_array(np.array(numbers, np.int64), name)


def value(name: str, shape: Any, dtype: int = FLOAT) -> Any:
    return h.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: list[Any],
    inputs: dict[str, Any],
    stored: list[Any] | None = None,
    outputs: dict[str, Any] | None = None,
    **fields: Any,
) -> Any:
    given = outputs or {nodes[-1].output[0]: None}
    graph = h.make_graph(
        nodes,
        "made",
        [value(n, s) if isinstance(s, list) else s for n, s in inputs.items()],
        [value(n, s) if s else onnx.ValueInfoProto(name=n) for n, s in given.items()],
        stored or [],
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], **fields)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], Ledger]:
    def run(made: Any) -> Ledger:
        path = tmp_path / "net.onnx"
        path.write_bytes(made.SerializeToString())
        return netledger.ledger(str(path))

    return run


def shapes(ledger: Ledger) -> dict[str, tuple[str, str]]:
    return {r.name: (r.kind, str(r.outputs[0])) for r in ledger.ops if r.op is not None}


def dense(ledger: Ledger) -> tuple[Any, ...]:
    t = ledger.totals
    return t.weights, t.biases, t.buffers, t.macs


# --- what is a layer, what is a parameter ---


@pytest.mark.parametrize("turned", [0, 1])
def test_a_gemm_is_a_dense_layer(read: Callable[[Any], Ledger], turned: int) -> None:
    shape = (7, 5) if turned else (5, 7)
    node = h.make_node("Gemm", ["x", "w", "b"], ["y"], "fc", transB=turned)
    ledger = read(model([node], {"x": ["batch", 5]}, [floats("w", *shape), floats("b", 7)]))
    assert shapes(ledger) == {"fc": ("Linear", "float32[N, 7]")}
    assert dense(ledger) == (35, 7, 0, 35)
    assert not ledger.findings


def test_a_bias_is_joined_to_the_product_that_it_is_added_to(read: Any) -> None:
    nodes = [
        h.make_node("MatMul", ["x", "w"], ["m"], "fc"),
        h.make_node("Add", ["b", "m"], ["y"], "plus"),
        h.make_node("Relu", ["y"], ["z"], "relu"),
    ]
    ledger = read(model(nodes, {"x": ["N", 3, 5]}, [floats("w", 5, 7), floats("b", 7)]))
    assert shapes(ledger) == {
        "fc": ("Linear", "float32[N, 3, 7]"),
        "relu": ("ReLU", "float32[N, 3, 7]"),
    }
    assert dense(ledger) == (35, 7, 0, 105)


def test_a_product_that_is_used_twice_keeps_its_sum_apart(read: Any) -> None:
    nodes = [
        h.make_node("MatMul", ["x", "w"], ["m"], "fc"),
        h.make_node("Add", ["m", "b"], ["y"], "plus"),
        h.make_node("Mul", ["y", "m"], ["z"], "times"),
    ]
    ledger = read(model(nodes, {"x": ["N", 5]}, [floats("w", 5, 7), floats("b", 7)]))
    assert [r.kind for r in ledger.ops] == ["Input", "Linear", "Tensor", "Add", "Multiply"]
    assert ledger.totals.params == 42


def test_weights_that_two_layers_share_count_once(read: Any) -> None:
    nodes = [
        h.make_node("Gemm", ["x", "w"], ["a"], "one"),
        h.make_node("Transpose", ["w"], ["t"], "turn", perm=[1, 0]),
        h.make_node("MatMul", ["a", "t"], ["y"], "two"),
    ]
    ledger = read(model(nodes, {"x": ["N", 5]}, [floats("w", 5, 6)]))
    assert ledger.totals.params == 30
    assert ledger.row("two").parameters[0].tied_to == "one/weight"
    assert shapes(ledger)["two"] == ("Linear", "float32[N, 5]")


def test_running_statistics_are_buffers(read: Any) -> None:
    node = h.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], "bn")
    stored = [floats(name, 4) for name in "gbmv"]
    assert dense(read(model([node], {"x": ["N", 4, 8, 8]}, stored))) == (4, 4, 8, 0)


def test_a_bare_parameter_is_a_row(read: Any) -> None:
    node = h.make_node("Add", ["x", "pos"], ["y"], "sum")
    ledger = read(model([node], {"x": ["N", 9, 4]}, [floats("pos", 1, 9, 4)]))
    assert shapes(ledger) == {
        "pos": ("Tensor", "float32[1, 9, 4]"),
        "sum": ("Add", "float32[N, 9, 4]"),
    }
    assert dense(ledger) == (36, 0, 0, 0)


def test_constants_that_stretch_a_tensor_are_rows_that_store_nothing(read: Any) -> None:
    nodes = [
        h.make_node("Constant", [], ["grid"], value=floats("g", 5, 1)),
        h.make_node("Add", ["x", "grid"], ["y"], "sum"),
    ]
    ledger = read(model(nodes, {"x": ["N", 1, 4]}))
    assert shapes(ledger) == {
        "grid": ("Constant", "float32[5, 1]"),
        "sum": ("Add", "float32[N, 5, 4]"),
    }
    assert ledger.totals.params == ledger.totals.buffers == 0


def test_what_nothing_uses_is_counted_all_the_same(read: Any) -> None:
    node = h.make_node("Relu", ["x"], ["y"], "relu")
    ledger = read(model([node], {"x": ["N", 4]}, [floats("spare", 3, 3)]))
    assert ledger.row("spare").params == 9


def test_constants_and_settings_are_no_parameters(read: Any) -> None:
    nodes = [
        h.make_node("Constant", [], ["half"], value_float=0.5),
        h.make_node("Mul", ["x", "half"], ["a"], "scaled"),
        h.make_node("Resize", ["a", "", "factors"], ["y"], "larger", mode="nearest"),
    ]
    factors = onnx.numpy_helper.from_array(np.array([1, 1, 2, 3], np.float32), "factors")
    ledger = read(model(nodes, {"x": ["N", 2, 4, 4]}, [factors]))
    assert shapes(ledger) == {
        "scaled": ("Multiply", "float32[N, 2, 4, 4]"),
        "larger": ("Resize", "float32[N, 2, 8, 12]"),
    }
    assert ledger.totals.params == 0


@pytest.mark.parametrize(
    ("name", "shape", "params"),
    [
        ("/block/Constant_3_output_0", (1, 4), 0),
        ("/Constant_output_0", (), 0),
        ("/block/Sqrt_2_output_0", (1,), 0),
        ("/block/Transpose_output_0", (1, 4), 4),
        ("block.Constant_output_0", (1, 4), 4),
        ("block.temperature", (1,), 1),
    ],
)
def test_constants_that_a_runtime_stores_among_the_weights(
    read: Any, name: str, shape: tuple[int, ...], params: int
) -> None:
    node = h.make_node("Mul", ["x", name], ["y"], "scaled")
    ledger = read(model([node], {"x": ["N", 4]}, [floats(name, *shape)]))
    assert ledger.totals.params == params


@pytest.mark.parametrize(
    ("scale", "offset", "params"),
    [("val_8", "val_11", 0), ("norm.weight", "norm.bias", 8), ("val_8", "norm.bias", 4)],
)
def test_the_ones_and_zeros_of_a_normalisation_without_scale_are_no_parameters(
    read: Any, scale: str, offset: str, params: int
) -> None:
    zeros = onnx.numpy_helper.from_array(np.zeros(4, np.float32), offset)
    node = h.make_node("InstanceNormalization", ["x", scale, offset], ["y"])
    ledger = read(model([node], {"x": [1, 4, 6, 6]}, [floats(scale, 4), zeros]))
    assert ledger.totals.params == params
    assert [r.name for r in ledger.ops] == ["x", "y"]


def test_a_scale_that_the_exporter_has_folded_is_a_parameter(read: Any) -> None:
    twos = onnx.numpy_helper.from_array(np.full(4, 2, np.float32), "val_8")
    node = h.make_node("InstanceNormalization", ["x", "val_8", "val_11"], ["y"])
    ledger = read(model([node], {"x": [1, 4, 6, 6]}, [twos, floats("val_11", 4)]))
    assert (ledger.totals.weights, ledger.totals.biases) == (4, 4)


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization"])
@pytest.mark.parametrize(("scale", "weights"), [("val_2", 0), ("norm.weight", 4)])
def test_the_ones_of_a_normalisation_of_last_axes_are_no_parameters(
    read: Any, kind: str, scale: str, weights: int
) -> None:
    node = h.make_node(kind, ["x", scale], ["y"])
    ledger = read(model([node], {"x": ["N", 4]}, [floats(scale, 4)]))
    assert dense(ledger) == (weights, 0, 0, 0)


@pytest.mark.parametrize(("scale", "weights"), [("val_3", 0), ("norm.weight", 4)])
def test_a_batch_norm_whose_statistics_are_computed_keeps_none(
    read: Any, scale: str, weights: int
) -> None:
    nodes = [
        h.make_node("Constant", [], ["axes"], value_ints=[0, 2, 3]),
        h.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        h.make_node("Mul", ["x", "x"], ["square"]),
        h.make_node("ReduceMean", ["square", "axes"], ["variance"], keepdims=0),
        h.make_node("BatchNormalization", ["x", scale, "b", "mean", "variance"], ["y"], "bn"),
    ]
    ledger = read(model(nodes, {"x": [2, 4, 8, 8]}, [floats(scale, 4), floats("b", 4)]))
    assert dense(ledger) == (weights, 4, 0, 0)
    assert ledger.totals.complete
    assert ledger.graph.node("bn").untold == "computed statistics"


def test_quantised_weights_count_as_the_numbers_they_stand_for(read: Any) -> None:
    w = onnx.numpy_helper.from_array(np.ones((6, 2, 3, 3), np.int8), "w")
    nodes = [
        h.make_node("DequantizeLinear", ["w", "s", "z"], ["wf"], "dq"),
        h.make_node("Conv", ["x", "wf"], ["c"], "conv"),
        h.make_node("QuantizeLinear", ["c", "s", "z"], ["y"], "q"),
    ]
    zero = onnx.numpy_helper.from_array(np.array(0, np.int8), "z")
    ledger = read(model(nodes, {"x": ["N", 2, 5, 5]}, [w, floats("s"), zero]))
    assert shapes(ledger) == {
        "conv": ("Conv", "float32[N, 6, 3, 3]"),
        "q": ("Cast", "int8[N, 6, 3, 3]"),
    }
    assert dense(ledger) == (108, 0, 0, 108 * 9)


@pytest.mark.parametrize(("name", "params"), [("table_quantized", 40), ("table", 0)])
def test_a_quantised_table_is_looked_up(read: Any, name: str, params: int) -> None:
    table = onnx.numpy_helper.from_array(np.ones((10, 4), np.uint8), name)
    zero = onnx.numpy_helper.from_array(np.array(0, np.uint8), "table_zero_point")
    nodes = [
        h.make_node("Gather", [name, "x"], ["g"], "gather"),
        h.make_node("DequantizeLinear", ["g", "table_scale", "table_zero_point"], ["y"], "dq"),
    ]
    x = h.make_tensor_value_info("x", 7, ["N", 6])
    ledger = read(model(nodes, {"x": x}, [table, floats("table_scale"), zero]))
    assert dense(ledger) == (params, 0, 0, 0)
    assert shapes(ledger)["dq"] == ("Cast", "float32[N, 6, 4]")


def test_products_of_integers(read: Any) -> None:
    w = onnx.numpy_helper.from_array(np.ones((4, 6), np.uint8), "w")
    x = value("x", ["N", 4], UINT8)
    zeros = [onnx.numpy_helper.from_array(np.array(0, np.uint8), n) for n in ("xz", "wz", "yz")]
    stored = [w, *zeros]
    plain = h.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"], "mm")
    assert dense(read(model([plain], {"x": x}, stored))) == (24, 0, 0, 24)
    stored += [floats(n) for n in ("xs", "ws", "ys")]
    takes = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    scaled = h.make_node("QLinearMatMul", takes, ["y"], "mm")
    assert dense(read(model([scaled], {"x": x}, stored))) == (24, 0, 0, 24)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers(read: Any, kind: str, gates: int, direction: str) -> None:
    both = 2 if direction == "bidirectional" else 1
    node = h.make_node(
        kind, ["x", "w", "r", "b"], ["y", "yh"], "cell", hidden_size=6, direction=direction
    )
    stored = [
        floats("w", both, gates * 6, 5),
        floats("r", both, gates * 6, 6),
        floats("b", both, gates * 12),
    ]
    outputs = {"y": None, "yh": None}
    ledger = read(model([node], {"x": ["T", "batch", 5]}, stored, outputs))
    weights = both * gates * 6 * 11
    assert not ledger.findings
    assert (ledger.totals.weights, ledger.totals.biases) == (weights, both * gates * 12)
    assert str(ledger.totals.macs) == f"{weights} × T"
    last = ledger.ops[-1].outputs[0]
    assert str(last) == f"float32[T, {both}, N, 6]"


# --- shapes ---


def test_symbols_pass_through_strides(read: Any) -> None:
    nodes = [
        h.make_node("Conv", ["x", "w"], ["a"], "conv", strides=[2, 2], pads=[3, 3, 3, 3]),
        h.make_node("MaxPool", ["a"], ["y"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
    ]
    ledger = read(model(nodes, {"x": ["b", 3, "H", "W"]}, [floats("w", 8, 3, 7, 7)]))
    assert shapes(ledger)["conv"][1] == "float32[N, 8, ⌊(H + 1)/2⌋, ⌊(W + 1)/2⌋]"
    assert shapes(ledger)["pool"][1] == "float32[N, 8, ⌊(H − 5)/4⌋ + 1, ⌊(W − 5)/4⌋ + 1]"


def test_computations_on_shapes_are_followed_and_make_no_rows(read: Any) -> None:
    nodes = [
        h.make_node("Shape", ["x"], ["s"]),
        h.make_node("Gather", ["s", "zero"], ["n"]),
        h.make_node("Unsqueeze", ["n", "first"], ["n1"]),
        h.make_node("Concat", ["n1", "open"], ["target"], axis=0),
        h.make_node("Reshape", ["x", "target"], ["y"], "flat"),
    ]
    zero = onnx.numpy_helper.from_array(np.array(0, np.int64), "zero")
    stored = [zero, ints("first", 0), ints("open", -1)]
    ledger = read(model(nodes, {"x": ["batch", 4, 5, 6]}, stored))
    assert shapes(ledger) == {"flat": ("Reshape", "float32[N, 120]")}


ROWS = [
    ("Conv", {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, [(8, 4, 3, 3)], [8, 5, 6]),
    ("Conv", {"group": 4, "dilations": [2, 1], "pads": [0, 1, 2, 1]}, [(8, 1, 3, 3)], [8, 7, 11]),
    ("ConvTranspose", {"strides": [2, 2], "output_padding": [1, 1]}, [(4, 6, 3, 3)], [6, 20, 24]),
    ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], [4, 4, 5]),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [3, 3]}, [], [4, 6, 8]),
    ("GlobalMaxPool", {}, [], [4, 1, 1]),
    ("LRN", {"size": 3}, [], [4, 9, 11]),
    ("InstanceNormalization", {}, [(4,), (4,)], [4, 9, 11]),
    ("LayerNormalization", {"axis": 2}, [(9, 11), (9, 11)], [4, 9, 11]),
    ("PRelu", {}, [(4, 1, 1)], [4, 9, 11]),
    ("Flatten", {}, [], [396]),
    ("Transpose", {"perm": [0, 2, 3, 1]}, [], [9, 11, 4]),
    ("SpaceToDepth", {"blocksize": 1}, [], [4, 9, 11]),
    ("DepthToSpace", {"blocksize": 2}, [], [1, 18, 22]),
    ("ArgMax", {"axis": 1, "keepdims": 0}, [], [9, 11]),
    ("ReduceL2", {"axes": [2, 3], "keepdims": 0}, [], [4]),
    ("Softmax", {"axis": 1}, [], [4, 9, 11]),
    ("HardSwish", {}, [], [4, 9, 11]),
    ("Einsum", {"equation": "...hw->...w"}, [], [4, 11]),
    ("Trilu", {}, [], [4, 9, 11]),
]


@pytest.mark.parametrize(("kind", "settings", "weights", "wanted"), ROWS)
def test_operations_give_the_shapes_of_onnx(
    read: Any, kind: str, settings: dict[str, Any], weights: list[Any], wanted: list[int]
) -> None:
    names = [f"w{i}" for i in range(len(weights))]
    node = h.make_node(kind, ["x", *names], ["y"], "it", **settings)
    stored = [floats(n, *shape) for n, shape in zip(names, weights, strict=True)]
    version = 13 if kind == "ReduceL2" else 20
    made = model([node], {"x": [2, 4, 9, 11]}, stored)
    made.opset_import[0].version = version
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True).graph.output[0]
    theirs = [d.dim_value for d in inferred.type.tensor_type.shape.dim]
    ledger = read(made)
    assert theirs == [2, *wanted]
    assert list(ledger.ops[-1].outputs[0].shape) == theirs
    assert ledger.totals.params == sum(math.prod(shape) for shape in weights)
    assert ledger.totals.complete
    assert not ledger.findings


def test_a_recorded_shape_that_differs_is_a_finding(read: Any) -> None:
    nodes = [h.make_node("Relu", ["x"], ["a"], "one"), h.make_node("Relu", ["a"], ["y"], "two")]
    made = model(nodes, {"x": ["N", 4]})
    made.graph.value_info.append(value("a", ["N", 5]))
    (finding,) = read(made).findings
    assert (finding.code, finding.row) == ("NL001", "one")
    assert "the rule gives float32[N, 4], the source says float32[N, 5]" in finding.message


@pytest.mark.parametrize("first", [True, False])
def test_a_type_may_be_stated_again_without_its_shape(read: Any, first: bool) -> None:
    node = h.make_node("Relu", ["x"], ["y"], "relu")
    made = model([node], {"x": ["N", 4]}, outputs={"y": ["N", 5]})
    bare = h.make_tensor_value_info("y", 1, None)
    made.graph.value_info.append(bare)
    if not first:
        made.graph.value_info.append(made.graph.output[0])
        made.graph.output[0].CopyFrom(bare)
    ledger = read(made)
    assert [f.row for f in ledger.findings] == ["relu"]


def test_names_that_only_a_recorded_shape_has_say_nothing(read: Any) -> None:
    nodes = [h.make_node("Relu", ["x"], ["a"], "one"), h.make_node("Relu", ["a"], ["y"], "two")]
    made = model(nodes, {"x": ["batch", 4]})
    made.graph.value_info.append(value("a", ["unk__7", 4]))
    assert not read(made).findings


# --- what is not known ---


def test_an_unknown_operation_is_opaque_and_its_recorded_shape_goes_on(read: Any) -> None:
    nodes = [
        h.make_node("Magic", ["x", "w"], ["a"], "magic", domain="acme"),
        h.make_node("MatMul", ["a", "v"], ["y"], "fc"),
    ]
    made = model(nodes, {"x": ["N", 4]}, [floats("w", 4, 4), floats("v", 6, 3)])
    made.graph.value_info.append(value("a", ["N", 6]))
    ledger = read(made)
    assert shapes(ledger) == {
        "magic": ("acme.Magic", "float32[N, 6]"),
        "fc": ("Linear", "float32[N, 3]"),
    }
    assert ledger.row("magic").params == 16
    assert ledger.row("magic").unknown == {"macs": "no rule describes it"}
    assert ledger.totals.params == 34
    assert not ledger.totals.complete


def test_without_a_shape_what_follows_is_unknown_with_the_reason(read: Any) -> None:
    nodes = [
        h.make_node("Magic", ["x"], ["a"], "magic", domain="acme"),
        h.make_node("MatMul", ["a", "v"], ["y"], "fc"),
    ]
    ledger = read(model(nodes, {"x": ["N", 4]}, [floats("v", 6, 3)]))
    assert str(ledger.row("fc").outputs[0]) == "float32[?]"
    assert ledger.row("fc").unknown["macs"] == "magic is opaque: no rule describes it"
    assert ledger.row("fc").params == 18
    assert ledger.totals.unknown == {"macs", "activations"}


# --- functions and subgraphs ---


def doubling(levels: int) -> Any:
    """Functions of which each calls the one before twice."""
    nodes = [h.make_node("Relu", ["a"], ["b"])]
    made = [h.make_function("f", "F0", ["a"], ["b"], nodes, [h.make_opsetid("", 20)])]
    opsets = [h.make_opsetid("", 20), h.make_opsetid("f", 1)]
    for i in range(1, levels):
        calls = [
            h.make_node(f"F{i - 1}", ["a"], ["m"], "one", domain="f"),
            h.make_node(f"F{i - 1}", ["m"], ["b"], "two", domain="f"),
        ]
        made.append(h.make_function("f", f"F{i}", ["a"], ["b"], calls, opsets))
    call = h.make_node(f"F{levels - 1}", ["x"], ["y"], "call", domain="f")
    return model([call], {"x": ["N", 4]}, functions=made)


def test_functions_are_written_out(read: Any) -> None:
    ledger = read(doubling(3))
    assert [r.kind for r in ledger.ops] == ["Input", *("ReLU",) * 4]
    assert ledger.ops[1].name == "call/one/one/b"
    assert ledger.ops[1].scope == "call.one.one"


def test_attributes_of_a_call_reach_the_nodes_of_its_function(read: Any) -> None:
    node = h.make_node("Softmax", ["a"], ["b"], "soft")
    node.attribute.append(onnx.AttributeProto(name="axis", ref_attr_name="along", type=2))
    body = h.make_function(
        "f", "Soft", ["a"], ["b"], [node], [h.make_opsetid("", 20)], attributes=["along"]
    )
    call = h.make_node("Soft", ["x"], ["y"], "call", domain="f", along=1)
    ledger = read(model([call], {"x": ["N", 4, 5]}, functions=[body]))
    assert ledger.ops[-1].op.axis == 1


def test_a_deformable_convolution(read: Any) -> None:
    node = h.make_node("DeformConv", ["x", "w", "o", "b"], ["y"], "conv", pads=[1, 1, 1, 1])
    inputs = {"x": ["N", 4, 6, 7], "o": ["N", 18, 6, 7]}
    ledger = read(model([node], inputs, [floats("w", 5, 4, 3, 3), floats("b", 5)]))
    assert (ledger.totals.params, ledger.totals.macs) == (185, 6 * 7 * 180)
    assert ledger.totals.complete
    assert str(ledger.row("conv").outputs[0]) == "float32[N, 5, 6, 7]"


WITHOUT = {
    *("AffineGrid", "BitCast", "BlackmanWindow", "CenterCropPad", "Col2Im", "Compress", "Det"),
    *("ConcatFromSequence", "GlobalLpPool", "HammingWindow", "HannWindow", "ImageDecoder"),
    *("LpPool", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix", "Multinomial", "NonMaxSuppression"),
    *("NegativeLogLikelihoodLoss", "NonZero", "Optional", "OptionalGetElement", "RoiAlign"),
    *("OptionalHasElement", "RandomNormal", "RandomUniform", "RegexFullMatch", "SequenceAt"),
    *("SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength"),
    *("SequenceMap", "SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "SwiGLU"),
    *("StringNormalizer", "StringSplit", "TfIdfVectorizer", "Unique"),
}
"""Operations without a rule that neither store nor multiply: shown as unknown, with the reason."""
PRODUCTS = {"DFT", "STFT", "LinearAttention", "CausalConvWithState"}
"""Those that multiply all the same."""


def test_every_operation_of_onnx_has_a_rule_or_is_listed() -> None:
    kinds = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert kinds - {*RULES} - {*SPECIAL} <= WITHOUT | PRODUCTS


# --- weights elsewhere, and the rest of the format ---


def test_external_weights_need_not_be_there(read: Any) -> None:
    weight = floats("w", 5, 7)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, text in (("location", "weights.bin"), ("offset", "0"), ("length", "140")):
        weight.external_data.add(key=key, value=text)
    node = h.make_node("Gemm", ["x", "w"], ["y"], "fc")
    assert dense(read(model([node], {"x": ["N", 5]}, [weight]))) == (35, 0, 0, 35)


def test_scopes_are_read_from_names(read: Any) -> None:
    name = "/layer1/layer1.0/conv1/Conv"
    node = h.make_node("Conv", ["x", "w"], ["y"], name)
    ledger = read(model([node], {"x": ["N", 3, 8, 8]}, [floats("w", 4, 3, 1, 1)]))
    assert ledger.row(name).scope == "layer1.0.conv1"


def test_names_come_out_as_they_are(read: Any) -> None:
    node = h.make_node("Relu", ["x"], ["y"], "\x1b[31m<b>=1+1\u202e")
    assert read(model([node], {"x": ["N", 3]})).ops[-1].name == "\x1b[31m<b>=1+1\u202e"


def test_old_files_list_initializers_among_the_inputs(read: Any) -> None:
    node = h.make_node("Gemm", ["x", "w"], ["y"], "fc")
    made = model([node], {"x": ["N", 5], "w": [5, 7]}, [floats("w", 5, 7)], ir_version=3)
    ledger = read(made)
    assert list(ledger.graph.inputs) == ["x"]
    assert ledger.totals.params == 35


def test_a_layer_that_does_not_fit_says_where_and_keeps_the_ledger_so_far(
    read: Any, tmp_path: Path
) -> None:
    nodes = [
        h.make_node("Relu", ["x"], ["a"], "relu"),
        h.make_node("Conv", ["a", "w"], ["y"], "conv", group=2),
    ]
    with pytest.raises(netledger.NetledgerError) as error:
        read(model(nodes, {"x": ["N", 3, 8, 8]}, [floats("w", 4, 1, 3, 3)]))
    assert str(error.value).replace(str(tmp_path), "…") == (
        "ShapeError: conv (Conv): in_channels=3 is not divisible by groups=2\n"
        "  input   a: float32[N, 3, 8, 8], w: float32[4, 1, 3, 3]\n"
        "  source  …/net.onnx\n"
        "  hint    groups must divide 3"
    )
    assert error.value.partial is not None
    assert [r.name for r in error.value.partial.ops] == ["x", "relu"]
