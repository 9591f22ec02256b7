"""The installed tools and the networks that they count, as fixtures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = ("torch", "torchvision", "timm", "torchinfo", "fvcore", "thop", "ptflops")


@pytest.fixture(scope="session")
def peers() -> Any:
    """The package beside this file; tests are no package themselves that it could belong to."""
    for tool in TOOLS:
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"needs {tool}")
    name, folder = "conventions_peers", Path(__file__).parent / "peers"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
