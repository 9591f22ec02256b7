"""A ledger as flat records, for data frames."""

from __future__ import annotations

import netledger


def test_a_record_says_what_the_row_says() -> None:
    ledger = netledger.ledger("alexnet")
    records = ledger.records()
    assert [r["params"] for r in records] == [row.params for row in ledger.rows]
    assert next(r for r in records if r["name"] == "Conv-1") == {
        "name": "Conv-1",
        "op": "Conv",
        "scope": "",
        "description": "96 kernels of 11×11×3, stride 4, padding 0",
        "inputs": ledger.row("Conv-1").inputs[0],
        "output": str(ledger.row("Conv-1").outputs[0]),
        "weights": 34848,
        "biases": 96,
        "params": 34944,
        "buffers": 0,
        "macs": 105415200,
        "elements": 290400,
        "receptive_field": "11×11",
    }


def test_records_are_flat_and_symbols_are_text() -> None:
    ledger = netledger.ledger("resnet18", "HxWx3")
    records = ledger.records(ops=True)
    assert len(records) == len(ledger.ops)
    assert {type(v) for r in records for v in r.values()} <= {str, int, type(None)}
    assert all(isinstance(r["macs"], str) for r in records if r["op"] == "Conv")
    assert any(r["scope"] for r in records)
