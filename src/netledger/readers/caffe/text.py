"""Protobuf text format: a tokenizer and a recursive parser, bounded in every direction.

A message becomes a `Message`, which keeps every field's values in order; what a field may hold is
asked when it is read, for the file alone does not say which message types it is made of.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from netledger.errors import SpecError

DEEPEST = 64
MOST_FIELDS = 200_000
LONGEST_STRING = 10_000

_SPACE = re.compile(r"(?:\s+|\#[^\n]*)*+")
_TOKEN = re.compile(
    _SPACE.pattern
    + r"""(?:
        (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[-+]?[A-Za-z0-9_.][A-Za-z0-9_.+-]*)
      | (?P<sign>[][{}<>:,;])
      | (?P<end>\Z))""",
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_INTEGER = re.compile(r"-?(?:0[xX][0-9A-Fa-f]{1,16}|0|[1-9][0-9]{0,19})")  # 010: octal, or ten?
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\([0-7]{1,3}|[xX][0-9A-Fa-f]{1,2}|.)")
_CLOSING = {"{": "}", "<": ">"}


class Word(str):
    """A value without quotes: a number, true, false or the name of an enum value."""


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    at: int


class Message:
    """A message: for each field its values, in order."""

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line
        self.fields: dict[str, list[Message | str]] = {}

    def messages(self, field: str) -> list[Message]:
        """The messages in a field."""
        found = self.fields.get(field, ())
        for value in found:
            if not isinstance(value, Message):
                raise self.wrong(field, "a message in braces", value)
        return [value for value in found if isinstance(value, Message)]

    def message(self, field: str) -> Message:
        """The one message in a field, or an empty one."""
        found = self.messages(field)
        self._at_most_one(field, len(found))
        return found[0] if found else Message(field, self.line)

    def texts(self, field: str) -> list[str]:
        """The quoted texts in a field."""
        return [self._scalar(field, v, "a quoted text", quoted=True) for v in self._all(field)]

    def text(self, field: str, default: str = "") -> str:
        """The one quoted text in a field."""
        found = self.texts(field)
        self._at_most_one(field, len(found))
        return found[0] if found else default

    def word(self, field: str, default: str = "") -> str:
        """The one enum name in a field."""
        found = [self._scalar(field, v, "a word without quotes") for v in self._all(field)]
        self._at_most_one(field, len(found))
        return found[0] if found else default

    def integers(self, field: str) -> list[int]:
        """The whole numbers in a field."""
        return [self._integer(field, value) for value in self._all(field)]

    def integer(self, field: str, default: int) -> int:
        """The one whole number in a field."""
        found = self.integers(field)
        self._at_most_one(field, len(found))
        return found[0] if found else default

    def numbers(self, field: str) -> list[float]:
        """The numbers in a field."""
        return [self._number(field, value) for value in self._all(field)]

    def number(self, field: str, default: float) -> float:
        """The one number in a field."""
        found = self.numbers(field)
        self._at_most_one(field, len(found))
        return found[0] if found else default

    def flag(self, field: str, default: bool) -> bool:
        """The one true or false in a field."""
        word = self.word(field, str(default).lower())
        if word not in _FLAGS:
            raise self.wrong(field, "true or false", Word(word))
        return _FLAGS[word]

    def has(self, field: str) -> bool:
        """True if the field is there."""
        return field in self.fields

    def wrong(self, field: str, wanted: str, value: Message | str) -> SpecError:
        """The error of a field that holds something else."""
        got = "a message" if isinstance(value, Message) else shown(value)
        return SpecError(f"{self.name}: {field} must be {wanted}; got {got}")

    def _all(self, field: str) -> list[Message | str]:
        return self.fields.get(field, [])

    def _at_most_one(self, field: str, count: int) -> None:
        if count > 1:
            raise SpecError(f"{self.name}: {field} is given {count} times; once is allowed")

    def _scalar(
        self, field: str, value: Message | str, wanted: str, *, quoted: bool = False
    ) -> str:
        if isinstance(value, Message) or isinstance(value, Word) is quoted:
            raise self.wrong(field, wanted, value)
        return value

    def _integer(self, field: str, value: Message | str) -> int:
        text = self._scalar(field, value, "a whole number")
        if not _INTEGER.fullmatch(text):
            raise self.wrong(field, "a whole number", value)
        return int(text, 16 if "x" in text.lower() else 10)

    def _number(self, field: str, value: Message | str) -> float:
        text = self._scalar(field, value, "a number")
        try:
            number = float(text.rstrip("fF")) if len(text) <= 50 else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(field, "a finite number", value)
        return number


_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def shown(text: str) -> str:
    """A text out of the file, inert and of bounded length."""
    quoted = repr(str(text[:100]))
    return f"{quoted}…" if len(text) > 100 else quoted


def parse(text: str, where: str) -> Message:
    """The message that a whole file holds.

    Raises:
        SpecError: If it is not protobuf text, or too deep or too large; with the line.
    """
    return _Parser(text, where).file()


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.lines = [match.start() for match in re.finditer("\n", text)]
        self.tokens = self._tokens()
        self.fields = 0
        self.next = next(self.tokens)

    def file(self) -> Message:
        return self._message("the file", "", 0)

    def _tokens(self) -> Iterator[_Token]:
        text, match, at, kind = self.text, _TOKEN.match, 0, ""
        while kind != "end":
            found = match(text, at)
            if found is None:
                space = _SPACE.match(text, at)
                at = space.end() if space else at
                raise self._error(self._strange(at), at)
            kind = str(found.lastgroup)
            yield _Token(kind, found[kind], found.start(kind))
            at = found.end()

    def _strange(self, at: int) -> str:
        sign = self.text[at]
        if sign in "\"'":
            return "a text has no closing quote"
        return f"the character {shown(sign)} has no meaning here"

    def _error(self, fact: str, at: int) -> SpecError:
        return SpecError(fact, where=f"{self.where}:{self._line(at)}")

    def _line(self, at: int) -> int:
        return bisect_right(self.lines, at - 1) + 1

    def _take(self) -> _Token:
        token = self.next
        if token.kind != "end":
            self.next = next(self.tokens)
        return token

    def _message(self, name: str, closing: str, depth: int) -> Message:
        """The fields up to the closing bracket."""
        start = self.next.at
        if depth > DEEPEST:
            raise self._error(f"messages are nested deeper than {DEEPEST}", start)
        made = Message(name, self._line(start))
        while self.next.kind != "end" and self.next.text not in ("}", ">"):
            self._field(made, depth)
        last = self._take()
        if last.text != closing:
            fact = f"{shown(name)} has no closing bracket"
            if last.text:
                wanted = f"{shown(name)} ends with {closing!r}" if closing else "nothing is open"
                fact = f"unexpected {last.text!r}: {wanted}"
            raise self._error(fact, start if not last.text else last.at)
        return made

    def _field(self, message: Message, depth: int) -> None:
        name = self._take()
        if name.kind != "word" or not _NAME.fullmatch(name.text):
            raise self._error(f"expected the name of a field; got {shown(name.text)}", name.at)
        colon = self.next.text == ":" and self.next.kind == "sign"
        if colon:
            self._take()
        values = message.fields.setdefault(name.text, [])
        if self.next.kind == "sign" and self.next.text == "[":
            self._list(name, values, depth)
        else:
            values.append(self._value(name, depth, colon))
        while self.next.kind == "sign" and self.next.text in ",;":
            self._take()

    def _list(self, name: _Token, values: list[Message | str], depth: int) -> None:
        self._take()
        while not (self.next.kind == "sign" and self.next.text == "]"):
            values.append(self._value(name, depth, True))
            if self.next.text == ",":
                self._take()
            elif self.next.text != "]":
                raise self._error(f"the list {shown(name.text)} has no closing bracket", name.at)
        self._take()

    def _value(self, name: _Token, depth: int, colon: bool) -> Message | str:
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise self._error(f"more than {MOST_FIELDS:,} values", name.at)
        token = self._take()
        if token.kind == "sign" and token.text in _CLOSING:
            return self._message(name.text, _CLOSING[token.text], depth + 1)
        if not colon:
            raise self._error(f"expected ':' or '{{' after {shown(name.text)}", name.at)
        if token.kind == "word":
            return Word(token.text)
        if token.kind != "string":
            got = shown(token.text) if token.text else "the end of the file"
            raise self._error(f"expected a value of {shown(name.text)}; got {got}", token.at)
        parts = [token.text[1:-1]]
        while self.next.kind == "string":
            parts.append(self._take().text[1:-1])
        text = "".join(_ESCAPE.sub(_unescaped, part) for part in parts)
        if len(text) > LONGEST_STRING:
            raise self._error(
                f"a text of {len(text):,} characters; at most {LONGEST_STRING:,} are read", token.at
            )
        return text


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] in "xX" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)
