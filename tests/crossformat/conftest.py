"""The writers of one network in many formats, as fixtures."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netledger import Graph

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(scope="session")
def writers() -> Any:
    """The package beside this file; tests are no package themselves that it could belong to."""
    name, folder = "crossformat_writers", Path(__file__).parent / "writers"
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def formats(writers: Any) -> Mapping[str, Any]:
    """The formats, by name."""
    return writers.FORMATS


@pytest.fixture(scope="session")
def said(writers: Any) -> Callable[[Graph, str], Graph | str]:
    """Says a network in the words of a format; or why it cannot be said there."""
    return writers.say
