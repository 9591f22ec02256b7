"""From a graph to what a target writes: checked, in its axis order, every layer written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netledger.build.source.batches import with_batches
from netledger.build.source.borders import Fits, with_borders
from netledger.build.source.kinds import Written
from netledger.build.source.natural import Natural, natural
from netledger.errors import BuildError, NetledgerError
from netledger.formula import Formula
from netledger.graph import Graph, Node, Shape
from netledger.ledger import Row
from netledger.ops import Activation, Constant, Gather, Inventory, Opaque
from netledger.ops.base import Op
from netledger.ops.pointwise import Broadcast


@dataclass(frozen=True)
class Site:
    """A layer to be written: the operation, and what it takes and makes in the framework's order.

    Attributes:
        node: The node.
        row: Its row.
        net: The network that it belongs to.
    """

    node: Node
    row: Row
    net: Natural

    @property
    def op(self) -> Any:
        """The operation."""
        return self.node.op

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape of the first input."""
        return tuple(self.row.input_types[0].shape)

    @property
    def made(self) -> tuple[Any, ...]:
        """The shape of the first output."""
        return tuple(self.row.outputs[0].shape)

    @property
    def rank(self) -> int:
        """How many axes the first input has."""
        return len(self.shape)

    @property
    def channels(self) -> int:
        """The channels of the first input."""
        channels: int = self.shape[-1 if self.net.last or self.rank < 3 else 1]
        return channels

    @property
    def shared(self) -> bool:
        """True if another layer has a parameter of it as well."""
        return any(self.node.name == name for group in self.net.graph.ties for name, _ in group)

    @property
    def spatial(self) -> tuple[int, ...]:
        """The sizes of the first input without batch and channels."""
        return self.shape[1:-1] if self.net.last else self.shape[2:]


Writer = Callable[[Site], Written | None]
"""How an operation is written; None if this one cannot be."""


class Table:
    """What a target can write.

    Args:
        name: What people call the framework.
        channels_last: Where it has channels.
        writers: For each operation how it is written.
        fits: Which windows it can place by itself.
    """

    def __init__(
        self,
        name: str,
        writers: Mapping[type[Op], Writer],
        fits: Fits,
        *,
        channels_last: bool,
    ) -> None:
        self.name, self.writers, self.fits = name, writers, fits
        self.channels_last = channels_last

    def natural(self, graph: Graph) -> Natural:
        """The graph in the framework's axis order, its borders as the framework has them.

        Raises:
            BuildError: If something of it is not known.
        """
        check_known(graph, self.name)
        net = with_batches(natural(graph, channels_last=self.channels_last))
        return with_borders(net, self.fits)

    def write(self, net: Natural) -> dict[str, Written]:
        """How every node is written.

        Raises:
            BuildError: If one cannot be; the message names the layer, the operation, the target.
        """
        rows = {row.name: row for row in net.ledger.ops}
        found: dict[str, Written] = {}
        for node in net.graph.nodes:
            writer = self.writers.get(type(node.op))
            try:
                written = writer(Site(node, rows[node.name], net)) if writer else None
            except NetledgerError as error:
                raise error.at(where=f"{node.name} ({node.op.kind})", source=node.source) from None
            if written is None:
                raise self.refuse(node, rows[node.name])
            found[node.name] = written
        return found

    def refuse(self, node: Node, row: Row) -> BuildError:
        """The error for a layer that cannot be written."""
        described = node.op.describe(*[t.shape for t in row.input_types])
        return BuildError(
            f"{self.name} cannot express this {node.op.kind}"
            + (f" ({described})" if described else ""),
            hint="build another target, or change the layer; nothing was built",
            where=f"{node.name} ({node.op.kind})",
            received=", ".join(
                f"{v}: {t}" for v, t in zip(row.inputs, row.input_types, strict=True)
            ),
            source=node.source,
        )


def check_known(graph: Graph, target: str) -> None:
    """Refuses a graph of which something is not known: sizes, numbers, whole layers."""
    for name, t in graph.inputs.items():
        unsized = [str(d) for d in t.shape[1:] if isinstance(d, Formula)]
        if unsized:
            raise BuildError(
                f"the input {name!r} has sizes without a number: {', '.join(unsized)}",
                hint="a model is built for one size: give it, for instance --input 224x224x3",
                received=f"{name}: {t}",
            )
    for node in graph.nodes:
        reason = _untold(node) or _unknown(node.op, len(node.inputs))
        if reason:
            raise BuildError(
                f"cannot be built in {target}: {reason}",
                hint="only a network of which every layer is fully known can be built",
                where=f"{node.name} ({node.op.kind})",
                source=node.source,
            )


def _unknown(op: Op, inputs: int) -> str:
    if isinstance(op, Inventory):
        return "the file lists tensors, but not how they are connected"
    if isinstance(op, Opaque):
        return op.reason
    if isinstance(op, Constant) and op.value is None:
        return "the numbers of a constant are not kept in the books"
    if isinstance(op, Broadcast) and inputs < 2 and getattr(op, "constant", None) is None:
        return "it takes a constant whose value is not kept in the books"
    if isinstance(op, Gather) and inputs < 2 and op.index is None:
        return "its indices are not kept in the books"
    if isinstance(op, Activation) and op.function == "clip" and op.low is op.high is None:
        return "its bounds are not kept in the books"
    return ""


def _untold(node: Node) -> str:
    return f"its {node.untold} is not kept in the books" if node.untold else ""


def same(value: Any) -> Any:
    """A value per axis as one number, if it is the same for all."""
    if isinstance(value, tuple) and value and all(v == value[0] for v in value):
        return value[0]
    return value


def batch_free(shape: Shape) -> tuple[int, ...] | None:
    """A shape with −1 for the batch, or a multiple of it; None if there are two of them."""
    if sum(isinstance(d, Formula) for d in shape) > 1:
        return None
    return tuple(-1 if isinstance(d, Formula) else d for d in shape)


LINEAR = ("linear", "bilinear", "trilinear")
"""What a map is resized by that all frameworks interpolate alike, whatever they call it."""


def whole_steps(site: Site) -> tuple[int, ...] | None:
    """How many times larger a map becomes, where all frameworks agree about nearest neighbours."""
    pairs = zip(site.spatial, site.made[1:-1] if site.net.last else site.made[2:], strict=True)
    steps = [divmod(o, i) for i, o in pairs]
    if site.op.mode != "nearest" or any(rest for _, rest in steps):
        return None
    return tuple(times for times, _ in steps)


__all__ = [
    "LINEAR",
    "Site",
    "Table",
    "Writer",
    "batch_free",
    "check_known",
    "replace",
    "same",
    "whole_steps",
]
