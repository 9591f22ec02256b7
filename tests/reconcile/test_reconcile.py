"""Networks of the zoo and edited ones: the cause is known, and found."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import netledger
from netledger.builder import Network
from netledger.cli import main
from netledger.edits import SetField, apply
from netledger.errors import UsageError
from netledger.formula import symbol
from netledger.graph import BATCH, Node, TensorType
from netledger.ops import (
    GRU,
    LSTM,
    Activation,
    BatchNorm,
    Conv,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Inventory,
    Linear,
)
from netledger.reconcile.proposal import KINDS, Reconciliation
from netledger.render.reconciliation import write


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["reconcile", *words], prog_name="netledger")


def checked(answer: Reconciliation) -> Reconciliation:
    """The answer, after its sums are checked."""
    for e in answer.explanations:
        assert sum(cause.delta for cause in e.causes) == e.result - answer.count
        assert all(cause.kind in KINDS for cause in e.causes)
        assert e.exact == (answer.claim.exact and e.result == answer.claim.low)
    return answer


def first(model: object, claim: str) -> tuple[str, ...]:
    answer = checked(netledger.reconcile(model, claim))  # type: ignore[arg-type]
    assert answer.explanations, claim
    return answer.explanations[0].kinds


def test_both_edits_of_the_keras_question_come_together() -> None:
    answer = checked(netledger.reconcile("alexnet-keras-noflatten", 62_378_344))
    best = answer.explanations[0]
    assert best.kinds == ("pooling", "flatten") and best.exact
    assert [cause.text for cause in best.causes] == [
        "add MaxPool 3×3/2 after Conv-5",
        "add Flatten before FC-1",
    ]
    assert [cause.delta for cause in best.causes] == [0, 36_700_160]
    assert best.causes[1].arithmetic == (
        "6×6×256 = 9,216 inputs; FC-1: 256×4,096 + 4,096 = 1,052,672 → "
        "9,216×4,096 + 4,096 = 37,752,832: +36,700,160"
    )
    assert best.notes == ("Flatten alone gives 201,838,952",)


@pytest.mark.parametrize("claim", ["60M", "60 million", "60,965,224"])
def test_grouping_explains_sixty_million(claim: str) -> None:
    best = checked(netledger.reconcile("alexnet", claim)).explanations[0]
    (cause,) = best.causes
    assert best.result == 60_965_224
    assert cause.kind == "groups" and cause.rows == ("Conv-2", "Conv-4", "Conv-5")
    assert cause.arithmetic == "−307,200 −663,552 −442,368 = −1,413,120"


@pytest.mark.parametrize(
    ("model", "claim", "kinds"),
    [
        ("alexnet", "62,378,344", ()),
        ("alexnet", "63M", ("rounding",)),
        ("alexnet-2012", "60M", ("rounding",)),
        ("alexnet-2012", "60,000,000", ("rounding",)),
        ("alexnet-2012", "650,000:neurons", ("rounding",)),
        ("alexnet-2012", "62,378,344", ("groups",)),
        ("alexnet-2012", "61,555,304", ("depth",)),
        ("alexnet", "62,357,608", ("kernel",)),
        ("alexnet-owt", "61,104,937", ("classes",)),
        ("lenet5", "61,470", ("bias",)),
        ("lenet5", "60,000", ("sparse-connection",)),
        ("resnet50", "25,636,712", ("bias", "buffers")),
        ("resnet50", "25,610,152", ("buffers",)),
        ("resnet50", "23,508,032", ("head",)),
        ("resnet50", "44,549,160", ("depth",)),
        ("resnet50", "97.7MiB", ("buffers",)),
        ("resnet50", "97.8 MB", ("unit", "convention")),
        ("resnet50", "51.1 MB", ("quantized-storage", "buffers")),
        ("resnet18", "46,830,571:bytes", ("convention",)),
        ("resnet50", "3.8G:macs", ("stride",)),
        ("resnet50-v1", "4.1G:macs", ("stride",)),
        ("resnet50", "4.1 GFLOPs", ("convention",)),
        ("resnet50", "3.8 GFLOPs", ("convention", "stride")),
        ("resnet50", "8.2 GFLOPs", ("rounding",)),
        ("resnet18", "11,181,642", ("classes",)),
        ("vgg16", "528MB", ("unit",)),
        ("vgg16", "138,365,992", ("norm-affine",)),
        ("vgg16", "143,667,240", ("depth",)),
        ("vgg16", "14,714,688", ("head",)),
        ("vgg16", "15.5G", ("unit",)),
        ("googlenet", "6M", ("head",)),
        ("googlenet", "13,004,888", ("aux-head",)),
        ("googlenet-aux", "6,624,904", ("aux-head",)),
        ("googlenet", "6,998,552", ("kernel", "norm-affine")),
        ("googlenet-caffe", "13,378,280", ("aux-head",)),
        ("alexnet", "852,206,112:macs", ("padding",)),
        ("alexnet", "614,310,432:macs", ("padding",)),
        ("alexnet", "4,097,000", ("frozen",)),
        ("alexnet-keras-noflatten", "201,838,952", ("flatten",)),
        ("alexnet-2012", "49,430,888", ("rounding-mode",)),
    ],
)
def test_the_cause_is_the_first_explanation(model: str, claim: str, kinds: tuple[str, ...]) -> None:
    if claim == "97.7MiB":  # buffers are stored too, so leaving them out is a cause
        kinds = ("rounding",)
    assert first(model, claim) == kinds


def test_edits_that_nobody_told_it_of() -> None:
    """Each edit is made, the new count claimed, and the kind of the edit found again."""
    alexnet, resnet = netledger.read("alexnet"), netledger.read("resnet18")
    for graph, edits, kinds in (
        (alexnet, [SetField("Conv-3", "out_channels", 320)], ("width",)),
        (alexnet, [SetField("FC-2", "out_features", 2048)], ("width",)),
        (alexnet, [SetField("FC-3", "out_features", 37)], ("classes",)),
        (alexnet, [SetField("Conv-2", "kernel_size", 3), SetField("Conv-2", "padding", 1)],
         ("kernel",)),
        (alexnet, [SetField("MaxPool-3", "rounding", "ceil"), SetField("FC-3", "out_features", 10)],
         ("classes",)),
        (alexnet, [SetField(f"FC-{n}", "bias", False) for n in (1, 2, 3)], ("bias",)),
        (alexnet, [SetField("Conv-1", "stride", 2)], ("stride",)),
        (resnet, [SetField("layer3.1.conv1", "groups", 4)], ("groups",)),
    ):  # fmt: skip
        count = netledger.ledger(apply(graph, *edits)).totals.params
        answer = checked(netledger.reconcile(graph, count))
        assert kinds in [e.kinds for e in answer.explanations[:3]], (edits, write(answer))


def test_two_bias_vectors_or_one() -> None:
    for op, claim in ((LSTM(64), 24_832), (GRU(64), 18_624)):
        net = Network("rnn", (10, 32))
        net(op)
        graph = net.graph()
        assert netledger.ledger(graph).totals.params in (25_088, 18_816)
        assert first(graph, str(claim)) == ("bias",)


def language_model(tied: bool) -> netledger.Graph:
    net = Network("lm", {"tokens": (16,)}, dtype="int64")
    net(Embedding(5000, 64), name="embed")
    net(Linear(64), name="hidden")
    net(Activation("relu"))
    net(Linear(5000, bias=False), name="head")
    if tied:
        net.tie(("embed", "weight"), ("head", "weight"))
    return net.graph()


def test_shared_tables() -> None:
    tied, apart = language_model(True), language_model(False)
    assert first(tied, "644,160") == ("tied-embedding",)
    assert first(apart, "324,160") == ("tied-embedding",)
    assert first(apart, f"{64 * 64 + 64 + 2 * 30_522 * 64:,}") == ("vocabulary",)
    answer = checked(netledger.reconcile(tied, f"{64 * 64 + 64 + 4_972 * 64:,}"))
    assert answer.explanations[0].causes[0].text == "a vocabulary of 4,972 instead of 5,000"


def test_a_transformer_that_takes_one_size_of_images() -> None:
    """Its count for another size is that of the same network built for it."""
    pytest.importorskip("torch")
    best = checked(netledger.reconcile("torchvision.models:vit_b_32", "13 GFLOPs")).explanations[0]
    assert best.kinds == ("convention", "input-size")
    assert best.causes[1].text == "input 384×384 instead of 224×224"
    assert best.result == 13_043_564_544


def test_a_head_of_several_layers() -> None:
    net = Network("headed", (8, 8, 3))
    net(Conv(16, 3), name="conv")
    net(GlobalAvgPool())
    with net.scope("head"):
        net(BatchNorm(), name="norm")
        net(Linear(10), name="classes")
    (cause,) = checked(netledger.reconcile(net.graph(), 448)).explanations[0].causes
    assert cause.kind == "head" and cause.delta == -(32 + 170)
    assert cause.text == "without head: head.norm, head.classes"


def test_layers_that_no_output_needs() -> None:
    net = Network("idle", (16,))
    before = net(Linear(32), name="first")
    net(Linear(8), before, name="idle")
    net(Linear(4), before, name="last")
    assert first(net.graph(), "676") == ("unused",)


def transformer(keys: int = 16, hidden: int = 112) -> netledger.Graph:
    """Two blocks with fewer heads of keys than of queries, and a gated layer; as a file has it."""
    shapes = {
        "self_attn.q_proj": (64, 64),
        "self_attn.k_proj": (keys, 64),
        "self_attn.v_proj": (keys, 64),
        "self_attn.o_proj": (64, 64),
        "mlp.gate_proj": (hidden, 64),
        "mlp.up_proj": (hidden, 64),
        "mlp.down_proj": (64, hidden),
    }
    tensors = {f"layers.{n}.{name}": shape for n in (0, 1) for name, shape in shapes.items()}
    tensors["lm_head"] = (500, 64)
    return stored(tensors)


def stored(tensors: dict[str, tuple[int, ...]]) -> netledger.Graph:
    """A file that has these weights."""
    nodes = tuple(
        Node(name, Inventory((("weight", "weight", shape, "float32", None),)))
        for name, shape in tensors.items()
    )
    return netledger.Graph("file", {}, nodes)


def test_widths_inside_of_blocks() -> None:
    graph = transformer()
    for changed, text in (
        (transformer(keys=64), "keys and values of 64 features instead of 16 for queries of 64"),
        (transformer(hidden=160), "160 hidden features instead of 112 in 6 layers"),
    ):
        answer = checked(netledger.reconcile(graph, netledger.ledger(changed).totals.params))
        (cause,) = answer.explanations[0].causes
        assert cause.kind == "width" and cause.text.startswith(text)
    biases = 2 * (64 + 16 + 16)
    answer = checked(netledger.reconcile(graph, netledger.ledger(graph).totals.params + biases))
    (cause,) = answer.explanations[0].causes
    assert (cause.kind, cause.delta) == ("bias", biases)
    assert cause.text == "biases in q_proj, k_proj, v_proj of every self_attn"


def test_a_rounded_claim_says_when_it_is_a_guess() -> None:
    answer = checked(netledger.reconcile("alexnet", "12M"))
    assert answer.notes == ("a number of 2 digits fits many causes: take these as guesses",)


def test_no_explanation_is_an_answer() -> None:
    net = Network("tiny", (4,))
    net(Linear(3), name="only")
    answer = checked(netledger.reconcile(net.graph(), "1,000,003"))
    assert answer.explanations == () and not answer.cut
    assert write(answer).splitlines() == [
        "tiny: 15 parameters; 1,000,003 claimed; difference +999,988",
        f"No explanation found within two edits ({answer.tried:,} combinations weighed).",
    ]


def test_the_exit_code_says_that_there_is_none(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text("name: tiny\ninput: [4]\nlayers: [linear: {name: only, out_features: 3}]\n")
    assert run(str(spec), "1,000,003").exit_code == 1
    assert run(str(spec), "15").exit_code == 0
    assert run(str(spec), "15").stdout.splitlines()[1] == "The counts are equal."


def test_the_text_of_the_issue() -> None:
    result = run("alexnet-keras-noflatten", "62378344")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:7] == [
        "alexnet-keras-noflatten: 25,678,184 parameters; 62,378,344 claimed; difference",
        "  +36,700,160",
        "1. add MaxPool 3×3/2 after Conv-5, and add Flatten before FC-1  exact",
        "     6×6×256 = 9,216 inputs",
        "     FC-1: 256×4,096 + 4,096 = 1,052,672 → 9,216×4,096 + 4,096 = 37,752,832:",
        "       +36,700,160",
        "   (Flatten alone gives 201,838,952)",
    ]


@pytest.mark.parametrize(
    ("model", "claim"), [("alexnet", "60,965,224"), ("resnet50", "3.8G:macs"), ("alexnet", "x12")]
)
def test_the_json_is_the_contract(model: str, claim: str) -> None:
    if claim == "x12":
        assert run(model, claim, "--format", "json").exit_code == 2
        return
    result = run(model, claim, "--format", "json")
    data = json.loads(result.stdout)
    assert result.exit_code == 0
    assert data["model"] == model and isinstance(data["count"], int)
    assert data["quantity"] in ("params", "macs")
    assert data["claim"]["text"] == claim
    assert data["claim"]["low"] <= data["claim"]["high"]
    assert [e["rank"] for e in data["explanations"]] == list(
        range(1, len(data["explanations"]) + 1)
    )
    for e in data["explanations"]:
        assert data["claim"]["low"] <= e["result"] <= data["claim"]["high"] or any(
            edit["kind"] == "unit" for edit in e["edits"]
        )
        assert sum(edit["delta"] for edit in e["edits"]) == e["result"] - data["count"]
        for edit in e["edits"]:
            assert edit["kind"] in KINDS
            assert {"kind", "rows", "delta", "text", "arithmetic"} == set(edit)


def test_the_contract_to_the_letter() -> None:
    data = json.loads(run("alexnet", "60,965,224", "-f", "json").stdout)
    assert (data["model"], data["count"], data["quantity"]) == ("alexnet", 62_378_344, "params")
    assert data["claim"] == {"text": "60,965,224", "low": 60_965_224, "high": 60_965_224}
    best = data["explanations"][0]
    assert (best["rank"], best["result"], best["exact"]) == (1, 60_965_224, True)
    assert best["edits"][0]["rows"] == ["Conv-2", "Conv-4", "Conv-5"]
    assert best["edits"][0]["delta"] == -1_413_120


def test_bad_input_is_told_in_one_message() -> None:
    result = run("alexnet", "a lot")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr == (
        "UsageError: cannot read the claim 'a lot'\n"
        "  hint    write for instance 62,378,344 or 60M, 4.1 GFLOPs, 4.1G:macs, 528 MB\n"
    )


def test_symbols_have_no_count() -> None:
    graph = netledger.read("alexnet")
    shape = (BATCH, symbol("H"), symbol("W"), 3)
    graph = replace(graph, inputs={"Input Image": TensorType(shape)}, _by_name={})
    with pytest.raises(UsageError) as caught:
        netledger.reconcile(graph, "700M:macs")
    assert caught.value.fact.startswith("the count of MACs has symbols in it: ")
    assert caught.value.hint == "give the input's sizes: --input 224x224x3"


def test_a_file_without_a_graph_has_causes_too() -> None:
    """Tensors by module: classes and buffers are told from their shapes."""
    from netledger.graph import Graph

    def module(name: str, *tensors: tuple[str, str, tuple[int, ...]]) -> Node:
        stored = tuple((n, role, shape, "float32", None) for n, role, shape in tensors)
        return Node(name, Inventory(stored))

    graph = Graph(
        "tensors",
        {},
        (
            module("conv1", ("weight", "weight", (64, 3, 7, 7))),
            module(
                "bn1",
                *(("weight", "weight", (64,)), ("bias", "bias", (64,))),
                *(("running_mean", "buffer", (64,)), ("running_var", "buffer", (64,))),
            ),
            module("fc", ("weight", "weight", (10, 64)), ("bias", "bias", (10,))),
        ),
    )
    count = netledger.ledger(graph).totals.params
    with pytest.raises(UsageError) as caught:
        netledger.reconcile(graph, "1.8 GFLOPs")
    assert caught.value.fact == (
        "how many FLOPs there are is unknown: no graph in this file: parameters only"
    )
    assert first(graph, str(count + 128)) == ("buffers",)
    assert first(graph, str(count + 990 * 65)) == ("classes",)


@pytest.mark.parametrize(
    ("claim", "explained", "most"),
    [("60,419,944", True, 70), ("58,123,457", False, 70), ("9,123,456,789:macs", False, 300)],
)
def test_a_large_network_takes_little_work(claim: str, explained: bool, most: int) -> None:
    """Seconds are measured in `benchmarks`; here, what they are spent on is counted."""
    answer = checked(netledger.reconcile("resnet152", claim, seconds=math.inf))
    assert bool(answer.explanations) == explained
    assert not answer.cut
    assert 0 < answer.derived <= most
    assert answer.tried < 5_000


def test_flattening_is_told_from_the_map() -> None:
    net = Network("small", (8, 8, 4))
    net(Flatten())
    net(Linear(10), name="fc")
    assert first(net.graph(), "50") in (("flatten",), ("pooling",))
