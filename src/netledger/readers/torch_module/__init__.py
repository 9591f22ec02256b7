"""Live PyTorch modules: one forward pass on the meta device; nothing allocated or computed."""

from __future__ import annotations

from typing import Any

from netledger.graph import Graph


def accepts_live(thing: object) -> bool:
    """True for a torch.nn.Module that is not a Keras layer."""
    kinds = type(thing).__mro__
    module = any(
        k.__module__ == "torch.nn.modules.module" and k.__name__ == "Module" for k in kinds
    )
    return module and not any(k.__module__.partition(".")[0] == "keras" for k in kinds)


def read_live(thing: object, inputs: Any = None) -> Graph:
    """The graph of a module.

    Args:
        thing: The module; it comes back as it was.
        inputs: What it is called with; see `netledger.readers.inputs.call_arguments`.

    Raises:
        NetledgerError: If its forward pass fails; the error carries the ledger up to there.
    """
    from netledger.readers.torch_module.read import read

    return read(thing, inputs)
