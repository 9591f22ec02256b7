"""One network written in many formats, read back, and held against the network itself.

What a format gives must be one of these, the first being the best:

same        the difference from the zoo's own network is empty, also where the format has no word
            for some operation, which is said in other words before it is written (a border as a
            layer of its own); every layer, its parts taken together, makes, stores and multiplies
            the same
counts      the format takes an operation without weights apart into arithmetic; all layers that
            store or multiply anything are the same
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph, Ledger, zoo
from netledger.diff import diff
from netledger.infer import infer

pytestmark = pytest.mark.oracle

SAME, COUNTS = "same", "counts"
LARGE = 30_000_000
"""Networks with more parameters are not written as .keras, for each would take long."""
FIVE = ("spec", "Caffe", "ONNX", ".pt2", "Keras JSON")
SAMPLE = [
    ("alexnet", "cuda-convnet"),
    *(("lenet5", name) for name in ("ONNX", ".pt2", "Keras JSON", ".keras")),
    *(("resnet18", name) for name in ("Caffe", "ONNX", ".pt2", "Keras JSON")),
    *(("googlenet", name) for name in ("spec", "Caffe", "Keras JSON")),
    *(("alexnet-2012", name) for name in ("spec", "cuda-convnet")),
    ("googlenet-caffe", "ONNX"),
]
Sizes = tuple[tuple[Any, ...], Any, Any, Any, Any]
Say = Callable[[Graph, str], Graph | str]


def sizes(row: Any) -> Sizes:
    """What a layer makes, up to the order of axes and without the batch, stores and does."""
    made = tuple(sorted(row.outputs[0].shape[1:]))
    return made, row.weights, row.biases, row.buffers, row.macs


def layers(ledger: Ledger, names: Any) -> dict[str, Sizes]:
    """The sizes of each named layer; what stands before it under its name is part of it."""
    found: dict[str, Sizes] = {}
    for row in ledger.ops:
        name = row.name if row.name in names else row.name.rpartition(".")[0]
        made, *counts = sizes(row)
        if name in found:
            counts = [a + b for a, b in zip(found[name][1:], counts, strict=True)]
        found[name] = (made, *counts)  # type: ignore[assignment]
    return found


def counted(ledger: Ledger, ordered: bool) -> list[Sizes]:
    """The sizes of the layers that store or multiply anything."""
    found = [sizes(row) for row in ledger.ops if row.params or row.buffers or row.macs]
    return found if ordered else sorted(found)


def totals(ledger: Ledger) -> dict[str, Any]:
    """The totals; activations apart, for a format may drop a dropout."""
    t = ledger.totals
    keys = ("weights", "biases", "params", "trainable", "buffers", "macs", "neurons", "bytes")
    return {**{key: getattr(t, key) for key in keys}, "complete": t.complete}


def agree(graph: Graph, name: str, form: Any, said: Graph, folder: Path) -> tuple[str, Ledger]:
    """Writes, reads and compares; says how far the two are the same, and what was read."""
    path = folder / f"net.{form.suffix}"
    ours, words = infer(graph), infer(said)
    names = {*graph.inputs, *(node.name for node in graph.nodes)}
    assert list(layers(words, names).items()) == list(layers(ours, names).items())
    form.write(said, path)
    try:
        ledger = netledger.ledger(path)
    finally:
        path.unlink()
    assert not ledger.findings
    assert totals(ledger) == totals(words) == totals(ours)
    ordered = "eras" not in name  # Keras lists layers by their distance from the end
    assert counted(ledger, ordered) == counted(words, ordered)
    if diff(ours, ledger).empty:
        return SAME, ledger
    found = diff(words, ledger)
    assert not found.counting, [cause.text for cause in found.causes]
    return COUNTS, ledger


def missing(form: Any) -> str:
    """A package that the format needs and that is not there."""
    return next((p for p in form.needs if importlib.util.find_spec(p) is None), "")


@pytest.mark.parametrize(("network", "name"), SAMPLE)
def test_a_format_gives_the_same_ledger(
    network: str, name: str, formats: Mapping[str, Any], said: Say, tmp_path: Path
) -> None:
    if package := missing(formats[name]):
        pytest.skip(f"{package} is not installed")
    graph = zoo.load(network)
    words = said(graph, name)
    assert isinstance(words, Graph)
    assert agree(graph, name, formats[name], words, tmp_path)[0] == SAME


def test_alexnet_is_one_ledger_in_five_formats(
    formats: Mapping[str, Any], said: Say, tmp_path: Path
) -> None:
    graph = zoo.load("alexnet")
    ledgers: dict[str, Ledger] = {}
    for name in FIVE:
        if package := missing(formats[name]):
            pytest.skip(f"{package} is not installed")
        words = said(graph, name)
        assert isinstance(words, Graph)
        found, ledgers[name] = agree(graph, name, formats[name], words, tmp_path)
        assert found == SAME, name
    for one, other in permutations(FIVE, 2):
        assert diff(ledgers[one], ledgers[other]).empty, (one, other)


def test_what_pytorch_takes_apart_is_read_as_it_was_written(
    formats: Mapping[str, Any], said: Say, tmp_path: Path
) -> None:
    """PyTorch has no operator for local response normalisation, but eight for its parts."""
    if package := missing(formats[".pt2"]):
        pytest.skip(f"{package} is not installed")
    graph = zoo.load("alexnet-naive")
    words = said(graph, ".pt2")
    assert isinstance(words, Graph)
    assert agree(graph, ".pt2", formats[".pt2"], words, tmp_path)[0] == SAME


def test_what_is_not_the_same_is_told(formats: Mapping[str, Any], tmp_path: Path) -> None:
    """The comparison would see a file that says something else."""
    graph = zoo.load("lenet5")
    other = graph.with_fields("S4", stride=1)
    with pytest.raises(AssertionError):
        agree(graph, "spec", formats["spec"], other, tmp_path)
    path = tmp_path / "net.prototxt"
    formats["Caffe"].write(graph.with_fields("C3", bias=False), path)
    assert not diff(infer(graph), netledger.ledger(path)).empty


def changes(graph: Graph, words: Graph) -> Iterator[str]:
    """What is said in other words."""
    for node in graph.nodes:
        parts = [n for n in words.nodes if n.name.rpartition(".")[0] == node.name]
        now = [n.op for n in (*parts, words.node(node.name))]
        differ = [f for f in node.op.rules if getattr(now[-1], f, None) != getattr(node.op, f)]
        if parts or type(now[-1]) is not type(node.op):
            yield f"{node.op.kind} as {' + '.join(op.kind for op in now)}"
        for f in differ if len(now) == 1 else ():
            if type(now[-1]) is type(node.op) and f not in ("channels_last", "axis"):
                yield f"{node.op.kind}: {f} {getattr(now[-1], f)} for {getattr(node.op, f)}"


@pytest.mark.slow
def test_every_network_in_every_format(
    formats: Mapping[str, Any], said: Say, tmp_path: Path, capsys: Any
) -> None:
    """All of the zoo; the table is kept in docs/proofs/formats.md."""
    assert not any(map(missing, formats.values())), "every format has to be there"
    lines, notes = [], dict[str, dict[str, list[str]]]()
    for network in zoo.NETWORKS:
        graph = zoo.load(network)
        cells: dict[str, str] = {}
        for name, form in formats.items():
            words = said(graph, name)
            if isinstance(words, str):
                cells[name] = "—"
                notes.setdefault(name, {}).setdefault(f"cannot say: {words}", []).append(network)
            elif name == ".keras" and infer(graph).totals.params > LARGE:
                cells[name] = ""
            else:
                cells[name], _ = agree(graph, name, form, words, tmp_path)
                for text in dict.fromkeys(changes(graph, words)):
                    notes.setdefault(name, {}).setdefault(text, []).append(network)
            gc.collect()
        good = {n.replace("Keras JSON", ".keras") for n, c in cells.items() if c == SAME}
        assert len(good) >= 3, (network, cells)
        if network == "alexnet":
            assert all(cells[name] == SAME for name in FIVE)
        lines.append(f"| {network} | {' | '.join(cells.values())} |")
        with capsys.disabled():
            print(lines[-1], flush=True)
    (Path(__file__).parents[2] / "docs" / "proofs").mkdir(exist_ok=True)
    page = Path(__file__).parents[2] / "docs" / "proofs" / "formats.md"
    page.write_text("\n".join(report(list(formats), lines, notes)) + "\n")


def report(
    names: list[str], lines: list[str], notes: Mapping[str, Mapping[str, list[str]]]
) -> Iterator[str]:
    yield "# One network in many formats"
    yield ""
    yield (
        "Every network of the zoo, written in every format that can say it, read again by "
        "netledger, and compared with the zoo's own: totals of weights, biases, buffers, MACs, "
        "neurons and bytes, and every layer that stores or multiplies anything, in order. Written "
        "by `make prove`."
    )
    yield ""
    yield (
        "- **same**: `netledger diff` is empty: it finds nothing but other names, layouts and "
        "words, and what does nothing. What a format has no word for is said in other words "
        "(below) before it is written; every layer, its parts taken together, still makes, stores "
        "and multiplies the same as in the zoo."
    )
    yield (
        "- **counts**: the format takes local response normalisation apart into arithmetic; every "
        "layer that stores or multiplies anything is the same, the diff lists the rest."
    )
    yield "- **—**: the format, or its exporter, cannot say an operation exactly (below)."
    yield "- empty: not written, for the file would be large; the reader is that of Keras JSON."
    yield ""
    yield f"| network | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    yield from lines
    yield ""
    yield "## In other words"
    for name, texts in notes.items():
        yield ""
        yield f"**{name}**"
        yield ""
        for text, networks in texts.items():
            yield f"- {text} ({', '.join(networks)})"
