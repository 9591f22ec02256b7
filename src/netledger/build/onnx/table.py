"""Which function writes which operation.

https://onnx.ai/onnx/operators
"""

from __future__ import annotations

from netledger import ops
from netledger.build.onnx import layers, moves, sequences
from netledger.build.onnx.writer import Place, Rule
from netledger.ops.base import Op


def without(why: str) -> Rule:
    """What ONNX has no operator for, or what the graph does not say enough of."""

    def rule(place: Place) -> None:
        raise place.cannot(why)

    return rule


TABLE: dict[type[Op], Rule] = {
    ops.Conv: layers.conv,
    ops.DepthwiseConv: layers.conv,
    ops.LocallyConnected: without("it has no kernels that differ from place to place"),
    ops.ConvTranspose: layers.conv_transpose,
    ops.MaxPool: layers.pool("MaxPool"),
    ops.AvgPool: layers.pool("AveragePool"),
    ops.AdaptiveMaxPool: layers.adaptive_pool("MaxPool"),
    ops.AdaptiveAvgPool: layers.adaptive_pool("AveragePool"),
    ops.GlobalMaxPool: layers.global_pool("GlobalMaxPool"),
    ops.GlobalAvgPool: layers.global_pool("GlobalAveragePool"),
    ops.Linear: layers.linear,
    ops.Embedding: layers.embedding,
    ops.MatMul: moves.matmul,
    ops.Einsum: moves.einsum,
    ops.BatchNorm: layers.batch_norm,
    ops.InstanceNorm: layers.instance_norm,
    ops.GroupNorm: layers.group_norm,
    ops.LayerNorm: layers.layer_norm("LayerNormalization"),
    ops.RMSNorm: layers.layer_norm("RMSNormalization"),
    ops.Scale: layers.scale,
    ops.LocalResponseNorm: layers.lrn,
    ops.Activation: moves.activation,
    ops.PReLU: layers.prelu,
    ops.GLU: moves.glu,
    ops.Softmax: moves.softmax,
    ops.Dropout: moves.dropout,
    ops.Identity: moves.same("Identity"),
    ops.Cast: moves.cast,
    ops.Add: moves.elementwise("Add", "Sum"),
    ops.Subtract: moves.elementwise("Sub"),
    ops.Multiply: moves.elementwise("Mul"),
    ops.Divide: moves.elementwise("Div"),
    ops.Power: moves.elementwise("Pow"),
    ops.Maximum: moves.elementwise("Max", "Max"),
    ops.Minimum: moves.elementwise("Min", "Min"),
    ops.Average: moves.elementwise("Mean", "Mean"),
    ops.Compare: without("the graph does not say which test it is"),
    ops.Where: moves.where,
    ops.RNN: sequences.recurrent("RNN"),
    ops.GRU: sequences.recurrent("GRU"),
    ops.LSTM: sequences.recurrent("LSTM"),
    ops.MultiHeadAttention: sequences.multi_head,
    ops.ScaledDotProductAttention: sequences.attention,
    ops.Flatten: moves.flatten,
    ops.Reshape: moves.reshape,
    ops.Permute: moves.permute,
    ops.Expand: moves.expand,
    ops.Concat: moves.concat,
    ops.Stack: moves.stack,
    ops.Slice: moves.cut,
    ops.Gather: moves.gather,
    ops.Split: moves.split,
    ops.Pad: moves.pad,
    ops.Resize: moves.resize,
    ops.PixelShuffle: moves.pixel_shuffle,
    ops.Reduce: moves.reduce,
    ops.Tensor: moves.tensor,
    ops.Index: moves.looked_up,
    ops.TakeAlong: moves.take_along,
    ops.Constant: moves.constant,
    ops.Opaque: without("no rule describes what it computes"),
    ops.Inventory: without("there is no graph, only stored tensors"),
}
OTHERS = without("no operator of it is known to do this")
"""How everything else is written."""
