"""A pickle, read without unpickling it: what it would build, as plain values and symbols.

Opcodes are followed one by one, by the table below, on a stack of our own (`pickle_machine`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import repeat
from typing import Any

from netledger.errors import SpecError
from netledger.inventory.pickle_machine import MOST_BYTES, Calls, Global, Machine
from netledger.untrusted import Bytes

MOST_OPCODES = 1_500_000
_NOT_KEPT = "not a sound pickle: it takes what was never kept"


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
    machine = Machine(data, start, calls, persistent)
    try:
        return _run(machine), machine.at
    except (IndexError, struct.error):
        raise SpecError(f"not a sound pickle: cut off or damaged at byte {machine.at:,}") from None


def _run(m: Machine) -> Any:
    data, end, memo, steps, word = m.data, m.end, m.memo, _STEPS, _WORD
    at, stack = m.at, m.stack
    for _ in repeat(None, MOST_OPCODES):
        code = data[at]
        m.at = at = at + 1
        if code == _PUT_WORD:  # this and the next are half of a checkpoint
            if not stack:
                raise m.lack()
            memo[word(data, at)[0]] = stack[-1]
            m.at = at = at + 4
        elif code == _GET_BYTE:
            try:
                stack.append(memo[data[at]])
            except KeyError:
                raise SpecError(_NOT_KEPT) from None
            m.at = at = at + 1
        else:
            step = steps[code]
            if step is None:
                if code == _STOP:
                    return m.pop()
                raise SpecError(f"not a sound pickle: unknown opcode {code:#04x}")
            step(m)
            at, stack = m.at, m.stack
        if at > end:
            if end < len(data):
                raise SpecError(f"a pickle of more than {MOST_BYTES:,} bytes")
            raise IndexError
    raise SpecError(f"a pickle of more than {MOST_OPCODES:,} opcodes")


def _tuple(m: Machine) -> None:
    parts = tuple(m.items())
    m.stack.append(parts)


def _one(m: Machine) -> None:
    stack = m.stack
    if not stack:
        raise m.lack()
    stack[-1] = (stack[-1],)


def _two(m: Machine) -> None:
    last, first = m.pop(), m.top()
    m.stack[-1] = (first, last)


def _three(m: Machine) -> None:
    last, second, first = m.pop(), m.pop(), m.top()
    m.stack[-1] = (first, second, last)


def _pop_or_mark(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.stack = m.below.pop()


def _pop_to_mark(m: Machine) -> None:
    m.items()


def _protocol(m: Machine) -> None:
    version = _byte(m)
    if version > 5:
        raise SpecError(f"pickle protocol {version} is not read")


def _frame(m: Machine) -> None:
    if _EIGHT_BYTES(m) > m.end - m.at:
        raise IndexError


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


def _pairs(m: Machine) -> None:
    pairs = m.items()
    m.push({})
    m.set_items(pairs)


def _refuse(why: str) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        raise SpecError(f"not a pickle of torch.save: {why}")

    return step


Reader = Callable[[Machine], Any]
"""Takes something from where the machine is."""
Step = Callable[[Machine], None]
"""What an opcode does; a pickle has a million of them, so the frequent ones call nothing."""


def _number(layout: str) -> Reader:
    form = struct.Struct(layout)
    unpack, size = form.unpack_from, form.size

    def read(m: Machine) -> Any:
        at = m.at
        m.at = at + size  # whether that is beyond the end is asked after every opcode
        return unpack(m.data, at)[0]

    return read


def _push_number(layout: str) -> Step:
    form = struct.Struct(layout)
    unpack, size = form.unpack_from, form.size

    def step(m: Machine) -> None:
        at = m.at
        m.at = at + size
        m.stack.append(unpack(m.data, at)[0])

    return step


def _byte(m: Machine) -> int:
    m.at += 1
    return m.data[m.at - 1]


_FOUR_BYTES, _EIGHT_BYTES, _SIGNED = _number("<I"), _number("<Q"), _number("<i")
_WORD = struct.Struct("<I").unpack_from


def _line_number(m: Machine) -> int:
    raw = m.line()
    if not raw.isdigit() or len(raw) > 12:
        raise SpecError("not a sound pickle: a number that is none")
    return int(raw)


def _bytes(size: Reader) -> Step:
    return lambda m: m.stack.append(m.take(size(m)))


def _text(size: Reader) -> Step:
    return lambda m: m.stack.append(m.text(m.take(size(m))))


def _push(read: Reader) -> Step:
    def step(m: Machine) -> None:
        value = read(m)  # before m.stack, which may be another one then
        m.stack.append(value)

    return step


def _value(value: Any) -> Step:
    return lambda m: m.stack.append(value)


def _put(where: Reader) -> Step:
    def step(m: Machine) -> None:
        value = m.top()
        m.memo[where(m)] = value

    return step


def _get(where: Reader) -> Step:
    def step(m: Machine) -> None:
        at = where(m)
        if at not in m.memo:
            raise SpecError(_NOT_KEPT)
        m.stack.append(m.memo[at])

    return step


def _push_byte(m: Machine) -> None:
    at = m.at
    m.stack.append(m.data[at])
    m.at = at + 1


_OPCODES: dict[int, Step] = {
    ord("("): Machine.mark,
    ord("0"): _pop_or_mark,
    ord("1"): _pop_to_mark,
    ord("2"): _push(Machine.top),
    ord("F"): Machine.decimal_float,
    ord("I"): Machine.decimal,
    ord("L"): Machine.decimal,
    ord("J"): _push_number("<i"),
    ord("K"): _push_byte,
    ord("M"): _push_number("<H"),
    ord("N"): _value(None),
    ord("P"): _refuse("a persistent id as text"),
    ord("Q"): Machine.stored,
    ord("R"): Machine.reduce,
    ord("S"): Machine.quoted_text,
    ord("T"): _bytes(_FOUR_BYTES),
    ord("U"): _bytes(_byte),
    ord("V"): _push(lambda m: m.text(m.line())),
    ord("X"): _text(_FOUR_BYTES),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("b"): Machine.build,
    ord("c"): _push(lambda m: Global(m.text(m.line()), m.text(m.line()))),
    ord("d"): _pairs,
    ord("}"): _push(lambda m: {}),
    ord("e"): lambda m: m.append(m.items()),
    ord("g"): _get(_line_number),
    ord("j"): _get(_FOUR_BYTES),
    ord("i"): Machine.instance,
    ord("l"): _push(Machine.items),
    ord("]"): _push(lambda m: []),
    ord("o"): Machine.object,
    ord("p"): _put(_line_number),
    ord("q"): _put(_byte),
    ord("s"): _set_item,
    ord("t"): _tuple,
    ord(")"): _value(()),
    ord("u"): lambda m: m.set_items(m.items()),
    ord("G"): _push_number(">d"),
    ord("B"): _bytes(_FOUR_BYTES),
    ord("C"): _bytes(_byte),
    0x80: _protocol,
    0x81: Machine.reduce,
    0x82: _refuse("an extension code"),
    0x83: _refuse("an extension code"),
    0x84: _refuse("an extension code"),
    0x85: _one,
    0x86: _two,
    0x87: _three,
    0x88: _value(True),
    0x89: _value(False),
    0x8A: lambda m: m.long(_byte(m)),
    0x8B: lambda m: m.long(_SIGNED(m)),
    0x8C: _text(_byte),
    0x8D: _text(_EIGHT_BYTES),
    0x8E: _bytes(_EIGHT_BYTES),
    0x8F: _push(lambda m: []),
    0x90: lambda m: m.append(m.items()),
    0x91: _push(Machine.items),
    0x92: Machine.new_ex,
    0x93: Machine.stack_global,
    0x94: _put(lambda m: len(m.memo)),
    0x95: _frame,
    0x96: _bytes(_EIGHT_BYTES),
    0x97: _refuse("a buffer outside of it"),
    0x98: _refuse("a buffer outside of it"),
}
"""All but the three that `_run` follows itself."""
_STOP, _PUT_WORD, _GET_BYTE = ord("."), ord("r"), ord("h")
_STEPS = [_OPCODES.get(code) for code in range(256)]
