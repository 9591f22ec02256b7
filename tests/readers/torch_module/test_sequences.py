"""Packed sequences: as long as the longest can be; what has no shape is refused."""

from __future__ import annotations

from typing import Any

import pytest

import netledger
from netledger.errors import UsageError

torch = pytest.importorskip("torch")
nn, rnn = torch.nn, torch.nn.utils.rnn
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

TIME, IN, OUT = 7, 8, 16


class Tagger(nn.Module):
    """A table, a recurrent layer both ways on packed sequences, a layer on what it makes."""

    def __init__(self, kind: str, batch_first: bool, total: int | None = None) -> None:
        super().__init__()
        self.batch_first, self.total = batch_first, total
        self.table = nn.Embedding(100, IN)
        self.layer = getattr(nn, kind)(IN, OUT, batch_first=batch_first, bidirectional=True)
        self.head = nn.Linear(2 * OUT, 3)

    def forward(self, tokens: Any, lengths: Any) -> Any:
        x = self.table(tokens)
        packed = rnn.pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        made, states = self.layer(packed)
        x, lengths = rnn.pad_packed_sequence(made, self.batch_first, total_length=self.total)
        return self.head(x), states, lengths


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_layer_on_packed_sequences(kind: str, gates: int) -> None:
    model = Tagger(kind, batch_first=True)
    ledger = netledger.ledger(model, {"tokens": "int64[N,7]", "lengths": "int64[N]"})
    assert ledger.findings == () and ledger.totals.complete
    assert ledger.totals.params == sum(p.numel() for p in model.parameters())
    steps = 2 * gates * OUT * (IN + OUT)
    assert ledger.totals.macs == TIME * (steps + 2 * OUT * 3)
    head = next(row for row in ledger.ops if row.name == "head")
    assert str(head.outputs[0]) == "float32[N, 7, 3]"


def test_time_first_and_a_length_of_ones_own() -> None:
    """The sizes given are kept where time comes first; padded steps are not the layer's."""
    model = Tagger("GRU", batch_first=False, total=9)
    ledger = netledger.ledger(model, (torch.zeros(TIME, 3).long(), torch.tensor([7, 5, 3])))
    steps = 2 * 3 * OUT * (IN + OUT)
    assert ledger.totals.macs == 3 * (TIME * steps + 9 * 2 * OUT * 3)
    head = next(row for row in ledger.ops if row.name == "head")
    assert str(head.outputs[0]) == "float32[9, 3, 3]"


def test_a_list_of_sequences() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(IN, OUT)

        def forward(self, sequences: Any) -> Any:
            return self.layer(rnn.pack_sequence(sequences))[0].data

    ledger = netledger.ledger(Listed(), ([torch.zeros(5, IN), torch.zeros(3, IN)],))
    assert ledger.totals.macs == 2 * 5 * 4 * OUT * (IN + OUT)


PADDED = "give the shape that they have padded to the longest: 128x768"


@pytest.mark.parametrize("how", ["packed", "strided", "jagged"])
def test_tensors_without_a_shape(how: str) -> None:
    parts = [torch.zeros(5, IN), torch.zeros(3, IN)]
    if how == "packed":
        given = rnn.pack_sequence(parts)
    else:
        given = torch.nested.nested_tensor(parts, layout=getattr(torch, how))
    word = "packed" if how == "packed" else "nested"
    for inputs in (given, (given,)):
        with pytest.raises(UsageError) as raised:
            netledger.ledger(nn.LSTM(IN, OUT), inputs)
        fact = f"a {word} tensor has sequences of several lengths, no shape"
        assert (raised.value.fact, raised.value.hint) == (fact, PADDED)
