"""Keeps the examples in README and docs true: runs their commands and compares what they print.

In a ``console`` block every line that begins with ``$ netledger`` is run, and what stands under it
must be what it prints; a line ``…`` stands for lines left out. ``python docs/console.py --write``
brings the blocks up to date (blocks with ``…`` are left to their author), but never writes an error
where there was none: an example fails on purpose only if its author has written the error down.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from click.testing import CliRunner

from netledger.cli import main

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
LEFT_OUT = "…\n"
FAILED = re.compile(r"^(\w+Error|UnknownName|Usage|Error): ", re.MULTILINE)
"""How the message of an error begins."""


def pages() -> list[Path]:
    """Every page with examples."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def refresh(text: str) -> str:
    """`text` with what the commands in its console blocks print today."""
    return BLOCK.sub(lambda match: _refresh_block(match.group(1)), text)


def _refresh_block(block: str) -> str:
    parts = re.split(r"^(\$ .*\n)", block, flags=re.MULTILINE)
    result = [parts[0]]
    for command, old in zip(parts[1::2], parts[2::2], strict=True):
        new = run(command[2:].strip()) if command.startswith("$ netledger") else old
        if not _fits(old, new) and FAILED.search(new) and not FAILED.search(old):
            raise SystemExit(f"{command}{new}an example that is to fail shows its error")
        result += [command, old if _fits(old, new) else new]
    return "".join(result)


def run(command: str) -> str:
    """What a command prints, errors included."""
    result = CliRunner().invoke(main, shlex.split(command)[1:], prog_name="netledger")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def _fits(old: str, new: str) -> bool:
    if LEFT_OUT not in old:
        return old == new
    position = 0
    for piece in old.split(LEFT_OUT):
        found = new.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return True


if __name__ == "__main__":
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = refresh(old)
        if new != old:
            print(f"{page.relative_to(ROOT)} is out of date")
            if "--write" in sys.argv:
                page.write_text(new, encoding="utf-8")
