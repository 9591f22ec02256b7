"""Whole collections of models against PyTorch: a sample always, all of them in `make prove`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netledger import references

pytestmark = pytest.mark.oracle
PAGES = Path(__file__).parents[3] / "docs" / "proofs"
Measured = dict[str, Any]

TORCHVISION = (
    *("alexnet", "googlenet", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "swin_v2_t"),
    *("vit_b_32", "regnet_y_400mf", "r3d_18", "lraspp_mobilenet_v3_large", "raft_small"),
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)
TIMM = (
    *("levit_128s", "nf_regnet_b0", "resnetv2_50x1_bit", "cait_xxs24_224", "mobilevit_xxs"),
    *(
        "beit_base_patch16_224",
        "efficientnet_lite0",
        "botnet26t_256",
        "convnext_atto",
        "ghostnet_050",
    ),
    *("swinv2_cr_tiny_224", "mixer_s32_224", "xcit_nano_12_p16_224", "res2net50_14w_8s"),
    "edgenext_xx_small",
)


def differences(row: Measured) -> list[str]:
    """What is not exactly PyTorch's own."""
    if "error" in row:
        return [row["error"]]
    found = [f"{row[key]} {key}" for key in ("unknown", "findings", "ties") if row[key]]
    for count in ("params", "trainable", "buffers"):
        if row[count] != row[f"their_{count}"]:
            found.append(f"{count}: {row[count]:,}, PyTorch {row[f'their_{count}']:,}")
    if row["their_macs"] is None:
        found.append(f"not counted by PyTorch: {row['why_not']}")
    elif row["macs"] != row["their_macs"]:
        found.append(f"MACs: {row['macs']}, PyTorch {row['their_macs']}")
    return found


@pytest.mark.parametrize(
    "name", [*(f"torchvision:{n}" for n in TORCHVISION), *(f"timm:{n}" for n in TIMM)]
)
def test_sample(name: str, measure: Callable[[str], Measured]) -> None:
    row = measure(name)
    assert differences(row) == []
    assert row["stated"] <= row["rows"] / 5


@pytest.mark.slow
@pytest.mark.parametrize("collection", ["torchvision", "timm"])
def test_all(collection: str, prove: Callable[..., list[Measured]]) -> None:
    """Every model; `make prove` keeps the tables in docs/proofs."""
    library: Any = references._import({"timm": "timm"}.get(collection, "torchvision.models"))
    names = [f"{collection}:{name}" for name in library.list_models()]
    rows = prove(collection, names)
    text = page(collection, _version(collection), rows, len(names))
    (PAGES / f"{collection}.md").write_text(text, encoding="utf-8")
    print(text[: text.index("\n| ")])
    wrong = {row["name"]: differences(row) for row in rows if "error" in row or row["unknown"]}
    assert not wrong
    assert sum(row["stated"] for row in rows) < 0.01 * sum(row["rows"] for row in rows)


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def page(collection: str, version: str, rows: list[Measured], total_models: int) -> str:
    """The proof as a page."""
    read = [row for row in rows if "error" not in row]
    equal = [row for row in read if not differences(row)]
    total, stated = (sum(row[key] for row in read) for key in ("rows", "stated"))
    kinds: Counter[str] = Counter()
    for row in read:
        kinds.update(row["kinds"])
    share = 100 * (total - stated) / total
    tied = sum(row["tied"] > 0 for row in read)
    lines = [
        f"# Models of {collection}",
        "",
        f"Models of {collection} {version}, made on the meta device and read live, one sample "
        "in evaluation. Compared with PyTorch itself: parameters, trainable parameters and buffers "
        "(without the counters of batches of batch normalisation) with its own lists, and so are "
        f"groups of tied ones ({tied:,} models have any); every output shape with the one that "
        "PyTorch computes, multiply-accumulates with the formulas of "
        "`torch.utils.flop_counter`, halved. Written by `make prove`.",
        "",
        f"- models: {total_models:,}; tried: {len(rows):,}; read: {len(read):,}; equal in "
        f"everything: {len(equal):,}",
        f"- rows: {total:,}; derived by a rule: {total - stated:,} ({share:.2f}%); the others have "
        "the shape that PyTorch states, store nothing and multiply nothing: "
        + ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common(12)),
        "",
        "| model | rows | parameters | buffers | multiply-accumulates | differs |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        name = row["name"].partition(":")[2]
        said = "; ".join(differences(row)) or "0"
        if "error" in row:
            lines.append(f"| {name} | | | | | {said} |")
            continue
        macs = f"{row['macs']:,}" if isinstance(row["macs"], int) else row["macs"]
        counts = f"{row['rows']:,} | {row['params']:,} | {row['buffers']:,} | {macs}"
        lines.append(f"| {name} | {counts} | {said} |")
    return "\n".join(lines) + "\n"
