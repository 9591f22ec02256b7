"""Live PyTorch models as a user waits for them: whole processes, from start to end."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.core import Line, process

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
# The detour serves a torchvision whose compiled operators do not load; it costs some ms.
IMPORTS = """
from netledger.references import beside_torchvision
models = beside_torchvision("torchvision.models")
"""
TORCHINFO = f"""
{IMPORTS}
from torchinfo import summary
print(summary(models.resnet50(), (1, 3, 224, 224), verbose=0))
"""
RESNET = ("-m", "netledger", "show", "torchvision.models:resnet50", "--input", "3x224x224")


def measured(what: str, target: str, *arguments: str) -> Line:
    """One run of Python."""
    began = time.perf_counter()
    spent, megabytes = process("-W", "ignore", *arguments)
    clock = time.perf_counter() - began
    return what, f"{clock:.1f} s ({spent:.1f} s of CPU), {megabytes:,.0f} MB", target


def run() -> Iterator[Line]:
    """The lines of the table."""
    yield measured("whole process: `import torch`", "—", "-c", "import torch")
    yield measured("whole process: `import torchvision.models`", "—", "-c", IMPORTS)
    yield measured(f"whole process: `netledger {' '.join(RESNET[2:])}`", "—", *RESNET)
    yield measured("whole process: torchinfo's summary of that model", "—", "-c", TORCHINFO)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(LLAMA_70B))
        show = ("-m", "netledger", "show", f"hf:{folder}")
        what = "whole process: `netledger show hf:FOLDER`, a config of the size of Llama 70B"
        yield measured(f"{what}, 128 tokens", "< 60 s, 2,048 MB", *show)
