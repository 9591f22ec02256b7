"""The table of attention layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from netledger.errors import FieldError
from netledger.ops import (
    Einsum,
    Linear,
    MultiHeadAttention,
    Opaque,
    Permute,
    Reshape,
    ScaledDotProductAttention,
    Tensor,
)
from netledger.readers.keras.adapters import adapted, has_adapter
from netledger.readers.keras.call import (
    FLAT,
    HEADS_IN,
    HEADS_OUT,
    SCALE,
    VECTOR,
    Call,
    LayerRule,
    group_of,
)
from netledger.readers.keras.layers import biased

Heads = tuple[int, int]
"""How many heads there are, and the size of each."""
_PARTS = ("query", "key", "value")
_GROUPS = (*_PARTS, "output", "attention_output")
"""The words with which the groups of what is stored begin."""


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
    feeds = _feeds(call)
    query, key, value = feeds
    if has_adapter(call):
        keys = (op.num_heads, c.integer("key_dim"))
        values = (op.num_heads, c.integer("value_dim", keys[1]))
        projected = {"query": keys, "key": keys, "value": values}
        made = [_apart(call, feeds, projected, shape[-1] if out is None else out)]
        return made
    if query == key == value:
        feeds = [query]
    elif key == value:
        feeds = [query, key]
    biases = (FLAT,) * bias
    slots = ((HEADS_IN, *biases) * 3) + (HEADS_OUT, *(VECTOR,) * bias)
    made = [call.add(op, *feeds, slots=slots)]
    if call.inbound.options.get("return_attention_scores") is True:
        made.append(_scores(call, op, query, key))
    return made


def _scores(call: Call, op: MultiHeadAttention, query: str, key: str) -> str:
    """How much each token attends to each other, which the attention itself has counted."""
    shapes = call.reading.shapes
    shape = (shapes[query][0], op.num_heads, shapes[query][1], shapes[key][1])
    reason = "no multiply-accumulates of its own, nothing stored"
    value = call.add(Opaque("AttentionScores", [shape], reason), query, key, part="scores")
    call.reading.keep(len(call.reading.nodes) - 1, (), call.path, 0)
    return value


def _feeds(call: Call) -> list[str]:
    """The queries, keys and values of attention with weights; its stored tensors in that order."""
    call.sort(*_GROUPS)
    named = call.inbound.options
    given = (*call.inputs, *call.inputs[-1:])
    query, value = named.get("query", given[0]), named.get("value", given[1])
    key = named.get("key") or (given[2] if len(call.inputs) > 2 else value)
    return [str(query), str(key), str(value)]


def grouped_query(call: Call) -> list[str]:
    """``GroupQueryAttention``: fewer heads of keys and values than of queries."""
    c = call.config
    if c.get("use_gate"):
        return call.opaque("no rule describes attention with a gate")
    size = c.integer("head_dim")
    heads, shared = c.integer("num_query_heads"), c.integer("num_key_value_heads")
    projected = {"query": (heads, size), "key": (shared, size), "value": (shared, size)}
    return [_apart(call, _feeds(call), projected, call.shape[-1])]


def _apart(call: Call, feeds: list[str], projected: Mapping[str, Heads], out: Any) -> str:
    """Attention as its parts: three projections to heads, the products, the way back."""
    parts = [
        _heads(call, part, fed, projected[part]) for part, fed in zip(_PARTS, feeds, strict=True)
    ]
    made = call.add(ScaledDotProductAttention(), *parts)
    turned = call.add(Permute((0, 2, 1, 3)), made, part="turned")
    inner, bias = _part(call, "output", turned), call.config.flag("use_bias", True)
    kernel = adapted(inner)
    if kernel is not None:
        made = inner.add(Einsum("abcd,cde->abe"), turned, kernel)
        return biased(inner, made, [out]) if bias else made
    shape = call.reading.shapes[turned]
    joined = call.add(Reshape([shape[1], prod(shape[2:])]), turned, part="joined")
    return inner.add(Linear(out, bias=bias), joined, slots=(HEADS_OUT, VECTOR)[: 1 + bias])


def _heads(call: Call, part: str, fed: str, heads: Heads) -> str:
    """A projection to heads, their axis in front of that of the tokens."""
    inner, bias = _part(call, part, fed), call.config.flag("use_bias", True)
    kernel = adapted(inner)
    if kernel is not None:
        split = inner.add(Einsum("abc,cde->abde"), fed, kernel)
        split = biased(inner, split, [*heads]) if bias else split
    else:
        slots = (HEADS_IN, FLAT)[: 1 + bias]
        made = inner.add(Linear(prod(heads), bias=bias), fed, slots=slots)
        split = inner.add(Reshape([call.reading.shapes[made][1], *heads]), made, part="heads")
    return inner.add(Permute((0, 2, 1, 3)), split, part="turned")


def _part(call: Call, part: str, fed: str) -> Call:
    """One of the layers inside, with what is stored of it."""
    inner = call.on(fed, part=part)
    if call.stored is not None:
        own = [one for one in call.stored if part in group_of(one.path, _GROUPS)]
        inner.stored, call.stored = own, [one for one in call.stored if one not in own]
    return inner


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


ATTENTION: dict[str, LayerRule] = {
    "MultiHeadAttention": multi_head,
    **dict.fromkeys(("GroupedQueryAttention", "GroupQueryAttention"), grouped_query),
    "Attention": attention,
    "AdditiveAttention": attention,
}
