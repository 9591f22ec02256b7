"""A ledger in a notebook: a table with its style on the elements, without a script."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

import netledger
from netledger import NetledgerError
from netledger.builder import Network
from netledger.infer import infer
from netledger.ops import Conv


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.cells: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.cells.append([])

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1].append(data)


def test_alexnet() -> None:
    read = Reader(netledger.ledger("alexnet")._repr_html_())
    conv = ["Conv-1", "Conv: 96 kernels of 11×11×3, stride 4, padding 0 → ReLU"]
    assert read.cells[2] == [*conv, "55x55x96", "34,944", "105,415,200"]
    assert "62,378,344" in read.cells[-1]
    assert set(read.tags) <= {"div", "p", "b", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert read.attributes <= {"style", "colspan"}


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "<img src=x onerror=y>", "a\x1b\n\"'"]
)
def test_names_are_only_text(name: str) -> None:
    net = Network(name, {f"in {name}": (8, 8, 3)}, title=name)
    net(Conv(4, 3), name=name)
    text = infer(net.graph())._repr_html_()
    read = Reader(text)
    assert read.attributes <= {"style", "colspan"} and "script" not in read.tags
    assert "\x1b" not in text and not re.search("<(script|img)", text)


def test_long_ledgers_are_cut_in_the_middle() -> None:
    text = netledger.ledger("resnet152")._repr_html_()
    assert "rows are not shown here" in text and len(text) < 100_000
    assert Reader(text).cells[-2][0] == "fc"


def test_a_ledger_that_stopped_says_where() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="fits")
    net(Conv(4, 30), name="does not")
    with pytest.raises(NetledgerError) as caught:
        infer(net.graph())
    assert caught.value.partial is not None
    assert "stopped at does not" in caught.value.partial._repr_html_()
