"""Matrix products, embeddings and attention against PyTorch."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from netledger.ops import (
    Einsum,
    Embedding,
    Linear,
    MatMul,
    MultiHeadAttention,
    ScaledDotProductAttention,
)

pytestmark = pytest.mark.oracle


def sizes(rng: random.Random, count: int, most: int = 6) -> tuple[int, ...]:
    return tuple(rng.randint(1, most) for _ in range(count))


def stretched(rng: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Some shape that broadcasts to `shape`; now and then one that does not."""
    shape = shape[rng.randint(0, len(shape)) :]
    wrong = rng.random() < 0.1
    return tuple(d + 1 if wrong and rng.random() < 0.5 else rng.choice((1, d, d, d)) for d in shape)


def test_linear(oracle: Any) -> None:
    for rng in oracle.random("linear", 300):
        shape, out, bias = sizes(rng, rng.randint(2, 5)), rng.randint(1, 9), rng.random() < 0.5
        oracle.compare(
            Linear(out, bias=bias),
            (shape,),
            lambda i=shape[-1], o=out, b=bias: oracle.torch.nn.Linear(i, o, bias=b),
        )
    oracle.both_sides(300)  # features are taken from the input: there is nothing to refuse


def test_embedding(oracle: Any) -> None:
    for rng in oracle.random("embedding", 150):
        rows, width = rng.randint(1, 50), rng.randint(1, 9)
        oracle.compare(
            Embedding(rows, width),
            (sizes(rng, rng.randint(1, 3)),),
            lambda r=rows, w=width: oracle.torch.nn.Embedding(r, w),
            dtype=oracle.torch.int64,
        )
    oracle.both_sides(150)


def test_matmul(oracle: Any) -> None:
    for rng in oracle.random("matmul", 500):
        lead, (m, k, n) = sizes(rng, rng.randint(0, 3), 4), sizes(rng, 3)
        k2 = k + 1 if rng.random() < 0.1 else k
        shapes = ((*stretched(rng, lead), m, k), (*stretched(rng, lead), k2, n))
        oracle.compare(MatMul(), shapes, lambda: oracle.torch.matmul)
    oracle.both_sides(350, 40)


def equation(rng: random.Random, operands: int) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """Letters and shapes of an einsum in which every index that is summed over is shared.

    (PyTorch first sums away an index that only one operand has, and so multiplies less.)
    """
    size = dict(zip("abcdefg", rng.sample(range(2, 9), 7), strict=True))
    terms = ["".join(rng.sample("abcdefg", rng.randint(1, 4))) for _ in range(operands)]
    once = [c for c in sorted({*"".join(terms)}) if sum(c in t for t in terms) == 1]
    shared = [c for c in sorted({*"".join(terms)}) if c not in once and rng.random() < 0.4]
    out = [*once, *shared]
    rng.shuffle(out)
    shapes = tuple(tuple(size[c] for c in t) for t in terms)
    return f"{','.join(terms)}->{''.join(out)}", shapes


def test_einsum(oracle: Any) -> None:
    for rng in oracle.random("einsum", 400):
        text, shapes = equation(rng, rng.choice((1, 2, 2, 2, 3, 3, 4)))
        if rng.random() < 0.1:  # one size that does not agree, or one axis too many
            first = shapes[0]
            first = (first[0] + 20, *first[1:]) if rng.random() < 0.5 else (*first, 2)
            shapes = (first, *shapes[1:])
        with oracle.torch.backends.opt_einsum.flags(enabled=False):  # from left to right
            oracle.compare(
                Einsum(text), shapes, lambda t=text: lambda *x: oracle.torch.einsum(t, *x)
            )
    oracle.both_sides(300, 20)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ij,jk", ((2, 3), (3, 4))),
        ("ba,ca", ((2, 3), (4, 3))),
        ("ij->ji", ((2, 3),)),
        ("ii->i", ((3, 3),)),
        ("ii", ((3, 3),)),
        ("i,i->", ((5,), (5,))),
        ("a,b->ab", ((5,), (4,))),
        ("bqd, bkd -> bqk", ((2, 3, 4), (2, 5, 4))),
        ("ab,ab->ab", ((2, 3), (2, 3))),
        ("ab->aa", ((2, 3),)),  # refused: an index twice in the output
        ("ab->abc", ((2, 3),)),  # refused: an index of no input
        ("ii->i", ((3, 4),)),  # refused: an index of two sizes
    ],
)
def test_einsum_corners(oracle: Any, text: str, shapes: Any) -> None:
    oracle.compare(Einsum(text), shapes, lambda: lambda *x: oracle.torch.einsum(text, *x))


def test_scaled_dot_product_attention(oracle: Any) -> None:
    attend = oracle.torch.nn.functional.scaled_dot_product_attention
    for rng in oracle.random("sdpa", 400):
        lead = sizes(rng, rng.randint(0, 2), 3)
        queries, keys, d, d_v = sizes(rng, 4)
        heads = kv_heads = sizes(rng, rng.randint(0, 1)) if lead else ()
        grouped = bool(heads) and len(lead) == 1 and rng.random() < 0.5
        if grouped:
            heads = (kv_heads[0] * rng.randint(1, 3) + (rng.random() < 0.1),)
        d2 = d + 1 if rng.random() < 0.05 else d
        t2 = keys + 1 if rng.random() < 0.05 else keys
        shapes = (
            (*lead, *heads, queries, d),
            (*lead, *kv_heads, keys, d2),
            (*lead, *kv_heads, t2, d_v),
        )

        def make(g: bool = grouped) -> Any:
            return lambda q, k, v: attend(q, k, v, enable_gqa=g)

        oracle.compare(ScaledDotProductAttention(), shapes, make)
    oracle.both_sides(300, 20)


def test_attention_of_other_batches(oracle: Any) -> None:
    attend = oracle.torch.nn.functional.scaled_dot_product_attention
    q = (2, 4, 5, 8)
    for other in ((2, 4), (1, 4), (2, 1), (4,), (), (3, 4)):
        shape = (*other, 6, 8)
        oracle.compare(ScaledDotProductAttention(), (q, shape, shape), lambda: attend)
    oracle.both_sides(5, 1)


def attend(forward: Any, q: Any, k: Any = None, v: Any = None) -> Any:
    """The result only; keys and values are the queries where they are not given."""
    return forward(q, q if k is None else k, q if v is None else v, need_weights=False)[0]


def test_multi_head_attention(oracle: Any) -> None:
    for rng in oracle.random("mha", 300):
        heads, d, batch, queries, keys = sizes(rng, 5)
        features = heads * d + (rng.random() < 0.1)
        bias, first = rng.random() < 0.7, rng.random() < 0.5
        widths: dict[str, int] = {}
        count = rng.choice((1, 3))
        shapes = [(batch, queries, features)]
        if count == 3:
            if rng.random() < 0.7:
                widths = {"kdim": rng.randint(1, 9), "vdim": rng.randint(1, 9)}
            k, v = widths.get("kdim", features), widths.get("vdim", features)
            t2 = keys + (rng.random() < 0.1)
            shapes += [(batch, keys, k), (batch, t2, v)]
        if not first:
            shapes = [(t, b, f) for b, t, f in shapes]

        def make(
            e: int = features, h: int = heads, b: bool = bias, f: bool = first, w: Any = widths
        ) -> Any:
            m = oracle.torch.nn.MultiheadAttention(e, h, bias=b, batch_first=f, **w)
            m.forward = partial(attend, m.forward)
            return m

        oracle.compare(
            MultiHeadAttention(heads, bias=bias, batch_first=first),
            tuple(shapes),
            make,
            split_rows=("in_proj_weight", "in_proj_bias"),
        )
    oracle.both_sides(220, 20)
