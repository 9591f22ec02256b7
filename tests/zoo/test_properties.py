"""What holds for every network: views, symbols, lightness."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from netledger import zoo
from netledger.formula import substitute, symbol
from netledger.graph import BATCH, Graph, TensorType
from netledger.infer import infer
from netledger.ledger import Ledger, Row

COUNTS = ("params", "weights", "biases", "buffers", "macs")
VIEWS = [{"ops": ops, "depth": depth} for ops in (True, False) for depth in (None, 1, 2, 3)]


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_rows_add_up_to_the_totals_in_every_view(name: str) -> None:
    ledger = infer(zoo.load(name))
    totals = ledger.totals
    for view in VIEWS:
        rows = ledger.view(**view)
        for count in COUNTS:
            assert sum(getattr(row, count) for row in rows) == getattr(totals, count)
        assert ledger.to_dict(**view)["totals"] == totals.to_dict()
    assert sum(row.elements for row in ledger.ops if row.op) == totals.activations


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_views_hold_each_operation_once(name: str) -> None:
    ledger = infer(zoo.load(name))

    def unfold(rows: tuple[Row, ...]) -> list[str]:
        names = []
        for row in rows:
            if row.kind != "Module":
                names.append(row.name)
            names += unfold(row.folded)
        return names

    every = sorted(row.name for row in ledger.ops)
    for view in VIEWS:
        assert sorted(unfold(ledger.view(**view))) == every


def resized(graph: Graph, height: Any, width: Any) -> Graph:
    ((name, t),) = graph.inputs.items()
    return graph.with_inputs({name: TensorType((BATCH, height, width, t.shape[-1]), t.dtype)})


def numbers(ledger: Ledger, values: dict[str, int]) -> dict[str, Any]:
    """Every count and size, with numbers for the symbols."""

    def put(x: Any) -> Any:
        return x if x is None else substitute(x, values)

    rows = {
        row.name: (
            *(put(getattr(row, count)) for count in (*COUNTS, "elements")),
            *(tuple(map(put, t.shape[1:])) for t in row.outputs),
            *(tuple(map(put, p.shape)) for p in row.parameters),
        )
        for row in ledger.ops
    }
    totals = ledger.totals
    names = (*COUNTS, "trainable", "neurons", "activations", "bytes")
    return {**rows, "totals": tuple(put(getattr(totals, count)) for count in names)}


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_symbols_for_height_and_width_give_the_numbers(name: str) -> None:
    graph = zoo.load(name)
    symbolic = infer(resized(graph, symbol("H"), symbol("W")))
    ((_, t),) = graph.inputs.items()
    native = t.shape[1:3]
    others = [(40, 36), (64, 49)] if name == "lenet5" else [(256, 320), (301, 231)]
    for height, width in (native, *others):
        expected = numbers(infer(resized(graph, height, width)), {})
        found = numbers(symbolic, {"H": height, "W": width})
        assert found == expected, f"{height}×{width}"


def test_the_size_of_the_image_leaves_a_resnet_its_parameters() -> None:
    symbolic = infer(resized(zoo.load("resnet50"), symbol("H"), symbol("W"))).totals
    assert symbolic.params == 25_557_032
    assert "H" in str(symbolic.macs)


def test_sizes_in_symbols_read_well() -> None:
    def shown(name: str, row: str) -> str:
        ledger = infer(resized(zoo.load(name), symbol("H"), symbol("W")))
        return str(ledger.row(row).outputs[0].shape[1])

    assert shown("alexnet", "Conv-2") == "⌊(H − 19)/8⌋ + 1"
    assert shown("alexnet-2012", "Conv-1") == "⌊(H − 8)/4⌋ + 1"
    assert shown("googlenet", "inception3a.concat") == "⌊(H + 1)/8⌋"


def test_the_list_of_networks_loads_no_network() -> None:
    code = (
        "import sys; from netledger import zoo; "
        "print([m for m in sys.modules if m.startswith('netledger.zoo.')]); "
        "zoo.load('lenet5'); print('numpy' in sys.modules or 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[]", "False"]
