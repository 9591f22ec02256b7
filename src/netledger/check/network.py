"""A ledger as rules look at it: who makes a value, who uses it, what leads where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netledger.ledger import Ledger, Row
from netledger.ops import Dropout, Identity, Op

PASSING: tuple[type[Op], ...] = (Identity, Dropout)
"""Operations that a trained network could do without."""


class Network:
    """The rows of a ledger, linked.

    Attributes:
        ledger: The ledger.
        rows: Its rows, one for each input and operation, in order.
        outputs: The values that the network returns.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.rows = ledger.ops
        self.outputs = frozenset(ledger.graph.outputs)
        self.by_name = {row.name: row for row in self.rows}
        self._maker = {value: row for row in self.rows for value in row.made}
        self._users: dict[str, list[Row]] = {}
        for row in self.rows:
            for value in dict.fromkeys(row.inputs):
                self._users.setdefault(value, []).append(row)

    def of(self, *kinds: type[Op]) -> Iterator[Row]:
        """The rows whose operation is of one of these kinds."""
        return (row for row in self.rows if isinstance(row.op, kinds))

    def maker(self, value: str) -> Row:
        """The row that makes a value."""
        return self._maker[value]

    def users(self, row: Row) -> list[Row]:
        """The rows that take any value of `row`."""
        return [user for value in row.made for user in self._users.get(value, ())]

    def users_of(self, value: str) -> list[Row]:
        """The rows that take a value."""
        return self._users.get(value, [])

    def returned(self, row: Row) -> bool:
        """True if the network returns a value of `row`."""
        return not self.outputs.isdisjoint(row.made)

    def only_user(self, row: Row) -> Row | None:
        """The row that takes what `row` makes, if nothing else does."""
        users = self.users(row)
        return users[0] if len(users) == 1 and not self.returned(row) else None

    def feeder(self, row: Row, through: tuple[type[Op], ...] = PASSING) -> Row | None:
        """The row that feeds `row`, seen through operations that change nothing here."""
        if not row.inputs:
            return None
        found = self._maker[row.inputs[0]]
        while isinstance(found.op, through) and found.inputs:
            found = self._maker[found.inputs[0]]
        return found

    def after(self, row: Row) -> list[Row]:
        """Every row that `row` leads to."""
        return self._reached(self.users(row), self.users)

    def before(self, rows: Iterable[Row]) -> list[Row]:
        """These rows, and every row that leads to one of them."""
        return self._reached(rows, lambda row: [self._maker[value] for value in row.inputs])

    def _reached(self, start: Iterable[Row], step: Any) -> list[Row]:
        seen: dict[str, Row] = {}
        waiting = list(start)
        while waiting:
            row = waiting.pop()
            if row.name not in seen:
                seen[row.name] = row
                waiting.extend(step(row))
        return list(seen.values())


def whole(value: Any) -> bool:
    """True for a number; False for a formula of symbols, or for None."""
    return type(value) is int


def joined(names: list[str], most: int = 3) -> str:
    """Names in a row: ``a, b and c``; only the first of many."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def plural(count: int, word: str) -> str:
    """A count of things: ``1 bias``, ``96 biases``."""
    more = word + ("es" if word.endswith("s") else "s")
    return f"{count:,} {word if count == 1 else more}"


def times(sizes: Iterable[Any]) -> str:
    """Sizes as people write them: ``13×13``."""
    return "×".join(map(str, sizes))
