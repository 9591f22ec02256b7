"""LaTeX."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import netledger
from netledger.builder import Network
from netledger.formula import symbol
from netledger.graph import BATCH
from netledger.infer import infer
from netledger.ledger import Ledger
from netledger.ops import Conv, Flatten, Linear, Opaque
from netledger.render import render

PAGE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,booktabs}
\begin{document}
%s
\end{document}
"""


def test_alexnet(golden: Callable[..., None]) -> None:
    golden("render/alexnet.tex", render(netledger.ledger("alexnet"), "latex") + "\n")


def test_layouts() -> None:
    ledger = netledger.ledger("alexnet")
    assert r"Conv{-}1 & $55 \times 55 \times 96$ & 34,848 &" in render(ledger, "latex")
    assert r"& $96 \times 55 \times 55$ &" in render(ledger, "latex", layout="chw")
    assert r"& $[N, 55, 55, 96]$ &" in render(ledger, "latex", layout="source")


def test_symbols() -> None:
    text = render(netledger.ledger("alexnet", "HxWx3"), "latex")
    floor = r"\left\lfloor \frac{H - 11}{4} \right\rfloor + 1"
    assert rf"$\left({floor}\right) \times \left(" in text


def awkward() -> Ledger:
    names = ["[2cm]", "*", "a_b^c", "50%", "#1 & {x}", "\"q\" 'r' `s`", "<a|b>~\\input{x}", "=1"]
    net = Network("an_awkward [one] {of} #8 & 50%", (symbol("H"), symbol("x_y z"), 3), title="*")
    for name in names:
        net(Conv(4, 1), name=name)
    net(Opaque("M", [(BATCH, 4)], "no\\rule"), name="[m]")
    net(Flatten())
    net(Linear(3), name="\\end{table}")
    net(Linear(3), name="tied")
    net.tie(("\\end{table}", "bias"), ("tied", "bias"))
    return infer(net.graph())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("name", ["alexnet", "symbols", "awkward"])
def test_compiles(name: str, tmp_path: Path) -> None:
    ledger = {
        "alexnet": lambda: netledger.ledger("alexnet"),
        "symbols": lambda: netledger.ledger("alexnet", "HxWx3"),
        "awkward": awkward,
    }[name]()
    (tmp_path / "page.tex").write_text(PAGE % render(ledger, "latex"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "(1 page" in done.stdout
