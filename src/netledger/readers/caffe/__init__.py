"""Caffe networks: ``.prototxt`` files of both generations, `layer` and `layers`.

What is read is the network of the phase that the file states (``state { phase: TRAIN }``), by
default TEST, the one that is deployed. Losses and accuracies are left out: they are no part of the
network; a softmax with a loss stays as the softmax. Layers that no rule describes are kept as
unknown, with the reason.
"""

from __future__ import annotations

import re

from netledger.errors import SpecError
from netledger.graph import Graph
from netledger.readers.caffe.net import Net
from netledger.readers.caffe.text import parse
from netledger.readers.common import Source

LARGEST = 4 * 2**20
"""The largest file that is read, in bytes. The networks of the Model Zoo have less than 1 MB."""

_COMMENTS = re.compile(rb"(?:\s+|#[^\n]*)*")
_FIELD = re.compile(rb"[A-Za-z_]\w*\s*[:{<]")
_NETWORK = re.compile(
    rb"^[ \t]*(?:layers?\s*:?\s*[{<]|input\s*:\s*[\"']|input_dim\s*:\s*\d"
    rb"|input_shape\s*:?\s*[{<]|(?:train_|test_)?net\s*:\s*[\"'])",
    re.MULTILINE,
)


def accepts(source: Source) -> bool:
    """True for protobuf text with the fields of a Caffe network or solver."""
    head = source.head
    first = _COMMENTS.match(head)
    begins = first is not None and _FIELD.match(head, first.end()) is not None
    return begins and _NETWORK.search(head) is not None


def read(source: Source) -> Graph:
    """The network of a prototxt file.

    Raises:
        SpecError: If it is not protobuf text, not a network, or one that cannot be understood.
        GraphError: If values are missing or made twice.
    """
    message = parse(source.text(LARGEST), source.name)
    if message.has("net") or message.has("train_net"):
        raise SpecError(
            "this is a solver, not a network",
            where=source.name,
            hint="read the file that its net names",
        )
    return Net(message, source.name).graph()
