"""The error tree.

    NetledgerError              everything that netledger raises on purpose
    ├── UsageError              a command or call that cannot be understood
    │   └── UnknownName         a name that does not exist, with a "did you mean"
    ├── SpecError               a spec or file that is not well formed
    ├── FieldError              a hyperparameter with an impossible value
    ├── ShapeError              a layer that does not fit its input
    ├── GraphError              a graph that is not one: cycles, missing or duplicate values
    ├── BuildError              a network that cannot be built in a framework
    └── MissingPackage          an optional package is needed; says the install command

Whoever finds the fault states the local fact and a hint. The *place* (which layer, which input,
which line) is added once, on the way out, with `NetledgerError.at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from netledger.ledger import Ledger


class NetledgerError(Exception):
    """One clear message: where, what, what was received, what to do.

    Args:
        fact: What is wrong, without the place.
        hint: What to do about it.
        where: The place in the user's own words, e.g. ``stage3.conv1 (Conv)``.
        received: What was received there, e.g. ``relu2: float32[N, 32, 56, 56]``.
        source: Where the user wrote it, e.g. ``resnet.yaml:41``.
    """

    def __init__(
        self, fact: str, *, hint: str = "", where: str = "", received: str = "", source: str = ""
    ) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint
        self.where = where
        self.received = received
        self.source = source
        self.partial: Ledger | None = None
        """The ledger up to the failing layer, where there is one."""

    def at(self, *, where: str = "", received: str = "", source: str = "") -> Self:
        """Adds the place; what is already known is kept, for the innermost place is the truest."""
        self.where = self.where or where
        self.received = self.received or received
        self.source = self.source or source
        return self

    def __str__(self) -> str:
        head = f"{self.where}: {self.fact}" if self.where else self.fact
        lines = [f"{type(self).__name__}: {head}"]
        for label, text in (
            ("input", self.received),
            ("source", self.source),
            ("hint", self.hint),
        ):
            if text:
                lines.append(f"  {label:<7} {text}")
        return "\n".join(lines)


class UsageError(NetledgerError):
    """A command or call that cannot be understood."""


class UnknownName(UsageError):
    """A name that does not exist.

    Args:
        kind: What the name was meant to be, e.g. ``network``.
        name: The name that was received.
        known: The names that exist.
        hint: What to do when no known name is close.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        super().__init__(f"unknown {kind} {name!r}", hint=did_you_mean(name, known) or hint)


class SpecError(NetledgerError):
    """A spec or file that is not well formed."""


class FieldError(NetledgerError):
    """A hyperparameter with an impossible value."""


class ShapeError(NetledgerError):
    """A layer that does not fit its input."""


class GraphError(NetledgerError):
    """A graph that is not one: cycles, missing or duplicate values."""


class BuildError(NetledgerError):
    """A network that cannot be built in a framework; names the layer and the framework."""


class MissingPackage(NetledgerError):
    """An optional package is needed.

    Args:
        package: The package's name on PyPI.
        extra: The extra of netledger that brings it.
        purpose: What it is needed for.
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            hint=f"pip install 'netledger[{extra}]'",
        )


SYNONYMS = {
    "dense": "linear",
    "fc": "linear",
    "fully_connected": "linear",
    "gemm": "linear",
    "mha": "multi_head_attention",
    "bn": "batch_norm",
    "batchnorm": "batch_norm",
    "ln": "layer_norm",
    "maxpool": "max_pool",
    "avgpool": "avg_pool",
    "deconv": "conv_transpose",
    "convolution": "conv",
    "cat": "concat",
    "concatenate": "concat",
}
"""What other tools and papers call an operation."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known names, or nothing when none is close."""
    import difflib

    known = list(known)
    meant = SYNONYMS.get(name.lower())
    if meant in known:
        return f"did you mean {meant!r}?"
    folded = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    if not close:
        return ""
    return "did you mean " + " or ".join(repr(folded[c]) for c in close) + "?"


def quoted(text: str, most: int = 200) -> str:
    """A name out of a file, made harmless: in quotes, control characters escaped, cut if long."""
    return repr(text if len(text) <= most else text[:most] + "…")
