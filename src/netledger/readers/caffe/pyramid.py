"""Caffe's spatial pyramid pooling: one map, pooled to 1, 2, 4 … windows a side."""

from __future__ import annotations

from netledger.errors import SpecError
from netledger.formula import ceil_div
from netledger.ops import AvgPool, MaxPool, Op
from netledger.readers.caffe.layer import Layer
from netledger.readers.caffe.layers import required

HIGHEST = 16
"""The most levels; the last then has 32,768 windows a side."""


def pyramid(layer: Layer) -> list[Op]:
    """A pooling for each level; none if the size of the map is not known.

    ``SPPLayer::GetPoolingParam``.

    Raises:
        SpecError: If the layer does not say how many levels there are, or says too many.
    """
    p = layer.param("spp")
    height = required(p, "pyramid_height")
    if not 1 <= height <= HIGHEST:
        raise SpecError(f"spp_param: pyramid_height must be 1 to {HIGHEST}; got {height:,}")
    pool = MaxPool if p.word("pool", "MAX") in ("MAX", "0") else AvgPool
    sizes = [d for d in layer.shape[2:] if isinstance(d, int)]
    if len(sizes) != 2:
        return []
    levels: list[Op] = []
    for count in (2**level for level in range(height)):
        kernel = tuple([ceil_div(d, count) for d in sizes])
        pads = tuple([(k * count - d + 1) // 2 for k, d in zip(kernel, sizes, strict=True)])
        levels.append(
            pool(
                kernel,
                stride=kernel,
                padding=pads,
                rounding="ceil_clipped",
                channels_last=False,
            )
        )
    return levels
