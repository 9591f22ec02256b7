"""Two traces of one function, at two batch sizes, read as one: sizes that differ hold the batch.

A trace (a jaxpr) knows numbers only. Where a size is 4 in the trace at batch 2 and 6 in the trace
at batch 3, it is 2N.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

from netledger.formula.simplify import simplify
from netledger.graph import BATCH, Shape

SIZES = (2, 3)
"""The batch sizes of the two traces."""

_TOKEN = re.compile(r"nl<(\d+)\|([^|>]*)\|([^|>]*)\|([^|>]*)>")
_FUNCTIONS = "jax/_src/nn/functions.py"


class Mismatch(Exception):
    """The function does something else at another batch size."""


class Variable:
    """A value in a trace. A literal (a number written into the trace) has no inputs of its own."""

    __slots__ = ("dtype", "literal", "number", "shape")

    def __init__(self, shape: Shape, dtype: str, literal: bool = False, number: Any = None) -> None:
        self.shape, self.dtype, self.literal, self.number = shape, dtype, literal, number


class Module(NamedTuple):
    """A call of a module, as its scope says: a number, the path, the class, a setting."""

    number: int
    path: str
    kind: str
    setting: str


class Equation(NamedTuple):
    """One primitive on some values.

    Attributes:
        name: The primitive: ``conv_general_dilated``.
        inputs: What it takes.
        outputs: What it makes.
        params: Its settings; sizes with the batch in them are formulas.
        modules: The calls of modules that it happens in, the outermost first.
        scope: The names of scopes that the user opened himself.
        function: The function of `jax.nn` that it is a part of, or empty.
        raw: The equation in both traces.
    """

    name: str
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    params: dict[str, Any]
    modules: tuple[Module, ...]
    scope: str
    function: str
    raw: tuple[Any, Any]


class Body(NamedTuple):
    """A traced function: what it takes, what it captures, what it does, what it returns."""

    inputs: tuple[Variable, ...]
    constants: tuple[tuple[Variable, Any], ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Variable, ...]


def pair(a: Any, b: Any) -> Any:
    """A setting of both traces as one."""
    if type(a) is not bool and isinstance(a, Integral) and isinstance(b, Integral):
        a, b = int(a), int(b)
        if a == b:
            return a
        low, high = SIZES
        rate, rest = divmod(b - a, high - low)
        if rest:
            raise Mismatch
        offset = a - rate * low
        if (rate, offset) == (1, 0):
            return BATCH
        return simplify(BATCH * rate + offset)
    if isinstance(a, tuple | list) and type(a) is type(b) and len(a) == len(b):
        made = [pair(x, y) for x, y in zip(a, b, strict=True)]
        return type(a)(*made) if hasattr(a, "_fields") else type(a)(made)
    return a


class Pairing:
    """Reads two traces as one body.

    Args:
        outer: The modules that the equations happen in, from around the traces.
    """

    def __init__(self, outer: tuple[Module, ...] = (), scope: str = "") -> None:
        self.outer, self.scope = outer, scope
        self.known: dict[int, Variable] = {}
        self.kept: list[Any] = []

    def read(self, first: Any, second: Any) -> Body:
        """The body of two closed jaxprs.

        Raises:
            Mismatch: If they do not do the same.
        """
        one, two = first.jaxpr, second.jaxpr
        if len(one.eqns) != len(two.eqns) or len(one.invars) != len(two.invars):
            raise Mismatch
        self.kept += [first, second]
        inputs = tuple(map(self._variable, one.invars, two.invars))
        captured = tuple(map(self._variable, one.constvars, two.constvars))
        equations = tuple(map(self._equation, one.eqns, two.eqns))
        outputs = tuple(map(self._variable, one.outvars, two.outvars))
        equations = _needed(equations, outputs)
        constants = tuple(zip(captured, first.consts, strict=True))
        return Body(inputs, constants, equations, outputs)

    def _variable(self, a: Any, b: Any) -> Variable:
        if hasattr(a, "val"):
            return Variable((), str(a.aval.dtype), True, a.val)
        known = self.known.get(id(a))
        if known is None:
            known = Variable(_shape(a.aval, b.aval), dtype_of(a.aval))
            self.known[id(a)] = known
        return known

    def _equation(self, a: Any, b: Any) -> Equation:
        if a.primitive.name != b.primitive.name or len(a.invars) != len(b.invars):
            raise Mismatch
        params = {key: pair(value, b.params.get(key)) for key, value in a.params.items()}
        stack = str(a.source_info.name_stack)
        found = tuple(Module(int(n), *rest) for n, *rest in _TOKEN.findall(stack))
        own = "/".join(filter(None, _plain(stack)))
        return Equation(
            a.primitive.name,
            tuple(map(self._variable, a.invars, b.invars)),
            tuple(map(self._variable, a.outvars, b.outvars)),
            params,
            (*self.outer, *found),
            "/".join(filter(None, (self.scope, own))),
            _function(a),
            (a, b),
        )


def _needed(equations: tuple[Equation, ...], outputs: tuple[Variable, ...]) -> tuple[Equation, ...]:
    """The equations that a result depends on; JAX never runs the others."""
    needed = {id(v) for v in outputs}
    kept = []
    for equation in reversed(equations):
        if needed.intersection(map(id, equation.outputs)):
            kept.append(equation)
            needed.update(map(id, equation.inputs))
    return tuple(reversed(kept))


def _plain(stack: str) -> Iterator[str]:
    """The scopes of a name stack, without tokens and the marks of transformations."""
    for step in _TOKEN.sub("", stack).split("/"):
        yield re.sub(r"^(?:\w+\()+|\)+$", "", step)


def _shape(a: Any, b: Any) -> Shape:
    one, two = getattr(a, "shape", ()), getattr(b, "shape", ())
    if len(one) != len(two):
        raise Mismatch
    return tuple(pair(int(x), int(y)) for x, y in zip(one, two, strict=True))


def dtype_of(aval: Any) -> str:
    """A dtype as NumPy names it; keys of random numbers are what they are made of."""
    name = str(getattr(aval, "dtype", "float32"))
    return "uint32" if name.startswith("key<") else name


def _function(equation: Any) -> str:
    """The outermost function of `jax.nn` that an equation was made in."""
    trace = equation.source_info.traceback
    if trace is None:
        return ""
    names = [f.function_name for f in trace.frames if f.file_name.endswith(_FUNCTIONS)]
    return names[-1].lstrip("_") if names else ""
