"""The calls of modules, gathered from the modules around each operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from netledger.graph import ModuleCall


class Frame(NamedTuple):
    """A module around an operator.

    Attributes:
        path: The module's path; empty for the network itself.
        kind: Its class, with the package it comes from.
        key: A name of this call; another call of the same module has another.
    """

    path: str
    kind: str
    key: str


class Calls:
    """The calls of modules in the order in which their first operators come.

    Attributes:
        found: The calls so far, for `Graph.calls`.
    """

    def __init__(self) -> None:
        self.found: list[ModuleCall] = []
        self._known: dict[tuple[int, str], int] = {}
        """Each call by the one around it and its own key."""

    def within(self, stack: Sequence[Frame]) -> int:
        """The innermost call of a stack, outermost module first; -1 outside of all."""
        at = -1
        for frame in stack:
            known = self._known.get((at, frame.key))
            if known is None:
                known = self._known[at, frame.key] = len(self.found)
                self.found.append(ModuleCall(frame.path, frame.kind, at))
            at = known
        return at
