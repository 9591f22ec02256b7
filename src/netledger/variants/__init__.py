"""A million architectures at once: the same rules, read with NumPy arrays.

>>> from netledger import zoo
>>> changes = {("Conv-1", "out_channels"): [64, 96], ("Input Image", 1): [224, 227]}
>>> found = variants(zoo.load("alexnet"), changes)
>>> found["params"].tolist(), found["possible"].tolist()
([55870440, 62378344], [True, True])

Three readings of one rule make it safe: arrays give the counts; intervals of Python ints, taken
through the same rules first, prove that no number on the way passes 2^63; and a few variants are
counted again with plain ints and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from netledger.errors import MissingPackage, NetledgerError, UsageError
from netledger.formula import Formula, prod
from netledger.graph import BIAS, BUFFER, WEIGHT, Graph, Node, TensorType
from netledger.infer import infer
from netledger.ops.base import Op, size
from netledger.ops.fields import LARGEST
from netledger.variants.numbers import Check, Column, Interval

if TYPE_CHECKING:
    import numpy as np

Key = tuple[str, str | int]
"""A layer and one of its hyperparameters, or an input and one of its axes (0 is the batch)."""

COUNTS = ("params", "weights", "biases", "buffers", "macs", "neurons", "activations")
CHUNK = 1 << 14
"""Variants that are counted together: an array of them stays in a core's own cache."""
SAMPLES = 8


def variants(
    graph: Graph, changes: Mapping[Key, Any], *, chunk: int = CHUNK
) -> dict[str, np.ndarray[Any, Any]]:
    """The totals of many variants of one network.

    Args:
        graph: The network; all sizes of its inputs but the batch must be known.
        changes: For each hyperparameter (or size of an input) that varies, its value in each
            variant. A value stands for all axes of a hyperparameter that could have one for each.
        chunk: How many variants are counted together.

    Returns:
        ``possible``: False for variants of which a layer does not fit its input; and for each of
        `COUNTS` an array, −1 where the variant is impossible. Where two tensors are added whose
        sizes differ between variants, they must be equal: a size of 1 is not stretched.

    Raises:
        MissingPackage: If NumPy is not installed.
        UsageError: If something is varied that cannot be, or that does not exist.
        FieldError: If a hyperparameter has an impossible value.
        NetledgerError: If a count could pass 2^63.
    """
    try:
        import numpy
    except ImportError:
        raise MissingPackage("numpy", extra="numpy", purpose="counting many variants") from None
    arrays = _columns(graph, changes, numpy)
    _check_values(graph, arrays)
    _check_bounds(graph, arrays)
    count = len(next(iter(arrays.values())))
    found = {name: numpy.empty(count, numpy.int64) for name in COUNTS}
    found["possible"] = numpy.empty(count, bool)
    for first in range(0, count, chunk):
        part = slice(first, min(first + chunk, count))
        check = Check()
        columns = {key: Column(array[part], check) for key, array in arrays.items()}
        totals = _Pass(graph, columns, check).totals()
        possible = True if check.failed is None else ~check.failed
        found["possible"][part] = possible
        for name, total in totals.items():
            value = total.values if isinstance(total, Column) else total
            found[name][part] = value if possible is True else numpy.where(possible, value, -1)
    _check_samples(graph, arrays, found)
    return found


class _Pass:
    """One pass over the network: the rules of every layer, read with columns or intervals."""

    def __init__(self, graph: Graph, given: Mapping[Key, Any], check: Check | None) -> None:
        self.graph, self.given, self.check = graph, given, check
        self.shapes: dict[str, Any] = {
            name: tuple(
                given.get((name, i), 1 if i == 0 else d) for i, d in enumerate(declared.shape)
            )
            for name, declared in graph.inputs.items()
        }
        self.tied = {member for group in graph.ties for member in group[1:]}

    def totals(self) -> dict[str, Any]:
        """The counts over all layers."""
        sums: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        for node in self.graph.nodes:
            try:
                self._enter(node, sums)
            except NetledgerError as error:
                raise error.at(where=node.name, source=node.source) from None
            except (TypeError, ValueError):
                raise self._unvaried(node) from None
        return sums

    def _enter(self, node: Node, sums: dict[str, Any]) -> None:
        op = self._op(node)
        inputs = tuple(self.shapes[value] for value in node.inputs)
        made = self._outputs(op, inputs)
        self.shapes.update(zip(node.outputs, made, strict=False))
        made = made[: len(node.outputs)]
        parameters = op.parameters(*inputs)
        for name, value in self._stored(node, parameters).items():
            sums[name] = sums[name] + value
        elements: Any = 0
        for shape in made:
            elements = elements + prod(shape)
        sums["params"] = sums["weights"] + sums["biases"]
        sums["macs"] = sums["macs"] + op.macs(inputs, made)
        sums["activations"] = sums["activations"] + elements
        if any(p.role == WEIGHT for p in parameters):
            sums["neurons"] = sums["neurons"] + elements

    def _outputs(self, op: Op, inputs: Any) -> Any:
        """The outputs' shapes; variants that do not fit are marked."""
        if self.check is None:
            return op.outputs(*inputs)
        self.check.open = True
        op.check(*inputs)
        made: Any = op.outputs(*inputs)
        for d in (d for shape in made for d in shape):
            if isinstance(d, Column):
                self.check.mark(d.values < 1)
        self.check.open = False
        return made

    def _op(self, node: Node) -> Op:
        """The operation with the hyperparameters of all variants in it."""
        values = {k[1]: v for k, v in self.given.items() if k[0] == node.name}
        if not values:
            return node.op
        op: Op = object.__new__(type(node.op))
        op.__dict__.update({**node.op.__dict__, **{str(k): v for k, v in values.items()}})
        return op

    def _stored(self, node: Node, parameters: tuple[Any, ...]) -> dict[str, Any]:
        """Weights, biases and buffers; what is tied to another counts there."""
        found: dict[str, Any] = {}
        names = {WEIGHT: "weights", BIAS: "biases", BUFFER: "buffers"}
        for p in parameters:
            if (node.name, p.name) not in self.tied:
                name = names[p.role]
                found[name] = found.get(name, 0) + size(p)
        return found

    def _unvaried(self, node: Node) -> UsageError:
        fields = [str(k[1]) for k in self.given if k[0] == node.name]
        what = " or ".join(fields) if fields else "its input"
        return UsageError(
            f"the rules of {node.op.kind} cannot be read with many values of {what}",
            where=node.name,
            source=node.source,
            hint="vary something else, or count these variants one by one",
        )


def _columns(graph: Graph, changes: Mapping[Key, Any], numpy: Any) -> dict[Key, Any]:
    """The values of everything that varies, as arrays of one length."""
    if not changes:
        raise UsageError("nothing varies", hint="for instance {('Conv-1', 'out_channels'): [64]}")
    for node in graph.nodes:
        if node.op.unknown():
            raise UsageError("no rule gives its counts", where=node.name, source=node.source)
    for name, declared in graph.inputs.items():
        for i, d in enumerate(declared.shape):
            if i and isinstance(d, Formula) and (name, i) not in changes:
                raise UsageError(f"axis {i} of the input {name!r} has no size", hint="give it one")
    found = {}
    for key, values in changes.items():
        array = numpy.asarray(values)
        if array.ndim > 1 or array.dtype.kind not in "iu":
            raise UsageError(f"the values of {key!r} must be whole numbers in a row")
        if array.size and int(array.max()) > LARGEST:
            raise UsageError(f"the values of {key!r} pass 2^63")
        found[key] = array.astype(numpy.int64)
    lengths = {a.size for a in found.values() if a.ndim}
    if len(lengths) > 1 or 0 in lengths:
        raise UsageError(f"the values have different lengths: {sorted(lengths)}")
    count = lengths.pop() if lengths else 1
    return {key: numpy.broadcast_to(a, (count,)) for key, a in found.items()}


def _check_values(graph: Graph, arrays: Mapping[Key, Any]) -> None:
    """Asks the hyperparameter itself about its smallest and its largest value."""
    for (name, what), array in arrays.items():
        ends = int(array.min()), int(array.max())
        if isinstance(what, int):
            if name not in graph.inputs or not 0 < what < len(graph.inputs[name].shape):
                raise UsageError(f"there is no axis {what} of an input {name!r} to vary")
            if ends[0] < 1:
                raise UsageError(f"a size must be at least 1; axis {what} has {ends[0]}")
            continue
        for end in ends:
            graph.with_fields(name, **{what: end})


def _check_bounds(graph: Graph, arrays: Mapping[Key, Any]) -> None:
    """Proves that no number on the way to any count leaves what an int64 can hold."""
    seen = [0]
    ranges = {k: Interval(int(a.min()), int(a.max()), seen) for k, a in arrays.items()}
    _Pass(graph, ranges, None).totals()
    if seen[0] > LARGEST:
        raise NetledgerError(
            "counts of these variants could pass 2^63, where arrays would wrap around",
            hint="narrow the values, or count the variants one by one",
        )


def _check_samples(graph: Graph, arrays: Mapping[Key, Any], found: Mapping[str, Any]) -> None:
    """Counts some variants again with plain ints: the extremes, and some impossible ones."""
    for i in _samples(found):
        one = graph
        for (name, what), array in arrays.items():
            one = _changed(one, name, what, int(array[i]))
        try:
            totals = infer(one, batch=1).totals
            right = {name: getattr(totals, name) for name in COUNTS}
        except NetledgerError:
            right = dict.fromkeys(COUNTS, -1)
        for name, value in right.items():
            if value != int(found[name][i]):
                raise NetledgerError(
                    f"variant {i} has {value:,} {name}, but arrays give {int(found[name][i]):,}",
                    hint="a rule of this network cannot be read with arrays; please report it",
                )


def _samples(found: Mapping[str, Any]) -> Iterator[int]:
    count = len(found["possible"])
    chosen = {0, count - 1, count // 2, int(found["possible"].argmin())}
    chosen |= {int(found[name].argmax()) for name in ("params", "macs", "activations")}
    yield from sorted(chosen)[:SAMPLES]


def _changed(graph: Graph, name: str, what: str | int, value: int) -> Graph:
    if isinstance(what, str):
        return graph.with_fields(name, **{what: value})
    t = graph.inputs[name]
    shape = tuple(value if i == what else d for i, d in enumerate(t.shape))
    return graph.with_inputs({name: TensorType(shape, t.dtype)})
