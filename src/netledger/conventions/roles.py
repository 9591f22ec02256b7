"""What layers are there for: classifiers, auxiliary heads, embeddings."""

from __future__ import annotations

import re

from netledger.ledger import Ledger, Row
from netledger.ops import Add, Constant, Conv, Embedding, Inventory, Linear, Tensor

POSITION = re.compile(r"(^|[._])(w?pos(ition(al|s)?)?|wpe|pe)(_?emb\w*|_?enc\w*)?([._]|$)", re.I)
EMBEDDING = re.compile(r"(^|[._])(emb|wte|wpe|embed(ding|dings|_tokens)?|\w+_embeddings?)([._]|$)")
AUXILIARY = re.compile(r"(^|[._])(aux(iliary)?|loss[12])([._/]|\d|$|logits|_)", re.I)


def heads(ledger: Ledger) -> frozenset[str]:
    """The last row with weights before each output, where that is a matrix or a 1×1 convolution.

    An output may be the sum of several.
    """
    made = _makers(ledger)
    found = {row.name for value in ledger.graph.outputs for row in _classifiers(value, made)}
    return frozenset(found)


def _classifiers(value: str, made: dict[str, Row]) -> list[Row]:
    row = made.get(value)
    while row is not None and not row.parameters and row.inputs:
        if isinstance(row.op, Add):
            terms = [made.get(v) for v in row.inputs]
            rows = [term for term in terms if term is not None and _is_classifier(term)]
            if len(rows) == len(terms):
                return rows
        row = made.get(row.inputs[0])
    return [row] if row is not None and _is_classifier(row) else []


def _is_classifier(row: Row) -> bool:
    if isinstance(row.op, Conv):
        kernel = row.op.kernel_size
        return all(k == 1 for k in (kernel if isinstance(kernel, tuple) else (kernel,)))
    return isinstance(row.op, Linear)


def aux_heads(ledger: Ledger) -> frozenset[str]:
    """Rows that only lesser outputs need, and rows that are called auxiliary.

    An output is lesser if it has the shape of another one that more layers lead to.
    """
    named = {
        row.name for row in ledger.ops if AUXILIARY.search(row.name) or AUXILIARY.search(row.scope)
    }
    before = {value: _leading_to(ledger, value) for value in ledger.graph.outputs}
    if len(before) < 2:
        return frozenset(named)
    types = {v: t for row in ledger.ops for v, t in zip(row.made, row.outputs, strict=True)}
    main = max(before, key=lambda value: len(before[value]))
    needed: set[str] = set(before[main])
    for value, rows in before.items():
        if types.get(value) != types.get(main):
            needed |= rows
    lesser = {name for rows in before.values() for name in rows} - needed
    return frozenset(named | lesser)


def _leading_to(ledger: Ledger, value: str) -> frozenset[str]:
    made = _makers(ledger)
    found: set[str] = set()
    todo = [value]
    while todo:
        row = made.get(todo.pop())
        if row is not None and row.name not in found:
            found.add(row.name)
            todo += row.inputs
    return frozenset(found)


def embeddings(ledger: Ledger) -> frozenset[str]:
    """Tables that are looked up, and learned embeddings of positions."""
    looked_up = {
        row.name
        for row in ledger.ops
        if isinstance(row.op, Embedding)
        or (isinstance(row.op, Inventory) and EMBEDDING.search(row.name))
    }
    return frozenset(looked_up) | position_embeddings(ledger)


def position_embeddings(ledger: Ledger) -> frozenset[str]:
    """Tables looked up by constant positions; tensors named for positions that are added."""
    made = _makers(ledger)
    added = {value for row in ledger.ops if isinstance(row.op, Add) for value in row.inputs}
    found = set()
    for row in ledger.ops:
        if isinstance(row.op, Embedding):
            maker = made.get(row.inputs[0])
            if (maker is not None and _constant(maker, made)) or POSITION.search(row.name):
                found.add(row.name)
        elif isinstance(row.op, Tensor) and added.intersection(row.made):
            found.update({row.name} if POSITION.search(row.name) else ())
        elif isinstance(row.op, Inventory) and POSITION.search(row.name):
            found.add(row.name)
    return frozenset(found)


def _constant(row: Row, made: dict[str, Row]) -> bool:
    """True for constants and stored tables of numbers, moved about or not."""
    while row.inputs and len(row.inputs) == 1 and not row.parameters:
        before = made.get(row.inputs[0])
        if before is None:
            return False
        row = before
    return isinstance(row.op, Constant) or (isinstance(row.op, Tensor) and row.op.role == "buffer")


def _makers(ledger: Ledger) -> dict[str, Row]:
    """For each value, the operation that makes it; inputs have none."""
    return {value: row for row in ledger.ops if row.op is not None for value in row.made}
