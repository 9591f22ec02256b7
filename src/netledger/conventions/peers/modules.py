"""A network as a tool with hooks sees it: calls of modules, and tensors that modules keep.

Where the source has modules (PyTorch), they are the source's own. Elsewhere every operation that is
a layer in PyTorch counts as a module of its own: the network as one would write it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netledger.conventions.sizes import Sized, sized
from netledger.graph import BUFFER
from netledger.ledger import Ledger
from netledger.ops.base import Op

TORCH = "torch.nn."


class Kept(NamedTuple):
    """A stored tensor under one of its names.

    Attributes:
        owner: The path of the module that keeps it.
        name: What the module calls it: ``weight``.
        count: How many numbers it has.
        storage: What it has in common with its other names.
        row: The row that uses it.
        trainable: Whether it is trained.
    """

    owner: str
    name: str
    count: Any
    storage: str
    row: str
    trainable: bool


@dataclass
class Called:
    """A call of a module.

    Attributes:
        path: The module's path.
        kind: Its class: ``torch.nn.Conv2d`` for PyTorch's own, else with its whole package.
        leaf: Whether no module is inside it.
        parent: The call that made it, or None.
        rows: The operations that it makes itself, in order.
    """

    path: str
    kind: str
    leaf: bool
    parent: Called | None = None
    rows: list[Sized] = field(default_factory=list)

    @property
    def layer(self) -> str:
        """The class, if it is one of PyTorch's layers itself (no subclass): ``Conv2d``."""
        return self.kind.removeprefix(TORCH) if self.kind.startswith(TORCH) else ""

    @property
    def title(self) -> str:
        """The bare name of its class."""
        return self.kind.rpartition(".")[2]

    @property
    def main(self) -> Sized:
        """The operation that its count is charged to: the first with parameters."""
        return next((row for row in self.rows if row.row.parameters), self.rows[-1])


class Network:
    """The modules of a network.

    Attributes:
        rows: Every operation.
        calls: The calls of modules that make an operation themselves or in a module inside.
        loose: Operations outside of all modules.
        kept: Every learned tensor under each of its names.
        paths: The paths of all modules, the network's own (empty) included.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.rows = sized(ledger)
        self.kept = list(_kept(ledger))
        self.loose: list[Sized] = []
        self.paths = {"", *(k.owner for k in self.kept)}
        self.calls: list[Called] = self._recorded() if ledger.graph.calls else self._assumed()
        self.by_path: dict[str, list[Called]] = {}
        for call in self.calls:
            self.by_path.setdefault(call.path, []).append(call)

    def _recorded(self) -> list[Called]:
        graph = self.ledger.graph
        self.paths |= {call.path for call in graph.calls} | set(graph.modules)
        self.paths = {p for path in self.paths for p in with_parents(path)}
        inner = {path.rpartition(".")[0] for path in self.paths if path}
        calls: list[Called] = []
        for path, kind, parent in graph.calls:
            above = calls[parent] if parent >= 0 else None
            calls.append(Called(path, _canonical(kind), path not in inner, above))
        for row in self.rows:
            at = graph.node(row.row.name).call
            (calls[at].rows if at >= 0 else self.loose).append(row)
        return calls

    def _assumed(self) -> list[Called]:
        calls = []
        for row in self.rows:
            kind = assumed(row)
            if not kind:
                self.loose.append(row)
                continue
            calls.append(Called(row.row.name, TORCH + kind, kind not in WITH_MODULES, rows=[row]))
        self.paths |= {call.path for call in calls}
        return calls


def _kept(ledger: Ledger) -> Iterator[Kept]:
    homes = ledger.graph.homes
    for row in ledger.ops:
        for p in row.parameters:
            if p.role == BUFFER:
                continue
            own = f"{row.name}/{p.name}"
            for home in homes.get((row.name, p.name)) or (f"{row.name}.{p.name}",):
                owner, _, name = home.rpartition(".")
                yield Kept(owner, name, p.count, p.tied_to or own, row.name, p.trainable)


def with_parents(path: str) -> Iterator[str]:
    """A module's path, and those of the modules around it."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _canonical(kind: str) -> str:
    """``torch.nn.modules.conv.Conv2d`` → ``torch.nn.Conv2d``."""
    if kind.startswith("torch.nn.modules."):
        return TORCH + kind.rpartition(".")[2]
    return kind


WITH_MODULES = ("MultiheadAttention",)
"""PyTorch's layers that have modules inside."""

ACTIVATIONS = {
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
    "hard_sigmoid": "Hardsigmoid",
    "hard_swish": "Hardswish",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softsign": "Softsign",
}


def _ranked(word: str) -> Callable[[Sized], str]:
    """A layer that has a class for each number of spatial axes."""
    return lambda row: f"{word}{max(len(row.inputs[0]) - 2, 1)}d"


def _always(word: str) -> Callable[[Sized], str]:
    return lambda row: word


ASSUMED: dict[str, Callable[[Sized], str]] = {
    **dict.fromkeys(("Conv", "DepthwiseConv"), _ranked("Conv")),
    "ConvTranspose": _ranked("ConvTranspose"),
    "BatchNorm": _ranked("BatchNorm"),
    "InstanceNorm": _ranked("InstanceNorm"),
    "MaxPool": _ranked("MaxPool"),
    "AvgPool": _ranked("AvgPool"),
    **dict.fromkeys(("AdaptiveAvgPool", "GlobalAvgPool"), _ranked("AdaptiveAvgPool")),
    **dict.fromkeys(("AdaptiveMaxPool", "GlobalMaxPool"), _ranked("AdaptiveMaxPool")),
    **{
        word: _always(word) for word in ("Linear", "Embedding", "GroupNorm", "LayerNorm", "RMSNorm")
    },
    **{word: _always(word) for word in ("PReLU", "Softmax", "RNN", "GRU", "LSTM")},
    "MultiHeadAttention": _always("MultiheadAttention"),
    "Resize": _always("Upsample"),
}
"""For each of our operations the layer of PyTorch that does it."""


def assumed(row: Sized) -> str:
    """The layer of PyTorch that an operation is; empty if it is none there."""
    op: Op | None = row.op
    function = getattr(op, "function", None)
    if function is not None:
        return ACTIVATIONS.get(function, "")
    name = ASSUMED.get(type(op).__name__)
    return name(row) if name else ""
