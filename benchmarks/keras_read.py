"""ResNet-50 as a `.keras` file: netledger against Keras' own load and summary, in one process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

Line = tuple[str, str, str]

SCRIPT = """
import io, sys, tempfile, time
from pathlib import Path
import keras
import netledger

def spent(run):
    began = time.process_time()
    run()
    return time.process_time() - began

def theirs():
    keras.saving.load_model(path).summary(print_fn=lambda text: None)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "resnet50.keras"
    model = keras.applications.ResNet50(weights=None)
    model.save(path)
    assert netledger.ledger(path).totals.params + netledger.ledger(path).totals.buffers == (
        model.count_params()
    )
    for turn in range(4):  # in turns, so that a busy machine slows both
        a, b = spent(theirs), min(spent(lambda: netledger.ledger(path).totals) for _ in range(3))
        if turn:  # the first is for what is done once
            print("turn", b, a, flush=True)
"""


def run() -> list[Line]:
    """What was measured, the value, the target."""
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    script = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=True)
    turns = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("turn")]
    ours, theirs = (statistics.median(map(float, times)) for times in zip(*turns, strict=True))
    what = "ResNet-50 `.keras`: CPU time against Keras' load + summary"
    value = f"{100 * ours / theirs:.1f} % ({1000 * ours:.0f} ms of {theirs:.1f} s)"
    return [(what, value, "< 5 %")]
