"""Attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT, Parameter, Shape
from netledger.ops.base import Op, need_rank, operation, show_shape
from netledger.ops.fields import flag, integer, number


@operation
class ScaledDotProductAttention(Op):
    """softmax(QKᵀ/√d)V on queries, keys and values of shape […, tokens, features].

    MACs = T_q × T_k × (d + d_v) for each head and sample; masks do not reduce them. Fewer heads of
    keys and values than of queries serve several queries each. Vaswani et al. (2017).
    """

    key = "attention"
    arity = (3, 4)
    causal: bool = flag("a query sees no later keys", default=False, silent=True)
    scale: float | None = number("factor of the scores; by default 1/√d", default=None, silent=True)

    meanings: ClassVar[Mapping[str, str]] = {
        "T_q": "queries",
        "T_k": "keys",
        "d": "features of a query and of a key",
        "d_v": "features of a value",
    }

    def check(self, *inputs: Shape) -> None:
        q, k, v = inputs[:3]
        for x in (q, k, v):
            need_rank(x, 2, None, "tokens and features")
        if q[-1] != k[-1]:
            raise ShapeError(f"queries {show_shape(q)} and keys {show_shape(k)} differ in features")
        if k[-2] != v[-2]:
            raise ShapeError(f"keys {show_shape(k)} and values {show_shape(v)} differ in tokens")
        for name, x in (("keys", k), ("values", v)):
            if not _serves(q[:-2], x[:-2]):
                raise ShapeError(
                    f"queries {show_shape(q)} and {name} {show_shape(x)} do not fit together",
                    hint="leading axes must be equal, or 1; heads may also be shared out evenly",
                )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        q, v = inputs[0], inputs[2]
        return ((*q[:-1], v[-1]),)

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        q, k, v = inputs[:3]
        return prod(q[:-1]) * k[-2] * (q[-1] + v[-1])

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        ends = (("T_q", "d"), ("T_k", "d"), ("T_k", "d_v"))
        names = tuple((*("",) * (len(x) - 2), *end) for x, end in zip(inputs, ends, strict=False))
        return names, ((*names[0][:-1], "d_v"),)


def _serves(queries: Shape, others: Shape) -> bool:
    """True if every query has a partner; the last leading axis, the heads, may be shared."""
    if len(others) > len(queries):
        return False
    pairs = zip(reversed(queries), reversed(others), strict=False)
    return all(q == k or k == 1 or (i == 0 and not q % k) for i, (q, k) in enumerate(pairs))


@operation
class MultiHeadAttention(Op):
    """Projections to queries, keys and values, attention in every head, an output projection.

    Inputs: queries [batch, tokens, features], and keys and values where they differ from them.
    With features E, h heads of size d: W = 4 × E × h·d, B = 3·h·d + E;
    MACs = T × W + 2 × h × T² × d. Vaswani et al. (2017).
    """

    arity = (1, 3)

    meanings: ClassVar[Mapping[str, str]] = {
        "T_q": "queries",
        "T_k": "keys",
        "E": "features (of a query)",
        "E_k": "features of a key, before projection",
        "E_v": "features of a value, before projection",
    }

    num_heads: int = integer("heads", "h")
    key_dim: int | None = integer("size of a head; by default features / heads", "d", default=None)
    value_dim: int | None = integer(
        "size of a head's values; by default key_dim", "d_v", default=None
    )
    out_features: int | None = integer(
        "features of the result; by default of the queries", "F", default=None
    )
    bias: bool = flag("biases in all four projections", default=True)
    batch_first: bool = flag("batch on the first axis, tokens on the second", default=True)

    def check(self, *inputs: Shape) -> None:
        for x in inputs:
            need_rank(x, 3, 3, "batch, tokens and features")
        features = inputs[0][-1]
        if self.key_dim is None and features % self.num_heads:
            raise ShapeError(
                f"{features} features cannot be shared out to {self.num_heads} heads",
                hint="num_heads must divide the features, or key_dim must be given",
            )
        _, key, value = self.three(inputs)
        if self.tokens(key) != self.tokens(value):
            raise ShapeError(
                f"keys {show_shape(key)} and values {show_shape(value)} differ in tokens"
            )

    @staticmethod
    def three(inputs: tuple[Shape, ...]) -> tuple[Shape, Shape, Shape]:
        """Queries, keys and values."""
        query, key = inputs[0], inputs[min(1, len(inputs) - 1)]
        return query, key, inputs[-1] if len(inputs) == 3 else key

    def tokens(self, x: Shape) -> Any:
        """The number of tokens."""
        return x[1] if self.batch_first else x[0]

    def widths(self, query: Shape) -> tuple[Any, Any, Any]:
        """Size of a head's keys, of its values, and features of the result."""
        key = query[-1] // self.num_heads if self.key_dim is None else self.key_dim
        value = key if self.value_dim is None else self.value_dim
        return key, value, query[-1] if self.out_features is None else self.out_features

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((*inputs[0][:-1], self.widths(inputs[0])[2]),)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        query, key, value = self.three(inputs)
        d, d_v, out = self.widths(query)
        keys, values = self.num_heads * d, self.num_heads * d_v
        found: list[Parameter] = []
        for name, rows, columns in (
            ("query", keys, query[-1]),
            ("key", keys, key[-1]),
            ("value", values, value[-1]),
            ("out", out, values),
        ):
            found.append(Parameter(f"{name}_weight", WEIGHT, (rows, columns)))
            if self.bias:
                found.append(Parameter(f"{name}_bias", BIAS, (rows,)))
        return tuple(found)

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        query, key, value = self.three(inputs)
        d, d_v, out = self.widths(query)
        t_q, t_k = self.tokens(query), self.tokens(key)
        batch = query[0] if self.batch_first else query[1]
        h = self.num_heads
        queries = t_q * query[-1] * h * d
        keys = t_k * key[-1] * h * d
        values = t_k * value[-1] * h * d_v
        attention = h * t_q * t_k * (d + d_v)
        result = t_q * h * d_v * out
        return batch * (queries + keys + values + attention + result)

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        order = slice(None) if self.batch_first else slice(None, None, -1)
        if len(set(inputs)) == 1:  # self-attention
            return ((*("", "T")[order], "E"),) * len(inputs), ()
        names = (("T_q", "E"), ("T_k", "E_k"), ("T_k", "E_v"))[: len(inputs)]
        return tuple((*("", t)[order], e) for t, e in names), ()

    def describe(self, *inputs: Shape) -> str:
        text = f"{self.num_heads} heads of {self.widths(inputs[0])[0]}"
        return text if self.bias else f"{text}, no bias"
