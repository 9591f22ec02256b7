"""Operations on each position by itself, and sums and products of tensors of one shape."""

from __future__ import annotations

from typing import Any, ClassVar

from netledger.errors import ShapeError
from netledger.formula import NUMBER, Formula
from netledger.graph import DTYPE_BITS, WEIGHT, Parameter, Shape
from netledger.ops.base import Op, axis, operation, show_shape
from netledger.ops.fields import choice, flag, integer, number, text

FUNCTIONS = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "sigmoid": "Sigmoid",
    "hard_sigmoid": "HardSigmoid",
    "hard_swish": "HardSwish",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "negate": "Negate",
    "erf": "Erf",
    "clip": "Clip",
    "sin": "Sin",
    "cos": "Cos",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
    "sign": "Sign",
    "log1p": "Log1p",
    "expm1": "Expm1",
    "log2": "Log2",
    "logsigmoid": "LogSigmoid",
}
"""Activation functions, by the name that they have in a spec."""
SETTINGS = {
    "leaky_relu": ("alpha",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "gelu": ("approximate",),
    "clip": ("low", "high"),
}
"""The settings of those that have any."""


@operation
class Activation(Op):
    """A function of each number: ``relu``, ``gelu``, ``tanh`` and so on."""

    folds = True
    function: str = choice("which function", tuple(FUNCTIONS), default="relu")
    alpha: float | None = number(
        "slope below 0 of leaky_relu (by default 0.01), scale below 0 of elu and celu (1)",
        default=None,
        silent=True,
    )
    low: float | None = number("smallest result of a clip", default=None, silent=True)
    high: float | None = number("largest result of a clip", default=None, silent=True)
    approximate: bool = flag("a gelu by way of tanh", default=False, silent=True)

    @property
    def kind(self) -> str:
        return FUNCTIONS[self.function]

    @property
    def below(self) -> float:
        """What `alpha` is, said or not."""
        usual = 0.01 if self.function == "leaky_relu" else 1.0
        return usual if self.alpha is None else self.alpha

    def describe(self, *inputs: Shape) -> str:
        return "of each number by itself"

    @classmethod
    def implied(cls, function: str) -> dict[str, Any]:
        """What is said by naming the function: that, and no setting of another one."""
        own = SETTINGS.get(function, ())
        usual = {name: rule.default for name, rule in cls.rules.items() if name not in own}
        return {**usual, "function": function}


@operation
class Identity(Op):
    """Passes its input on."""

    folds = True


@operation
class Dropout(Op):
    """Sets a share of the numbers to 0 while training; does nothing afterwards."""

    folds = True
    rate: float = number("share of the numbers that are set to 0", default=0.5)

    def check(self, *inputs: Shape) -> None:
        if not 0 <= self.rate <= 1:
            raise ShapeError(f"rate is a share, from 0 to 1; got {self.rate}")


@operation
class Cast(Op):
    """Changes the dtype."""

    folds = True
    to: str = text("the new dtype, as NumPy names it")

    def dtype(self, *inputs: str) -> str:
        return self.to


@operation
class Softmax(Op):
    """Numbers that add up to 1 along an axis."""

    axis: int = integer("the axis that adds up to 1", default=-1, minimum=None)
    log: bool = flag("the logarithm of the result (log-softmax)", default=False)

    def check(self, *inputs: Shape) -> None:
        axis(self.axis, len(inputs[0]))

    def describe(self, *inputs: Shape) -> str:
        return f"{'logarithm of ' if self.log else ''}shares that add up to 1"


@operation
class PReLU(Op):
    """A ReLU whose slope below 0 is learned: one slope, or one for each channel."""

    key = "prelu"
    channel_axis: int | None = integer(
        "the axis with a slope each; none: one slope", default=None, minimum=None
    )

    def check(self, *inputs: Shape) -> None:
        if self.channel_axis is not None:
            axis(self.channel_axis, len(inputs[0]))

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        slopes = 1 if self.channel_axis is None else inputs[0][self.channel_axis]
        return (Parameter("weight", WEIGHT, (slopes,)),)


@operation
class GLU(Op):
    """A gated linear unit: one half of an axis times the sigmoid of the other half."""

    key = "glu"
    axis: int = integer("the axis that is halved", default=-1, minimum=None)

    def check(self, *inputs: Shape) -> None:
        size = inputs[0][axis(self.axis, len(inputs[0]))]
        if size % 2:
            raise ShapeError(f"cannot halve an axis of {size}", hint="its size must be even")

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        at = axis(self.axis, len(inputs[0]))
        return (tuple(d // 2 if i == at else d for i, d in enumerate(inputs[0])),)


@operation
class Broadcast(Op):
    """An operation on tensors that stretch to one shape; axes of size 1 stretch."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def check(self, *inputs: Shape) -> None:
        broadcast(*inputs)

    def outputs(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (broadcast(*inputs),)

    def dtype(self, *inputs: str) -> str:
        return promoted(*inputs)

    def describe(self, *inputs: Shape) -> str:
        return f"of {len(inputs)} tensors" if len(inputs) > 1 else "with a constant"


@operation
class Arithmetic(Broadcast):
    """An operation on tensors, and perhaps on one number that is the same everywhere."""

    constant: float | None = number(
        "a number besides the tensors, behind them", default=None, kw_only=True, silent=True
    )
    reverse: bool = flag(
        "that number stands before the tensor: 1 - x", default=False, kw_only=True, silent=True
    )


@operation
class Add(Arithmetic):
    """The sum, number by number."""


@operation
class Subtract(Arithmetic):
    """The difference, number by number."""


@operation
class Multiply(Arithmetic):
    """The product, number by number. No MACs: nothing is accumulated."""


@operation
class Divide(Arithmetic):
    """The quotient, number by number."""


@operation
class Power(Arithmetic):
    """A power, number by number."""


@operation
class Maximum(Arithmetic):
    """The largest, number by number."""


@operation
class Minimum(Arithmetic):
    """The smallest, number by number."""


@operation
class Average(Broadcast):
    """The mean, number by number."""


@operation
class Compare(Broadcast):
    """A test, number by number; the result is true or false."""

    def dtype(self, *inputs: str) -> str:
        return "bool"


@operation
class Where(Broadcast):
    """Chooses between two tensors, number by number; the first input says which.

    A constant that changes no size may be left out.
    """

    arity = (1, 3)

    def dtype(self, *inputs: str) -> str:
        return inputs[-1]


def promoted(*dtypes: str) -> str:
    """The dtype of a result: floats before integers before truths, wide before narrow.

    >>> promoted("int64", "float16"), promoted("bool", "int32")
    ('float16', 'int32')
    """
    best = dtypes[0]
    for other in dtypes[1:]:
        if other != best and _rank(other) > _rank(best):
            best = other
    return best


def _rank(dtype: str) -> tuple[int, int]:
    kinds = ("bool", "uint", "int", "float", "bfloat", "complex")
    kind = dtype.rstrip("0123456789")
    level = kinds.index(kind) if kind in kinds else 0
    return 3 if level == 4 else level, DTYPE_BITS.get(dtype, 0)


def broadcast(*inputs: Shape) -> Shape:
    """The shape that all `inputs` stretch to, aligned at the last axis.

    Raises:
        ShapeError: If two sizes differ and neither is 1.
    """
    result: list[Any] = []
    for x in inputs:
        result = [1] * (len(x) - len(result)) + result
        offset = len(result) - len(x)
        for i, d in enumerate(x, start=offset):
            known = result[i]
            if known is d or _is_one(d):
                continue
            if _is_one(known):
                result[i] = d
            elif _differ(known, d):
                raise ShapeError(
                    f"shapes {' and '.join(map(show_shape, inputs))} do not fit together",
                    hint="sizes must be equal, or 1",
                )
    return tuple(result)


def _is_one(d: Any) -> bool:
    """True for the number 1; an axis with a *name* keeps it, also if its size is 1."""
    if isinstance(d, Formula):
        return d.head == NUMBER and d.value == 1
    return type(d) is int and d == 1


def _differ(a: Any, b: Any) -> bool:
    differ = a != b
    return differ if type(differ) is bool else bool(differ.any())  # arrays
