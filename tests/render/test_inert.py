"""Names out of a file are data: whatever they hold, every format shows them and none obeys them."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest

from netledger import Ledger
from netledger.builder import Network
from netledger.formula import symbol
from netledger.graph import BATCH
from netledger.infer import infer
from netledger.ops import BatchNorm, Conv, Flatten, Linear, Opaque
from netledger.render import render
from netledger.render.common import inert, latex_text, markdown_text

HOSTILE = {
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "c1": "\x9b31m",
    "newlines": "one\ntwo\r\nthree\u2028four\x0bfive",
    "null": "a\x00b\x7f",
    "bidi": "abc\u202edcba\u2066x\u2069",
    "zero width": "pay\u200bpal\ufeff",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "markdown": "[x](http://evil.example) `code` | **b** _i_ ![i](j) # ~~s~~ $x$",
    "rich": "[bold red]x[/] [link=http://evil.example]y[/link]",
    "csv": "=cmd|' /C calc'!A0",
    "csv plus": "+1+1",
    "csv minus": "-2+3",
    "csv at": "@SUM(A1)",
    "csv tab": "\t=1+1",
    "csv quotes": 'a,"b",c',
    "latex": "\\input{/etc/passwd} \\end{tabular} % # & _ ^ ~ $ { }",
    "latex star": "*x",
    "latex bracket": "[2cm]x",
    "long": "n" * 10_000,
    "wide": "层" * 10_000,
    "surrogate": "a\ud800b",
    "path": "../../etc/passwd",
}
FORMATS = ("table", "markdown", "csv", "json", "latex")
ALLOWED = {"table": {"\n", "\x1b"}, "csv": {"\r", "\n"}}


def network(text: str) -> Ledger:
    """A ledger with `text` in every place where a file could put it."""
    net = Network(
        f"model {text}",
        {text: (symbol("H"), 8, 3)},
        title=text,
    )
    net(Conv(4, 3), name=f"{text}1")
    net(BatchNorm(), name=f"{text}2")
    net(Opaque(text, [(BATCH, 4, 4, 2)], reason=text), name=f"{text}3")
    net(Flatten(), name=f"{text}4")
    net(Linear(5), name=f"{text}5")
    net(Linear(5), name=f"{text}6")
    net.tie((f"{text}5", "bias"), (f"{text}6", "bias"))
    return infer(net.graph())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_invisible_gets_through(kind: str, format: str) -> None:
    text = render(network(HOSTILE[kind]), format)
    text.encode("utf-8")
    bad = {c for c in text if not c.isprintable()} - ALLOWED.get(format, {"\n"})
    assert "\x1b" not in text
    assert not bad, [unicodedata.name(c, hex(ord(c))) for c in bad]


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", [40, 80, None])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_table_keeps_its_lines(kind: str, width: int | None, color: bool) -> None:
    text = render(network(HOSTILE[kind]), "table", width=width, color=color)
    calm = render(network("calm"), "table", width=width, color=color)
    own = re.sub(r"\x1b\[(0|1|2|31|33|36)m", "", text)
    assert "\x1b" not in own
    for rule in "━─":
        assert own.count(f"\n{rule}") == re.sub(r"\x1b\[\d+m", "", calm).count(f"\n{rule}")
    rows = own.split("\n")
    heavy = [i for i, line in enumerate(rows) if line.startswith("━")]
    assert heavy[1] - heavy[0] == 3 + 6 + 2  # heading, rule, rows without the folded one, total


@pytest.mark.parametrize("kind", HOSTILE)
def test_csv_holds_no_formula_and_keeps_its_shape(kind: str) -> None:
    rows = list(csv.reader(io.StringIO(render(network(HOSTILE[kind]), "csv"), newline="")))
    assert len(rows) == 1 + 6 and len({len(row) for row in rows}) == 1
    for row in rows:
        assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for cell in row if cell)


@pytest.mark.parametrize("kind", HOSTILE)
def test_json_keeps_every_name_exactly(kind: str) -> None:
    data = json.loads(render(network(HOSTILE[kind]), "json"))
    assert data["rows"][1]["name"] == f"{HOSTILE[kind]}1"


@pytest.mark.parametrize("kind", HOSTILE)
def test_markdown_tables_keep_their_columns(kind: str) -> None:
    text = render(network(HOSTILE[kind]), "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 6 + 1
    for line in table:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 9
    assert not re.search(r"<[a-z/!]", text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`\[\]]", text)


@pytest.mark.parametrize("kind", HOSTILE)
def test_latex_holds_only_our_commands(kind: str) -> None:
    text = render(network(HOSTILE[kind]), "latex")
    commands = set(re.findall(r"\\([A-Za-z]+)", text))
    assert commands <= {
        *("usepackage", "begin", "end", "centering", "caption", "label", "toprule", "midrule"),
        *("bottomrule", "medskip", "footnotesize", "raggedright", "par", "times", "ge", "ldots"),
        *("textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "char"),
        *("textbar", "textasciigrave", "textquotesingle", "textperiodcentered", "rightarrow"),
        *("text", "left", "right", "lfloor", "rfloor", "lceil", "rceil"),
    }
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    bare = re.sub(r"\\[\\{}%&#$_]", "", text)
    assert bare.count("{") == bare.count("}") and "%" not in bare[1:]
    body = text.split("\\midrule\n")[1]
    for line in body.splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == (5 if line.endswith(r"\\") else 0)


def test_hostile_symbols_are_text_in_latex() -> None:
    net = Network("n", (symbol("}\\input{x}"), 8, 3))
    net(Conv(4, 3), name="conv")
    text = render(infer(net.graph()), "latex")
    assert r"\input" not in text and r"\textbackslash{}input\{x\}" in text


def test_symbols_are_mathematics_in_latex() -> None:
    net = Network("n", (symbol("H"), 8, 3))
    net(Conv(4, 3), name="conv")
    assert r"$\left(H - 2\right) \times 6 \times 4$" in render(infer(net.graph()), "latex")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name", "plain name"),
        ("\x1b", "\\x1b"),
        ("\u202e", "\\u202e"),
        ("\U000e0001", "\\U000e0001"),
        ("\ud800", "\\ud800"),
        ("é层", "é层"),
        ("n" * 200, "n" * 200),
        ("n" * 201, "n" * 199 + "…"),
        ("\n" * 10_000, "\\x0a" * 49 + "\\x0" + "…"),
    ],
)
def test_inert(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_markdown_text_leaves_ordinary_names_alone() -> None:
    assert markdown_text("layer1.0.conv_1 (7x7)") == "layer1.0.conv_1 (7x7)"
    assert markdown_text("_x_") == "\\_x\\_"
    assert markdown_text("www.x.org") == "www\\.x.org"


def test_latex_text() -> None:
    assert latex_text("a_b-c & 50%") == "a\\_b{-}c \\& 50\\%"
