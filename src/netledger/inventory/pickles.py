"""A pickle, read without unpickling it: what it would build, as plain values and symbols.

Opcodes are followed one by one, by the table below, on a stack of our own (`pickle_machine`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from netledger.errors import SpecError
from netledger.inventory.pickle_machine import MARK, MOST_BYTES, NO_VALUE, Calls, Global, Machine
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
    data, end, find = m.data, m.end, _OPCODES.get
    for _ in range(MOST_OPCODES):
        code = data[m.at]
        m.at += 1
        step = find(code)
        if step is None:
            if code == 0x2E:  # STOP
                return m.pop()
            raise SpecError(f"not a sound pickle: unknown opcode {code:#04x}")
        step(m)
        if m.at > end:
            if end < len(data):
                raise SpecError(f"a pickle of more than {MOST_BYTES:,} bytes")
            raise IndexError
    raise SpecError(f"a pickle of more than {MOST_OPCODES:,} opcodes")


def _pops(count: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        values = m.stack[-count:]
        if len(values) < count:
            raise IndexError
        for value in values:
            if value is MARK:
                raise SpecError(NO_VALUE)
        m.stack[-count:] = [tuple(values)]

    return step


def _pop_or_mark(m: Machine) -> None:
    m.stack.pop()


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
"""Takes something from where the machine is; a pickle has millions of them."""


def _number(layout: str) -> Reader:
    form = struct.Struct(layout)
    unpack, size = form.unpack_from, form.size

    def read(m: Machine) -> Any:
        at = m.at
        m.at = at + size  # whether that is beyond the end is asked after every opcode
        return unpack(m.data, at)[0]

    return read


def _byte(m: Machine) -> int:
    m.at += 1
    return m.data[m.at - 1]


_TWO_BYTES, _FOUR_BYTES = _number("<H"), _number("<I")
_EIGHT_BYTES, _SIGNED = _number("<Q"), _number("<i")
_UNPACK_WORD = struct.Struct("<I").unpack_from


def _line_number(m: Machine) -> int:
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
    def step(m: Machine) -> None:
        m.memo[where(m)] = m.stack[-1]

    return step


def _get(where: Reader) -> Reader:
    def step(m: Machine) -> None:
        at = where(m)
        if at not in m.memo:
            raise SpecError(_NOT_KEPT)
        m.stack.append(m.memo[at])

    return step


def _put_word(m: Machine) -> None:  # this and the next two are most of a checkpoint
    at = m.at
    m.memo[_UNPACK_WORD(m.data, at)[0]] = m.stack[-1]
    m.at = at + 4


def _get_byte(m: Machine) -> None:
    at = m.at
    try:
        m.stack.append(m.memo[m.data[at]])
    except KeyError:
        raise SpecError(_NOT_KEPT) from None
    m.at = at + 1


def _push_byte(m: Machine) -> None:
    at = m.at
    m.stack.append(m.data[at])
    m.at = at + 1


_OPCODES: dict[int, Reader] = {
    ord("("): _push(lambda m: MARK),
    ord("0"): _pop_or_mark,
    ord("1"): lambda m: m.items(),
    ord("2"): _push(lambda m: m.top()),
    ord("F"): Machine.decimal_float,
    ord("I"): Machine.decimal,
    ord("L"): Machine.decimal,
    ord("J"): _push(_SIGNED),
    ord("K"): _push_byte,
    ord("M"): _push(_TWO_BYTES),
    ord("N"): _push(lambda m: None),
    ord("P"): _refuse("a persistent id as text"),
    ord("Q"): _push(lambda m: m.persistent(m.pop())),
    ord("R"): Machine.reduce,
    ord("S"): Machine.quoted_text,
    ord("T"): _push(_bytes(_FOUR_BYTES)),
    ord("U"): _push(_bytes(_byte)),
    ord("V"): _push(lambda m: m.text(m.line())),
    ord("X"): _push(_text(_FOUR_BYTES)),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("b"): Machine.build,
    ord("c"): _push(lambda m: Global(m.text(m.line()), m.text(m.line()))),
    ord("d"): _pairs,
    ord("}"): _push(lambda m: {}),
    ord("e"): lambda m: m.append(m.items()),
    ord("g"): _get(_line_number),
    ord("h"): _get_byte,
    ord("j"): _get(_FOUR_BYTES),
    ord("i"): Machine.instance,
    ord("l"): _push(Machine.items),
    ord("]"): _push(lambda m: []),
    ord("o"): Machine.object,
    ord("p"): _put(_line_number),
    ord("q"): _put(_byte),
    ord("r"): _put_word,
    ord("s"): _set_item,
    ord("t"): _push(lambda m: tuple(m.items())),
    ord(")"): _push(lambda m: ()),
    ord("u"): lambda m: m.set_items(m.items()),
    ord("G"): _push(_number(">d")),
    ord("B"): _push(_bytes(_FOUR_BYTES)),
    ord("C"): _push(_bytes(_byte)),
    0x80: _protocol,
    0x81: Machine.reduce,
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
    0x91: _push(Machine.items),
    0x92: Machine.new_ex,
    0x93: Machine.stack_global,
    0x94: _put(lambda m: len(m.memo)),
    0x95: _frame,
    0x96: _push(_bytes(_EIGHT_BYTES)),
    0x97: _refuse("a buffer outside of it"),
    0x98: _refuse("a buffer outside of it"),
}
