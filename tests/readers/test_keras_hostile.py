"""Hostile configurations of Keras: each ends in its own error; what could be run is not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .keras_configs import (
    CONV,
    GOOD,
    doubling,
    functional,
    layer,
    one,
    shared_on_two_sizes,
    start,
    text,
    wrong_call,
)

MIB = 2**20
Inspect = Callable[..., tuple[str, Any]]

HEAD = b'{"class_name": "Sequential", "config": {"name": "n", "layers": '
JSON: dict[str, bytes] = {
    "json_nested_65_deep": HEAD + b"[" * 63 + b"]" * 63 + b"}}",
    "json_nested_a_million_deep": HEAD + b"[" * MIB,
    "json_nan": HEAD + b"[NaN]}}",
    "json_infinity_by_exponent": HEAD + b"[1e999]}}",
    "json_key_twice": HEAD + b'[], "layers": []}}',
    "json_integer_of_5000_digits": HEAD + b"[" + b"9" * 5000 + b"]}}",
    "json_not_utf8": HEAD + b'["\xff"]}}',
    "json_surrogates_as_bytes": HEAD + b'["\xed\xa0\x80"]}}',
    "json_cut_off": text(GOOD)[:-20],
    "json_two_values": text(GOOD) + b"{}",
    "json_quotes_without_end": HEAD + b'["' + b'\\"' * MIB,
    "json_five_million_empty_lists": HEAD + b"[" + b"[]," * (5 * MIB) + b"[]]}}",
    "json_65_mib": HEAD + b"[]}}" + b" " * (65 * MIB),
    "layers_in_a_circle": text(
        functional(start(), layer("Add", "a", "in", "b"), layer("ReLU", "b", "a"), output="b")
    ),
    "layer_fed_by_nothing": text(functional(start(), layer("ReLU", "out", "ghost"))),
    "output_that_is_not_made": text(
        {**GOOD, "config": {**GOOD["config"], "output_layers": [["out", 0, 7]]}}
    ),
    "input_that_is_no_layer": text(
        {**GOOD, "config": {**GOOD["config"], "input_layers": [["ghost", 0, 0]]}}
    ),
    "two_layers_of_one_name": text(
        functional(start(), layer("ReLU", "out", "in"), layer("ReLU", "out", "in"))
    ),
    "models_that_double_14_times": text(doubling(14)),
    "ten_thousand_layers": text(
        {
            "class_name": "Sequential",
            "config": {
                "name": "n",
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "config": {"name": "in", "batch_shape": [None, 4]},
                    },
                    *({"class_name": "ReLU", "config": {"name": f"r{i}"}} for i in range(10_001)),
                ],
            },
        }
    ),
    "shared_layer_on_two_sizes": text(shared_on_two_sizes()),
    "negative_size": text(one("ReLU", [None, -8, 8, 3])),
    "size_zero": text(one("ReLU", [None, 0, 8, 3])),
    "size_true": text(one("ReLU", [None, True, 8, 3])),
    "size_beyond_int64": text(one("ReLU", [None, 2**63, 8, 3])),
    "size_as_text": text(one("ReLU", [None, "8", 8, 3])),
    "rank_1000": text(one("ReLU", [None] * 1000)),
    "kernel_of_a_thousand_axes": text(one("Conv2D", filters=4, kernel_size=[3] * 1000)),
    "kernel_as_float": text(one("Conv2D", filters=4, kernel_size=3.0)),
    "kernel_missing": text(one("Conv2D", filters=4)),
    "units_as_text": text(one("Dense", units="4; import os")),
    "padding_unknown": text(one("Conv2D", padding="__import__('os')", **CONV)),
    "groups_do_not_divide": text(one("Conv2D", groups=2, **CONV)),
    "window_too_large": text(one("MaxPooling2D", pool_size=9)),
    "repeat_by_2_to_the_64": text(one("RepeatVector", [None, 4], n=2**64)),
    "call_that_is_text": text(wrong_call(["in"])),
    "calls_that_are_a_number": text(wrong_call(3)),
    "history_that_is_text": text(
        wrong_call(
            [
                {
                    "args": [{"class_name": "__keras_tensor__", "config": {"keras_history": "in"}}],
                    "kwargs": {},
                }
            ]
        )
    ),
    "class_name_that_is_a_list": text(
        functional(start(), {**layer("ReLU", "out", "in"), "class_name": []})
    ),
    "config_that_is_text": text(
        functional(start(), {**layer("ReLU", "out", "in"), "config": "os.system"})
    ),
    "layer_that_is_a_number": text(functional(start(), 3)),
    "no_input_shape": text(
        {
            "class_name": "Sequential",
            "config": {
                "name": "n",
                "layers": [{"class_name": "Dense", "config": {"name": "d", "units": 3}}],
            },
        }
    ),
    "no_layers_and_no_weights": b'{"class_name": "Own", "config": {"units": 3}}',
    "wrapped_layer_missing": text(one("TimeDistributed", layer=None)),
    "einsum_of_code": text(one("EinsumDense", equation="__import__('os')", output_shape=[4])),
    "merge_of_sizes_that_differ": text(
        functional(
            start(),
            layer("Flatten", "f", "in"),
            layer("Dense", "d", "f", units=3),
            layer("Add", "out", "f", "d"),
        )
    ),
}


@pytest.mark.parametrize("name", JSON)
def test_each_hostile_configuration_ends_in_its_own_error(
    name: str, tmp_path: Path, refused: Callable[[str, Path], None]
) -> None:
    path = tmp_path / f"{name}.json"
    path.write_bytes(JSON[name])
    refused(name, path)


ATTACKS = {
    "lambda": layer(
        "Lambda",
        "out",
        "in",
        function={
            "class_name": "__lambda__",
            "config": {"code": "4wEAAAAAAAAAAAAAAAIAAAADAAAA8w=="},
        },
    ),
    "module": {**layer("system", "out", "in", command="touch MARK"), "module": "os"},
    "registered": {**layer("Dense", "out", "in", units=3), "registered_name": "Own>Dense"},
    "function": layer(
        "Dense",
        "out",
        "in",
        units=3,
        activation={
            "module": "builtins",
            "class_name": "function",
            "config": "eval",
            "registered_name": "function",
        },
    ),
    "tensorflow": layer("TFOpLambda", "out", "in", function="io.write_file"),
    "getfile": {
        **layer("get_file", "out", "in", origin="file:///etc/passwd"),
        "module": "keras.utils",
    },
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_could_be_run_is_not_run(name: str, tmp_path: Path, inspect_file: Inspect) -> None:
    """CVE-2025-1550, -8747, -9905, -9906 and their like: such a layer is unknown, no more."""
    path = tmp_path / "attack.json"
    path.write_bytes(text(functional(start(), ATTACKS[name])))
    verdict, ledger = inspect_file(path)
    assert verdict == "ledger"
    assert not ledger.totals.complete
    assert list(tmp_path.iterdir()) == [path]
