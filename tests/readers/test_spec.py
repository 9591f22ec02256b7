"""The spec: what its keys mean."""

from __future__ import annotations

from pathlib import Path

import pytest

import netledger
from netledger import Ledger
from netledger.formula import symbol
from netledger.graph import BATCH, Graph
from netledger.infer import infer
from netledger.ops import by_key
from netledger.readers.common import Source
from netledger.readers.spec import accepts, parse
from netledger.schema import LAYER_KEYS

EXAMPLES = Path(__file__).parents[2] / "examples"


def ledger(layers: str, head: str = "input: [8, 8, 4]") -> Ledger:
    return infer(parse(f"{head}\nlayers:\n{layers}", "net.yaml"))


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def test_alexnet_of_the_contract() -> None:
    text = """
name: AlexNet, one tower
input: [227, 227, 3]            # height, width, channels, without the batch
layout: channels_last           # the default; channels_first is the other
layers:                         # each feeds the next unless it names its inputs
  - conv: {name: Conv-1, out_channels: 96, kernel_size: 11, stride: 4}
  - relu                        # an operation without arguments is just its name
  - max_pool: {name: MaxPool-1, kernel_size: 3, stride: 2}
  - conv: {name: Conv-2, out_channels: 256, kernel_size: 5, padding: 2}
  - relu:
  - max_pool: {name: MaxPool-2, kernel_size: 3, stride: 2}
  - conv: {name: Conv-3, out_channels: 384, kernel_size: 3, padding: 1}
  - relu: {}
  - conv: {name: Conv-4, out_channels: 384, kernel_size: 3, padding: 1}
  - relu: null
  - conv: {name: Conv-5, out_channels: 256, kernel_size: 3, padding: 1}
  - relu
  - max_pool: {name: MaxPool-3, kernel_size: 3, stride: 2}
  - flatten
  - linear: {name: FC-1, out_features: 4096}
  - relu
  - linear: {name: FC-2, out_features: 4096}
  - relu
  - linear: {name: FC-3, out_features: 1000}
  - softmax: {name: Output}
"""
    found, expected = infer(parse(text)).to_dict(), netledger.ledger("alexnet").to_dict()
    assert found["totals"] == expected["totals"]
    assert found["totals"]["params"] == 62_378_344
    assert [r["name"] for r in found["rows"][1:]] == [r["name"] for r in expected["rows"][1:]]
    assert parse(text).name == "AlexNet, one tower"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("small-cnn", 204_490),
        ("residual-block", 230_144),
        ("transformer-block", 19_537_408),
        ("lstm", 2_184_577),
    ],
)
def test_examples(name: str, params: int) -> None:
    found = netledger.ledger(EXAMPLES / f"{name}.yaml")
    assert found.totals.params == params
    assert found.totals.complete
    assert not found.findings
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} >= {name}


def test_a_node_knows_its_line() -> None:
    graph = parse("input: [8]\nlayers:\n  - relu\n\n  - linear:\n      out_features: 3\n", "n.yaml")
    assert [node.source for node in graph.nodes] == ["n.yaml:3", "n.yaml:5"]
    assert (graph.source, graph.reader) == ("n.yaml", "spec")


def test_layers_without_a_name() -> None:
    text = "input: [8]\nlayers: [relu, gelu, relu, linear: {out_features: 3, scope: a.b}, relu]"
    assert names(parse(text)) == ["relu", "gelu", "relu_2", "a.b.linear", "relu_3"]


def test_the_name_is_the_files_unless_given() -> None:
    assert parse("{input: [8], layers: [relu]}", "nets/mine.yaml").name == "mine"


def test_branches() -> None:
    found = ledger(
        """
  - conv: {name: a, out_channels: 4, kernel_size: 1}
  - conv: {name: b, out_channels: 2, kernel_size: 1, inputs: input}
  - concat: {inputs: [a, b, input]}
"""
    )
    assert found.row("concat").outputs[0].shape == (BATCH, 8, 8, 10)


def test_outputs_of_one_layer() -> None:
    found = ledger("  - split: {sizes: [1, 3]}\n  - relu: {inputs: 'split:1'}\n")
    assert found.row("split").made == ("split", "split:1")
    assert found.row("relu").outputs[0].shape == (BATCH, 8, 8, 3)
    one = ledger("  - split: {sizes: [1, 3], outputs: 1}\n  - relu\n")
    assert one.row("split").made == ("split",)
    named = ledger("  - split: {sizes: [1, 3], outputs: [few, many]}\n  - relu: {inputs: many}\n")
    assert named.row("relu").outputs[0].shape == (BATCH, 8, 8, 3)
    asked = ledger("  - lstm: {hidden_size: 3}\n  - relu: {inputs: 'lstm:2'}", "input: [5, 2]")
    assert asked.row("lstm").made == ("lstm", "lstm:1", "lstm:2")


def test_the_networks_outputs() -> None:
    assert parse("{input: [8], layers: [relu, tanh]}").outputs == ("tanh",)
    assert parse("{input: [8], outputs: relu, layers: [relu, tanh]}").outputs == ("relu",)
    assert parse("{input: [8], outputs: [tanh, input], layers: [relu, tanh]}").outputs == (
        "tanh",
        "input",
    )


def test_layout() -> None:
    text = """
input: [3, 8, 8]
layout: channels_first
layers:
  - conv: {out_channels: 4, kernel_size: 3}
  - batch_norm: {channels_last: true}
"""
    graph = parse(text)
    assert [node.op.channels_last for node in graph.nodes] == [False, True]  # type: ignore[attr-defined]
    assert infer(graph).row("conv").outputs[0].shape == (BATCH, 4, 6, 6)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[227, 227, 3]", "float32[N, 227, 227, 3]"),
        ("[]", "float32[N]"),
        ("[H, W, 3]", "float32[N, H, W, 3]"),
        ("[2*H, (W - 1)//2, 3]", "float32[N, 2 × H, ⌊(W − 1)/2⌋, 3]"),
        ("int64[128]", "int64[N, 128]"),
        ("bool[T, 2*3]", "bool[N, T, 6]"),
        ("{shape: [8], dtype: float16}", "float16[N, 8]"),
        ("{shape: [8], dtype: string}", "string[N, 8]"),
        ("{shape: [1, 8], batch: false}", "float32[1, 8]"),
        ("{shape: [T, N, 0], batch: false}", "float32[T, N, 0]"),
        ("{shape: 'int8[T, N]', batch: false}", "int8[T, N]"),
    ],
)
def test_inputs(written: str, expected: str) -> None:
    for head in (f"input: {written}", f"inputs:\n  input: {written}"):
        graph = parse(f"{head}\nlayers: []\n")
        assert str(graph.inputs["input"]) == expected


def test_several_inputs() -> None:
    graph = parse("inputs: {ids: 'int64[T]', image: [8, 8, 3]}\nlayers: [relu]")
    assert list(graph.inputs) == ["ids", "image"]
    assert graph.nodes[0].inputs == ("ids",)


def test_frozen() -> None:
    found = ledger("  - linear: {out_features: 3, trainable: false}", "input: [4]")
    assert (found.totals.frozen, found.totals.trainable) == (15, 0)


@pytest.mark.parametrize("tie", ["a", "{weight: a/weight, bias: a/bias}", "{weight: [a, weight]}"])
def test_ties(tie: str) -> None:
    layers = f"""
  - linear: {{name: a, out_features: 4}}
  - linear: {{name: b, out_features: 4, tie: {tie}}}
"""
    found = ledger(layers, "input: [4]")
    both = "bias" in tie or tie == "a"
    assert found.totals.params == (20 if both else 24)
    assert found.row("b").parameters[0].tied_to == "a/weight"


def test_ties_follow_one_another() -> None:
    layers = "".join(
        f"  - linear: {{name: {name}, out_features: 4, {tie}}}\n"
        for name, tie in (("a", "bias: true"), ("c", "tie: b"), ("b", "tie: a"))
    )
    found = ledger(layers, "input: [4]")
    assert found.totals.params == 20
    assert found.row("c").parameters[1].tied_to == "a/bias"


def test_a_tie_of_a_different_kind_of_layer_shares_what_has_one_name() -> None:
    layers = """
  - embedding: {name: embed, num_embeddings: 50, embedding_dim: 8}
  - linear: {out_features: 50, tie: embed}
"""
    assert ledger(layers, "input: int64[6]").totals.params == 50 * 8 + 50


def test_recorded_is_the_second_entry_of_the_books() -> None:
    right = ledger(
        "  - linear: {out_features: 3, recorded: {outputs: ['float32[N, 3]'], parameters: "
        "[{name: w, role: weight, shape: [3, 4]}, {name: b, role: bias, shape: [3]}]}}",
        "input: [4]",
    )
    assert not right.findings
    wrong = ledger(
        "  - linear: {out_features: 3, recorded: {outputs: ['float32[N, 5]']}}", "input: [4]"
    )
    assert [f.code for f in wrong.findings] == ["NL001"]


def test_what_is_opaque_can_be_counted_where_it_is_recorded() -> None:
    layers = """
  - opaque:
      what: Mystery
      shapes: [[N, 7]]
      recorded:
        macs: 1234
        parameters:
          - {name: w, role: weight, shape: [7, 4], trainable: false, dtype: int4, bytes: 14}
"""
    found = ledger(layers, "input: [4]").totals
    assert (found.params, found.frozen, found.macs, found.bytes) == (28, 28, 1234, 14)
    assert found.complete


def test_formulas_in_hyperparameters() -> None:
    found = ledger("  - slice: {axis: 1, stop: H//2}", "input: [H, 4]")
    assert found.row("slice").outputs[0].shape[1] == symbol("H") // 2
    wide = ledger("  - linear: {out_features: 4*k}", "input: [3]\nsymbols: [k]")
    assert wide.totals.params == 16 * symbol("k")


def test_values_as_yaml_1_2_has_them() -> None:
    found = ledger(
        "  - linear: {name: no, out_features: 0b11, bias: true}".replace("0b11", "3"), "input: [4]"
    )
    assert found.ops[-1].name == "no"
    assert parse("{name: yes, input: [1], layers: [relu: {name: 12:30}]}").name == "yes"
    rate = parse("{input: [1], layers: [dropout: {rate: 1e-1}]}").nodes[0].op
    assert rate.rate == 0.1  # type: ignore[attr-defined]


def test_layer_keys_are_no_hyperparameters() -> None:
    for word, (op_class, _) in by_key().items():
        assert not set(LAYER_KEYS) & set(op_class.rules), word


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.yaml", b"input: [8]\nlayers: [relu]\n", True),
        ("a.yml", b"quite: broken: [", True),
        ("a.YAML", b"", True),
        ("a.yaml", b"PK\x03\x04\0\0", False),
        ("a.txt", b"# a net\ninput: [8]\nlayers:   # all\n  - relu\n", True),
        ("spec", b"layers: [relu]\r\ninput: [8]\r\n", True),
        ("spec", b'"layers":\n  - relu\n', True),
        ("model.json", b'{"class_name": "Sequential", "config": {"layers": []}}', False),
        ("model.json", b'{\n"class_name": "Sequential",\n"layers": [],\n"x": 1}', False),
        ("net.prototxt", b"layers { name: 'conv1' }\nlayers: { name: 'b' }\n", False),
        ("net.cfg", b"[conv1]\ntype=conv\n", False),
        ("notes.txt", b"the layers: many\n", False),
        ("notes.txt", b"  layers:\n", False),
        ("empty", b"", False),
    ],
)
def test_accepts(name: str, data: bytes, expected: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with Source.open(str(tmp_path / name)) as source:
        assert accepts(source) is expected


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    with Source.open(str(tmp_path / "a.yaml")) as source:
        assert not accepts(source)
