"""The installed tools, and networks to count."""

from __future__ import annotations

import importlib

NETWORKS = importlib.import_module(f"{__name__}.networks").NETWORKS
measure = importlib.import_module(f"{__name__}.tools").measure

EXCEPTIONS = {
    ("ptflops", "attention, softmax as a method"): "x.softmax() is not replaced, F.softmax is",
    ("ptflops", "timm:levit_128s"): "x.softmax() is not replaced, F.softmax is",
    ("ptflops", "torchvision:swin_t"): "x.matmul() is replaced, x @ y is not",
    ("ptflops", "torchvision:swin_v2_t"): "x.matmul() is replaced, x @ y is not",
    ("ptflops", "timm:convnext_atto"): "x.mul() is replaced, x * y is not",
    ("ptflops", "transformer encoder"): "it holds on to F.relu as it was before",
    ("ptflops", "tied, torch.relu"): "torch.relu is not replaced, F.relu is",
    ("ptflops-aten", "torchvision:swin_v2_t"): "a bias that the network computes is added too",
    ("ptflops-aten", "timm:resmlp_12_224"): "biases on tensors that lie in another order in memory",
}
"""Where a tool's number is not ours in its convention, and why: what no trace of operators says."""
