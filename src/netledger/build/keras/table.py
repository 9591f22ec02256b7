"""The table of operations for Keras: maps are [batch, height, width, channels]."""

from __future__ import annotations

from netledger import ops
from netledger.build.keras import layers, moves
from netledger.build.source.expression import Raw, call
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Table, Writer
from netledger.ops.base import Op

WRITERS: dict[type[Op], Writer] = {
    ops.Conv: layers.conv,
    ops.DepthwiseConv: layers.conv,
    ops.ConvTranspose: layers.conv_transpose,
    ops.MaxPool: layers.pool,
    ops.AvgPool: layers.pool,
    ops.AdaptiveMaxPool: layers.adaptive("Max"),
    ops.AdaptiveAvgPool: layers.adaptive("Average"),
    ops.GlobalMaxPool: layers.global_pool("Max"),
    ops.GlobalAvgPool: layers.global_pool("Average"),
    ops.Linear: layers.linear,
    ops.Embedding: layers.embedding,
    ops.MatMul: lambda site: Written(inline=lambda x: call("ops.matmul", *map(Raw, x))),
    ops.Einsum: moves.einsum,
    ops.BatchNorm: layers.batch_norm,
    ops.InstanceNorm: layers.instance_norm,
    ops.GroupNorm: layers.group_norm,
    ops.LayerNorm: layers.layer_norm,
    ops.RMSNorm: layers.layer_norm,
    ops.Scale: layers.scale,
    ops.LocalResponseNorm: layers.local_response_norm,
    ops.Activation: layers.activation,
    ops.PReLU: layers.prelu,
    ops.GLU: moves.glu,
    ops.Softmax: layers.softmax,
    ops.Dropout: layers.dropout,
    ops.Identity: lambda site: Written(call("layers.Identity")),
    ops.Cast: moves.cast,
    ops.Add: moves.merge("Add", " + "),
    ops.Subtract: moves.merge("Subtract", " - "),
    ops.Multiply: moves.merge("Multiply", " * "),
    ops.Divide: moves.chained(" / "),
    ops.Power: moves.chained("**"),
    ops.Maximum: moves.merge("Maximum"),
    ops.Minimum: moves.merge("Minimum"),
    ops.Average: moves.merge("Average"),
    ops.Where: moves.where,
    ops.RNN: layers.recurrent("SimpleRNN"),
    ops.GRU: layers.recurrent("GRU"),
    ops.LSTM: layers.recurrent("LSTM"),
    ops.MultiHeadAttention: layers.multi_head,
    ops.ScaledDotProductAttention: moves.attention,
    ops.Flatten: moves.flatten,
    ops.Reshape: moves.reshape,
    ops.Permute: moves.permute,
    ops.Concat: moves.concat,
    ops.Stack: moves.stack,
    ops.Slice: moves.slice_,
    ops.Split: moves.split,
    ops.Pad: layers.pad,
    ops.Resize: layers.resize,
    ops.Reduce: moves.reduce,
    ops.Tensor: layers.stored,
}

TABLE = Table("Keras", WRITERS, layers.fits, channels_last=True)
