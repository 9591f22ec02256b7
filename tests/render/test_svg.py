"""Drawings: to scale, well-formed, and nothing but a drawing, whatever names a model has."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import netledger
from netledger.builder import Network
from netledger.formula import symbol
from netledger.infer import infer
from netledger.ops import Add, Conv, Multiply, Tensor
from netledger.render import render

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "rect", "polygon", "path", "text", "defs", "marker"}


def drawn(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= ELEMENTS
    for element in root.iter():
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]
    return root


def words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def heights(root: ElementTree.Element) -> list[float]:
    """The height of the front of each volume."""
    found = []
    for shape in root.iter(f"{SVG}polygon"):
        points = [tuple(map(float, p.split(","))) for p in shape.attrib["points"].split()]
        (x1, y1), (_, y2), (_, y3), (x4, _) = points
        if y1 == y2 and x1 == x4:
            found.append(y1 - y3)
    return found


def test_alexnet_is_drawn_as_volumes_to_scale() -> None:
    root = drawn(render(netledger.ledger("alexnet"), "svg"))
    told = words(root)
    assert told[told.index("Conv-1") :][:3] == ["Conv-1", "55×55×96", "11×11 / 4"]
    assert "62,378,344 parameters · 1,135,256,096 multiply-accumulates" in told
    sides = [227, 55, 27, 27, 13, 13, 13, 13, 6]
    maps = heights(root)[: len(sides)]
    for side, height in zip(sides, maps, strict=True):
        assert height / maps[0] == pytest.approx(side / 227, abs=2e-4)
    vectors = heights(root)[len(sides) :]
    assert [v / vectors[0] for v in vectors] == pytest.approx(
        [1, 1, (1000 / 4096) ** 0.5, (1000 / 4096) ** 0.5], abs=1e-3
    )


@pytest.mark.parametrize(
    ("name", "boxes"), [("googlenet", "inception3a.branch1"), ("resnet152", "layer3.35")]
)
def test_large_networks_are_drawn_as_modules(name: str, boxes: str) -> None:
    root = drawn(render(netledger.ledger(name), "svg"))
    assert boxes in words(root)
    assert len(words(root)) < 200


def test_depth_and_every_operation_are_drawn_if_asked_for() -> None:
    ledger = netledger.ledger("resnet18")
    assert "layer1" in words(drawn(render(ledger, "svg", depth=1)))
    assert "layer1.0.relu1" not in words(drawn(render(ledger, "svg", depth=1)))
    rows = [row.name for row in ledger.ops]
    told = words(drawn(render(ledger, "svg", ops=True)))
    assert [name for name in rows if name not in told and len(name) <= 26] == []


def places(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Where each text begins (or ends, if it is a size), and its height."""
    return {
        element.text or "": (float(element.attrib["x"]), float(element.attrib["y"]))
        for element in root.iter(f"{SVG}text")
    }


def test_a_box_has_room_for_what_it_says() -> None:
    """A module of many parameters beside a long size: 5.6 a letter, and a gap."""
    at = places(drawn(render(netledger.ledger("resnet152"), "svg")))
    (left, y), (right, same) = at["10 layers · 1,117,184"], at["14×14×1024"]
    assert y > 0 and same > 0
    assert right - left >= 5.6 * (len("10 layers · 1,117,184") + len("14×14×1024")) + 12


def test_what_is_stored_stands_above_its_use() -> None:
    net = Network("n", (8, 8, 4))
    for i in range(4):
        net(Conv(4, 3, padding=1), name=f"conv{i}")
    net(Tensor([1, 1, 4]), name="scale")
    net(Multiply(), "conv3", "scale", name="scaled")
    at = places(drawn(render(infer(net.graph()), "svg")))
    assert at["scale"][1] == at["conv3"][1] < at["scaled"][1]


def test_a_skip_is_a_line_of_its_own() -> None:
    net = Network("skip", (8, 8, 3))
    first = net(Conv(4, 3, padding=1), name="a")
    net(Conv(4, 3, padding=1), name="b")
    net(Add(), first, "b", name="sum")
    root = drawn(render(infer(net.graph()), "svg"))
    lines = [p for p in root.iter(f"{SVG}path") if "marker-end" in p.attrib]
    assert len(lines) == 4


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a&b\"'>", "x\x00\x1b\n", "a\ud800", "__proto__", "n" * 999],
)
def test_names_are_only_text(name: str) -> None:
    net = Network(f"model {name}", {f"in {name}": (8, 8, 3)}, title=name)
    net(Conv(4, 3), name=name)
    text = render(infer(net.graph()), "svg")
    text.encode("utf-8")
    drawn(text)
    assert not re.search(r"<(?!/|\?|" + "|".join(ELEMENTS) + ")", text)


def test_symbols_are_drawn_as_blocks() -> None:
    net = Network("n", (symbol("H"), symbol("H"), 3))
    net(Conv(4, 3), name="conv")
    assert "(H − 2)×(H − 2)×4" in words(drawn(render(infer(net.graph()), "svg")))
