"""Writing networks in Python: a few readable lines, branches and repeated blocks included.

>>> from netledger.ops import Activation, Conv, GlobalAvgPool, Linear
>>> net = Network("tiny", (32, 32, 3))
>>> x = net(Conv(8, 3, padding="same"), name="stem")
>>> y = net(Activation("relu"))
>>> z = net(GlobalAvgPool())
>>> graph = net(Linear(10)) and net.graph()
>>> [node.name for node in graph.nodes]
['stem', 'relu', 'global_avg_pool', 'linear']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from netledger.errors import UsageError
from netledger.formula import Dim, Formula
from netledger.graph import BATCH, Graph, Node, TensorType
from netledger.ops.base import Op, Spatial
from netledger.ops.pointwise import Activation


class Network:
    """A network under construction. Calling it adds a layer and returns the layer's value.

    Args:
        name: What the network is called.
        input: The input's shape without the batch; or a mapping of names to shapes.
        title: One line about it.
        channels_last: The layout of maps, handed to every operation that cares.
        input_name: The name of a single input.
        dtype: The dtype of the inputs.
    """

    def __init__(
        self,
        name: str,
        input: tuple[Dim, ...] | Mapping[str, tuple[Dim, ...]],
        *,
        title: str = "",
        channels_last: bool = True,
        input_name: str = "input",
        dtype: str = "float32",
    ) -> None:
        self.name, self.title, self.channels_last = name, title, channels_last
        shapes = input if isinstance(input, Mapping) else {input_name: input}
        for shape in shapes.values():
            _check_shape(shape)
        self.inputs = {n: TensorType((BATCH, *shape), dtype) for n, shape in shapes.items()}
        self.nodes: list[Node] = []
        self.last = next(iter(self.inputs))
        """The value that feeds the next layer unless it names its inputs."""
        self._scopes: list[str] = []
        self._names = Names(self.inputs)
        self._ties: list[tuple[tuple[str, str], ...]] = []

    def __call__(self, op: Op, *inputs: str, name: str = "", trainable: bool = True) -> str:
        """Adds a layer, fed by `inputs` or else by the layer before. Returns its value's name."""
        if not isinstance(op, Op):
            raise _no_operation(op)
        if isinstance(op, Spatial) and not self.channels_last:
            op = replace(op, channels_last=False)
        least = op.arity[0]
        feeds = inputs or ((self.last,) if least else ())
        node = Node(self._unique(name, op), op, feeds, scope=self.scope_name, trainable=trainable)
        self.nodes.append(node)
        self.last = node.name
        return node.name

    def chain(self, *ops: Op) -> str:
        """Adds layers one after the other. Returns the last one's value."""
        for op in ops:
            self(op)
        return self.last

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Layers made inside belong to the module `name`."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @property
    def scope_name(self) -> str:
        """The module path that new layers get."""
        return ".".join(self._scopes)

    def tie(self, *parameters: tuple[str, str]) -> None:
        """Says that these ``(layer, parameter)`` are one and the same storage."""
        self._ties.append(parameters)

    def graph(self, *outputs: str) -> Graph:
        """The finished network; its outputs are `outputs`, or else the last layer."""
        return Graph(
            self.name,
            self.inputs,
            tuple(self.nodes),
            outputs or (self.last,),
            tuple(self._ties),
            title=self.title,
        )

    def _unique(self, name: str, op: Op) -> str:
        scope = self.scope_name
        if not name:
            return self._names.make(op, scope)
        return self._names.take(f"{scope}.{name}" if scope else name)


def _check_shape(shape: object) -> None:
    sizes = shape if isinstance(shape, tuple | list) else ()
    if shape != sizes or not all(isinstance(d, int | Formula) for d in sizes):
        raise UsageError(
            f"{shape!r} is not a shape", hint="pass a tuple without the batch: (32, 32, 3)"
        )


def _no_operation(op: object) -> UsageError:
    if isinstance(op, type) and issubclass(op, Op):
        return UsageError(
            f"{op.__name__} is a class, not a layer", hint=f"make one: {op.__name__}(…)"
        )
    return UsageError(f"{op!r} is no operation", hint="pass one of netledger.ops: Conv(96, 11)")


class Names:
    """The names that a network has used, and the names it gives to layers without one."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._taken

    def take(self, name: str) -> str:
        """Uses `name`."""
        self._taken.add(name)
        return name

    def preview(self, op: Op, scope: str = "") -> str:
        """What a layer without a name would be called: its word, numbered if that is taken."""
        word = op.function if isinstance(op, Activation) else op.key
        path = f"{scope}.{word}" if scope else word
        count = self._counts.get(path, 1)
        while (name := path if count == 1 else f"{path}_{count}") in self._taken:
            count += 1
        self._counts[path] = count  # names are never given back, so the search goes on from here
        return name

    def make(self, op: Op, scope: str = "") -> str:
        """Names a layer that has no name of its own."""
        return self.take(self.preview(op, scope))
