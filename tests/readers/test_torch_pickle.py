"""PyTorch checkpoints: against torch, hostile pickles, mutants."""

# ruff: noqa: E501 (a hostile file and its error stand in one line)
from __future__ import annotations

import io
import os
import pickle
import random
import struct
import warnings
import zipfile
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


def archive(pickled, storages=None, folder="m", extra=(), compress=zipfile.ZIP_STORED):
    """A file of torch.save out of its parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hostile archives have members twice
        file.writestr(f"{folder}/data.pkl", pickled)
        for key, data in (storages or {}).items():
            file.writestr(f"{folder}/data/{key}", data)
        for name, data in extra:
            file.writestr(name, data)
    return out.getvalue()


def short(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value):
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tuple_(*parts):
    return b"(" + b"".join(parts) + b"t"


def storage(key="0", count=4, kind="torch\nFloatStorage"):
    return (
        tuple_(
            short("storage"), b"c" + kind.encode() + b"\n", short(key), short("cpu"), number(count)
        )
        + b"Q"
    )


def tensor(kept=None, offset=0, size=(2, 2), stride=(2, 1)):
    args = (
        kept or storage(),
        number(offset),
        tuple_(*map(number, size)),
        tuple_(*map(number, stride)),
        b"\x89",
        b"N",
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + tuple_(*args) + b"R"


def state(**values):
    return (
        b"\x80\x02}(" + b"".join(short(k.replace("__", ".")) + v for k, v in values.items()) + b"u."
    )


DATA = {"0": bytes(16)}
GOOD = archive(state(a__weight=tensor()), DATA)


def reduce(module, name, *args):
    return b"c" + f"{module}\n{name}\n".encode() + tuple_(*args) + b"R"


NESTED = b"\x80\x02" + b"]" * 100 + b"a" * 99 + b"."
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
HOSTILE = {
    "empty_pickle": (archive(b""), "not a sound pickle: cut off or damaged at byte 0"),
    "no_stop": (archive(b"\x80\x02}"), "not a sound pickle: cut off or damaged at byte 3"),
    "protocol_9": (archive(b"\x80\x09}."), "pickle protocol 9 is not read"),
    "unknown_opcode": (archive(b"\x80\x02\xff."), "not a sound pickle: unknown opcode 0xff"),
    "stack_underflow": (archive(b"\x80\x02R."), "not a sound pickle: cut off or damaged"),
    "no_mark": (archive(b"\x80\x02Nt."), "not a sound pickle: a mark is missing"),
    "mark_as_value": (archive(b"\x80\x02(."), "a mark where a value should be"),
    "object_of_nothing": (archive(b"\x80\x02(o."), "not a sound pickle: cut off or damaged"),
    "never_kept": (archive(b"\x80\x02h\x05."), "it takes what was never kept"),
    "extension": (archive(b"\x80\x02\x82\x01."), "not a pickle of torch.save: an extension code"),
    "buffer": (archive(b"\x80\x05\x97."), "not a pickle of torch.save: a buffer outside of it"),
    "persistent_text": (archive(b"Pabc\n."), "not a pickle of torch.save: a persistent id as text"),
    "persistent_number": (archive(b"\x80\x02K\x01Q."), "a persistent id that is no storage"),
    "huge_text": (archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"."), "cut off or damaged"),
    "huge_integer": (archive(b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"."), "an integer of 1,073,741,824 bytes"),
    "negative_integer": (archive(b"\x80\x02\x8b" + struct.pack("<i", -5) + b"."), "an integer of -5 bytes"),
    "digits": (archive(b"I" + b"9" * 5000 + b"\n."), "a number that is none"),
    "not_utf8": (archive(b"\x80\x02X\x01\0\0\0\xff."), "a text that is not UTF-8"),
    "class_name_number": (archive(b"\x80\x04K\x01K\x02\x93."), "the name of a class is no text"),
    "items_of_number": (archive(b"\x80\x02K\x01K\x02K\x03s."), "keys and values for what is no dict"),
    "append_to_dict": (archive(b"\x80\x02}Na."), "items for what is no list"),
    "list_as_key": (archive(b"\x80\x02}]Ns."), "a list or dict as a key"),
    "frame": (archive(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N."), "cut off or damaged"),
    "countless_opcodes": (archive(b"\x80\x02" + b"N0" * 1_500_000 + b"N.", compress=zipfile.ZIP_STORED), "a pickle of more than 2,500,000 opcodes"),
    "trailing": (archive(state(a=tensor()) + b"xyz", DATA), "3 bytes behind the end of data.pkl"),
    "no_tensors": (archive(b"\x80\x02}."), "there are no tensors in this file"),
    "nested": (archive(NESTED), "values nested deeper than 64"),
    "storage_missing": (archive(state(a=tensor())), "the storage '0' is missing"),
    "storage_short": (archive(state(a=tensor()), {"0": bytes(15)}), "the storage '0' has 15 bytes, the pickle says 16"),
    "storage_type": (archive(state(a=tensor(storage(kind="torch\nFunStorage"))), DATA), "a persistent id that is no storage"),
    "storage_negative": (archive(state(a=tensor(storage(count=-1))), DATA), "the storage '0' has an impossible size"),
    "tensor_too_large": (archive(state(a=tensor(size=(3, 2))), DATA), "a tensor reaches to byte 24 of the storage '0', which has 16"),
    "tensor_offset": (archive(state(a=tensor(offset=1)), DATA), "a tensor reaches to byte 20 of the storage '0'"),
    "tensor_overflow": (archive(state(a=tensor(size=(2**40, 2**40), stride=(0, 0))), DATA), "'0' has an impossible shape"),
    "tensor_negative": (archive(state(a=tensor(size=(-2, 2))), DATA), "'0' has an impossible shape"),
    "tensor_strides": (archive(state(a=tensor(stride=(2,))), DATA), "'torch._utils._rebuild_tensor_v2' is given what it does not take"),
    "tensor_stride_negative": (archive(state(a=tensor(stride=(-2, 1))), DATA), "is given what it does not take"),
    "tensor_of_nothing": (archive(state(a=reduce("torch._utils", "_rebuild_tensor_v2", b"N")), DATA), "is given what it does not take"),
    "name_twice": (archive(b"\x80\x02}(" + short("1") + tensor() + b"K\x01" + tensor() + b"u.", DATA), "two tensors are called '1'"),
    "member_twice": (archive(state(a=tensor()), DATA, extra=[("m/data/0", bytes(16))]), "two members called 'm/data/0'"),
    "two_pickles": (archive(state(a=tensor()), DATA, extra=[("n/data.pkl", b"")]), "the archive has 2 members called data.pkl"),
    "zip_bomb": (archive(b"\x80\x02" + b"N0" * 5_000_000 + b".", compress=zipfile.ZIP_DEFLATED), "at most 100 times are allowed"),
    "zip_cut": (GOOD[:-5], "the zip archive does not end in its directory"),
    "zip_trailing": (GOOD + b"x", "the zip archive does not end in its directory"),
    "bare_pickle": (pickle.dumps({"a": 1}), "a pickle, but not one that torch.save wrote"),
    "bare_call": (pickle.dumps(os.system), "a pickle, but not one that torch.save wrote"),
    "legacy_version": (LEGACY_MAGIC + b"\x80\x02K\x01.\x80\x02}.", "not a file of torch.save: its version is not known"),
    "legacy_cut": (LEGACY_MAGIC + b"\x80\x02M\xe9\x03.\x80\x02}.", "not a sound pickle: cut off or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, inspect_file, tmp_path):
    data, expected = HOSTILE[name]
    path = tmp_path / "m.pt"
    path.write_bytes(data)
    kind, text = inspect_file(path)
    assert kind == "error"
    assert expected in text


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("where", ["value", "root", "legacy", "parameter", "key"])
def test_nothing_is_ever_called(where, inspect_file, tmp_path):
    bait, path = tmp_path / "executed", tmp_path / "m.pt"
    evil = Evil(bait)
    values = {"a.weight": torch.zeros(2, 2)}
    model = nn.Linear(2, 2)
    model._parameters["evil"] = evil
    saved = {
        "value": {**values, "evil": evil},
        "root": evil,
        "legacy": {**values, "evil": evil},
        "parameter": model,
        "key": {**values, evil: 1},
    }[where]
    torch.save(saved, path, _use_new_zipfile_serialization=where != "legacy")
    kind, found = inspect_file(path)
    assert not bait.exists()
    if where == "root":
        assert kind == "error"
    else:
        assert kind == "ledger"
        assert found.totals.params == (6 if where == "parameter" else 4)


def test_lists_of_lists_that_double_are_seen_once(inspect_file, tmp_path):
    doubling = b"\x80\x02]" + b"".join(b"q\x00]h\x00ah\x00a" for _ in range(40)) + b"."
    path = tmp_path / "m.pt"
    path.write_bytes(archive(doubling))
    assert "no tensors" in inspect_file(path)[1]


def test_a_list_in_itself_and_endless_tuples(inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(archive(b"\x80\x02]q\x00h\x00a."))
    assert "no tensors" in inspect_file(path)[1]
    path.write_bytes(archive(b"\x80\x02)" + b"\x85" * 1_000_000 + b"."))
    assert "nested deeper than 64" in inspect_file(path)[1]


# --- what torch itself saves ---

LEGACY = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def save(value, path, legacy=False):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.norm = nn.BatchNorm1d(4)
        self.rnn = nn.LSTM(4, 5, num_layers=2)
        self.twice = self.again = nn.Linear(4, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.ones(3), persistent=False)


def counts(model):
    return sum(p.numel() for p in model.parameters()), sum(b.numel() for b in model.buffers())


@LEGACY
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "swin_t", "googlenet"])
def test_state_dicts_of_torchvision(name, legacy, torchvision, inspect_file, tmp_path):
    options = {"init_weights": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(**options)
    path = tmp_path / "m.pth"
    save(model.state_dict(), path, legacy)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    assert (ledger.totals.params, ledger.totals.buffers) == counts(model)
    ours = {f"{r.name}.{p.name}": tuple(p.shape) for r in ledger.ops for p in r.parameters}
    ours = {name.removeprefix("(top)."): shape for name, shape in ours.items()}
    assert ours == {name: tuple(t.shape) for name, t in model.state_dict().items()}


@LEGACY
@pytest.mark.parametrize("form", ["state", "module", "checkpoint", "module in checkpoint"])
def test_ties_and_every_form_of_checkpoint(form, legacy, inspect_file, tmp_path):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    model.head(model.embed(torch.tensor([1]))).sum().backward()
    optimizer.step()
    saved = {
        "state": model.state_dict(),
        "module": model,
        "checkpoint": {
            "epoch": 3,
            "state_dict": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        },
        "module in checkpoint": {"model": model, "optimizer": optimizer.state_dict()},
    }[form]
    path = tmp_path / "m.pt"
    save(saved, path, legacy)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    params, buffers = counts(model)
    assert ledger.totals.params == params
    assert ledger.totals.buffers == buffers - (0 if "module" in form else 3)
    assert ledger.row("head").parameters[0].tied_to == "embed/weight"
    assert ("3 tensors in 'optimizer' left out" in ledger.graph.title) == ("checkpoint" in form)


def test_prefixes_are_kept(inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    save({"module." + k: v for k, v in nn.Linear(2, 2).state_dict().items()}, path)
    assert [row.name for row in inspect_file(path)[1].rows] == ["module"]


def test_two_networks_in_one_checkpoint(inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    save({"generator": nn.Linear(2, 2).state_dict(), "critic": nn.Linear(2, 1).state_dict()}, path)
    assert [row.name for row in inspect_file(path)[1].rows] == ["generator", "critic"]


def test_a_view_and_what_it_is_a_view_of(inspect_file, tmp_path):
    whole = torch.zeros(6, 4)
    path = tmp_path / "m.pt"
    save({"qkv.weight": whole, "q.weight": whole[:2], "flat.weight": whole.view(-1)}, path)
    ledger = inspect_file(path)[1]
    assert ledger.row("flat").parameters[0].tied_to == "qkv/weight"
    assert ledger.row("q").unknown["params"] == "it shares a part of its storage with 'qkv.weight'"
    assert ledger.totals.params == 24


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "complex64", "float8_e4m3fn", "uint16", "bool"]
)
def test_dtypes(dtype, inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    tensor = torch.zeros(3, 5).to(getattr(torch, dtype))
    save({"a.weight": tensor}, path)
    (parameter,) = inspect_file(path)[1].row("a").parameters
    assert parameter.dtype == dtype
    assert parameter.shape == (3, 5)
    assert parameter.stored_bytes == 15 * tensor.itemsize


@pytest.mark.filterwarnings("ignore")
def test_quantised_sparse_and_scripted(inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    per_tensor = torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8)
    sparse = torch.eye(4).to_sparse()
    save({"q.weight": per_tensor, "s.weight": sparse}, path)
    ledger = inspect_file(path)[1]
    assert ledger.totals.params == 6 + 16
    torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))).save(str(path))
    ledger = inspect_file(path)[1]
    assert (ledger.totals.params, ledger.totals.buffers) == (24, 9)


# --- mutants ---


def mutate(data, rng):
    """The archive with one or two opcodes, numbers or texts of its pickle changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = next(n for n in members if n.endswith("data.pkl"))
    pickled = bytearray(members.pop(name))
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(pickled))
        match rng.randrange(5):
            case 0:
                pickled[at] = rng.randrange(256)
            case 1:
                pickled[at] = rng.choice(b"(.0N)tRbQq}]\x85\x86\x87\x88\x89K")
            case 2:
                pickled[at:at] = rng.choice([b"N", b"0", b"(", b"t", b"}", b"R", b"K\x07", b"2"])
            case 3:
                del pickled[at : at + rng.randint(1, 3)]
            case 4:
                old, new = rng.choice(
                    [
                        (b"Float", b"Half"),
                        (b"Float", b"Double"),
                        (b"weight", b"wheels"),
                        (b"_v2", b"_v3"),
                        (b"torch", b"porch"),
                        (b"K\x03", b"K\x02"),
                    ]
                )
                pickled = bytearray(bytes(pickled).replace(old, new, 1))
    return archive(bytes(pickled), folder=name.split("/")[0], extra=members.items())


@pytest.mark.filterwarnings("ignore")
def test_mutants_are_refused_or_read_as_torch_reads_them(inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    model = nn.Sequential(OrderedDict(a=nn.Linear(3, 4), b=nn.BatchNorm1d(4)))
    save(model.state_dict(), path)
    seed, rng = path.read_bytes(), random.Random(20_26)
    accepted = compared = 0
    for _ in range(1_000):
        path.write_bytes(mutate(seed, rng))
        kind, found = inspect_file(path)
        if kind == "error":
            continue
        accepted += 1
        try:
            theirs = torch.load(path, weights_only=True)
        except Exception:  # torch refuses more: classes that it does not know
            continue
        if not isinstance(theirs, dict):
            continue
        tensors = {str(k): tuple(v.shape) for k, v in theirs.items() if isinstance(v, torch.Tensor)}
        ours = {
            f"{r.name}.{p.name}".removeprefix("(top)."): p.shape
            for r in found.ops
            for p in r.parameters
        }
        assert ours == tensors
        compared += 1
    assert accepted > 50
    assert compared > 50
