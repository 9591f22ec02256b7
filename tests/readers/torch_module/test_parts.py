"""What is taken apart: operators that PyTorch composes of others; a batch that is a sequence."""

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


class Uses(nn.Module):
    """A module out of a function, a weight (8, 5) and a layer."""

    def __init__(self, function: Callable[..., Any], layer: Any = None) -> None:
        super().__init__()
        self.function, self.layer = function, layer
        self.w = nn.Parameter(torch.zeros(8, 5))

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


COMPOSED: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "tensordot": (lambda m, x: torch.tensordot(x, m.w, dims=([2], [0])), 7 * 8 * 5),
    "multi_dot": (lambda m, x: torch.linalg.multi_dot([m.w.T, m.w]) * x.sum(), 5 * 8 * 5),
    "inner": (lambda m, x: torch.inner(x, m.w.T), 7 * 8 * 5),
    "cosine_similarity": (lambda m, x: F.cosine_similarity(x @ m.w, x @ m.w), 2 * 7 * 8 * 5),
    "vstack, swapdims, ravel": (lambda m, x: torch.vstack([x, x]).swapdims(0, 1).ravel(), 0),
    "less": (lambda m, x: torch.less(x, 3) & torch.isclose(x, x), 0),
    "dot": (lambda m, x: x * torch.dot(m.w[0], m.w[1]) + (x @ m.w).sum(), 5 + 7 * 8 * 5),
    "ctc_loss": (lambda m, x: F.ctc_loss(x.mT, *[torch.ones(len(x)).long()] * 3), 0),
    "quantile": (lambda m, x: torch.quantile(x, 0.5, dim=1), 0),
    "cross_entropy": (lambda m, x: F.cross_entropy(x, torch.zeros(len(x), 8).long()), 0),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_an_operator_without_a_rule_is_taken_apart(name: str) -> None:
    function, macs = COMPOSED[name]
    model = Uses(lambda m, x: function(m, x) + 0 * m.w.sum() if macs == 0 else function(m, x))
    totals = read(model, "7x8").totals
    assert (totals.params, totals.macs) == (40, macs)


@pytest.mark.parametrize(("kind", "gates"), [("LSTMCell", 4), ("GRUCell", 3), ("RNNCell", 1)])
def test_cells_in_a_loop(kind: str, gates: int) -> None:
    def steps(model: Any, x: Any) -> Any:
        state = None
        for t in range(x.shape[1]):
            state = model.layer(x[:, t], state)
        return state

    cell = getattr(nn, kind)(5, 6)
    ledger = read(Uses(steps, cell), "7x5")
    assert ledger.totals.params == sum(p.numel() for p in cell.parameters()) + 40
    assert ledger.totals.macs == 7 * gates * 6 * (5 + 6)
    assert str(ledger.ops[-2].outputs[0]) == "float32[N, 6]"  # the last is the weight, never used


def test_what_cannot_be_taken_apart_is_unknown() -> None:
    """The inverse of a matrix has products inside that no rule counts."""
    ledger = netledger.ledger(Uses(lambda m, x: torch.linalg.inv(x)), (4, 4))
    unknown = {row.kind: row.unknown for row in ledger.ops if row.unknown}
    why = "no rule describes it"
    assert unknown == {"linalg_inv_ex": {"params": why, "macs": why}}


def test_bags_of_rows() -> None:
    ledger = read(nn.EmbeddingBag(10, 4), {"input": "int64[N,3]"})
    table, bags = (row for row in ledger.ops if "mbedding" in row.kind)
    assert (table.kind, table.params, table.macs) == ("Embedding", 40, 0)
    assert (bags.kind, bags.params, bags.macs) == ("embedding_bag", 0, 0)
    assert str(bags.outputs[0]) == "float32[N, 4]"


def test_parts_without_numbers() -> None:
    def parts(model: Any, x: Any) -> Any:
        none, some, rest = (x @ model.w).split([0, 3, 2], dim=-1)
        return torch.cat([rest, none.relu(), some], dim=-1)

    ledger = read(Uses(parts), "8")
    split = next(row for row in ledger.ops if row.kind == "Split")
    assert list(map(str, split.outputs)) == ["float32[N, 0]", "float32[N, 3]", "float32[N, 2]"]
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, 5]"


def test_a_shape_that_is_changed_in_place() -> None:
    """The row says what the tensor was when it was made."""
    ledger = read(Uses(lambda m, x: (x @ m.w).unsqueeze_(1).squeeze_(2)), "1x8")
    assert [str(row.outputs[0]) for row in ledger.ops if row.kind != "Tensor"] == [
        *("float32[N, 1, 8]", "float32[N, 1, 5]", "float32[N, 1, 1, 5]", "float32[N, 1, 5]"),
    ]


SEQUENCES: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "one by one": (lambda m, x: torch.stack([row @ m.w for row in x]), 4 * 7 * 40),
    "in two halves": (lambda m, x: torch.cat([half @ m.w for half in x.chunk(2)]), 4 * 7 * 40),
    "in a half and the rest": (lambda m, x: (x[: len(x) // 2] @ m.w, x[2:] @ m.w), 4 * 7 * 40),
    "two of them": (lambda m, x: x.narrow(0, 1, 2) @ m.w, 2 * 7 * 40),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_batch_that_is_taken_apart(name: str) -> None:
    """It is read with the sizes given, whole."""
    function, macs = SEQUENCES[name]
    ledger = read(Uses(function), torch.zeros(4, 7, 8))
    assert str(ledger.ops[0].outputs[0]) == "float32[4, 7, 8]"
    assert ledger.totals.macs == macs


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("shape", [(7, 2, 5), (7, 5)])
def test_time_first(kind: str, gates: int, shape: tuple[int, ...]) -> None:
    """Time is not taken for the batch: all steps count, for all samples given."""
    ledger = read(getattr(nn, kind)(5, 6), torch.zeros(shape))
    samples = shape[1] if len(shape) == 3 else 1
    assert ledger.totals.macs == 7 * samples * gates * 6 * (5 + 6)


def test_attention_with_time_first() -> None:
    """Twice as many positions: twice the projections, four times the attention."""
    model = nn.TransformerEncoderLayer(16, 4, 32)
    assert read(model, torch.zeros(6, 3, 16)).totals.macs == 3 * (
        6 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 6 * 6 * 16
    )


@pytest.mark.parametrize(
    "parts", [lambda x: x.chunk(1), lambda x: x.split(len(x)), lambda x: [x[:], x[0], x[-1]]]
)
def test_a_batch_that_stays_whole_is_symbolic(parts: Any) -> None:
    ledger = read(Uses(lambda m, x: [part @ m.w for part in parts(x)]), "8")
    assert str(ledger.ops[0].outputs[0]) == "float32[N, 8]"


def test_a_batch_that_meets_itself_stays_symbolic() -> None:
    """Similarities of all pairs, as CLIP has them, sum over features."""
    ledger = read(Uses(lambda m, x: (x @ m.w) @ (x @ m.w).T), "8")
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, N]"
