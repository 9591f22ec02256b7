"""Recurrent layers and attention in the words of ONNX.

Gates: our weights have PyTorch's order of gates, ONNX its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netledger.build.onnx.writer import Place
from netledger.ops import LSTM

ORDERS = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""For each gate of ONNX, which of PyTorch's it is: z r h of r z n; i o f c of i f g o."""


def recurrent(kind: str) -> Any:
    """RNN, GRU, LSTM: an operator for each layer, directions side by side in its weights."""

    def rule(place: Place) -> None:
        op = place.op
        if isinstance(op, LSTM) and op.projection_size is not None:
            raise place.cannot("an LSTM whose output is projected")
        if len(place.node.inputs) > 1:
            raise place.cannot("a state that is given from outside")
        x = place.value()
        if op.batch_first:
            x = place.step("Transpose", [x], perm=(1, 0, 2))
        states: list[list[str]] = []
        ends: Sequence[str]
        for layer in range(op.num_layers):
            last = layer == op.num_layers - 1
            sequence, *own = cell(place, kind, x, layer, main=last)
            states.append(own)
            if not last or op.return_sequences:
                x = place.step("Transpose", [sequence], perm=(0, 2, 1, 3))
                shape = place.constant("shape", np.array([0, 0, -1], np.int64))
                x = place.step("Reshape", [x, shape])
        outputs = [_whole(place, x) if op.return_sequences else _last(place, states[-1][0])]
        for ends in zip(*states, strict=True):
            outputs.append(place.step("Concat", list(ends), axis=0) if len(ends) > 1 else ends[0])
        for value, made in zip(place.node.outputs, outputs, strict=False):
            place.copy(made, value)

    return rule


def cell(place: Place, kind: str, x: str, layer: int, main: bool) -> list[str]:
    """One layer in all directions: its sequence and its states at the end."""
    op = place.op
    suffixes = [f"_l{layer}", f"_l{layer}_reverse"][: op.directions]
    inputs = [x]
    for word in ("weight_ih", "weight_hh"):
        inputs.append(_gates(place, kind, [[word + s] for s in suffixes]))
    if op.bias:
        names = ("bias_ih", "bias_hh")[: op.bias_vectors]
        inputs.append(_gates(place, kind, [[n + s for n in names] for s in suffixes]))
    fields: dict[str, Any] = {
        "hidden_size": op.hidden_size,
        "direction": "bidirectional" if op.bidirectional else "forward",
    }
    if kind == "GRU":
        fields["linear_before_reset"] = int(op.bias_vectors == 2)
    return place.several(kind, inputs, 2 + (kind == "LSTM"), main, **fields)


def _gates(place: Place, kind: str, names: Sequence[Sequence[str]]) -> str:
    """Parameters of all directions in one tensor, the gates in ONNX's order.

    A row of numbers is a bias: ONNX has two of them side by side, zeros where there is but one.
    """
    first = place.stored(names[0][0])
    biases = len(first.shape) == 1
    order = ORDERS[kind]
    whole = place.ints("a parameter's size", first.shape)
    rows = whole[0] // len(order)
    shape = (len(names), 2 * whole[0]) if biases else (len(names), *whole)
    back = np.argsort(order)

    def turned(array: Any, by: Any) -> Any:
        parts = array.reshape(len(order), rows, *array.shape[1:])
        return parts[list(by)].reshape(array.shape)

    def pack(arrays: Sequence[Any]) -> Any:
        parts = [turned(a, order) for a in arrays]
        if biases and len(names[0]) == 1:
            parts = [both for part in parts for both in (part, np.zeros_like(part))]
        return np.concatenate(parts).reshape(shape)

    def unpack(array: Any) -> list[Any]:
        parts = array.reshape(-1, *whole)
        if biases and len(names[0]) == 1:
            parts = parts[::2]
        return [turned(part, back) for part in parts]

    members = tuple((place.node.name, name) for direction in names for name in direction)
    if any(place.shared(name) for _, name in members):
        raise place.cannot("it shares its weights with another layer")
    label = f"{place.node.name}.{names[0][0]}"
    return place.store(label, members, shape, first.dtype, pack, unpack)


def _whole(place: Place, x: str) -> str:
    return place.step("Transpose", [x], perm=(1, 0, 2)) if place.op.batch_first else x


def _last(place: Place, state: str) -> str:
    """The states at the end of all directions, side by side."""
    turned = place.step("Transpose", [state], perm=(1, 0, 2))
    shape = place.constant("shape", np.array([0, -1], np.int64))
    return place.step("Reshape", [turned, shape])


def attention(place: Place) -> None:
    """softmax(QKᵀ/√d)V, in operators of their own where there are no heads."""
    if place.rank == 4 and all(len(shape) == 4 for shape in place.shapes[:3]):
        given = {"is_causal": int(place.op.causal) or None, "scale": place.op.scale}
        return place.make("Attention", place.values(), **given)
    q, k, v, *mask = place.values()
    rank = len(place.shapes[1])
    if len({len(shape) for shape in place.shapes[:3]}) > 1:
        raise place.cannot("queries, keys and values of different numbers of axes")
    if place.op.causal:
        raise place.cannot("queries that see no later keys, without an axis of heads")
    turned = place.step("Transpose", [k], perm=(*range(rank - 2), rank - 1, rank - 2))
    (features,) = place.ints("the features", place.shapes[0][-1:])
    scale = features**-0.5 if place.op.scale is None else place.op.scale
    root = place.constant("scale", np.float32(scale))
    scores = place.step("Mul", [place.step("MatMul", [q, turned]), root])
    if mask:
        scores = place.step("Add", [scores, mask[0]])
    return place.make("MatMul", [place.step("Softmax", [scores], axis=-1), v])


def multi_head(place: Place) -> None:
    """Projections, attention in every head, a projection of the result."""
    op = place.op
    parts = place.values()
    parts = [*parts, *parts[-1:] * (3 - len(parts))]
    if not op.batch_first:
        parts = [place.step("Transpose", [x], perm=(1, 0, 2)) for x in parts]
    names = ("query", "key", "value")
    taken = [_projected(place, x, name) for x, name in zip(parts, names, strict=True)]
    made = place.main("Attention", taken, q_num_heads=op.num_heads, kv_num_heads=op.num_heads)
    made = _projected(place, made, "out")
    if not op.batch_first:
        made = place.step("Transpose", [made], perm=(1, 0, 2))
    place.copy(made, place.node.outputs[0])


def _projected(place: Place, x: str, name: str) -> str:
    made = place.step("MatMul", [x, place.weight(f"{name}_weight", turn=True)])
    if not place.op.bias:
        return made
    return place.step("Add", [made, place.weight(f"{name}_bias")])
