"""Watches a generated model while it runs: what each row makes, statement by statement.

The model's own code runs, unchanged. A trace function, as a debugger has one, sees each statement
of its forward passes finish, and each layer return.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from netledger.build.source.forward import Forward
from netledger.build.source.tree import Block, Leaf

Spans = tuple[tuple[int, int], ...]
"""The first and last line of each statement of a forward pass."""


def spans(source: str, method: str) -> dict[str, Spans]:
    """For each class of a source, where the statements of its forward pass are."""
    found: dict[str, Spans] = {}
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for node in classes:
        for function in node.body:
            if isinstance(function, ast.FunctionDef) and function.name == method:
                lines = [(s.lineno, s.end_lineno or s.lineno) for s in function.body]
                found[node.name] = tuple(lines)
    return found


class Watcher:
    """Sees what the rows of a model make.

    Args:
        method: What forward passes are called.
        blocks: For each module of the model, by `id`: its block, its forward pass, its statements.
        leaves: For each layer of the model, by `id`: its row.
        saw: Is told the value's name and the value.
    """

    def __init__(
        self,
        method: str,
        blocks: dict[int, tuple[Block, Forward, Spans]],
        leaves: dict[int, Leaf],
        saw: Callable[[str, Any], None],
    ) -> None:
        self.method, self.blocks, self.leaves, self.saw = method, blocks, leaves, saw

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watches what runs inside."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event != "call" or frame.f_code.co_name != self.method:
            return None
        own = id(frame.f_locals.get("self"))
        if own in self.leaves:
            return self._layer(self.leaves[own], frame)
        if own in self.blocks:
            return self._module(*self.blocks[own])
        return None

    def _layer(self, leaf: Leaf, frame: FrameType) -> Callable[..., Any]:
        frame.f_trace_lines = False

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "return" and arg is not None:
                self._made(leaf.outputs, _flat(arg))
            return trace

        return trace

    def _module(self, block: Block, passed: Forward, lines: Spans) -> Callable[..., Any]:
        at = -1

        def finished(frame: FrameType, returned: Any = None) -> None:
            if not 0 <= at < len(passed.steps):
                return
            step = passed.steps[at]
            child = block.children[step.place]  # a step is that of the first of like modules
            if not isinstance(child, Leaf):
                return
            if (
                returned is not None
                and step.outputs == passed.returned
                and _last(at, passed, lines)
            ):
                values = _flat(returned)
            else:
                values = [frame.f_locals.get(name) for name in step.outputs]
            self._made(child.outputs, values)

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal at
            if event == "line":
                here = _statement(frame.f_lineno, lines)
                if here != at:
                    finished(frame)
                    at = here
            elif event == "return" and arg is not None:
                finished(frame, arg)
            return trace

        return trace

    def _made(self, values: tuple[str, ...], made: list[Any]) -> None:
        for value, array in zip(values, made, strict=False):
            if hasattr(array, "shape"):
                self.saw(value, array)


def _last(at: int, passed: Forward, lines: Spans) -> bool:
    """True if this step's statement is the one that returns."""
    return at == len(passed.steps) - 1 == len(lines) - 1


def _statement(line: int, lines: Spans) -> int:
    return next((i for i, (first, last) in enumerate(lines) if first <= line <= last), -1)


def _flat(value: Any) -> list[Any]:
    """Arrays in the order in which nested tuples have them."""
    if isinstance(value, tuple | list):
        return [array for part in value for array in _flat(part)]
    return [value]
