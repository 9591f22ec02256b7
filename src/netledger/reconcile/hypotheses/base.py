"""What a hypothesis is: one kind of cause, and how it proposes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log2
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from netledger.edits import Edit

if TYPE_CHECKING:
    from netledger.reconcile.proposal import Cell, Proposal
    from netledger.reconcile.subject import Subject


class Change(NamedTuple):
    """An edit whose effect is measured by deriving the whole network anew.

    Attributes:
        kind: The kind of cause.
        cost: How surprising it is, in bits.
        text: The cause in words.
        edits: The change.
        rows: The layers that it concerns; by default those that are edited.
    """

    kind: str
    cost: float
    text: str
    edits: tuple[Edit, ...]
    rows: tuple[str, ...] = ()


class Step(NamedTuple):
    """A cause with a number in it, for which a division solves.

    Attributes:
        cells: What each one more changes.
        make: The proposals for a network and so many more, if anybody would do that.
        known: So many more, where an interval holds several: those that people choose.
    """

    cells: Sequence[Cell]
    make: Callable[[Subject, int], Iterable[Proposal]]
    known: tuple[int, ...] = ()


class Hypothesis:
    """One cause. It proposes in up to four ways; by default in none.

    The cost of a proposal is about −log₂ of how likely such a cause is beforehand, so costs of
    several causes add up: 2 bits for what every second dispute is about, 8 for one layer of many.
    """

    of_tensors: ClassVar[bool] = True
    """Whether `fixed` proposes nothing but changes of stored tensors; else it reads the counts."""

    def fixed(self, s: Subject) -> Iterable[Proposal]:
        """Proposals that depend on the network alone; their deltas are sums of the ledger's own."""
        return ()

    def steps(self, s: Subject) -> Iterable[Step]:
        """Proposals with a number in them, for which the search solves."""
        return ()

    def solve(self, s: Subject, delta: int) -> Iterable[Proposal]:
        """Proposals with several numbers in them, for the claim itself: no other cause beside."""
        return ()

    def networks(self, s: Subject) -> Iterable[Change]:
        """Edits that change the size of maps, so that the network has to be derived anew."""
        return ()


def one_of(count: int) -> float:
    """The bits that say which of `count` layers it is."""
    return log2(max(count, 1))


def multiples(unit: int, low: int, high: int, known: Iterable[int] = ()) -> Iterator[int]:
    """Every n with low ≤ n × unit ≤ high; of an interval with many, only `known` ones."""
    first, last = -(-low // unit), high // unit
    if unit < 0:
        first, last = -(-high // unit), low // unit
    if last - first < 1:
        yield from range(first, last + 1)
    else:
        yield from (n for n in known if first <= n <= last)


def number_cost(number: int, known: Iterable[int] = ()) -> float:
    """How surprising a number is: little if everybody uses it, less if it is round."""
    if number in known:
        return 0.0
    if number <= 0:
        return 20.0
    twos = (number & -number).bit_length() - 1
    return max(log2(number) - 1.2 * twos, 1.0) + 1.0
