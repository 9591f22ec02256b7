"""ATen, the operators of PyTorch: what each of their calls becomes here.

Readers of exported programs and of live modules share it: whoever knows an operator's name, its
arguments by the names of its schema, and the shapes of its tensors, gets the nodes of a graph.
"""

from netledger.aten.build import Builder, Invocation, Stored
from netledger.aten.call import Arguments, Call, Layer, Value
from netledger.aten.modules import Calls, Frame
from netledger.aten.moves import filled
from netledger.aten.table import describes, translate

__all__ = [
    "Arguments",
    "Builder",
    "Call",
    "Calls",
    "Frame",
    "Invocation",
    "Layer",
    "Stored",
    "Value",
    "describes",
    "filled",
    "translate",
]
