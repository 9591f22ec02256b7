"""What netledger loads: neither NumPy nor a framework, for `import` and for the first command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "torch", "keras", "tensorflow", "jax", "onnx", "h5py", "pandas", "safetensors"}


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join(sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stderr.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import netledger",
        "import netledger; netledger.ledger('alexnet').totals",
        "import netledger.cli; netledger.cli.main(['show', 'alexnet'], standalone_mode=False)",
        "import netledger.cli; netledger.cli.main(['explain', 'alexnet'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert not loaded(code) & HEAVY


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded("import numpy")


def test_import_netledger_needs_neither_yaml_nor_rich_nor_click() -> None:
    assert not loaded("import netledger; netledger.ledger('alexnet')") & {"yaml", "rich", "click"}


def test_public_names() -> None:
    import netledger

    assert sorted(netledger.__all__) == [
        "Graph", "Ledger", "NetledgerError", "__version__",
        "build", "check", "diff", "ledger", "read", "reconcile", "verify",
    ]  # fmt: skip
    assert all(hasattr(netledger, name) for name in netledger.__all__)
