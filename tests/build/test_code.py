"""Generated code: golden, formatted, inert whatever names say, running in a clean process."""

from __future__ import annotations

import ast
import importlib.util
import json
import keyword
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netledger import Graph, zoo
from netledger.build import write
from netledger.builder import Network
from netledger.infer import infer
from netledger.ops import BatchNorm, Conv, Flatten, Linear

GOLDEN = ("alexnet", "alexnet-2012", "resnet18", "googlenet", "lenet5")
TARGETS = ("torch", "keras")

HOSTILE = {
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "newlines": "one\ntwo\r\nthree\u2028four\x0bfive",
    "code": "x = 1\nimport os; os.system('touch /tmp/owned')",
    "docstring": '"""\nimport os\nos._exit(1)\n"""',
    "single quotes": "'''\nraise SystemExit\n'''",
    "backslash": "\\",
    "trailing backslash": 'a\\"',
    "format": "{__import__('os')}",
    "null": "a\x00b\x7f",
    "bidi": "abc\u202edcba\u2066x\u2069",
    "keyword": "lambda",
    "dunder": "__class__",
    "module": "forward",
    "self": "self",
    "builtin": "print",
    "empty": " ",
    "long": "n" * 10_000,
    "wide": "层" * 10_000,
    "surrogate": "a\ud800b",
    "path": "../../etc/passwd",
    "digits": "0",
    "torch": "torch",
    "keras": "keras",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", GOLDEN)
def test_code(name: str, target: str, golden: Callable[[str, str], None]) -> None:
    golden(f"build/{name}.{target}.txt", str(write(name, target)))


@pytest.mark.parametrize("target", TARGETS)
def test_ruff_has_nothing_to_say(target: str, ruff: Callable[[Path], None], tmp_path: Path) -> None:
    for name in zoo.NETWORKS:
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(str(write(name, target)))
    ruff(tmp_path)


def hostile(text: str) -> Graph:
    """A network with `text` wherever a file could put it."""
    net = Network(text, {text: (8, 8, 3)}, title=text)
    with net.scope(text):
        net(Conv(4, 3), name=f"{text}1")
        net(BatchNorm(), name=text)
    net(Flatten(), name=f"{text}\n{text}")
    net(Linear(5), name=f"{text}/{text}")
    return net.graph()


def vocabulary(code: str) -> set[str]:
    """What code imports and calls, its own functions and classes left out."""
    tree = list(ast.walk(ast.parse(code)))
    own = {n.name for n in tree if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    imports = {ast.unparse(n) for n in tree if isinstance(n, ast.Import | ast.ImportFrom)}
    called = {ast.unparse(n.func) for n in tree if isinstance(n, ast.Call)}
    return imports | {c for c in called if re.split(r"\W", c)[0] not in {*own, "self"}}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_names_are_inert(kind: str, target: str) -> None:
    code = str(write(hostile(HOSTILE[kind]), target))
    assert all(c.isprintable() or c == "\n" for c in code)
    assert {c for c in code if not c.isascii()} <= set("×²…")
    # It calls what the code of harmless names calls, and nothing of a name has become code.
    assert vocabulary(code) <= vocabulary(str(write(hostile("a.calm"), target)))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute | ast.Name | ast.FunctionDef | ast.ClassDef):
            name = getattr(node, "attr", None) or getattr(node, "id", None) or node.name
            assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
            assert len(name) < 60


def test_deep_modules() -> None:
    net = Network("deep", (8,))
    with net.scope(".".join(["a"] * 2000)):
        for _ in range(3):
            net(Linear(8))
    assert "nn.Linear(8, 8)" in str(write(net.graph(), "torch"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_networks_of_any_names_are_made(kind: str) -> None:
    torch = pytest.importorskip("torch")
    import netledger

    graph = hostile(HOSTILE[kind])
    model = netledger.build(graph, "torch")
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert sum(p.numel() for p in model.parameters()) == infer(graph).totals.params
    assert not Path("/tmp/owned").exists()


RUN = """\
import json, runpy, sys
for path in sys.argv[1:]:
    print(f"== {path}")
    runpy.run_path(path, run_name="__main__")
print(json.dumps(sorted(m for m in sys.modules if m.startswith("netledger"))))
"""


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_runs_by_itself(target: str, tmp_path: Path) -> None:
    """In a clean process, outside of this repository: its summary, and a forward pass."""
    for package in {"torch": ("torch",), "keras": ("keras", "torch")}[target]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    paths = []
    for name in GOLDEN:
        paths.append(tmp_path / f"{name.replace('-', '_')}.py")
        paths[-1].write_text(str(write(name, target)))
    run = subprocess.run(
        [sys.executable, "-I", "-c", RUN, *map(str, paths)],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    *texts, last = run.stdout.rstrip().rsplit("\n", 1)
    assert json.loads(last) == []  # nothing of ours was needed
    parts = "".join(texts).split("== ")[1:]
    for name, printed in zip(GOLDEN, parts, strict=True):
        totals = infer(zoo.load(name)).totals
        total = totals.params if target == "torch" else totals.params + totals.buffers
        classes = 10 if name == "lenet5" else 1000
        assert f"{total:,}" in printed
        assert f"output: (1, {classes})" in printed
