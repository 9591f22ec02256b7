"""Matrix products: fully connected layers, embeddings, products of two tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.formula import prod
from netledger.graph import BIAS, WEIGHT, Parameter, Shape, show_dim
from netledger.ops.base import ALL, Op, need_rank, operation, show_shape
from netledger.ops.fields import flag, integer, text
from netledger.ops.pointwise import broadcast


@operation
class Linear(Op):
    """A fully connected (dense) layer, applied at every position of the leading axes.

    W = F₋₁ × F; B = F; MACs = W for each position.
    """

    out_features: int = integer("neurons", "F")
    bias: bool = flag("a bias per neuron", default=True)

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 2, None, "a batch and features")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((*inputs[0][:-1], self.out_features),)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        weight = Parameter("weight", WEIGHT, (self.out_features, inputs[0][-1]))
        if not self.bias:
            return (weight,)
        return (weight, Parameter("bias", BIAS, (self.out_features,)))

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        return prod(inputs[0]) * self.out_features

    def window(self, *inputs: Shape) -> Any:
        return ALL if len(inputs[0]) == 2 else ()

    def axes(self, *inputs: Shape) -> Any:
        middle = ("T",) * (len(inputs[0]) - 2)
        return (("", *middle, "F₋₁"),), (("", *middle, "F"),)

    def describe(self, *inputs: Shape) -> str:
        *positions, features = inputs[0][1:]
        fed = f"{features:,}" if isinstance(features, int) else show_dim(features)
        text = f"{self.out_features:,} neurons, each fed by {fed}"
        if positions:
            text += f", at each of {'×'.join(map(show_dim, positions))} positions"
        return text if self.bias else f"{text}, no bias"


@operation
class Embedding(Op):
    """A table of vectors, looked up by index; no multiplication is needed."""

    num_embeddings: int = integer("rows of the table (the vocabulary)", "V")
    embedding_dim: int = integer("length of a vector", "D")
    to: str = text("dtype of the vectors", default="float32")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((*inputs[0], self.embedding_dim),)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return (Parameter("weight", WEIGHT, (self.num_embeddings, self.embedding_dim)),)

    def dtype(self, *inputs: str) -> str:
        return self.to

    def describe(self, *inputs: Shape) -> str:
        return f"a table of {self.num_embeddings:,} vectors of {self.embedding_dim:,}"


@operation
class MatMul(Op):
    """The product of two tensors over their last two axes; leading axes broadcast.

    MACs = M × K × N for each matrix. NumPy, ``numpy.matmul``.
    """

    arity = (2, 2)

    meanings: ClassVar[Mapping[str, str]] = {
        "M": "rows of the first tensor",
        "K": "its columns, which meet the rows of the second",
        "N": "columns of the second tensor",
    }

    def check(self, *inputs: Shape) -> None:
        for x in inputs:
            need_rank(x, 2, None, "rows and columns")
        a, b = inputs
        if a[-1] != b[-2]:
            raise ShapeError(
                f"cannot multiply {show_shape(a)} by {show_shape(b)}: "
                f"{show_dim(a[-1])} columns meet {show_dim(b[-2])} rows",
                hint="the last axis of the first must equal the last but one of the second",
            )
        broadcast(a[:-2], b[:-2])

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        a, b = inputs
        return ((*broadcast(a[:-2], b[:-2]), a[-2], b[-1]),)

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        return prod(outputs[0]) * inputs[0][-1]

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        a, b = (
            (*("",) * (len(x) - 2), *names) for x, names in zip(inputs, ("MK", "KN"), strict=True)
        )
        return (a, b), ()


@operation
class GroupedMatMul(Op):
    """Rows times matrices, where each row meets one matrix of a stack: chosen experts.

    Which row meets which matrix depends on the data; how much is multiplied does not.
    MACs = M × K × N. ``torch._grouped_mm``.
    """

    arity = (2, 3)

    meanings: ClassVar[Mapping[str, str]] = {
        "M": "rows of the first tensor",
        "K": "its columns, which meet the rows of a matrix",
        "E": "matrices of the stack",
        "N": "columns of a matrix",
    }

    def check(self, *inputs: Shape) -> None:
        need_rank(inputs[0], 2, 2, "rows and columns")
        need_rank(inputs[1], 3, 3, "matrices, rows and columns")
        a, b = inputs[:2]
        if a[-1] != b[-2]:
            raise ShapeError(
                f"cannot multiply {show_shape(a)} by one of {show_shape(b)}: "
                f"{show_dim(a[-1])} columns meet {show_dim(b[-2])} rows",
                hint="the last axis of the first must equal the last but one of the second",
            )

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        a, b = inputs[:2]
        return ((a[0], b[-1]),)

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        return prod(outputs[0]) * inputs[0][-1]

    def window(self, *inputs: Shape) -> None:
        return None

    def axes(self, *inputs: Shape) -> Any:
        return (("M", "K"), ("E", "K", "N"), *(("",) * len(x) for x in inputs[2:])), ()


def spelled_out(equation: str, ranks: Sequence[int]) -> str:
    """The equation with letters for the axes that "..." stands for, in tensors of these ranks."""
    if "..." not in equation:
        return equation
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    counts = [
        rank - len(part.replace("...", "")) if "..." in part else 0
        for part, rank in zip(parts, ranks, strict=False)
    ]
    rest = free[: max(counts, default=0)]
    named = [
        part.replace("...", "".join(rest[len(rest) - count :]))
        for part, count in zip(parts, counts, strict=False)
    ]
    if not arrow:
        once = sorted(c for c in set(left) - {",", "."} if left.count(c) == 1)
        right = "..." + "".join(once)
    return f"{','.join(named)}->{right.replace('...', ''.join(rest))}"


@operation
class Einsum(Op):
    """A sum of products by index letters, ``bqd,bkd->bqk``.

    If an index is summed over, MACs = the product of all sizes of the letters; operands beyond two
    are multiplied in from left to right.
    """

    arity = (1, None)
    equation: str = text("letters of the inputs, an arrow, letters of the output")

    def terms(self, count: int) -> tuple[list[str], str]:
        """The letters of each input and of the output."""
        equation = self.equation.replace(" ", "")
        if not re.fullmatch(r"[A-Za-z]*(,[A-Za-z]*)*(->[A-Za-z]*)?", equation):
            raise ShapeError(
                f"cannot read the equation {self.equation!r}",
                hint="write letters only, for instance 'bqd,bkd->bqk' (no '...')",
            )
        left, arrow, right = equation.partition("->")
        ins = left.split(",")
        if len(ins) != count:
            raise ShapeError(f"{self.equation!r} is for {len(ins)} inputs; there are {count}")
        if not arrow:
            right = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
        return ins, right

    def check(self, *inputs: Shape) -> None:
        ins, out = self.terms(len(inputs))
        sizes: dict[str, Any] = {}
        for letters, x in zip(ins, inputs, strict=True):
            if len(letters) != len(x):
                raise ShapeError(f"{letters!r} has {len(letters)} letters for {show_shape(x)}")
            for letter, size in zip(letters, x, strict=True):
                if sizes.setdefault(letter, size) != size:
                    raise ShapeError(
                        f"{letter!r} is both {show_dim(sizes[letter])} and {show_dim(size)}",
                        hint="an index has one size everywhere",
                    )
        for letter in out:
            if letter not in sizes:
                raise ShapeError(f"the output's {letter!r} is not an index of any input")
            if out.count(letter) > 1:
                raise ShapeError(f"the output has the index {letter!r} more than once")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        ins, out = self.terms(len(inputs))
        sizes = self.sizes(ins, inputs)
        return (tuple(sizes[letter] for letter in out),)

    @staticmethod
    def sizes(ins: list[str], inputs: tuple[Shape, ...]) -> dict[str, Any]:
        """The size of each index."""
        pairs = zip(ins, inputs, strict=True)
        return {letter: d for letters, x in pairs for letter, d in zip(letters, x, strict=True)}

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Any:
        ins, out = self.terms(len(inputs))
        sizes = self.sizes(ins, inputs)
        total: Any = 0
        left = ins[0]
        for i, right in enumerate(ins[1:], start=2):
            both = dict.fromkeys(left + right)
            kept = set(out).union(*ins[i:])
            if any(letter not in kept for letter in both):  # something is summed over
                total = total + prod(sizes[letter] for letter in both)
            left = "".join(letter for letter in both if letter in kept)
        return total

    def window(self, *inputs: Shape) -> None:
        return None

    def describe(self, *inputs: Shape) -> str:
        return self.equation
