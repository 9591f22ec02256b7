"""GGUF: against the gguf package, hostile files, mutants."""

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
    "only_magic": b"GGUF",
    "version_1": file([ONE], version=1, body=16),
    "version_4": file([ONE], version=4, body=16),
    "countless_tensors": file(counts=(2**63, 0)),
    "countless_pairs": file(counts=(0, 2**63)),
    "more_tensors_than_there_are": file([ONE], counts=(9, 0)),
    "more_pairs_than_there_are": file(pairs=[ARCHITECTURE], counts=(0, 9)),
    "no_tensors": file(pairs=[ARCHITECTURE]),
    "key_twice": file([ONE], [ARCHITECTURE] * 2, 16),
    "long_key": file([ONE], [pair("k" * 70_000, BOOL, b"\0")]),
    "key_not_utf8": file([ONE], [pair(b"\xff", BOOL, b"\0")]),
    "huge_text": file([ONE], [text("k") + struct.pack("<IQ", TEXT, 2**62)]),
    "text_not_utf8": file([ONE], [pair("k", TEXT, text(b"\xff"))]),
    "bool": file([ONE], [pair("k", BOOL, b"\2")]),
    "value_type": file([ONE], [pair("k", 99, b"")]),
    "array_type": file([ONE], [pair("k", ARRAY, array(99, 1))]),
    "array_depth": file([ONE], [pair("k", ARRAY, DEEP)]),
    "huge_array": file([ONE], [pair("k", ARRAY, array(U64, 2**61))]),
    "huge_text_array": file([ONE], [pair("k", ARRAY, array(TEXT, 2**60))]),
    "huge_nested_array": file([ONE], [pair("k", ARRAY, array(ARRAY, 2**60))]),
    "cut_text_array": file(
        [ONE], [pair("k", ARRAY, array(TEXT, 300, text("x" * 40) * 250 + text("y" * 5000)))]
    ),
    "name_twice": file([ONE, ONE], body=48),
    "long_name": file([tensor("n" * 70_000)]),
    "rank": file([tensor("a", (1,) * 9)], body=32),
    "huge_rank": file([text("a") + struct.pack("<I", 2**32 - 1)]),
    "overflow": file([tensor("a", (2**32, 2**32))]),
    "unknown_type": file([tensor("a", kind=4)], body=16),
    "rows_and_blocks": file([tensor("a", (40, 2), 8)], body=96),
    "misaligned": file([tensor("a", offset=8)], body=64),
    "overlap": file([tensor("a", (16,)), tensor("b", (16,), offset=32)], body=96),
    "gap": file([tensor("a"), tensor("b", offset=64)], body=96),
    "cut_body": file([tensor("a", (16,))], body=63),
    "trailing": file([ONE], body=33),
    "alignment_zero": file([ONE], [pair("general.alignment", U32, bytes(4))], 16),
    "alignment_text": file([ONE], [pair("general.alignment", TEXT, text("32"))], 16),
    "escapes": file([tensor("\x1b[2Ja", kind=4)]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, refused, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(HOSTILE[name])
    refused(name, path)


def test_every_hostile_file_has_its_error(refused):
    assert list(HOSTILE) == list(refused.names())


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
