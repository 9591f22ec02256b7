"""A pickle, read without unpickling it: what it would build, as plain values and symbols.

Opcodes are followed one by one on a stack of our own. A class or function is only ever a name
(`Global`); calling one makes a symbol (`Made`), unless the table of the caller says how to read
the arguments. Nothing is imported, called or looked up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from netledger.errors import SpecError, quoted
from netledger.untrusted import Bytes

MOST_BYTES = 64 * 2**20
MOST_OPCODES = 2_500_000
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

_MARK = object()


def walk(data: Bytes, start: int, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """The value of a pickle, and where it ends: ``(value, end)``.

    Args:
        data: Where it is.
        start: Where it begins.
        calls: Functions that may be followed.
        persistent: What a persistent id stands for.

    Raises:
        SpecError: If it is no sound pickle, or too large.
    """
    machine = _Machine(data, start, calls, persistent)
    try:
        return machine.run(), machine.at
    except (IndexError, struct.error):
        raise SpecError(f"not a sound pickle: cut off or damaged at byte {machine.at:,}") from None


class _Machine:
    def __init__(
        self, data: Bytes, start: int, calls: Calls, persistent: Callable[[Any], Any]
    ) -> None:
        self.data, self.at = data, start
        self.end = min(len(data), start + MOST_BYTES)
        self.calls, self.persistent = calls, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, table = self.data, _OPCODES
        for _ in range(MOST_OPCODES):
            code = data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                return self.pop()
            step = table.get(code)
            if step is None:
                raise SpecError(f"not a sound pickle: unknown opcode {code:#04x}")
            step(self)
            if self.at > self.end:
                if self.end < len(data):
                    raise SpecError(f"a pickle of more than {MOST_BYTES:,} bytes")
                raise IndexError
        raise SpecError(f"a pickle of more than {MOST_OPCODES:,} opcodes")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise SpecError("not a sound pickle: a mark where a value should be")
        return value

    def top(self) -> Any:
        return self.stack[-1]

    def take(self, size: int) -> bytes:
        if size > self.end - self.at:
            raise IndexError
        self.at += size
        return self.data[self.at - size : self.at]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at, min(self.end, self.at + 65_536))
        if end < 0:
            raise IndexError
        text = self.data[self.at : end]
        self.at = end + 1
        return text

    def text(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise SpecError("not a sound pickle: a text that is not UTF-8") from None

    def items(self) -> list[Any]:
        """What lies above the last mark, which is taken away too."""
        stack = self.stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _MARK:
                found = stack[i + 1 :]
                del stack[i:]
                return found
        raise SpecError("not a sound pickle: a mark is missing")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def call(self, by: Any, args: Any) -> Any:
        known = self.calls.get(by.name) if isinstance(by, Global) else None
        if known is None or not isinstance(args, tuple):
            return Made(by, args)
        try:
            return known(args)
        except (ValueError, TypeError):
            raise SpecError(f"{quoted(by.name)} is given what it does not take") from None

    def reduce(self) -> None:
        args = self.pop()
        self.push(self.call(self.pop(), args))

    def new_ex(self) -> None:
        named, args = self.pop(), self.pop()
        made = Made(self.pop(), args)
        made.items["**"] = named
        self.push(made)

    def instance(self) -> None:
        module, name = self.text(self.line()), self.text(self.line())
        args = tuple(self.items())
        self.push(self.call(Global(module, name), args))

    def object(self) -> None:
        items = self.items()
        by = items.pop(0)
        self.push(self.call(by, tuple(items)))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise SpecError("not a sound pickle: the name of a class is no text")
        self.push(Global(module, name))

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Made):
            target.state = state

    def set_items(self, pairs: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Made):
            target = target.items
        if not isinstance(target, dict) or len(pairs) % 2:
            raise SpecError("not a sound pickle: keys and values for what is no dict")
        for i in range(0, len(pairs), 2):
            target[_key(pairs[i])] = pairs[i + 1]

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Made):
            for value in values:
                target.items[len(target.items)] = value
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise SpecError("not a sound pickle: items for what is no list")

    def long(self, size: int) -> None:
        if not 0 <= size <= LONGEST_INTEGER:
            raise SpecError(f"an integer of {size:,} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def decimal(self) -> None:
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
        try:
            self.push(float(self.line()))
        except ValueError:
            raise SpecError("not a sound pickle: a number that is none") from None

    def quoted_text(self) -> None:
        raw = self.line()
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in b"\"'" or b"\\" in raw:
            raise SpecError("not a sound pickle: a text without quotes")
        self.push(self.text(raw[1:-1]))


def _key(key: Any) -> Any:
    """A key of a dict; what may hold itself or is large is only told apart by identity."""
    if isinstance(key, str | int | float | bytes | Global | Made | type(None)):
        return key
    if isinstance(key, list | dict):
        raise SpecError("not a sound pickle: a list or dict as a key")
    return Made(None, key)


def _pops(count: int) -> Callable[[_Machine], None]:
    def step(m: _Machine) -> None:
        values = [m.pop() for _ in range(count)]
        m.stack.append(tuple(values[::-1]))

    return step


def _pop_or_mark(m: _Machine) -> None:
    m.stack.pop()


def _protocol(m: _Machine) -> None:
    version = _byte(m)
    if version > 5:
        raise SpecError(f"pickle protocol {version} is not read")


def _frame(m: _Machine) -> None:
    if _EIGHT_BYTES(m) > m.end - m.at:
        raise IndexError


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


def _pairs(m: _Machine) -> None:
    pairs = m.items()
    m.push({})
    m.set_items(pairs)


def _refuse(why: str) -> Callable[[_Machine], None]:
    def step(m: _Machine) -> None:
        raise SpecError(f"not a pickle of torch.save: {why}")

    return step


Reader = Callable[[_Machine], Any]
"""Takes something from where the machine is; a pickle has millions of them."""


def _number(layout: str) -> Reader:
    form = struct.Struct(layout)
    unpack, size = form.unpack_from, form.size

    def read(m: _Machine) -> Any:
        at = m.at
        m.at = at + size  # whether that is beyond the end is asked after every opcode
        return unpack(m.data, at)[0]

    return read


def _byte(m: _Machine) -> int:
    m.at += 1
    return m.data[m.at - 1]


_TWO_BYTES, _FOUR_BYTES = _number("<H"), _number("<I")
_EIGHT_BYTES, _SIGNED = _number("<Q"), _number("<i")


def _line_number(m: _Machine) -> int:
    raw = m.line()
    if not raw.isdigit() or len(raw) > 12:
        raise SpecError("not a sound pickle: a number that is none")
    return int(raw)


def _bytes(size: Reader) -> Reader:
    return lambda m: m.take(size(m))


def _text(size: Reader) -> Reader:
    return lambda m: m.text(m.take(size(m)))


def _push(read: Reader) -> Reader:
    return lambda m: m.stack.append(read(m))


def _put(where: Reader) -> Reader:
    def step(m: _Machine) -> None:
        m.memo[where(m)] = m.stack[-1]

    return step


def _get(where: Reader) -> Reader:
    def step(m: _Machine) -> None:
        at = where(m)
        if at not in m.memo:
            raise SpecError("not a sound pickle: it takes what was never kept")
        m.stack.append(m.memo[at])

    return step


_OPCODES: dict[int, Reader] = {
    ord("("): _push(lambda m: _MARK),
    ord("0"): _pop_or_mark,
    ord("1"): lambda m: m.items(),
    ord("2"): _push(lambda m: m.top()),
    ord("F"): _Machine.decimal_float,
    ord("I"): _Machine.decimal,
    ord("L"): _Machine.decimal,
    ord("J"): _push(_SIGNED),
    ord("K"): _push(_byte),
    ord("M"): _push(_TWO_BYTES),
    ord("N"): _push(lambda m: None),
    ord("P"): _refuse("a persistent id as text"),
    ord("Q"): _push(lambda m: m.persistent(m.pop())),
    ord("R"): _Machine.reduce,
    ord("S"): _Machine.quoted_text,
    ord("T"): _push(_bytes(_FOUR_BYTES)),
    ord("U"): _push(_bytes(_byte)),
    ord("V"): _push(lambda m: m.text(m.line())),
    ord("X"): _push(_text(_FOUR_BYTES)),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("b"): _Machine.build,
    ord("c"): _push(lambda m: Global(m.text(m.line()), m.text(m.line()))),
    ord("d"): _pairs,
    ord("}"): _push(lambda m: {}),
    ord("e"): lambda m: m.append(m.items()),
    ord("g"): _get(_line_number),
    ord("h"): _get(_byte),
    ord("j"): _get(_FOUR_BYTES),
    ord("i"): _Machine.instance,
    ord("l"): _push(_Machine.items),
    ord("]"): _push(lambda m: []),
    ord("o"): _Machine.object,
    ord("p"): _put(_line_number),
    ord("q"): _put(_byte),
    ord("r"): _put(_FOUR_BYTES),
    ord("s"): _set_item,
    ord("t"): _push(lambda m: tuple(m.items())),
    ord(")"): _push(lambda m: ()),
    ord("u"): lambda m: m.set_items(m.items()),
    ord("G"): _push(_number(">d")),
    ord("B"): _push(_bytes(_FOUR_BYTES)),
    ord("C"): _push(_bytes(_byte)),
    0x80: _protocol,
    0x81: _Machine.reduce,
    0x82: _refuse("an extension code"),
    0x83: _refuse("an extension code"),
    0x84: _refuse("an extension code"),
    0x85: _pops(1),
    0x86: _pops(2),
    0x87: _pops(3),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    0x8A: lambda m: m.long(_byte(m)),
    0x8B: lambda m: m.long(_SIGNED(m)),
    0x8C: _push(_text(_byte)),
    0x8D: _push(_text(_EIGHT_BYTES)),
    0x8E: _push(_bytes(_EIGHT_BYTES)),
    0x8F: _push(lambda m: []),
    0x90: lambda m: m.append(m.items()),
    0x91: _push(_Machine.items),
    0x92: _Machine.new_ex,
    0x93: _Machine.stack_global,
    0x94: _put(lambda m: len(m.memo)),
    0x95: _frame,
    0x96: _push(_bytes(_EIGHT_BYTES)),
    0x97: _refuse("a buffer outside of it"),
    0x98: _refuse("a buffer outside of it"),
}
