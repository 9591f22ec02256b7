"""Every tool's number, from our rows alone, against the installed tool."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import conventions
from netledger.infer import infer
from netledger.zoo import NETWORKS

pytestmark = pytest.mark.oracle

SAMPLE = (
    "lstm",
    "multi-head attention",
    "tied",
    "reused",
    "resizing",
    "transposed convolutions",
    "torchvision:squeezenet1_0",
    "timm:mobilenetv3_small_100",
)
NAMES = tuple(c.name for c in conventions.PEERS if c.name != "keras")
PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "peers.md"


def both(peers: Any, network: str) -> tuple[dict[str, int], dict[str, conventions.Count]]:
    """What the tools say, and what we say in their conventions."""
    make, inputs = peers.NETWORKS[network]
    graph = netledger.read(make(), inputs())
    ledger = infer(graph, batch=inputs()[0].shape[0])
    ours = {name: conventions.count(ledger, name) for name in NAMES}
    return peers.measure(make(), inputs()), ours


@pytest.mark.parametrize("network", SAMPLE)
def test_a_tools_number_is_ours_in_its_convention(peers: Any, network: str) -> None:
    theirs, ours = both(peers, network)
    assert set(theirs) == set(NAMES)
    for name, number in theirs.items():
        count = ours[name]
        assert count.total == number, name
        assert count.ours + sum(d for term in count.terms for _, d in term.rows) == number
        assert not count.unknown


@pytest.mark.parametrize("name", ["alexnet-owt", "resnet18", "squeezenet1_0"])
def test_without_modules_every_layer_is_one(peers: Any, name: str) -> None:
    """What has no modules is counted as the network is written in PyTorch."""
    make, inputs = peers.NETWORKS[f"torchvision:{name.removesuffix('-owt')}"]
    live = netledger.ledger(netledger.read(make(), inputs()))
    graph = netledger.read(name) if name in NETWORKS else live.graph
    bare = infer(replace(graph, calls=(), modules={}, homes={}, _by_name={}))
    for convention in NAMES:
        ours, theirs = (conventions.count(ledger, convention) for ledger in (bare, live))
        assert ours.total == theirs.total, convention


@pytest.mark.slow
def test_all_networks(peers: Any) -> None:
    """`make prove` keeps the table in docs/proofs/peers.md."""
    lines, equal = [], dict.fromkeys(NAMES, 0)
    for network in peers.NETWORKS:
        theirs, ours = both(peers, network)
        for name, number in theirs.items():
            count, why = ours[name], peers.EXCEPTIONS.get((name, network))
            assert (count.total == number) == (why is None), (network, name, count.total, number)
            equal[name] += count.total == number
            said = "yes" if count.total == number else f"no: {why}"
            lines.append(f"| {network} | {name} | {number:,} | {count.total:,} | {said} |")
    assert min(equal.values()) >= 30
    PAGE.write_text(_page(lines, equal, len(peers.NETWORKS)))


def _page(lines: list[str], equal: dict[str, int], networks: int) -> str:
    head = (
        "# Other tools\n\n"
        f"{networks} networks (torchvision, timm, written by hand), counted by the installed tools "
        f"beside PyTorch {version('torch')}, and by netledger in each tool's convention, from the "
        "rows of its own ledger, without the tool. Written by `make prove`.\n\n"
    )
    tools = {c.name: c.tool for c in conventions.PEERS}
    summary = [
        "| convention | tool | equal |",
        "|---|---|---:|",
        *(f"| {name} | {tools[name]} | {n} of {networks} |" for name, n in equal.items()),
    ]
    table = [
        "| network | convention | the tool | netledger | equal |",
        "|---|---|---:|---:|---|",
        *lines,
    ]
    return head + "\n".join([*summary, "", *table, ""])
