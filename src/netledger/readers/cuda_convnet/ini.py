"""Sections, keys and values of an INI file. Nothing in it is interpolated or evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from netledger.errors import SpecError, did_you_mean

T = TypeVar("T")

MOST_SECTIONS = 1_000
MOST_ITEMS = 1_000
LONGEST_NAME = 10_000

_WHOLE = re.compile(r"[-+]?\d{1,19}")
_NUMBER = re.compile(r"[-+]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20})(?:e[-+]?\d{1,2})?")
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


class Section:
    """A layer: keys with their values. Keys are the same in capitals and in small letters."""

    def __init__(self, name: str, where: str, line: int) -> None:
        self.name, self.source = name, f"{where}:{line}"
        self.values: dict[str, str] = {}

    def text(self, key: str, default: str | None = None) -> str:
        """A value.

        Raises:
            SpecError: If it is missing and has no default.
        """
        value = self.values.get(key.lower(), default)
        if value is None:
            hint = did_you_mean(key, list(self.values)[:100])
            raise SpecError(f"has no {key}", hint=hint)
        return value

    def has(self, key: str) -> bool:
        """True if the key is there."""
        return key.lower() in self.values

    def names(self, key: str) -> list[str]:
        """A list of names."""
        return self._items(key, self.text(key))

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        return self._read(key, default, _whole, "a whole number")

    def number(self, key: str, default: float) -> float:
        """A number."""
        return self._read(key, default, _number, "a number")

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        return self._read(key, default, _flag, "true or false")

    def integers(self, key: str, count: int, default: int | None = None) -> list[int]:
        """A whole number for each of `count` inputs; a single one serves for all."""
        if default is not None and not self.has(key):
            return [default] * count
        found = []
        for item in self._items(key, self.text(key)):
            value = _whole(item)
            if value is None:
                raise self._wrong(key, "whole numbers", item)
            found.append(value)
        if len(found) not in (1, count):
            raise SpecError(f"{key} has {len(found)} values for {count} inputs")
        return found * count if len(found) == 1 else found

    def _items(self, key: str, value: str) -> list[str]:
        items = [item.strip() for item in value.split(",")]
        if len(items) > MOST_ITEMS:
            raise SpecError(f"{key} has {len(items):,} values; at most {MOST_ITEMS:,} are read")
        return items

    def _read(self, key: str, default: T | None, of: Callable[[str], T | None], wanted: str) -> T:
        if default is not None and not self.has(key):
            return default
        value = of(self.text(key))
        if value is None:
            raise self._wrong(key, wanted, self.text(key))
        return value

    @staticmethod
    def _wrong(key: str, wanted: str, value: str) -> SpecError:
        return SpecError(f"{key} must be {wanted}; got {shown(value)}")


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _flag(text: str) -> bool | None:
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


def shown(text: str) -> str:
    """A text out of the file, inert and of bounded length."""
    return f"{text[:100]!r}…" if len(text) > 100 else repr(text)


def parse(text: str, where: str) -> list[Section]:
    """The sections of a file, in order.

    Raises:
        SpecError: With the line, for what is neither a section nor a key with a value, and for
            what stands twice.
    """
    sections: dict[str, Section] = {}
    current: Section | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        place = f"{where}:{number}"
        if line[0] == "[":
            current = Section(_section_name(line, place), where, number)
            if current.name in sections:
                raise SpecError(f"two layers are called {shown(current.name)}", where=place)
            if len(sections) == MOST_SECTIONS:
                raise SpecError(f"has more than {MOST_SECTIONS:,} layers", where=where)
            sections[current.name] = current
        elif current is None:
            raise SpecError("a value stands before the first [layer]", where=place)
        else:
            _add(current, line, raw, place)
    return list(sections.values())


def _section_name(line: str, place: str) -> str:
    match = re.fullmatch(r"\[([^\[\]]+)\]\s*(?:[#;].*)?", line)
    if match is None or "\0" in line:
        raise SpecError(f"{shown(line)} is not a [layer]", where=place)
    if len(match.group(1)) > LONGEST_NAME:
        raise SpecError(f"a name of {len(match.group(1)):,} characters", where=place)
    return match.group(1).strip()


def _add(section: Section, line: str, raw: str, place: str) -> None:
    key, sign, value = _parted(line)
    if not sign or raw[0].isspace() or not re.fullmatch(r"[\w.]+", key):
        raise SpecError(f"expected key=value; got {shown(line)}", where=place)
    if key.lower() in section.values:
        raise SpecError(f"{key} stands twice in [{section.name[:100]}]", where=place)
    section.values[key.lower()] = re.split(r"\s;", value, maxsplit=1)[0].strip()


def _parted(line: str) -> tuple[str, str, str]:
    """Key, sign and value; the sign is the first = or : of the line."""
    match = re.match(r"([^=:]*)([=:])(.*)", line, re.DOTALL)
    return (match[1].strip(), match[2], match[3]) if match else (line, "", "")
