"""Operators that take functions: FlexAttention, loops and choices; functions of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger import Ledger
from netledger.errors import ShapeError

torch = pytest.importorskip("torch")
flex = pytest.importorskip("torch.nn.attention.flex_attention")
nn = torch.nn
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

HEADS, SHARED, TIME, WIDTH = 4, 2, 128, 16
PRODUCTS = 2 * HEADS * TIME * TIME * WIDTH


def causal(batch: Any, head: Any, query: Any, key: Any) -> Any:
    return query >= key


class Flexible(nn.Module):
    """Attention with a learned slope of each head; two heads share their keys and values."""

    def __init__(self, mask: Any, function: Callable[..., Any] = flex.flex_attention) -> None:
        super().__init__()
        self.mask, self.function = mask, function
        self.slope = nn.Parameter(torch.zeros(HEADS))

    def forward(self, query: Any, key: Any) -> Any:
        def score(number: Any, batch: Any, head: Any, i: Any, j: Any) -> Any:
            return number + (i - j) * self.slope[head]

        mask = self.mask(query.device) if callable(self.mask) else self.mask
        return self.function(query, key, key, score, mask, enable_gqa=True)


def block_mask(device: Any) -> Any:
    return flex.create_block_mask(causal, None, None, TIME, TIME, device=device)


MASKS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "made inside": lambda: block_mask,
    "made before": lambda: block_mask("cpu"),
}


def attended(model: Any) -> Ledger:
    shapes = (f"{HEADS}x{TIME}x{WIDTH}", f"{SHARED}x{TIME}x{WIDTH}")
    ledger = netledger.ledger(model, shapes)
    assert ledger.findings == () and ledger.totals.complete
    return ledger


@pytest.mark.parametrize("mask", MASKS)
def test_flex_attention(mask: str) -> None:
    ledger = attended(Flexible(MASKS[mask]()))
    assert (ledger.totals.params, ledger.totals.macs) == (HEADS, PRODUCTS)
    assert str(ledger.ops[-1].outputs[0]) == f"float32[N, {HEADS}, {TIME}, {WIDTH}]"
    assert any("slope" in row.inputs for row in ledger.ops)


def test_it_is_left_as_it_was() -> None:
    mask = block_mask("cpu")
    attended(Flexible(mask))
    assert mask.kv_num_blocks.device.type == "cpu"
    assert "kv_num_blocks" not in vars(flex.BlockMask)
    with pytest.raises(ValueError, match="only supported on"):
        flex.flex_attention(*[torch.zeros(1, 1, TIME, WIDTH, device="meta")] * 3)


class Runs(nn.Module):
    """A function of a layer and the input."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        return self.function(self.layer, x)


def loop(layer: Any, x: Any) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    start = (torch.tensor(0), x)
    return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, layer(x)), start)[1]


def scan(layer: Any, x: Any) -> Any:
    from torch._higher_order_ops.scan import scan

    return scan(lambda c, y: (layer(c) + y, c + 0), torch.zeros_like(x), torch.stack([x] * 3))[0]


def choice(layer: Any, x: Any) -> Any:
    return torch.cond(torch.tensor(1) > 0, lambda x: layer(x), lambda x: x + 0, (x,))


FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "while_loop": (loop, 3),
    "scan": (scan, 3),
    "cond": (choice, 1),
    "vmap": (lambda layer, x: torch.vmap(layer)(x), 1),
    "grad": (lambda layer, x: torch.func.grad(lambda x: layer(x).sum())(x), 2),
    "checkpoint": (lambda layer, x: torch.utils.checkpoint.checkpoint(layer, x), 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_functions(name: str) -> None:
    """Each time that the layer runs, forward or backward, it has its products."""
    function, times = FUNCTIONS[name]
    ledger = netledger.ledger(Runs(function), torch.zeros(1, 8))
    assert (ledger.totals.params, ledger.totals.macs) == (72, times * 64)
    assert ledger.totals.complete


def test_a_choice_that_only_data_can_make() -> None:
    def choose(layer: Any, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda x: layer(x), lambda x: x + 0, (x,))

    with pytest.raises(ShapeError, match="the model asks for a number that depends on its input"):
        netledger.ledger(Runs(choose), "8")
