"""The table of operations for Keras: maps are [batch, height, width, channels]."""

from __future__ import annotations

from netledger import ops
from netledger.build.keras import layers, moves, windows
from netledger.build.source import functions
from netledger.build.source.batches import ExpandLike
from netledger.build.source.expression import call
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
    ops.MatMul: functions.simple("ops.matmul"),
    ops.Einsum: functions.einsum("ops.einsum"),
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
    ops.Divide: functions.chained(" / "),
    ops.Power: functions.chained("**"),
    ops.Maximum: moves.merge("Maximum"),
    ops.Minimum: moves.merge("Minimum"),
    ops.Average: moves.merge("Average"),
    ops.Where: functions.where("ops.where"),
    ops.RNN: layers.recurrent("SimpleRNN"),
    ops.GRU: layers.recurrent("GRU"),
    ops.LSTM: layers.recurrent("LSTM"),
    ops.MultiHeadAttention: layers.multi_head,
    ops.ScaledDotProductAttention: functions.attention("ops.softmax", "ops.swapaxes({}, -1, -2)"),
    ops.Flatten: moves.flatten,
    ops.Reshape: moves.reshape,
    ops.Permute: moves.permute,
    ops.Expand: moves.expand,
    ExpandLike: moves.expand,
    ops.Gather: functions.taken("ops.take"),
    ops.Index: moves.looked_up,
    ops.TakeAlong: functions.along("ops.take_along_axis"),
    ops.Constant: moves.constant,
    ops.Concat: moves.concat,
    ops.Stack: functions.joined("ops.stack"),
    ops.Slice: functions.sliced,
    ops.Split: moves.split,
    ops.Pad: layers.pad,
    ops.Resize: layers.resize,
    ops.Reduce: moves.reduce,
    ops.Tensor: layers.stored,
}

TABLE = Table("Keras", WRITERS, windows.fits, channels_last=True)
