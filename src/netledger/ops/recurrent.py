"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.graph import BIAS, WEIGHT, Parameter, Shape
from netledger.ops.base import Op, Spatial, need_rank, operation
from netledger.ops.conv import Conv
from netledger.ops.fields import flag, integer, padding, per_axis

MOST_LAYERS = 10_000
"""Every layer is written down by itself, so there is a limit."""


@operation
class Recurrent(Op):
    """A recurrent layer, or a stack of them.

    Every step multiplies the input and the state by the weights of each gate:
    W = g·H × (I + H) for each layer and direction; B = g·H for each bias vector; MACs = T × W.
    PyTorch keeps two bias vectors, Keras one (and two for a GRU with ``reset_after``).

    Outputs: the sequence; the state after the last step (LSTM: and the cell).
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    arity = (1, 3)

    meanings: ClassVar[Mapping[str, str]] = {"I": "features of the input", "T": "steps"}

    hidden_size: int = integer("size of the state", "H")
    num_layers: int = integer("layers, each fed by the one before", default=1)
    bidirectional: bool = flag("a second set that reads backwards", default=False)
    bias: bool = flag("biases", default=True)
    bias_vectors: int = integer("bias vectors per gate: 2 in PyTorch, 1 in Keras", default=2)
    return_sequences: bool = flag("the output of every step, not of the last only", default=True)
    batch_first: bool = flag("batch on the first axis, time on the second", default=True)

    @property
    def size(self) -> Any:
        """The size of one direction's output."""
        return self.hidden_size

    @property
    def directions(self) -> int:
        """1, or 2 if it reads both ways."""
        return 2 if self.bidirectional else 1

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 3, 3, "batch, time and features")
        if self.num_layers > MOST_LAYERS:
            raise ShapeError(f"num_layers must be at most {MOST_LAYERS:,}; got {self.num_layers:,}")
        if self.bias_vectors > 2:
            raise ShapeError(f"bias_vectors must be 1 or 2; got {self.bias_vectors}")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        first, second, _ = inputs[0]
        batch = first if self.batch_first else second
        width = self.directions * self.size
        sequence = (first, second, width) if self.return_sequences else (batch, width)
        stack = self.num_layers * self.directions
        return (sequence, (stack, batch, self.size), (stack, batch, self.hidden_size))[
            : 1 + self.states
        ]

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        features = inputs[0][-1]
        for layer in range(self.num_layers):
            for direction in range(self.directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                found += self.cell(features, suffix)
            features = self.directions * self.size
        return tuple(found)

    def cell(self, features: Any, suffix: str) -> list[Parameter]:
        """The parameters of one layer in one direction."""
        rows = self.gates * self.hidden_size
        found = [
            Parameter(f"weight_ih{suffix}", WEIGHT, (rows, features)),
            Parameter(f"weight_hh{suffix}", WEIGHT, (rows, self.size)),
        ]
        if self.bias:
            names = ("bias_ih", "bias_hh")[: self.bias_vectors]
            found += [Parameter(name + suffix, BIAS, (rows,)) for name in names]
        return found

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        weights: Any = 0
        for p in self.parameters(*inputs):
            if p.role == WEIGHT:
                rows, columns = p.shape
                weights = weights + columns * rows
        first, second, _ = inputs[0]
        return first * second * weights

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        time = ("", "T") if self.batch_first else ("T", "")
        return ((*time, "I"),), ()

    def describe(self, *inputs: Shape) -> str:
        text = f"state of {self.hidden_size:,}"
        if self.num_layers > 1:
            text += f", {self.num_layers} layers"
        if self.bidirectional:
            text += ", both directions"
        return text if self.bias else f"{text}, no bias"


@operation
class RNN(Recurrent):
    """A plain recurrent layer: one gate. Elman (1990)."""

    key = "rnn"


@operation
class GRU(Recurrent):
    """A gated recurrent unit: three gates. Cho et al. (2014)."""

    key = "gru"
    gates = 3


@operation
class LSTM(Recurrent):
    """Long short-term memory: four gates. Hochreiter and Schmidhuber (1997)."""

    key = "lstm"
    gates = 4
    states = 2
    projection_size: int | None = integer("size that the output is projected to", "R", default=None)

    @property
    def size(self) -> Any:
        return self.hidden_size if self.projection_size is None else self.projection_size

    def cell(self, features: Any, suffix: str) -> list[Parameter]:
        found = super().cell(features, suffix)
        if self.projection_size is not None:
            shape = (self.projection_size, self.hidden_size)
            found.append(Parameter(f"weight_hr{suffix}", WEIGHT, shape))
        return found


@operation
class ConvLSTM(Spatial):
    """Long short-term memory over maps: both products of a step are convolutions.

    The input [batch, time, map] is convolved to the maps of four gates; so is the state, with
    stride 1 and "same": W = 4N × K² × (C + N); B = 4N; MACs = T × O² × W. Shi et al. (2015).

    Outputs: the sequence, or its last map; the state after the last step; the cell.
    """

    key = "conv_lstm"
    meanings: ClassVar[Mapping[str, str]] = {"T": "steps"}

    out_channels: int = integer("channels of the state", "N")
    kernel_size: Any = per_axis("window, of both convolutions", "K")
    stride: Any = per_axis("step of the window over the input", "S", default=1)
    padding: Any = padding("zeros around the input", default=0, choices=("same", "valid"))
    dilation: Any = per_axis("distance between the window's taps", "D", default=1, hide=1)
    bias: bool = flag("a bias per gate and channel", default=True)
    return_sequences: bool = flag("the output of every step, not of the last only", default=True)

    @property
    def gates(self) -> Conv:
        """The convolution of a step's input."""
        return Conv(
            4 * self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            channels_last=self.channels_last,
        )

    @property
    def recurrence(self) -> Conv:
        """The convolution of the state."""
        gates = 4 * self.out_channels
        return Conv(
            gates, self.kernel_size, padding="same", bias=False, channels_last=self.channels_last
        )

    def step(self, x: Shape) -> Shape:
        """The map of one step."""
        return (x[0], *x[2:])

    def state(self, x: Shape) -> Shape:
        """The state after a step."""
        batch, _, sizes = self.split(self.gates.outputs(self.step(x))[0])
        return self.join(batch, self.out_channels, sizes)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 4, 6, "a batch, time, channels and 1 to 3 spatial axes")
        self.gates.check(self.step(inputs[0]))

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        state = self.state(inputs[0])
        sequence = (state[0], inputs[0][1], *state[1:])
        return (sequence if self.return_sequences else state, state, state)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        x = inputs[0]
        weight, bias = self.gates.parameters(self.step(x))
        (state,) = self.recurrence.parameters(self.state(x))
        found = (weight._replace(name="weight_ih"), state._replace(name="weight_hh"))
        return (*found, bias) if self.bias else found

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        step, state = self.step(inputs[0]), self.state(inputs[0])
        made = self.gates.outputs(step)
        products = self.gates.macs((step,), made) + self.recurrence.macs((state,), made)
        return inputs[0][1] * products

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        batch, *axes = self.axis_names(self.step(inputs[0]), "C", "I")
        return ((batch, "T", *axes),), ()

    def describe(self, *inputs: Shape) -> str:
        words = self.gates.describe(self.step(inputs[0]))
        return f"state of {self.out_channels:,} maps, gates of {words}"
