"""Writes the tables of operations in docs/spec.md from the operations themselves.

    python docs/generate.py

A test sees to it that the page is up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netledger.ops import FUNCTIONS, OPERATIONS
from netledger.ops.base import Op, Spatial
from netledger.ops.fields import CHOICE, REQUIRED, Rule
from netledger.schema import LAYER_KEYS, summary

PAGE = Path(__file__).parent / "spec.md"
KEYS = ("<!-- keys: made by docs/generate.py -->", "<!-- end of keys -->")
OPERATIONS_TABLE = ("<!-- operations: made by docs/generate.py -->", "<!-- end of operations -->")


def keys() -> str:
    """The keys that every layer may have."""
    rows = [f"| `{key}` | {schema['description']} |" for key, schema in LAYER_KEYS.items()]
    return "\n".join(["| key | meaning |", "|---|---|", *rows])


def operations() -> str:
    """All operations, with their keys."""
    rows = [f"| `{op.key}` | {summary(op)} | {_fields(op)} |" for op in OPERATIONS]
    words = ", ".join(f"`{name}`" for name in FUNCTIONS)
    table = "\n".join(["| word | what it is | its keys |", "|---|---|---|", *rows])
    return f"{table}\n\nEach function of `activation` is a word of its own: {words}."


def _fields(op_class: type[Op]) -> str:
    fields = {k: r for k, r in op_class.rules.items() if k != "channels_last"}
    texts = [_field(name, rule) for name, rule in fields.items()]
    if issubclass(op_class, Spatial):
        texts.append("`channels_last`")
    return "<br>".join(texts) or "none"


def _field(name: str, rule: Rule) -> str:
    text = f"**`{name}`**" if rule.default is REQUIRED else f"`{name}`"
    if rule.default is not REQUIRED and rule.default is not None:
        text += f" = {_show(rule.default)}"
    if rule.kind == CHOICE and len(rule.choices) <= 8:
        return f"{text}: {rule.help} ({', '.join(rule.choices)})"
    return f"{text}: {rule.help}"


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_show, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def filled(page: str) -> str:
    """The page with its tables made anew."""
    for (begin, end), table in ((KEYS, keys()), (OPERATIONS_TABLE, operations())):
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
