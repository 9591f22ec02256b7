"""safetensors: against torch and the safetensors package, hostile files, mutants."""

# ruff: noqa: E501 (a hostile file and its error stand in one line)
from __future__ import annotations

import json
import random
import struct

import pytest

import netledger

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file


def packed(header, body=0):
    """A file with this header (a dict, or its text) and a body of so many bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


def entry(shape=(2,), begin=0, end=8, dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


HOSTILE = {
    "cut_length": b"\x10\0\0\0\0\0\0\0{",
    "huge_length": struct.pack("<Q", 2**63) + b'{"a":1}',
    "not_json": packed(b'{"a": }'),
    "not_utf8": packed(b'{"\xff": 1}'),
    "deep": packed(b'{"a":' * 200 + b"1" + b"}" * 200),
    "nan": packed(b'{"a": NaN}'),
    "duplicate": packed(
        b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", 8
    ),
    "empty": packed({}),
    "only_metadata": packed({"__metadata__": {"format": "pt"}}),
    "metadata_list": packed({"__metadata__": []}),
    "metadata_number": packed({"__metadata__": {"a": 1}}),
    "no_dict": packed({"a": 1}),
    "missing_key": packed({"a": {"dtype": "F32", "shape": []}}),
    "surplus_key": packed({"a": entry(x=1)}, 8),
    "dtype": packed({"a": entry(dtype="F33")}, 8),
    "dtype_list": packed({"a": entry(dtype=[])}, 8),
    "negative": packed({"a": entry(shape=[-2])}, 8),
    "bool": packed({"a": entry(shape=[True, 2])}, 8),
    "float": packed({"a": entry(shape=[2.0])}, 8),
    "overflow": packed({"a": entry(shape=[2**32, 2**32])}, 8),
    "overflow_zero": packed({"a": entry([2**40, 2**40, 0], 0, 0)}),
    "rank": packed({"a": entry([1] * 17, 0, 4)}, 4),
    "offsets_text": packed({"a": entry(end="8")}, 8),
    "offsets_three": packed({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}}, 8),
    "backwards": packed({"a": entry([0], 8, 0)}, 8),
    "wrong_size": packed({"a": entry([3])}, 8),
    "half_byte": packed({"a": entry([3], 0, 1, "F4")}, 1),
    "overlap": packed({"a": entry(), "b": entry([2], 4, 12)}, 12),
    "gap": packed({"a": entry([2], 4, 12)}, 12),
    "cut_body": packed({"a": entry()}, 7),
    "trailing": packed({"a": entry()}, 9),
    "digits": packed(b'{"a":' + b"9" * 5000 + b"}"),
    "escape_in_name": packed({"\x1b[2J": 1}),
    "long_name": packed({"n" * 10_000: 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, refused, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(HOSTILE[name])
    refused(name, path)


def test_every_hostile_file_has_its_error(refused):
    assert [*HOSTILE, *(f"shards_{name}" for name in SHARDS)] == list(refused.names())


def test_a_large_header_ends_in_time(inspect_file, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(b'{"__metadata__":{' + b'"":"",' * 5_000_000 + b'"a":""}}'))
    kind, text = inspect_file(path)
    assert kind == "error"
    assert "header: JSON with 10,000,003 texts; at most 2,000,000 are read" in text


def test_many_tensors_end_in_time(inspect_file, tmp_path):
    header = {
        f"layers.{i}.attention.{n}.weight": entry([8, 8], 256 * (5 * i + j), 256 * (5 * i + j + 1))
        for i in range(4_000)
        for j, n in enumerate("abcde")
    }
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(header, 256 * 20_000))
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    assert ledger.totals.params == 20_000 * 64


def test_more_tensors_than_are_read_are_refused_in_time(inspect_file, tmp_path):
    header = {f"layers.{i}.weight": entry([0], 0, 0) for i in range(150_001)}
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(header))
    kind, text = inspect_file(path)
    assert kind == "error"
    assert "150,001 tensors; at most 150,000 are read" in text


@pytest.mark.slow
def test_as_many_tensors_as_are_read_fit_in_memory(inspect_file, tmp_path):
    """Each in a module of its own, as the experts of a mixture are."""
    header = {f"layers.{i}.expert.weight": entry([0], 0, 0) for i in range(150_000)}
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(header))
    kind, ledger = inspect_file(path, metadata=path.stat().st_size + 80 * 2**20)
    assert kind == "ledger"
    assert len(ledger.rows) == 150_000


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "vit_b_16", "swin_t", "shufflenet_v2_x0_5"]
)
def test_totals_of_torchvision_models(name, torchvision, inspect_file, tmp_path):
    model = getattr(torchvision.models, name)()
    path = tmp_path / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    assert ledger.totals.params == sum(p.numel() for p in model.parameters())
    assert ledger.totals.buffers == sum(b.numel() for b in model.buffers())
    assert ledger.totals.bytes == sum(t.numel() * t.itemsize for t in model.state_dict().values())
    assert "no graph in this file: parameters only" in ledger.graph.title
    assert ledger.totals.unknown == {"macs", "activations"}


def test_tensors_by_module_in_the_order_of_numbers(inspect_file, tmp_path):
    blocks = [torch.nn.Linear(2, 2) for _ in range(11)]
    path = tmp_path / "m.safetensors"
    save_file(torch.nn.Sequential(*blocks).state_dict(), path)
    assert [row.name for row in inspect_file(path)[1].rows] == [str(i) for i in range(11)]


# --- packed weights ---


def saved(tmp_path, config=None, **tensors):
    path = tmp_path / "m.safetensors"
    save_file({name.replace("__", "."): t for name, t in tensors.items()}, path)
    if config is None:
        return path
    (tmp_path / "config.json").write_text(json.dumps(config))
    path.rename(tmp_path / "model.safetensors")
    return tmp_path


def ints(*shape):
    return torch.zeros(shape, dtype=torch.int32)


def state(shape):
    text = json.dumps({"quant_type": "nf4", "shape": shape}).encode()
    return torch.tensor(list(text), dtype=torch.uint8)


def u8(*shape):
    return torch.zeros(shape, dtype=torch.uint8)


GPTQ = {"l__qweight": ints(8, 48), "l__qzeros": ints(2, 6), "l__scales": torch.zeros(2, 48)}
PACKED = {
    "gptq_4": ({**GPTQ, "l__g_idx": ints(64)}, None, (48, 64), "uint4"),
    "gptq_3": (
        {"l__qweight": ints(6, 64), "l__qzeros": ints(1, 6), "l__scales": torch.zeros(1, 64)},
        {"quantization_config": {"bits": 3}}, (64, 64), "uint3",
    ),
    "awq_4": (
        {"l__qweight": ints(64, 6), "l__qzeros": ints(2, 6), "l__scales": torch.zeros(2, 48)},
        None, (48, 64), "uint4",
    ),
    "bitsandbytes": (
        {"l__weight": u8(18, 1), "l__weight__absmax": torch.zeros(1),
         "l__weight__quant_map": torch.zeros(16),
         "l__weight__quant_state__bitsandbytes__nf4": state([5, 7])},
        None, (5, 7), "uint4",
    ),
    "llm_int8": (
        {"l__weight": torch.zeros(5, 7, dtype=torch.int8), "l__SCB": torch.zeros(5)},
        None, (5, 7), "int8",
    ),
    "fp8": (
        {"l__weight": torch.zeros(4, 4).to(torch.float8_e4m3fn), "l__weight_scale_inv": torch.ones(1)},
        None, (4, 4), "float8_e4m3fn",
    ),
    "compressed_tensors": (
        {"l__weight_packed": ints(5, 2), "l__weight_scale": torch.zeros(5, 1),
         "l__weight_shape": torch.tensor([5, 13])},
        None, (5, 13), "uint4",
    ),
    "nvfp4": (
        {"l__weight": u8(4, 16), "l__weight_scale": torch.zeros(4, 2).to(torch.float8_e4m3fn)},
        None, (4, 32), "float4_e2m1fn",
    ),
    "mxfp4": (
        {"l__up_proj_blocks": u8(2, 6, 3, 16), "l__up_proj_scales": u8(2, 6, 3)},
        None, (2, 6, 96), "float4_e2m1fn",
    ),
    "mlx": (
        {"l__weight": torch.zeros(6, 8).to(torch.uint32), "l__scales": torch.zeros(6, 1),
         "l__biases": torch.zeros(6, 1)},
        {"quantization": {"bits": 4, "group_size": 64}}, (6, 64), "uint4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_packed_weights_have_their_logical_size(name, inspect_file, tmp_path):
    tensors, config, shape, dtype = PACKED[name]
    tensors = {key.replace("quant_state__bitsandbytes__", "quant_state.bitsandbytes__"): t
               for key, t in tensors.items()}  # fmt: skip
    names = {
        k.replace("bitsandbytes__nf4", "BNB").replace("__", "."): t for k, t in tensors.items()
    }
    names = {k.replace("BNB", "bitsandbytes__nf4"): t for k, t in names.items()}
    folder = saved(tmp_path, config) if config else tmp_path / "m.safetensors"
    save_file(names, tmp_path / ("model.safetensors" if config else "m.safetensors"))
    kind, ledger = inspect_file(folder)
    assert kind == "ledger"
    weights = [p for row in ledger.ops for p in row.parameters if p.role == "weight"]
    assert [(p.shape, p.dtype) for p in weights] == [(shape, dtype)]
    assert ledger.totals.params == torch.Size(shape).numel()
    assert "params" not in ledger.totals.unknown
    assert ledger.totals.bytes == sum(t.numel() * t.itemsize for t in tensors.values())


UNKNOWN = {
    "bitsandbytes_without_shape": {"l.weight": u8(18, 1), "l.weight.absmax": torch.zeros(1)},
    "bytes": {"l.weight": u8(18, 1)},
    "gptq_without_zeros": {"l.qweight": ints(8, 48)},
    "gptq_that_does_not_fit": {"l.qweight": ints(8, 49), "l.qzeros": ints(2, 6),
                               "l.scales": torch.zeros(2, 48)},
    "mlx_without_config": {"l.weight": torch.zeros(6, 8).to(torch.uint32),
                           "l.scales": torch.zeros(6, 1), "l.biases": torch.zeros(6, 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_packed_otherwise_is_unknown(name, inspect_file, tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({**UNKNOWN[name], "other.weight": torch.zeros(3, 3)}, path)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    assert "params" in ledger.totals.unknown
    assert ledger.row("l").params is None
    assert "pack" in ledger.row("l").unknown["params"]
    assert ledger.totals.params == ledger.totals.trainable == 9


# --- mutants ---


def mutate(data, rng):
    """A copy with the header's text, its numbers, its length or the body changed."""
    data = bytearray(data)
    length = int.from_bytes(data[:8], "little")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(8, 8 + length)
        match rng.randrange(7):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                digits = [i for i in range(8, 8 + length) if chr(data[i]).isdigit()]
                data[rng.choice(digits)] = rng.choice(b"0123456789-")
            case 2:
                data[rng.randrange(8)] ^= 1 << rng.randrange(8)
            case 3:
                del data[-rng.randint(1, 9) :]
            case 4:
                data += bytes(rng.randint(1, 9))
            case 5:
                data[at:at] = rng.choice([b"{", b'"', b",", b"null", b"[[", b'"a":1,', b"0"])
            case 6:
                old, new = rng.choice([(b"F32", b"F16"), (b"I64", b"F64"), (b"[", b"{"), (b"F32", b"F4"),
                                       (b"weight", b"bias"), (b'"dtype"', b'"shape"')])  # fmt: skip
                data = bytearray(bytes(data).replace(old, new, 1))
    return bytes(data)


def test_mutants_are_refused_or_read_as_safetensors_reads_them(inspect_file, tmp_path):
    from safetensors import SafetensorError, safe_open

    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )
    path = tmp_path / "m.safetensors"
    save_file(model.state_dict(), path)
    seed, rng = path.read_bytes(), random.Random(20_26)
    accepted = 0
    for _ in range(1_000):
        path.write_bytes(mutate(seed, rng))
        kind, found = inspect_file(path)
        if kind == "error":
            continue
        accepted += 1
        try:
            with safe_open(path, "pt") as theirs:
                sizes = {k: theirs.get_slice(k).get_shape() for k in theirs.keys()}  # noqa: SIM118
        except SafetensorError as error:
            pytest.fail(f"the reference refuses what was accepted: {error}")
        ours = {
            f"{row.name}.{p.name}".removeprefix("(top)."): list(p.shape)
            for row in found.ops
            for p in row.parameters
        }
        assert ours == sizes
    assert accepted > 20


# --- shards and folders ---


def sharded(folder, **changes):
    save_file({"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}, folder / "one.safetensors")
    save_file({"b.weight": torch.zeros(3, 3)}, folder / "two.safetensors")
    places = {"a.weight": "one.safetensors", "a.bias": "one.safetensors",
              "b.weight": "two.safetensors", **changes}  # fmt: skip
    places = {k: v for k, v in places.items() if v is not None}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def test_shards_make_one_inventory(inspect_file, tmp_path):
    index = sharded(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["TinyForCausalLM"], "hidden_size": 3, "num_hidden_layers": 1})
    )
    for source in (index, tmp_path):
        kind, ledger = inspect_file(source)
        assert kind == "ledger"
        assert ledger.totals.params == 17
        assert ledger.graph.title == (
            "TinyForCausalLM, num_hidden_layers 1, hidden_size 3, 3 tensors in 2 shards; "
            "no graph in this file: parameters only"
        )


SHARDS = {
    "traversal": {"a.weight": "../one.safetensors"},
    "absolute": {"a.weight": "/etc/passwd"},
    "backslash": {"a.weight": "..\\one"},
    "dots": {"a.weight": ".."},
    "empty": {"a.weight": ""},
    "nul": {"a.weight": "one\0"},
    "missing": {"a.weight": "three.safetensors"},
    "not_there": {"c.weight": "two.safetensors"},
    "not_listed": {"a.bias": None},
    "number": {"a.weight": 7},
    "link": {"b.weight": "link.safetensors"},
}


@pytest.mark.parametrize("name", SHARDS)
def test_hostile_lists_of_shards(name, refused, tmp_path):
    outside = tmp_path / "outside.safetensors"
    save_file({"b.weight": torch.zeros(3, 3)}, outside)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.safetensors").symlink_to(outside)
    refused(f"shards_{name}", sharded(folder, **SHARDS[name]))


def test_the_hubs_cache_is_read_through_its_links(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_file({"b.weight": torch.zeros(3, 3)}, blobs / "0123")
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    assert netledger.ledger(snapshot).totals.params == 9


def test_a_folder_of_pickles(inspect_file, tmp_path):
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "pytorch_model.bin")
    kind, ledger = inspect_file(tmp_path)
    assert kind == "ledger"
    assert ledger.totals.params == 8


def test_a_folder_of_an_adapter(inspect_file, tmp_path):
    lora = "base_model.model.layers.0.q_proj.lora_"
    tensors = {f"{lora}A.weight": torch.zeros(2, 8), f"{lora}B.weight": torch.zeros(6, 2)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    kind, ledger = inspect_file(tmp_path)
    assert kind == "ledger"
    assert ledger.totals.params == 28


def test_the_scale_of_a_quantised_layer_is_no_parameter(inspect_file, tmp_path):
    header = {
        "fc.scale": entry([], 0, 4),
        "fc.zero_point": {"dtype": "I64", "shape": [], "data_offsets": [4, 12]},
        "norm.scale": entry([3], 12, 24),
    }
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(header, 24))
    _, ledger = inspect_file(path)
    assert (ledger.totals.params, ledger.totals.buffers) == (3, 2)
