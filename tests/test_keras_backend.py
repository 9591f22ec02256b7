"""Keras takes a backend that is there, where nobody has chosen one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("keras") is None or not (find_spec("torch") or find_spec("jax")),
    reason="Keras or a backend of it is not installed",
)
CODE = """
from netledger.keras_backend import ready

ready()
import keras

print(keras.config.backend())
"""


def backend(**env: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_one_that_is_installed() -> None:
    assert find_spec(backend()) is not None


def test_the_one_that_is_chosen() -> None:
    chosen = "jax" if find_spec("jax") else "torch"
    assert backend(KERAS_BACKEND=chosen) == chosen
