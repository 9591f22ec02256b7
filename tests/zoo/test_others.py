"""Stages, module names and stories of the networks that are not AlexNets."""

from __future__ import annotations

import pytest

from netledger import zoo
from netledger.infer import infer
from netledger.ledger import Ledger


def book(name: str) -> Ledger:
    return infer(zoo.load(name))


def sizes(ledger: Ledger, *names: str) -> list[tuple[int, ...]]:
    return [ledger.row(name).outputs[0].shape[1:] for name in names]


def test_lenet5_layer_by_layer() -> None:
    """LeCun and others (1998), section II.B; C3 dense, S2 and S4 without coefficients."""
    rows = {row.name: (row.outputs[0].shape[1:], row.params) for row in book("lenet5").rows}
    assert rows == {
        "Input": ((32, 32, 1), 0),
        "C1": ((28, 28, 6), 156),
        "S2": ((14, 14, 6), 0),
        "C3": ((10, 10, 16), 2_416),
        "S4": ((5, 5, 16), 0),
        "C5": ((1, 1, 120), 48_120),
        "F6": ((84,), 10_164),
        "Output": ((10,), 850),
    }


def test_lenet5_against_the_papers_60000() -> None:
    pooling, dense_c3, output = 12 + 32, 2_416 - 1_516, 850
    assert book("lenet5").totals.params == 60_000 - pooling + dense_c3 + output


def test_vgg16_stages() -> None:
    ledger = book("vgg16")
    pools = sizes(ledger, *(f"pool{stage}" for stage in range(1, 6)))
    expected = [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    assert pools == expected
    assert ledger.row("fc6").params == 102_764_544
    weighted = [row for row in ledger.rows if row.parameters]
    assert len(weighted) == 16
    assert ledger.row("pool5").receptive_field == (212, 212)


@pytest.mark.parametrize("name", ["googlenet", "googlenet-caffe"])
def test_googlenet_stages(name: str) -> None:
    """The paper's table 1, column "output size"."""
    ledger = book(name)
    found = sizes(
        ledger,
        *("conv1.conv", "maxpool1", "conv3.conv", "maxpool2", "inception3a.concat"),
        *("inception3b.concat", "maxpool3", "inception4a.concat", "inception4d.concat"),
        *("inception4e.concat", "maxpool4", "inception5a.concat", "inception5b.concat", "fc"),
    )
    assert found == [
        *((112, 112, 64), (56, 56, 64), (56, 56, 192), (28, 28, 192), (28, 28, 256)),
        *((28, 28, 480), (14, 14, 480), (14, 14, 512), (14, 14, 528)),
        *((14, 14, 832), (7, 7, 832), (7, 7, 832), (7, 7, 1024), (1000,)),
    ]


def test_googlenet_of_caffe_against_torchvisions() -> None:
    """− 380,928 (5×5 built as 3×3) − 7,280 (biases) + 14,560 (batch normalisation)."""
    caffe, torch = book("googlenet-caffe"), book("googlenet")

    def of(ledger: Ledger, leaf: str) -> int:
        return sum(row.params for row in ledger.ops if row.name.endswith(leaf))

    biases = sum(row.biases for row in caffe.ops if row.name.endswith(".conv"))
    assert biases == 7_280
    assert of(torch, ".bn") == 14_560
    assert of(caffe, ".conv") - biases - of(torch, ".conv") == 380_928
    assert caffe.totals.params - 380_928 - 7_280 + 14_560 == torch.totals.params


def test_auxiliary_heads_leave_the_main_branch_alone() -> None:
    with_heads, without = book("googlenet-aux"), book("googlenet")
    assert with_heads.graph.outputs == ("fc", "aux1.fc2", "aux2.fc2")
    main = {row.name: row for row in with_heads.ops if not row.name.startswith("aux")}
    for row in without.ops:
        assert main[row.name].outputs == row.outputs
        assert main[row.name].params == row.params
        assert main[row.name].inputs == row.inputs
    folded = {row.name: row.params for row in with_heads.view(depth=1)}
    assert (folded["aux1"], folded["aux2"]) == (3_188_968, 3_191_016)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_resnet_stages(depth: int) -> None:
    """Table 1 of the paper."""
    ledger = book(f"resnet{depth}")
    wide = 1 if depth < 50 else 4
    folded = {row.name: row for row in ledger.view(depth=1)}
    layers = [folded[f"layer{n}"].outputs[0].shape[1:] for n in (1, 2, 3, 4)]
    assert layers == [
        (size, size, wide * n) for size, n in ((56, 64), (28, 128), (14, 256), (7, 512))
    ]
    assert sizes(ledger, "conv1", "maxpool") == [(112, 112, 64), (56, 56, 64)]
    weighted = [row for row in ledger.ops if row.kind in ("Conv", "Linear")]
    assert len([row for row in weighted if "downsample" not in row.name]) == depth


def test_resnet50_modules_are_named_as_in_torchvision() -> None:
    names = [row.name for row in book("resnet50").ops if row.parameters]
    block = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "downsample.0", "downsample.1"]
    assert names[:2] == ["conv1", "bn1"]
    assert names[2:10] == [f"layer1.0.{leaf}" for leaf in block]
    assert names[10:16] == [f"layer1.1.{leaf}" for leaf in block[:6]]
    assert names[-1] == "fc"


def test_where_the_stride_stands() -> None:
    """In the paper on the first 1×1, in torchvision on the 3×3; nothing else differs."""
    paper, torch = zoo.load("resnet50-v1"), zoo.load("resnet50")
    differing = [
        a.name
        for a, b in zip(paper.nodes, torch.nodes, strict=True)
        if (a.name, a.op, a.inputs) != (b.name, b.op, b.inputs)
    ]
    assert differing == [f"layer{n}.0.conv{m}" for n in (2, 3, 4) for m in (1, 2)]
