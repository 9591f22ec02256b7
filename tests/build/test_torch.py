"""Networks in PyTorch: sizes and counts, the two towers, borders and layouts, errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger import Graph, NetledgerError, zoo
from netledger.build import write
from netledger.build.narrow import narrow
from netledger.builder import Network
from netledger.formula import symbol
from netledger.graph import BATCH, BUFFER
from netledger.infer import infer
from netledger.ops import (
    LSTM,
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    MaxPool,
    Multiply,
    Opaque,
    PReLU,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Split,
    Tensor,
)

torch = pytest.importorskip("torch")

Outputs = Callable[..., list[Any]]
Close = Callable[..., None]


def meta(graph: Graph) -> Any:
    """The built module without memory for its weights."""
    from netledger.build.source.live import execute
    from netledger.build.torch.code import Plan

    plan = Plan.of(graph)
    namespace = execute(plan.source(), plan.name)
    with torch.device("meta"):
        return namespace[plan.name]()


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_has_its_parameters_and_outputs(name: str) -> None:
    graph = zoo.load(name)
    ledger = infer(graph)
    model = meta(graph).eval()
    assert sum(p.numel() for p in model.parameters()) == ledger.totals.params
    buffers = sum(b.numel() for n, b in model.named_buffers() if not n.endswith("tracked"))
    assert buffers == ledger.totals.buffers
    channels_first = torch.zeros(2, 3, *next(iter(graph.inputs.values())).shape[1:3], device="meta")
    made = model(channels_first[:, : next(iter(graph.inputs.values())).shape[-1]])
    made = made if isinstance(made, tuple) else (made,)
    for value, tensor in zip(graph.outputs, made, strict=True):
        assert tuple(tensor.shape[1:]) == ledger.row(value).outputs[0].shape[1:]


def test_a_live_module_is_trainable_and_shows_its_code() -> None:
    import inspect

    model = netledger.build("lenet5", "torch")
    assert isinstance(model, torch.nn.Module) and model.training
    loss = model(torch.randn(2, 1, 32, 32)).square().mean()
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert "self.c1 = nn.Conv2d(1, 6, 5)" in inspect.getsource(type(model))


def test_the_paper_s_initialisation() -> None:
    torch.manual_seed(0)
    model = netledger.build(narrow(zoo.load("alexnet-2012"), 0.25), "torch")
    ones = {"conv_2", "conv_4", "conv_5", "fc_1", "fc_2"}
    for name, layer in model.named_children():
        if hasattr(layer, "weight"):
            assert (
                abs(layer.weight.std().item() - 0.01) < 0.001 and layer.weight.mean().abs() < 1e-3
            )
            assert (layer.bias == float(name in ones)).all(), name


def test_two_towers_are_two_networks_that_meet_twice(
    weights: Callable[..., Any], outputs: Outputs, images: Callable[..., Any]
) -> None:
    """Krizhevsky and others (2012), figure 2: towers exchange maps at conv3 and the FC layers."""
    from torch.nn import functional as F

    graph = zoo.load("alexnet-2012")
    w = {key: torch.from_numpy(array) for key, array in weights(graph).items()}

    def part(name: str, tower: int, parts: int = 2) -> tuple[Any, Any]:
        weight, bias = w[name, "weight"], w[name, "bias"]
        return weight.chunk(parts)[tower], bias.chunk(parts)[tower]

    def norm(x: Any) -> Any:
        return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=2.0)

    def pool(x: Any) -> Any:
        return F.max_pool2d(x, 3, 2)

    x = torch.from_numpy(images(graph)[0]).permute(0, 3, 1, 2)
    # Normalisation sees all 96 maps of a layer, so the towers' maps lie side by side for it.
    towers = [
        F.relu(F.conv2d(F.pad(x, (0, 3, 0, 3)), *part("Conv-1", t), stride=4)) for t in (0, 1)
    ]
    towers = [pool(t) for t in norm(torch.cat(towers, 1)).chunk(2, 1)]
    assert [t.shape[1] for t in towers] == [48, 48]
    towers = [F.relu(F.conv2d(x, *part("Conv-2", t), padding=2)) for t, x in enumerate(towers)]
    towers = [pool(t) for t in norm(torch.cat(towers, 1)).chunk(2, 1)]
    both = torch.cat(towers, 1)  # conv3 sees the maps of both
    towers = [F.relu(F.conv2d(both, *part("Conv-3", t), padding=1)) for t in (0, 1)]
    for name in ("Conv-4", "Conv-5"):
        towers = [F.relu(F.conv2d(x, *part(name, t), padding=1)) for t, x in enumerate(towers)]
    towers = [pool(t) for t in towers]
    # The graph flattens height, width, channels.
    flat = torch.cat(towers, 1).permute(0, 2, 3, 1).flatten(1)
    for name in ("FC-1", "FC-2"):
        flat = torch.cat([F.relu(F.linear(flat, *part(name, t))) for t in (0, 1)], 1)
    expected = F.softmax(F.linear(flat, w["FC-3", "weight"], w["FC-3", "bias"]), 1)
    (made,) = outputs(graph, "torch")
    assert torch.allclose(torch.from_numpy(made), expected, rtol=1e-4, atol=1e-7)
    assert expected.std() > 0


def test_weights_come_back_as_they_went_in(
    target: Callable[[str], Any], weights: Callable[..., Any]
) -> None:
    graph = narrow(zoo.load("alexnet-owt"), 0.1)
    builder, given = target("torch"), weights(graph)
    model = builder.make(graph)
    builder.load(model, graph, given)
    back = builder.weights(model, graph)
    assert back.keys() == given.keys()
    assert all((back[key] == given[key]).all() for key in given)
    # Behind the flattened maps the columns are PyTorch's: channels before height and width.
    maps = given["FC-1", "weight"].reshape(-1, 6, 6, 26).transpose(0, 3, 1, 2)
    assert (model.fc_1.weight.detach().numpy() == maps.reshape(len(maps), -1)).all()


def test_weights_must_be_there_and_fit(target: Callable[[str], Any], weights: Any) -> None:
    graph = zoo.load("lenet5")
    builder, given = target("torch"), weights(graph)
    model = builder.make(graph)
    bad = dict(given)
    bad["F6", "weight"] = given["F6", "weight"].T
    with pytest.raises(NetledgerError, match=r"F6: weight must have the shape \[84, 120\]; got"):
        builder.load(model, graph, bad)
    del bad["F6", "weight"]
    with pytest.raises(NetledgerError, match="F6: no weight is given"):
        builder.load(model, graph, bad)


def small(*ops: Any, channels_last: bool = True, size: tuple[int, int] = (11, 10)) -> Graph:
    """A chain on maps of 6 channels; a classifier behind what is flattened shows its order."""
    shape = (*size, 6) if channels_last else (6, *size)
    net = Network("small", shape, channels_last=channels_last)
    net.chain(*ops)
    return net.graph()


WINDOWS = [
    (Conv(4, 3, padding="same"),),
    (Conv(4, 4, padding="same"),),
    (Conv(4, 3, stride=2, padding="same"),),
    (Conv(4, (3, 5), stride=(2, 3), padding=(1, 2), groups=2),),
    (Conv(4, 3, stride=4, rounding="ceil"),),
    (Conv(4, 3, padding=((0, 2), (1, 0)), dilation=2),),
    (DepthwiseConv(3, depth_multiplier=2, stride=2, padding="same"),),
    (ConvTranspose(4, 3, stride=2),),
    (MaxPool(3, stride=2, rounding="ceil_clipped"),),
    (MaxPool(3, stride=2, rounding="ceil"),),
    (MaxPool(2, stride=3, padding="same"),),
    (MaxPool(3, stride=2, padding=1),),
    (Activation("relu"), MaxPool(3, stride=2, padding=((1, 0), (0, 2)))),
    (AvgPool(3, stride=2, padding=1),),
    (AvgPool(2, rounding="ceil_clipped"),),
    (GlobalAvgPool(), Linear(5), Softmax()),
    (Conv(4, 3), Flatten(), Linear(7), Activation("tanh"), Linear(3)),
    (Conv(4, 3), Flatten(), Activation("relu")),
    (Conv(4, 3), Linear(5), Softmax(axis=1)),
    (Conv(4, 3), Reshape([-1, 4]), LayerNorm()),
    (BatchNorm(epsilon=0.1, momentum=0.5), PReLU(channel_axis=-1)),
    (Slice(axis=-1, start=1, stop=5, step=2), Slice(axis=1, stop=-1)),
    (Reduce([1, 2]), Linear(2)),
    (Reduce(-1, function="max", keepdims=True),),
]


@pytest.mark.parametrize("ops", WINDOWS, ids=lambda ops: "-".join(op.kind for op in ops))
def test_both_frameworks_compute_the_same(ops: Any, outputs: Outputs, close: Close) -> None:
    graph = small(*ops)
    a, b = outputs(graph, "torch", batch=2), outputs(graph, "keras", batch=2)
    close(a, b, 1e-5)
    assert a[0].shape[1:] == infer(graph).ops[-1].outputs[0].shape[1:]


@pytest.mark.parametrize("name", ["torch", "keras"])
def test_windows_are_where_the_rule_has_them(name: str, outputs: Outputs, weights: Any) -> None:
    """Each output by itself, in plain arithmetic: windows rounded up hang over the far side."""
    import numpy as np

    graph = small(Conv(4, 5, stride=4, padding=1, rounding="ceil", groups=2), size=(10, 7))
    w = weights(graph)
    kernel, bias = w["conv", "weight"], w["conv", "bias"]
    (made,) = outputs(graph, name)
    x = np.random.default_rng(1).standard_normal((1, 10, 7, 6), dtype="float32")
    x = np.pad(x, ((0, 0), (1, 9), (1, 9), (0, 0)))
    assert made.shape == (1, 3, 2, 4)
    for row, column, out in np.ndindex(3, 2, 4):
        seen = x[0, 4 * row : 4 * row + 5, 4 * column : 4 * column + 5]
        seen = seen[..., 3 * (out // 2) : 3 * (out // 2) + 3]
        value = (seen.transpose(2, 0, 1) * kernel[out]).sum() + bias[out]
        assert abs(made[0, row, column, out] - value) < 1e-4


@pytest.mark.parametrize("name", ["torch", "keras"])
def test_layouts_make_no_difference(
    name: str, target: Callable[[str], Any], weights: Any, images: Any
) -> None:
    """The same layers, channels last and first; a flattened map has its columns permuted."""
    import numpy as np

    layers = (Conv(4, 3, padding=1), Activation("relu"), MaxPool(2), Flatten(), Linear(5))
    last, first = small(*layers), small(*layers, channels_last=False)
    w, x = weights(last), images(last)
    turned = dict(w)
    columns = w["linear", "weight"].reshape(5, 5, 5, 4).transpose(0, 3, 1, 2).reshape(5, -1)
    turned["linear", "weight"] = columns
    builder = target(name)
    made = []
    for graph, given, maps in ((last, w, x), (first, turned, [x[0].transpose(0, 3, 1, 2)])):
        model = builder.make(graph)
        builder.load(model, graph, given)
        made += builder.run(model, graph, maps)
    assert np.allclose(made[0], made[1], atol=1e-5)


def branched() -> Graph:
    """Two inputs, shared values, several outputs."""
    net = Network("branched", {"left image": (8, 8, 2), "class": (8, 8, 2)})
    a = net(Conv(4, 3, padding=1), "left image", name="for")
    b = net(Conv(4, 3, padding=1), "class", name="self")
    total = net(Add(), a, b, name="x")
    gate = net(Activation("sigmoid"), total, name="import")
    made = net(Multiply(), gate, a, name="y")
    joined = net(Concat(), made, b, total, name="1")
    net(GlobalAvgPool(), joined)
    return net.graph(net(Linear(3), name="2"), gate)


def test_names_that_python_needs_itself(outputs: Outputs, close: Close) -> None:
    graph = branched()
    close(outputs(graph, "torch"), outputs(graph, "keras"))


def test_several_parts_and_states() -> None:
    net = Network("parts", (6, 8))
    net(LSTM(5), name="lstm")
    net(Slice(axis=1, start=-1))
    net(Flatten())
    graph = net.graph()
    graph = netledger.Graph("parts", graph.inputs, graph.nodes, graph.outputs)
    assert netledger.build(graph, "torch")(torch.zeros(2, 6, 8)).shape == (2, 5)


def test_split(outputs: Outputs, close: Close) -> None:
    from netledger.graph import Node, TensorType

    nodes = (
        Node("cut", Split([1, 5]), ("x",), ("a", "b")),
        Node("wide", Linear(1), ("b",)),
        Node("add", Add(), ("a", "wide")),
    )
    graph = Graph("cut", {"x": TensorType((BATCH, 4, 6))}, nodes, ("add",))
    close(outputs(graph, "torch"), outputs(graph, "keras"))


def test_a_tied_weight_is_one_storage() -> None:
    net = Network("tied", (8,))
    net(Linear(8, bias=False), name="a")
    net(Linear(8, bias=False), name="b")
    net.tie(("a", "weight"), ("b", "weight"))
    model = netledger.build(net.graph(), "torch")
    assert model.a.weight is model.b.weight
    assert sum(p.numel() for p in model.parameters()) == 64
    with pytest.raises(NetledgerError, match=r"Keras cannot store a\.weight and b\.weight once"):
        write(net.graph(), "keras")


def test_a_frozen_layer_is_not_trained() -> None:
    net = Network("frozen", (8,))
    net(Linear(4), name="kept", trainable=False)
    net(Linear(4), name="learned")
    model = netledger.build(net.graph(), "torch")
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


@pytest.mark.parametrize("target_name", ["torch", "keras"])
def test_what_cannot_be_built_names_op_target_and_row(target_name: str) -> None:
    spoken = {"torch": "PyTorch", "keras": "Keras"}[target_name]
    net = Network("n", (8, 8, 3))
    net(Conv(4, 3), name="fine")
    net(Activation("sin"), name="waves")
    with pytest.raises(NetledgerError) as caught:
        write(net.graph(), target_name)
    assert str(caught.value) == (
        f"BuildError: waves (Sin): {spoken} cannot express this Sin "
        "(of each number by itself)\n"
        "  input   fine: float32[N, 4, 6, 6]\n"
        "  hint    build another target, or change the layer; nothing was built"
    ).replace("[N, 4, 6, 6]", "[N, 4, 6, 6]" if target_name == "torch" else "[N, 6, 6, 4]")


def unknown_layer() -> Graph:
    net = Network("n", (8, 8, 3))
    net(Opaque("Wonder", [(BATCH, 4)], reason="no rule describes it"), name="magic")
    return net.graph()


def constant_operand() -> Graph:
    net = Network("n", (8,))
    net(Multiply(), name="scaled")
    return net.graph()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            lambda: Network("n", (symbol("H"), 8, 3)).graph(),
            "BuildError: the input 'input' has sizes without a number: H\n"
            "  input   input: float32[N, H, 8, 3]\n"
            "  hint    a model is built for one size: give it, for instance --input 224x224x3",
        ),
        (
            unknown_layer,
            "BuildError: magic (Wonder): cannot be built in PyTorch: no rule describes it\n"
            "  hint    only a network of which every layer is fully known can be built",
        ),
        (
            constant_operand,
            "BuildError: scaled (Multiply): cannot be built in PyTorch: it takes a constant whose "
            "value is not kept in the books\n"
            "  hint    only a network of which every layer is fully known can be built",
        ),
    ],
)
def test_what_is_not_known_is_not_built(graph: Callable[[], Graph], message: str) -> None:
    with pytest.raises(NetledgerError) as caught:
        netledger.build(graph(), "torch")
    assert str(caught.value) == message


def test_an_unknown_target() -> None:
    with pytest.raises(NetledgerError, match="unknown target 'tensorflow'"):
        netledger.build("lenet5", "tensorflow")


def test_a_missing_framework_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "class LeNet5" in write("lenet5", "torch")  # the source code needs no framework
    with pytest.raises(NetledgerError, match=r"hint +pip install 'netledger\[torch\]'"):
        netledger.build("lenet5", "torch")


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "lenet5", "googlenet"])
def test_the_round_trip_is_empty(name: str) -> None:
    graph = zoo.load(name)
    size = next(iter(graph.inputs.values())).shape
    model = netledger.build(graph, "torch").eval()
    read = netledger.read(model, torch.zeros(1, size[3], size[1], size[2]))
    found = netledger.diff(graph, read)
    assert found.empty, [cause.text for cause in found.causes]


def test_narrow_networks() -> None:
    graph = narrow(zoo.load("alexnet-2012"), 0.1, classes=10)
    widths = [row.outputs[0].shape[-1] for row in infer(graph).ops if row.parameters]
    assert widths == [10, 26, 38, 38, 26, 410, 410, 10]  # even, for there are two groups
    assert infer(narrow(zoo.load("googlenet-aux"), 0.25, classes=7)).row("aux1.fc2").weights == 1792
    with pytest.raises(NetledgerError, match="width must be above 0; got -1"):
        narrow(graph, -1)
    buffers = [p for row in infer(graph).ops for p in row.parameters if p.role == BUFFER]
    assert not buffers


def twice(kind: str) -> Graph:
    """Two like modules, in each of which stands one that is not like the other's."""
    net = Network("n", (8, 8, 4))
    for i in (1, 2):
        with net.scope(f"layer{i}"):
            with net.scope("0"):
                net.chain(Conv(4, 3, padding=1), BatchNorm(), Activation("relu"))
                if i == 2 and kind == "more":
                    net.chain(Conv(4, 1), BatchNorm())
            with net.scope("1"):
                net.chain(Conv(4, 3, padding=1), BatchNorm())
    return net.graph()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("target_name", ["torch", "keras"])
def test_modules_of_one_name_that_differ_inside(target_name: str) -> None:
    """They are no one class, and no one function."""
    for graph in (twice("more"), twice("same")):
        assert netledger.verify(graph, [target_name]).balances


def test_what_is_stored_and_never_used() -> None:
    net = Network("n", (8,))
    with net.scope("aux.fc"):
        net(Tensor((4, 8), note="never used"), name="weight")
        net(Tensor((4,), role="buffer", note="never used"), name="mean")
    net(Linear(3), "input", name="fc")
    model = netledger.build(net.graph(), "torch")
    assert sum(p.numel() for p in model.parameters()) == 32 + 27
    for name in ("torch", "jax", "onnx"):
        assert netledger.verify(net.graph(), [name]).balances, name
    with pytest.raises(NetledgerError, match=r"aux\.fc\.weight \(Tensor\): Keras cannot express"):
        write(net.graph(), "keras")
