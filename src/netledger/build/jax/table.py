"""The table of operations for JAX (flax nnx): maps are [batch, height, width, channels]."""

from __future__ import annotations

from typing import Any

from netledger import ops
from netledger.build.jax import layers, moves
from netledger.build.source import functions
from netledger.build.source.batches import ExpandLike
from netledger.build.source.borders import Pads
from netledger.build.source.expression import Raw
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Table, Writer
from netledger.ops.base import Op


def fits(op: Any, around: Pads, spatial: tuple[int, ...]) -> Op | None:
    """Windows are placed by JAX itself, which takes any border."""
    return op  # type: ignore[no-any-return]


WRITERS: dict[type[Op], Writer] = {
    ops.Conv: layers.conv,
    ops.DepthwiseConv: layers.conv,
    ops.ConvTranspose: layers.conv_transpose,
    ops.MaxPool: layers.pool,
    ops.AvgPool: layers.pool,
    ops.AdaptiveMaxPool: layers.adaptive("max"),
    ops.AdaptiveAvgPool: layers.adaptive("mean"),
    ops.GlobalMaxPool: layers.over_map("max"),
    ops.GlobalAvgPool: layers.over_map("mean"),
    ops.Linear: layers.linear,
    ops.Embedding: layers.embedding,
    ops.MatMul: functions.simple("jnp.matmul"),
    ops.Einsum: functions.einsum("jnp.einsum"),
    ops.BatchNorm: layers.batch_norm,
    ops.InstanceNorm: layers.instance_norm,
    ops.GroupNorm: layers.group_norm,
    ops.LayerNorm: layers.layer_norm,
    ops.RMSNorm: layers.layer_norm,
    ops.LocalResponseNorm: layers.local_response_norm,
    ops.Activation: moves.activation,
    ops.PReLU: layers.prelu,
    ops.GLU: moves.glu,
    ops.Softmax: moves.softmax,
    ops.Dropout: layers.dropout,
    ops.Identity: lambda site: Written(inline=lambda x: Raw(x[0])),
    ops.Cast: moves.cast,
    ops.Add: functions.chained(" + "),
    ops.Subtract: functions.chained(" - "),
    ops.Multiply: functions.chained(" * "),
    ops.Divide: functions.chained(" / "),
    ops.Power: functions.chained("**"),
    ops.Maximum: functions.folded("jnp.maximum"),
    ops.Minimum: functions.folded("jnp.minimum"),
    ops.Average: functions.average,
    ops.Where: functions.where("jnp.where"),
    ops.RNN: layers.recurrent("RNN"),
    ops.GRU: layers.recurrent("GRU"),
    ops.LSTM: layers.recurrent("LSTM"),
    ops.MultiHeadAttention: layers.multi_head,
    ops.ScaledDotProductAttention: functions.attention("nnx.softmax", "{}.swapaxes(-1, -2)"),
    ops.Flatten: moves.flatten,
    ops.Reshape: moves.reshape,
    ops.Permute: moves.permute,
    ops.Expand: moves.expand,
    ExpandLike: moves.expand,
    ops.Gather: functions.taken("jnp.take"),
    ops.Index: functions.looked_up,
    ops.TakeAlong: functions.along("jnp.take_along_axis"),
    ops.Constant: moves.constant,
    ops.Concat: functions.joined("jnp.concatenate"),
    ops.Stack: functions.joined("jnp.stack"),
    ops.Slice: functions.sliced,
    ops.Split: moves.split,
    ops.Pad: moves.border,
    ops.Resize: moves.resize,
    ops.Reduce: moves.reduce,
    ops.Tensor: layers.stored,
}

TABLE = Table("JAX", WRITERS, fits, channels_last=True)
