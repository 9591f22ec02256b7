"""Any graph → a spec → the same ledger."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import yaml

from netledger import NetledgerError
from netledger.builder import Network
from netledger.formula import ceil_div, maximum, minimum, symbol
from netledger.graph import BATCH, BUFFER, WEIGHT, Graph, Node, Parameter, Recorded, TensorType
from netledger.infer import infer
from netledger.ops import (
    FUNCTIONS,
    GLU,
    GRU,
    LSTM,
    OPERATIONS,
    RNN,
    Activation,
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    Add,
    Average,
    AvgPool,
    BatchNorm,
    Cast,
    Compare,
    Concat,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    Divide,
    Dropout,
    Einsum,
    Embedding,
    Expand,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    Identity,
    InstanceNorm,
    Inventory,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Maximum,
    MaxPool,
    Minimum,
    MultiHeadAttention,
    Multiply,
    Opaque,
    Pad,
    Permute,
    Power,
    PReLU,
    Reduce,
    Reshape,
    Resize,
    RMSNorm,
    ScaledDotProductAttention,
    Slice,
    Softmax,
    Split,
    Stack,
    Subtract,
    Tensor,
    Where,
)
from netledger.ops.base import Op, Spatial
from netledger.ops.fields import (
    CHOICE,
    DIMS,
    FLAG,
    INTEGER,
    INTEGERS,
    NUMBER,
    PADDING,
    PER_AXIS,
    REQUIRED,
    SHAPES,
    TENSORS,
    TEXT,
    Rule,
)
from netledger.readers.spec import parse
from netledger.render.yaml import scalar, write
from netledger.zoo import NETWORKS, load

H, W, T = symbol("H"), symbol("W"), symbol("T")

EXAMPLES: dict[type[Op], list[Op]] = {
    Conv: [
        Conv(4, 3),
        Conv(8, (3, 1), stride=(2, 1), padding=((1, 0), (0, 2)), bias=False),
        Conv(4, 3, padding="same", groups=2, dilation=2),
        Conv(4, 2, stride=3, rounding="ceil", channels_last=False),
    ],
    DepthwiseConv: [DepthwiseConv(3), DepthwiseConv(3, 2, padding="same", bias=False)],
    ConvTranspose: [ConvTranspose(4, 2, stride=2), ConvTranspose(4, 3, padding="same", groups=4)],
    MaxPool: [MaxPool(2), MaxPool(3, stride=2, padding=1, rounding="ceil_clipped", dilation=1)],
    AvgPool: [AvgPool(2, stride=1), AvgPool((2, 3), padding="same")],
    AdaptiveMaxPool: [AdaptiveMaxPool(2)],
    AdaptiveAvgPool: [AdaptiveAvgPool((1, 2)), AdaptiveAvgPool(1)],
    GlobalMaxPool: [GlobalMaxPool()],
    GlobalAvgPool: [GlobalAvgPool(keepdims=True), GlobalAvgPool()],
    Linear: [Linear(5), Linear(3, bias=False)],
    Embedding: [Embedding(30, 8)],
    MatMul: [MatMul()],
    Einsum: [Einsum("btd,bsd->bts"), Einsum("btd->bdt")],
    BatchNorm: [BatchNorm(), BatchNorm(scale=False), BatchNorm(channels_last=False)],
    InstanceNorm: [InstanceNorm(), InstanceNorm(scale=True, center=True)],
    GroupNorm: [GroupNorm(groups=2)],
    LayerNorm: [LayerNorm(), LayerNorm(over=(-1, -2), center=False)],
    RMSNorm: [RMSNorm()],
    LocalResponseNorm: [LocalResponseNorm(), LocalResponseNorm(size=3, alpha=2e-5, k=2.0)],
    Activation: [Activation(function) for function in FUNCTIONS],
    PReLU: [PReLU(), PReLU(channel_axis=-1)],
    GLU: [GLU(), GLU(axis=1)],
    Softmax: [Softmax(), Softmax(axis=1, log=True)],
    Dropout: [Dropout(), Dropout(rate=0.1), Dropout(rate=1)],
    Identity: [Identity()],
    Cast: [Cast("float16"), Cast("something: else")],
    Add: [Add()],
    Subtract: [Subtract()],
    Multiply: [Multiply()],
    Divide: [Divide()],
    Power: [Power()],
    Maximum: [Maximum()],
    Minimum: [Minimum()],
    Average: [Average()],
    Compare: [Compare()],
    Where: [Where()],
    RNN: [RNN(4), RNN(4, bias=False, return_sequences=False)],
    GRU: [GRU(4, num_layers=2, bias_vectors=1), GRU(4, bidirectional=True, batch_first=False)],
    LSTM: [LSTM(4), LSTM(6, projection_size=3)],
    MultiHeadAttention: [MultiHeadAttention(2), MultiHeadAttention(3, key_dim=4, bias=False)],
    ScaledDotProductAttention: [ScaledDotProductAttention()],
    Flatten: [Flatten(), Flatten(start_dim=1, end_dim=2)],
    Reshape: [Reshape((-1, 4)), Reshape((BATCH, -1), keep_batch=False)],
    Permute: [Permute((0, 2, 1)), Permute((0, 3, 1, 2))],
    Expand: [Expand((3, -1, -1, -1)), Expand((2, BATCH, 8, 8, 4))],
    Concat: [Concat(), Concat(axis=1)],
    Stack: [Stack(), Stack(axis=0)],
    Slice: [Slice(axis=1, start=1, stop=4), Slice(start=-2), Slice(axis=-1, step=2)],
    Split: [Split((1, 3)), Split(2, axis=1)],
    Pad: [Pad(), Pad(((0, 1), (2, 0))), Pad(((0, 0), (1, 1), (1, 1), (-1, 0)))],
    Resize: [Resize(scale=2), Resize(size=(3, 4), mode="bilinear")],
    Reduce: [Reduce(), Reduce(over=(1, 2), keepdims=True, function="sum")],
    Tensor: [Tensor((1, 3, 8)), Tensor((5,), role="buffer", to="int64")],
    Opaque: [Opaque("Mystery", ((BATCH, 8),)), Opaque("x: y", (), reason="because: it is, so")],
    Inventory: [
        Inventory(
            (("weight", "weight", (3, 4), "float16", None), ("a b", "bias", (), "q4_0", 99)),
        ),
        Inventory(()),
    ],
}

INPUTS = {
    "map": TensorType((BATCH, 8, 8, 4)),
    "tokens": TensorType((BATCH, 6, 8)),
    "rows": TensorType((BATCH, 16)),
    "ids": TensorType((BATCH, 6), "int64"),
    "high": TensorType((BATCH, H, 2 * W, 4)),
    "fixed": TensorType((1, 6, 8)),
}

NASTY = (
    *("a: b", "- x", "#", " lead", "trail ", "new\nline", "\x1b[2J", 'quo"te', "back\\slash", "'"),
    *("null", "no", "12", "0x1f", "1e5", "010", "12:30", "~", "true", "[x]", "{x}", "x, y", "?"),
    *("\u202egnp.exe", "é", "\u2028", "\x85", "\ufeff", "\ud800", "😀", "a:1", "=", "<<", "!t"),
    *("&a", "*a", "%x", "@x", "`x`", "a #b", "a/b", "<script>", "=1+1", "\t", "x" * 1500, "---"),
    *("\x00", "...", "y", "-", ":", "a:", "relu_2", "|", ">", "∞", "1.5", "-1", "\u00a0"),
)


def assert_same(graph: Graph) -> Graph:
    text = write(graph)
    again = parse(text, "again.yaml")
    try:
        expected = infer(graph).to_dict(ops=True)
    except NetledgerError as error:
        with pytest.raises(type(error)) as caught:
            infer(again)
        assert caught.value.fact == error.fact
        return again
    found = infer(again).to_dict(ops=True)
    for part in ("inputs", "rows", "totals", "findings"):
        assert found[part] == expected[part]
    assert again.outputs == graph.outputs
    assert again.name == (graph.name or "unnamed")
    assert again.title == graph.title
    assert write(again) == text
    return again


def fits(graph: Graph) -> bool:
    try:
        infer(graph)
    except NetledgerError:
        return False
    return True


def with_node(graph: Graph, node: Node, outputs: tuple[str, ...] = ()) -> Graph:
    return replace(graph, nodes=(*graph.nodes, node), outputs=outputs, _by_name={})


def any_value(rule: Rule, rng: random.Random) -> object:
    """A value that a hyperparameter may have; sizes stay small."""
    least = max(rule.minimum or 0, 0)
    number = rng.randint(least, least + 3)
    return {
        INTEGER: number,
        INTEGERS: number,
        PER_AXIS: rng.choice([number, (number, rng.randint(least, least + 3))]),
        PADDING: rng.choice([number, ((0, 1), (number, 0)), *rule.choices]),
        FLAG: rng.random() < 0.5,
        CHOICE: rng.choice(rule.choices or ("",)),
        TEXT: rng.choice(NASTY),
        NUMBER: rng.choice([0.25, 1e-7, 3, float("inf")]),
        DIMS: (3, 4),
        SHAPES: ((BATCH, H, 3),),
        TENSORS: (),
    }[rule.kind]


def any_op(op_class: type[Op], rng: random.Random) -> Op:
    if op_class in EXAMPLES and rng.random() < 0.6:
        return rng.choice(EXAMPLES[op_class])
    fields = {
        name: any_value(rule, rng)
        for name, rule in op_class.rules.items()
        if rule.default is REQUIRED or rng.random() < 0.3
    }
    return op_class(**fields)


def feeds_for(op: Op, graph: Graph, rng: random.Random) -> tuple[str, ...] | None:
    """Values that `op` can take, if there are some."""
    least, most = op.arity
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    choices = [(value,) * count for value in values for count in {least, most or 3} if count]
    if least == 0:
        choices.append(())
    if least <= 2 <= (most or 2):
        choices += [(a, b) for a in values[-6:] for b in values[-6:]]
    rng.shuffle(choices)
    probes = (Node("probe", op, feeds, () if op.silent else ("probe",)) for feeds in choices)
    return next((p.inputs for p in probes if fits(with_node(graph, p))), None)


def outputs_of(op: Op, feeds: tuple[str, ...], graph: Graph) -> int:
    """How many outputs an operation makes there."""
    if op.silent:
        return 0
    last = infer(with_node(graph, Node("probe", op, feeds))).ops[-1]
    return len(op.outputs(*(t.shape for t in last.input_types)))


START = Graph(
    "ops",
    INPUTS,
    (
        Node("places", Slice(3, 0, 2), ("map",)),
        Node("turned", Permute((0, 2, 1)), ("tokens",)),
    ),
    ("turned",),
)


@pytest.mark.parametrize("op_class", OPERATIONS, ids=lambda c: c.key)
def test_every_operation(op_class: type[Op]) -> None:
    rng = random.Random(op_class.key)
    tested = 0
    for op in [*EXAMPLES.get(op_class, ()), *(any_op(op_class, rng) for _ in range(12))]:
        if isinstance(op, Spatial) and rng.random() < 0.3:
            op = replace(op, channels_last=not op.channels_last)
        feeds = feeds_for(op, START, rng)
        if feeds is None or (isinstance(op, Opaque) and not op.shapes):
            continue
        count = outputs_of(op, feeds, START)
        values = tuple("it" if i == 0 else f"it:{i}" for i in range(count))
        tested += 1
        assert_same(with_node(START, Node("it", op, feeds, values)))
        assert_same(with_node(START, Node("it", op, feeds, values), values[-1:]))
        if count > 1:
            assert_same(with_node(START, Node("it", op, feeds, values[:1])))
            odd = tuple(f"odd {i}" for i in range(count))
            assert_same(with_node(START, Node("it", op, feeds, odd), odd[1:]))
    assert tested


def random_graph(seed: int) -> Graph:
    """A network of operations that fit, with hostile names, ties, frozen layers, scopes."""
    rng = random.Random(seed)
    graph = Graph(rng.choice(["net", *NASTY]), INPUTS, (), title=rng.choice(["", *NASTY]))
    used = set(INPUTS)
    for _ in range(rng.randint(1, 14)):
        op = any_op(rng.choice(OPERATIONS), rng)
        feeds = feeds_for(op, graph, rng)
        if feeds is None or (isinstance(op, Opaque) and not op.shapes):
            continue
        count = outputs_of(op, feeds, graph)
        name = rng.choice([f"layer{len(used)}", op.key, rng.choice(NASTY), "scope.sub." + op.key])
        name = name if name not in used else f"{name}_{len(used)}"
        count = rng.choice([count, min(count, 1)])
        values = tuple(name if i == 0 else f"{name}:{i}" for i in range(count))
        if rng.random() < 0.1:
            values = tuple(f"{value} out" for value in values)
        if used & {name, *values}:
            continue
        used |= {name, *values}
        scope = rng.choice(["", "", "scope.sub", rng.choice(NASTY)])
        node = Node(name, op, feeds, values, scope, trainable=rng.random() < 0.8)
        if rng.random() < 0.3:
            node = replace(node, recorded=any_record(rng))
        graph = with_node(graph, node)
    values = [value for node in graph.nodes for value in node.outputs]
    outputs = tuple(rng.sample(values, min(len(values), rng.randint(0, 3))))
    return replace(graph, outputs=outputs, ties=any_ties(graph, rng), _by_name={})


def any_record(rng: random.Random) -> Recorded:
    parameters = (Parameter("w", WEIGHT, (2, 3), "int4", rng.random() < 0.5, 17),)
    buffers = (Parameter(rng.choice(NASTY), BUFFER, (H,)),)
    return Recorded(
        rng.choice([(), (None,), (TensorType((BATCH, 3), "strange"),)]),
        rng.choice([None, (), parameters, buffers]),
        rng.choice([None, 0, 10**12]),
    )


def any_ties(graph: Graph, rng: random.Random) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Some parameters of one size as one storage."""
    by_count: dict[object, list[tuple[str, str]]] = {}
    for row in infer(graph).ops:
        for p in row.parameters:
            by_count.setdefault(p.count, []).append((row.name, p.name))
    return tuple(
        tuple(group) for group in by_count.values() if len(group) > 1 and rng.random() < 0.5
    )


@pytest.mark.parametrize("seed", range(100))
def test_random_graphs(seed: int) -> None:
    assert_same(random_graph(seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_zoo(name: str) -> None:
    again = assert_same(load(name))
    assert [node.name for node in again.nodes] == [node.name for node in load(name).nodes]


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names(name: str) -> None:
    net = Network(name, {name: (4,)}, title=name)
    net._scopes.append("s")
    x = net(Linear(3), name=name)
    net(Linear(3), name="other")
    net(Add(), x, x)
    graph = net.graph()
    nodes = tuple(replace(node, scope=name) for node in graph.nodes)
    again = assert_same(replace(graph, nodes=nodes, _by_name={}))
    assert again.nodes[0].name == f"s.{name}"
    assert list(again.inputs) == [name]
    assert write(graph).replace("\n", "").isprintable()


def test_other_yaml_parsers_see_the_same_text() -> None:
    for name in NASTY:
        assert yaml.safe_load(f"a: {scalar(name)}") == {"a": name}
        assert yaml.safe_load(f"[{scalar(name)}]") == [name]
        text = write(Graph(name, {}, (), title=f"{name}, [{name}]"))
        assert yaml.safe_load(text)["name"] == name
        assert yaml.safe_load(text)["title"] == f"{name}, [{name}]"


def test_names_that_are_left_out_come_out_equal() -> None:
    net = Network("net", (8,))
    for _ in range(3):
        net(Activation("relu"))
        net(Linear(8))
    text = write(net.graph())
    assert "name" not in text.partition("layers:")[2]
    assert [n.name for n in assert_same(net.graph()).nodes][-1] == "linear_3"


def test_symbols_and_formulas() -> None:
    shape = (
        BATCH,
        (H - 11) // 4 + 1,
        ceil_div(W, 2) * (H + 1) % 7,
        minimum(T, 3) - (maximum(W, H) - 2),
        symbol("odd `name", None) * -3,
        -T,
    )
    graph = Graph("f", {"x": TensorType(shape), "y": TensorType((T, BATCH, 2))}, ())
    assert_same(graph)
    assert "batch: false" in write(graph)


def test_hyperparameters_may_be_formulas() -> None:
    net = Network("f", {"x": (H, W, 3)})
    width = symbol("k")
    net(Conv(64 * width, 3, padding="same"))  # type: ignore[arg-type]
    net(Slice(axis=1, start=0, stop=H // 2))  # type: ignore[arg-type]
    text = write(net.graph())
    assert "symbols: [k]" in text
    assert "out_channels: 64*k" in text
    assert infer(assert_same(net.graph())).totals.params == 64 * width * 28


def test_layout_is_that_of_most_layers() -> None:
    net = Network("first", (3, 8, 8), channels_last=False)
    net.chain(Conv(4, 3), MaxPool(2))
    assert "layout: channels_first" in write(net.graph())
    assert "channels_last" not in write(net.graph())


def test_a_graph_that_does_not_fit_is_still_written() -> None:
    net = Network("bad", (8, 8, 3))
    net.chain(Conv(4, 3), MaxPool(20), Flatten())
    assert_same(net.graph())
