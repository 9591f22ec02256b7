"""The well-known questions about AlexNet's count: every slip in them that a tool can catch.

A blog's table, a StackOverflow question on the count, and one on 60 million parameters in Keras.
"""

from __future__ import annotations

import netledger
from netledger.check import check


def kinds(model: str, claim: str) -> list[tuple[str, ...]]:
    return [e.kinds for e in netledger.reconcile(model, claim).explanations]


def test_62_378_344_is_not_the_published_network_which_is_grouped() -> None:
    assert kinds("alexnet-2012", "62,378,344")[0] == ("groups",)
    assert kinds("alexnet", "60,965,224")[0] == ("groups",)


def test_sixty_million_is_cut_off_not_rounded() -> None:
    (cause,) = netledger.reconcile("alexnet-2012", "60M").explanations[0].causes
    assert cause.text == "60,965,224 parameters cut off, not rounded to 2 digits"


def test_conv5_is_written_down_as_a_second_conv4() -> None:
    (cause,) = netledger.reconcile("alexnet-2012", "61,186,536").explanations[0].causes
    assert cause.text == "Conv-5 written down as Conv-4, what follows it unchanged"
    assert cause.delta == 221_312


def test_a_dense_layer_on_a_map_lacks_a_flatten() -> None:
    codes = {f.code: f.row for f in check("alexnet-keras-noflatten")}
    assert codes["NL101"] == "FC-1"


def test_the_second_listing_lacks_the_third_pooling() -> None:
    best = netledger.reconcile("alexnet-keras-flatten", "62,378,344").explanations[0]
    assert best.kinds == ("pooling",)
    assert best.causes[0].text == "add MaxPool 3×3/2 after Conv-5"


def test_two_edits_lead_from_25_678_184_to_62_378_344_and_one_to_201_838_952() -> None:
    assert kinds("alexnet-keras-noflatten", "62,378,344")[0] == ("pooling", "flatten")
    assert kinds("alexnet-keras-noflatten", "201,838,952")[0] == ("flatten",)


def test_conv5_on_27_by_27_is_told_by_the_input_of_fc_1() -> None:
    """The prose says 27×27×256 after Conv-5; FC-1 would then see 13×13×256, not 6×6×256."""
    ledger = netledger.ledger("alexnet")
    assert ledger.row("Conv-5").outputs[0].shape[1:] == (13, 13, 256)
    claimed = ledger.totals.params + (13 * 13 - 6 * 6) * 256 * 4096
    assert ("pooling",) in kinds("alexnet", f"{claimed:,}")


def test_fc_1_sees_six_by_six_not_the_thirteen_of_the_convolution_before() -> None:
    ledger = netledger.ledger("alexnet")
    assert ledger.row("FC-1").input_types[0].shape[-1] == 6 * 6 * 256
    assert ("pooling",) in kinds("alexnet", "201,838,952")


def test_224_rounded_down_gives_another_network() -> None:
    found = netledger.reconcile("alexnet-2012", "49,430,888").explanations
    assert found[0].kinds == ("rounding-mode",)
    codes = {f.code for f in check("alexnet-naive")}
    assert codes & {"NL102", "NL103", "NL104", "NL105"}, codes


def test_307_456_are_parameters_of_a_grouped_conv_2() -> None:
    assert netledger.ledger("alexnet-2012").row("Conv-2").params == 307_456
    ours = netledger.ledger("alexnet").totals.params
    claim = ours - 614_656 + 307_456
    assert ("groups",) in kinds("alexnet", f"{claim:,}")


def test_removing_the_normalisation_changes_no_count() -> None:
    found = netledger.diff("alexnet-2012", "alexnet-caffe")
    assert found.delta.params == 0 and found.delta.macs == 0
