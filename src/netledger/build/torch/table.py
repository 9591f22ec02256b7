"""The table of operations for PyTorch: maps are [batch, channels, height, width]."""

from __future__ import annotations

from netledger import ops
from netledger.build.source import functions
from netledger.build.source.batches import ExpandLike
from netledger.build.source.expression import call
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Table, Writer
from netledger.build.torch import layers, moves, windows
from netledger.ops.base import Op

WRITERS: dict[type[Op], Writer] = {
    ops.Conv: windows.conv,
    ops.DepthwiseConv: windows.conv,
    ops.ConvTranspose: windows.conv_transpose,
    ops.MaxPool: windows.pool,
    ops.AvgPool: windows.pool,
    ops.AdaptiveMaxPool: windows.adaptive("AdaptiveMaxPool"),
    ops.AdaptiveAvgPool: windows.adaptive("AdaptiveAvgPool"),
    ops.GlobalMaxPool: windows.global_pool("AdaptiveMaxPool", "amax"),
    ops.GlobalAvgPool: windows.global_pool("AdaptiveAvgPool", "mean"),
    ops.Linear: layers.linear,
    ops.Embedding: layers.embedding,
    ops.MatMul: functions.simple("torch.matmul"),
    ops.Einsum: functions.einsum("torch.einsum"),
    ops.BatchNorm: layers.batch_norm,
    ops.InstanceNorm: layers.batch_norm,
    ops.GroupNorm: layers.group_norm,
    ops.LayerNorm: layers.layer_norm,
    ops.RMSNorm: layers.layer_norm,
    ops.Scale: layers.scale,
    ops.LocalResponseNorm: layers.local_response_norm,
    ops.Activation: layers.activation,
    ops.PReLU: layers.prelu,
    ops.GLU: lambda site: Written(call("nn.GLU", dim=site.op.axis)),
    ops.Softmax: layers.softmax,
    ops.Dropout: layers.dropout,
    ops.Identity: moves.identity,
    ops.Cast: moves.cast,
    ops.Add: functions.chained(" + "),
    ops.Subtract: functions.chained(" - "),
    ops.Multiply: functions.chained(" * "),
    ops.Divide: functions.chained(" / "),
    ops.Power: functions.chained("**"),
    ops.Maximum: moves.bounded("torch.maximum", "min"),
    ops.Minimum: moves.bounded("torch.minimum", "max"),
    ops.Average: functions.average,
    ops.Where: functions.where("torch.where"),
    ops.RNN: layers.recurrent("RNN"),
    ops.GRU: layers.recurrent("GRU"),
    ops.LSTM: layers.recurrent("LSTM"),
    ops.MultiHeadAttention: layers.multi_head,
    ops.ScaledDotProductAttention: moves.attention,
    ops.Flatten: moves.flatten,
    ops.Reshape: moves.reshape,
    ops.Permute: moves.permute,
    ops.Expand: moves.expand,
    ExpandLike: moves.expand,
    ops.Gather: functions.indexed,
    ops.Index: functions.looked_up,
    ops.TakeAlong: moves.take_along,
    ops.Constant: moves.constant,
    ops.Concat: functions.joined("torch.cat", "dim"),
    ops.Stack: functions.joined("torch.stack", "dim"),
    ops.Slice: functions.sliced,
    ops.Split: moves.split,
    ops.Pad: windows.border,
    ops.Resize: layers.resize,
    ops.PixelShuffle: layers.pixel_shuffle,
    ops.Reduce: moves.reduce,
    ops.Tensor: layers.stored,
}

TABLE = Table("PyTorch", WRITERS, windows.fits, channels_last=False)
