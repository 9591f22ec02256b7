"""Rules about maps: what they find word for word, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netledger
from netledger import Graph
from netledger.builder import Network
from netledger.check import check
from netledger.formula import symbol
from netledger.ops import (
    Activation,
    AdaptiveAvgPool,
    Add,
    Conv,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    MaxPool,
    Multiply,
    Pad,
    Reshape,
    Softmax,
)

Chain = Callable[..., Graph]
Found = Callable[[Graph, str], list[str]]


def test_the_missing_flatten_of_the_keras_listing() -> None:
    (finding,) = check("alexnet-keras-noflatten")
    assert (finding.code, finding.level, finding.row) == ("NL101", "warning", "FC-1")
    assert finding.message == (
        "dense layer on a 13×13 map: it is applied at each of the 169 positions, and so are "
        "2 dense layers after it; a Flatten is probably missing "
        "(1,052,672 parameters now, 177,213,440 with Flatten)"
    )
    assert finding.hint == "put a Flatten (or a global pooling) before FC-1"


def test_the_parameters_with_flatten_are_those_of_the_listing_with_flatten() -> None:
    (finding,) = check("alexnet-keras-noflatten")
    flattened = netledger.ledger("alexnet-keras-flatten").row("FC-1").params
    assert f"{flattened:,} with Flatten" in finding.message


@pytest.mark.parametrize(
    "after",
    [
        (Flatten(), Linear(10)),
        (GlobalAvgPool(),),
        (AdaptiveAvgPool(1), Flatten()),
        (Conv(4, 3, padding=1),),
        (Reshape((-1,)), Linear(10)),
    ],
    ids=["flatten", "global", "adaptive", "conv", "reshape"],
)
def test_a_dense_layer_whose_positions_meet_later_is_meant(
    chain: Chain, found: Found, after: tuple[netledger.ops.Op, ...]
) -> None:
    # ConvNeXt and Swin are built so.
    graph = chain((32, 32, 3), Conv(8, 4, stride=4), LayerNorm(), Linear(32), *after)
    assert found(graph, "NL101") == []


@pytest.mark.parametrize(
    "ops",
    [
        (Conv(8, 3, padding="same"), Linear(21), Softmax()),  # a label for each pixel
        (Linear(32), Activation("relu"), Linear(10)),  # no convolution at all
        (Conv(8, 32), Linear(10)),  # a map of one position
    ],
    ids=["labels", "pixels", "one"],
)
def test_a_dense_layer_for_each_pixel_is_meant(
    chain: Chain, found: Found, ops: tuple[netledger.ops.Op, ...]
) -> None:
    assert found(chain((32, 32, 3), *ops), "NL101") == []


def test_tokens_are_no_map(chain: Chain, found: Found) -> None:
    graph = chain((32, 32, 3), Conv(8, 4, stride=4), Reshape((64, 8)), Linear(10))
    assert found(graph, "NL101") == []


def test_two_hundred_and_twenty_four_does_not_tile(found: Found) -> None:
    """The blog's formula has no floor: at 224 it gives 54.25."""
    graph = netledger.read("alexnet", (224, 224, 3))
    assert found(graph, "NL102")[0] == (
        "Conv-1 warning (224 − 11)/4 + 1 = 54.25 positions, rounded down to 54: the last row and "
        "column of Input Image are never seen"
    )
    assert check(graph, select=["NL102"])[0].hint == (
        "a size of 223 or 227 is tiled exactly; 3 more of padding, or rounding up, gives 55"
    )


@pytest.mark.parametrize("size", [223, 227])
def test_the_sizes_of_the_hint_tile(found: Found, size: int) -> None:
    told = found(netledger.read("alexnet", (size, size, 3)), "NL102")
    assert not any(line.startswith("Conv-1") for line in told)


def test_neither_rounding_up_nor_padding_loses_anything(found: Found) -> None:
    assert found(netledger.read("alexnet-2012"), "NL102") == []
    assert found(netledger.read("alexnet-owt"), "NL102") == []
    assert found(netledger.read("alexnet"), "NL102") == []


@pytest.mark.parametrize(
    ("size", "op", "message"),
    [
        (
            11,
            Conv(4, 5, stride=4),
            "conv warning (11 − 5)/4 + 1 = 2.5 positions, rounded down to 2",
        ),
        (9, MaxPool(2), "max_pool info (9 − 2)/2 + 1 = 4.5 positions, rounded down to 4"),
        (8, Conv(4, 3, stride=3, padding=((1, 0), (1, 0))), "(8 − 3 + 1)/3 + 1 = 3 positions"),
        (9, MaxPool(2, rounding="ceil_clipped"), ""),
        (9, MaxPool(3, stride=2), ""),
        (9, Conv(4, 3, stride=2, padding="same"), ""),
        (8, Conv(4, 3, stride=2, padding=1), ""),  # only padding is lost
        (8, Conv(4, 7, stride=2, padding=3), ""),
    ],
)
def test_what_is_cut_off(chain: Chain, found: Found, size: int, op: Conv, message: str) -> None:
    lines = found(chain((size, size, 3), op), "NL102")
    if message and not message.startswith("("):
        assert lines[0].startswith(message)
    else:
        assert lines == []


def test_a_border_that_a_layer_before_has_put_there_is_no_loss(chain: Chain, found: Found) -> None:
    # Keras pads in a layer of its own.
    conv = Conv(8, 7, stride=2)
    assert found(chain((224, 224, 3), Pad(3), conv), "NL102") == []
    assert found(chain((224, 224, 3), Pad(((0, 0), (3, 3), (3, 3), (0, 0))), conv), "NL102") == []
    assert len(found(chain((224, 224, 3), Pad(((6, 0), (6, 0))), conv), "NL102")) == 1


def test_another_layer_may_see_what_one_cuts_off(found: Found) -> None:
    net = Network("two", (9, 9, 3))
    a = net(MaxPool(2), "input")
    b = net(Conv(3, 3, stride=2, padding=1), "input")
    assert found(net.graph(a, b), "NL102") == []
    both = Network("two", (9, 9, 3))
    both.graph(both(MaxPool(2), "input"), both(Conv(4, 2, stride=2), "input"))
    assert len(found(both.graph(), "NL102")) == 1


def test_lost_positions_are_those_that_no_window_covers(chain: Chain) -> None:
    """Against windows counted one by one."""
    for size in range(1, 12):
        for kernel in range(1, 5):
            for stride in range(1, 5):
                for before in range(3):
                    for after in range(3):
                        if size + before + after < kernel:
                            continue
                        pad = ((before, after),)
                        op = Conv(1, kernel, stride=stride, padding=pad)
                        self_check(chain((size, 1), op), size, kernel, stride, before)


def self_check(graph: Graph, size: int, kernel: int, stride: int, before: int) -> None:
    from netledger.check.windows import windows

    (axis,) = windows(netledger.ledger(graph).row("conv"))
    reads = [range(p * stride - before, p * stride - before + kernel) for p in range(axis.count)]
    covered = {i for read in reads for i in read if 0 <= i < size}
    last = max((read[-1] for read in reads), default=-1)
    assert axis.lost == max(0, size - 1 - last)
    assert axis.blank == sum(not any(0 <= i < size for i in read) for read in reads)
    assert [axis.meets(t) for t in range(kernel)] == [
        sum(0 <= read[t] < size for read in reads) for t in range(kernel)
    ]
    if axis.count > 1 and not axis.lost:
        residues = {i % stride for i in range(size) if i in covered}
        assert residues <= axis.seen


def test_a_strided_1x1_skips_positions_unless_another_layer_sees_them(found: Found) -> None:
    told = found(netledger.read("resnet50-v1"), "NL104")
    assert told[0] == (
        "layer2.0.conv1 warning a window of 1×1 moves 2×2 at a time: of layer1.2.relu_3, only 1 in "
        "4 positions is seen by any layer"
    )
    assert len(told) == 3
    assert found(netledger.read("resnet50"), "NL104") == []  # v1.5: the 3×3 sees them all


@pytest.mark.parametrize(
    ("op", "share"),
    [
        (MaxPool(2, stride=3), "only 4 in 9 positions are seen"),
        (Conv(4, 3, stride=2, dilation=2), "only 1 in 4 positions is seen"),
        (Conv(4, (1, 2), stride=2), "only 1 in 2 positions is seen"),
        (Conv(4, 3, stride=3), ""),
        (Conv(4, 3, stride=3, dilation=2), ""),
    ],
)
def test_positions_between_windows(chain: Chain, found: Found, op: Conv, share: str) -> None:
    lines = found(chain((18, 18, 3), op), "NL104")
    assert [share in line for line in lines] == ([True] if share else [])


def test_a_map_of_one_position_has_use_for_one_tap_only(found: Found) -> None:
    """ResNet-18 on a small image: the last stage has shrunk to 1×1 too early."""
    told = found(netledger.read("resnet18", (32, 32, 3)), "NL103")
    assert told[0] == (
        "layer4.0.conv1 warning the map is only 2×2: 5 of the 9 weights of each 3×3 kernel only "
        "ever meet padding (655,360 of 1,179,648)"
    )
    assert told[1] == (
        "layer4.0.conv2 warning the map is only 1×1: 8 of the 9 weights of each 3×3 kernel only "
        "ever meet padding (2,097,152 of 2,359,296)"
    )
    assert len(told) == 4
    assert found(netledger.read("resnet18"), "NL103") == []


def test_dilation_beyond_the_map_leaves_the_middle_tap(chain: Chain, found: Found) -> None:
    graph = chain((14, 14, 8), Conv(8, 3, padding=18, dilation=18))
    assert "8 of the 9 weights" in found(graph, "NL103")[0]
    assert found(chain((65, 65, 8), Conv(8, 3, padding=18, dilation=18)), "NL103") == []


def test_mostly_padding(chain: Chain, found: Found) -> None:
    assert found(chain((2, 2, 8), Conv(8, 3, padding=1)), "NL108") == [
        "conv info a window of 3×3 on a map of 2×2: 56 % of the multiplications are with padding"
    ]
    assert found(chain((3, 3, 8), Conv(8, 3, padding=1)), "NL108") == []
    assert found(chain((7, 7, 8), Conv(8, 7, padding=3)), "NL108") == []  # ConvNeXt's last stage
    assert found(chain((1, 1, 8), Conv(8, 3, padding=1)), "NL108") == []  # that is NL103


def test_a_padded_1x1_makes_a_border_of_nothing(chain: Chain, found: Found) -> None:
    """As conv10 of Caffe's SqueezeNet."""
    assert found(chain((13, 13, 512), Conv(1000, 1, padding=1)), "NL105") == [
        "conv warning a window of 1×1 with padding 1×1: 56 of 225 outputs of each channel see "
        "nothing but padding"
    ]
    assert found(chain((13, 13, 8), Conv(8, 3, padding=2)), "NL105") == []


def test_even_same(chain: Chain, found: Found) -> None:
    assert found(chain((8, 8, 3), Conv(8, 4, padding="same")), "NL106") == [
        'conv info a window of 4×4 cannot be centred: padding "same" puts 1 before and 2 after, so '
        "the map shifts by half a position"
    ]
    assert found(chain((8, 8, 3), Conv(8, 3, padding="same")), "NL106") == []
    assert found(chain((8, 8, 3), Conv(8, 3, stride=2, padding="same")), "NL106") == []
    assert found(chain((8, 8, 3), Conv(8, 4, stride=2, padding=1)), "NL106") == []


def test_short_sighted(chain: Chain, found: Found) -> None:
    head = (GlobalAvgPool(), Linear(10))
    assert found(chain((224, 224, 3), Conv(8, 7, stride=2), Conv(8, 3), *head), "NL107") == [
        "global_avg_pool info each position that global_avg_pool pools has seen 11×11 of 224×224 "
        "positions of the input: nothing relates what lies further apart"
    ]
    assert found(chain((11, 11, 3), Conv(8, 7, stride=2), Conv(8, 3), *head), "NL107") == []
    flat = (Flatten(), Linear(10))
    assert found(chain((224, 224, 3), Conv(8, 7, stride=2), *flat), "NL107") == []


def test_squeeze_and_excitation_is_not_short_sighted(found: Found) -> None:
    net = Network("se", (64, 64, 3))
    x = net(Conv(8, 3, padding=1))
    net(GlobalAvgPool(keepdims=True), x)
    net(Multiply(), x, net(Activation("sigmoid")))
    net.chain(Conv(8, 3, padding=1), Flatten(), Linear(10))
    assert found(net.graph(), "NL107") == []


def test_adaptive_pooling_that_repeats(chain: Chain, found: Found) -> None:
    assert found(chain((2, 2, 512), AdaptiveAvgPool(7)), "NL109") == [
        "adaptive_avg_pool warning makes a map of 7×7 out of 2×2: its numbers are repeated"
    ]
    assert found(chain((13, 13, 512), AdaptiveAvgPool(6)), "NL109") == []


def test_sizes_that_are_symbols_are_left_alone() -> None:
    graph = netledger.read("alexnet", "HxWx3")
    assert check(graph) == ()


def test_pools_of_symbols_are_left_alone(chain: Chain, found: Found) -> None:
    h = symbol("H")
    assert found(chain((h, h, 8), AdaptiveAvgPool(7)), "NL109") == []
    # No window of the convolution is known.
    assert found(chain((h, h, 8), Conv(8, 3, stride=2), GlobalAvgPool()), "NL107") == []


def test_sizes_without_end_are_looked_at_in_no_time(chain: Chain) -> None:
    big = 2**40
    graph = chain((big, 1), Conv(1, 2**39, stride=2**20), Conv(1, 3, stride=2**19), GlobalAvgPool())
    assert {finding.code for finding in check(graph)} <= {"NL102", "NL104", "NL107"}


def test_a_residual_sum_sees_all(found: Found) -> None:
    net = Network("sum", (9, 9, 4))
    x = net(Conv(4, 3, padding=1))
    net(Add(), net(MaxPool(2, stride=1, padding=((0, 1), (0, 1))), x), x)
    assert found(net.graph(), "NL102") == []
