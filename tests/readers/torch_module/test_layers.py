"""Live modules: what each kind of layer counts, against PyTorch's own lists and FLOP formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger import Ledger

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


def read(model: Any, inputs: Any) -> Ledger:
    """The ledger; what it says of itself has to hold."""
    ledger = netledger.ledger(model, inputs)
    assert ledger.findings == () and ledger.totals.complete
    return ledger


class Function(nn.Module):
    """A module out of a function and a few parameters."""

    def __init__(self, function: Callable[..., Any], **tensors: Any) -> None:
        super().__init__()
        self.function = function
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


def weight(*shape: int) -> Any:
    return torch.zeros(shape)


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "conv": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), "4x9x9"),
    "conv transposed": (
        lambda: nn.ConvTranspose2d(4, 6, 3, 2, output_padding=1, groups=2),
        "4x9x9",
    ),
    "conv 1d": (lambda: nn.Conv1d(4, 6, 5, dilation=2), "4x20"),
    "conv 3d": (lambda: nn.Conv3d(2, 3, 3, padding="same"), "2x5x6x7"),
    "attention": (lambda: nn.MultiheadAttention(16, 4, batch_first=True), ["5x16"] * 3),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), "5x16"),
    "transformer": (lambda: nn.Transformer(16, 4, 1, 1, 32, batch_first=True), ["5x16", "6x16"]),
    "sdpa": (lambda: Function(lambda m, q: F.scaled_dot_product_attention(q, q, q)), "4x7x8"),
    "x @ w": (lambda: Function(lambda m, x: x @ m.w, w=weight(8, 3)), "5x8"),
    "einsum": (
        lambda: Function(lambda m, x: torch.einsum("...i,ji->...j", x, m.w), w=weight(3, 8)),
        "5x8",
    ),
    "functional linear": (
        lambda: Function(lambda m, x: F.linear(x, m.w, m.b), w=weight(3, 8), b=weight(3)),
        "5x8",
    ),
    "computed bias": (
        lambda: Function(lambda m, x: F.linear(x, m.w, m.b * 2), w=weight(3, 8), b=weight(3)),
        "5x8",
    ),
    "functional conv": (
        lambda: Function(lambda m, x: F.conv2d(x, m.w, padding=1), w=weight(5, 3, 3, 3)),
        "3x8x8",
    ),
    "computed kernels": (
        lambda: Function(lambda m, x: F.conv2d(x, m.w * 2, m.b), w=weight(5, 3, 3, 3), b=weight(5)),
        "3x8x8",
    ),
    "standardised kernels": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3)),
        "4x9",
    ),
    "baddbmm": (lambda: Function(lambda m, a: torch.baddbmm(a, a, a)), "6x6"),
}


@pytest.mark.parametrize("name", MODELS)
def test_counts(name: str, independent_macs: Callable[..., int]) -> None:
    make, inputs = MODELS[name]
    model = make()
    ledger = read(model, inputs)
    totals = ledger.totals
    assert totals.params == sum(p.numel() for p in model.parameters())
    types = [t._replace(shape=(1, *t.shape[1:])) for t in ledger.graph.inputs.values()]
    assert totals.macs == independent_macs(model, tuple(types))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent(kind: str, gates: int, both: bool) -> None:
    """MACs by hand: each step multiplies the input and the state by the weights of each gate."""
    model = getattr(nn, kind)(5, 6, num_layers=2, bidirectional=both, batch_first=True)
    ledger = read(model, "7x5")
    ways = 1 + both
    first, second = gates * 6 * (5 + 6), gates * 6 * (6 * ways + 6)
    assert ledger.totals.params == sum(p.numel() for p in model.parameters())
    assert ledger.totals.macs == 7 * ways * (first + second)


def test_bilinear() -> None:
    """xᵀW for each output, then times y; PyTorch's counter has no formula for it."""
    assert read(nn.Bilinear(3, 4, 5), ["3", "4"]).totals.macs == 5 * 3 * 4 + 5 * 4


def test_a_recurrent_layer_is_not_gone_through_step_by_step() -> None:
    totals = read(nn.LSTM(4, 5, batch_first=True), "1000000x4").totals
    assert totals.macs == 1_000_000 * 4 * 5 * (4 + 5)


def test_projected_lstm() -> None:
    model = nn.LSTM(5, 6, proj_size=3)
    assert read(model, "7x5").totals.params == sum(p.numel() for p in model.parameters())


class Shared(nn.Module):
    """Tied, reused, never called, frozen, in a buffer, of another dtype, on the module itself."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.twice = nn.Linear(8, 8)
        self.frozen = nn.Linear(8, 8, bias=False).requires_grad_(False)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.table.weight
        self.never = nn.Linear(3, 3).half()
        self.scale = nn.Parameter(torch.ones(8))
        self.register_buffer("offset", torch.zeros(8))

    def forward(self, tokens: Any, *, times: int = 2, more: Any = None) -> Any:
        x = self.table(tokens) * self.scale + self.offset
        for _ in range(times):
            x = self.twice(x)
        return {"logits": self.head(self.frozen(x)), "rest": [x, None, times]}


def test_shared_layers() -> None:
    model = Shared()
    ledger = read(model, {"tokens": "int64[N,7]", "times": 3, "more": {"a": ["2x3", None]}})
    totals = ledger.totals
    assert totals.params == sum(p.numel() for p in model.parameters())
    assert totals.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert totals.buffers == 8
    assert totals.macs == 7 * (3 * 64 + 64 + 400)
    assert [row.params for row in ledger.ops if row.name.startswith("twice")] == [72, 0, 0]
    assert ledger.row("head").parameters[0].tied_to == "table/weight"
    assert ledger.row("head").params == 0 and ledger.row("table").params == 400
    never = ledger.row("never.weight")
    assert never.op.describe() == "a stored parameter, never used"
    assert never.parameters[0].dtype == "float16"
    assert (ledger.row("never.bias").weights, ledger.row("never.bias").biases) == (0, 3)
    assert len(ledger.graph.outputs) == 2
    assert str(ledger.row("head").outputs[0]) == "float32[N, 7, 50]"


def test_one_frozen_parameter() -> None:
    model = nn.Linear(4, 3)
    model.bias.requires_grad_(False)
    totals = read(model, "4").totals
    assert (totals.trainable, totals.frozen) == (12, 3)


def test_lazy_modules_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(5))
    totals = read(model, "3x8x8").totals
    assert (totals.params, totals.macs) == (224 + 1445, 7776 + 1440)
    assert model[0].has_uninitialized_params() and type(model[0]) is nn.LazyConv2d


def test_dynamically_quantised() -> None:
    """Logical parameters, stored bytes: PyTorch lists no parameters at all."""
    ao = torch.ao.quantization
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    packed = ao.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    totals = read(packed, "10").totals
    assert (totals.params, totals.macs, totals.bytes) == (325, 300, 300 + 25 * 4)
    packed = ao.quantize_dynamic(nn.Sequential(nn.LSTM(10, 6)), {nn.LSTM}, dtype=torch.qint8)
    totals = read(packed, "7x10").totals
    assert (totals.params, totals.macs, totals.bytes) == (432, 7 * 384, 384 + 48 * 4)


def test_weights_that_are_kept_as_integers() -> None:
    """A weight-only quantised layer, as people write it: the integers are a buffer."""

    class Int8(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.zeros(3, 8, dtype=torch.int8))
            self.register_buffer("scale", torch.ones(3, 1))

        def forward(self, x: Any) -> Any:
            return F.linear(x, self.weight.to(x.dtype) * self.scale)

    totals = read(Int8(), "8").totals
    assert (totals.params, totals.buffers, totals.macs, totals.bytes) == (0, 27, 24, 24 + 12)


@pytest.mark.parametrize("how", ["script", "trace", "compile"])
def test_compiled_and_scripted(how: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    made = {
        "script": lambda: torch.jit.script(model),
        "trace": lambda: torch.jit.trace(model, torch.zeros(1, 3, 8, 8)),
        "compile": lambda: torch.compile(model),
    }[how]()
    totals = read(made, "3x8x8").totals
    assert (totals.params, totals.buffers, totals.macs) == (120, 8, 3888)


def test_frozen_script() -> None:
    """Its weights are constants of its code; PyTorch lists no parameters either."""
    made = torch.jit.freeze(torch.jit.script(nn.Linear(4, 3).eval()))
    totals = read(made, "4").totals
    assert (totals.params, totals.macs) == (0, 12) and not list(made.parameters())


def test_hooks_run() -> None:
    model = nn.Linear(4, 4)
    model.register_forward_hook(lambda module, args, made: F.linear(made, module.weight))
    assert read(model, "4").totals.macs == 32


def test_numbers_that_are_known() -> None:
    """A count of steps in a buffer, a mask out of constants: values are asked for, and there."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.register_buffer("steps", torch.tensor(3))

        def forward(self, x: Any) -> Any:
            for _ in range(int(self.steps) + int(torch.arange(4).sum())):
                x = self.layer(x)
            return x

    assert read(Steps(), "4").totals.macs == 9 * 16


def test_dtypes() -> None:
    ledger = read(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3)).bfloat16(), "int64[5]")
    assert str(ledger.row("1").outputs[0]) == "bfloat16[N, 5, 3]"
    assert ledger.totals.bytes == 2 * ledger.totals.params


def test_a_loop_over_the_batch_has_no_symbol() -> None:
    model = Function(lambda m, x: torch.stack([F.linear(row, m.w) for row in x]), w=weight(3, 8))
    ledger = read(model, "5x8")
    assert str(ledger.ops[0].outputs[0]) == "float32[1, 5, 8]"
    assert ledger.totals.macs == 5 * 24


def test_rows_keep_the_tree() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2))
    ledger = read(model, "4")
    assert [row.name for row in ledger.view(depth=1)] == ["input", "0", "1"]
    assert ledger.graph.modules["0.1"] == "torch.nn.modules.activation.ReLU"
