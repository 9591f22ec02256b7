"""GGUF: against the gguf package, hostile files, mutants."""

# ruff: noqa: E501 (a hostile file and its error stand in one line)
from __future__ import annotations

import random
import struct

import pytest

from netledger.readers.gguf.types import MIXTURES, TYPES

gguf = pytest.importorskip("gguf")
np = pytest.importorskip("numpy")

U32, F32, BOOL, TEXT, ARRAY, U64 = 4, 6, 7, 8, 9, 10


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def array(kind, count, body=b""):
    return struct.pack("<IQ", kind, count) + body


def tensor(name, dims=(4,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def file(tensors=(), pairs=(), body=0, counts=None, version=3):
    """A GGUF file out of its parts, with a body of so many bytes."""
    counts = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join((*pairs, *tensors))
    return head + bytes(-len(head) % 32) + bytes(body)


ARCHITECTURE = pair("general.architecture", TEXT, text("llama"))
ONE = tensor("a.weight")
DEEP = array(ARRAY, 1, array(ARRAY, 1, array(ARRAY, 1, array(ARRAY, 1, array(U32, 0)))))
HOSTILE = {
    "only_magic": (b"GGUF", "the header is cut off at byte 4"),
    "version_1": (file([ONE], version=1, body=16), "version 1 of GGUF is not read"),
    "version_4": (file([ONE], version=4, body=16), "version 4 of GGUF is not read"),
    "countless_tensors": (
        file(counts=(2**63, 0)),
        "9,223,372,036,854,775,808 tensors; at most 120,000 are read",
    ),
    "countless_pairs": (file(counts=(0, 2**63)), "key/values; at most 65,536 are read"),
    "more_tensors_than_there_are": (file([ONE], counts=(9, 0)), "the header is cut off at byte"),
    "more_pairs_than_there_are": (file(pairs=[ARCHITECTURE], counts=(0, 9)), "the key '' stands twice"),
    "no_tensors": (file(pairs=[ARCHITECTURE]), "there are no tensors in this file"),
    "key_twice": (file([ONE], [ARCHITECTURE] * 2, 16), "key 'general.architecture' stands twice"),
    "long_key": (
        file([ONE], [pair("k" * 70_000, BOOL, b"\0")]),
        "a key of 70,000 bytes; at most 65,535 are read",
    ),
    "key_not_utf8": (file([ONE], [pair(b"\xff", BOOL, b"\0")]), "a key that is not UTF-8"),
    "huge_text": (
        file([ONE], [text("k") + struct.pack("<IQ", TEXT, 2**62)]),
        "'k': a text of 4,611,686,018,427,387,904 bytes; at most 10,485,760 are read",
    ),
    "text_not_utf8": (file([ONE], [pair("k", TEXT, text(b"\xff"))]), "'k': a text that is not UTF-8"),
    "bool": (file([ONE], [pair("k", BOOL, b"\2")]), "'k': a truth value of 2"),
    "value_type": (file([ONE], [pair("k", 99, b"")]), "'k': a value of the unknown type 99"),
    "array_type": (file([ONE], [pair("k", ARRAY, array(99, 1))]), "'k': an array of the unknown type"),
    "array_depth": (file([ONE], [pair("k", ARRAY, DEEP)]), "'k': arrays nested deeper than 4"),
    "huge_array": (
        file([ONE], [pair("k", ARRAY, array(U64, 2**61))]), "'k': the header is cut off at byte"),
    "huge_text_array": (
        file([ONE], [pair("k", ARRAY, array(TEXT, 2**60))]),
        "'k': an array of 1,152,921,504,606,846,976 items is more than the file can hold",
    ),
    "huge_nested_array": (
        file([ONE], [pair("k", ARRAY, array(ARRAY, 2**60))]),
        "'k': an array of 1,152,921,504,606,846,976 items is more than the file can hold",
    ),
    "cut_text_array": (
        file([ONE], [pair("k", ARRAY, array(TEXT, 300, text("x" * 40) * 250 + text("y" * 5000)))]),
        "'k': ",
    ),
    "name_twice": (file([ONE, ONE], body=48), "two tensors are called 'a.weight'"),
    "long_name": (file([tensor("n" * 70_000)]), "a tensor's name of 70,000 bytes"),
    "rank": (file([tensor("a", (1,) * 9)], body=32), "'a' has 9 axes; at most 8 are read"),
    "huge_rank": (file([text("a") + struct.pack("<I", 2**32 - 1)]), "'a' has 4,294,967,295 axes"),
    "overflow": (file([tensor("a", (2**32, 2**32))]), "'a' has more than 2^63 - 1 numbers"),
    "unknown_type": (file([tensor("a", kind=4)], body=16), "'a' has the unknown type 4"),
    "rows_and_blocks": (
        file([tensor("a", (40, 2), 8)], body=96), "'a' has rows of 40; Q8_0 packs blocks of 32"),
    "misaligned": (
        file([tensor("a", offset=8)], body=64), "'a' begins at 8, no multiple of 32"),
    "overlap": (
        file([tensor("a", (16,)), tensor("b", (16,), offset=32)], body=96), "'b' overlaps 'a'"),
    "gap": (
        file([tensor("a"), tensor("b", offset=64)], body=96),
        "48 bytes before 'b' belong to no tensor",
    ),
    "cut_body": (
        file([tensor("a", (16,))], body=63), "the file is cut off: 'a' ends at byte 64 of 63"),
    "trailing": (file([ONE], body=33), "17 bytes at the end belong to no tensor"),
    "alignment_zero": (
        file([ONE], [pair("general.alignment", U32, bytes(4))], 16),
        "general.alignment is not a power of two",
    ),
    "alignment_text": (
        file([ONE], [pair("general.alignment", TEXT, text("32"))], 16),
        "general.alignment is not a power of two",
    ),
    "escapes": (file([tensor("\x1b[2Ja", kind=4)]), "'\\x1b[2Ja' has the unknown type 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, inspect_file, tmp_path):
    data, expected = HOSTILE[name]
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    kind, found = inspect_file(path)
    assert kind == "error"
    assert expected in found
    assert found.startswith("SpecError: m.gguf: ") or name == "no_tensors"


def test_a_long_vocabulary_ends_in_time(inspect_file, tmp_path):
    path = tmp_path / "m.gguf"
    tokens = pair("tokenizer.ggml.tokens", ARRAY, array(TEXT, 2_000_000, text("abc") * 2_000_000))
    path.write_bytes(file([ONE], [ARCHITECTURE, tokens], 16))
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    assert "2,000,000 tokens" in ledger.graph.title


def write(path, tensors, **options):
    writer = gguf.GGUFWriter(path, "llama", **options)
    writer.add_block_count(2)
    writer.add_embedding_length(256)
    writer.add_head_count(4)
    writer.add_head_count_kv([4, 2])
    writer.add_file_type(15)
    writer.add_token_list([b"a", b"b"])
    for name, shape, kind in tensors:
        data = np.zeros(shape, np.float32)
        if kind.name.startswith("F"):
            writer.add_tensor(name, data.astype({"F32": np.float32, "F16": np.float16}[kind.name]))
        else:
            size = gguf.quant_shape_to_byte_shape(shape, kind)
            writer.add_tensor(name, np.zeros(size, np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


Q = gguf.GGMLQuantizationType
MODEL = [
    ("token_embd.weight", (8, 256), Q.Q4_K),
    ("blk.0.attn_norm.weight", (256,), Q.F32),
    ("blk.0.attn_q.weight", (256, 256), Q.Q4_K),
    ("blk.0.attn_q.bias", (256,), Q.F32),
    ("blk.0.ffn_gate_exps.weight", (4, 16, 256), Q.Q6_K),
    ("blk.10.ffn_down.weight", (16, 32), Q.F16),
    ("rope_freqs.weight", (64,), Q.F32),
]


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_model_as_the_package_reads_it(order, inspect_file, tmp_path):
    path = tmp_path / "m.gguf"
    endian = gguf.GGUFEndian.BIG if order == "big" else gguf.GGUFEndian.LITTLE
    write(path, MODEL, endianess=endian)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    theirs = {t.name: (int(t.n_elements), int(t.n_bytes)) for t in gguf.GGUFReader(path).tensors}
    ours = {
        f"{r.name}.{p.name}": (p.count, p.stored_bytes) for r in ledger.ops for p in r.parameters
    }
    assert ours == theirs
    assert ledger.totals.buffers == 64
    assert ledger.totals.biases == 256
    assert ledger.row("blk.0.ffn_gate_exps").parameters[0].shape == (4, 16, 256)
    big = ", big-endian" if order == "big" else ""
    assert ledger.graph.title == (
        f"GGUF 3{big}: llama, Q4_K_M, block_count 2, embedding_length 256, "
        "attention.head_count 4, attention.head_count_kv 4, 2, 2 tokens; "
        "no graph in this file: parameters only"
    )


def test_every_type_has_the_blocks_of_ggml():
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: (block, size) for kind, (_, block, size) in TYPES.items()} == theirs
    names = {int(kind): kind.name for kind in Q}
    quantised = {k: name for k, (name, block, _) in TYPES.items() if block > 1}
    assert quantised == {k: names[k] for k in quantised}
    mixtures = {int(k): k.name.removeprefix("ALL_").removeprefix("MOSTLY_")
                for k in gguf.LlamaFileType if k.name != "GUESSED"}  # fmt: skip
    assert mixtures == MIXTURES


@pytest.mark.parametrize("kind", [k for k, (_, block, _) in TYPES.items() if block > 1])
def test_bytes_of_every_quantised_type(kind, inspect_file, tmp_path):
    path = tmp_path / "m.gguf"
    write(path, [("a.weight", (3, 512), Q(kind))])
    ledger = inspect_file(path)[1]
    assert ledger.totals.params == 3 * 512
    assert ledger.totals.bytes == int(gguf.GGUFReader(path).tensors[0].n_bytes)


def mutate(data, rng):
    """A copy with a count, a length, a type, a text or the body changed."""
    data = bytearray(data)
    end = data.index(b"rope_freqs") + 40
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(4, max(5, min(end, len(data) - 8)))
        if len(data) < 24:
            break
        match rng.randrange(6):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                struct.pack_into("<Q", data, at, rng.choice([0, 1, 2**31, 2**63, 2**64 - 1]))
            case 3:
                struct.pack_into("<I", data, at, rng.choice([0, 1, 8, 9, 12, 255]))
            case 4:
                del data[rng.randrange(len(data)) :]
            case 5:
                name = rng.choice([t[0] for t in MODEL]).encode()
                data = bytearray(bytes(data).replace(name, name[::-1], 1))
    return bytes(data)


def test_mutants_are_refused_or_read_as_gguf_reads_them(inspect_file, tmp_path):
    path = tmp_path / "m.gguf"
    write(path, MODEL)
    seed, rng = path.read_bytes(), random.Random(20_26)
    accepted = 0
    for _ in range(1_000):
        path.write_bytes(mutate(seed, rng))
        kind, found = inspect_file(path)
        if kind == "error":
            continue
        accepted += 1
        theirs = {t.name: int(t.n_elements) for t in gguf.GGUFReader(path).tensors}
        ours = {
            f"{r.name}.{p.name}".removeprefix("(top)."): p.count
            for r in found.ops
            for p in r.parameters
        }
        assert ours == theirs
    assert accepted > 20
