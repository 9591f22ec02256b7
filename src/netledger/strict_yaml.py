"""YAML from strangers, read strictly: plain data, each value with its line.

The subset is JSON's data in YAML's clothes: mappings with text keys, lists, text, numbers,
true, false and null, resolved as YAML 1.2 does (``no`` and ``1_000`` are text). Anchors, aliases,
tags, merge keys, directives, keys that stand twice and numbers that two YAML versions read
differently (``010``) are refused; size, depth and number of values are bounded.
"""

from __future__ import annotations

import re
from typing import Any

from netledger.errors import SpecError

LARGEST = 2**20
"""The longest text that is read, in bytes."""
DEEPEST = 64
MOST_VALUES = 50_000

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = re.compile(r"|~|null|Null|NULL")
_FLAG = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Value:
    """A value and where it stands.

    Attributes:
        data: Text, a number, a flag, None, a list of `Value`s, or a dict of them by key.
        line: Its line, from 1; for a value in a mapping that of its key.
    """

    __slots__ = ("data", "line")

    def __init__(self, data: Any, line: int) -> None:
        self.data = data
        self.line = line

    def plain(self) -> Any:
        """The data without lines."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data


def parse(text: str, file: str) -> Value:
    """The one document in a text.

    Args:
        text: The text.
        file: What it is called in messages.

    Raises:
        SpecError: If it is not YAML, or not of the strict kind; the message names the line.
    """
    import yaml

    control = _CONTROL.search(text)
    if control:
        code = ord(control[0])
        raise SpecError(
            f"a control character (U+{code:04X}) is not allowed",
            source=f"{file}:{text.count(chr(10), 0, control.start()) + 1}",
            hint=f'inside double quotes it can be written as "\\u{code:04x}"',
        )
    try:
        return _Composer(text, file).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # escapes beyond Unicode, for instance
        raise SpecError("not YAML: a character that does not exist", source=file) from None


def _syntax(error: Any, file: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    hint = ""
    if error.context and error.context_mark and error.context_mark.line != mark.line:
        hint = f"it is about what begins at line {error.context_mark.line + 1}"
    elif "'\\t'" in error.problem:
        hint = "indent with spaces, not with tabs"
    context = f"{error.context}, " if error.context else ""
    fact = f"not YAML: {context}{error.problem}"[:300]
    return SpecError(fact, source=f"{file}:{mark.line + 1}", hint=hint)


class _Composer:
    """Puts values together from PyYAML's events; its own composer follows aliases and tags."""

    def __init__(self, text: str, file: str) -> None:
        import yaml

        self.file = file
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        self.count = 0

    def document(self) -> Value:
        """The value of the only document."""
        import yaml

        self._event()  # the stream begins
        start = self._event()
        if not isinstance(start, yaml.DocumentStartEvent):
            raise SpecError(
                "the file is empty", source=self.file, hint="a spec has input and layers"
            )
        if start.version or start.tags:
            raise self._refuse("a directive (%YAML, %TAG) is not allowed", start, "leave it out")
        root = self._value(self._event(), 1)
        self._event()  # the document ends
        after = self._event()
        if isinstance(after, yaml.DocumentStartEvent):
            raise self._refuse(
                "a second document is not allowed", after, "one file holds one network"
            )
        return root

    def _event(self) -> Any:
        return next(self.events)

    def _value(self, event: Any, depth: int) -> Value:
        import yaml

        self._check(event, depth)
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            return Value(self._scalar(event), line)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Value] = []
            while not isinstance(event := self._event(), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return Value(items, line)
        return Value(self._mapping(depth), line)

    def _mapping(self, depth: int) -> dict[str, Value]:
        import yaml

        found: dict[str, Value] = {}
        while not isinstance(event := self._event(), yaml.MappingEndEvent):
            self._check(event, depth)
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refuse("a key that is not text is not allowed", event, "keys are words")
            key = event.value
            if key == "<<" and event.style is None:
                raise self._refuse("a merge key (<<) is not allowed", event, "write the keys out")
            if key in found:
                fact = f"the key {_short(key)} stands twice in one mapping"
                hint = f"it stands first at line {found[key].line}"
                raise SpecError(fact, source=f"{self.file}:{line}", hint=hint)
            found[key] = value = self._value(self._event(), depth + 1)
            value.line = line
        return found

    def _check(self, event: Any, depth: int) -> None:
        import yaml

        self.count += 1
        if self.count > MOST_VALUES:
            raise self._refuse(f"more than {MOST_VALUES:,} values; no more are read", event)
        if depth > DEEPEST:
            raise self._refuse(f"values are nested deeper than {DEEPEST}", event)
        if event.anchor is not None:
            kind = "an alias (*" if isinstance(event, yaml.AliasEvent) else "an anchor (&"
            fact = f"{kind}{event.anchor[:40]}) is not allowed"
            raise self._refuse(fact, event, "write the value out where it is used")
        if event.tag is not None:
            tag = _short(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise self._refuse(f"a tag ({tag}) is not allowed", event, "leave it out")

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.style is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if flag := _FLAG.fullmatch(text):
            return flag[1] is not None
        if _INTEGER.fullmatch(text):
            return self._integer(text, event)
        if infinite := _INFINITE.fullmatch(text):
            return float(f"{infinite[1]}inf" if infinite[2] else "nan")
        return self._float(text, event) if _FLOAT.fullmatch(text) else text

    def _integer(self, text: str, event: Any) -> int:
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            plain = text.lstrip("+-0") or "0"
            raise self._refuse(
                f"{_short(text)} means different numbers in different versions of YAML",
                event,
                f"write {plain[:40]}, or quotes around it if it is text",
            )
        if len(digits) > 40:
            raise self._refuse(f"a number of {len(digits):,} digits is too long", event)
        return int(text)

    def _float(self, text: str, event: Any) -> float:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise self._refuse(f"the number {_short(text)} is too large", event)
        return value

    def _refuse(self, fact: str, event: Any, hint: str = "") -> SpecError:
        return SpecError(fact, source=f"{self.file}:{event.start_mark.line + 1}", hint=hint)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
