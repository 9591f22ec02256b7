"""Files on other inputs than those that they were saved with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger.errors import UsageError

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
h = onnx.helper


def saved(folder: Path, size: Any, made: Any, *more: Any) -> str:
    """A convolution and a ReLU, with a shape stated between them; `more` inputs, all added."""
    value = lambda name, shape: h.make_tensor_value_info(name, 1, shape)  # noqa: E731
    weight = onnx.numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    nodes = [h.make_node("Conv", ["x", "w"], ["c"], "conv"), h.make_node("Relu", ["c"], ["y"], "r")]
    for i, _ in enumerate(more):
        nodes.insert(0, h.make_node("Neg", [f"x{i}"], [f"n{i}"], f"neg{i}"))
    inputs = [value("x", ["N", 3, *size]), *(value(f"x{i}", s) for i, s in enumerate(more))]
    graph = h.make_graph(nodes, "g", inputs, [value("y", None)], [weight])
    graph.value_info.append(value("c", ["N", 8, *made]))
    path = folder / "net.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 20)]), path)
    return str(path)


def test_shapes_that_a_file_records_are_of_its_own_inputs(tmp_path: Path) -> None:
    path = saved(tmp_path, [8, 8], [6, 6])
    for size, macs in ((8, 7_776), (16, 42_336)):
        ledger = netledger.ledger(path, f"3x{size}x{size}")
        assert not ledger.findings
        assert ledger.totals.macs == macs
        assert str(ledger.row("r").outputs[0]) == f"float32[N, 8, {size - 2}, {size - 2}]"


def test_on_its_own_inputs_a_file_is_still_checked(tmp_path: Path) -> None:
    ledger = netledger.ledger(saved(tmp_path, [8, 8], [7, 7]), "3x8x8")
    assert [f.row for f in ledger.findings] == ["conv"]


def test_a_size_with_a_name_is_put_in_wherever_it_stands(tmp_path: Path) -> None:
    path = saved(tmp_path, ["h", "w"], ["h", "w"], ["N", "h"])
    ledger = netledger.ledger(path, {"x": "3x8x9"})
    assert str(ledger.row("neg0").outputs[0]) == "float32[N, 8]"
    assert [f.message.partition(": ")[2] for f in ledger.findings] == [
        "the rule gives float32[N, 8, 6, 7], the source says float32[N, 8, 8, 9]"
    ]


def test_a_name_has_one_size(tmp_path: Path) -> None:
    path = saved(tmp_path, ["h", "w"], ["h", "w"], ["N", "h"])
    with pytest.raises(UsageError) as error:
        netledger.ledger(path, {"x": "3x8x9", "x0": "10"})
    assert str(error.value) == (
        "UsageError: h is one size of the network; got 8 and 10\n  hint    x0 is h"
    )


def test_a_keras_file_on_larger_images(tmp_path: Path) -> None:
    conv = {"filters": 4, "kernel_size": 3, "name": "conv"}
    entries = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 3], "name": "x"}},
        {"class_name": "Conv2D", "config": conv, "build_config": {"input_shape": [None, 8, 8, 3]}},
        {
            "class_name": "GlobalAveragePooling2D",
            "config": {"name": "mean"},
            "build_config": {"input_shape": [None, 6, 6, 4]},
        },
    ]
    path = tmp_path / "net.json"
    config = {"name": "net", "layers": entries}
    path.write_text(json.dumps({"class_name": "Sequential", "config": config}))
    ledger = netledger.ledger(str(path), "16x16x3")
    assert not ledger.findings
    assert ledger.totals.macs == 14 * 14 * 27 * 4
