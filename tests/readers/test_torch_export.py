"""torch.export: every shape, parameter and multiply-add against PyTorch; hostile files, mutants."""

# ruff: noqa: E501 (a hostile file and its error stand in one line)
from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export, about itself

SAMPLE = [
    "alexnet",
    "resnet18",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vit_b_16",
]
ALL = [
    *SAMPLE,
    *("vgg11_bn", "vgg16", "resnet50", "resnet152", "resnext50_32x4d", "wide_resnet50_2"),
    *("googlenet", "inception_v3", "densenet121", "densenet201", "mobilenet_v2", "mnasnet0_5"),
    *("mobilenet_v3_large", "shufflenet_v2_x2_0", "squeezenet1_0", "efficientnet_b0"),
    *("efficientnet_b7", "efficientnet_v2_s", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t"),
    *("maxvit_t",),
]  # fmt: skip


class Attention(nn.Module):
    """A block as in today's language models: normalised, attention, a gated product."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.norm = nn.RMSNorm(32)
        self.qkv = nn.Linear(32, 96, bias=False)
        self.out = nn.Linear(32, 32)
        self.gate, self.up, self.down = nn.Linear(32, 64), nn.Linear(32, 64), nn.Linear(64, 32)
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.embed.weight
        self.position = nn.Parameter(torch.zeros(1, 7, 32))

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 4, 8)).unbind(2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return self.head(x + self.down(nn.functional.silu(self.gate(x)) * self.up(x)))


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(6, 5, **options)
        self.head = nn.LazyLinear(3)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.act = nn.PReLU(4)
        self.last = nn.Conv2d(7, 2, 1)

    def forward(self, x):
        y = self.act(self.up(nn.functional.leaky_relu(self.norm(self.down(x)))))
        y = self.last(torch.cat([x, y], 1))
        return nn.functional.interpolate(y, scale_factor=2), nn.functional.max_pool2d(
            y, 3, 2, ceil_mode=True
        )


def image(size=32):
    return torch.zeros(1, 3, size, size)


BLOCKS = {
    "attention": (Attention, lambda: torch.zeros(1, 7, dtype=torch.long)),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), lambda: torch.zeros(1, 6, 16)),
    "lstm_plain": (lambda: Recurrent(nn.LSTM, batch_first=True), lambda: torch.zeros(1, 4, 6)),
    "lstm": (
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True),
        lambda: torch.zeros(1, 4, 6)),
    "lstm_projected": (
        lambda: Recurrent(nn.LSTM, proj_size=2, batch_first=True), lambda: torch.zeros(1, 4, 6)),
    "gru": (lambda: Recurrent(nn.GRU, bias=False, batch_first=True), lambda: torch.zeros(1, 4, 6)),
    "rnn": (lambda: Recurrent(nn.RNN), lambda: torch.zeros(4, 1, 6)),
    "unet": (UNet, image),
}  # fmt: skip


def export(model, x, path, **options):
    model(x)
    program = torch.export.export(model.eval(), (x,), **options)
    torch.export.save(program, path)
    return program


def flops(model, x):
    """On the meta device, where attention is not fused into an operator that is not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(model).to("meta")(x.to("meta"))
    return counter.get_total_flops()


def check(model, program, ledger, macs):
    assert ledger.findings == ()
    assert ledger.totals.complete, [r.name for r in ledger.ops if r.unknown]
    assert ledger.totals.params == sum(p.numel() for p in model.parameters())
    buffers = {k: b.numel() for k, b in model.named_buffers() if "num_batches" not in k}
    assert ledger.totals.buffers == sum(buffers.values())
    if macs is not None:
        assert ledger.totals.macs == macs
    # Not only does nothing differ: every tensor of the program that is kept was compared.
    recorded = [n for n in ledger.graph.nodes if n.recorded and any(n.recorded.outputs)]
    used = needed(program.graph)
    calls = [n for n in used if n.op == "call_function" and not left_out(n)]
    tensors = [n for n in calls if isinstance(n.meta.get("val"), torch.Tensor | list | tuple)]
    assert len(recorded) >= len(tensors)


def needed(graph):
    """What the outputs are made of; the rest, as a mask written through its views, may be left out."""
    found, waiting = set(), [node for node in graph.nodes if node.op == "output"]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def left_out(node):
    """Parts of an output, zeros that something begins with, weights turned over."""
    name = getattr(node.target, "__name__", "").partition(".")[0]
    turned = name in ("permute", "t") and node.args[0].op == "placeholder"
    return turned or name in ("getitem", "zeros", "zero_")


@pytest.mark.parametrize("name", SAMPLE)
def test_torchvision(name, torchvision, inspect_file, tmp_path):
    _torchvision(name, torchvision, inspect_file, tmp_path / "m.pt2")


def _torchvision(name, torchvision, inspect_file, path):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(**options).eval()
        x = torch.zeros(1, 3, *(299, 299) if name == "inception_v3" else (224, 224))
    program = export(model, x, path)
    kind, ledger = inspect_file(path)
    assert kind == "ledger"
    check(model, program, ledger, flops(model, x) // 2)
    return ledger


@pytest.mark.slow
def test_all_of_torchvision(torchvision, inspect_file, tmp_path, capsys):
    """`make prove` keeps the table in docs/proofs/pt2.md."""
    lines = ["| network | operations | parameters | buffers | MACs |", "|---|---:|---:|---:|---:|"]
    for name in ALL:
        ledger = _torchvision(name, torchvision, inspect_file, tmp_path / "m.pt2")
        t, count = ledger.totals, len(ledger.ops)
        lines.append(f"| {name} | {count:,} | {t.params:,} | {t.buffers:,} | {t.macs:,} |")
        with capsys.disabled():
            print(lines[-1], flush=True)
    folder = Path(__file__).parents[2] / "docs" / "proofs"
    folder.mkdir(exist_ok=True)
    head = (
        "# Exported programs\n\n"
        f"Networks of torchvision {torchvision.__version__}, written by torch.export of PyTorch "
        f"{torch.__version__} and read by netledger without it. Every recorded shape equals the "
        "derived one; parameters and buffers (batch counters left out) equal the module's; "
        "multiply-accumulates equal half of what PyTorch's FlopCounterMode counts. "
        "Written by `make prove`.\n\n"
    )
    (folder / "pt2.md").write_text(head + "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, inspect_file, tmp_path):
    make, given = BLOCKS[name]
    model, x = make(), given()
    model(x)
    program = export(model, x, tmp_path / "m.pt2")
    kind, ledger = inspect_file(tmp_path / "m.pt2")
    assert kind == "ledger"
    recurrent = name in ("lstm_plain", "lstm", "lstm_projected", "gru", "rnn")  # not in the counter
    check(model, program, ledger, None if recurrent else flops(model, x) // 2)


def test_a_decomposed_program(inspect_file, tmp_path):
    model, x = (
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)
        ).eval(),
        image(8),
    )
    program = torch.export.export(model, (x,)).run_decompositions()
    torch.export.save(program, tmp_path / "m.pt2")
    kind, ledger = inspect_file(tmp_path / "m.pt2")
    assert kind == "ledger"
    check(model, program, ledger, flops(model, x) // 2)


def test_the_batch_stays_a_symbol(inspect_file, tmp_path):
    model, x = UNet(), torch.zeros(2, 3, 32, 32)
    dims = {
        0: torch.export.Dim("batch", min=2, max=64),
        2: torch.export.Dim("height", min=16, max=64) * 4,
    }
    export(model, x, tmp_path / "m.pt2", dynamic_shapes=({0: dims[0]},))
    kind, ledger = inspect_file(tmp_path / "m.pt2")
    assert kind == "ledger"
    assert str(ledger.graph.inputs["x"]) == "float32[N, 3, 32, 32]"
    assert ledger.totals.macs == flops(model, x) // 4
    assert ledger.findings == ()


def test_rows_have_the_names_of_modules(torchvision, inspect_file, tmp_path):
    with torch.device("meta"):
        export(torchvision.models.alexnet().eval(), torch.zeros(1, 3, 224, 224), tmp_path / "m.pt2")
    ledger = inspect_file(tmp_path / "m.pt2")[1]
    assert [(row.name, row.params) for row in ledger.rows if row.params][:2] == [
        ("features.0", 23296), ("features.3", 307392)]  # fmt: skip
    assert ledger.row("features.2").kind == "MaxPool"
    assert ledger.graph.title == f"torch.export, written by PyTorch {torch.__version__}"


def test_shared_weights_count_once(inspect_file, tmp_path):
    export(Attention(), torch.zeros(1, 7, dtype=torch.long), tmp_path / "m.pt2")
    ledger = inspect_file(tmp_path / "m.pt2")[1]
    tied = [p for row in ledger.ops for p in row.parameters if p.tied_to]
    assert [p.shape for p in tied] == [(50, 32)]


def test_frozen_parameters(inspect_file, tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    model[0].requires_grad_(False)
    export(model, torch.zeros(1, 2), tmp_path / "m.pt2")
    totals = inspect_file(tmp_path / "m.pt2")[1].totals
    assert (totals.trainable, totals.frozen) == (16, 9)


def test_what_no_rule_describes_is_unknown(inspect_file, tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.qr(x)[0]

    export(Odd(), torch.zeros(3, 3), tmp_path / "m.pt2")
    kind, ledger = inspect_file(tmp_path / "m.pt2")
    assert kind == "ledger"
    assert ledger.totals.unknown == {"params", "macs"}
    assert ledger.ops[-1].unknown["macs"] == "no rule describes it"


# --- hostile files ---


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The members of a small file that PyTorch has written, and the name of its folder."""
    path = tmp_path_factory.mktemp("pt2") / "m.pt2"
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    )
    export(model, image(8), path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(parts, program=None, compress=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file:
        for name, data in parts.items():
            if name.endswith("/models/model.json") and program is not None:
                data = program if isinstance(program, bytes) else json.dumps(program).encode()
            file.writestr(name, data)
    return out.getvalue()


def program_of(parts):
    return json.loads(next(d for n, d in parts.items() if n.endswith("/models/model.json")))


def at(program, *path):
    for step in path:
        program = program[step]
    return program


GRAPH = ("graph_module", "graph")
SIGNATURE = ("graph_module", "signature")
NODE = (*GRAPH, "nodes", 0)
CONV = (*GRAPH, "tensor_values", "conv2d")
CHANGES = {
    "no_graph_module": ((), "graph_module", None),
    "no_graph": (GRAPH[:1], "graph", []),
    "no_signature": (GRAPH[:1], "signature", 1),
    "no_tensor_values": (GRAPH, "tensor_values", []),
    "no_sizes": (GRAPH, "sym_int_values", None),
    "no_nodes": (GRAPH, "nodes", {}),
    "node_text": (GRAPH, "nodes", ["x"]),
    "too_many_nodes": (GRAPH, "nodes", [{}] * 20_001),
    "target_number": (NODE, "target", 7),
    "outputs_text": (NODE, "outputs", "x"),
    "output_number": (NODE, "outputs", [1]),
    "output_name": (NODE, "outputs", [{"as_tensor": {"name": 5}}]),
    "inputs_number": (NODE, "inputs", 5),
    "input_number": (NODE, "inputs", [5]),
    "unmade": (NODE, "inputs", [{"name": "input", "arg": {"as_tensor": {"name": "ghost"}}}]),
    "unnamed": (NODE, "inputs", [{"name": "input", "arg": {"as_tensor": {"name": None}}}]),
    "made_twice": (NODE, "outputs", [{"as_tensor": {"name": "batch_norm"}}]),
    "itself": (NODE, "outputs", [{"as_tensor": {"name": "input"}}]),
    "sizes_text": (CONV, "sizes", "8"),
    "sizes_rank": (CONV, "sizes", [{"as_int": 1}] * 17),
    "sizes_negative": (CONV, "sizes", [{"as_int": -1}]),
    "sizes_overflow": (CONV, "sizes", [{"as_int": 2**62}, {"as_int": 4}]),
    "sizes_bool": (CONV, "sizes", [{"as_int": True}]),
    "input_specs": (SIGNATURE, "input_specs", {}),
    "input_spec": (SIGNATURE, "input_specs", [1]),
    "input_unsaid": (SIGNATURE, "input_specs", [{"user_input": {"arg": {"as_tensor": {"name": "ghost"}}}}]),
    "input_twice": (SIGNATURE, "input_specs", [{"user_input": {"arg": {"as_tensor": {"name": "input"}}}}] * 2),
    "parameter_name": (SIGNATURE, "input_specs", [{"parameter": {"arg": {"name": "p_0_weight"}, "parameter_name": 1}}]),
    "parameter_twice": (SIGNATURE, "input_specs", [{"parameter": {"arg": {"name": "p_0_weight"}, "parameter_name": "w"}}] * 2),
    "output_specs": (SIGNATURE, "output_specs", None),
    "output_unmade": (SIGNATURE, "output_specs", [{"user_output": {"arg": {"as_tensor": {"name": "ghost"}}}}]),
    "output_escape": (SIGNATURE, "output_specs", [{"user_output": {"arg": {"as_tensor": {"name": "\x1b[2J"}}}}]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_hostile_programs_are_refused(name, parts, refused, tmp_path):
    path, key, value = CHANGES[name]
    program = program_of(parts)
    target = at(program, *path)
    target[key] = value
    file = tmp_path / "m.pt2"
    file.write_bytes(pack(parts, program))
    refused(name, file)


HOSTILE = {
    "not_json": b"{",
    "deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "nan": b'{"a": NaN}',
    "twice": b'{"a": 1, "a": 2}',
    "list": b"[]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused(name, parts, refused, tmp_path):
    path = tmp_path / "m.pt2"
    path.write_bytes(pack(parts, HOSTILE[name]))
    refused(name, path)


ARCHIVES = {
    "cut_off": lambda parts: pack(parts)[:-3],
    "bomb": lambda parts: pack(parts, b" " * 30_000_000, zipfile.ZIP_DEFLATED),
    "no_model": lambda parts: pack(
        {n.replace("model.json", "other.json"): d for n, d in parts.items()}
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_archives_are_refused(name, parts, refused, tmp_path):
    path = tmp_path / "m.pt2"
    path.write_bytes(ARCHIVES[name](parts))
    refused(name, path)


def test_every_hostile_file_has_its_error(refused):
    assert {*CHANGES, *HOSTILE, *ARCHIVES} == set(refused.names())


def test_sizes_that_would_run_if_they_were_evaluated(parts, inspect_file, tmp_path):
    bait = tmp_path / "executed"
    program = program_of(parts)
    for text in (
        f"__import__('os').mkdir('{bait}')",
        f"Symbol('s0', positive=__import__('os').mkdir('{bait}'))",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "Add(" * 5000,
        "(" * 4000,
        "Mul()", "Mul(,)", "Pow(Integer(2))", "FloorDiv(Integer(1), Integer(0))", "Symbol(", "'", "9" * 400,
    ):  # fmt: skip
        at(program, *CONV)["sizes"][0] = {"as_expr": {"expr_str": text, "hint": None}}
        (tmp_path / "m.pt2").write_bytes(pack(parts, program))
        kind, _ = inspect_file(tmp_path / "m.pt2")
        assert kind == "ledger"
        assert not bait.exists()


def test_an_edited_shape_is_a_finding(parts, inspect_file, tmp_path):
    program = program_of(parts)
    at(program, *CONV)["sizes"][2] = {"as_int": 7}
    (tmp_path / "m.pt2").write_bytes(pack(parts, program))
    (finding, *_) = inspect_file(tmp_path / "m.pt2")[1].findings
    assert finding.code == "NL001"
    assert finding.row == "0"


def test_an_edited_weight_is_a_finding(parts, inspect_file, tmp_path):
    program = program_of(parts)
    at(program, *GRAPH, "tensor_values", "p_4_weight")["sizes"][1] = {"as_int": 143}
    (tmp_path / "m.pt2").write_bytes(pack(parts, program))
    (finding,) = inspect_file(tmp_path / "m.pt2")[1].findings
    assert "the rule gives weight [5, 144]" in finding.message


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*path, key))


def test_mutants_end_in_a_ledger_or_an_error(parts, inspect_file, tmp_path):
    seed, rng = program_of(parts), random.Random(20_26)
    for key in ("module_call_graph", "metadata"):
        seed["graph_module"][key] = []
    for node in at(seed, *GRAPH)["nodes"]:
        node["metadata"].pop("stack_trace", None)
    everywhere = [p for p in places(seed["graph_module"]) if p]
    values = [
        None,
        -1,
        0,
        1,
        2**31,
        2**63,
        1.5,
        "",
        "conv2d",
        "\x1b[31m",
        True,
        [],
        {},
        [[]],
        {"as_int": 3},
    ]
    small = {n: d for n, d in parts.items() if n.endswith(".json")}
    path = tmp_path / "m.pt2"
    outcomes = {"ledger": 0, "error": 0}
    for _ in range(1_000):
        program = copy.deepcopy(seed)
        for place in rng.sample(everywhere, rng.randint(1, 2)):
            try:
                target = at(program["graph_module"], *place[:-1])
                match rng.randrange(3):
                    case 0:
                        target[place[-1]] = copy.deepcopy(rng.choice(values))
                    case 1:
                        del target[place[-1]]
                    case 2:
                        other = at(seed["graph_module"], *rng.choice(everywhere))
                        target[place[-1]] = copy.deepcopy(other)
            except (
                KeyError,
                IndexError,
                TypeError,
            ):  # the first change took the second one's place
                continue
        path.write_bytes(pack(small, program))
        outcomes[inspect_file(path)[0]] += 1
    assert min(outcomes.values()) > 50
