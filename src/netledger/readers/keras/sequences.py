"""The table of layers for sequences: recurrent ones; attention has a table of its own."""

from __future__ import annotations

import re
from typing import Any

from netledger.errors import FieldError
from netledger.ops import (
    GRU,
    LSTM,
    RNN,
    Add,
    Average,
    Concat,
    ConvLSTM,
    Multiply,
    Reshape,
)
from netledger.readers.keras.attention import ATTENTION
from netledger.readers.keras.call import (
    KERNEL,
    TWO_VECTORS,
    VECTOR,
    Call,
    Config,
    LayerRule,
    Slots,
)
from netledger.readers.keras.config import layer_config, text
from netledger.readers.keras.layers import window
from netledger.readers.keras.shaping import numbered

_CELLS: dict[str, tuple[type[Any], int]] = {
    "SimpleRNN": (RNN, 1),
    "LSTM": (LSTM, 1),
    "GRU": (GRU, 1),
    "CuDNNLSTM": (LSTM, 2),
    "CuDNNGRU": (GRU, 2),
}


MOST_CELLS = 100
_SNAKE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def recurrent(call: Call) -> list[str]:
    """``SimpleRNN``, ``LSTM``, ``GRU``, and ``RNN`` with the cell of one of them."""
    cells = _stack(call) if call.kind == "RNN" else []
    if cells:
        return _stacked(call, cells)
    cell = _cell(call)
    if cell is None:
        return call.opaque("no rule describes this cell")
    fields, slots = cell
    op_class = fields.pop("op_class")
    states = op_class.states if call.config.flag("return_state", False) else 0
    value = call.add(op_class(**fields), slots=slots, outputs=1 + states)
    return [value, *_states(call, value, states)]


def _states(call: Call, value: str, states: int, part: str = "") -> list[str]:
    """The states without the axis of layers, which Keras does not have."""
    made = []
    for i in range(1, states + 1):
        of = f"{value}:{i}"
        batch, size = call.reading.shapes[of][1:]
        op = Reshape([batch, size], keep_batch=False)
        made.append(call.add(op, of, part=f"{part}state{i}"))
    return made


def _stack(call: Call) -> list[Any]:
    """The cells of ``RNN(StackedRNNCells(…))``; none for another cell."""
    cell = call.config.get("cell")
    if not isinstance(cell, dict) or cell.get("class_name") != "StackedRNNCells":
        return []
    cells = layer_config(cell).get("cells")
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise FieldError(f"cells must be at most {MOST_CELLS} layers; got {str(cells)[:80]!r}")
    return cells


def _stacked(call: Call, cells: list[Any]) -> list[str]:
    """An operation for each cell, fed by the one before."""
    known = [_cell(call, cell) for cell in cells]
    if call.config.flag("return_state", False) or None in known:
        return call.opaque("no rule describes these cells")
    if call.stored and call.stored[0].path.startswith("cell/cells/"):
        _in_order(call, cells)
    value = call.first
    for i, (fields, slots) in enumerate(filter(None, known)):
        op_class = fields.pop("op_class")
        fields["return_sequences"] |= i + 1 < len(known)
        value = call.add(op_class(**fields), value, part=f"cell{i + 1}", slots=slots)
    return [value]


def _in_order(call: Call, cells: list[Any]) -> None:
    """Sorts what ``.keras`` files store by kind of cell: ``gru_cell``, ``lstm_cell_1``."""
    kinds = [_SNAKE.sub("_", text(cell, "class_name")).lower() for cell in cells]
    before = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
    call.sort(*[f"{kind}_{n}" if n else kind for kind, n in zip(kinds, before, strict=True)])


def _cell(call: Call, cell: Any = None) -> tuple[dict[str, Any], Slots] | None:
    """What operation a recurrent layer is, and how it is stored; None for a cell not known."""
    kind, config = call.kind, call.config
    if kind == "RNN":
        cell = cell or config.get("cell")
        if not isinstance(cell, dict):
            raise FieldError(f"cell must be a layer; got {str(cell)[:80]!r}")
        kind = text(cell, "class_name").removesuffix("Cell")
        config = Config(layer_config(cell))
    if kind not in _CELLS:
        return None
    op_class, vectors = _CELLS[kind]
    bias = config.flag("use_bias", True)
    if kind == "GRU" and config.flag("reset_after", False):
        vectors = 2
    fields = {
        "op_class": op_class,
        "hidden_size": config.get("units"),
        "bias": bias,
        "bias_vectors": vectors,
        "return_sequences": call.config.flag("return_sequences", False),
        "batch_first": not call.config.flag("time_major", False),
    }
    slots = (KERNEL, KERNEL, VECTOR if vectors == 1 else TWO_VECTORS)[: 2 + bias]
    return fields, slots


def conv_lstm(call: Call) -> list[str]:
    """``ConvLSTM1D`` to ``ConvLSTM3D``."""
    c, bias = call.config, call.config.flag("use_bias", True)
    op = ConvLSTM(
        c.get("filters"),
        bias=bias,
        return_sequences=c.flag("return_sequences", False),
        **window(call),
    )
    states = 2 if c.flag("return_state", False) else 0
    slots = (KERNEL, KERNEL, VECTOR)[: 2 + bias]
    value = call.add(op, slots=slots, outputs=1 + states)
    return [value, *(f"{value}:{i}" for i in range(1, 1 + states))]


def bidirectional(call: Call) -> list[str]:
    """``Bidirectional``: one operation where both results are joined, two where they are summed."""
    inner, _ = call.wrapped("layer")
    mode = call.config.get("merge_mode")
    call.sort("forward", "backward")
    inner.stored = call.stored
    cell = _cell(inner)
    if cell is None:
        return call.opaque("no rule describes this cell")
    fields, slots = cell
    op_class = fields.pop("op_class")
    if mode == "concat" and not inner.config.flag("return_state", False):
        return [call.add(op_class(**fields, bidirectional=True), slots=slots * 2)]
    made: list[list[str]] = []
    states = op_class.states if inner.config.flag("return_state", False) else 0
    for part in ("forward", "backward"):
        value = call.add(op_class(**fields), call.first, part=part, slots=slots, outputs=1 + states)
        made.append([value, *_states(call, value, states, f"{part}.")])
    ends = [made[0][0], made[1][0]]
    merge = {"concat": Concat, "sum": Add, "mul": Multiply, "ave": Average}
    if mode is None:
        return [*ends, *made[0][1:], *made[1][1:]]
    if not isinstance(mode, str) or mode not in merge:
        raise FieldError(f"merge_mode must be one of {list(merge)}; got {str(mode)[:40]!r}")
    return [call.add(merge[mode](), *ends), *made[0][1:], *made[1][1:]]


SEQUENCES: dict[str, LayerRule] = {
    **dict.fromkeys((*_CELLS, "RNN"), recurrent),
    **numbered("ConvLSTM{}D", conv_lstm),
    "Bidirectional": bidirectional,
    **ATTENTION,
}
