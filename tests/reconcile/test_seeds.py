"""The well-known questions about AlexNet's count: every slip in them that a tool can catch.

A blog's table, a StackOverflow question on the count, and one on 60 million parameters in Keras.
"""

from __future__ import annotations

from click.testing import CliRunner

import netledger
from netledger.check import check
from netledger.cli import main
from netledger.edits import SetField, apply


def explained(model: str, row: str) -> str:
    return CliRunner().invoke(main, ["explain", model, row]).stdout


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


def test_n_is_the_number_of_kernels_and_c_the_channels_of_the_input() -> None:
    """The blog calls N the channels of the input, and does not say what C is."""
    printed = explained("alexnet", "Conv-1")
    assert "C channels of the input · N number of kernels" in printed
    assert "W = K² × C × N = 11² × 3 × 96 = 34,848" in printed


def test_the_size_is_rounded_down_where_the_windows_do_not_fit() -> None:
    """The blog's formula has no floor."""
    assert "⌊(224 − 11 + 2×0)/4⌋ + 1 = 54   (54.25, rounded down)" in explained(
        "alexnet-naive", "Conv-1"
    )
    assert "⌊" not in explained("alexnet", "Conv-1")


def test_224_is_no_typo_if_windows_hang_over_or_zeros_are_added() -> None:
    for name, fields in (
        ("alexnet", {}),
        ("alexnet-2012", {}),
        ("alexnet-naive", {"rounding": "ceil"}),
        ("alexnet-naive", {"padding": ((1, 2), (1, 2))}),
    ):
        edits = [SetField("Conv-1", field, value) for field, value in fields.items()]
        graph = apply(netledger.read(name), *edits)
        assert netledger.ledger(graph).row("Conv-1").outputs[0].shape[1:3] == (55, 55)


def test_a_pooling_has_neither_weights_nor_biases() -> None:
    """Though 'each layer has weights and biases'."""
    row = netledger.ledger("alexnet").row("MaxPool-1")
    assert (row.weights, row.biases, row.params) == (0, 0, 0)


def test_the_first_layer_has_290_400_neurons_not_the_253_440_of_the_caption() -> None:
    assert "A = O² × N = 55² × 96 = 290,400" in explained("alexnet-2012", "Conv-1")
    assert kinds("alexnet-2012", "650,000:neurons")[0] == ("rounding",)


def test_kernels_of_48_and_192_channels_mean_groups() -> None:
    """The Keras question quotes 5×5×48 and 3×3×192, and builds 5×5×96 and 3×3×384."""
    grouped, whole = netledger.ledger("alexnet-2012"), netledger.ledger("alexnet-keras-noflatten")
    for name, channels in (("Conv-2", 48), ("Conv-4", 192), ("Conv-5", 192)):
        assert grouped.row(name).parameters[0].shape[1] == channels
        assert whole.row(name).parameters[0].shape[1] == 2 * channels
    (cause,) = [c for c in netledger.diff("alexnet", "alexnet-2012").causes if c.delta.params]
    assert cause.text == "Conv-2, Conv-4, Conv-5 in 2 groups"
