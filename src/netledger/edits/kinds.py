"""What changes are called: the kinds of causes."""

from __future__ import annotations

from netledger.ops import Flatten, Pad, Reshape
from netledger.ops.base import Op
from netledger.ops.norm import ChannelNorm, LayerNorm
from netledger.ops.pool import AdaptivePool, GlobalPool, Pool

FIELD_KINDS = {
    "groups": "groups",
    "bias": "bias",
    "bias_vectors": "bias",
    "padding": "padding",
    "output_padding": "padding",
    "rounding": "rounding-mode",
    "out_channels": "width",
    "out_features": "width",
    "hidden_size": "width",
    "embedding_dim": "width",
    "projection_size": "width",
    "depth_multiplier": "width",
    "key_dim": "width",
    "value_dim": "width",
    "num_embeddings": "vocabulary",
    "num_layers": "depth",
    "bidirectional": "depth",
    "kernel_size": "kernel",
    "dilation": "kernel",
    "stride": "stride",
    "scale": "norm-affine",
    "center": "norm-affine",
    "running_stats": "buffers",
    "output_size": "pooling",
}
"""What a change of a hyperparameter is called; anything else is a change of the ``operation``."""


def kind_of(op: Op) -> str:
    """What it is called when a layer like this comes or goes."""
    if isinstance(op, Pool | AdaptivePool | GlobalPool):
        return "pooling"
    if isinstance(op, Flatten | Reshape):
        return "flatten"
    if isinstance(op, ChannelNorm | LayerNorm):
        return "normalisation"
    if isinstance(op, Pad):
        return "padding"
    return "depth" if has_weights(op) else "operation"


def has_weights(op: Op) -> bool:
    """True for an operation with kernels, matrices or tables of its own."""
    weightless = type(op).parameters is Op.parameters
    return not weightless and not isinstance(op, ChannelNorm | LayerNorm)
