"""The tables of docs/zoo.md; ``pytest --update-golden`` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from netledger import zoo
from netledger.infer import infer
from netledger.ledger import Ledger

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
LAYERS = ("Conv-1", "Conv-2", "Conv-3", "Conv-4", "Conv-5", "FC-1", "FC-2", "FC-3")


def test_the_page_is_up_to_date(golden: Callable[[Path, str], None]) -> None:
    books = {name: infer(zoo.load(name)) for name in zoo.NETWORKS}
    alexnets = {
        name: book for name, book in books.items() if zoo.NETWORKS[name].module == "alexnet"
    }
    page = put(PAGE.read_text(encoding="utf-8"), "networks", networks(books))
    golden(PAGE, put(page, "layers", layers(alexnets)))


def test_the_page_names_every_network_and_its_totals() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in zoo.NETWORKS:
        totals = infer(zoo.load(name)).totals
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` "))
        assert f"{totals.params:,}" in line
        assert f"{totals.macs:,}" in line
        assert zoo.NETWORKS[name].story in line


def test_the_numbers_in_the_text_are_counted() -> None:
    text = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    books = {name: infer(zoo.load(name)) for name in ("alexnet", "alexnet-2012", "alexnet-naive")}
    whole, paper, naive = books.values()
    gains = [whole.row(f"Conv-{n}").weights - paper.row(f"Conv-{n}").weights for n in (2, 4, 5)]
    assert f"{' + '.join(f'{gain:,}' for gain in gains)} = {sum(gains):,}" in text
    lost = paper.row("FC-1").weights - naive.row("FC-1").weights
    assert f"FC-1 loses {lost:,} weights" in text
    neurons = [paper.row(layer).elements for layer in LAYERS]
    assert f"{' + '.join(f'{n:,}' for n in neurons)} = {sum(neurons):,}" in text


def put(page: str, marker: str, table: str) -> str:
    """`page` with the table between the marker and the next ``end``."""
    new, count = re.subn(
        rf"(<!-- {marker} -->\n).*?(<!-- end -->)", rf"\1{table}\2", page, flags=re.DOTALL
    )
    assert count == 1
    return new


def networks(books: dict[str, Ledger]) -> str:
    def line(name: str, book: Ledger) -> tuple[str, ...]:
        ((_, image),) = book.graph.inputs.items()
        size = "×".join(map(str, image.shape[1:]))
        counts = (f"{book.totals.params:,}", f"{book.totals.macs:,}")
        entry = zoo.NETWORKS[name]
        return (f"`{name}`", str(entry.year), size, *counts, entry.story)

    head = ("Name", "Year", "Input", "Parameters", "MACs", "What it is")
    return table(head, (line(name, book) for name, book in books.items()), "lllRRl")


def layers(books: dict[str, Ledger]) -> str:
    lines = (
        (f"`{name}`", *(f"{book.row(layer).params:,}" for layer in LAYERS))
        for name, book in books.items()
    )
    return table(("Parameters of", *LAYERS), lines, "lRRRRRRRR")


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]], sides: str) -> str:
    rule = ("--:" if side == "R" else "---" for side in sides)
    rows = (f"| {' | '.join(cells)} |\n" for cells in (head, tuple(rule), *lines))
    return f"\n{''.join(rows)}\n"
