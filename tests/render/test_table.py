"""The table: what it says, how it fits, how it is coloured."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

import netledger
from netledger.builder import Network
from netledger.errors import NetledgerError, UnknownName
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node, Recorded, TensorType
from netledger.infer import infer
from netledger.ops import (
    LSTM,
    BatchNorm,
    Conv,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Linear,
    Opaque,
    Permute,
    Reshape,
    Softmax,
    Split,
    Tensor,
)
from netledger.render import FORMATS, render
from netledger.render.common import Sizes
from netledger.render.table import bar, percent

WIDTHS = (60, 80, 100, 140, None)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def cells(text: str, name: str) -> list[str]:
    """The cells of a row of a table."""
    line = next(line for line in text.splitlines() if line.startswith(name + " "))
    return re.split(r" {2,}", line.strip())


def body(text: str) -> list[str]:
    """The lines between the first and the last rule."""
    lines = text.splitlines()
    first, last = (i for i, line in enumerate(lines) if line.startswith("━"))
    return lines[first : last + 1]


@pytest.mark.parametrize("width", WIDTHS)
def test_alexnet_at_every_width(width: int | None, golden: Callable[..., None]) -> None:
    text = render(netledger.ledger("alexnet"), "table", width=width)
    golden(f"render/alexnet-{width or 'pipe'}.txt", text + "\n")
    assert width is None or max(map(len, text.splitlines())) <= width


def test_alexnet_in_colour_says_the_same(golden: Callable[..., None]) -> None:
    text = render(netledger.ledger("alexnet"), "table", width=140, color=True)
    golden("render/alexnet-140-color.txt", text + "\n")
    plain = render(netledger.ledger("alexnet"), "table", width=140)
    assert [line.rstrip() for line in ANSI.sub("", text).splitlines()] == plain.splitlines()


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "lenet5"])
@pytest.mark.parametrize("view", [{}, {"ops": True}, {"depth": 1}], ids=["layers", "ops", "depth"])
@pytest.mark.parametrize("width", [40, 60, 71, 80, 97, 120, 160, 200])
def test_fits_and_never_cuts_a_number(name: str, view: dict[str, object], width: int) -> None:
    ledger = netledger.ledger(name)
    text = render(ledger, "table", width=width, **view)  # type: ignore[arg-type]
    lines = body(text)
    assert max(map(cell_len, lines)) <= width
    rows = ledger.view(**view)  # type: ignore[arg-type]
    assert len(lines) == len(rows) + 6
    for row, line in zip(rows, lines[3:], strict=False):
        assert f" {row.params:,}" in line
    assert f" {ledger.totals.params:,}" in lines[-2]
    shown = re.split(r" {2,}", lines[1])
    missing = re.search(r"^not shown in \d+ columns: ((?:.*,\n)*.*)$", text, re.M)
    assert set(shown) | set(re.split(r",\s", missing[1]) if missing else ()) == {
        *("Layer", "Tensor size", "Weights", "Biases", "Parameters", "MACs"),
        *("Receptive field", "% params", "% MACs", "Operation"),
    }


def test_rows_of_the_blog() -> None:
    text = render(netledger.ledger("alexnet"), "table")
    assert cells(text, "Conv-1")[:6] == [
        "Conv-1",
        "55x55x96",
        "34,848",
        "96",
        "34,944",
        "105,415,200",
    ]
    assert cells(text, "MaxPool-1")[:5] == ["MaxPool-1", "27x27x96", "0", "0", "0"]
    assert cells(text, "FC-1")[:3] == ["FC-1", "4096x1", "37,748,736"]
    assert text.splitlines()[0].startswith(
        "alexnet · AlexNet, one tower · input 227x227x3 · per sample"
    )


def test_batch() -> None:
    text = render(netledger.ledger("alexnet", batch=8), "table")
    assert "· batch 8 ·" in text.splitlines()[0]
    found = cells(text, "Conv-1")
    assert found[1] == "55x55x96" and found[4:6] == ["34,944", f"{8 * 105_415_200:,}"]
    source = render(netledger.ledger("alexnet", batch=8), "table", layout="source")
    assert cells(source, "Conv-1")[1] == "[8, 55, 55, 96]"


def test_unknown_is_never_zero() -> None:
    net = Network("odd", (8, 8, 3))
    net(Conv(4, 3), name="conv")
    net(Opaque("Magic", [(BATCH, 5, 5, 2)], "nobody wrote a rule"), "conv", name="magic")
    net(Softmax(), name="end")
    text = render(infer(net.graph()), "table")
    assert cells(text, "magic")[1:6] == ["5x5x2", "?", "?", "?", "?"]
    assert cells(text, "Total")[1:5] == ["≥ 108", "≥ 4", "≥ 112", "≥ 3,888"]
    assert "≥ 112 parameters = ≥ 108 weights + ≥ 4 biases · ≥ 448 bytes in float32" in text
    assert "% params" not in text and "% MACs" not in text  # no share of a lower bound
    assert (
        "≥ 144 neurons" in text
        and "\n? parameters and MACs unknown: nobody wrote a rule (magic)" in text
    )


def test_nothing_known_at_all_is_no_lower_bound() -> None:
    graph = Graph(
        "g", {"x": TensorType((BATCH, 4))}, (Node("m", Opaque("M", [(BATCH, 4)]), ("x",)),)
    )
    assert cells(render(infer(graph), "table"), "Total")[1:] == ["?", "?", "?", "?"]


def tied() -> netledger.Ledger:
    net = Network("lm", (16,), dtype="int64")
    net(Embedding(100, 8), name="embed")
    net(Linear(100, bias=True), name="head")
    net.tie(("embed", "weight"), ("head", "weight"))
    return infer(net.graph())


def test_tied_parameters_are_marked_and_counted_once() -> None:
    text = render(tied(), "table")
    assert cells(text, "head")[2:5] == ["= 0", "100", "= 100"]
    assert cells(text, "Total")[3] == "900"
    assert "= shared, counted only once: head.weight is embed.weight" in text


def test_frozen_and_buffers() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="conv", trainable=False)
    net(BatchNorm(), name="bn")
    text = render(infer(net.graph()), "table")
    assert "8 trainable + 112 frozen · 8 buffers (stored, not learned" in text
    assert "512 bytes in float32" in text


def test_several_dtypes() -> None:
    net = Network("n", (8,))
    net(Linear(4), name="a")
    net(Tensor((3, 5), "buffer", "int8"), name="t")
    assert "159 bytes in float32, int8" in render(infer(net.graph()), "table")


def test_symbols_print_whole_in_a_pipe_and_apart_on_a_terminal() -> None:
    ledger = netledger.ledger("alexnet", "HxWx3")
    size = "(⌊(H − 11)/4⌋ + 1)x(⌊(W − 11)/4⌋ + 1)x96"
    assert cells(render(ledger, "table"), "Conv-1")[1] == size
    narrow = render(ledger, "table", width=100)
    assert cells(narrow, "Conv-1")[1] == "[1]"
    assert f"[1] Conv-1, Tensor size: {size}" in narrow
    assert max(map(len, body(narrow))) <= 100
    keys = set(re.findall(r"^\[\d+\]", narrow, re.M))
    assert set(re.findall(r"\[\d+\]", "\n".join(body(narrow)))) == keys
    assert "% params" not in narrow  # no share of a formula


def test_partial() -> None:
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="one")
    net(Conv(4, 9), name="two")
    with pytest.raises(NetledgerError) as caught:
        infer(net.graph())
    assert caught.value.partial is not None
    text = render(caught.value.partial, "table")
    assert text.endswith("\n… stopped at two") and "\nTotal so far" in text


def test_findings() -> None:
    wrong = Recorded(outputs=(TensorType((BATCH, 5)),))
    graph = Graph(
        "g", {"x": TensorType((BATCH, 8))}, (Node("fc", Linear(4), ("x",), recorded=wrong),)
    )
    last = render(infer(graph), "table").splitlines()[-1]
    assert last.startswith("error NL001 fc: the books do not balance at fc")
    coloured = render(infer(graph), "table", color=True).splitlines()[-1]
    assert coloured.startswith("\x1b[31merror\x1b[0m NL001")


def test_wide_characters_keep_the_columns_aligned() -> None:
    net = Network("中文网络", (8, 8, 3))
    net(Conv(4, 3), name="卷积一")
    net(Conv(4, 3), name="plain")
    lines = body(render(infer(net.graph()), "table"))
    at = {cell_len(line[: line.index("x", 6)]) for line in lines[4:6]}
    assert len(at) == 1
    narrow = body(render(infer(net.graph()), "table", width=40))
    assert max(map(cell_len, narrow)) <= 40


def test_long_names_are_cut_in_the_middle_on_a_terminal_only() -> None:
    net = Network("n", (8, 8, 3))
    name = "model.encoder.layers.0.attention.projection.out"
    net(Conv(4, 3), name=name)
    assert name in render(infer(net.graph()), "table")
    narrow = render(infer(net.graph()), "table", width=60)
    assert re.search(r"^model\.\S*…\S*\.out ", narrow, re.M)


def test_layouts() -> None:
    first = Network("first", (3, 8, 9), channels_last=False)
    first(Conv(4, 3), name="conv")
    first(GlobalAvgPool(), name="pool")
    ledger = infer(first.graph())
    expected = {
        None: ["[N, 3, 8, 9]", "[N, 4, 6, 7]", "[N, 4]"],
        "source": ["[N, 3, 8, 9]", "[N, 4, 6, 7]", "[N, 4]"],
        "chw": ["3x8x9", "4x6x7", "4"],
        "hwc": ["8x9x3", "6x7x4", "4x1"],
    }
    for layout, sizes in expected.items():
        text = Sizes(ledger, layout)
        assert [text.text(row) for row in ledger.ops] == sizes
    alexnet = netledger.ledger("alexnet")
    assert Sizes(alexnet, "chw").text(alexnet.row("Conv-1")) == "96x55x55"
    assert Sizes(alexnet, "source").text(alexnet.row("Conv-1")) == "[N, 55, 55, 96]"


def test_which_tensors_are_maps() -> None:
    net = Network("vit", (3, 8, 8), channels_last=False)
    net(Conv(6, 4, stride=4), name="patch")
    net(Permute((0, 2, 3, 1)), name="last")
    net(Linear(10), name="mix")
    net(Reshape((4, 10)), name="tokens")
    net(Linear(5), name="fc")
    net(Tensor((3, 7)), name="stored")
    ledger = infer(net.graph())
    hwc, chw = (Sizes(ledger, layout) for layout in ("hwc", "chw"))
    assert [hwc.text(row) for row in ledger.ops] == [
        *("8x8x3", "2x2x6", "2x2x6", "2x2x10", "4x10", "4x5", "3x7"),
    ]
    assert [chw.text(row) for row in ledger.ops] == [
        *("3x8x8", "6x2x2", "6x2x2", "10x2x2", "4x10", "4x5", "3x7"),
    ]


def test_several_inputs_and_outputs() -> None:
    graph = Graph(
        "n",
        {"a": TensorType((BATCH, 6, 4)), "b": TensorType((BATCH, 3))},
        (
            Node("split", Split((1, 3)), ("a",), ("left", "right")),
            Node("lstm", LSTM(5), ("a",), ("sequence", "state", "cell")),
        ),
    )
    text = render(infer(graph), "table", layout="hwc")
    assert "inputs a 6x4, b 3x1" in text
    assert cells(text, "split")[1] == "6x1, 6x3"
    assert cells(text, "lstm")[1] == "6x5, 1xNx5, 1xNx5"  # the batch is left out where it is first


def test_a_folded_module_shows_where_it_ends() -> None:
    ledger = netledger.ledger("resnet18")
    text = render(ledger, "table", depth=1)
    assert cells(text, "layer1")[:2] == ["layer1", "56x56x64"]
    assert "Module of" in next(line for line in text.splitlines() if line.startswith("layer1 "))


def test_scopes_are_set_back_in_colour() -> None:
    text = render(netledger.ledger("resnet18"), "table", color=True)
    assert "\n\x1b[2mlayer1.0.\x1b[0mconv1 " in text


def test_symbols_in_brackets_only_where_needed() -> None:
    net = Network("n", (symbol("H") * 2, symbol("W"), 3))
    net(Conv(4, 2, stride=2), name="conv")
    net(Flatten(), name="flat")
    ledger = infer(net.graph())
    assert Sizes(ledger, None).text(ledger.ops[0]) == "(2 × H)xWx3"


def test_unknown_format_and_layout() -> None:
    ledger = netledger.ledger("lenet5")
    with pytest.raises(UnknownName, match="unknown format 'tabel'") as caught:
        render(ledger, "tabel")
    assert "table" in caught.value.hint
    with pytest.raises(UnknownName, match="unknown layout 'nhwc'") as caught:
        render(ledger, "table", layout="nhwc")
    assert "hwc" in caught.value.hint


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "yaml"])
def test_no_format_ends_with_a_new_line(format: str) -> None:
    text = render(netledger.ledger("lenet5"), format)
    assert text and text == text.rstrip()


@pytest.mark.parametrize(
    ("value", "whole", "shown"),
    [
        (0, 10, "0"),
        (1, 10_000, "<0.1"),
        (5, 10_000, "0.1"),
        (999, 1000, "99.9"),
        (9996, 10_000, "100.0"),
        (10**40, 3 * 10**40, "33.3"),
    ],
)
def test_percent(value: int, whole: int, shown: str) -> None:
    assert percent(value, whole) == shown


def test_bars_show_every_number_above_zero() -> None:
    assert [bar(n) for n in (0, 1, 8, 12, 64)] == ["", "▏", "█", "█▌", "████████"]
    text = render(netledger.ledger("resnet18"), "table")
    for line in body(text)[3:-3]:
        assert ("<0.1 ▏" in line) == ("<0.1" in line)


def test_many_names_are_listed_whole_in_a_pipe_only() -> None:
    net = Network("odd", (4,))
    for i in range(9):
        net(Opaque("M", [(BATCH, 4)], "no rule"), name=f"odd{i}")
    assert "no rule (all 9 rows)" in render(infer(net.graph()), "table")
    net(Flatten(), name="flat")
    ledger = infer(net.graph())
    names = ", ".join(f"odd{i}" for i in range(9))
    assert f"? parameters and MACs unknown: no rule ({names})" in render(ledger, "table")
    assert "no rule (odd0, odd1, odd2 and 6 more)" in render(ledger, "table", width=80)
