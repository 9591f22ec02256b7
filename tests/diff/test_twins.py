"""Keras' networks against their twins in torchvision and timm: every difference has its cause."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import netledger
from netledger.diff.counts import total
from netledger.diff.difference import Difference

pytestmark = pytest.mark.oracle

os.environ.setdefault("KERAS_BACKEND", "torch")

PAGE = Path(__file__).parents[2] / "docs" / "proofs" / "twins.md"


class Twins(NamedTuple):
    keras: str
    torch: str
    size: int = 224


def _numbered(keras: str, torch: str, *sizes: tuple[Any, Any, int]) -> list[Twins]:
    return [Twins(keras.format(k), torch.format(t), size) for k, t, size in sizes]


SIZES = (224, 240, 260, 300, 380, 456, 528, 600)

TWINS = [
    *_numbered("VGG{}", "torchvision:vgg{}", *((n, n, 224) for n in (16, 19))),
    *_numbered("ResNet{}", "torchvision:resnet{}", *((n, n, 224) for n in (50, 101, 152))),
    *_numbered("ResNet{}V2", "timm:resnetv2_{}", *((n, n, 224) for n in (50, 101, 152))),
    *_numbered("DenseNet{}", "torchvision:densenet{}", *((n, n, 224) for n in (121, 169, 201))),
    Twins("MobileNet", "timm:mobilenetv1_100"),
    Twins("MobileNetV2", "torchvision:mobilenet_v2"),
    Twins("MobileNetV3Small", "torchvision:mobilenet_v3_small"),
    Twins("MobileNetV3Large", "torchvision:mobilenet_v3_large"),
    Twins("InceptionV3", "torchvision:inception_v3", 299),
    Twins("Xception", "timm:legacy_xception", 299),
    Twins("InceptionResNetV2", "timm:inception_resnet_v2", 299),
    Twins("NASNetLarge", "timm:nasnetalarge", 331),
    *_numbered(
        "EfficientNetB{}", "torchvision:efficientnet_b{}", *((i, i, s) for i, s in enumerate(SIZES))
    ),
    *_numbered(
        "EfficientNetV2B{}",
        "timm:tf_efficientnetv2_b{}",
        *((i, i, s) for i, s in enumerate((224, 240, 260, 300))),
    ),
    *_numbered(
        "EfficientNetV2{}",
        "torchvision:efficientnet_v2_{}",
        ("S", "s", 384),
        ("M", "m", 480),
        ("L", "l", 480),
    ),
    *_numbered(
        "ConvNeXt{}",
        "torchvision:convnext_{}",
        *((word, word.lower(), 224) for word in ("Tiny", "Small", "Base", "Large")),
    ),
    Twins("ConvNeXtXLarge", "timm:convnext_xlarge"),
]


def compare(twins: Twins) -> tuple[Difference, float]:
    """The difference from Keras' network to its twin, and the processor time it took."""
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    s = twins.size
    a = netledger.ledger(f"keras:{twins.keras}", f"{s}x{s}x3")
    b = netledger.ledger(twins.torch, f"3x{s}x{s}")
    start = time.process_time()
    found = netledger.diff(a, b)
    return found, time.process_time() - start


def check(found: Difference) -> None:
    """Every number of the difference belongs to a cause in words."""
    assert found.delta.minus(total(cause.delta for cause in found.causes)).nothing
    for cause in found.causes:
        assert cause.text and cause.kind not in ("recorded", "unknown")
        rest = cause.delta.minus(total(cause.rows.values()))
        assert not rest.stored_or_done


def test_mobilenet_v2_is_the_same() -> None:
    found, _ = compare(Twins("MobileNetV2", "torchvision:mobilenet_v2"))
    check(found)
    assert not found.counting


def test_resnet50_differs_in_strides_and_biases() -> None:
    found, _ = compare(Twins("ResNet50", "torchvision:resnet50"))
    check(found)
    causes = [(c.kind, c.delta.params, c.delta.macs) for c in found.counting]
    assert causes == [("stride", 0, 231_211_008), ("bias", -26_560, 0)]
    assert found.counting[1].text == "no biases before normalisation (53 convolutions)"
    assert found.a.totals.params + found.a.totals.buffers == 25_636_712  # as Keras counts


@pytest.mark.slow
def test_all_twins() -> None:
    """`make prove` keeps the table in docs/proofs/twins.md."""
    lines, slowest = [], 0.0
    for twins in TWINS:
        found, seconds = compare(twins)
        check(found)
        slowest = max(slowest, seconds)
        lines.append(_line(twins, found))
    PAGE.write_text(_page(lines, slowest), encoding="utf-8")


def _line(twins: Twins, found: Difference) -> str:
    a, delta = found.a.totals, found.delta
    counting = [f"{c.kind}: {c.text}" for c in found.counting]
    cells = [
        twins.keras,
        twins.torch,
        f"{a.params:,} {_signed(delta.params)}",
        f"{a.buffers:,} {_signed(delta.buffers)}",
        f"{a.macs:,} {_signed(delta.macs)}",
        "; ".join(counting).replace("|", "\\|") or "–",
        f"{len(found.silent)}",
    ]
    return f"| {' | '.join(cells)} |"


def _signed(value: int) -> str:
    return f"+{value:,}" if value > 0 else f"−{-value:,}" if value else "+0"


def _page(lines: list[str], slowest: float) -> str:
    head = (
        "# Twins in two frameworks\n\n"
        f"Networks of `keras.applications` ({version('keras')}) against torchvision "
        f"{version('torchvision')} and timm {version('timm')}: what leads from "
        "the first to the second. Each count is Keras' and what the twin has more (+) or less (−); "
        "every difference is the exact sum of its causes, activations included. The last column "
        "counts causes that change none of these counts: borders (a strided convolution pads on "
        "one side in Keras, on both in PyTorch), poolings, the softmax at the end. "
        f"The slowest diff took {slowest:.1f} seconds of processor time.\n\n"
        "Written by `make prove`. Without a twin in either: NASNetMobile.\n\n"
    )
    table = [
        "| Keras | twin | parameters | buffers | MACs | causes | silent causes |",
        "|---|---|---:|---:|---:|---|---:|",
        *lines,
        "",
    ]
    return head + "\n".join(table)
