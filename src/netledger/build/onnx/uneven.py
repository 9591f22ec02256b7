"""A pooling whose windows are not alike, as a function that the file defines.

ONNX has no pooling to a given size. Window i of O runs from ⌊i·I/O⌋ to ⌈(i + 1)·I/O⌉, as in
PyTorch: each is cut out, taken together and joined, axis by axis; a mean of means of equally long
rows is the mean. The function's name says what it is, so a reader may show one layer where twenty
nodes run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from netledger.build.onnx.writer import DOMAIN, OPSET, Place

REDUCE = {"AveragePool": "ReduceMean", "MaxPool": "ReduceMax"}


def uneven_pool(place: Place, kind: str, sizes: Sequence[int], wanted: Sequence[int]) -> None:
    """A call of the function, which is defined where it is first needed."""
    name = f"Adaptive{kind}_{'x'.join(map(str, sizes))}_to_{'x'.join(map(str, wanted))}"
    if name not in place.writer.functions:
        nodes = list(_body(REDUCE[kind], sizes, wanted))
        place.writer.functions[name] = helper.make_function(
            DOMAIN,
            name,
            ["x"],
            [nodes[-1].output[0]],
            nodes,
            [helper.make_opsetid("", OPSET)],
            ["output_size"],
        )
    place.make(name, [place.value()], domain=DOMAIN, output_size=wanted)


def _body(reduce: str, sizes: Sequence[int], wanted: Sequence[int]) -> Iterator[Any]:
    x = "x"
    for axis, (size, count) in enumerate(zip(sizes, wanted, strict=True), start=2):
        axes = f"axis_{axis}"
        yield _constant(axes, axis)
        parts = []
        for i in range(count):
            start, stop, cut, part = (
                f"{word}_{axis}_{i}" for word in ("start", "stop", "cut", "part")
            )
            yield _constant(start, i * size // count)
            yield _constant(stop, -(-(i + 1) * size // count))
            yield helper.make_node("Slice", [x, start, stop, axes], [cut])
            yield helper.make_node(reduce, [cut, axes], [part], keepdims=1)
            parts.append(part)
        x = f"pooled_{axis}"
        yield helper.make_node("Concat", parts, [x], axis=axis)


def _constant(name: str, value: int) -> Any:
    tensor = numpy_helper.from_array(np.array([value], np.int64))
    return helper.make_node("Constant", [], [name], value=tensor)
