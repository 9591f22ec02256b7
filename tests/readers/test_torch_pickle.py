"""PyTorch checkpoints: against torch, hostile pickles, mutants."""

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
    "empty_pickle": archive(b""),
    "no_stop": archive(b"\x80\x02}"),
    "protocol_9": archive(b"\x80\x09}."),
    "unknown_opcode": archive(b"\x80\x02\xff."),
    "stack_underflow": archive(b"\x80\x02R."),
    "no_mark": archive(b"\x80\x02Nt."),
    "mark_as_value": archive(b"\x80\x02(."),
    "object_of_nothing": archive(b"\x80\x02(o."),
    "never_kept": archive(b"\x80\x02h\x05."),
    "extension": archive(b"\x80\x02\x82\x01."),
    "buffer": archive(b"\x80\x05\x97."),
    "persistent_text": archive(b"Pabc\n."),
    "persistent_number": archive(b"\x80\x02K\x01Q."),
    "huge_text": archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"."),
    "huge_integer": archive(b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"."),
    "negative_integer": archive(b"\x80\x02\x8b" + struct.pack("<i", -5) + b"."),
    "digits": archive(b"I" + b"9" * 5000 + b"\n."),
    "not_utf8": archive(b"\x80\x02X\x01\0\0\0\xff."),
    "class_name_number": archive(b"\x80\x04K\x01K\x02\x93."),
    "items_of_number": archive(b"\x80\x02K\x01K\x02K\x03s."),
    "append_to_dict": archive(b"\x80\x02}Na."),
    "list_as_key": archive(b"\x80\x02}]Ns."),
    "frame": archive(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N."),
    "countless_opcodes": archive(
        b"\x80\x02" + b"N0" * 1_500_000 + b"N.", compress=zipfile.ZIP_STORED
    ),
    "trailing": archive(state(a=tensor()) + b"xyz", DATA),
    "no_tensors": archive(b"\x80\x02}."),
    "nested": archive(NESTED),
    "storage_missing": archive(state(a=tensor())),
    "storage_short": archive(state(a=tensor()), {"0": bytes(15)}),
    "storage_type": archive(state(a=tensor(storage(kind="torch\nFunStorage"))), DATA),
    "storage_negative": archive(state(a=tensor(storage(count=-1))), DATA),
    "tensor_too_large": archive(state(a=tensor(size=(3, 2))), DATA),
    "tensor_offset": archive(state(a=tensor(offset=1)), DATA),
    "tensor_overflow": archive(state(a=tensor(size=(2**40, 2**40), stride=(0, 0))), DATA),
    "tensor_negative": archive(state(a=tensor(size=(-2, 2))), DATA),
    "tensor_strides": archive(state(a=tensor(stride=(2,))), DATA),
    "tensor_stride_negative": archive(state(a=tensor(stride=(-2, 1))), DATA),
    "tensor_of_nothing": archive(state(a=reduce("torch._utils", "_rebuild_tensor_v2", b"N")), DATA),
    "name_twice": archive(
        b"\x80\x02}(" + short("1") + tensor() + b"K\x01" + tensor() + b"u.", DATA
    ),
    "member_twice": archive(state(a=tensor()), DATA, extra=[("m/data/0", bytes(16))]),
    "two_pickles": archive(state(a=tensor()), DATA, extra=[("n/data.pkl", b"")]),
    "zip_bomb": archive(b"\x80\x02" + b"N0" * 5_000_000 + b".", compress=zipfile.ZIP_DEFLATED),
    "zip_cut": GOOD[:-5],
    "zip_trailing": GOOD + b"x",
    "bare_pickle": pickle.dumps({"a": 1}),
    "bare_call": pickle.dumps(os.system),
    "legacy_version": LEGACY_MAGIC + b"\x80\x02K\x01.\x80\x02}.",
    "legacy_cut": LEGACY_MAGIC + b"\x80\x02M\xe9\x03.\x80\x02}.",
    "mark_kept": archive(b"\x80\x02N(q\0."),
    "mark_to_fill": archive(b"\x80\x02(NNs."),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name, refused, tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(HOSTILE[name])
    refused(name, path)


def test_every_hostile_file_has_its_error(refused):
    assert list(HOSTILE) == list(refused.names())


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


@pytest.mark.parametrize(
    "opcodes",
    [b"(%bl.", b"(%bt.", b"](%be.", b"}(N%bu.", b"(N%bd.", b"]%ba.", b"N(%b1%b.", b"((0%bl."],
)
def test_a_tensor_in_every_container(opcodes, inspect_file, tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(archive(b"\x80\x02" + opcodes.replace(b"%b", tensor()), DATA))
    kind, found = inspect_file(path)
    assert (kind, found.totals.params) == ("ledger", 4)


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
