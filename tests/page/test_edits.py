"""What-if: after any edits, every number on the page is the one that Python derives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netledger import Graph, Ledger, NetledgerError, check, zoo
from netledger.edits import Edit, Insert, Remove, SetField, SetInput, SetTrainable, apply
from netledger.explain import explain
from netledger.formula import symbol
from netledger.graph import TensorType
from netledger.infer import infer
from netledger.ledger import Row, add_up
from netledger.ops import Activation, BatchNorm, Flatten, GlobalAvgPool, MaxPool
from netledger.render.common import Sizes, count, number
from netledger.render.common.numbers import at_least
from netledger.render.html import page
from netledger.render.html.changes import encode_edit

NETWORKS = {
    "lenet5": 140,
    "alexnet": 140,
    "alexnet-2012": 120,
    "alexnet-caffe": 100,
    "alexnet-owt": 100,
    "alexnet-slim-v2": 80,
    "alexnet-keras-flatten": 80,
    "vgg16": 80,
    "googlenet": 40,
    "resnet18": 60,
    "resnet50": 40,
    "resnet152": 20,
}
"""How many edits are tried; 1,000 in all."""

Case = tuple[list[Edit], int | None]


def test_there_are_a_thousand() -> None:
    assert len(NETWORKS) == 12 and sum(NETWORKS.values()) == 1000


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_is_pythons(name: str, open_page: Callable[..., Any]) -> None:
    graph = zoo.load(name)
    opened = open_page(page(infer(graph)))
    cases = list(edited(graph, random.Random(f"edits of {name}"), NETWORKS[name]))
    asked = [
        [
            [encode_edit(edit) for edit in edits],
            batch,
            row_asked(apply(graph, *edits), i),
            not i % 3,
        ]
        for i, (edits, batch) in enumerate(cases)
    ]
    said = opened.run(TELL, asked)
    fits = 0
    for (edits, batch), (_, _, row, checked), shown in zip(cases, asked, said, strict=True):
        expected = told(apply(graph, *edits), batch, row, checked)
        assert shown == expected, [edit.describe() for edit in edits]
        fits += expected["error"] is None
    assert len(cases) // 4 < fits < len(cases)  # some fit, some do not


TELL = """(asked) => asked.map(([edits, batch, row, checked]) => {
  const refused = netledger.set(edits, batch);
  if (refused) return { refused: refused.message };
  const shown = netledger.snapshot();
  const cells = (line, kind) => {
    const spans = [...line.querySelector(`.cell.${kind}`).children];
    return spans.filter((s) => !s.matches(".was, .heat")).map((s) => s.textContent).join("");
  };
  const drawn = [...document.querySelectorAll("#canvas .row:not(.module, .gone)")].map((line) => [
    line.querySelector(".label").title,
    ...["size", "params", "macs", "elements", "bytes"].map((kind) => cells(line, kind)),
  ]);
  const known = new Map(shown.rows.map((row) => [row[0], row]));
  for (const line of drawn) {
    const own = known.get(line[0]);
    const equal = JSON.stringify(own) === JSON.stringify(line);
    if (!equal) throw new Error(`${line} is drawn for ${own}`);
  }
  if (!drawn.length) throw new Error("nothing is drawn");
  const findings = checked ? netledger.findings() : null;
  return { ...shown, findings, derivations: shown.error ? null : netledger.derivations(row) };
})"""


def row_asked(graph: Graph, i: int) -> str:
    return graph.nodes[(i * 7) % len(graph.nodes)].name


def told(graph: Graph, batch: int | None, row: str, checked: bool) -> dict[str, Any]:
    """What the page has to show; what `check` finds, if that is asked for."""
    try:
        ledger, error = infer(graph, batch=batch), None
    except NetledgerError as caught:
        assert caught.partial is not None
        ledger, error = caught.partial, str(caught)
    sizes = Sizes(ledger, None)
    rows = [line(r, sizes) for r in ledger.rows]
    if error is not None:
        known = {part.name for r in ledger.rows for part in (r, *r.folded)}
        rows += [
            [node.name, "?", "?", "?", "?", "?"]
            for node in graph.nodes
            if node.name not in known and (not node.op.folds or node.name == ledger.failed)
        ]
    totals = ledger.totals
    found = [] if error or not checked else check(ledger)
    names = ("params", "macs", "neurons", "activations", "bytes")
    return {
        "error": error,
        "rows": rows,
        "findings": [[f.code, f.level, f.row, f.message, f.hint] for f in found]
        if checked
        else None,
        "totals": {n: "unknown" if error else number(getattr(totals, n)) for n in names},
        "derivations": None if error else [d.text() for d in explain(ledger, row)[0].derivations],
    }


def line(row: Row, sizes: Sizes) -> list[str]:
    size = sizes.text(row).replace("x", "×") if row.outputs else "–"
    elements = 0 if row.op is None else add_up(activations(row))
    stored = [p.stored_bytes for p in row.parameters if p.tied_to is None]
    memory = at_least(None) if None in stored else number(add_up(stored))
    return [row.name, size, count(row, "params"), count(row, "macs"), number(elements), memory]


def activations(row: Row) -> Iterator[Any]:
    yield row.elements
    for part in row.folded:
        yield from activations(part)


def edited(graph: Graph, rng: random.Random, tries: int) -> Iterator[Case]:
    """Edits on top of one another, now and then from the start."""
    edits: list[Edit] = []
    batch: int | None = None
    while tries:
        if len(edits) > 3 or rng.random() < 0.25:
            edits, batch = [], rng.choice((None, None, 1, 8))
        try:
            edit = one_edit(apply(graph, *edits), rng)
            apply(graph, *edits, edit)
        except NetledgerError:
            continue
        edits = [*edits, edit]
        tries -= 1
        yield edits, batch


def one_edit(graph: Graph, rng: random.Random) -> Edit:
    node = rng.choice(graph.nodes)
    kind = rng.random()
    if kind < 0.12:
        (name, t), *_ = graph.inputs.items()
        size = rng.choice((symbol("H"), *rng.sample(range(24, 300), 4)))
        shape = (*t.shape[:1], size, size, t.shape[-1])
        return SetInput(name, TensorType(shape, rng.choice(("float32", "float16"))))
    if kind < 0.2:
        return Remove(node.name)
    if kind < 0.24:
        return SetTrainable(node.name, rng.random() < 0.5)
    if kind < 0.34:
        op = rng.choice((Flatten(), MaxPool(2), BatchNorm(), GlobalAvgPool(), Activation("gelu")))
        return Insert(f"new-{rng.random()}", op, node.outputs[:1])
    fields = [(f, r) for f, r in node.op.rules.items() if r.kind != "text"]
    if not fields:
        raise NetledgerError("nothing to set")
    field, rule = rng.choice(fields)
    return SetField(node.name, field, value(rule, getattr(node.op, field), rng))


def value(rule: Any, old: Any, rng: random.Random) -> Any:
    if rule.kind == "flag":
        return not old
    if rule.choices and (rule.kind == "choice" or rng.random() < 0.3):
        return rng.choice(rule.choices)
    if rule.kind == "number":
        return rng.random()
    if rule.kind in ("per_axis", "padding") and rng.random() < 0.3:
        return (rng.randint(1, 4), rng.randint(1, 4))
    if rule.kind == "padding" and rng.random() < 0.3:
        return ((rng.randint(0, 3), 1), (0, rng.randint(0, 3)))
    if isinstance(old, int):
        return rng.choice((old + 1, old * 2, max(old // 2, 1), max(old - 1, 0), 3))
    return rng.randint(1, 4)


def test_the_books_of_a_ledger_are_the_same(
    open_page: Callable[..., Any], bare: Callable[[Any], Any]
) -> None:
    ledger: Ledger = infer(zoo.load("googlenet"), batch=4)
    said = open_page(page(ledger)).run("() => netledger.books()")
    assert said["rows"] == bare([row.to_dict() for row in ledger.ops])
    assert said["totals"] == bare(ledger.totals.to_dict())
