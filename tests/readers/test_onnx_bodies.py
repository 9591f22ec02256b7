"""If, Loop and Scan of ONNX: what their subgraphs store, make and multiply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger
from netledger.formula import symbol
from netledger.render import render

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
h = onnx.helper
FLOAT, INT64, BOOL = 1, 7, 9


def value(name: str, shape: Any, dtype: int = FLOAT) -> Any:
    return h.make_tensor_value_info(name, dtype, shape)


def array(name: str, data: Any) -> Any:
    return onnx.numpy_helper.from_array(np.array(data), name)


def weight(name: str, *shape: int) -> Any:
    return array(name, np.ones(shape, np.float32))


Read = Callable[..., Ledger]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a graph of one node or several, on x [N, 4]; more may be stored or asked for."""

    def run(
        node: Any, stored: Any = (), inputs: Any = (), outputs: Any = (), batch: Any = None
    ) -> Ledger:
        given = [value("x", ["N", 4]), *inputs]
        nodes = node if isinstance(node, list) else [node]
        made = [onnx.ValueInfoProto(name=name) for name in nodes[-1].output]
        graph = h.make_graph(nodes, "made", given, [*outputs] or made, [*stored])
        path = tmp_path / "net.onnx"
        opsets = [h.make_opsetid("", 20)]
        path.write_bytes(h.make_model(graph, opset_imports=opsets).SerializeToString())
        graph = netledger.read(str(path))
        return netledger.infer(graph, batch=batch)

    return run


def branch(name: str, *nodes: Any) -> Any:
    made = onnx.ValueInfoProto(name=nodes[-1].output[0])
    return h.make_graph([*nodes], name, [], [made])


@pytest.mark.parametrize(
    ("condition", "other", "kinds"),
    [
        ("known", "Sigmoid", ["ReLU"]),
        ("asked", "Relu", ["ReLU"]),
        ("asked", "Sigmoid", ["If"]),
    ],
)
def test_branches(read: Read, condition: str, other: str, kinds: list[str]) -> None:
    then = branch("then", h.make_node("Relu", ["x"], ["t"], "in"))
    otherwise = branch("else", h.make_node(other, ["x"], ["e"], "out"))
    node = h.make_node("If", [condition], ["y"], "if", then_branch=then, else_branch=otherwise)
    ledger = read(node, [array("known", True)], [value("asked", [], BOOL)])
    assert [r.kind for r in ledger.ops if r.op] == kinds
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, 4]"
    assert ledger.totals.macs == 0
    assert ledger.totals.complete


@pytest.mark.parametrize(
    ("width", "macs", "why"),
    [
        (4, 32, None),
        (5, 0, "one of 2 branches runs, of 32 to 36 multiply-accumulates"),
    ],
)
def test_branches_with_products(read: Read, width: int, macs: int, why: str | None) -> None:
    then = branch(
        "then",
        h.make_node("MatMul", ["x", "w"], ["t1"], "a"),
        h.make_node("MatMul", ["t1", "back"], ["t2"], "b"),
    )
    otherwise = branch(
        "else",
        h.make_node("MatMul", ["x", "v"], ["e1"], "c"),
        h.make_node("Relu", ["e1"], ["e2"], "d"),
        h.make_node("MatMul", ["e2", "back2"], ["e3"], "e"),
    )
    node = h.make_node("If", ["asked"], ["y"], "if", then_branch=then, else_branch=otherwise)
    stored = [weight("w", 4, 4), weight("back", 4, 4), weight("v", 4, 4)]
    stored.append(weight("back2", 4, width))
    ledger = read(node, stored, [value("asked", [], BOOL)])
    assert ledger.totals.params == 16 * 3 + 4 * width
    assert ledger.totals.macs == macs
    assert ledger.row("if").unknown.get("macs") == why


def loop(*, going: str = "Identity", times: str = "times", width: int = 4) -> Any:
    body = h.make_graph(
        [
            h.make_node("MatMul", ["state", "outer"], ["m"], "product"),
            h.make_node("Add", ["m", "inner"], ["next"]),
            h.make_node(going, ["going"], ["go"]),
        ],
        "body",
        [value("i", [], INT64), value("going", [], BOOL), value("state", None)],
        [value("go", [], BOOL), value("next", None), value("m", None)],
        [weight("inner", width)],
    )
    return h.make_node("Loop", [times, "", "x"], ["y", "all"], "loop", body=body)


TIMES = array("times", np.array(3, np.int64))


def test_a_loop_that_runs_a_known_number_of_times(read: Read) -> None:
    ledger = read(loop(), [weight("outer", 4, 4), TIMES])
    assert ledger.totals.params == 20
    assert ledger.totals.macs == 3 * 16
    assert ledger.totals.complete
    shapes = [str(t) for t in ledger.row("loop").outputs]
    assert shapes == ["float32[N, 4]", "float32[3, N, 4]"]
    assert read(loop(), [weight("outer", 4, 4), TIMES], batch=8).totals.macs == 8 * 3 * 16


@pytest.mark.parametrize(
    ("made", "stored", "why"),
    [
        (
            loop(times="asked"),
            [weight("outer", 4, 4)],
            "how often its body runs is not known",
        ),
        (
            loop(going="Not"),
            [weight("outer", 4, 4), TIMES],
            "how often its body runs is not known",
        ),
        (
            loop(width=6),
            [weight("outer", 4, 6), TIMES],
            "sizes change from one run of its body to the next",
        ),
        (
            loop(width=5),
            [weight("outer", 4, 4), TIMES],
            "a part of its body does not fit: shapes [N, 4] and [5] do not fit together",
        ),
    ],
)
def test_a_loop_whose_products_are_not_known(
    read: Read, made: Any, stored: list[Any], why: str
) -> None:
    ledger = read(made, stored, [value("asked", [], INT64)])
    assert ledger.row("loop").unknown["macs"] == why
    assert ledger.totals.params > 0


@pytest.mark.parametrize("along", [0, 1])
def test_a_scan_runs_once_for_each_entry(read: Read, along: int) -> None:
    body = h.make_graph(
        [
            h.make_node("MatMul", ["state", "w"], ["m"], "product"),
            h.make_node("Add", ["m", "entry"], ["next"]),
            h.make_node("Identity", ["next"], ["out"]),
        ],
        "body",
        [value("state", None), value("entry", None)],
        [value("next", None), value("out", None)],
    )
    node = h.make_node(
        "Scan",
        ["x", "steps"],
        ["last", "all"],
        "scan",
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[along],
        scan_output_axes=[1],
    )
    steps = value("steps", [7, "N", 4] if along == 0 else ["N", 7, 4])
    ledger = read(node, [weight("w", 4, 4)], [steps])
    assert ledger.totals.macs == 7 * 16
    assert ledger.totals.complete
    assert [str(t) for t in ledger.row("scan").outputs] == ["float32[N, 4]", "float32[N, 7, 4]"]
    length = value("steps", ["T", "N", 4] if along == 0 else ["N", "T", 4])
    assert read(node, [weight("w", 4, 4)], [length]).totals.macs == 16 * symbol("T")


def test_a_loop_within_a_loop(read: Read) -> None:
    inner = loop()
    inner.name, inner.output[:] = "inside", ["deep", "parts"]
    inner.input[2] = "kept"
    body = h.make_graph(
        [inner, h.make_node("Identity", ["on"], ["on2"])],
        "around",
        [value("j", [], INT64), value("on", [], BOOL), value("kept", None)],
        [value("on2", [], BOOL), value("deep", None)],
    )
    node = h.make_node("Loop", ["times", "", "x"], ["y"], "loops", body=body)
    ledger = read(node, [weight("outer", 4, 4), TIMES])
    assert ledger.totals.macs == 3 * 3 * 16
    assert ledger.totals.params == 20


def test_a_count_that_grows_with_the_batch_is_written_to_a_spec(read: Read, tmp_path: Path) -> None:
    ledger = read(loop(), [weight("outer", 4, 4), TIMES])
    path = tmp_path / "net.yaml"
    path.write_text(render(ledger, "yaml"))
    again = netledger.read(str(path))
    assert netledger.infer(again).totals == ledger.totals
    assert netledger.infer(again, batch=8).totals.macs == 8 * 3 * 16


def test_a_constant_that_a_body_makes_a_row_of_is_no_row_around_it(read: Read) -> None:
    nodes = [
        h.make_node("Constant", [], ["ends"], value=array("e", [2, 3])),
        h.make_node("Constant", [], ["two"], value=array("t", 2)),
        h.make_node("Constant", [], ["yes"], value=array("b", True)),
    ]
    body = h.make_graph(
        [
            h.make_node("Gather", ["ends", "i"], ["end"], "end"),
            h.make_node("Identity", ["going"], ["still"]),
        ],
        "body",
        [value("i", [], INT64), value("going", [], BOOL)],
        [value("still", [], BOOL), value("end", [], INT64)],
    )
    nodes.append(h.make_node("Loop", ["two", "yes"], ["y"], "loop", body=body))
    ledger = read(nodes)
    assert [row.name for row in ledger.ops] == ["x", "loop"]
    assert str(ledger.row("loop").outputs[0]) == "int64[2]"
