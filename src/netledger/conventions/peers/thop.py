"""thop 0.1.1: ``profile(model, inputs)``.

Modules of known classes (no subclasses) are counted by hooks; what has no module (products,
``nn.Parameter``) is 0, and so are the parameters of other modules. thop/profile.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netledger.conventions.convention import MACS, PARAMS, Charge, Convention
from netledger.conventions.peers.hooks import (
    NOTHING,
    TRANSPOSED,
    Hook,
    Rule,
    charges,
    made,
    not_counted,
    per_number,
    ranked,
    taken,
)
from netledger.conventions.peers.modules import Called, Network
from netledger.formula import Formula, prod
from netledger.graph import WEIGHT
from netledger.ledger import Ledger
from netledger.ops import Conv, ConvTranspose, DepthwiseConv, Resize, Softmax
from netledger.ops.base import each_axis
from netledger.ops.recurrent import Recurrent

TOOL = "thop 0.1.1"


def _convolution(call: Called) -> Hook:
    """Output × channels of the input / groups × window: for a transposed one too."""
    row = call.main
    op = row.op
    if not isinstance(op, Conv | ConvTranspose | DepthwiseConv):
        return NOTHING
    if isinstance(op, DepthwiseConv):
        return Hook(row.macs)
    channels = op.split(row.inputs[0])[1]
    window = prod(each_axis(op.kernel_size, len(row.inputs[0]) - 2))
    return Hook(row.made * (channels // op.groups) * window, TRANSPOSED)


def _normalisation(call: Called) -> Hook:
    each = 4 if call.main.has(WEIGHT) else 2
    return Hook(extras=((f"normalisations: {each} for each number", call.main.taken * each),))


def _softmax(call: Called) -> Hook:
    row = call.main
    assert isinstance(row.op, Softmax)
    features = row.inputs[0][row.op.axis]
    each = row.taken // features * (3 * features - 1)
    return Hook(extras=(("softmax: nearly 3 for each number", each),))


def _adaptive(call: Called) -> Hook:
    row = call.main
    x: Any = row.source[2:]
    y: Any = row.result[2:] or (1,) * len(x)
    cause = "adaptive average pooling: one for each tap and one for each number made"
    if any(isinstance(d, Formula) for d in (*x, *y)):
        return Hook(extras=((cause, None),))  # symbols cannot be divided so
    window = 1.0  # thop divides in floating point, also where windows are uneven
    for size, out in zip(x, y, strict=True):
        window *= size / out
    return Hook(extras=((cause, int((window + 1) * row.made)),))


def _resize(call: Called) -> Hook:
    row = call.main
    assert isinstance(row.op, Resize)
    each = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}.get(row.op.mode, 0)
    return Hook(extras=((f"{row.op.mode} resizing: {each} for each number made", row.made * each),))


EXTRA = {"RNN": 0, "GRU": 4, "LSTM": 4}
"""What each state's number costs beside its gates: products and sums of the gates."""


def _recurrent(call: Called) -> Hook:
    """Every gate: its weights, one for its activation, and two biases."""
    row = call.main
    op = row.op
    if not isinstance(op, Recurrent):
        return NOTHING
    first, second, features = row.inputs[0]
    directions = 2 if op.bidirectional else 1
    hidden, cells = op.hidden_size, 0
    macs: Any = 0
    for _ in range(op.num_layers):
        macs = macs + directions * op.gates * hidden * (features + hidden)
        cells += directions
        features = directions * hidden
    steps = first * second
    cost = op.gates * hidden + EXTRA[type(op).__name__] * hidden
    two = cells * 2 * op.gates * hidden if op.bias else 0
    return Hook(
        steps * macs,
        "projections of recurrent layers are counted as states of the full size",
        (
            ("gates: one for each activation, sum and product", steps * cells * cost),
            ("each bias added counts as one", steps * two),
        ),
    )


RULES: dict[str, Rule] = {
    **ranked(("Conv", "ConvTranspose"), _convolution),
    **ranked(("BatchNorm", "InstanceNorm"), _normalisation),
    "LayerNorm": _normalisation,
    "SyncBatchNorm": _normalisation,
    "PReLU": per_number("PReLU: one for each number", 1, taken),
    "Softmax": _softmax,
    **ranked(("AvgPool",), per_number("average pooling: one for each number made", 1, made)),
    **ranked(("AdaptiveAvgPool",), _adaptive),
    "Linear": lambda call: Hook(call.main.macs),
    **dict.fromkeys(("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"), _resize),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _recurrent),
}
"""What counts, by PyTorch's class; thop counts 0 for the other classes."""

KNOWN = {
    *RULES,
    *("ReLU", "ReLU6", "LeakyReLU", "Dropout", "ZeroPad2d", "PixelShuffle"),
    *(f"{kind}{rank}d" for kind in ("MaxPool", "AdaptiveMaxPool") for rank in (1, 2, 3)),
}


def macs(ledger: Ledger) -> Iterable[Charge]:
    """What the first number of ``profile`` differs by."""

    def hook(call: Called) -> Hook | None:
        rule = RULES.get(call.layer)
        return rule(call) if rule else None

    return charges(Network(ledger), hook, not_counted)


def params(ledger: Ledger) -> Iterator[Charge]:
    """What the second number of ``profile`` differs by: only called modules of known classes."""
    network = Network(ledger)
    known = {call.path for call in network.calls if call.layer in KNOWN and call.path}
    counted: dict[str, list[str]] = {}
    rows: dict[str, tuple[str, Any]] = {}
    for kept in network.kept:
        rows.setdefault(kept.storage, (kept.row, kept.count))
        owners = counted.setdefault(kept.storage, [])
        if kept.owner in known and kept.owner not in owners:
            owners.append(kept.owner)
    for storage, owners in counted.items():
        row, count = rows[storage]
        if not owners:
            cause = "parameters outside of called modules of known classes are not counted"
            yield Charge(row, cause, -count)
        elif len(owners) > 1:
            cause = "shared parameters count in every module that keeps them"
            yield Charge(row, cause, count * (len(owners) - 1))


CONVENTIONS = (
    Convention("thop-params", PARAMS, "parameters of layers that thop knows", params, TOOL),
    Convention(
        "thop", MACS, "MACs of layers that thop knows, normalisations and poolings", macs, TOOL
    ),
)
