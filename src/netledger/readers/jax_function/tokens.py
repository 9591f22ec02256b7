"""Scopes that say in a trace which call of which module made an equation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any


class Calls:
    """Opens the scope of a call; the numbers begin anew with every trace."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Counts from 0 again; two traces of one function then say the same."""
        self.numbers = count()

    @contextmanager
    def scope(self, module: Any, path: str, setting: str = "") -> Iterator[None]:
        """The scope of a call of a module at a path."""
        import jax

        kind = type(module).__name__
        safe = re.sub(r"[|>/()]", "_", path)
        with jax.named_scope(f"nl<{next(self.numbers)}|{safe}|{kind}|{setting}>"):
            yield


@contextmanager
def called_in_scopes(
    modules: Callable[[], dict[int, tuple[str, Any]]], classes: set[type], calls: Calls, layout: str
) -> Iterator[None]:
    """Calls of modules that have no hooks open a scope, while this lasts.

    Args:
        modules: Path and module by the module's identity, asked for at every call.
        classes: The classes of these modules.
        calls: Opens the scopes.
        layout: ``first`` or ``last``: where channels are by the library's convention.
    """
    with ExitStack() as stack:
        for kind in classes:
            if any("__call__" in vars(base) for base in kind.__mro__):
                stack.enter_context(_patched(kind, modules, calls, layout))
        yield


@contextmanager
def _patched(
    kind: type, modules: Callable[[], dict[int, tuple[str, Any]]], calls: Calls, layout: str
) -> Iterator[None]:
    own = "__call__" in vars(kind)
    kept = vars(kind).get("__call__")
    found = _inherited(kind)

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = found.__get__(self, type(self)) if hasattr(found, "__get__") else found
        known = modules().get(id(self))
        if known is None or type(self) is not kind:
            return bound(*args, **kwargs)
        groups = getattr(self, "num_groups", None) or getattr(self, "groups", "")
        with calls.scope(self, known[0], f"{layout}:{groups if isinstance(groups, int) else ''}"):
            return bound(*args, **kwargs)

    type.__setattr__(kind, "__call__", called)
    try:
        yield
    finally:
        if own:
            type.__setattr__(kind, "__call__", kept)
        else:
            type.__delattr__(kind, "__call__")


def _inherited(kind: type) -> Any:
    """The function behind ``__call__``, wherever it is defined."""
    for base in kind.__mro__:
        if "__call__" in vars(base):
            return vars(base)["__call__"]
    raise TypeError(f"{kind.__name__} cannot be called")
