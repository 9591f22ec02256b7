"""The stack that a pickle's opcodes work on, of plain values and symbols.

A class or function is only ever a name (`Global`); calling one makes a symbol (`Made`), unless the
table of the caller says how to read the arguments. Nothing is imported, called or looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netledger.errors import SpecError, quoted
from netledger.untrusted import Bytes

MOST_BYTES = 64 * 2**20
LONGEST_INTEGER = 64
"""Bytes; storages and sizes need 8."""


class Global:
    """A class or function, by name: ``torch._utils._rebuild_tensor_v2``."""

    __slots__ = ("name",)

    def __init__(self, module: str, name: str) -> None:
        self.name = f"{module}.{name}"


class Made:
    """What a call of an unknown function would make.

    Attributes:
        by: What was called.
        args: What it was given.
        state: What it was filled with afterwards.
        items: What was put into it afterwards, as keys and values.
    """

    __slots__ = ("args", "by", "items", "state")

    def __init__(self, by: Any, args: Any) -> None:
        self.by, self.args = by, args
        self.state: Any = None
        self.items: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """The name of what was called."""
        return self.by.name if isinstance(self.by, Global) else "something"


Calls = Mapping[str, Callable[[tuple[Any, ...]], Any]]
"""Functions whose results are known, by name; they may raise ValueError."""

NO_VALUE = "not a sound pickle: a mark where a value should be"


class Machine:
    """A pickle, how far it was read, and what it has made so far.

    The stack is in pieces, one for each mark: `stack` is what lies above the last one, `below` are
    the others. So nobody looks for marks, and no value is one.
    """

    def __init__(
        self, data: Bytes, start: int, calls: Calls, persistent: Callable[[Any], Any]
    ) -> None:
        self.data, self.at = data, start
        self.end = min(len(data), start + MOST_BYTES)
        self.calls, self.persistent = calls, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        """Takes the last value."""
        try:
            return self.stack.pop()
        except IndexError:
            raise self.lack() from None

    def top(self) -> Any:
        """The last value, which stays."""
        if not self.stack:
            raise self.lack()
        return self.stack[-1]

    def target(self) -> Any:
        """What is to be filled, which stays; None if a mark is in its place."""
        return None if self.below and not self.stack else self.top()

    def lack(self) -> Exception:
        """Why there is no value to take."""
        return SpecError(NO_VALUE) if self.below else IndexError()

    def mark(self) -> None:
        """MARK: what follows is one thing's parts."""
        self.below.append(self.stack)
        self.stack = []

    def take(self, size: int) -> bytes:
        """So many bytes of the pickle."""
        if size > self.end - self.at:
            raise IndexError
        self.at += size
        return self.data[self.at - size : self.at]

    def line(self) -> bytes:
        """The bytes up to the end of the line."""
        end = self.data.find(b"\n", self.at, min(self.end, self.at + 65_536))
        if end < 0:
            raise IndexError
        text = self.data[self.at : end]
        self.at = end + 1
        return text

    def text(self, raw: bytes) -> str:
        """Bytes as UTF-8."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise SpecError("not a sound pickle: a text that is not UTF-8") from None

    def items(self) -> list[Any]:
        """What lies above the last mark, which is taken away too."""
        if not self.below:
            raise SpecError("not a sound pickle: a mark is missing")
        found, self.stack = self.stack, self.below.pop()
        return found

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)

    def call(self, by: Any, args: Any) -> Any:
        """What a call makes: known, or a symbol."""
        known = self.calls.get(by.name) if type(by) is Global else None
        if known is None or not isinstance(args, tuple):
            return Made(by, args)
        try:
            return known(args)
        except (ValueError, TypeError):
            raise SpecError(f"{quoted(by.name)} is given what it does not take") from None

    def reduce(self) -> None:
        """REDUCE, NEWOBJ: a call of what lies below its arguments."""
        stack = self.stack
        if len(stack) < 2:
            raise self.lack()
        args = stack.pop()
        stack[-1] = self.call(stack[-1], args)

    def stored(self) -> None:
        """BINPERSID: what a persistent id stands for."""
        self.stack[-1] = self.persistent(self.top())

    def new_ex(self) -> None:
        """NEWOBJ_EX: with named arguments, which are kept."""
        named, args = self.pop(), self.pop()
        made = Made(self.pop(), args)
        made.items["**"] = named
        self.push(made)

    def instance(self) -> None:
        """INST: a call of a class that is named in the pickle."""
        module, name = self.text(self.line()), self.text(self.line())
        args = tuple(self.items())
        self.push(self.call(Global(module, name), args))

    def object(self) -> None:
        """OBJ: a call of the first value above the mark."""
        items = self.items()
        by = items.pop(0)
        self.push(self.call(by, tuple(items)))

    def stack_global(self) -> None:
        """STACK_GLOBAL: a class or function whose name is on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise SpecError("not a sound pickle: the name of a class is no text")
        self.push(Global(module, name))

    def build(self) -> None:
        """BUILD: what a symbol is filled with."""
        state, target = self.pop(), self.target()
        if isinstance(target, Made):
            target.state = state

    def set_items(self, pairs: list[Any]) -> None:
        """Keys and values for the dict, or the symbol, on top."""
        target = self.target()
        if isinstance(target, Made):
            target = target.items
        if not isinstance(target, dict) or len(pairs) % 2:
            raise SpecError("not a sound pickle: keys and values for what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[key if type(key) is str else _key(key)] = value

    def append(self, values: list[Any]) -> None:
        """Items for the list, or the symbol, on top."""
        target = self.target()
        if isinstance(target, Made):
            for value in values:
                target.items[len(target.items)] = value
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise SpecError("not a sound pickle: items for what is no list")

    def long(self, size: int) -> None:
        """An integer of so many bytes."""
        if not 0 <= size <= LONGEST_INTEGER:
            raise SpecError(f"an integer of {size:,} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def decimal(self) -> None:
        """A number or a truth value in a line."""
        raw = self.line()
        if raw in (b"00", b"01"):
            self.push(raw == b"01")
            return
        try:
            if len(raw) > 2 * LONGEST_INTEGER:
                raise ValueError
            self.push(int(raw.rstrip(b"L")))
        except ValueError:
            raise SpecError("not a sound pickle: a number that is none") from None

    def decimal_float(self) -> None:
        """A float in a line."""
        try:
            self.push(float(self.line()))
        except ValueError:
            raise SpecError("not a sound pickle: a number that is none") from None

    def quoted_text(self) -> None:
        """A text in quotes in a line."""
        raw = self.line()
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in b"\"'" or b"\\" in raw:
            raise SpecError("not a sound pickle: a text without quotes")
        self.push(self.text(raw[1:-1]))


def _key(key: Any) -> Any:
    """A key of a dict; what may hold itself or is large is only told apart by identity."""
    if key is None or isinstance(key, (str, int, float, bytes, Global, Made)):
        return key
    if isinstance(key, list | dict):
        raise SpecError("not a sound pickle: a list or dict as a key")
    return Made(None, key)
