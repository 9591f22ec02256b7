"""Live PyTorch models: the ledger against the bare forward pass on the meta device."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

Line = tuple[str, str, str]
MODELS = (
    *("alexnet", "vgg16", "resnet18", "resnet50", "densenet121", "googlenet", "inception_v3"),
    *("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf"),
    *("shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0", "resnext50_32x4d", "vit_b_16"),
    *("swin_t", "swin_v2_t", "maxvit_t", "deeplabv3_resnet50", "r3d_18"),
)


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of the processor for one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def geometric_mean(numbers: list[float]) -> float:
    """As its name says."""
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def models() -> Iterator[tuple[str, Any, Any]]:
    """Each model of torchvision on the meta device, with one sample of what it takes."""
    import torch

    from netledger import references
    from netledger.readers.torch_module.defaults import default_arguments

    for name in MODELS:
        model = references.resolve(f"torchvision:{name}").to("meta").eval()
        (given,) = default_arguments(model).args
        yield name, model, torch.empty((1, *given.shape[1:]), device="meta")


def against_the_forward_pass(turns: int = 7) -> Iterator[Line]:
    """In turns, so that a busy machine slows both; of each the shortest, after one of each."""
    import torch

    import netledger

    ratios = []
    for name, model, x in models():
        found = []
        for _ in range(turns):
            with torch.no_grad():
                bare = seconds(lambda model=model, x=x: model(x))
            found.append((bare, seconds(lambda model=model: netledger.ledger(model))))
        bare, ours = (min(times) for times in zip(*found[1:], strict=True))
        ratios.append(ours / bare)
        took = f"{1e3 * ours:,.0f} ms; forward pass {1e3 * bare:,.1f} ms; {ratios[-1]:.2f}×"
        yield f"ledger of torchvision's {name}", took, "—"
    what = f"ledger / bare forward pass on the meta device, geometric mean of {len(ratios)} models"
    yield what, f"{geometric_mean(ratios):.2f}×", "≤ 1.5×"


def run() -> Iterator[Line]:
    """The lines of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from against_the_forward_pass()
