"""The installed tools' numbers for a network; a tool that fails has no number."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

Found = dict[str, int]


def torchinfo(model: Any, inputs: list[Any]) -> Found:
    import torchinfo as tool

    found = tool.summary(model, input_data=inputs, verbose=0, device="cpu", mode="eval")
    return {"torchinfo-params": found.total_params, "torchinfo": found.total_mult_adds}


def fvcore(model: Any, inputs: list[Any]) -> Found:
    from fvcore.nn import FlopCountAnalysis

    found = FlopCountAnalysis(model, tuple(inputs))
    found.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    return {"fvcore": int(found.total())}


def thop(model: Any, inputs: list[Any]) -> Found:
    import thop as tool

    macs, params = tool.profile(model, inputs=tuple(inputs), verbose=False)
    return {"thop": int(macs), "thop-params": int(params)}


def ptflops(model: Any, inputs: list[Any], backend: str = "pytorch") -> Found:
    from ptflops import get_model_complexity_info

    def construct(shape: Any) -> Any:
        names = list(inspect.signature(model.forward).parameters)
        return inputs[0] if len(inputs) == 1 else dict(zip(names, inputs, strict=False))

    macs, params = get_model_complexity_info(
        model,
        tuple(inputs[0].shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        backend=backend,
        input_constructor=construct,
    )
    if macs is None:
        return {}
    name = "ptflops" if backend == "pytorch" else "ptflops-aten"
    return {name: int(macs), "ptflops-params": int(params)}


def aten(model: Any, inputs: list[Any]) -> Found:
    return ptflops(model, inputs, "aten")


def flop_counter(model: Any, inputs: list[Any]) -> Found:
    from torch.utils.flop_counter import FlopCounterMode

    model.to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*[x.to("meta") for x in inputs])
    return {"torch": int(counter.get_total_flops())}


TOOLS: Mapping[str, Callable[[Any, list[Any]], Found]] = {
    "fvcore": fvcore,
    "torchinfo": torchinfo,
    "thop": thop,
    "ptflops": ptflops,
    "aten": aten,
    "torch": flop_counter,
}
"""The last one moves the model to the meta device."""


def measure(model: Any, inputs: list[Any]) -> Found:
    """What each tool says of a model, by the name of our convention."""
    found: Found = {}
    logging.disable(logging.CRITICAL)
    try:
        for tool in TOOLS.values():
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                found.update(tool(model.eval(), inputs))
    finally:
        logging.disable(logging.NOTSET)
    return found
