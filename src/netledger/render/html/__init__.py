"""A ledger as one page: a file that opens from disk, calculates by itself and asks nobody.

The page carries the rules in JavaScript (`translate`), the network as data (`data`), a script
that shows them (`assets`), and a policy under which a browser loads nothing and runs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from netledger.diff.difference import Difference
from netledger.ledger import Ledger
from netledger.render.common import View, inert
from netledger.render.html.data import encode_graph
from netledger.render.html.difference import encode_difference
from netledger.render.html.plain import table
from netledger.render.html.translate import script

RUNTIME = ("runtime", "dicts", "builtins")
"""What the translated modules need of Python."""

PARTS = ("model", "state", "findings", "tree", "table", "bars", "detail", "graph", "main")
"""The scripts of the page itself, in the order in which they need one another."""

CONVENTION = (
    "Parameters = weights + biases, shared ones once; buffers are counted apart. MACs: "
    "multiply-accumulates of convolutions, matrix products and attention, biases not counted. "
    "Activations: outputs of all operations. Counts are per sample unless a batch is given."
)


def write(ledger: Ledger, view: View) -> str:
    """The page of a ledger; of the view, whether every operation has a row at first."""
    return page(ledger, ops=view.ops)


def page(
    ledger: Ledger,
    *,
    claims: Sequence[dict[str, Any]] = (),
    ops: bool = False,
) -> str:
    """The page of a ledger.

    Args:
        ledger: The network.
        claims: Claims with their explanations, as `changes.encode_claim` gives them.
        ops: Whether every operation has a row at first.
    """
    return _write([ledger], _common(ledger) | {"claims": list(claims), "ops": ops})


def difference(found: Difference) -> str:
    """The page of two networks: both sides in every row, and the causes."""
    return _write([found.a, found.b], _common(found.b) | encode_difference(found))


def _common(ledger: Ledger) -> dict[str, Any]:
    common: dict[str, Any] = {"batch": ledger.batch, "claims": [], "ops": False}
    return common | {"causes": None, "pairs": None, "delta": None, "notes": []}


def _write(ledgers: list[Ledger], data: dict[str, Any]) -> str:
    import netledger

    graphs = [ledger.graph for ledger in ledgers]
    names = " → ".join(inert(graph.name) for graph in graphs)
    about = " → ".join(dict.fromkeys(inert(g.title) for g in graphs if g.title != g.name))
    source = " → ".join(dict.fromkeys(inert(g.source) for g in graphs if g.source))
    text = {
        "title": f"{names} · netledger",
        "eyebrow": f"netledger · {source}" if source and source != "zoo" else "netledger",
        "name": names,
        "about": about,
        "convention": CONVENTION,
        "version": netledger.__version__,
    }
    style, code = _asset("page.css"), _script()
    parts = {key: html.escape(value, quote=True) for key, value in text.items()}
    parts["plain"] = table(ledgers[-1])
    parts |= {"style": style, "script": code, "policy": _policy(style, code)}
    parts["data"] = _json(data | {"graphs": [encode_graph(graph) for graph in graphs]})
    written = _asset("page.html").rstrip()
    pieces = written.split("{{")
    return pieces[0] + "".join(
        parts[key] + rest for key, _, rest in (piece.partition("}}") for piece in pieces[1:])
    )


def _json(data: dict[str, Any]) -> str:
    """JSON in ASCII that no HTML parser takes for markup."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _script() -> str:
    """Everything that the page runs, in a scope of its own."""
    parts = [*(_asset(f"{name}.js") for name in RUNTIME), script()]
    code = "\n".join([*parts, *(_asset(f"{name}.js") for name in PARTS)])
    return f'(() => {{\n"use strict";\n{code}\n}})();'


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, code: str) -> str:
    """Nothing is loaded from anywhere, and only this style and this script are obeyed."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


__all__ = ["difference", "page", "write"]
