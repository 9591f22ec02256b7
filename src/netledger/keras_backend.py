"""Which backend Keras computes with, where nobody has chosen one.

Keras takes TensorFlow then, and fails where that is not installed, whatever else is.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}


def ready() -> None:
    """Lets Keras take a backend that is installed. What is chosen or loaded already, stays."""
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    wanted = _configured()
    if find_spec(PACKAGES.get(wanted, wanted)) is not None:
        return
    for name, package in PACKAGES.items():
        if find_spec(package) is not None:
            os.environ["KERAS_BACKEND"] = name
            return


def _configured() -> str:
    """What Keras' own configuration says; Keras writes one with ``tensorflow`` when first used."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        found = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "tensorflow"
    name = found.get("backend") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name.isidentifier() else "tensorflow"
