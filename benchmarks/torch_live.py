"""Live PyTorch models: against the bare forward pass, against other tools, and a whole process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Line = tuple[str, str, str]
MODELS = (
    *("alexnet", "vgg16", "resnet18", "resnet50", "densenet121", "googlenet", "inception_v3"),
    *("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf"),
    *("shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0", "resnext50_32x4d", "vit_b_16"),
    *("swin_t", "swin_v2_t", "maxvit_t", "deeplabv3_resnet50", "r3d_18"),
)
PEERS_ON = ("alexnet", "resnet50", "mobilenet_v3_large", "vit_b_16", "densenet121")
"""The other tools work on real tensors, and some take ten seconds for a model."""
LLAMA_70B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8192,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


def best(work: Callable[[], Any], times: int = 5) -> float:
    """The shortest of a few runs, in seconds of the processor, after one that does not count."""
    work()
    found = math.inf
    for _ in range(times):
        began = time.process_time()
        work()
        found = min(found, time.process_time() - began)
    return found


def geometric_mean(numbers: list[float]) -> float:
    """As its name says."""
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def against_the_forward_pass() -> Iterator[Line]:
    """The ledger of a model, and one bare forward pass of it on the meta device."""
    import torch

    import netledger
    from netledger import references
    from netledger.readers.torch_module.defaults import default_arguments

    ratios = []
    for name in MODELS:
        model = references.resolve(f"torchvision:{name}").to("meta").eval()
        (given,) = default_arguments(model).args
        x = torch.empty((1, *given.shape[1:]), device="meta")
        with torch.no_grad():
            bare = best(lambda model=model, x=x: model(x))
        ours = best(lambda model=model: netledger.ledger(model))
        ratios.append(ours / bare)
        took = f"{1e3 * ours:,.0f} ms; forward pass {1e3 * bare:,.0f} ms; {ratios[-1]:.2f}×"
        yield f"ledger of torchvision's {name}", took, "—"
    what = f"ledger / bare forward pass on the meta device, geometric mean of {len(ratios)} models"
    yield what, f"{geometric_mean(ratios):.2f}×", "≤ 1.5×"


def against_other_tools() -> Iterator[Line]:
    """The same models in other tools, on real tensors, as their documentation shows."""
    import torch
    import torchvision
    from torch.utils.flop_counter import FlopCounterMode

    import netledger

    def flop_counter(model: Any, x: Any) -> None:
        with FlopCounterMode(display=False):
            model(x)

    def info(model: Any, x: Any) -> None:
        from torchinfo import summary

        summary(model, input_data=x, verbose=0)

    def fvcore(model: Any, x: Any) -> None:
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, x)
        analysis.unsupported_ops_warnings(False)
        analysis.uncalled_modules_warnings(False)
        analysis.total()

    def lens(model: Any, x: Any) -> None:
        import torchlens

        torchlens.log_forward_pass(model, x, layers_to_save=None)

    tools = {
        "FlopCounterMode": flop_counter,
        "torchinfo": info,
        "fvcore": fvcore,
        "TorchLens": lens,
    }
    ratios: dict[str, list[float]] = {tool: [] for tool in tools}
    for name in PEERS_ON:
        model = getattr(torchvision.models, name)().eval()
        x = torch.zeros(1, 3, 224, 224)
        ours = best(lambda model=model: netledger.ledger(model, (3, 224, 224)), 3)
        for tool, work in tools.items():
            try:
                with torch.no_grad():
                    theirs = best(lambda: work(model, x), 1)  # noqa: B023
            except Exception:  # not installed, or it cannot
                continue
            ratios[tool].append(theirs / ours)
    for tool, found in ratios.items():
        if found:
            what = f"{tool} / ledger, geometric mean of {len(found)} models ({', '.join(PEERS_ON)})"
            yield what, f"{geometric_mean(found):.1f}×", "—"


def whole_process(arguments: list[str]) -> tuple[float, int]:
    """Seconds and megabytes of a command, from start to end."""
    began = time.perf_counter()
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], "
        "stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "netledger", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, int(done.stdout) // 1024


def commands() -> Iterator[Line]:
    """What a user waits for."""
    resnet = ["show", "torchvision.models:resnet50", "--input", "3x224x224"]
    seconds, megabytes = whole_process(resnet)
    yield f"netledger {' '.join(resnet)}", f"{seconds:.1f} s, {megabytes:,} MB", "—"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(LLAMA_70B))
        seconds, megabytes = whole_process(["show", f"hf:{folder}"])
    what = "netledger show hf:FOLDER, a config of the size of Llama 70B, 128 tokens"
    yield what, f"{seconds:.1f} s, {megabytes:,} MB", "< 60 s, 2,048 MB"


def run() -> Iterator[Line]:
    """The lines of the table."""
    try:
        import torch
    except ImportError:
        return
    del torch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from commands()
        yield from against_the_forward_pass()
        yield from against_other_tools()
