"""ptflops 0.7.5: ``get_model_complexity_info(model, …)``, with either of its two backends.

The default backend ``pytorch`` has hooks on known classes of modules *and* replaces some functions
of PyTorch; a module that calls such a function (``nn.ReLU`` calls ``F.relu``) is counted twice. The
backend ``aten`` counts convolutions, ``addmm``, ``mm`` and ``bmm`` as they reach the processor.
ptflops/pytorch_ops.py, pytorch_engine.py, aten_ops.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netledger.conventions.convention import MACS, PARAMS, Charge, Convention
from netledger.conventions.peers.hooks import (
    BIASES,
    NOTHING,
    Hook,
    Rule,
    biases,
    charges,
    macs_and_biases,
    made,
    not_counted,
    per_number,
    ranked,
    taken,
)
from netledger.conventions.peers.modules import Called, Network
from netledger.conventions.sizes import Sized, sized
from netledger.conventions.work import added_biases
from netledger.formula import prod
from netledger.graph import BIAS, BUFFER
from netledger.ledger import Ledger, add_up
from netledger.ops import (
    LSTM,
    Activation,
    Dropout,
    Identity,
    MultiHeadAttention,
    Permute,
    Resize,
    ScaledDotProductAttention,
)
from netledger.ops.conv import Convolution, ConvTranspose
from netledger.ops.linear import Linear
from netledger.ops.recurrent import Recurrent

TOOL = "ptflops 0.7.5"
ACTIVATIONS = "activation functions: one for each number"
RESIZED = "resizing: one for each number made"
POOLS = "poolings: one for each number of the input"
TWICE = "counted again: the module calls a function that is counted too"

STATES = {"RNN": 1, "GRU": 7, "LSTM": 10}
"""Sums and products for each number of the state."""


def _normalisation(call: Called) -> Hook:
    row = call.main
    affine = call.layer not in ("LayerNorm",) and any(p.role != BUFFER for p in row.row.parameters)
    each = 2 if affine else 1
    return Hook(extras=((f"normalisations: {each} for each number", row.taken * each),))


def _recurrent(call: Called) -> Hook:
    """The first direction's weights, twice for both directions."""
    row = call.main
    op = row.op
    if not isinstance(op, Recurrent):
        return NOTHING
    first, second, _ = row.inputs[0]
    steps = first * second * (2 if op.bidirectional else 1)
    one = [p for p in row.row.parameters if "reverse" not in p.name and "_hr_" not in p.name]
    weights = add_up(p.count for p in one if p.role != BIAS)
    added = add_up(p.count for p in one if p.role == BIAS)
    extra = STATES[type(op).__name__] * op.hidden_size * op.num_layers
    return Hook(
        steps * weights,
        "projections of recurrent layers are not counted",
        (
            (BIASES, steps * added),
            ("gates: one for each sum and product", steps * extra),
        ),
    )


HOOKS: dict[str, Rule] = {
    **ranked(("Conv", "ConvTranspose"), macs_and_biases),
    "Linear": macs_and_biases,
    **{
        word: per_number(ACTIVATIONS, 1, made)
        for word in ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU")
    },
    **ranked(
        ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool"), per_number(POOLS, 1, taken)
    ),
    **ranked(("BatchNorm", "InstanceNorm"), _normalisation),
    "GroupNorm": _normalisation,
    "LayerNorm": _normalisation,
    "Upsample": per_number(RESIZED, 1, made),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _recurrent),
}

FUNCTIONS: dict[str, Callable[[Sized], Any]] = {
    **{f"aten.{name}": taken for name in ("relu", "prelu", "elu", "relu6", "gelu", "silu")},
    **{
        f"aten.{lead}{kind}_pool{rank}d": taken
        for lead in ("", "adaptive_")
        for kind in ("max", "avg")
        for rank in (1, 2, 3)
    },
    "aten.softmax": taken,
    **{
        f"aten.upsample_{mode}": made
        for mode in ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "bicubic2d")
    },
    "aten.upsample_trilinear3d": made,
}
"""Functions that are replaced, and what they count.

The trace does not tell ``F.softmax(x)`` from ``x.softmax()``, which is not replaced, nor ``x @ y``
from ``x.matmul(y)``, which is: the first of each pair is assumed.
"""

CALLS = {
    **{
        word: f"aten.{word.lower()}" for word in ("ReLU", "PReLU", "ELU", "GELU", "SiLU", "Softmax")
    },
    **{
        f"{lead.title()}{kind.title()}Pool{rank}d": f"aten.{lead and lead + '_'}{kind}_pool{rank}d"
        for lead in ("", "adaptive")
        for kind in ("max", "avg")
        for rank in (1, 2, 3)
    },
    "Upsample": "aten.upsample_nearest2d",
}
"""The replaced function that a module calls."""

PRODUCTS = ("aten.bmm", "aten.mm", "aten.addmm", "aten.baddbmm")
"""Products whose name in a trace can only come from a function that is replaced."""

ATTENTION = "MultiheadAttention"
TIMM_ATTENTION = "timm.layers.attention.Attention"


def pytorch(ledger: Ledger) -> Iterable[Charge]:
    """What the backend ``pytorch`` counts differently."""
    network = Network(ledger)
    targets = _targets(network)

    def hook(call: Called) -> Hook | None:
        if _inside(call):
            return None
        if call.layer == ATTENTION:
            return _attention(call)
        if call.kind == TIMM_ATTENTION:
            return _timm_attention(call)
        rule = HOOKS.get(call.layer)
        return rule(call) if rule else None

    found = list(charges(network, hook, not_counted))
    hooked = {r.row.name for call in network.calls if call.rows and hook(call) for r in call.rows}
    products = {r.row.name for r in network.rows if targets[r.row.name] in PRODUCTS} - hooked
    yield from (charge for charge in found if charge.row not in products)
    yield from _divided(ledger, network, [charge for charge in found if charge.row in hooked])
    for row in network.rows:
        name, target = row.row.name, targets[row.row.name]
        if target in PRODUCTS and len(row.inputs) == 2:
            theirs = prod(row.inputs[0]) * row.inputs[1][-1]
            yield Charge(name, TWICE, theirs - (0 if name in hooked else row.macs))
        elif target in FUNCTIONS:
            yield Charge(name, TWICE if name in hooked else _alone(row), FUNCTIONS[target](row))


def _targets(network: Network) -> dict[str, str]:
    """What each operation is called in a trace; without one, what PyTorch's module would call."""
    graph = network.ledger.graph
    if graph.calls:
        return {node.name: node.target.removesuffix("_") for node in graph.nodes}
    called = {call.main.row.name: call.layer for call in network.calls}
    return {row.row.name: CALLS.get(called.get(row.row.name, ""), "") for row in network.rows}


def _divided(ledger: Ledger, network: Network, hooked: list[Charge]) -> Iterator[Charge]:
    """What hooks count is divided by the length of the first input, taken for the batch."""
    first = next((row for row in ledger.ops if row.op is None), None)
    length = Sized(first, ledger.batch).outputs[0][0] if first and first.outputs[0].shape else 1
    if first is None or not isinstance(length, int) or length == 1:
        return
    names = {charge.row for charge in hooked}
    macs = add_up(row.macs for row in network.rows if row.row.name in names)
    total = add_up((macs, *(charge.delta for charge in hooked)))
    cause = "counts of modules are divided by the length of the input, taken for the batch"
    yield Charge(first.name, cause, total // length - total)


def _alone(row: Sized) -> str:
    if isinstance(row.op, Resize):
        return RESIZED
    return POOLS if row.row.kind.endswith("Pool") else ACTIVATIONS


def _inside(call: Called) -> bool:
    """True within a module whose hook is taken for all that it has inside."""
    above = call.parent
    while above is not None:
        if above.layer == ATTENTION or above.kind == TIMM_ATTENTION:
            return True
        above = above.parent
    return False


def _scores(rows: Iterable[Sized]) -> Any:
    """How many attention weights there are."""
    for row in rows:
        if isinstance(row.op, ScaledDotProductAttention):
            q, k = row.inputs[:2]
            return prod(q[:-1]) * k[-2]
    return next((row.made for row in rows if row.macs and len(row.inputs) == 2), 0)


def _attention(call: Called) -> Hook:
    """Projections and products as we count them; biases, the scale, the softmax."""
    if isinstance(call.main.op, MultiHeadAttention):
        return Hook(add_up(row.macs for row in call.rows))
    linear = [row for row in call.rows if isinstance(row.op, Linear)]
    added = add_up(biases(row) for row in linear[:-1])
    made_last = linear[-1].made if linear else 0
    return Hook(
        add_up(row.macs for row in call.rows),
        "",
        (
            (BIASES, add_up((added, made_last))),
            ("attention: one for each query's number that is scaled", made_last),
            ("softmax: one for each number", _scores(call.rows)),
        ),
    )


def _timm_attention(call: Called) -> Hook:
    """The products, the scale and the softmax; the layers inside are left out."""
    own = [row for row in call.rows if row.macs]
    return Hook(
        add_up(row.macs for row in own),
        "",
        (
            ("attention: one for each query's number that is scaled", prod(own[0].inputs[0])),
            ("softmax: one for each number", _scores(own)),
        ),
    )


def aten(ledger: Ledger) -> Iterator[Charge]:
    """What the backend ``aten`` counts differently."""
    rows = sized(ledger)
    turned = _turned(rows)
    for row in rows:
        name, target = row.row.name, ledger.graph.node(row.row.name).target
        if isinstance(row.op, (Convolution, ConvTranspose)) or (
            isinstance(row.op, Linear) and not turned.intersection(row.row.inputs)
        ):
            yield Charge(name, BIASES, biases(row))
        elif isinstance(row.op, ScaledDotProductAttention) or _in_one_piece(row.op):
            yield Charge(name, not_counted(row), -row.macs)
        elif isinstance(row.op, Recurrent | MultiHeadAttention):
            yield Charge(name, BIASES, added_biases(row))
        elif target == "aten.baddbmm":
            yield Charge(name, "baddbmm is not counted", -row.macs)


def _in_one_piece(op: Any) -> bool:
    """True for a recurrent layer that oneDNN computes as one operator."""
    return isinstance(op, LSTM) and op.projection_size is None


def _turned(rows: list[Sized]) -> set[str]:
    """Values whose axes were swapped and that nothing has copied since.

    On these, PyTorch multiplies and adds the bias apart, and only the product is counted. Axes of
    size 1 do not matter.
    """
    orders: dict[str, tuple[int, ...]] = {}
    found: set[str] = set()
    for row in rows:
        order = orders.get(row.row.inputs[0]) if row.row.inputs else None
        if isinstance(row.op, Permute):
            axes = tuple(row.op.order)
            order = axes if order is None else tuple(order[i] for i in axes)
        elif not isinstance(row.op, Identity | Dropout | Activation):
            continue
        if order is not None:
            orders[row.row.name] = order
            long = [i for i, d in zip(order, row.outputs[0], strict=True) if d != 1]
            found.update(row.row.made if long != sorted(long) else ())
    return found


def params(ledger: Ledger) -> Iterator[Charge]:
    """Only parameters that are trained."""
    for row in ledger.ops:
        for p in row.parameters:
            if p.tied_to is None and p.role != BUFFER and not p.trainable:
                yield Charge(row.name, "frozen parameters are not counted", -p.count)


CONVENTIONS = (
    Convention("ptflops-params", PARAMS, "parameters that are trained", params, TOOL),
    Convention(
        "ptflops",
        MACS,
        "MACs, biases, activations, normalisations and poolings, some of them twice",
        pytorch,
        TOOL,
    ),
    Convention(
        "ptflops-aten", MACS, "MACs of convolutions and matrix products, and biases", aten, TOOL
    ),
)
