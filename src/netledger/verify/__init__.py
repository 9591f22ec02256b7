"""Verification: a network built in real frameworks, run there, and held against its ledger.

The rules predict; PyTorch, Keras, JAX and ONNX Runtime do. For every row the shape, the dtype and
the number of parameters are compared, and on the whole parameters, gradients and what the
framework's own counter says. Two columns, which must balance.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netledger.build import target as builder
from netledger.errors import MissingPackage, UsageError
from netledger.graph import BUFFER, Graph
from netledger.infer import infer
from netledger.ledger import Ledger, Row
from netledger.ops import Tensor
from netledger.readers import read
from netledger.verify.books import Account, Entry, Run, Verification

if TYPE_CHECKING:
    from netledger.verify.run import Observed, Watch


def verify(
    source: Any,
    targets: Sequence[str] = ("torch",),
    inputs: Any = None,
    *,
    batch: int | None = None,
    watch: Watch | None = None,
) -> Verification:
    """Builds a network, runs it forward and backward, and compares every row with its ledger.

    Args:
        source: A zoo name, a path, a graph, or a live model.
        targets: Of ``torch``, ``keras``, ``jax``, ``onnx``; ``onnx`` runs forward only.
        inputs: Other inputs than the source's own; see `netledger.read`.
        batch: Samples at once; by default 1, or 2 where samples are normalised together.
        watch: Is told what is being done, and how many rows of how many have been seen.

    Raises:
        NetledgerError: If it cannot be built there, does not fit into memory, or a framework is
            missing; says which and what to do.
    """
    if batch is not None and batch < 1:
        raise UsageError(f"batch must be at least 1; got {batch}")
    names = [targets] if isinstance(targets, str) else list(dict.fromkeys(targets))
    if not names:
        raise UsageError("no framework is named", hint="torch, keras, jax, onnx")
    graph = read(source, inputs)
    for name in names:  # whatever is missing is said before anything runs
        builder(name)
    return Verification(graph.name, tuple(_run(graph, name, batch, watch) for name in names))


def _run(graph: Graph, target: str, batch: int | None, watch: Watch | None) -> Run:
    from netledger.build.source.plan import check_known
    from netledger.verify import memory
    from netledger.verify.run import Case, ignore

    check_known(graph, target)
    count = batch or _samples(graph)
    ledger = infer(graph, batch=count)
    memory.check(ledger, target)
    module: Any = importlib.import_module(f"netledger.verify.{target}")
    memory.forget_peak()
    case = Case(graph, count, _telling(target, watch) if watch else ignore)
    try:
        found: Observed = module.observe(case)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("netledger"):
            raise
        raise MissingPackage(error.name, extra=target, purpose=f"a run in {target}") from None
    return Run(
        target,
        found.framework,
        count,
        tuple(_entries(ledger, found, target)),
        tuple(_totals(infer(graph), found)),
        found.seconds,
        memory.peak(),
        found.saved_bytes,
        tuple(found.notes),
    )


def _telling(target: str, watch: Watch) -> Watch:
    return lambda what, done, of: watch(f"{target}: {what}", done, of)


def _samples(graph: Graph) -> int:
    """Two where normalisation looks across samples: the statistics of one are nothing."""
    from netledger.ops import BatchNorm

    return 2 if any(isinstance(node.op, BatchNorm) for node in graph.nodes) else 1


def _entries(ledger: Ledger, found: Observed, target: str) -> Iterator[Entry]:
    """Every row, its two columns; shapes in the axis order of the framework."""
    here = {row.name: row for row in infer(found.net.graph, batch=ledger.batch).ops}
    for row in ledger.ops:
        if row.op is None:
            continue
        accounts = [*_outputs(here[row.name], found), *_stored(row, found)]
        yield Entry(target, row.name, row.kind, tuple(accounts))


def _outputs(row: Row, found: Observed) -> Iterator[Account]:
    for value, predicted in zip(row.made, row.outputs, strict=True):
        observed = found.types.get(value)
        why = "" if observed is not None else found.unseen.get(row.name, _idle(row))
        yield Account("output", predicted, observed, why)


def _idle(row: Row) -> str:
    """Why nothing makes a tensor that is stored."""
    return "nothing uses it" if isinstance(row.op, Tensor) and row.op.note else ""


def _stored(row: Row, found: Observed) -> Iterator[Account]:
    counts = {"parameters": 0, "buffers": 0}
    for p in row.parameters:
        counts["buffers" if p.role == BUFFER else "parameters"] += p.count
    for what, seen in (("parameters", found.parameters), ("buffers", found.buffers)):
        observed = seen.get(row.name, 0)
        if counts[what] or observed:
            yield Account(what, counts[what], observed)


def _totals(ledger: Ledger, found: Observed) -> Iterator[Account]:
    t = ledger.totals
    predicted = {
        "parameters": t.params,
        "trainable": t.trainable,
        "buffers": t.buffers,
        "gradients": t.trainable,
        "macs": t.macs,
    }
    for what, value in predicted.items():
        yield Account(what, value, found.totals.get(what), found.whys.get(what, ""))


__all__ = ["Account", "Entry", "Run", "Verification", "verify"]
