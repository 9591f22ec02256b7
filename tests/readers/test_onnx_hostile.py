"""Hostile ONNX files: each ends in its own error; mutants end in a ledger or in an error."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
h = onnx.helper

# --- the wire level, by hand ---


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value % (1 << 64))


def piece(field: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def dims(*sizes: int | str) -> bytes:
    inner = (piece(2, d) if isinstance(d, str) else number(1, d) for d in sizes)
    return b"".join(piece(1, d) for d in inner)


def info(name: str, *sizes: int | str, more: bytes = b"") -> bytes:
    shape = piece(2, dims(*sizes) + more)
    return piece(1, name) + piece(2, piece(1, number(1, 1) + shape))


def tensor(name: str, *sizes: int, kind: int = 1, payload: bytes = b"", more: bytes = b"") -> bytes:
    head = b"".join(number(1, d) for d in sizes) + number(2, kind) + piece(8, name)
    return head + (piece(9, payload) if payload else b"") + more


def outside(location: str, *more: tuple[str, str]) -> bytes:
    entries = (("location", location), *more)
    listed = (piece(13, piece(1, k) + piece(2, v)) for k, v in entries)
    return tensor("w", 4, 4, more=b"".join(listed) + number(14, 1))


def node(kind: str, takes: str, makes: str, name: str = "", more: bytes = b"") -> bytes:
    ins = b"".join(piece(1, v) for v in takes.split())
    outs = b"".join(piece(2, v) for v in makes.split())
    return ins + outs + piece(3, name) + piece(4, kind) + more


def graph(*nodes: bytes, stored: tuple[bytes, ...] = (), more: bytes = b"", **given: Any) -> bytes:
    rows = b"".join(piece(1, n) for n in nodes) + piece(2, "net")
    tensors = b"".join(piece(5, t) for t in stored)
    x = given.get("x", info("x", "batch", 4))
    y = given.get("y", piece(1, "y"))
    return rows + tensors + piece(11, x) + piece(12, y) + more


def file(content: bytes, more: bytes = b"") -> bytes:
    return number(1, 10) + piece(8, number(2, 20)) + piece(7, content) + more


RELU = node("Relu", "x", "y", "relu")
GOOD = file(graph(RELU))
FC = node("Gemm", "x w", "y", "fc")
CALL = piece(7, "f")  # the domain of functions


def function(name: str, *nodes: bytes) -> bytes:
    body = b"".join(piece(7, n) for n in nodes)
    return piece(25, piece(1, name) + piece(4, "a") + piece(5, "b") + body + piece(10, "f"))


def doubling(levels: int) -> bytes:
    made = function("F0", node("Relu", "a", "b"))
    for i in range(1, levels):
        calls = [node(f"F{i - 1}", p, q, q, CALL) for p, q in (("a", "m"), ("m", "b"))]
        made += function(f"F{i}", *calls)
    return file(graph(node(f"F{levels - 1}", "x", "y", "call", CALL)), made)


def nested(levels: int) -> bytes:
    inner = graph(RELU)
    for _ in range(levels):
        branch = piece(5, piece(1, "then_branch") + piece(6, inner))
        inner = graph(node("If", "x", "y", "if", branch))
    return file(inner)


def attribute(name: str, content: bytes) -> bytes:
    return piece(5, piece(1, name) + content)


def squares(count: int) -> bytes:
    """H × W, joined and multiplied out again and again: a formula that would double."""
    product = attribute("equation", piece(4, "ab,cd->bd"))
    nodes, last = [], "x"
    for i in range(count):
        nodes.append(node("Flatten", last, f"f{i}", f"flat{i}", attribute("axis", number(3, 0))))
        nodes.append(node("Einsum", f"f{i} f{i}", f"e{i}", f"mix{i}", product))
        last = f"e{i}"
    return file(graph(*nodes, node("Relu", last, "y", "relu"), x=info("x", "H", "W")))


def sums(count: int) -> bytes:
    """Sizes that are followed through additions, each twice the one before."""
    nodes, last = [node("Shape", "x", "s0", "shape")], "s0"
    for i in range(count):
        nodes.append(node("Mul", f"{last} {last}", f"s{i + 1}", f"mul{i}"))
        last = f"s{i + 1}"
    return file(graph(*nodes, node("Expand", f"x {last}", "y", "grow")))


HUGE = (1 << 63) - 1
FILES: dict[str, bytes] = {
    # the wire level
    "cut_off": GOOD[:-1],
    "cut_off_in_a_number": GOOD + b"\x88",
    "number_of_eleven_bytes": b"\x08\x0a" + b"\x3a" + b"\xff" * 11,
    "number_beyond_64_bits": b"\x08\x0a\x3a" + b"\xff" * 9 + b"\x7f",
    "length_of_two_to_the_63": b"\x08\x0a\x3a" + varint(1 << 63),
    "length_beyond_its_message": file(piece(1, RELU)[:-3]),
    "field_number_zero": b"\x08\x0a" + piece(7, b"\x00\x00"),
    "group_wire_type": b"\x08\x0a" + piece(7, b"\x0b\x0c"),
    "graph_is_a_number": b"\x08\x0a\x38\x01",
    "two_graphs": file(graph(RELU), piece(7, graph(RELU))),
    "two_names": file(graph(RELU + piece(3, "again"))),
    "name_not_utf8": file(graph(node("Relu", "x", "y", "") + piece(3, b"\xff\xfe"))),
    "name_of_a_megabyte": file(graph(RELU[:-6] + piece(3, "n" * (1 << 20)))),
    "three_million_fields": file(graph(RELU + b"\x52\x00" * 3_000_000)),
    "no_graph": b"\x08\x0a" + piece(8, number(2, 20)),
    "nested_60_ifs": nested(60),
    "nested_5000_ifs": nested(5000),
    # names, order, types
    "cycle": file(graph(node("Relu", "b", "a", "one"), node("Relu", "a", "b", "two"))),
    "takes_itself": file(graph(node("Relu", "y", "y", "self"))),
    "takes_nothing_known": file(graph(node("Relu", "nowhere", "y", "relu"))),
    "value_made_twice": file(graph(RELU, node("Exp", "x", "y", "exp"))),
    "initializer_stored_twice": file(graph(FC, stored=(tensor("w", 4, 2), tensor("w", 2, 4)))),
    "input_made_by_a_node": file(graph(node("Relu", "x", "x", "relu"))),
    "output_not_made": file(graph(RELU, y=piece(1, "z"))),
    "type_stated_twice": file(
        graph(RELU, more=piece(13, info("y", 1, 4)) + piece(13, info("y", 4)))
    ),
    "attribute_twice": file(
        graph(node("Flatten", "x", "y", "flat", attribute("axis", number(3, 1)) * 2))
    ),
    "attribute_of_another_type": file(
        graph(node("Flatten", "x", "y", "flat", attribute("axis", piece(4, "one"))))
    ),
    "opsets_of_two_versions": file(graph(RELU), piece(8, number(2, 13))),
    "missing_input": file(graph(node("Conv", "x", "y", "conv"))),
    # sizes
    "dimension_minus_one": file(graph(RELU, x=info("x", -1, 4))),
    "dimension_zero": file(graph(RELU, x=info("x", 0, 4))),
    "stored_dimension_negative": file(graph(FC, stored=(tensor("w", 4, -2),))),
    "stored_more_than_64_bits": file(graph(FC, stored=(tensor("w", HUGE, HUGE),))),
    "stored_two_to_the_64_numbers": file(graph(FC, stored=(tensor("w", 1 << 32, 1 << 32),))),
    "stored_of_17_axes": file(graph(FC, stored=(tensor("w", *(1,) * 17),))),
    "size_and_name": file(graph(RELU, x=info("x", more=piece(1, number(1, 4) + piece(2, "n"))))),
    "data_type_77": file(graph(FC, stored=(tensor("w", 4, 2, kind=77),))),
    "payload_too_short": file(graph(FC, stored=(tensor("w", 4, 2, payload=b"1234"),))),
    "payload_twice": file(
        graph(FC, stored=(tensor("w", 4, 2, payload=bytes(32), more=piece(4, bytes(32))),))
    ),
    "kernel_of_zero": file(
        graph(
            node("MaxPool", "x", "y", "pool", attribute("kernel_shape", number(8, 0))),
            x=info("x", 1, 2, 8),
        )
    ),
    "map_becomes_nothing": file(
        graph(
            node("Conv", "x w", "y", "conv"),
            x=info("x", "batch", 2, 2, 2),
            stored=(tensor("w", 4, 2, 3, 3),),
        )
    ),
    "shapes_do_not_fit": file(graph(node("Add", "x z", "y", "sum"), more=piece(11, info("z", 3)))),
    # data elsewhere
    "external_outside": file(graph(FC, stored=(outside("../../etc/passwd"),))),
    "external_absolute": file(graph(FC, stored=(outside("/etc/passwd"),))),
    "external_windows": file(graph(FC, stored=(outside("..\\secrets"),))),
    "external_drive": file(graph(FC, stored=(outside("C:secrets"),))),
    "external_nameless": file(graph(FC, stored=(outside(""),))),
    "external_two_places": file(graph(FC, stored=(outside("a", ("location", "b")),))),
    "external_offset_negative": file(graph(FC, stored=(outside("a", ("offset", "-1")),))),
    "external_length_wrong": file(graph(FC, stored=(outside("a", ("length", "63")),))),
    # functions
    "forty_doubling_functions": doubling(40),
    "thirty_doubling_functions": doubling(30),
    "function_calls_itself": file(
        graph(node("F", "x", "y", "call", CALL)),
        function("F", node("F", "a", "b", "again", CALL)),
    ),
    "function_defined_twice": file(graph(RELU), function("F", RELU) * 2),
    "function_without_its_output": file(
        graph(node("F", "x", "y", "call", CALL)), function("F", node("Relu", "a", "c"))
    ),
    "if_without_branches": file(graph(node("If", "x", "y", "if"))),
    "formulas_without_end": file(
        graph(
            node("Conv", "x w", "v0"),
            *(node("Conv", f"v{i} w", f"v{i + 1}") for i in range(12_000)),
            x=info("x", "batch", 2, "h", "w"),
            stored=(tensor("w", 2, 2, 3, 3),),
        )
    ),
    "too_many_nodes": file(graph(*(node("Relu", "x", f"y{i}") for i in range(20_001)))),
}

INERT: dict[str, bytes] = {
    "sizes_squared_forty_times": squares(40),
    "formulas_squared_sixty_times": sums(60),
    "name_of_ten_thousand_characters": file(graph(node("Relu", "x", "y", "n" * 10_000))),
    "name_with_escapes": file(graph(node("Relu", "x", "y", "\x1b[2J\u202e<script>=cmd|"))),
    "symbol_with_script": file(graph(RELU, x=info("x", "batch", "</script><b>"))),
    "dimension_of_two_to_the_63_less_one": file(graph(RELU, x=info("x", HUGE, HUGE, HUGE))),
    "external_absent": file(graph(FC, stored=(outside("weights.bin"),))),
    "unknown_fields": file(graph(RELU), piece(9999, b"what?") + number(77, 1)),
}
"""Odd but well formed: these end in a ledger."""


Inspect = Callable[..., Any]


@pytest.mark.parametrize("name", FILES)
def test_each_hostile_file_ends_in_its_own_error(
    name: str, tmp_path: Path, refused: Callable[[str, Path], None]
) -> None:
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(FILES[name])
    refused(name, path)


@pytest.mark.parametrize("name", INERT)
def test_what_is_only_odd_ends_in_a_ledger(
    name: str, tmp_path: Path, inspect_file: Inspect
) -> None:
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(INERT[name])
    kind, found = inspect_file(path)
    assert kind == "ledger", found


def test_the_expected_errors_are_those_of_the_files(refused: Any) -> None:
    assert set(refused.names()) == set(FILES)


# --- mutants ---


def seeds() -> list[Any]:
    rng = np.random.default_rng(0)

    def store(name: str, *shape: int) -> Any:
        return onnx.numpy_helper.from_array(rng.random(shape, np.float32), name)

    def make(nodes: list[Any], x: Any, stored: list[Any], y: Any = None) -> Any:
        outputs = [h.make_tensor_value_info(nodes[-1].output[0], 1, y)]
        body = h.make_graph(nodes, "seed", [h.make_tensor_value_info("x", 1, x)], outputs, stored)
        return h.make_model(body, opset_imports=[h.make_opsetid("", 20)])

    target = onnx.numpy_helper.from_array(np.array([0, -1], np.int64), "target")
    convolutions = [
        h.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1], group=2),
        h.make_node("BatchNormalization", ["c", "g", "o", "m", "v"], ["n"], "norm"),
        h.make_node("Relu", ["n"], ["r"], "relu"),
        h.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        h.make_node("Reshape", ["p", "target"], ["f"], "flat"),
        h.make_node("Gemm", ["f", "k", "h"], ["y"], "fc", transB=1),
    ]
    stored = [store("w", 4, 1, 3, 3), *(store(n, 4) for n in "bgomv"), target]
    stored += [store("k", 5, 64), store("h", 5)]
    text = [
        h.make_node("Shape", ["x"], ["s"]),
        h.make_node("ConstantOfShape", ["s"], ["z"]),
        h.make_node("Add", ["x", "z"], ["a"], "add"),
        h.make_node("MatMul", ["a", "q"], ["m"], "product"),
        h.make_node("Add", ["m", "qb"], ["n"], "bias"),
        h.make_node("LSTM", ["n", "lw", "lr", "lb"], ["l", "lh", "lc"], "cell", hidden_size=3),
        h.make_node("LayerNormalization", ["lh", "g", "o"], ["y"], "norm"),
    ]
    weights = [store("q", 6, 5), store("qb", 5), store("lw", 1, 12, 5), store("lr", 1, 12, 3)]
    weights += [store("lb", 1, 24), store("g", 3), store("o", 3)]
    return [
        make(convolutions, ["batch", 2, 8, 8], stored, ["batch", 5]),
        make(text, [7, "batch", 6], weights, [1, "batch", 3]),
        onnx.load_from_string(doubling(3)),
    ]


def mutate(data: bytes, rng: random.Random, depth: int = 0) -> bytes:
    """Changes one field somewhere in the tree of messages, or the bytes themselves."""
    parts = split(data)
    if not parts or rng.random() < 0.05:
        return scramble(data, rng)
    i = rng.randrange(len(parts))
    tag, content = parts[i]
    choice = rng.random()
    if choice < 0.1:
        del parts[i]
    elif choice < 0.2:
        parts.insert(rng.randrange(len(parts) + 1), parts[i])
    elif choice < 0.3:
        j = rng.randrange(len(parts))
        parts[i], parts[j] = parts[j], parts[i]
    elif content is None:
        parts[i] = (varint(tag[0] & 0xF8 | 0) + varint(odd(rng)), None)
    else:
        inner = mutate(content, rng, depth + 1) if content and depth < 8 else content
        parts[i] = (tag, inner)
    return b"".join(t if c is None else t + varint(len(c)) + c for t, c in parts)


def odd(rng: random.Random) -> int:
    few = (0, 1, 2, 3, 4, 7, 8, 64, 255, 1 << 31, HUGE, (1 << 64) - 1, 1 << 40)
    return rng.choice(few)


def scramble(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return bytes([rng.randrange(256)])
    i = rng.randrange(len(data))
    return rng.choice(
        (
            data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :],
            data[:i],
            data[:i] + data[i:][::-1],
            data[:i] + rng.choice((b"x", b"y", b"\0", b"\xff", b"n")) + data[i + 1 :],
        )
    )


def split(data: bytes) -> list[tuple[bytes, bytes | None]]:
    """The fields of a message; nothing if it is not one."""
    parts: list[tuple[bytes, bytes | None]] = []
    at = 0
    try:
        while at < len(data):
            start = at
            tag, at = unpack(data, at)
            if tag >> 3 == 0 or tag >> 3 > 30:
                return []
            if tag & 7 == 2:
                head = data[start:at]
                size, at = unpack(data, at)
                if at + size > len(data):
                    return []
                parts.append((head, data[at : at + size]))
                at += size
            elif tag & 7 in (0, 1, 5):
                at = unpack(data, at)[1] if tag & 7 == 0 else at + (8 if tag & 7 == 1 else 4)
                parts.append((data[start:at], None))
            else:
                return []
    except IndexError:
        return []
    return parts


def unpack(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def stored_numbers(data: bytes) -> int:
    model = onnx.load_from_string(data)
    floats = (1, 10, 11, 16)
    tensors = {t.name: t for t in model.graph.initializer if t.data_type in floats}
    return sum(math.prod(t.dims) for t in tensors.values())


def test_a_thousand_mutants(inspect_file: Inspect, tmp_path: Path) -> None:
    rng = random.Random(20251122)
    originals = [seed.SerializeToString() for seed in seeds()]
    path = tmp_path / "net.onnx"
    kinds, compared = [], 0
    for i in range(1000):
        data = originals[i % len(originals)]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            data = mutate(data, rng)
        path.write_bytes(data)
        kind, result = inspect_file(path)
        kinds.append(kind)
        if kind == "error" or result.graph.reader != "onnx":
            continue
        totals = result.totals
        if not result.findings and "params" not in totals.unknown:
            assert totals.params + totals.buffers == stored_numbers(data), i
            compared += 1
    assert min(kinds.count("ledger"), kinds.count("error")) > 200, kinds
    assert compared > 150
