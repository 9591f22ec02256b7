"""Fixtures for the tests of readers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from typing import Any

import pytest

_kept: list[Any] = []
"""Operators vanish with the library object that declares them."""


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """torchvision, also one whose compiled operators do not load beside this PyTorch.

    (PyPI has builds for CUDA only.) Its models need none of those, but importing it looks for two.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("torchvision")
        except RuntimeError:
            for module in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
                del sys.modules[module]
            operators = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                operators.define(f"{name}(Tensor dets, Tensor scores, float threshold) -> Tensor")
            _kept.append(operators)
            return importlib.import_module("torchvision")
