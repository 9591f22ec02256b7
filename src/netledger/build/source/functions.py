"""What PyTorch, Keras and JAX say in the same words, but for the name of a function."""

from __future__ import annotations

from functools import reduce
from typing import Any

from netledger.build.source.expression import Items, Raw, call, literal
from netledger.build.source.kinds import Written
from netledger.build.source.plan import Site, Writer
from netledger.ops.base import each_axis


def inline(function: str, *args: Any, **named: Any) -> Written:
    """A function of the inputs."""
    return Written(inline=lambda x: call(function, *map(Raw, x), *args, **named))


def simple(function: str) -> Writer:
    """A function of all inputs, without anything else."""
    return lambda site: inline(function)


def operands(op: Any, x: tuple[str, ...]) -> list[str]:
    """The tensors of an operation, and the number that it takes besides."""
    if op.constant is None:
        return list(x)
    number = literal(op.constant)
    return [f"({number})" if op.constant < 0 else number, *x] if op.reverse else [*x, number]


def chained(sign: str) -> Writer:
    """Tensors with a sign between them: ``x + y``."""
    return lambda site: Written(inline=lambda x: Raw(sign.join(operands(site.op, x))))


def folded(function: str) -> Writer:
    """A function of two tensors, over as many as there are."""

    def write(site: Site) -> Written:
        def fold(x: tuple[str, ...]) -> Any:
            values: list[Any] = [Raw(part) for part in operands(site.op, x)]
            return reduce(lambda so_far, other: call(function, so_far, other), values)

        return Written(inline=fold)

    return write


def average(site: Site) -> Written:
    """The mean of some tensors."""
    return Written(inline=lambda x: Raw(f"({' + '.join(x)}) / {len(x)}"))


def listed(x: tuple[str, ...]) -> Any:
    """Tensors as a list; ``*name`` is a list already."""
    if len(x) == 1 and x[0].startswith("*"):
        return Raw(x[0][1:])
    return Items(tuple(map(Raw, x)))


def joined(function: str, axis: str = "axis") -> Writer:
    """A function of a list of tensors along an axis, which the framework calls `axis`."""

    def write(site: Site) -> Written:
        along = {axis: site.op.axis}
        return Written(inline=lambda x: call(function, listed(x), **along))

    return write


def sliced(site: Site) -> Written:
    """Python's own slices."""
    op = site.op
    parts = [":"] * (op.axis % site.rank + 1)
    stop = "" if op.stop is None else str(op.stop)
    parts[-1] = f"{op.start or ''}:{stop}" + (f":{op.step}" if op.step != 1 else "")
    inside = ", ".join(parts)
    return Written(inline=lambda x: Raw(f"{x[0]}[{inside}]"))


def indexed(site: Site) -> Written | None:
    """Python's own indexing, by one number or by a tensor of numbers."""
    op = site.op
    before = ":, " * (op.axis % site.rank)
    if len(site.node.inputs) == 2:
        return Written(inline=lambda x: Raw(f"{x[0]}[{before}{x[1]}]"))
    if op.shape or not isinstance(op.index, int):
        return None
    return Written(inline=lambda x: Raw(f"{x[0]}[{before}{op.index}]"))


def taken(function: str) -> Writer:
    """A function that takes entries of an axis by number: one of them is Python's own index."""

    def write(site: Site) -> Written | None:
        axis = site.op.axis % site.rank
        many = len(site.node.inputs) == 2
        return inline(function, axis=axis) if many else indexed(site)

    return write


def along(function: str) -> Writer:
    """A function that takes a number along an axis for each index."""
    return lambda site: inline(function, axis=site.op.axis)


def looks_up(site: Site) -> bool:
    """Whether entries of the first axis alone are chosen."""
    return each_axis(site.op.over, 1) in ((0,), (-site.rank,))


def looked_up(site: Site) -> Written | None:
    """Rows of a table, by a tensor of their numbers."""
    if not looks_up(site):
        return None
    return Written(inline=lambda x: Raw(f"{x[0]}[{x[1]}]"))


def where(function: str) -> Writer:
    """One of two tensors, as a third one says."""
    # Of fewer than three inputs, the other number is not kept.
    return lambda site: inline(function) if len(site.node.inputs) == 3 else None


def einsum(function: str) -> Writer:
    """A sum over letters; `Einsum.terms` has checked that the equation is nothing else."""

    def write(site: Site) -> Written:
        ins, out = site.op.terms(len(site.node.inputs))
        equation = f"{','.join(ins)}->{out}"
        if len(set(equation.lower())) == len(set(equation)):
            equation = equation.lower()  # Keras reads no others
        return Written(inline=lambda x: call(function, equation, *map(Raw, x)))

    return write


def attends(site: Site) -> bool:
    """Whether attention is that of queries to as many heads of keys, without a mask."""
    same = site.row.input_types[1].shape[:-2] == site.shape[:-2]
    return len(site.node.inputs) == 3 and bool(same)


def attention(softmax: str, turned: str) -> Writer:
    """Softmax of the scores, times the values; `turned` says how the keys are transposed."""

    def write(site: Site) -> Written | None:
        if not attends(site) or site.op.causal:
            return None
        scale = site.op.scale
        scaling = f" / {site.shape[-1]}**0.5" if scale is None else f" * {scale!r}"

        def weighted(x: tuple[str, ...]) -> Raw:
            query, keys, values = x
            return Raw(f"{softmax}({query} @ {turned.format(keys)}{scaling}) @ {values}")

        return Written(inline=weighted)

    return write


def slices(site: Site) -> tuple[int, ...]:
    """Where the parts of a split begin, but for the first."""
    parts = site.op.parts(site.shape[site.op.axis % site.rank])
    return tuple(sum(parts[:i]) for i in range(1, len(parts)))
