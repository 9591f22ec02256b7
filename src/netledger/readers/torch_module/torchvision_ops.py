"""Operators of torchvision, where their compiled part does not load beside this PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
}
_kept: list[Any] = []
"""Operators vanish with the library object that declares them."""


@contextmanager
def operators_of_torchvision() -> Iterator[None]:
    """What a detector does after its last layer, in a form that needs no data.

    Operators that did not load count as loaded: nothing is computed, their declarations are enough.
    """
    extension = sys.modules.get("torchvision.extension")
    if extension is None:
        yield
        return
    changes: list[tuple[Any, str, Any]] = []
    if not extension._has_ops():
        _declare()
        for name in ("boxes", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"):
            module = sys.modules.get(f"torchvision.ops.{name}")
            changes += [(module, "_has_ops", lambda: True)]
            changes += [(module, "_assert_has_ops", lambda: None)]
    boxes = sys.modules.get("torchvision.ops.boxes")
    if boxes is not None:  # the other form is a loop over the classes that were found
        changes += [(boxes, "_batched_nms_vanilla", boxes._batched_nms_coordinate_trick)]
    transform = sys.modules.get("torchvision.models.detection.transform")
    heads = sys.modules.get("torchvision.models.detection.roi_heads")
    changes += [(transform, "paste_masks_in_image", _paste)]
    changes += [(heads, "heatmaps_to_keypoints", _keypoints)]
    with ExitStack() as undo:
        for module, name, value in changes:
            if module is not None and hasattr(module, name):
                undo.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, value)
        yield


def _paste(masks: Any, boxes: Any, size: tuple[int, int], padding: int = 1) -> Any:
    """Masks at the image's size; torchvision goes through them box by box."""
    return torch.nn.functional.interpolate(masks, size=tuple(map(int, size)), mode="bilinear")


def _keypoints(maps: Any, rois: Any) -> tuple[Any, Any]:
    """Place and score of every keypoint; torchvision goes through them box by box."""
    numbers = maps.flatten(2)
    place = numbers.argmax(2).to(maps.dtype)
    return torch.stack((place, place, place), 2), numbers.amax(2)


def _declare() -> None:
    if _kept:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _kept.append(library)
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + schema)
