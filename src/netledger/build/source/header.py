"""What the docstring of a generated model says."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from netledger.build.source.expression import INDENT, WIDTH
from netledger.build.source.kinds import Kind
from netledger.build.source.names import text
from netledger.build.source.natural import Natural
from netledger.build.source.notes import totals_text


@dataclass(frozen=True)
class Header:
    """What is told of a network.

    Attributes:
        net: The network.
        axes: How the framework's axes are called.
    """

    net: Natural
    axes: str

    @property
    def title(self) -> str:
        """One line: its title, or its name; what a reader has to remark on a file is no title."""
        graph = self.net.origin
        return text(graph.title if graph.title and graph.reader in AUTHORS else graph.name)


AUTHORS = ("", "zoo", "spec")
"""Where a title is what the author of the network wrote."""


def members(kind: Kind) -> list[str]:
    """The docstring of a repeated module: where it stands, at three places if there is room."""
    scopes = [text(member.scope, 60) for member in kind.members]
    for shown in range(min(len(scopes), 3), 0, -1):
        named = ", ".join(scopes[:shown])
        more = f" and {len(scopes) - shown} more" if scopes[shown:] else ""
        line = f'{INDENT}"""The module{"s" * (len(scopes) > 1)} {named}{more}."""'
        if len(line) <= WIDTH:
            break
    return [line]


def docstring(header: Header, indent: int = 1) -> list[str]:
    """Title, totals, inputs and outputs."""
    graph, ledger = header.net.graph, header.net.ledger
    types = {v: t for row in ledger.ops for v, t in zip(row.made, row.outputs, strict=True)}
    sentences = [f"{totals_text(ledger)}."]
    for word, values in (("Input", graph.inputs), ("Output", graph.outputs)):
        shapes = ", ".join(f"({', '.join(map(str, types[v].shape))})" for v in values)
        sentences.append(f"{word}{'s' * (len(values) > 1)}: {shapes}.")
    margin = "    " * indent
    wrapped = [line for s in sentences for line in textwrap.wrap(s, 88 - len(margin))]
    head = textwrap.wrap(header.title, 80 - len(margin))[0]
    return [f'{margin}"""{head.rstrip(".")}.', "", *(margin + w for w in wrapped), f'{margin}"""']
