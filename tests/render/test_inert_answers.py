"""Names out of a file are data in answers too: derivations, other conventions, pages of a diff."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from netledger.builder import Network
from netledger.cli import main
from netledger.infer import infer
from netledger.ops import BatchNorm, Conv, Flatten, Linear
from netledger.render import render

NAMES = {
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "newlines": "one\ntwo\r\nthree\u2028four",
    "bidi": "abc\u202edcba\u2066x\u2069",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "end of data": "</script><!-- <script> ]]> -->",
    "markdown": "[x](http://evil.example) `code` | **b** ![i](j) $x$",
    "latex": "\\input{/etc/passwd} \\end{tabular} % # & _ ^ ~ $",
    "long": "n" * 10_000,
}
COMMANDS = {
    **{f"explain {f}": ["explain", "-f", f] for f in ("text", "markdown", "latex", "json")},
    **{f"conventions {f}": ["show", "--conventions", "-f", f] for f in ("table", "json")},
    **{f"diff {f}": ["diff", "-f", f] for f in ("text", "table", "markdown", "json", "html")},
    **{f"check {f}": ["check", "-f", f] for f in ("text", "json", "sarif", "github")},
    **{f"show {f}": ["show", "-f", f] for f in ("yaml", "html", "svg")},
}


def spec(path: Path, name: str, outputs: int) -> str:
    """A file of a network with the name in every place."""
    net = Network("model", (8, 8, 3), title=name)
    net(Conv(4, 3), name=f"{name}1")
    net(BatchNorm(), name=f"{name}2")
    net(Flatten(), name=f"{name}3")
    net(Linear(outputs), name=f"{name}4")
    path.write_text(render(infer(net.graph()), "yaml"), "utf-8")
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", NAMES)
def test_names_are_only_text(kind: str, command: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    verb, *options = COMMANDS[command]
    files = [spec(tmp_path / "a.yaml", name, 5)]
    if verb == "diff":
        files.append(spec(tmp_path / "b.yaml", name, 7))
    result = CliRunner().invoke(main, [verb, *files, *options])
    assert result.exit_code == (1 if verb == "diff" else 0), result.output
    text = result.stdout
    assert {c for c in text if not c.isprintable()} <= {"\n"}
    if options[-1] in ("html", "svg"):
        assert "<img" not in text and "<script>alert" not in text
        data = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
        assert text.count("<script") == len(data) == text.count("</script")
    if options[-1] in ("json", "sarif"):
        json.loads(text)
    if options[-1] == "latex":
        assert r"\input" not in text and r"\end{tabular}" not in text
    if options[-1] == "markdown":
        assert not re.search(r"<[a-z/!]", text)
        assert not re.search(r"(?<!\\)\]\(", text)
