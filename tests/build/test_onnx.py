"""Networks as ONNX files: checked by ONNX itself, run by ONNX Runtime, read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import netledger
from netledger import Graph, NetledgerError, ops, zoo
from netledger.builder import Network
from netledger.cli import main
from netledger.diff import diff
from netledger.infer import infer
from netledger.ops.base import Op

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Outputs = Callable[..., list[Any]]
Close = Callable[..., None]


def layer(op: Op, shape: tuple[int, ...], last: bool = True, dtype: str = "float32") -> Graph:
    net = Network("net", shape, channels_last=last, dtype=dtype)
    net(op, name="layer")
    return net.graph()


def of(*made: Op, shape: tuple[int, ...], last: bool = True) -> Graph:
    net = Network("net", shape, channels_last=last)
    net.chain(*made)
    return net.graph()


def read_back(content: bytes, folder: Path) -> Graph:
    path = folder / "net.onnx"
    path.write_bytes(content)
    return netledger.read(path)


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_comes_back(name: str, target: Any, tmp_path: Path) -> None:
    """Without its numbers, so that it takes no time: names, shapes and operators are all there."""
    graph = zoo.load(name)
    file = target("onnx").skeleton(graph)
    onnx.shape_inference.infer_shapes(file, check_type=True, strict_mode=True, data_prop=True)
    back = infer(read_back(file.SerializeToString(), tmp_path))
    ledger = infer(graph)
    assert diff(ledger, back).empty
    assert not back.findings
    assert back.totals.params == ledger.totals.params
    assert back.totals.macs == ledger.totals.macs
    assert {row.name for row in ledger.ops} <= {row.name for row in back.ops}


def test_a_file_is_valid_and_keeps_module_paths(target: Any, tmp_path: Path) -> None:
    graph = zoo.load("resnet18")
    file = target("onnx").make(graph)
    onnx.checker.check_model(file, full_check=True)
    back = read_back(file.SerializeToString(), tmp_path)
    scopes = {node.name: node.scope for node in back.nodes}
    assert scopes["layer1.0.conv1"] == "layer1.0"
    assert file.producer_name == "netledger"
    assert file.opset_import[0].version == 21


def test_initial_numbers_are_those_of_the_paper(target: Any) -> None:
    import numpy as np

    graph = zoo.load("alexnet-2012")
    weights = target("onnx").weights(target("onnx").make(graph), graph)
    assert abs(weights["Conv-3", "weight"].std() - 0.01) < 1e-4
    ones = {name for (name, p), a in weights.items() if p == "bias" and np.all(a == 1)}
    zeros = {name for (name, p), a in weights.items() if p == "bias" and np.all(a == 0)}
    assert ones == {"Conv-2", "Conv-4", "Conv-5", "FC-1", "FC-2"}
    assert zeros == {"Conv-1", "Conv-3", "FC-3"}


def test_initial_numbers_elsewhere_are_those_of_he(target: Any) -> None:
    import numpy as np

    graph = zoo.load("resnet18")
    weights = target("onnx").weights(target("onnx").make(graph), graph)
    kernel = weights["layer1.0.conv1", "weight"]
    assert abs(kernel.std() / (2 / 576) ** 0.5 - 1) < 0.01
    assert np.all(weights["bn1", "weight"] == 1) and np.all(weights["bn1", "running_var"] == 1)
    assert np.all(weights["bn1", "bias"] == 0) and np.all(weights["bn1", "running_mean"] == 0)


ALIKE = {
    "conv": (ops.Conv(8, 3, stride=2, padding=1), (9, 11, 4)),
    "conv in groups": (ops.Conv(8, 3, groups=2, bias=False), (7, 7, 4)),
    "conv dilated": (ops.Conv(6, 3, dilation=2), (9, 9, 3)),
    "conv same, odd one behind": (ops.Conv(6, 4, stride=3, padding="same"), (11, 11, 3)),
    "conv uneven": (ops.Conv(6, 3, padding=((1, 0), (2, 1))), (8, 8, 3)),
    "conv rounded up": (ops.Conv(6, 5, stride=4, rounding="ceil"), (24, 24, 3)),
    "conv of a row": (ops.Conv(6, 3), (12, 3)),
    "conv of a volume": (ops.Conv(6, 3), (5, 6, 7, 3)),
    "depthwise": (ops.DepthwiseConv(3, depth_multiplier=2), (6, 6, 3)),
    "transposed": (ops.ConvTranspose(5, 3, stride=2, padding=1, output_padding=1), (4, 5, 3)),
    "max pool": (ops.MaxPool(3, stride=2, rounding="ceil_clipped"), (8, 8, 3)),
    "average with its padding": (ops.AvgPool(3, stride=1, padding=1), (6, 6, 3)),
    "average rounded up": (ops.AvgPool(3, stride=2, rounding="ceil_clipped"), (8, 8, 3)),
    "even windows": (ops.AdaptiveAvgPool(3), (9, 6, 2)),
    "uneven windows": (ops.AdaptiveAvgPool((4, 3)), (14, 7, 2)),
    "uneven maxima": (ops.AdaptiveMaxPool(4), (14, 14, 2)),
    "global": (ops.GlobalAvgPool(), (5, 4, 3)),
    "global maximum": (ops.GlobalMaxPool(keepdims=True), (5, 4, 3)),
    "dense at positions": (ops.Linear(7), (5, 4)),
    "dense, no bias": (ops.Linear(7, bias=False), (5, 4)),
    "batch norm": (ops.BatchNorm(epsilon=1e-3), (4, 4, 3)),
    "group norm": (ops.GroupNorm(groups=2), (4, 4, 6)),
    "layer norm": (ops.LayerNorm(), (4, 6)),
    "rms norm": (ops.RMSNorm(), (4, 6)),
    "response norm": (ops.LocalResponseNorm(5, alpha=0.5, k=2.0), (3, 3, 9)),
    "prelu": (ops.PReLU(channel_axis=-1), (4, 4, 3)),
    "gelu": (ops.Activation("gelu"), (9,)),
    "silu": (ops.Activation("silu"), (9,)),
    "relu6": (ops.Activation("relu6"), (9,)),
    "hard swish": (ops.Activation("hard_swish"), (9,)),
    "leaky": (ops.Activation("leaky_relu"), (9,)),
    "log softmax": (ops.Softmax(log=True), (9,)),
    "glu": (ops.GLU(), (4, 6)),
    "part": (ops.Slice(1, 1, -1, 2), (8, 3)),
    "mean": (ops.Reduce((1, 2)), (4, 5, 3)),
    "shuffle": (ops.PixelShuffle(2), (3, 3, 8)),
}
"""What PyTorch's builder can express too: it is the oracle."""


@pytest.mark.parametrize("last", [True, False], ids=["channels last", "channels first"])
@pytest.mark.parametrize("kind", ALIKE)
def test_a_layer_computes_what_it_does_in_pytorch(
    kind: str, last: bool, outputs: Outputs, close: Close
) -> None:
    op, shape = ALIKE[kind]
    if last and kind == "prelu":
        pytest.skip("nothing says that it is a map")
    if not last:
        shape = (shape[-1], *shape[:-1])
        if kind in ("prelu", "mean"):
            op = {"prelu": ops.PReLU(channel_axis=1), "mean": ops.Reduce((2, 3))}[kind]
        if "dense" in kind or kind in ("part", "glu"):
            pytest.skip("has no channels")
    graph = layer(op, shape, last)
    close(outputs(graph, "torch", 2), outputs(graph, "onnx", 2))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_have_the_gates_of_pytorch(
    kind: str, both: bool, target: Any, close: Close
) -> None:
    import numpy as np
    import torch

    op = getattr(ops, kind)(5, num_layers=2, bidirectional=both)
    graph = layer(op, (7, 3))
    module = getattr(torch.nn, kind)(3, 5, num_layers=2, bidirectional=both, batch_first=True)
    weights = {("layer", n): p.detach().numpy() for n, p in module.named_parameters()}
    file = target("onnx").make(graph, weights)
    back = target("onnx").weights(file, graph)
    assert all(np.array_equal(back[key], weights[key]) for key in weights)
    x = np.random.default_rng(0).standard_normal((2, 7, 3), np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x))[0].numpy()
    close([wanted], target("onnx").run(file, graph, [x]))


def test_attention_is_that_of_pytorch(target: Any, weights: Any, close: Close) -> None:
    import numpy as np
    import torch

    graph = layer(ops.MultiHeadAttention(2), (5, 8))
    given = weights(graph)
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    names = ("query", "key", "value")
    with torch.no_grad():
        parts = [torch.from_numpy(given["layer", f"{n}_weight"]) for n in names]
        module.in_proj_weight.copy_(torch.cat(parts))
        biases = [torch.from_numpy(given["layer", f"{n}_bias"]) for n in names]
        module.in_proj_bias.copy_(torch.cat(biases))
        module.out_proj.weight.copy_(torch.from_numpy(given["layer", "out_weight"]))
        module.out_proj.bias.copy_(torch.from_numpy(given["layer", "out_bias"]))
        x = np.random.default_rng(0).standard_normal((2, 5, 8), np.float32)
        wanted = module(*[torch.from_numpy(x)] * 3)[0].numpy()
    file = target("onnx").make(graph, given)
    assert file.opset_import[0].version == 23
    close([wanted], target("onnx").run(file, graph, [x]))


def test_shared_weights_are_stored_once(target: Any, weights: Any) -> None:
    import numpy as np

    net = Network("net", (6,))
    net(ops.Linear(6), name="a")
    net(ops.Activation("tanh"))
    net(ops.Linear(6), name="b")
    net.tie(("a", "weight"), ("b", "weight"))
    graph = net.graph()
    given = weights(graph)
    given["b", "weight"] = given["a", "weight"]
    file = target("onnx").make(graph, given)
    assert sorted(t.name for t in file.graph.initializer) == ["a.bias", "a.weight", "b.bias"]
    x = np.ones((1, 6), np.float32)
    wanted = np.tanh(x @ given["a", "weight"].T + given["a", "bias"])
    wanted = wanted @ given["a", "weight"].T + given["b", "bias"]
    assert np.allclose(target("onnx").run(file, graph, [x])[0], wanted, atol=1e-6)
    assert np.array_equal(target("onnx").weights(file, graph)["b", "weight"], given["a", "weight"])


def test_an_uneven_pooling_is_one_row(target: Any, tmp_path: Path) -> None:
    graph = layer(ops.AdaptiveAvgPool(4), (14, 14, 2))
    file = target("onnx").make(graph)
    onnx.checker.check_model(file, full_check=True)
    assert [f.name for f in file.functions] == ["AdaptiveAveragePool_14x14_to_4x4"]
    (row,) = infer(read_back(file.SerializeToString(), tmp_path)).ops[1:]
    assert row.op == ops.AdaptiveAvgPool((4, 4), channels_last=False)


def test_a_function_of_that_name_that_multiplies_is_written_out(
    target: Any, tmp_path: Path
) -> None:
    """The name alone is not believed."""
    file = target("onnx").make(layer(ops.AdaptiveAvgPool(4), (14, 14, 2)))
    (function,) = file.functions
    function.node[-1].output[0] = "before"
    made = onnx.helper.make_node("MatMul", ["before", "before"], [function.output[0]])
    function.node.append(made)
    back = infer(read_back(file.SerializeToString(), tmp_path))
    assert any(row.kind == "MatMul" and row.macs == 4 * 4 * 4 * 2 for row in back.ops)


REFUSED = {
    "sine": (
        ops.Activation("sin"),
        (4,),
        "BuildError: layer (Sin): ONNX cannot express this Sin: "
        "no operator for 'sin' is written\n"
        "  input   input: float32[N, 4]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "local": (
        ops.LocallyConnected(4, 3),
        (5, 5, 2),
        "BuildError: layer (LocallyConnected): ONNX cannot express this LocallyConnected: "
        "it has no kernels that differ from place to place\n"
        "  input   input: float32[N, 2, 5, 5]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "no operator": (
        ops.Repeat((2,)),
        (4,),
        "BuildError: layer (Repeat): ONNX cannot express this Repeat: "
        "no operator of it is known to do this\n"
        "  input   input: float32[N, 4]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "projected": (
        ops.LSTM(8, projection_size=4),
        (5, 3),
        "BuildError: layer (LSTM): ONNX cannot express this LSTM: "
        "an LSTM whose output is projected\n"
        "  input   input: float32[N, 5, 3]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "no statistics": (
        ops.BatchNorm(running_stats=False),
        (5, 5, 2),
        "BuildError: layer (BatchNorm): ONNX cannot express this BatchNorm: "
        "it keeps no running statistics, and outside of training ONNX needs them\n"
        "  input   input: float32[N, 2, 5, 5]\n"
        "  hint    build another target, or change the layer; nothing was built",
    ),
    "opaque": (
        ops.Opaque("Mystery", ((1, 4),)),
        (4,),
        "BuildError: layer (Mystery): cannot be built in ONNX: no rule describes it\n"
        "  hint    only a network of which every layer is fully known can be built",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_onnx_cannot_express(kind: str, target: Any) -> None:
    op, shape, message = REFUSED[kind]
    with pytest.raises(NetledgerError) as caught:
        target("onnx").make(layer(op, shape))
    assert str(caught.value) == message


def test_a_norm_of_the_channels_of_a_map(outputs: Outputs, close: Close) -> None:
    """Channels are second in ONNX, where LayerNormalization wants them last."""
    net = Network("net", (6, 6, 3))
    net.chain(ops.Conv(4, 3), ops.LayerNorm(epsilon=1e-6), ops.Conv(5, 3))
    close(outputs(net.graph(), "jax", 2), outputs(net.graph(), "onnx", 2))


def test_a_file_has_at_most_two_gigabytes(target: Any) -> None:
    with pytest.raises(NetledgerError) as caught:
        target("onnx").make(layer(ops.Linear(1 << 16), (1 << 14,)))
    assert str(caught.value) == (
        "BuildError: its weights take 4,295,229,440 bytes; an ONNX file holds at most "
        "2,147,483,647\n"
        "  hint    build it for torch, keras or jax"
    )


def test_weights_of_another_graph_are_refused(target: Any, weights: Any) -> None:
    graph, other = layer(ops.Linear(3), (4,)), layer(ops.Linear(5), (4,))
    file = target("onnx").make(graph)
    with pytest.raises(NetledgerError) as caught:
        target("onnx").load(file, other, weights(other))
    assert str(caught.value) == (
        "BuildError: the model has no tensor 'layer.weight' of the shape (5, 4)\n"
        "  hint    pass the graph that the model was built of"
    )
    with pytest.raises(NetledgerError, match=r"layer: no bias is given"):
        target("onnx").make(graph, {("layer", "weight"): weights(graph)["layer", "weight"]})


@pytest.mark.parametrize(
    "name", ["a\x1b[2Jb", "../../etc/passwd", "a\ud800b", "'; import os", "层", "x" * 5000, "a/b"]
)
def test_names_are_only_names(name: str, target: Any, tmp_path: Path) -> None:
    net = Network(name, {name + "in": (6, 6, 2)}, title=name)
    with net.scope(name):
        net(ops.Conv(3, 3), name=name)
    net.chain(ops.Flatten(), ops.Linear(4))
    graph = net.graph()
    file = target("onnx").make(graph)
    onnx.checker.check_model(file, full_check=True)
    import numpy as np

    (made,) = target("onnx").run(file, graph, [np.ones((2, 6, 6, 2), np.float32)])
    assert made.shape == (2, 4)
    back = infer(read_back(file.SerializeToString(), tmp_path))
    assert diff(infer(graph), back).empty


def test_the_command_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lenet5.onnx"
    done = CliRunner().invoke(main, ["build", "lenet5", "--to", "onnx", "-o", str(path)])
    assert done.exit_code == 0, done.output
    onnx.checker.check_model(str(path), full_check=True)
    assert diff("lenet5", path).empty
