"""Edits, and the explanations of a claim that are made of them, as data of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netledger.edits import (
    Edit,
    Insert,
    Remove,
    Rewire,
    SetField,
    SetInput,
    SetOp,
    SetTrainable,
    Tie,
    Untie,
)
from netledger.reconcile.proposal import Reconciliation
from netledger.render.common import LONGEST_TEXT, inert
from netledger.render.html.data import encode, encode_op, encode_type


def encode_edit(edit: Edit) -> list[Any]:
    """The name of the edit's class, then what it says; `makeEdit` of ``model.js`` reads it."""
    return [type(edit).__name__, *_PARTS[type(edit)](edit)]


_PARTS: Mapping[type[Edit], Callable[[Any], list[Any]]] = {
    SetField: lambda e: [e.row, e.field, encode(e.value)],
    SetOp: lambda e: [e.row, encode_op(e.op)],
    SetInput: lambda e: [e.name, *encode_type(e.type)],
    SetTrainable: lambda e: [e.row, e.trainable],
    Rewire: lambda e: [e.row, list(e.inputs)],
    Remove: lambda e: [e.row],
    Tie: lambda e: [encode(e.members)],
    Untie: lambda e: [encode(e.members)],
    Insert: lambda e: [
        e.name,
        encode_op(e.op),
        list(e.inputs),
        encode(e.feeds),
        list(e.outputs),
        e.scope,
        e.trainable,
    ],
}


def encode_claim(answer: Reconciliation) -> dict[str, Any]:
    """A claim and what would explain it; a click in the page makes the edits."""
    return {
        "text": inert(answer.claim.text, LONGEST_TEXT),
        "count": str(answer.count),
        "explanations": [
            {
                "result": str(e.result),
                "text": "; ".join(inert(cause.text, LONGEST_TEXT) for cause in e.causes),
                "edits": [encode_edit(edit) for cause in e.causes for edit in cause.edits],
            }
            for e in answer.explanations
            if e.causes
        ],
    }
