"""Settings of `check` in the nearest ``pyproject.toml``: the table ``[tool.netledger.check]``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netledger.check.budgets import KINDS, parse_budgets
from netledger.check.report import chooser
from netledger.errors import SpecError, UnknownName

TABLE = "tool.netledger.check"
LISTS = ("select", "ignore")
BUDGETS = {f"max-{kind.name}": kind.name for kind in KINDS}
KEYS = (*LISTS, *BUDGETS)
LARGEST_FILE = 10_000_000
"""Bytes; no settings are that long."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project wants of its checks.

    Attributes:
        select: Codes of the rules to follow, or their beginnings.
        ignore: Codes of the rules to leave out, or their beginnings.
        budgets: Limits by name, as written.
        source: The file; empty if there is none.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    budgets: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def under(
        self, select: Iterable[str], ignore: Iterable[str], budgets: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The arguments of `check`: what a call asks for comes before what the project has set.

        Raises:
            NetledgerError: If a code or a budget does not exist, or is no number.
        """
        chosen = {"select": tuple(select) or self.select, "ignore": tuple(ignore) or self.ignore}
        chooser(**chosen)
        return {**chosen, "budgets": parse_budgets({**self.budgets, **budgets})}


def nearest(folder: Path) -> Settings:
    """The settings of the nearest ``pyproject.toml``, in `folder` or above it.

    Raises:
        SpecError: If that file is not TOML, or a setting has a wrong type.
        UnknownName: If a key is not one of `KEYS`; the message names the closest.
    """
    for place in (folder, *folder.absolute().parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return read_settings(path)
    return Settings()


def read_settings(path: Path) -> Settings:
    """The settings in one file."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise SpecError("the file is too long for settings", where=str(path))
        data = tomllib.loads(text.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"cannot be read: {error}", where=str(path)) from None
    ours = _table(_table(data, "tool", path), "netledger", path)
    for key in ours:
        if key != "check":
            raise UnknownName("table", f"tool.netledger.{key}", [TABLE]).at(where=str(path))
    return _settings(_table(ours, "check", path), path)


def _table(data: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise SpecError(f"{key} must be a table", where=str(path))
    return value


def _settings(table: dict[str, Any], path: Path) -> Settings:
    lists: dict[str, tuple[str, ...]] = {}
    budgets = {}
    for key, value in table.items():
        if key in BUDGETS:
            budgets[BUDGETS[key]] = value
        elif key in LISTS:
            if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
                hint = f'write {key} = ["NL101"]'
                raise SpecError(
                    f"{key} must be a list of codes; got {value!r}",
                    where=f"{path} [{TABLE}]",
                    hint=hint,
                )
            lists[key] = tuple(value)
        else:
            error = UnknownName("key", key, KEYS, hint=f"the keys are {', '.join(KEYS)}")
            raise error.at(where=f"{path} [{TABLE}]")
    return Settings(**lists, budgets=budgets, source=str(path))
