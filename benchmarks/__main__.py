"""Runs every benchmark: ``python -m benchmarks [NAME …] [--write]``."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
import sys
from pathlib import Path

import benchmarks

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def names() -> list[str]:
    """Every module here that has a `run`; the core first."""
    found = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[0] != "_"]
    return sorted(found, key=lambda name: (name != "core", name))


def machine() -> str:
    """What the numbers were measured on."""
    cores = os.cpu_count()
    return f"Python {platform.python_version()}, {platform.machine()}, {cores} cores"


def table(lines: list[tuple[str, str, str]]) -> str:
    """The lines as a Markdown table."""
    rows = ["| what | measured | target |", "| --- | --- | --- |"]
    return "\n".join(rows + [f"| {what} | {value} | {target} |" for what, value, target in lines])


def merged(old: str, lines: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The lines of a table with these instead of those that say the same; new ones at its end."""
    rows = [row[2:-2].split(" | ") for row in old.splitlines() if row.startswith("| ")]
    found = {row[0]: (row[0], row[1], row[2]) for row in rows[2:]}
    found.update((line[0], line) for line in lines)
    return list(found.values())


def main() -> int:
    """Measures, prints, and writes the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names())}")
    parser.add_argument("--write", action="store_true", help=f"put the results into {PAGE.name}")
    options = parser.parse_args()
    # Where this is set, every process would compile all of the sources anew: not what users have.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    lines = []
    for name in options.names or names():
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        for what, value, target in module.run():
            print(f"{what}\n    {value}    target {target}", flush=True)
            lines.append((str(what), str(value), str(target)))
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        old, _, after = rest.partition(END)
        if options.names:  # the other lines stay
            lines = merged(old, lines)
        text = f"{BEGIN}\n{table(lines)}\n\nMeasured with {machine()}.\n{END}"
        PAGE.write_text(before + text + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
