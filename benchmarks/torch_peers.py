"""Live PyTorch models in other tools: the same 22 models, side by side with the ledger."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.torch_live import Line, geometric_mean, models, seconds


def flop_counter(model: Any, x: Any) -> None:
    """PyTorch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        model(x)


def torchinfo(model: Any, x: Any) -> None:
    """Its table, not printed."""
    from torchinfo import summary

    summary(model, input_data=x, device=x.device, verbose=0)


def fvcore(model: Any, x: Any) -> None:
    """Its count of multiply-accumulates."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, x)
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)
    analysis.total()


def torchlens(model: Any, x: Any) -> None:
    """Its log of every operation, without their results; PyTorch is as it was afterwards."""
    from torchlens import trace
    from torchlens.options import CaptureOptions

    trace(model, x, save=None, capture=CaptureOptions(unwrap_when_done=True))


Tool = Callable[[Any, Any], None]
TOOLS: dict[str, dict[str, Tool]] = {
    "on the meta device": {"FlopCounterMode": flop_counter, "torchinfo": torchinfo},
    "on real tensors": {
        "FlopCounterMode": flop_counter,
        "torchinfo": torchinfo,
        "fvcore": fvcore,
        "TorchLens": torchlens,
    },
}
"""Where each runs. fvcore and TorchLens refuse the meta device."""


def compared(work: Tool, model: Any, x: Any, runs: int) -> float | None:
    """The shortest of some runs; None if the tool is not there, or cannot."""
    import torch

    try:
        with torch.no_grad():
            return min(seconds(lambda: work(model, x)) for _ in range(runs))
    except Exception:
        return None


def make_real(model: Any) -> None:
    """Its tensors as zeros on the processor."""
    import torch

    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()


def against_other_tools() -> Iterator[Line]:
    """Each model in each tool, after AlexNet once for what a tool does at its first use."""
    import torch

    import netledger

    torch.set_num_threads(1)  # seconds of the processor are then seconds
    ratios: dict[tuple[str, str], list[float]] = {}
    for turn, (name, model, x) in enumerate((next(models()), *models())):
        ours = min(seconds(lambda model=model: netledger.ledger(model)) for _ in range(5))
        said = [f"ledger {1e3 * ours:,.0f} ms"]
        for place, tools in TOOLS.items():
            if place == "on real tensors":
                make_real(model)
                x = torch.zeros(x.shape)
            said[-1] += f"; {place}:"
            for tool, work in tools.items():
                theirs = compared(work, model, x, 3 if x.is_meta else 1)
                if theirs is None:
                    said.append(f"{tool} —,")
                    continue
                said.append(f"{tool} {1e3 * theirs:,.0f} ms,")
                if turn:
                    ratios.setdefault((tool, place), []).append(theirs / ours)
        if turn:
            yield (
                f"torchvision's {name} in other tools",
                " ".join(said).replace(",;", ";").rstrip(","),
                "—",
            )
    for (tool, place), found in ratios.items():
        what = f"{tool} {place} / ledger, geometric mean of {len(found)} models"
        yield what, f"{geometric_mean(found):.1f}×", "—"


def run() -> Iterator[Line]:
    """The lines of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from against_other_tools()
