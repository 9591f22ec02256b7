"""The user's model comes back exactly as it was, also when its forward pass raises."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger import NetledgerError

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


class Restless(nn.Module):
    """Does everything in its forward pass that it should not."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.fails, self.seen, self.log = fails, 0, []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Any) -> Any:
        self.seen += 1
        self.log.append(x)
        self.last = x
        self.count += 1
        self.norm.running_mean.add_(1)
        self.extra = nn.Linear(2, 2)
        self.eval()
        torch.rand(3), random.random()
        x = self.norm(self.layer(x))
        with torch.no_grad():
            self.layer.weight.fill_(7)
        if self.fails:
            raise ValueError("out of order")
        return x


def state(model: Any) -> dict[str, Any]:
    """All that may be noticed of a model and its surroundings."""
    return {
        "tensors": {
            k: (id(v), v.device, v.clone()) for k, v in model.state_dict(keep_vars=True).items()
        },
        "grad": [p.requires_grad for p in model.parameters()],
        "mode": [m.training for m in model.modules()],
        "attributes": [
            {
                k: (id(v), copy.copy(v) if isinstance(v, dict | list | int) else None)
                for k, v in vars(m).items()
            }
            for m in model.modules()
        ],
        "random": (torch.get_rng_state(), random.getstate()),
        "switches": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
            nn.Module.__call__,
        ),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or bool(a == b)


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "restless": (lambda: Restless(False), "4"),
    "failing": (lambda: Restless(True), "4"),
    "training": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train(),
        "3x8x8",
    ),
    "evaluation": (lambda: nn.Transformer(8, 2, 1, 1, 8).eval(), ["3x8", "3x8"]),
    "recurrent": (lambda: nn.LSTM(4, 5), "7x4"),
    "scripted": (lambda: torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))), "4"),
    "spectral": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), "4"),
}


@pytest.mark.parametrize("name", MODELS)
def test_unchanged(name: str) -> None:
    make, inputs = MODELS[name]
    model = make()
    before = state(model)
    try:
        netledger.ledger(model, inputs)
    except NetledgerError:
        assert name == "failing"
    after = state(model)
    for part in before:
        assert same(before[part], after[part]), part


def test_nothing_is_allocated() -> None:
    """A model of 100 billion parameters, and a batch of long sequences."""
    with torch.device("meta"):
        model = nn.Sequential(*[nn.Linear(100_000, 100_000) for _ in range(10)])
    assert netledger.ledger(model, "512x100000").totals.macs == 512 * 10**11


def test_a_failing_layer_is_named_with_the_table_up_to_it() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(10, 4))
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(model, "3x32x32")
    error = caught.value
    assert error.where == "2 (Linear)" and error.received == "float32[1, 8, 30, 30]"
    assert error.fact.startswith("the forward pass failed: RuntimeError: ")
    assert error.partial is not None and error.partial.failed == "2 (Linear)"
    assert error.partial.row("0").macs == 194_400
    assert not [row.name for row in error.partial.ops if row.name.startswith("2.")]


def test_a_number_that_only_data_know() -> None:
    class Asks(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(Asks(), "4")
    asked = "the model asks for a number that depends on its input"
    assert caught.value.fact == f"the forward pass failed: DataDependent: {asked}"
    assert caught.value.hint == (
        "tensors have shapes here and no numbers: read a part of the model, "
        "or export it with torch.export and read the .pt2"
    )


@pytest.mark.parametrize("method", ["numpy", "tolist"])
def test_numbers_that_are_taken_out(method: str) -> None:
    class Takes(nn.Module):
        def forward(self, x: Any) -> Any:
            return getattr(x, method)()

    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(Takes(), "4")
    assert caught.value.hint.startswith("tensors have shapes here and no numbers: ")


def test_a_gradient_inside() -> None:
    class Force(nn.Module):
        def forward(self, x: Any) -> Any:
            with torch.enable_grad():
                return torch.autograd.grad((x.requires_grad_(True) ** 2).sum(), x)[0]

    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(Force(), "4")
    assert caught.value.hint == (
        "the pass runs without gradients: use torch.func.grad, or read the part before"
    )


@pytest.mark.parametrize(
    ("inputs", "fact"),
    [
        (None, "nothing says what Linear is called with"),
        ("HxW", "a live model needs sizes that are numbers; only the batch may be a symbol"),
        ("float99[4]", "PyTorch has no dtype 'float99'"),
    ],
)
def test_inputs_that_do_not_do(inputs: Any, fact: str) -> None:
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(nn.Linear(4, 4), inputs)
    assert caught.value.fact == fact
