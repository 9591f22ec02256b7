"""The table of layers for sequences: recurrent ones, attention."""

from __future__ import annotations

from typing import Any

from netledger.errors import FieldError
from netledger.ops import (
    GRU,
    LSTM,
    RNN,
    Add,
    Average,
    Concat,
    MultiHeadAttention,
    Multiply,
    Opaque,
    Reshape,
    ScaledDotProductAttention,
    Tensor,
)
from netledger.readers.keras.call import (
    FLAT,
    HEADS_IN,
    HEADS_OUT,
    KERNEL,
    SCALE,
    TWO_VECTORS,
    VECTOR,
    Call,
    Config,
    LayerRule,
    Slots,
)
from netledger.readers.keras.config import layer_config, text

_CELLS: dict[str, tuple[type[Any], int]] = {
    "SimpleRNN": (RNN, 1),
    "LSTM": (LSTM, 1),
    "GRU": (GRU, 1),
    "CuDNNLSTM": (LSTM, 2),
    "CuDNNGRU": (GRU, 2),
}


def recurrent(call: Call) -> list[str]:
    """``SimpleRNN``, ``LSTM``, ``GRU``, and ``RNN`` with the cell of one of them."""
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


def _cell(call: Call) -> tuple[dict[str, Any], Slots] | None:
    """What operation a recurrent layer is, and how it is stored; None for a cell not known."""
    kind, config = call.kind, call.config
    if kind == "RNN":
        cell = config.get("cell")
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


def multi_head(call: Call) -> list[str]:
    """``MultiHeadAttention`` over the tokens of [batch, tokens, features]."""
    c, shape = call.config, call.shape
    axes = c.get("attention_axes")
    if len(shape) != 3 or axes not in (None, 1, [1]) or c.get("use_gate"):
        return call.opaque("no rule describes attention with a gate, or not over tokens")
    bias = c.flag("use_bias", True)
    said = c.get("output_shape")
    out = said[0] if isinstance(said, list) and len(said) == 1 else said
    op = MultiHeadAttention(
        num_heads=c.get("num_heads"),
        key_dim=c.get("key_dim"),
        value_dim=c.get("value_dim"),
        out_features=out,
        bias=bias,
    )
    call.sort("query", "key", "value", "output", "attention_output")
    named = call.inbound.options
    given = (*call.inputs, *call.inputs[-1:])
    query, value = named.get("query", given[0]), named.get("value", given[1])
    key = named.get("key") or (given[2] if len(call.inputs) > 2 else value)
    feeds = [query, key, value]
    if query == key == value:
        feeds = [query]
    elif key == value:
        feeds = [query, key]
    biases = (FLAT,) * bias
    slots = ((HEADS_IN, *biases) * 3) + (HEADS_OUT, *(VECTOR,) * bias)
    made = [call.add(op, *map(str, feeds), slots=slots)]
    if named.get("return_attention_scores") is True:
        made.append(_scores(call, op, str(query), str(key)))
    return made


def _scores(call: Call, op: MultiHeadAttention, query: str, key: str) -> str:
    """How much each token attends to each other, which the attention itself has counted."""
    shapes = call.reading.shapes
    shape = (shapes[query][0], op.num_heads, shapes[query][1], shapes[key][1])
    reason = "no multiply-accumulates of its own, nothing stored"
    value = call.add(Opaque("AttentionScores", [shape], reason), query, key, part="scores")
    call.reading.keep(len(call.reading.nodes) - 1, (), 0)
    return value


def attention(call: Call) -> str:
    """``Attention`` and ``AdditiveAttention`` on [query, value] or [query, value, key]."""
    if len(call.inputs) < 2:
        raise FieldError(f"{call.kind} takes a query and a value; got {len(call.inputs)}")
    query, value = call.inputs[:2]
    key = call.inputs[2] if len(call.inputs) > 2 else value
    additive = call.kind == "AdditiveAttention"
    if call.config.flag("use_scale", additive):
        shape = [call.shape[-1]] if additive else []
        call.add(Tensor(shape), part="scale", slots=(SCALE,))
    if call.config.text("score_mode", "dot") == "concat":
        call.add(Tensor([]), part="concat_score_weight", slots=(SCALE,))
    return call.add(ScaledDotProductAttention(), query, key, value)


SEQUENCES: dict[str, LayerRule] = {
    **dict.fromkeys((*_CELLS, "RNN"), recurrent),
    "Bidirectional": bidirectional,
    "MultiHeadAttention": multi_head,
    "Attention": attention,
    "AdditiveAttention": attention,
}
