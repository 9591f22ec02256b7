"""The translation of the rules: what it knows, and what it refuses. No browser is needed."""

from __future__ import annotations

import ast

import pytest

from netledger.render.html.translate import Untranslatable, script
from netledger.render.html.translate.statements import Statements


def translate(source: str) -> str:
    writer = Statements(set(), set())
    writer.scopes.append({"x", "y", "f"})
    return writer.block(ast.parse(source).body)


def test_everything_that_the_page_runs_can_be_translated() -> None:
    text = script()
    for name in ("infer", "edits", "explain", "ops", "formula", "ledger"):
        assert f'$define("netledger.{name}"' in text
    # Every module comes after those that it needs while it is made.
    assert text.index('"netledger.formula"') < text.index('"netledger.graph"')
    assert text.index('"netledger.ops.conv"') < text.index('"netledger.ops", ')


@pytest.mark.parametrize(
    ("python", "javascript"),
    [
        ("x = 2**63", "x = $pow(2n, 63n);"),
        ("x = y // 2 + 1", "x = $add($floordiv(y, 2n), 1n);"),
        ("x = y % -2", "x = $mod(y, -2n);"),
        ("x = f(y)[-1]", "x = $get(f(y), -1n);"),
        ("x = y[1:-1]", "x = $cut(y, 1n, -1n, null);"),
        ("x = 1 <= y < 5", "x = ($le(1n, y) && $lt(y, 5n));"),
        ("x = not y", "x = !$t(y);"),
        (
            "x = [a for a in y if a]",
            "x = (() => { const $r = []; for (const a of y) { if ($t(a)) $r.push(a); } "
            "return $r; })();",
        ),
        ("first, *rest = y", "[first, ...rest] = y;"),
        ("*rest, last = y", "[rest, last] = $spread(y, 0, 1);"),
        ("x = f'{y:,}!'", 'x = "" + $format(y, "", ("" + ",")) + "!";'),
        ("x = f'{y!r}'", 'x = "" + $format(y, "r", "");'),
    ],
)
def test_statements(python: str, javascript: str) -> None:
    assert translate(python) == javascript


@pytest.mark.parametrize(
    ("python", "fact"),
    [
        ("async def f(): pass", "AsyncFunctionDef has no counterpart"),
        ("with open('x'): pass", "with open('x')"),
        ("x = unknown", "unknown is not known"),
        ("import socket", "import socket"),
        ("from os import system", "from os import system"),
        ("x = y @ x", "the operator MatMult"),
        ("for x in y:\n    pass\nelse:\n    pass", "for … else"),
    ],
)
def test_what_has_no_counterpart_is_refused(python: str, fact: str) -> None:
    with pytest.raises(Untranslatable, match=r"^line \d+: ") as caught:
        translate(python)
    assert fact in str(caught.value)
