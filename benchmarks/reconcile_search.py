"""The search for the causes of a claimed count: with and without an explanation."""

from __future__ import annotations

import time

import netledger
from benchmarks.core import timed
from netledger.infer import infer

Line = tuple[str, str, str]

CLAIMS = (
    ("resnet152", "60,419,944", "< 3 s"),
    ("resnet152", "58,123,457", "< 3 s"),
    ("resnet152", "57.2M", "< 3 s"),
    ("resnet152", "11.3G:macs", "< 3 s"),
    ("resnet152", "9,123,456,789:macs", "< 3 s"),
    ("googlenet", "7,123,457", "< 10 s"),
    ("alexnet", "650.3M:macs", "< 10 s"),
)
"""A model, a claim, the target; those without an explanation go through everything."""


def run() -> list[Line]:
    """What was measured, the value, the target."""
    lines = []
    for model, claim, target in CLAIMS:
        graph = netledger.read(model)
        began = time.process_time()
        answer = netledger.reconcile(graph, claim)
        took = time.process_time() - began
        ledger, _ = timed(lambda graph=graph: infer(graph).totals, 10)
        told = "explained" if answer.explanations else "no explanation"
        value = f"{took:.1f} s, {1000 * took / ledger:.0f} times its ledger"
        value = f"{value} ({told}; {answer.derived} edited networks counted)"
        lines.append((f"reconcile {model} {claim}, CPU time", value, target))
    return lines
