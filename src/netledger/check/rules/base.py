"""What a rule is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netledger.check.network import Network
from netledger.ledger import Finding, Row

ERROR, WARNING, INFO = "error", "warning", "info"
LEVELS = (ERROR, WARNING, INFO)
"""What is wrong whatever was meant; what is probably not meant; what is good to know."""


class Rule:
    """One thing that can be found in a network. The docstring's first line says what.

    Attributes:
        code: Stable, never used again for anything else.
        name: The same in words, for people.
        level: One of `LEVELS`.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    level: ClassVar[str] = WARNING

    def find(self, net: Network) -> Iterator[Finding]:
        """The findings, in the order of the rows."""
        raise NotImplementedError

    def finding(self, row: Row, message: str, hint: str = "", level: str = "") -> Finding:
        """A finding of this rule at `row`."""
        return Finding(self.code, level or self.level, row.name, message, hint)

    @classmethod
    def summary(cls) -> str:
        """What it finds, in one line."""
        return (cls.__doc__ or "").split("\n", 1)[0]
